//! How records get from the outbox to mosquitto, where that is installed: over slow links, and past those that it does
//! not take.
#![cfg(all(feature = "node", unix))]

mod node_support;

use edge_ocr_node::publish::mqtt::{self, MqttConfig, Options, Protocol};
use edge_ocr_node::publish::outbox::{Outbox, OutboxConfig, SharedOutbox};
use edge_ocr_node::publish::{
    Content, Handle, Message, Publisher, PublisherConfig, Queue, RECORD_VERSION, Record, Setup,
};
use edge_ocr_node::rules::{Reading, Status};
use node_support::child::{Program, node_config};
use node_support::{Mosquitto, Proxy, SOON, Subscriber, wait_for};
use std::fs;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Records of these fields, in turn: a number, which is `bytes` long.
struct Backlog {
    outbox: SharedOutbox,
    _dir: TempDir,
}

impl Backlog {
    fn new(fields: &[&str], count: u64, bytes: impl Fn(u64) -> usize) -> Backlog {
        let dir = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(Some(dir.path()), &OutboxConfig::default()).expect("nobody else has it");
        let backlog = Backlog { outbox: SharedOutbox::new(outbox), _dir: dir };
        for seq in 0..count {
            backlog.add(fields[seq as usize % fields.len()], seq, bytes(seq));
        }
        backlog
    }

    fn add(&self, field: &str, seq: u64, bytes: usize) {
        let reading = Reading {
            field: field.into(),
            status: Status::Ok,
            value: None,
            raw: format!("{seq:0bytes$}"),
            confidence: 1.0,
            candidates: Vec::new(),
            rebased: false,
            changed: true,
            rate_per_s: None,
            reason: String::new(),
        };
        let boot_id = "b".into();
        let record = Record {
            version: RECORD_VERSION,
            boot_id,
            seq,
            captured_at_ms: i64::MAX,
            time_synced: true,
            reading,
            warnings: Vec::new(),
        };
        self.outbox.append(&postcard::to_allocvec(&record).expect("a record"));
    }

    /// Sends them to the broker on `port`, each to `t/<field>`.
    fn send(&self, port: u16, protocol: Protocol) -> Handle {
        let config = MqttConfig {
            host: "127.0.0.1".into(),
            port: Some(port),
            protocol,
            backoff_min_ms: 100,
            backoff_max_ms: 200,
            ..MqttConfig::default()
        };
        let setup = Setup {
            transport: mqtt::connect(&config, "sender", None, Options::default()).expect("a transport"),
            queue: Box::new(self.outbox.clone()),
            encode: Box::new(|record: &Record, _: bool, _: i64| {
                Message::new(format!("t/{}", record.reading.field), record.reading.raw.as_str(), Content::Text)
            }),
            boot_id: "b".into(),
            subscriptions: Vec::new(),
            birth: Box::new(|| vec![Message::new("t/status", "online", Content::Text)]),
            shutdown_messages: Vec::new(),
            on_change: edge_ocr_node::publish::Waker::new(|| {}),
            clock: Box::new(node_support::wall_ms),
            config: PublisherConfig::default(),
        };
        Publisher::spawn(setup).expect("a thread").0
    }
}

/// The numbers that have come for a field, the first time each.
fn came(listener: &Subscriber, field: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    for text in listener.texts(&format!("t/{field}")) {
        let number = text.parse().expect("a number");
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

/// One record for each round trip was sent. 10,000 records have to arrive within 10 minutes with 300 ms of round trip;
/// here a fiftieth of them with half of it, which leaves 6 s. (Not with a smaller part of the round trip: then this
/// machine's own time for each record would count for more than in the figure.) `EDGE_OCR_DRAIN=full` runs all of it.
#[test]
fn backlog_drains_over_slow_link() {
    let full = std::env::var("EDGE_OCR_DRAIN").is_ok_and(|value| value == "full");
    let (records, one_way_ms, limit) = if full { (10_000, 150, 600) } else { (200, 75, 6) };
    let limit = Duration::from_secs(limit);
    if !Mosquitto::available() {
        return;
    }
    let broker = Mosquitto::with_config("allow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n");
    for protocol in [Protocol::V311, Protocol::V5] {
        let listener = Subscriber::new(broker.port(), &["t/#"]);
        let proxy = Proxy::to(broker.port());
        // In each direction.
        proxy.delay(Duration::from_millis(one_way_ms));
        let backlog = Backlog::new(&["a"], records, |_| 200);
        let start = Instant::now();
        let handle = backlog.send(proxy.port(), protocol);
        assert!(wait_for(SOON.max(2 * limit), || handle.counters().acked == records), "{:?}", handle.counters());
        let took = start.elapsed();
        let round_trip = 2 * one_way_ms;
        println!("{protocol:?}: {records} records in {:.2} s with {round_trip} ms of round trip", took.as_secs_f32());
        assert!(wait_for(SOON, || came(&listener, "a").len() as u64 == records));
        assert!(came(&listener, "a").is_sorted());
        assert!(took < limit, "{took:?}");
        assert_eq!((backlog.outbox.len(), proxy.accepted()), (0, 1));
        handle.stop(SOON);
    }
}

/// With MQTT 3.1.1 the broker can only close the connection. (What exceeds its `message_size_limit` it acknowledges,
/// and drops.)
#[test]
fn record_too_large_for_broker_holds_no_other_back() {
    if !Mosquitto::available() {
        return;
    }
    for (protocol, limit) in
        [(Protocol::V311, "max_packet_size"), (Protocol::V5, "message_size_limit"), (Protocol::V5, "max_packet_size")]
    {
        let mut broker = Mosquitto::with_config(&format!("allow_anonymous true\n{limit} 2000\n"));
        let listener = Subscriber::new(broker.port(), &["t/#"]);
        // Two of each field are too large.
        let is_large = |seq: u64| matches!(seq, 4 | 5 | 14 | 15);
        let backlog = Backlog::new(&["a", "b"], 20, |seq| if is_large(seq) { 3000 } else { 200 });
        let proxy = Proxy::to(broker.port());
        let handle = backlog.send(proxy.port(), protocol);
        let small = |field: u64| (0..20).filter(move |seq| seq % 2 == field && !is_large(*seq)).collect::<Vec<u64>>();
        let all_small = || came(&listener, "a") == small(0) && came(&listener, "b") == small(1);
        assert!(wait_for(SOON, all_small), "{protocol:?} {limit}: {:?} {:?}", came(&listener, "a"), handle.counters());
        assert!(wait_for(SOON, || backlog.outbox.len() == 4), "the large ones are kept");
        // And what comes later.
        backlog.add("a", 20, 200);
        handle.notify_outbox();
        assert!(wait_for(SOON, || came(&listener, "a").contains(&20)), "{:?}", handle.counters());
        assert_eq!(handle.counters().refused, 0);
        // A broker that takes more; nothing reaches it before the listener is there.
        proxy.refuse();
        broker.kill();
        let file = broker.file("mosquitto.conf");
        let text = fs::read_to_string(&file).expect("a configuration").replace(" 2000\n", " 20000\n");
        fs::write(&file, text).expect("written");
        broker.restart();
        let listener = Subscriber::new(broker.port(), &["t/#"]);
        proxy.pass();
        let all_large = || came(&listener, "a").ends_with(&[4, 14]) && came(&listener, "b").ends_with(&[5, 15]);
        assert!(wait_for(2 * SOON, all_large), "{protocol:?} {limit}: {:?}", handle.counters());
        assert!(wait_for(SOON, || backlog.outbox.is_empty()));
        handle.stop(SOON);
    }
}

#[test]
fn denied_topic_holds_no_other_back() {
    if !Mosquitto::available() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("acl");
    fs::write(&file, "topic read #\ntopic readwrite t/status\ntopic readwrite t/a\ntopic readwrite t/c\n")
        .expect("written");
    let broker = Mosquitto::with_config(&format!("allow_anonymous true\nacl_file {}\n", file.display()));
    let listener = Subscriber::new(broker.port(), &["t/#"]);
    let backlog = Backlog::new(&["a", "b", "c"], 300, |_| 100);
    let handle = backlog.send(broker.port(), Protocol::V5);
    let done = || came(&listener, "a").len() == 100 && came(&listener, "c").len() == 100;
    assert!(wait_for(SOON, done), "{:?}", handle.counters());
    assert!(wait_for(SOON, || backlog.outbox.len() == 100 && handle.is_blocked("b") && !handle.is_blocked("a")));
    assert_eq!(came(&listener, "b").len(), 0);
    fs::write(&file, "topic readwrite #\n").expect("written");
    broker.reload();
    assert!(wait_for(SOON, || came(&listener, "b").len() == 100), "{:?}", handle.counters());
    for field in ["a", "b", "c"] {
        assert!(came(&listener, field).is_sorted(), "{field}: {:?}", came(&listener, field));
    }
    assert!(wait_for(SOON, || backlog.outbox.is_empty() && !handle.is_blocked("b")));
    handle.stop(SOON);
}

/// The whole node, whose broker allows one of two fields.
#[test]
fn node_goes_on_with_fields_that_are_allowed() {
    if !Mosquitto::available() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("acl");
    fs::write(&file, "topic read #\ntopic deny ocr/n/field/b/state\ntopic readwrite ocr/n/#\n").expect("written");
    let broker = Mosquitto::with_config(&format!("allow_anonymous true\nacl_file {}\n", file.display()));
    let listener = Subscriber::new(broker.port(), &["#"]);
    let field = |name: &str| format!("[[field]]\nname = '{name}'\nmode = 'line'\nnumber = {{}}\n");
    node_config(dir.path(), broker.port(), &format!("protocol = '5'\n{}{}", field("a"), field("b")));
    let mut node = Program::node(dir.path());
    let readings = |field: &str| listener.texts(&format!("ocr/n/field/{field}/state"));
    node.expect("access list");
    let before = readings("a").len();
    assert!(wait_for(SOON, || readings("a").len() > before + 10), "{:#?}", node.lines());
    assert_eq!(readings("b").len(), 0);
    fs::write(&file, "topic readwrite #\n").expect("written");
    broker.reload();
    let numbers = |field: &str| -> Vec<u64> {
        let number = |text: &String| serde_json::from_str::<serde_json::Value>(text).expect("JSON")["seq"].as_u64();
        readings(field).iter().filter_map(number).collect()
    };
    assert!(wait_for(SOON, || numbers("b").len() > 10), "{:#?}", node.lines());
    let (a, b) = (numbers("a"), numbers("b"));
    assert!(b.is_sorted() && a.is_sorted() && b[0] <= 1, "{a:?} {b:?}");
    assert!(node.runs());
}
