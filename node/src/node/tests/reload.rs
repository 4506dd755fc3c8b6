//! Another configuration: what happens while it is checked, and if it cannot be used after all.

use super::*;
use crate::node::NodeError;
use crate::node::reload::Load;
use std::sync::mpsc::channel;

/// A check that took its time held the node: it neither read nor ended meanwhile.
#[test]
fn check_that_hangs_leaves_the_node_reading() {
    let mut rig = Rig::with("[trigger]\ninterval_s = 0.1");
    let (go, wait) = channel::<()>();
    let (begun, started) = channel();
    let wait = Mutex::new(wait);
    let load: Load = Arc::new(move || {
        begun.send(()).unwrap();
        // Until the test has ended.
        let _ = wait.lock().unwrap().recv();
        Err("too late".into())
    });
    let stop = rig.node.process.stop.clone();
    rig.wall.set(SET);
    rig.shots.lock().unwrap().extend((0..1000).map(|number| (number, None)));
    rig.node.process.event_sender.reload();
    rig.wire.push(Event::Connected);
    let shots = rig.shots.clone();
    let watcher = std::thread::spawn(move || {
        started.recv_timeout(Duration::from_secs(30)).unwrap();
        let (left, end) = (|| shots.lock().unwrap().len(), Instant::now() + Duration::from_secs(30));
        let before = left();
        while left() + 3 > before && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        stop.set();
        before - left()
    });
    assert!(matches!(rig.node.run(&load), Ok(Ended::Stopped)));
    assert!(rig.node.check.is_some(), "and the check is still under way");
    assert!(watcher.join().unwrap() >= 3);
    rig.node.close(&Ok(Ended::Stopped));
    drop(go);
}

/// It was checked, but a moment later it cannot be had: without the old one there would be no node.
#[test]
fn failed_start_returns_to_old_configuration() {
    let process = process(ServiceManager::from_environment().unwrap());
    let with = |name: &str| -> NodeConfig { toml::from_str(&CONFIG.replace("'a'", &format!("'{name}'"))).unwrap() };
    let new = with("b");
    let load: Load = Arc::new(move || Ok(new.clone()));
    let mut started = Vec::new();
    process.event_sender.reload();
    let stop = process.stop.clone();
    let result = crate::node::run_all(with("a"), &process, &load, &mut |config, before| {
        let name = config.fields[0].read.name.clone();
        started.push(name.clone());
        match (started.len(), name.as_str()) {
            (_, "b") => return Err(NodeError::Config("another has its port".into())),
            (1, _) => {}
            _ => stop.set(),
        }
        let parts = Parts::new(&config)?;
        Node::assemble(config, parts, Clock::start(), Box::new(FakeTransport::default()), &process, before)
    });
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(started, ["a", "b", "a"]);
}

/// A node by this configuration, after another one.
fn assemble(config: &str, wire: &FakeTransport, before: &mut Handover) -> Node {
    let config: NodeConfig = toml::from_str(config).unwrap();
    let parts = Parts::new(&config).unwrap();
    let process = process(ServiceManager::from_environment().unwrap());
    wire.wire().obliging = true;
    Node::assemble(config, parts, Clock::start(), Box::new(wire.clone()), &process, before).unwrap()
}

/// The broker kept the last reading of a field that was taken out or renamed.
#[test]
fn state_of_removed_field_is_cleared() {
    let cleared = |wire: &FakeTransport| -> Vec<String> {
        wire.push(Event::Connected);
        let end = Instant::now() + Duration::from_secs(30);
        while !wire.wire().published.iter().any(|message| message.topic == "ocr/t/camera/status") {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(2));
        }
        let published = wire.wire().published.clone();
        published.into_iter().filter(|m| m.payload.is_empty() && m.retain).map(|message| message.topic).collect()
    };
    let (first, second) = (FakeTransport::default(), FakeTransport::default());
    let node = assemble(CONFIG, &first, &mut Handover::default());
    assert!(cleared(&first).is_empty());
    let mut before = node.close(&Ok(Ended::Stopped));
    let node = assemble(&CONFIG.replace("'a'", "'b'"), &second, &mut before);
    assert_eq!(cleared(&second), ["ocr/t/field/a/state"]);
    node.close(&Ok(Ended::Stopped));
}

/// A reload read every file of the folder again, and so undid a value set by hand.
#[test]
fn reload_keeps_what_the_folder_source_has_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("in");
    std::fs::create_dir(&folder).unwrap();
    let source = format!("kind = 'directory'\npath = '{}'\nsettle_ms = 10\n", folder.display());
    let config = CONFIG.replace("kind = 'http'\nurl = 'http://127.0.0.1:9/'\n", &source);
    let put = |name: &str, number: u32| {
        let image = image(number);
        let (w, h) = (image.width() as u32, image.height() as u32);
        RgbImage::from_raw(w, h, image.into_raw()).unwrap().save(folder.join(name)).unwrap();
    };
    let round = |node: &mut Node| {
        let end = Instant::now() + Duration::from_secs(30);
        while node.run_cycle().unwrap() != CycleOutcome::Done {
            assert!(Instant::now() < end);
        }
        node.last.as_ref().unwrap().1.fields[0].observation.text.clone()
    };
    put("1.png", 100);
    let wire = FakeTransport::default();
    let mut node = assemble(&config, &wire, &mut Handover::default());
    assert_eq!(round(&mut node), "100");
    let mut before = node.close(&Ok(Ended::Stopped));
    let mut node = assemble(&config, &wire, &mut before);
    put("2.png", 102);
    assert_eq!(round(&mut node), "102");
    node.close(&Ok(Ended::Stopped));
}
