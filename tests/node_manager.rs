//! What the service manager is told: a stand-in for systemd's end of `Type=notify`. With a real mosquitto.
#![cfg(all(feature = "node", unix))]

mod node_support;

use node_support::child::{Program, node_config};
use node_support::{Mosquitto, SOON, Subscriber, wait_for};
use rustix::process::Signal;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const STATE: &str = "ocr/n/field/a/state";

/// A node's configuration, its broker, somebody who listens to everything, and the manager's end of the socket.
struct Scene {
    dir: tempfile::TempDir,
    _broker: Mosquitto,
    listener: Subscriber,
    socket: PathBuf,
    manager: UnixDatagram,
}

impl Scene {
    /// `None` without mosquitto, which has been said then.
    fn new() -> Option<Scene> {
        if !Mosquitto::available() {
            return None;
        }
        let (dir, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
        let listener = Subscriber::new(broker.port(), &["#"]);
        node_config(dir.path(), broker.port(), "");
        let socket = dir.path().join("notify");
        let manager = UnixDatagram::bind(&socket).expect("a socket");
        Some(Scene { dir, _broker: broker, listener, socket, manager })
    }
}

/// What comes next that is no sign of life.
fn told(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    loop {
        let count = manager.recv(&mut bytes).expect("it is told something");
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        if !text.starts_with("WATCHDOG=1") {
            return text;
        }
    }
}

/// systemd took a reload for the end, because of STOPPING=1, and killed the node that followed.
#[test]
fn a_reload_is_not_told_as_an_end() {
    let Some(Scene { dir, _broker, listener, socket, manager }) = Scene::new() else { return };
    manager.set_read_timeout(Some(SOON)).expect("set");
    let mut node = Program::node_of_manager(dir.path(), &socket, Duration::from_millis(300));
    assert!(told(&manager).starts_with("READY=1"));
    for _ in 0..2 {
        node.signal(Signal::HUP);
        let reloading = told(&manager);
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert!(told(&manager).starts_with("READY=1"));
    }
    assert!(listener.last(STATE).is_some() && node.runs());
    node.signal(Signal::TERM);
    assert!(told(&manager).starts_with("STOPPING=1"));
    assert_eq!(node.exit_code(SOON), Some(0), "{:#?}", node.lines());
}

/// The node hung at the first message for which the socket had no room.
#[test]
fn a_manager_that_does_not_listen_keeps_nothing_back() {
    let Some(Scene { dir, _broker, listener, socket, manager: _manager }) = Scene::new() else { return };
    let filler = UnixDatagram::unbound().expect("a socket");
    filler.connect(&socket).expect("connected");
    filler.set_nonblocking(true).expect("set");
    while filler.send(b"full").is_ok() {}
    let mut node = Program::node_of_manager(dir.path(), &socket, Duration::from_millis(30));
    let count = || listener.texts(STATE).len();
    assert!(wait_for(SOON, || count() >= 10), "{:#?}", node.lines());
    let start = Instant::now();
    node.signal(Signal::TERM);
    let code = node.exit_code(SOON);
    assert!(code == Some(0) && start.elapsed() < Duration::from_secs(10), "{code:?} after {:?}", start.elapsed());
}
