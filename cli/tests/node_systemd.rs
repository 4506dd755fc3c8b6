//! What the service manager is told: a stand-in for systemd's end of `Type=notify`. With a real mosquitto.
#![cfg(all(feature = "node", unix))]

mod node_support;

use node_support::child::{Program, node_config};
use node_support::{Behaviour, HttpCamera, Mosquitto, SOON, Subscriber, wait_for};
use rustix::process::Signal;
use std::fs;
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
fn next_notification(manager: &UnixDatagram) -> String {
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
    assert!(next_notification(&manager).starts_with("READY=1"));
    for _ in 0..2 {
        node.signal(Signal::HUP);
        let reloading = next_notification(&manager);
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert!(next_notification(&manager).starts_with("READY=1"));
    }
    assert!(listener.last(STATE).is_some() && node.runs());
    node.signal(Signal::TERM);
    assert!(next_notification(&manager).starts_with("STOPPING=1"));
    assert_eq!(node.exit_code(SOON), Some(0), "{:#?}", node.lines());
}

/// A configuration that is refused ends the reload, too: systemd would wait for that.
#[test]
fn refused_reload_ends_with_ready() {
    let Some(Scene { dir, _broker, listener, socket, manager }) = Scene::new() else { return };
    manager.set_read_timeout(Some(SOON)).expect("set");
    let mut node = Program::node_of_manager(dir.path(), &socket, Duration::from_millis(300));
    assert!(next_notification(&manager).starts_with("READY=1") && listener.last(STATE).is_some());
    fs::write(dir.path().join("node.toml"), "nonsense").expect("written");
    node.signal(Signal::HUP);
    assert!(next_notification(&manager).starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(next_notification(&manager).starts_with("READY=1"));
    node.signal(Signal::TERM);
    assert!(next_notification(&manager).starts_with("STOPPING=1"));
    assert_eq!(node.exit_code(SOON), Some(0), "{:#?}", node.lines());
}

/// The longest time between two messages until `end`.
fn longest_gap(manager: &UnixDatagram, end: impl Fn() -> bool) -> Duration {
    let (mut longest, mut last, start) = (Duration::ZERO, Instant::now(), Instant::now());
    manager.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
    let mut bytes = [0; 4096];
    while !end() && start.elapsed() < 2 * SOON {
        if manager.recv(&mut bytes).is_ok() {
            last = Instant::now();
        }
        longest = longest.max(last.elapsed());
    }
    assert!(end(), "it ended");
    longest
}

/// systemd killed a node whose round took longer than its watchdog, in every round: a vote over many frames of a slow
/// camera, and a camera that does not answer.
#[test]
fn watchdog_is_kept_during_long_rounds() {
    const WATCHDOG: Duration = Duration::from_secs(2);
    let jpeg = fs::read("../tests/golden/plate.jpg").expect("an image");
    let slow = Behaviour::Slow { piece_bytes: jpeg.len() / 8 + 1, pause: Duration::from_millis(50), jpeg };
    for (behaviour, frames, timeout_ms) in [(slow, 15, 60_000), (Behaviour::Hang, 1, 6000)] {
        let Some(Scene { dir, _broker: broker, listener, socket, manager }) = Scene::new() else { return };
        let camera = HttpCamera::start(behaviour);
        let more = format!(
            "[source]\nkind = 'http'\nurl = '{}'\ntimeout_ms = {timeout_ms}\n[trigger]\ninterval_s = 1000\n\
             [[field]]\nname = 'a'\nmode = 'line'\nvote = {{ frames = {frames} }}",
            camera.url("/shot")
        );
        node_config(dir.path(), broker.port(), &more);
        let mut node = Program::node_of_manager(dir.path(), &socket, WATCHDOG);
        manager.set_read_timeout(Some(SOON)).expect("set");
        assert!(next_notification(&manager).starts_with("READY=1"), "{:#?}", node.lines());
        let start = Instant::now();
        let longest = longest_gap(&manager, || !listener.texts(STATE).is_empty());
        assert!(start.elapsed() > 2 * WATCHDOG, "the round was no long one: {:?}", start.elapsed());
        assert!(longest < WATCHDOG && node.runs(), "{longest:?} without a sign of life");
    }
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
