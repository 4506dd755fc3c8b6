//! A node's life with a real mosquitto: its will, its signals, its commands, Home Assistant's start, and taking
//! everything back.
#![cfg(all(feature = "node", unix))]

mod node_support;

use node_support::child::{Program, node_config};
use node_support::{Mosquitto, SOON, Subscriber, full, wait_for, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

const STATE: &str = "ocr/n/field/a/state";
const STATUS: &str = "ocr/n/status";

/// A broker, somebody who listens to everything, and a node that is at work.
struct Scene {
    dir: tempfile::TempDir,
    broker: Mosquitto,
    listener: Subscriber,
    node: Program,
}

impl Scene {
    fn new(more: &str) -> Option<Scene> {
        if !Mosquitto::available() {
            return None;
        }
        let (dir, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
        let listener = Subscriber::new(broker.port(), &["#"]);
        node_config(dir.path(), broker.port(), more);
        let node = Program::node(dir.path());
        assert!(listener.last(STATE).is_some(), "{:#?}", node.lines());
        Some(Scene { dir, broker, listener, node })
    }

    /// Asks for something and gives the answer.
    fn ask(&self, verb: &str, payload: &str) -> Value {
        let topic = format!("ocr/n/cmd/{verb}/result");
        let before = self.listener.texts(&topic).len();
        self.listener.publish(&format!("ocr/n/cmd/{verb}"), payload.as_bytes(), false);
        let answered = wait_for(SOON, || self.listener.texts(&topic).len() > before);
        assert!(answered, "no answer to {verb} {payload}: {:#?}", self.node.lines());
        serde_json::from_str(self.listener.texts(&topic).last().expect("an answer")).expect("JSON")
    }

    /// What a newcomer gets at once of a topic.
    fn kept(&self, topic: &str) -> Option<String> {
        let newcomer = Subscriber::new(self.broker.port(), &[topic]);
        wait_for(Duration::from_secs(2), || !newcomer.messages().is_empty());
        newcomer.messages().first().filter(|message| message.retain).map(|message| message.text())
    }

    fn status(&self) -> Option<String> {
        self.listener.texts(STATUS).pop()
    }
}

#[test]
fn will_on_crash_offline_message_on_stop() {
    let Some(mut scene) = Scene::new("") else { return };
    assert_eq!(scene.kept(STATUS).as_deref(), Some("online"));
    scene.node.kill();
    assert!(wait_for(SOON, || scene.status().as_deref() == Some("offline")), "{:?}", scene.listener.texts(STATUS));
    assert_eq!(scene.kept(STATUS).as_deref(), Some("offline"));
    for signal in [Signal::TERM, Signal::INT] {
        scene.node = Program::node(scene.dir.path());
        assert!(wait_for(SOON, || scene.status().as_deref() == Some("online")));
        let start = Instant::now();
        scene.node.signal(signal);
        let code = scene.node.exit_code(SOON);
        assert!(code == Some(0) && start.elapsed() < Duration::from_secs(8), "{code:?} after {:?}", start.elapsed());
        assert!(wait_for(SOON, || scene.status().as_deref() == Some("offline")));
        assert_eq!(scene.kept(STATUS).as_deref(), Some("offline"));
        assert_eq!(scene.node.said().0, 0, "a shutdown message is nothing to warn of: {:#?}", scene.node.lines());
    }
}

/// Also while the camera does not answer and the broker is away.
/// As timeout(1) sends it: to the program, and to its process group.
#[test]
fn signal_sent_twice_at_once_is_one() {
    let Some(mut scene) = Scene::new("") else { return };
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(100) && scene.node.runs() {
        scene.node.signal(Signal::INT);
    }
    assert_eq!(scene.node.exit_code(SOON), Some(0), "{:#?}", scene.node.lines());
}

#[test]
fn a_node_that_waits_for_its_camera_can_be_stopped() {
    let Some(mut scene) = Scene::new("") else { return };
    scene.node.kill();
    scene.broker.kill();
    let camera = node_support::HttpCamera::start(node_support::Behaviour::Hang);
    let source = format!("[source]\nkind = 'http'\nurl = '{}'\ntimeout_ms = 60000", camera.url("/shot"));
    node_config(scene.dir.path(), scene.broker.port(), &source);
    scene.node = Program::node(scene.dir.path());
    assert!(wait_for(SOON, || !camera.requests().is_empty()), "it asks");
    let start = Instant::now();
    scene.node.signal(Signal::TERM);
    let code = scene.node.exit_code(SOON);
    assert!(code == Some(0) && start.elapsed() < Duration::from_secs(8), "{code:?} after {:?}", start.elapsed());
}

#[test]
fn a_new_configuration_is_taken_if_it_is_good() {
    let Some(mut scene) = Scene::new("[commands]\nreload_min_interval_ms = 0") else { return };
    let (pid, path) = (scene.node.pid(), scene.dir.path().join("node.toml"));
    let good = fs::read_to_string(&path).expect("read");
    // A bad one: by signal, then by command.
    fs::write(&path, good.replace("interval_s = 0.2", "interval_s = 'often'")).expect("written");
    scene.node.signal(Signal::HUP);
    scene.node.expect("the old configuration stays in force");
    let answer = scene.ask("reload", "");
    assert!(answer["ok"] == false && answer["error"].as_str().is_some_and(|e| e.contains("interval_s")), "{answer}");
    let before = scene.listener.texts(STATE).len();
    assert!(wait_for(SOON, || scene.listener.texts(STATE).len() > before), "it goes on");
    // Good ones.
    for (how, field) in [("signal", "b"), ("command", "c")] {
        fs::write(&path, good.replace("name = 'a'", &format!("name = 'a'\n[[field]]\nname = '{field}'")))
            .expect("written");
        match how {
            "signal" => scene.node.signal(Signal::HUP),
            _ => assert_eq!(scene.ask("reload", "{}")["ok"], true),
        }
        let topic = format!("ocr/n/field/{field}/state");
        assert!(scene.listener.last(&topic).is_some(), "by {how}: {:#?}", scene.node.lines());
        assert!(scene.node.runs() && scene.node.pid() == pid);
    }
    assert_eq!(scene.status().as_deref(), Some("online"));
    // Signals still work after that, and nothing else was left behind.
    scene.node.signal(Signal::TERM);
    assert_eq!(scene.node.exit_code(SOON), Some(0));
}

/// Also where one node ends and the next begins a signal must find somebody.
#[test]
fn signals_during_reload_are_neither_lost_nor_fatal() {
    let Some(mut scene) = Scene::new("") else { return };
    for round in 0..if full() { 60 } else { 6 } {
        if round > 0 {
            scene.listener.clear();
            scene.node = Program::node(scene.dir.path());
            assert!(scene.listener.last(STATE).is_some(), "{:#?}", scene.node.lines());
        }
        // Long at first, through many lives; then the end comes somewhere in the first or second.
        let end = Instant::now() + Duration::from_millis(if round == 0 { 3000 } else { 61 * round });
        while Instant::now() < end {
            scene.node.signal(Signal::HUP);
            std::thread::sleep(Duration::from_millis(1));
        }
        scene.node.signal(Signal::TERM);
        let code = scene.node.exit_code(SOON);
        assert_eq!(code, Some(0), "round {round}: {:#?}", scene.node.lines());
        let status = || scene.status().as_deref() == Some("offline");
        assert!(wait_for(SOON, status), "round {round}: {:?}", scene.listener.texts(STATUS));
        assert_eq!(scene.node.said().0, 0, "nothing to warn of: {:#?}", scene.node.lines());
    }
}

/// Which of SIGHUP, SIGINT and SIGTERM a process holds back, as proc(5) tells.
#[cfg(target_os = "linux")]
fn held_back(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("a mask");
    u64::from_str_radix(mask.trim(), 16).expect("hexadecimal") & (1 | 1 << 1 | 1 << 14)
}

#[cfg(target_os = "linux")]
#[test]
fn a_camera_program_can_be_told_to_end() {
    let Some(mut scene) = Scene::new("") else { return };
    scene.node.kill();
    let file = scene.dir.path().join("pid");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", file.display());
    let source = format!("[source]\nkind = 'command'\ncommand = ['sh', '-c', '{script}']\ntimeout_ms = 60000");
    node_config(scene.dir.path(), scene.broker.port(), &source);
    scene.node = Program::node(scene.dir.path());
    let camera = wait_until(SOON, || fs::read_to_string(&file).ok()).expect("it is started");
    assert_eq!(held_back(camera.trim()), 0, "a program is given no signals to hold back");
    scene.node.signal(Signal::TERM);
    assert_eq!(scene.node.exit_code(SOON), Some(0));
}

#[test]
fn commands_are_carried_out_and_answered() {
    let limits = "[commands]\nread_min_interval_ms = 0\nimage_min_interval_ms = 0";
    let more = format!("[trigger]\ninterval_s = 1000\n[image]\nmax_bytes = 50000\n{limits}");
    let Some(mut scene) = Scene::new(&more) else { return };
    let readings = scene.listener.texts(STATE).len();
    assert_eq!(scene.ask("read", r#"{"transaction": 7}"#)["transaction"], 7);
    assert!(wait_for(SOON, || scene.listener.texts(STATE).len() == readings + 1), "a reading for a command");
    assert_eq!(scene.ask("set_value", r#"{"field": "a", "value": 12.5}"#)["ok"], true);
    for payload in ["", r#"{"field": "a"}"#] {
        let before = scene.listener.texts("ocr/n/camera/image").len();
        assert_eq!(scene.ask("image", payload)["ok"], true);
        let came = || scene.listener.texts("ocr/n/camera/image").len() > before;
        assert!(wait_for(SOON, came), "an image for {payload:?}");
        let image = scene.listener.last("ocr/n/camera/image").expect("an image");
        assert!(image.payload.starts_with(&[0xff, 0xd8]) && image.payload.len() <= 50_000 && !image.retain);
        assert!(image::load_from_memory(&image.payload).is_ok(), "it can be decoded");
    }
    // Malformed ones.
    let deep = "[".repeat(4000);
    let long = format!("{{\"transaction\": \"{}\"}}", "x".repeat(8000));
    for (verb, payload) in [
        ("read", "{"),
        ("read", "[]"),
        ("read", "null and more"),
        ("read", r#"{"now": true}"#),
        ("read", deep.as_str()),
        ("read", long.as_str()),
        ("read", r#"{"transaction": {"a": 1}}"#),
        ("set_value", ""),
        ("set_value", r#"{"field": "a"}"#),
        ("set_value", r#"{"field": "none", "value": 1}"#),
        ("set_value", r#"{"field": "a", "value": "1"}"#),
        ("set_value", r#"{"field": "a", "value": 1e999}"#),
        ("set_value", r#"{"field": "a", "value": NaN}"#),
        ("set_value", r#"{"field": "a", "value": 1, "value": 2}"#),
        ("image", r#"{"field": "none"}"#),
        ("image", r#"{"field": 3}"#),
        ("reload", r#"{"config": "rm -rf"}"#),
    ] {
        let answer = scene.ask(verb, payload);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(
            answer["ok"] == false && !error.is_empty() && !error.contains('\n') && error.len() < 600,
            "{verb} {payload}: {answer}"
        );
    }
    scene.listener.publish("ocr/n/cmd/explode", b"", false);
    let answer = scene.listener.last("ocr/n/cmd/unknown/result").expect("an answer");
    assert!(answer.text().contains("\"ok\":false"), "{}", answer.text());
    let results = scene.listener.texts("ocr/n/cmd/read/result").len();
    scene.listener.publish("ocr/n/cmd/read", &[0xff, 0xfe, 0], false);
    assert!(wait_for(SOON, || scene.listener.texts("ocr/n/cmd/read/result").len() > results));
    assert!(scene.node.runs() && scene.ask("read", "")["ok"] == true);
    assert!(scene.node.said().0 < 30, "{:#?}", scene.node.lines());
}

#[test]
fn commands_that_the_broker_kept_are_ignored() {
    let Some(mut scene) = Scene::new("") else { return };
    scene.node.kill();
    // Nor anything that was read before.
    fs::remove_dir_all(scene.dir.path().join("state")).expect("removed");
    node_config(scene.dir.path(), scene.broker.port(), "[trigger]\ninterval_s = 1000\non_start = false");
    scene.listener.publish("ocr/n/cmd/read", b"{}", true);
    scene.listener.publish("ocr/n/cmd/reload", b"{}", true);
    assert!(wait_for(SOON, || !scene.listener.texts("ocr/n/cmd/reload").is_empty()));
    scene.listener.clear();
    scene.node = Program::node(scene.dir.path());
    scene.node.expect("keeps a command");
    assert!(scene.ask("image", "")["ok"] == false, "no frame was read");
    assert_eq!(scene.listener.texts(STATE).len(), 0);
}

#[test]
fn home_assistant_is_told_again_when_it_starts() {
    let Some(scene) = Scene::new("[discovery]\nenabled = true\nbirth_jitter_ms = 100") else { return };
    let discovery = "homeassistant/device/ocrnode_n/config";
    let first = scene.listener.last(discovery).expect("discovery");
    assert!(!first.retain);
    let before = scene.listener.texts(discovery).len();
    scene.listener.publish("homeassistant/status", b"offline", false);
    scene.listener.publish("homeassistant/status", b"online", false);
    assert!(wait_for(SOON, || scene.listener.texts(discovery).len() > before), "{:#?}", scene.node.lines());
    assert_eq!(scene.listener.texts(discovery).last(), Some(&first.text()));
}

/// A field that was taken out while Home Assistant was away: it is told of it, that it is gone, and of what stays,
/// one after the other.
#[test]
fn removed_field_retracted_after_reconnect() {
    const SECOND: &str = "[[field]]\nname = 'b'\nmode = 'line'";
    let fields = format!("[[field]]\nname = 'a'\nmode = 'line'\nnumber = {{}}\n{SECOND}");
    let more = format!("[discovery]\nenabled = true\nbirth_jitter_ms = 0\n{fields}");
    let Some(mut scene) = Scene::new(&more) else { return };
    let discovery = "homeassistant/device/ocrnode_n/config";
    assert!(scene.listener.last(discovery).is_some_and(|told| told.text().contains("b_value")));
    scene.node.signal(Signal::TERM);
    assert_eq!(scene.node.exit_code(SOON), Some(0));
    let file = scene.dir.path().join("node.toml");
    let config = fs::read_to_string(&file).expect("a configuration").replace(SECOND, "");
    fs::write(&file, config).expect("written");
    scene.listener.clear();
    scene.node = Program::node(scene.dir.path());
    assert!(wait_for(SOON, || scene.listener.texts(discovery).len() == 3), "{:#?}", scene.node.lines());
    let first = scene.listener.texts(discovery);
    scene.listener.publish("homeassistant/status", b"online", false);
    assert!(wait_for(SOON, || scene.listener.texts(discovery).len() == 6), "{:#?}", scene.node.lines());
    assert_eq!(scene.listener.texts(discovery)[3..], first);
    let stub = |message: &str| serde_json::from_str::<Value>(message).expect("JSON")["cmps"]["b_value"].clone();
    assert_eq!(stub(&first[0])["uniq_id"], "n_b_value");
    assert_eq!(stub(&first[1]), serde_json::json!({"p": "sensor"}));
    assert!(stub(&first[2]).is_null());
}

/// Home Assistant listens to entities only some time after it has heard of them.
#[test]
fn unretained_readings_resent_after_discovery() {
    let Some(scene) = Scene::new("[discovery]\nenabled = true\nbirth_jitter_ms = 0\n[retain]\nstate = false") else {
        return;
    };
    let historical = |text: &String| serde_json::from_str::<Value>(text).expect("JSON")["historical"] == true;
    let again = || scene.listener.texts(STATE).iter().filter(|text| historical(text)).count();
    assert!(wait_for(SOON, || again() > 0), "{:#?}", scene.listener.texts(STATE));
    let before = again();
    scene.listener.publish("homeassistant/status", b"online", false);
    assert!(wait_for(SOON, || again() > before), "{:#?}", scene.listener.texts(STATE));
}

/// Whatever a new subscriber to everything gets.
fn all_kept(port: u16) -> Vec<String> {
    let newcomer = Subscriber::new(port, &["#"]);
    wait_for(Duration::from_secs(1), || false);
    newcomer.messages().into_iter().filter(|message| message.retain).map(|message| message.topic).collect()
}

fn clear(dir: &Path) -> Program {
    Program::start(&["node", "--clear-retained", "--config", dir.join("node.toml").to_str().expect("UTF-8")])
}

#[test]
fn everything_kept_can_be_taken_back() {
    let Some(mut scene) = Scene::new("[discovery]\nenabled = true\n[retain]\ndiscovery = true") else { return };
    assert!(all_kept(scene.broker.port()).len() >= 5, "{:?}", all_kept(scene.broker.port()));
    scene.node.kill();
    // Of fields that are configured no more, and what another tool left there.
    scene.listener.publish("ocr/n/field/old/state", b"{}", true);
    scene.listener.publish("ocr/n/cmd/read", b"{}", true);
    scene.listener.publish("ocr/n2/status", b"online", true);
    assert!(wait_for(SOON, || !scene.listener.texts("ocr/n2/status").is_empty()));
    let mut program = clear(scene.dir.path());
    assert_eq!(program.exit_code(SOON), Some(0), "{:#?}", program.lines());
    assert_eq!(all_kept(scene.broker.port()), ["ocr/n2/status"], "nothing but another node's");
    let mut program = clear(scene.dir.path());
    assert_eq!(program.exit_code(SOON), Some(0), "a second time");
}

/// Somebody waits for it: the node does not try for half a minute what a second try cannot put right.
#[test]
fn that_nothing_can_be_taken_back_is_told_soon() {
    let dir = tempfile::tempdir().expect("a folder");
    // Nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    for (host, said) in [("127.0.0.1", "nothing takes connections"), ("no-such-broker.invalid", "mqtt.host")] {
        node_config(dir.path(), port, "");
        let file = dir.path().join("node.toml");
        let text = fs::read_to_string(&file).expect("a configuration").replace("'127.0.0.1'", &format!("'{host}'"));
        fs::write(&file, text.replace("backoff_max_ms = 1000", "backoff_max_ms = 60000")).expect("written");
        let start = Instant::now();
        let mut program = clear(dir.path());
        assert_eq!(program.exit_code(SOON), Some(7), "{:#?}", program.lines());
        // A name server that does not answer is given mqtt.connect_timeout_ms each time, 2 s.
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        let lines = program.lines();
        assert!(lines.len() == 1 && lines[0].contains(said), "{lines:#?}");
    }
}
