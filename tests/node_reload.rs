//! What can go wrong when a node begins anew with another configuration, and must not end it. With a real mosquitto.
#![cfg(all(feature = "node", unix))]

mod node_support;

use node_support::child::{PROGRAM, Program, node_config};
use node_support::{Mosquitto, Proxy, SOON, Subscriber, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

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

    /// Has the node begin anew with a second field, and waits for a reading of that.
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
fn what_the_new_one_cannot_have_leaves_the_old_one_in_force() {
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

/// Fields that go are told once more, beside those that come: that may be more than one message holds, though each half of it is not.
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

/// A package that is installed over the one that runs, and one that is half installed.
#[test]
fn a_program_that_was_replaced_is_what_runs_next() {
    let Some(scene) = Scene::new("") else { return };
    let program = scene.file("edge-ocr");
    let install = |from: &Path| {
        let new = scene.file("edge-ocr.new");
        fs::copy(from, &new).expect("copied");
        fs::rename(&new, &program).expect("renamed");
    };
    install(Path::new(PROGRAM));
    let mut node = Program::node_of(&program, scene.dir.path());
    assert!(scene.another(), "{:#?}", node.lines());
    let good = scene.config();
    fs::remove_file(&program).expect("removed");
    scene.refused(&mut node, &good, 1);
    fs::write(&program, "half of it").expect("written");
    scene.refused(&mut node, &good, 2);
    assert_eq!(node.count("install it again"), 2, "{:#?}", node.lines());
    fs::remove_file(&program).expect("removed");
    install(Path::new(PROGRAM));
    scene.renewed(&mut node, &good, "b");
    install(Path::new(PROGRAM));
    scene.renewed(&mut node, &good, "c");
    let runs = fs::read_link(format!("/proc/{}/exe", node.pid()));
    assert!(runs.as_ref().map_or(true, |path| path.file_name() == program.file_name()), "{runs:?}");
    // What can only be found out by trying it. A shell takes the second and the last for scripts without fault.
    let executable = fs::metadata(PROGRAM).expect("a file").permissions();
    let half = fs::read(PROGRAM).expect("a program").drain(..100_000).collect::<Vec<u8>>();
    let broken: [&[u8]; 5] = [b"#!/nowhere/at/all\n", b"", &half, b"#!/bin/sh\nexit 3\n", b"true\n"];
    let before = node.count(KEPT);
    for (number, bytes) in broken.iter().enumerate() {
        let file = scene.file("edge-ocr.new");
        fs::write(&file, bytes).expect("written");
        fs::set_permissions(&file, executable.clone()).expect("executable");
        fs::rename(&file, &program).expect("renamed");
        scene.refused(&mut node, &scene.config(), before + number + 1);
    }
    assert_eq!(node.count("cannot be started anew"), 2 + broken.len(), "{:#?}", node.lines());
    install(Path::new(PROGRAM));
    scene.renewed(&mut node, &good, "d");
    // By a link, as of packages that keep several versions: what it leads to now.
    node.signal(Signal::TERM);
    assert_eq!(node.exit_code(SOON), Some(0));
    let (link, second) = (scene.file("current"), scene.file("second"));
    std::os::unix::fs::symlink(&program, &link).expect("a link");
    fs::copy(PROGRAM, &second).expect("copied");
    let mut node = Program::node_of(&link, scene.dir.path());
    assert!(scene.another(), "{:#?}", node.lines());
    fs::remove_file(&link).expect("removed");
    std::os::unix::fs::symlink(&second, &link).expect("a link");
    scene.renewed(&mut node, &good, "e");
    let runs = fs::read_link(format!("/proc/{}/exe", node.pid()));
    assert!(runs.as_ref().map_or(true, |path| path.file_name() == second.file_name()), "{runs:?}");
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
    let first: std::collections::BTreeSet<u64> = first.collect();
    assert_eq!(first.last().map(|last| last + 1), Some(first.len() as u64), "all of the first run came: {first:?}");
    assert_eq!(node.count(KEPT), 1, "{:#?}", node.lines());
}

/// Without a folder a reload is as good as a stop: what can be sent is.
#[test]
fn readings_in_memory_are_sent_before_a_node_begins_anew() {
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
    let first: std::collections::BTreeSet<u64> =
        numbers.iter().filter(|(run, _)| *run == numbers[0].0).map(|(_, seq)| *seq).collect();
    assert_eq!(first.last().map(|last| last + 1), Some(first.len() as u64), "{first:?}");
    // Both runs say that they have no folder.
    assert_eq!((node.count("there is no state_dir"), node.said().0), (2, 2), "{:#?}", node.lines());
}
