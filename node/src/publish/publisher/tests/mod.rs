//! The loop with a connection, an outbox and a clock that the tests command.

mod blocked;
mod ending;
mod late;
mod window;

use super::fakes::{FakeQueue, FakeTransport};
use super::*;
use crate::publish::record::RECORD_VERSION;
use crate::publish::transport::{Content, Delivery, Event};
use crate::rules::{Reading, Status, Value};
use proptest::prelude::*;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

fn record(seq: u64, captured_at_ms: i64) -> Record {
    record_of("main", seq, captured_at_ms)
}

fn record_of(field: &str, seq: u64, captured_at_ms: i64) -> Record {
    let reading = Reading {
        field: field.into(),
        status: Status::Ok,
        value: Some(Value::Number { value: 1.5, decimals: 1 }),
        raw: "1.5".into(),
        confidence: 0.9,
        candidates: Vec::new(),
        rebased: false,
        changed: true,
        rate_per_s: None,
        reason: String::new(),
    };
    Record {
        version: RECORD_VERSION,
        boot_id: "this".into(),
        seq,
        captured_at_ms,
        time_synced: true,
        reading,
        warnings: Vec::new(),
    }
}

struct Rig {
    publisher: Publisher,
    transport: FakeTransport,
    queue: FakeQueue,
    clock: Arc<AtomicI64>,
    shared: Arc<handle::Shared>,
    deliveries: mpsc::Receiver<Delivery>,
}

fn setup(transport: &FakeTransport, queue: &FakeQueue, clock: &Arc<AtomicI64>) -> Setup {
    let time = Arc::clone(clock);
    let encode = |record: &Record, historical: bool, at: i64| {
        let payload = format!("{}{} at {at}", record.seq, if historical { " old" } else { "" });
        let topic = if record.reading.field == "main" { "state" } else { &record.reading.field };
        // Records are sent at least once, whatever is said here.
        Message { qos: Qos::AtMostOnce, retain: true, ..Message::new(topic, payload, Content::Json) }
    };
    Setup {
        transport: Box::new(transport.clone()),
        queue: Box::new(queue.clone()),
        encode: Box::new(encode),
        boot_id: "this".into(),
        subscriptions: vec![("cmd/#".into(), Qos::AtLeastOnce)],
        birth: Box::new(|| {
            vec![Message::new("status", "online", Content::Text), Message::new("info", "i", Content::Json)]
        }),
        shutdown_messages: vec![Message::new("status", "offline", Content::Text)],
        on_change: Waker::new(|| {}),
        clock: Box::new(move || time.load(Ordering::SeqCst)),
        config: PublisherConfig { max_commands: 2, ..PublisherConfig::default() },
    }
}

fn rig() -> Rig {
    let (transport, queue, clock) = (FakeTransport::default(), FakeQueue::default(), Arc::new(AtomicI64::new(100_000)));
    let (publisher, shared, deliveries) = Publisher::new(setup(&transport, &queue, &clock));
    Rig { publisher, transport, queue, clock, shared, deliveries }
}

impl Rig {
    fn step(&mut self) {
        self.publisher.step(Duration::ZERO);
    }

    /// Connects and gets the birth messages through.
    fn connect(&mut self) {
        self.transport.push(Event::Connected);
        self.step();
        for _ in 0..2 {
            self.step();
            self.transport.ack();
            self.step();
        }
        self.transport.wire().published.clear();
    }

    fn add(&self, record: &Record) {
        self.queue.add(record.seq + 1, postcard::to_allocvec(record).unwrap());
    }

    fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        self.shared.count(|c| counters = c.clone());
        counters
    }
}

#[test]
fn birth_sent_first_records_in_order() {
    let mut rig = rig();
    for seq in 0..2 {
        rig.add(&record(seq, 100_000));
    }
    rig.step();
    assert!(rig.transport.payloads().is_empty(), "nothing without a connection");
    rig.transport.push(Event::Connected);
    rig.step();
    assert_eq!(rig.transport.wire().subscribed, 1);
    for expected in ["online", "i", "0 at 100000", "1 at 100000"] {
        rig.step();
        rig.step();
        assert_eq!(rig.transport.payloads().last().unwrap(), expected);
        rig.transport.ack();
        rig.step();
    }
    assert!(rig.queue.is_empty());
    assert_eq!(rig.transport.payloads().len(), 4);
    assert!(rig.transport.wire().published.iter().all(|m| m.qos == Qos::AtLeastOnce));
    assert_eq!(rig.queue.syncs(), 2, "durable before it is sent");
    let counters = rig.counters();
    assert_eq!((counters.acked, counters.sent, counters.connections, counters.waiting), (2, 4, 1, 0));
}

#[test]
fn what_was_not_acknowledged_is_sent_again_as_it_was() {
    let mut rig = rig();
    rig.connect();
    rig.add(&record(7, 100_000));
    rig.step();
    rig.transport.push(Event::Lost("gone".into()));
    rig.step();
    assert_eq!(rig.queue.len(), 1, "it stays until it is acknowledged");
    assert_eq!(rig.counters().last_problem.as_deref(), Some("gone"));
    rig.clock.store(103_000, Ordering::SeqCst);
    rig.connect();
    rig.step();
    assert_eq!(rig.transport.payloads(), ["7 at 100000"], "the same bytes, though this connection is younger");
    // Once more, but so late that it is no news.
    rig.transport.push(Event::Lost("gone".into()));
    rig.step();
    rig.clock.store(111_000, Ordering::SeqCst);
    rig.connect();
    rig.step();
    assert_eq!(rig.transport.payloads(), ["7 old at 111000"]);
    rig.transport.ack();
    rig.step();
    assert!(rig.queue.is_empty());
    let counters = rig.counters();
    assert_eq!((counters.sent_again, counters.lost, counters.acked), (2, 2, 1));
    assert_eq!(rig.queue.syncs(), 1, "before it was first sent");
}

/// A kept message that is too large ends each connection as soon as there is a subscription; so does a birth message
/// that is not liked.
#[test]
fn readings_sent_despite_disconnecting_birth() {
    let mut rig = rig();
    rig.add(&record(0, 100_000));
    for begun in 1..=3 {
        rig.transport.push(Event::Connected);
        rig.step();
        assert_eq!(rig.transport.wire().subscribed, begun);
        rig.step();
        rig.transport.push(Event::Lost("too large".into()));
        rig.step();
    }
    assert!(rig.transport.payloads().iter().all(|payload| payload == "online"));
    rig.transport.wire().published.clear();
    rig.transport.push(Event::Connected);
    rig.step();
    rig.step();
    assert_eq!(rig.transport.payloads(), ["0 at 100000"]);
    assert_eq!(rig.transport.wire().subscribed, 3, "not this time");
    rig.transport.ack();
    rig.step();
    // One that was of use is followed by a normal one.
    rig.transport.push(Event::Lost("gone".into()));
    rig.step();
    rig.transport.push(Event::Connected);
    rig.step();
    assert_eq!(rig.transport.wire().subscribed, 4);
}

#[test]
fn what_can_never_be_sent_does_not_block_the_rest() {
    let mut rig = rig();
    rig.connect();
    let good = postcard::to_allocvec(&record(0, 100_000)).unwrap();
    let mut later = good.clone();
    later[0] = RECORD_VERSION + 1;
    for (id, bytes) in [vec![], vec![0xff; 40], later, good[..good.len() / 2].to_vec(), good].into_iter().enumerate() {
        rig.queue.add(id as u64 + 1, bytes);
    }
    rig.step();
    assert_eq!(rig.transport.payloads(), ["0 at 100000"]);
    let ticket = rig.transport.under_way().unwrap();
    rig.transport.push(Event::PermanentlyRejected(ticket, "not allowed".into()));
    rig.step();
    assert!(rig.queue.is_empty());
    assert_eq!((rig.counters().undecodable, rig.counters().refused), (4, 1));
    rig.add(&record(9, 100_000));
    rig.step();
    assert_eq!(rig.transport.payloads().last().unwrap(), "9 at 100000");
}

/// A mistake in the broker's access list gave up the whole backlog within seconds.
#[test]
fn what_the_broker_does_not_allow_waits_until_it_does() {
    let mut rig = rig();
    rig.transport.push(Event::Connected);
    rig.step();
    for _ in 0..2 {
        rig.step();
        rig.transport.deny();
        rig.step();
    }
    rig.transport.wire().published.clear();
    for seq in 0..3 {
        rig.add(&record(seq, 100_000));
    }
    for _ in 0..5 {
        rig.step();
        if rig.transport.under_way().is_some() {
            rig.transport.deny();
        }
        rig.step();
    }
    assert_eq!(
        rig.transport.payloads(),
        ["0 at 100000"],
        "none of its topic overtakes it, and it is not sent without a pause"
    );
    assert_eq!((rig.queue.len(), rig.counters().refused), (3, 0));
    // Others need not wait for that: the status of a camera, and the end.
    rig.shared.latest_messages().push(Message::new("camera/status", "online", Content::Text));
    rig.step();
    assert_eq!(rig.transport.payloads(), ["0 at 100000", "online"]);
    rig.transport.ack();
    rig.step();
    // A full outbox drops its oldest: the next one is tried when that one would have been.
    rig.queue.clone().remove(1);
    rig.step();
    assert_eq!(rig.transport.payloads(), ["0 at 100000", "online"]);
    // That is at once on a new connection.
    rig.transport.push(Event::Lost("restarted".into()));
    rig.step();
    rig.connect();
    for expected in ["1 at 100000", "2 at 100000"] {
        for _ in 0..3 {
            rig.step();
        }
        assert_eq!(rig.transport.payloads().last().unwrap(), expected);
        rig.transport.ack();
        rig.step();
    }
    assert_eq!((rig.queue.len(), rig.counters().acked), (0, 2));
}

#[test]
fn latest_message_per_topic_sent_after_birth() {
    let mut rig = rig();
    let say = |rig: &Rig, topic: &str, payload: &str, qos| {
        rig.shared.latest_messages().push(Message { qos, ..Message::new(topic, payload, Content::Text) });
    };
    say(&rig, "camera/status", "offline", Qos::AtLeastOnce);
    say(&rig, "camera/status", "online", Qos::AtLeastOnce);
    say(&rig, "camera/image", "jpeg", Qos::AtMostOnce);
    rig.add(&record(0, 100_000));
    rig.connect();
    rig.step();
    // The image waits for nothing; the status and the record take turns.
    assert_eq!(rig.transport.payloads(), ["jpeg", "online"]);
    say(&rig, "camera/status", "offline", Qos::AtLeastOnce);
    rig.transport.ack();
    rig.step();
    rig.step();
    assert_eq!(rig.transport.payloads().last().unwrap(), "0 at 100000");
    rig.transport.ack();
    rig.step();
    rig.step();
    assert_eq!(rig.transport.payloads().last().unwrap(), "offline");
    // Lost while it was under way: it comes again, unless there is a newer one.
    rig.transport.push(Event::Lost("gone".into()));
    rig.step();
    rig.connect();
    rig.step();
    assert_eq!(rig.transport.payloads(), ["offline"]);
}

/// Home Assistant is told of what goes by several messages of one topic.
#[test]
fn an_introduction_is_sent_whole_and_in_its_order() {
    let mut rig = rig();
    rig.connect();
    let say = |payload: &str| Message::new("homeassistant/device/x/config", payload, Content::Json);
    rig.shared.announce(vec![say("never sent")]);
    rig.shared.announce(vec![say("once more"), say("gone"), say("what stays")]);
    rig.add(&record(0, 100_000));
    for _ in 0..4 {
        rig.step();
        rig.transport.ack();
        rig.step();
    }
    assert_eq!(rig.transport.payloads(), ["once more", "gone", "what stays", "0 at 100000"]);
}

#[test]
fn commands_that_nobody_takes_are_counted() {
    let mut rig = rig();
    rig.connect();
    let delivery = Delivery {
        topic: "cmd/read".into(),
        payload: Vec::new(),
        retain: false,
        duplicate: false,
        response_topic: None,
        correlation: None,
        token: 0,
    };
    for _ in 0..3 {
        rig.transport.push(Event::Received(delivery.clone()));
        rig.step();
    }
    assert_eq!(rig.counters().commands_dropped, 1);
    assert_eq!(rig.deliveries.try_iter().count(), 2);
}

#[test]
fn limits_are_checked() {
    assert_eq!(PublisherConfig::default().validate(), Ok(()));
    for (text, key) in [
        ("late_after_ms = 0", "publish.late_after_ms"),
        ("max_volatile = 1", "publish.max_volatile"),
        ("max_volatile_bytes = 1", "publish.max_volatile_bytes"),
        ("max_commands = 0", "publish.max_commands"),
    ] {
        let error = toml::from_str::<PublisherConfig>(text).unwrap().validate().unwrap_err();
        assert!(error.contains(key), "{error}");
    }
}

proptest! {
    /// Whatever the connection does: no record is forgotten before its acknowledgement, and they go in order.
    #[test]
    fn nothing_is_lost_and_nothing_overtakes(fates in prop::collection::vec(0u8..6, 0..200)) {
        let mut rig = rig();
        for seq in 0..5 {
            rig.add(&record(seq, 100_000));
        }
        let mut acked = Vec::new();
        for fate in fates {
            let under_way = rig.transport.under_way();
            let top = rig.transport.wire().published.last().cloned();
            match (fate, under_way) {
                (0, _) => rig.transport.push(Event::Lost("gone".into())),
                (1, _) if !rig.transport.wire().up => rig.transport.push(Event::Connected),
                (2, _) => drop(rig.shared.latest_messages().push(Message::new("stats", "s", Content::Json))),
                (3.., Some(_)) => {
                    if top.is_some_and(|m| m.topic == "state") {
                        acked.push(rig.queue.peek().unwrap().id);
                    }
                    rig.transport.ack();
                }
                _ => {}
            }
            rig.step();
            // An event of the step before is seen in this one.
            rig.step();
            prop_assert_eq!(rig.queue.len(), 5 - acked.len());
            prop_assert!(acked.is_sorted());
        }
        let sent = rig.transport.wire().published.iter().filter(|m| m.topic == "state").count();
        prop_assert!(sent >= acked.len());
    }
}
