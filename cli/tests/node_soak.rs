//! A day of a node that reads every ten seconds, 8,640 rounds, without the pauses: its memory does not grow, and what
//! it writes to the disk for each reading is known. Statistics, metrics and the fields' state are told each second,
//! and the network is cut every two hours of that day.
//!
//! The usual form is 600 rounds. `EDGE_OCR_TORTURE=full cargo test --test node_soak -- --nocapture` is the day, whose
//! figures are in `benches/results`.
#![cfg(all(feature = "node", target_os = "linux"))]

mod node_support;

use node_support::{Mosquitto, NodeProcess, Printed, Proxy, SOON, Subscriber, full, wait_for, wait_until};
use std::collections::HashSet;
use std::fs;
use std::time::Instant;

/// Rounds between two cuts of the network, and between two looks at the memory in the long form.
const CUT_EVERY: usize = 720;
const LOOK_EVERY: usize = 100;

/// Topics and payloads that have come since it was last asked.
type News = Box<dyn FnMut() -> Vec<(String, Vec<u8>)>>;

/// A broker and someone who listens.
struct Listener {
    port: u16,
    news: News,
    ids: HashSet<String>,
}

impl Listener {
    fn start() -> Option<Listener> {
        let (port, news) = match Mosquitto::installed() {
            true => mosquitto(),
            false => embedded()?,
        };
        Some(Listener { port, news, ids: HashSet::new() })
    }

    /// How many different readings have come so far.
    fn readings(&mut self) -> usize {
        for (_, payload) in (self.news)().iter().filter(|(topic, _)| topic.starts_with("ocr/soak/field/")) {
            self.ids.insert(id(payload));
        }
        self.ids.len()
    }
}

fn mosquitto() -> (u16, News) {
    let broker = Mosquitto::start();
    let listener = Subscriber::new(broker.port(), &["ocr/#"]);
    let (port, mut seen) = (broker.port(), 0);
    let news = move || {
        let _alive = &broker;
        let more = listener.since(seen);
        seen += more.len();
        more.into_iter().map(|message| (message.topic, message.payload)).collect()
    };
    (port, Box::new(news))
}

#[cfg(feature = "demo")]
fn embedded() -> Option<(u16, News)> {
    let broker = edge_ocr_node::node::demo::Broker::start().expect("a broker");
    let news = move || broker.messages.try_iter().map(|got| (got.topic, got.payload)).collect();
    Some((broker.address.port(), Box::new(news)))
}

#[cfg(not(feature = "demo"))]
fn embedded() -> Option<(u16, News)> {
    Mosquitto::available();
    None
}

fn id(payload: &[u8]) -> String {
    let reading: serde_json::Value = serde_json::from_slice(payload).expect("a reading");
    reading["id"].as_str().expect("its id").to_owned()
}

#[test]
fn a_day_takes_no_more_memory_than_its_morning() {
    let Some(mut listener) = Listener::start() else { return };
    let (rounds, look_every) = if full() { (8640, LOOK_EVERY) } else { (600, LOOK_EVERY / 10) };
    let proxy = Proxy::to(listener.port);
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    fs::copy("../tests/golden/digit.png", path("digit.png")).expect("an image");
    let config = format!(
        "[node]\nprint = true\nstate_dir = '{0}/state'\nsave_interval_s = 1\nstats_interval_s = 1\n\
         [source]\nkind = 'replay'\npath = '{0}/digit.png'\n[[field]]\nname = 'main'\n\
         [mqtt]\nhost = '127.0.0.1'\nport = {1}\nbackoff_min_ms = 100\nbackoff_max_ms = 200\n\
         [topics]\nnode_id = 'soak'\n[discovery]\nenabled = true\n\
         [metrics]\nfile = '{0}/node.prom'\nfile_interval_s = 1\n",
        dir.path().display(),
        proxy.port(),
    );
    fs::write(path("node.toml"), config).expect("a configuration");
    let printed = Printed::default();
    let start = Instant::now();
    let mut node = NodeProcess::start(&path("node.toml"), &path("log"), &printed);
    let mut resident = Vec::new();
    let mut cuts = 0;
    while resident.len() * look_every < rounds {
        let next = (resident.len() + 1) * look_every;
        let there = wait_for(SOON, || {
            listener.readings();
            printed.len() >= next
        });
        assert!(there, "it has stopped after {}: {}", printed.len(), fs::read_to_string(path("log")).unwrap());
        resident.push(node.resident_bytes().expect("its memory"));
        // Not at the end: without a connection it would leave what it has to its next run.
        if next / CUT_EVERY > cuts && next < rounds {
            cuts += 1;
            proxy.cut();
        }
    }
    let took = start.elapsed();
    // What was told together belongs together; the node goes on meanwhile.
    let metrics = fs::read_to_string(path("node.prom")).expect("metrics");
    let metric = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("edge_ocr_{name}{{"))).expect(name);
        line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok()).expect(name)
    };
    let readings = metric("readings_total");
    let (bytes, fsyncs) = (metric("outbox_written_bytes_total") / readings, metric("outbox_fsyncs_total") / readings);
    assert_eq!(metric("outbox_dropped_total"), 0.0);
    assert!(node.terminate(SOON).expect("it ends when asked").success());
    node.kill();
    let expected: HashSet<String> = printed.all().iter().map(|line| id(line.as_bytes())).collect();
    let all = wait_until(SOON, || {
        listener.readings();
        expected.is_subset(&listener.ids).then_some(())
    });
    assert!(all.is_some(), "{} of {} have arrived", listener.ids.len(), expected.len());

    let quarter = resident.len() / 4;
    let mean = |looks: &[u64]| looks.iter().sum::<u64>() as f64 / looks.len() as f64;
    let (second, last) = (mean(&resident[quarter..2 * quarter]), mean(&resident[resident.len() - quarter..]));
    println!(
        "{rounds} rounds in {took:.0?}, {cuts} cuts: resident memory {:.2} MiB in the second quarter, {:.2} MiB in the last ({:+.2} %), \
         the outbox wrote {bytes:.0} bytes and had {fsyncs:.2} fsyncs a reading",
        second / 1048576.0,
        last / 1048576.0,
        100.0 * (last / second - 1.0),
    );
    match full() {
        true => assert!((last / second - 1.0).abs() <= 0.02, "{resident:?}"),
        false => assert!(last - second <= 1048576.0, "{resident:?}"),
    }
}
