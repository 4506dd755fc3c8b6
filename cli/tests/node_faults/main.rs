//! What a node does when broker, network or disk do not do theirs. With a real mosquitto and the node as a child
//! process.
#![cfg(all(feature = "node", unix))]

mod disk;
#[path = "../node_support/mod.rs"]
mod node_support;

use node_support::child::{Program, node_config};
use node_support::{Mosquitto, Proxy, SOON, Subscriber, full, wait_for, wall_ms};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::io::{PipeReader, PipeWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const STATE: &str = "ocr/n/field/a/state";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The numbers of the readings that have come, of one run of the node.
fn numbers(listener: &Subscriber) -> HashSet<u64> {
    let number = |text: &String| serde_json::from_str::<Value>(text).expect("JSON")["seq"].as_u64();
    listener.texts(STATE).iter().filter_map(number).collect()
}

/// A broker, somebody who hears all that is published there, and a folder for a node.
struct Scene {
    dir: tempfile::TempDir,
    broker: Mosquitto,
    listener: Subscriber,
}

impl Scene {
    /// With a broker that lets everybody do everything; `None` where there is none.
    fn new() -> Option<Scene> {
        Scene::with_broker("allow_anonymous true\n")
    }

    /// With a broker of this configuration.
    fn with_broker(config: &str) -> Option<Scene> {
        if !Mosquitto::available() {
            return None;
        }
        let broker = Mosquitto::with_config(config);
        let listener = Subscriber::new(broker.port(), &["#"]);
        Some(Scene { dir: folder(), broker, listener })
    }

    /// Starts a node with `more` in its [configuration](node_config).
    fn node(&self, more: &str) -> Program {
        self.configure(self.broker.port(), more);
        Program::node(self.dir.path())
    }

    /// The same with a network between it and the broker that can be disturbed.
    fn node_behind_proxy(&self, more: &str) -> (Program, Proxy) {
        let proxy = Proxy::to(self.broker.port());
        self.configure(proxy.port(), more);
        (Program::node(self.dir.path()), proxy)
    }

    fn configure(&self, port: u16, more: &str) {
        node_config(self.dir.path(), port, more);
    }

    /// Waits until a reading comes that was not there before.
    fn another(&self) -> bool {
        let before = self.listener.texts(STATE).len();
        wait_for(SOON, || self.listener.texts(STATE).len() > before)
    }

    /// Whether all readings up to the last are there; waits for it.
    fn complete(&self) -> bool {
        wait_for(SOON, || {
            let numbers = numbers(&self.listener);
            numbers.iter().max().is_some_and(|last| numbers.len() as u64 == last + 1)
        })
    }

    /// A number of the node's statistics on its outbox.
    fn outbox(&self, key: &str) -> Option<Value> {
        let last = self.listener.texts("ocr/n/stats").pop()?;
        Some(serde_json::from_str::<Value>(&last).expect("JSON")["outbox"][key].clone())
    }
}

fn passwords(file: &Path, password: &str) {
    let status = Command::new("mosquitto_passwd").args(["-c", "-b"]).arg(file).args(["ocr", password]).output();
    let output = status.expect("mosquitto_passwd, which comes with mosquitto");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn wrong_password_logged_once_and_retried() {
    if !Mosquitto::available() {
        return;
    }
    let dir = folder();
    let file = dir.path().join("passwords");
    passwords(&file, "another");
    let mut broker =
        Mosquitto::with_config(&format!("allow_anonymous false\npassword_file {}\n", file.to_str().expect("UTF-8")));
    node_config(dir.path(), broker.port(), "username = 'ocr'\npassword_in_clear = 'hunter2'");
    let mut node = Program::node(dir.path());
    let refused = |broker: &Mosquitto| broker.log().matches("not authorised").count();
    assert!(wait_for(SOON, || refused(&broker) >= 4), "{}", broker.log());
    assert!(node.runs());
    let told = node.lines();
    assert_eq!(told.iter().filter(|line| line.contains("password")).count(), 1, "{told:#?}");
    assert!(!told.iter().any(|line| line.contains("hunter2")), "{told:#?}");
    passwords(&file, "hunter2");
    broker.restart();
    let listener = Subscriber::with_login(broker.port(), &["#"], Some(("ocr", "hunter2")));
    assert!(listener.last(STATE).is_some(), "{:#?}", node.lines());
    let scene = Scene { dir, broker, listener };
    assert!(scene.complete(), "those from before too: {:?}", numbers(&scene.listener));
}

#[test]
fn a_broker_that_comes_later_gets_everything() {
    if !Mosquitto::available() {
        return;
    }
    let (dir, mut broker) = (folder(), Mosquitto::start());
    // The node does not see the broker before the listener is there.
    let proxy = Proxy::to(broker.port());
    broker.kill();
    node_config(dir.path(), proxy.port(), "");
    let mut node = Program::node(dir.path());
    node.expect("broker");
    assert!(wait_for(SOON, || proxy.accepted() >= 5));
    assert!(node.runs());
    proxy.refuse();
    broker.restart();
    let listener = Subscriber::new(broker.port(), &["#"]);
    proxy.pass();
    assert!(listener.last(STATE).is_some());
    let scene = Scene { dir, broker, listener };
    assert!(scene.complete(), "{:?}", numbers(&scene.listener));
    let lost = node.lines().len();
    assert!(lost < 8, "the broker's absence is rarely logged: {:#?}", node.lines());
}

/// The readings that wait in the outbox, by a file with the node's metrics, which needs no broker.
fn waiting(file: &Path) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("edge_ocr_outbox_waiting"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn a_cut_network_loses_nothing() {
    let Some(scene) = Scene::new() else { return };
    let listener = &scene.listener;
    let file = scene.dir.path().join("node.prom");
    let metrics = format!("[metrics]\nfile = '{}'\nfile_interval_s = 1", file.display());
    let (mut node, proxy) = scene.node_behind_proxy(&metrics);
    assert!(scene.another());
    proxy.refuse();
    assert!(wait_for(SOON, || listener.texts("ocr/n/status").last().is_some_and(|text| text == "offline")), "the will");
    // Five readings are made in a second.
    let (missed, within) = if full() { (300, Duration::from_secs(180)) } else { (10, SOON) };
    assert!(wait_for(within, || waiting(&file) >= missed), "{} wait: {:#?}", waiting(&file), node.lines());
    let (before, back, back_ms) = (numbers(listener).len(), Instant::now(), wall_ms());
    proxy.pass();
    // They come in order: with one that was taken after the cut, those of the cut are there.
    let taken = |text: &String| serde_json::from_str::<Value>(text).expect("JSON")["captured_at_ms"].as_i64();
    assert!(wait_for(SOON, || listener.texts(STATE).last().and_then(taken).is_some_and(|at| at > back_ms)));
    let came = numbers(listener).len() - before;
    println!("{came} readings came within {:?} after the cut, none is missing", back.elapsed());
    assert!(scene.complete(), "{:?}", numbers(listener));
    assert!(came as u64 >= missed, "what was read meanwhile: {came}");
    assert_eq!(listener.texts("ocr/n/status").last().map(String::as_str), Some("online"));
    assert!(node.runs());
}

#[test]
fn a_cable_that_is_pulled_out_is_noticed() {
    let Some(scene) = Scene::new() else { return };
    let listener = &scene.listener;
    // The smallest keep-alive that is allowed is 15 s; nothing is sent meanwhile, so that only it can notice.
    let (node, proxy) = scene.node_behind_proxy("[trigger]\ninterval_s = 1000\n[node]\nstats_interval_s = 0");
    assert!(listener.last(STATE).is_some());
    proxy.black_hole();
    let start = Instant::now();
    let noticed = wait_for(Duration::from_secs(40), || node.count("no longer answers") > 0);
    // Twice the keep-alive after what was heard last, and a second of reserve.
    assert!(noticed && start.elapsed() < Duration::from_secs(32), "{:?} {:#?}", start.elapsed(), node.lines());
    let before = listener.texts("ocr/n/status").len();
    proxy.cut();
    proxy.pass();
    let online = || {
        listener.texts("ocr/n/status").len() > before
            && listener.texts("ocr/n/status").last().is_some_and(|text| text == "online")
    };
    assert!(wait_for(SOON, online), "{:?}", listener.texts("ocr/n/status"));
}

#[test]
fn a_slow_network_delays_and_loses_nothing() {
    let Some(scene) = Scene::new() else { return };
    let (mut node, proxy) = scene.node_behind_proxy("");
    assert!(scene.another());
    // Less than the readings need.
    proxy.throttle(1500);
    proxy.delay(Duration::from_millis(100));
    let waiting = || scene.outbox("waiting").and_then(|waiting| waiting.as_u64()).expect("statistics");
    assert!(wait_for(SOON, || waiting() > 3), "they wait in the outbox");
    assert!(node.runs());
    proxy.pass();
    assert!(wait_for(SOON, || waiting() <= 1), "and are sent when they can be");
    assert!(scene.complete(), "{:?}", numbers(&scene.listener));
    assert_eq!(proxy.accepted(), 1, "the connection held");
}

#[test]
fn an_image_is_made_as_small_as_a_packet() {
    let Some(scene) = Scene::new() else { return };
    let listener = &scene.listener;
    let node = scene.node(
        "max_packet_out_bytes = 8192\n[image]\nmax_bytes = 1000000\nquality = 100\n\
         [source]\nkind = 'replay'\npath = 'tests/golden/plate.jpg'\n[trigger]\ninterval_s = 1",
    );
    assert!(listener.last(STATE).is_some(), "{:#?}", node.lines());
    listener.publish("ocr/n/cmd/image", b"", false);
    let image = listener.last("ocr/n/camera/image").expect("an image");
    assert!(image.payload.starts_with(&[0xff, 0xd8]) && image.payload.len() <= 8192, "{}", image.payload.len());
    let result = listener.last("ocr/n/cmd/image/result").expect("an answer");
    assert!(result.text().contains("\"ok\":true"), "{}", result.text());
    // Images that come to it which are larger than it takes end the connection at most.
    listener.publish("ocr/n/cmd/image", &vec![b'x'; 1 << 20], false);
    assert!(scene.another() && scene.another(), "{:#?}", node.lines());
}

/// A pipe that has room for nothing more, as those leave it who do not read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("set");
    for length in [4096, 1] {
        while writer.write(&vec![b'x'; length]).is_ok() {}
    }
    fcntl_setfl(&writer, flags).expect("set");
    (reader, writer)
}

#[test]
fn unread_stderr_does_not_block_node() {
    let Some(scene) = Scene::new() else { return };
    let listener = &scene.listener;
    scene.configure(scene.broker.port(), "");
    let (_reader, writer) = full_pipe();
    let mut node = Program::node_that_tells(scene.dir.path(), writer);
    assert!(scene.another() && scene.another(), "it reads and publishes");
    listener.publish("ocr/n/cmd/explode", b"", false);
    assert!(listener.last("ocr/n/cmd/unknown/result").is_some(), "it answers");
    let file = scene.dir.path().join("node.toml");
    let good = fs::read_to_string(&file).expect("a configuration");
    fs::write(&file, "no configuration").expect("written");
    node.signal(Signal::HUP);
    assert!(scene.another() && scene.another(), "it goes on");
    fs::write(&file, good.replace("name = 'a'", "name = 'a'\n[[field]]\nname = 'b'")).expect("written");
    node.signal(Signal::HUP);
    assert!(listener.last("ocr/n/field/b/state").is_some(), "it begins again");
    let start = Instant::now();
    node.signal(Signal::TERM);
    let code = node.exit_code(SOON);
    assert!(code == Some(0) && start.elapsed() < Duration::from_secs(10), "{code:?} after {:?}", start.elapsed());
    assert!(wait_for(SOON, || listener.texts("ocr/n/status").last().is_some_and(|text| text == "offline")));
    // One that cannot even begin.
    fs::write(&file, "no configuration").expect("written");
    let (_reader, writer) = full_pipe();
    let mut node = Program::node_that_tells(scene.dir.path(), writer);
    assert_eq!(node.exit_code(SOON), Some(2));
}

#[test]
fn what_was_said_meanwhile_is_there_when_it_is_read() {
    let Some(scene) = Scene::new() else { return };
    let listener = &scene.listener;
    scene.configure(scene.broker.port(), "");
    let (reader, writer) = full_pipe();
    let mut node = Program::node_that_tells(scene.dir.path(), writer);
    assert!(scene.another());
    listener.publish("ocr/n/cmd/explode", b"", false);
    assert!(listener.last("ocr/n/cmd/unknown/result").is_some());
    node.read(reader);
    node.expect("a command was refused");
    let file = scene.dir.path().join("node.toml");
    fs::write(&file, "no configuration").expect("written");
    node.signal(Signal::HUP);
    node.expect("the old configuration stays in force");
    node.signal(Signal::TERM);
    assert_eq!(node.exit_code(SOON), Some(0));
    let lines = node.lines();
    let place = |part: &str| lines.iter().position(|line| line.contains(part));
    let places = ["node n: 1 fields", "a command was refused", "the old configuration stays in force"].map(place);
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {lines:#?}");
    assert_eq!(node.count("were dropped"), 0);
}

/// The whole backlog was given up within seconds.
#[test]
fn a_mistake_in_the_access_list_loses_nothing() {
    let dir = folder();
    let file = dir.path().join("acl");
    fs::write(&file, "topic read #\ntopic readwrite ocr/n/status\n").expect("written");
    let config = format!("allow_anonymous true\nacl_file {}\n", file.display());
    let Some(scene) = Scene::with_broker(&config) else { return };
    let (broker, listener) = (&scene.broker, &scene.listener);
    let mut node = scene.node("protocol = '5'");
    node.expect("access list");
    assert!(wait_for(SOON, || broker.log().matches("Denied PUBLISH").count() >= 3), "{}", broker.log());
    assert_eq!(listener.texts(STATE).len(), 0);
    fs::write(&file, "topic readwrite #\n").expect("written");
    broker.reload();
    assert!(listener.last("ocr/n/camera/status").is_some(), "what it says of itself too: {:#?}", node.lines());
    assert!(scene.another() && scene.complete(), "{:?} {:#?}", numbers(listener), node.lines());
    assert!(node.runs() && node.count("given up") == 0, "{:#?}", node.lines());
    assert_eq!(node.count("wait in the outbox"), 1, "{:#?}", node.lines());
}

/// MQTT 5 has such a broker refuse a last will that is to be kept, and each message; with MQTT 3.1.1 it closes the
/// connection.
#[test]
fn broker_without_retain_logged_once_gets_all() {
    for protocol in ["5", "3.1.1"] {
        let Some(mut scene) = Scene::with_broker("allow_anonymous true\nretain_available false\n") else { return };
        let mut node = scene.node(&format!("protocol = '{protocol}'"));
        assert!(scene.another(), "{protocol}: {:#?}", node.lines());
        node.expect("keeps no messages, so");
        scene.broker.kill();
        scene.broker.restart();
        scene.listener = Subscriber::new(scene.broker.port(), &["#"]);
        assert!(scene.another(), "{protocol}: {:#?}", node.lines());
        assert!(node.runs());
        assert_eq!(node.count("keeps no messages, so"), 1, "{protocol}: {:#?}", node.lines());
        assert_eq!(node.count("asked to keep"), 1, "{protocol}: {:#?}", node.lines());
    }
}

#[test]
fn too_large_message_reported_others_delivered() {
    let Some(scene) = Scene::with_broker("allow_anonymous true\nmessage_size_limit 600\n") else { return };
    let (broker, listener) = (&scene.broker, &scene.listener);
    // The node's description is longer; readings are not.
    let mut node = scene.node("protocol = '5'\n[node]\nstats_interval_s = 0");
    node.expect("message_size_limit");
    assert!(scene.another(), "{:#?}", node.lines());
    assert!(listener.last("ocr/n/camera/status").is_some(), "what comes after it arrives too: {:#?}", node.lines());
    let before = broker.log().matches("New client connected").count();
    assert!(scene.another() && scene.another() && node.runs());
    assert_eq!(broker.log().matches("New client connected").count(), before, "and the connection holds");
    assert_eq!(node.count("understood"), 0, "{:#?}", node.lines());
}
