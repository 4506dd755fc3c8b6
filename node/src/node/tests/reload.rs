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
