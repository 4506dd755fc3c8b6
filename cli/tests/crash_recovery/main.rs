//! Nothing that the node has accepted is lost, whoever is killed: the broker, with memory and without, and the node
//! itself, at any moment.
//!
//! The node prints a reading after it is in the outbox; whatever was printed has to arrive. The listener always
//! listens before the node can reach the broker, because a broker without memory forgets what nobody listens to.
//!
//! The usual form takes about a minute. `EDGE_OCR_TORTURE=full cargo test --test crash_recovery -- --nocapture
//! --test-threads 1` is the long one, whose figures are in `benches/results`; `EDGE_OCR_TORTURE_SEED` gives other
//! moments, `EDGE_OCR_TORTURE_MQTT=5` the other version of the protocol.
#![cfg(feature = "node")]

#[path = "../node_support/mod.rs"]
mod node_support;
mod readings;

use node_support::{Mosquitto, NodeProcess, Printed, Proxy, SOON, Subscriber, full, wait_for};
use readings::{Reading, check, is_reading};
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const FIELDS: usize = 4;
/// The least that can be configured, so that outages make readings late.
const LATE_AFTER_MS: i64 = 1000;
const REMEMBERS: &str = "persistence true\npersistence_location DIR/\nautosave_interval 1\nautosave_on_changes true\n";
const FORGETS: &str = "persistence false\n";

#[test]
fn nothing_is_lost_with_a_broker_that_remembers() {
    restarts_and_kills(REMEMBERS, End::Kill, 1);
}

#[test]
fn nothing_is_lost_with_a_broker_that_forgets() {
    restarts_and_kills(FORGETS, End::Kill, 2);
}

/// As an update of the broker does it: it says goodbye, writes down what it has, and is back at once. The node lives
/// on.
#[test]
fn broker_restarted_orderly_nothing_lost() {
    restarts_and_kills(REMEMBERS, End::InOrder, 4);
}

/// How the broker's lives end.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// By SIGKILL, and it stays away for a while; the node is killed too.
    Kill,
    /// By SIGTERM, and it is started again at once.
    InOrder,
}

/// Kills at moments of the clock, so that starting, reading back the outbox and connecting are hit too.
#[test]
fn node_killed_anytime_nothing_lost() {
    let Some(mut rig) = Rig::new(FORGETS, 3) else { return };
    let start = Instant::now();
    rig.start_node();
    assert!(wait_for(SOON, || rig.printed.len() > 0), "{}", rig.log());
    let start_up_ms = start.elapsed().as_millis() as u64;
    rig.kill_node();
    let kills = if full() { 200 } else { 10 };
    for _ in 1..kills {
        rig.start_node();
        // The moment is what is tested.
        std::thread::sleep(Duration::from_micros(rig.random.below(2000 * start_up_ms + 300_000)));
        rig.kill_node();
    }
    rig.drain(&format!("{kills} kills at any moment"));
}

fn restarts_and_kills(broker: &str, end: End, seed: u64) {
    let Some(mut rig) = Rig::new(broker, seed) else { return };
    let (readings, restarts, kills) = if full() { (10_000, 50, 50) } else { (600, 5, 5) };
    let kills = if end == End::Kill { kills } else { 0 };
    // When how many readings have been accepted.
    let mut moments = |count| {
        let mut at: Vec<u64> = (0..count).map(|_| rig.random.below(readings)).collect();
        at.sort_unstable_by(|a, b| b.cmp(a));
        at
    };
    let (mut restarts_at, mut kills_at) = (moments(restarts), moments(kills));
    let due = |at: &mut Vec<u64>, accepted| at.pop_if(|at| *at <= accepted).is_some();
    let mut broker_back = None;
    rig.start_node();
    let mut progress = (0, Instant::now());
    loop {
        let accepted = rig.printed.len() as u64;
        if accepted > progress.0 {
            progress = (accepted, Instant::now());
        }
        assert!(progress.1.elapsed() < SOON, "the node accepts nothing more: {}", rig.log());
        if let Some(ended) = rig.node.as_mut().and_then(NodeProcess::ended) {
            panic!("the node ended by itself ({ended}): {}", rig.log());
        }
        match broker_back {
            Some(at) if Instant::now() >= at => {
                rig.start_broker();
                broker_back = None;
            }
            None if due(&mut restarts_at, accepted) => {
                rig.stop_broker(end);
                // One time in four long enough for readings to be late.
                let longest_ms = if rig.random.below(4) == 0 { 3000 } else { 500 };
                let away_ms = if end == End::Kill { rig.random.below(longest_ms) } else { 0 };
                broker_back = Some(Instant::now() + Duration::from_millis(away_ms));
            }
            _ => {}
        }
        if due(&mut kills_at, accepted) {
            std::thread::sleep(Duration::from_micros(rig.random.below(30_000)));
            rig.kill_node();
            rig.start_node();
        }
        if accepted >= readings && broker_back.is_none() && restarts_at.is_empty() && kills_at.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    rig.kill_node();
    let how = if end == End::Kill { "after a SIGKILL" } else { "after a SIGTERM" };
    rig.drain(&format!("{restarts} restarts of the broker {how}, {kills} kills and a last one"));
}

/// Numbers that look random and are the same each time (xorshift64*).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        let given = std::env::var("EDGE_OCR_TORTURE_SEED").ok().and_then(|seed| seed.parse().ok());
        Random((seed + 1000 * given.unwrap_or(0)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end
    }
}

/// A node, a network, a broker and a listener.
struct Rig {
    broker: Mosquitto,
    proxy: Proxy,
    /// Between broker and listener. A listener of its own connection gives up what it has not read when it learns, as
    /// it acknowledges, that the broker was killed; but the broker had sent it, and told the node so.
    _ear: Proxy,
    listener: Subscriber,
    node: Option<NodeProcess>,
    printed: Printed,
    /// Beginnings and ends of the node's runs, milliseconds since 1970.
    runs: Vec<(i64, i64)>,
    random: Random,
    dir: TempDir,
}

impl Rig {
    /// `None` without mosquitto, which has been said then.
    fn new(broker: &str, seed: u64) -> Option<Rig> {
        if !Mosquitto::available() {
            return None;
        }
        // Without its limits, and without the system's waiting for more to send with it, a message that it has taken
        // is on its way to the listener at once, and killing it costs none.
        let limits = "allow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n";
        let broker = Mosquitto::with_config(&format!("{limits}{broker}"));
        let ear = Proxy::to(broker.port());
        let listener = Subscriber::new(ear.port(), &["ocr/t/#"]);
        let proxy = Proxy::to(broker.port());
        let dir = tempfile::tempdir().expect("a directory");
        let digit = image::open("../tests/golden/digit.png").expect("an image").to_luma8();
        let (width, height) = digit.dimensions();
        let mut image = image::GrayImage::new(width * FIELDS as u32, height);
        for field in 0..FIELDS as u32 {
            image::imageops::replace(&mut image, &digit, i64::from(field * width), 0);
        }
        image.save(dir.path().join("digits.png")).expect("an image");
        let protocol = std::env::var("EDGE_OCR_TORTURE_MQTT").unwrap_or_else(|_| "3.1.1".into());
        let mut config = format!(
            "[node]\nprint = true\nstate_dir = 'state'\n[source]\nkind = 'replay'\npath = 'digits.png'\n\
             [mqtt]\nhost = '127.0.0.1'\nport = {}\nprotocol = '{protocol}'\nbackoff_min_ms = 100\nbackoff_max_ms = 200\n\
             [publish]\nlate_after_ms = {LATE_AFTER_MS}\n[topics]\nnode_id = 't'\n",
            proxy.port()
        );
        for field in 0..FIELDS {
            config += &format!("[[field]]\nname = 'f{field}'\nroi = '{},0,{width},{height}'\n", field as u32 * width);
        }
        let config = config.replace("= 'state'", &format!("= '{}'", dir.path().join("state").display()));
        let config = config.replace("= 'digits.png'", &format!("= '{}'", dir.path().join("digits.png").display()));
        fs::write(dir.path().join("node.toml"), &config).expect("a configuration");
        // The same node, which reads nothing and only sends.
        let idle = format!("{config}[trigger]\non_start = false\ninterval_s = 86400\n");
        fs::write(dir.path().join("idle.toml"), idle).expect("a configuration");
        let (printed, runs, random) = (Printed::default(), Vec::new(), Random::new(seed));
        Some(Rig { broker, proxy, _ear: ear, listener, node: None, printed, runs, random, dir })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    fn start(&self, config: &str) -> NodeProcess {
        NodeProcess::start(&self.file(config), &self.file("log"), &self.printed)
    }

    fn start_node(&mut self) {
        self.node = Some(self.start("node.toml"));
    }

    fn kill_node(&mut self) {
        if let Some(mut node) = self.node.take() {
            self.runs.push((node.started_ms, node.kill()));
        }
    }

    fn stop_broker(&mut self, end: End) {
        match end {
            End::Kill => self.broker.kill(),
            End::InOrder => self.broker.terminate(),
        }
        self.proxy.refuse();
    }

    fn start_broker(&mut self) {
        let before = self.listener.subscriptions();
        self.broker.restart();
        let again = wait_for(SOON, || self.listener.subscriptions() > before);
        assert!(again, "the listener is not back: {}", self.broker.log());
        self.proxy.pass();
    }

    /// Lets the node send what it has, without reading more, and checks what came.
    fn drain(&mut self, what: &str) {
        let start = Instant::now();
        let printed: Vec<Reading> = self.printed.all().iter().map(|line| Reading::parse(line, 0)).collect();
        let mut missing: HashSet<&str> = printed.iter().map(|reading| reading.id.as_str()).collect();
        let mut looked_at = self.listener.messages().len();
        missing.retain({
            let there: HashSet<String> = self.arrived().into_iter().map(|reading| reading.id).collect();
            move |id| !there.contains(*id)
        });
        let mut node = self.start("idle.toml");
        let mut online = false;
        let patience = Duration::from_secs(if full() { 600 } else { 60 });
        let all = wait_for(patience, || {
            let more = self.listener.since(looked_at);
            looked_at += more.len();
            online |= more.iter().any(|message| message.topic == "ocr/t/status" && message.payload == b"online");
            for message in more.iter().filter(is_reading) {
                missing.remove(Reading::of(message).id.as_str());
            }
            online && missing.is_empty()
        });
        let drained_ms = start.elapsed().as_millis();
        assert!(all, "{} of {} never arrived, such as {:?}", missing.len(), printed.len(), missing.iter().next());
        // Before its shutdown message it sends the rest, too: what was in the outbox and not printed yet when it was
        // killed.
        let end = node.terminate(SOON).expect("it ends when asked");
        assert!(end.success(), "{end}: {}", self.log());
        self.runs.push((node.started_ms, node.kill()));
        let arrived = self.arrived();
        let found = check(&printed, &arrived, &self.runs).unwrap_or_else(|wrong| panic!("{wrong}: {}", self.log()));
        let seen: HashSet<&str> = arrived.iter().map(|reading| reading.id.as_str()).collect();
        println!(
            "{what}: {} readings printed, 0 lost, {} more in the outbox but not yet printed, {} duplicates, {} first arrivals late \
             and marked, slowest {} ms after its image, all there {drained_ms} ms after the last kill",
            printed.len(),
            seen.len() - printed.len(),
            found.duplicates,
            found.late,
            found.slowest_ms,
        );
    }

    /// The readings that the listener has got.
    fn arrived(&self) -> Vec<Reading> {
        self.listener.messages().iter().filter(is_reading).map(Reading::of).collect()
    }
}
