//! Records that the broker does not take.

use super::*;

impl Rig {
    fn settle_all(&mut self) {
        for _ in 0..20 {
            self.step();
        }
    }

    /// What is under way for the longest time.
    fn oldest(&self) -> Option<Message> {
        let wire = self.transport.wire();
        let under_way = wire.in_flight.len();
        wire.published.get(wire.published.len().checked_sub(under_way)?).cloned()
    }

    /// Acknowledges whatever is under way, but denies what is for `topic`.
    fn broker_denies(&mut self, topic: &str) {
        for _ in 0..20 {
            self.step();
            match self.oldest() {
                Some(message) if message.topic == topic => self.transport.deny(),
                Some(_) => self.transport.ack(),
                None => {}
            }
            self.step();
        }
    }

    fn lose(&mut self) {
        self.transport.push(Event::Lost("closed".into()));
        self.step();
    }
}

/// All fields waited for one topic that was forgotten in the broker's access list.
#[test]
fn denied_topic_holds_no_other_back() {
    for window in [1, 8] {
        let mut rig = rig();
        rig.transport.wire().window = window;
        rig.connect();
        for seq in 0..12 {
            rig.add(&record_of(["bad", "good"][seq as usize % 2], seq, 100_000));
        }
        rig.broker_denies("bad");
        assert_eq!((rig.queue.len(), rig.counters().acked, rig.counters().refused), (6, 6, 0), "window {window}");
        assert_eq!(rig.transport.wire().published.iter().filter(|m| m.topic == "bad").count(), 1, "one try");
        // What comes later goes its way, too.
        rig.add(&record_of("good", 12, 100_000));
        rig.add(&record_of("bad", 13, 100_000));
        rig.broker_denies("bad");
        assert_eq!((rig.queue.len(), rig.counters().acked), (7, 7));
        // The access list was corrected, and the broker restarted for it.
        rig.lose();
        rig.connect();
        rig.broker_denies("none");
        assert!(rig.queue.is_empty());
        let sent: Vec<String> = rig.transport.payloads();
        assert_eq!(sent, ["0", "2", "4", "6", "8", "10", "13"].map(|seq| format!("{seq} at 100000")), "in order");
    }
}

#[test]
fn blocked_field_is_told_to_the_node() {
    let mut rig = rig();
    rig.connect();
    for (seq, field) in [(0, "bad"), (1, "good")] {
        rig.add(&record_of(field, seq, 100_000));
    }
    let has_sent = |rig: &Rig, newest| rig.shared.sent_through_now() >= newest;
    assert!(!has_sent(&rig, 2));
    rig.broker_denies("bad");
    assert!(has_sent(&rig, 2) && !has_sent(&rig, 3) && rig.shared.blocked_now() == ["bad"]);
    rig.lose();
    rig.connect();
    rig.broker_denies("none");
    assert!(has_sent(&rig, 2) && rig.shared.blocked_now().is_empty());
}

/// MQTT 3.1.1 has no other answer for a message that is too large, or of a topic that is not allowed.
#[test]
fn record_that_closes_connections_holds_no_other_back() {
    let mut rig = rig();
    rig.transport.wire().window = 8;
    rig.publisher.encode_as(|record: &Record, _: bool, _: i64| {
        let length = if record.seq == 3 { 900 } else { 100 };
        Message::new(record.reading.field.as_str(), format!("{:0length$}", record.seq), Content::Json)
    });
    for seq in 0..12 {
        rig.add(&record_of(["a", "b"][seq as usize % 2], seq, 100_000));
    }
    let mut closed = 0;
    for _ in 0..100 {
        if !rig.transport.wire().up {
            rig.transport.push(Event::Connected);
        }
        rig.step();
        match rig.oldest() {
            Some(message) if message.payload.len() == 900 => {
                closed += 1;
                rig.lose();
            }
            Some(_) => rig.transport.ack(),
            None => {}
        }
        rig.step();
    }
    assert_eq!(rig.counters().acked, 11);
    assert_eq!((rig.queue.len(), rig.queue.clone().peek().unwrap().id), (1, 4), "the large one is kept");
    assert!((3..10).contains(&closed), "{closed} connections");
}

#[test]
fn record_too_large_for_connection_is_kept() {
    let mut rig = rig();
    rig.publisher.encode_as(|record: &Record, _: bool, _: i64| {
        let length = if record.seq == 0 { 2000 } else { 1 };
        Message { retain: true, ..Message::new("state", vec![b'x'; length], Content::Json) }
    });
    rig.connect();
    rig.add(&record(0, 100_000));
    rig.add(&record(1, 100_000));
    rig.step();
    assert_eq!(rig.transport.payloads(), ["x"]);
    rig.transport.ack();
    rig.settle_all();
    assert_eq!((rig.queue.len(), rig.counters().refused), (1, 0));
    // A broker that takes more.
    rig.publisher
        .encode_as(|_: &Record, _: bool, _: i64| Message { retain: true, ..Message::new("state", "y", Content::Json) });
    rig.lose();
    rig.connect();
    rig.settle_all();
    assert_eq!(rig.transport.payloads(), ["y"]);
    assert!(!rig.transport.wire().published[0].retain, "a later reading of the field is what the broker keeps");
    rig.transport.ack();
    rig.settle_all();
    assert!(rig.queue.is_empty());
}

#[test]
fn dropped_head_of_blocked_field_is_replaced() {
    let mut rig = rig();
    rig.connect();
    for seq in 0..4 {
        rig.add(&record_of("bad", seq, 100_000));
    }
    rig.broker_denies("bad");
    assert_eq!(rig.transport.payloads(), ["0 at 100000"]);
    // A full outbox drops its oldest.
    rig.queue.clone().remove(1);
    rig.queue.clone().remove(2);
    rig.lose();
    rig.connect();
    rig.broker_denies("bad");
    assert_eq!(rig.transport.payloads(), ["2 at 100000"]);
    rig.lose();
    rig.connect();
    rig.broker_denies("none");
    assert!(rig.queue.is_empty());
}

/// A description that is too large for the broker ended every connection.
#[test]
fn birth_message_too_large_is_sent_once() {
    let mut rig = rig();
    rig.transport.wire().window = 8;
    for connection in 0..3 {
        rig.transport.push(Event::Connected);
        rig.settle_all();
        assert_eq!(rig.transport.payloads().contains(&"online".into()), connection == 0);
        if let Some(ticket) = rig.transport.under_way().filter(|_| connection == 0) {
            rig.transport.push(Event::TooLarge(ticket, "it is too large".into()));
            rig.lose();
        }
        while rig.transport.under_way().is_some() {
            rig.transport.ack();
            rig.settle_all();
        }
        rig.transport.wire().published.clear();
    }
    assert_eq!(rig.counters().volatile_dropped, 3, "told each time");
}
