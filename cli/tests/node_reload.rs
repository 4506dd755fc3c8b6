//! A reload: what another configuration cannot have leaves the old one in force, and nothing of the old one is left.
//! With a real mosquitto.
#![cfg(all(feature = "node", unix))]

mod node_support;

use node_support::child::{PROGRAM, Program, node_config};
use node_support::{Mosquitto, Proxy, SOON, Subscriber, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;

const STATE: &str = "ocr/n/field/a/state";
const KEPT: &str = "the old configuration stays in force";

/// A broker, the network to it, and somebody who listens to everything.
struct Scene {
    dir: tempfile::TempDir,
    _broker: Mosquitto,
    proxy: Proxy,
    listener: Subscriber,
}

impl Scene {
    fn new(more: &str) -> Option<Scene> {
        if !Mosquitto::available() {
            return None;
        }
        let (dir, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
        let (listener, proxy) = (Subscriber::new(broker.port(), &["#"]), Proxy::to(broker.port()));
        node_config(dir.path(), proxy.port(), more);
        Some(Scene { dir, _broker: broker, proxy, listener })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> String {
        fs::read_to_string(self.file("node.toml")).expect("a configuration")
    }

    /// Has the node read this configuration, and waits until it has refused it so often.
    fn refused(&self, node: &mut Program, config: &str, times: usize) {
        fs::write(self.file("node.toml"), config).expect("written");
        node.signal(Signal::HUP);
        assert!(wait_for(SOON, || node.count(KEPT) == times), "{:#?}", node.lines());
        assert!(node.runs() && self.another(), "it goes on: {:#?}", node.lines());
    }

    /// Has the node go on with a second field, and waits for a reading of that.
    fn renewed(&self, node: &mut Program, config: &str, field: &str) {
        let config = config.replace("name = 'a'", &format!("name = 'a'\n[[field]]\nname = '{field}'"));
        fs::write(self.file("node.toml"), config).expect("written");
        let pid = node.pid();
        node.signal(Signal::HUP);
        let topic = format!("ocr/n/field/{field}/state");
        assert!(self.listener.last(&topic).is_some(), "{:#?}", node.lines());
        assert!(node.runs() && node.pid() == pid);
    }

    /// Whether another reading comes.
    fn another(&self) -> bool {
        let before = self.listener.texts(STATE).len();
        wait_for(SOON, || self.listener.texts(STATE).len() > before)
    }
}

#[test]
fn unusable_configuration_is_refused() {
    let Some(scene) = Scene::new("") else { return };
    let mut node = Program::node(scene.dir.path());
    assert!(scene.another(), "{:#?}", node.lines());
    let good = scene.config();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let metrics = format!("{good}\n[metrics]\nlisten = '{address}'\n");
    scene.refused(&mut node, &metrics, 1);
    assert_eq!(node.count("metrics.listen"), 1, "{:#?}", node.lines());
    // Another node's folder.
    fs::create_dir_all(scene.file("other/outbox")).expect("a folder");
    let lock = File::create(scene.file("other/outbox/lock")).expect("a lock");
    lock.lock().expect("locked");
    let moved =
        good.replace(scene.file("state").to_str().expect("UTF-8"), scene.file("other").to_str().expect("UTF-8"));
    scene.refused(&mut node, &moved, 2);
    assert_eq!(node.count("in use by another process"), 1, "{:#?}", node.lines());
    // All of it can be had.
    drop((taken, lock));
    scene.renewed(&mut node, &metrics, "b");
    // The port of this node itself is no other's.
    scene.renewed(&mut node, &format!("{moved}\n[metrics]\nlisten = '{address}'\n"), "c");
    node.signal(Signal::TERM);
    assert_eq!(node.exit_code(SOON), Some(0), "{:#?}", node.lines());
}

/// Fields that go are told once more, beside those that come: that may be more than one message holds, though each
/// half of it is not.
#[test]
fn fields_that_cannot_be_taken_back_stay() {
    let Some(scene) = Scene::new("[discovery]\nenabled = true\nbirth_jitter_ms = 0") else { return };
    let mut node = Program::node(scene.dir.path());
    let told = scene.listener.last("homeassistant/device/ocrnode_n/config").expect("discovery");
    node.signal(Signal::TERM);
    assert_eq!(node.exit_code(SOON), Some(0));
    let room = told.payload.len() + told.topic.len() + 64;
    let good = scene.config().replacen("[mqtt]\n", &format!("[mqtt]\nmax_packet_out_bytes = {room}\n"), 1);
    fs::write(scene.file("node.toml"), &good).expect("written");
    let mut node = Program::node(scene.dir.path());
    assert!(scene.another(), "{:#?}", node.lines());
    scene.refused(&mut node, &good.replace("name = 'a'", "name = 'b'"), 1);
    assert_eq!(node.count("Home Assistant's discovery"), 1, "{:#?}", node.lines());
    node.signal(Signal::TERM);
    assert_eq!(node.exit_code(SOON), Some(0));
}

/// A reload stays in the process, so what lies where the program was started from is of no account; an upgrade needs a
/// restart.
#[test]
fn reload_works_without_the_program_file() {
    let Some(scene) = Scene::new("") else { return };
    let program = scene.file("edge-ocr");
    fs::copy(PROGRAM, &program).expect("copied");
    let mut node = Program::node_of(&program, scene.dir.path());
    assert!(scene.another(), "{:#?}", node.lines());
    let good = scene.config();
    fs::remove_file(&program).expect("removed");
    scene.renewed(&mut node, &good, "b");
    fs::write(&program, "half of another").expect("written");
    scene.renewed(&mut node, &good, "c");
    node.signal(Signal::TERM);
    assert_eq!(node.exit_code(SOON), Some(0), "{:#?}", node.lines());
}

/// What a process has: threads, open files, resident bytes.
#[cfg(target_os = "linux")]
fn has(node: &Program) -> [u64; 3] {
    let count = |what: &str| fs::read_dir(format!("/proc/{}/{what}", node.pid())).map_or(0, Iterator::count) as u64;
    [count("task"), count("fd"), node.memory().0]
}

#[cfg(target_os = "linux")]
#[test]
fn repeated_reload_leaks_nothing() {
    const RELOADS: usize = 20;
    let Some(scene) = Scene::new("") else { return };
    let address = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a free port");
    // A page, so that the detector is there too, and a port.
    let more = format!("[[field]]\nname = 'page'\nmode = 'page'\n[metrics]\nlisten = '{address}'\n");
    fs::write(scene.file("node.toml"), format!("{}\n{more}", scene.config())).expect("written");
    let mut node = Program::node(scene.dir.path());
    let runs = || numbers(&scene.listener).into_iter().map(|(run, _)| run).collect::<BTreeSet<String>>();
    assert!(wait_for(SOON, || runs().len() == 1), "{:#?}", node.lines());
    let (mut settled, mut resident) = ([0; 3], Vec::new());
    for reload in 1..=RELOADS {
        node.signal(Signal::HUP);
        assert!(wait_for(SOON, || runs().len() == reload + 1), "reload {reload}: {:#?}", node.lines());
        if reload == 5 {
            // The threads of the run before have ended by now, or do so soon.
            wait_for(SOON, || has(&node)[0] <= 12);
            settled = has(&node);
        }
        resident.push(has(&node)[2]);
    }
    let same = || has(&node)[..2].iter().zip(&settled).all(|(now, then)| now <= then);
    assert!(wait_for(SOON, same), "threads and files: {:?} after {settled:?}", has(&node));
    // It goes up and down by 1 MiB, as the run before ends sooner or later. Measured over 30 reloads: 0.4 MiB at the
    // most.
    let least = |reloads: std::ops::Range<usize>| resident[reloads].iter().copied().min().unwrap_or_default();
    let grown = least(RELOADS - 4..RELOADS).saturating_sub(least(4..8));
    assert!(grown < 2 << 20, "{grown} bytes more in {} reloads: {resident:?}", RELOADS - 8);
    assert_eq!(node.said().0, 0, "nothing to warn of: {:#?}", node.lines());
    node.signal(Signal::TERM);
    assert_eq!(node.exit_code(SOON), Some(0), "{:#?}", node.lines());
}

/// The numbers of a field's readings, each as its run and its place there.
fn numbers(listener: &Subscriber) -> Vec<(String, u64)> {
    let number = |text: &String| {
        let json: Value = serde_json::from_str(text).expect("JSON");
        (json["boot_id"].as_str().unwrap_or_default().to_string(), json["seq"].as_u64().expect("a number"))
    };
    listener.texts(STATE).iter().map(number).collect()
}

#[test]
fn a_folder_is_not_left_with_readings_in_it() {
    let Some(scene) = Scene::new("") else { return };
    let metrics = format!("[metrics]\nfile = {:?}\nfile_interval_s = 1\n", scene.file("n.prom"));
    fs::write(scene.file("node.toml"), format!("{}\n{metrics}", scene.config())).expect("written");
    let mut node = Program::node(scene.dir.path());
    assert!(scene.another(), "{:#?}", node.lines());
    let moved = scene.config().replace("/state", "/moved");
    scene.proxy.refuse();
    let waiting = || {
        let metrics = fs::read_to_string(scene.file("n.prom")).unwrap_or_default();
        metrics.lines().any(|line| line.starts_with("edge_ocr_outbox_waiting") && !line.ends_with(" 0"))
            && metrics.lines().any(|line| line.starts_with("edge_ocr_mqtt_connected") && line.ends_with(" 0"))
    };
    assert!(wait_for(SOON, waiting), "{:#?}", node.lines());
    fs::write(scene.file("node.toml"), &moved).expect("written");
    node.signal(Signal::HUP);
    node.expect(KEPT);
    let told = node.lines().into_iter().find(|line| line.contains(KEPT)).unwrap_or_default();
    assert!(
        told.contains(" readings wait for the broker")
            && told.contains("/state ")
            && told.contains("leaves them there"),
        "{told}"
    );
    scene.proxy.pass();
    assert!(scene.another());
    scene.renewed(&mut node, &moved, "b");
    assert!(scene.file("moved/outbox").is_dir());
    node.signal(Signal::TERM);
    assert_eq!(node.exit_code(SOON), Some(0), "{:#?}", node.lines());
    let numbers = numbers(&scene.listener);
    let first = numbers.iter().filter(|(run, _)| *run == numbers[0].0).map(|(_, seq)| *seq);
    let first: BTreeSet<u64> = first.collect();
    assert_eq!(first.last().map(|last| last + 1), Some(first.len() as u64), "all of the first run came: {first:?}");
    assert_eq!(node.count(KEPT), 1, "{:#?}", node.lines());
}

/// Without a folder a reload is as good as a stop: what can be sent is.
#[test]
fn reload_sends_readings_in_memory() {
    let Some(scene) = Scene::new("[node]\nstats_interval_s = 0") else { return };
    let mut node = Program::node(scene.dir.path());
    assert!(scene.another(), "{:#?}", node.lines());
    // Slower than readings come.
    scene.proxy.delay(std::time::Duration::from_millis(300));
    let made = || numbers(&scene.listener).len();
    let before = made();
    assert!(wait_for(SOON, || made() > before + 1));
    let good = scene.config();
    scene.renewed(&mut node, &good, "b");
    scene.proxy.pass();
    let numbers = numbers(&scene.listener);
    let first: BTreeSet<u64> = numbers.iter().filter(|(run, _)| *run == numbers[0].0).map(|(_, seq)| *seq).collect();
    assert_eq!(first.last().map(|last| last + 1), Some(first.len() as u64), "{first:?}");
    // Both runs say that they have no folder.
    assert_eq!((node.count("there is no state_dir"), node.said().0), (2, 2), "{:#?}", node.lines());
}
