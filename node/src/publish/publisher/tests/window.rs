//! Several records under way.

use super::*;
use crate::publish::transport::Ticket;

fn wide(window: usize) -> Rig {
    let rig = rig();
    rig.transport.wire().window = window;
    rig
}

impl Rig {
    /// The numbers of the records that were sent.
    fn sent(&self) -> Vec<u64> {
        let wire = self.transport.wire();
        let number = |m: &Message| String::from_utf8_lossy(&m.payload).split(' ').next().unwrap().parse().ok();
        wire.published.iter().filter_map(number).collect()
    }

    fn tickets(&self) -> Vec<Ticket> {
        self.transport.wire().in_flight.iter().copied().collect()
    }

    fn settle(&mut self) {
        for _ in 0..20 {
            self.step();
        }
    }
}

#[test]
fn window_is_filled_once_first_record_arrived() {
    let mut rig = wide(8);
    rig.transport.push(Event::Connected);
    rig.settle();
    assert_eq!(rig.transport.payloads(), ["online", "i"], "at once, and nothing beside them");
    for _ in 0..2 {
        rig.transport.ack();
    }
    rig.transport.wire().published.clear();
    for seq in 0..20 {
        rig.add(&record(seq, 100_000));
    }
    rig.settle();
    assert_eq!(rig.sent(), [0], "the first of a topic is alone");
    rig.transport.ack();
    rig.settle();
    assert_eq!(rig.sent(), (0..9).collect::<Vec<_>>());
    // Acknowledged out of order.
    let tickets = rig.tickets();
    for at in [2, 0, 1] {
        rig.transport.push(Event::Acked(tickets[at]));
    }
    rig.settle();
    assert_eq!(rig.sent(), (0..12).collect::<Vec<_>>());
    assert_eq!((rig.queue.len(), rig.counters().acked), (16, 4));
}

#[test]
fn fields_do_not_wait_for_each_others_first() {
    let mut rig = wide(8);
    rig.connect();
    for seq in 0..8 {
        rig.add(&record_of(["a", "b", "c", "d"][seq as usize % 4], seq, 100_000));
    }
    rig.settle();
    assert_eq!(rig.sent(), [0, 1, 2, 3]);
    rig.transport.ack();
    rig.settle();
    assert_eq!(rig.sent(), [0, 1, 2, 3, 4], "5 is of a field whose first has not arrived");
}

/// Kill, cut or restart: what may not have arrived comes again, before anything newer.
#[test]
fn lost_window_is_sent_again_from_first_unacked() {
    let mut rig = wide(8);
    rig.connect();
    for seq in 0..12 {
        rig.add(&record(seq, 100_000));
    }
    rig.settle();
    rig.transport.ack();
    rig.settle();
    let tickets = rig.tickets();
    for at in [0, 2] {
        rig.transport.push(Event::Acked(tickets[at]));
    }
    rig.transport.push(Event::Lost("gone".into()));
    rig.settle();
    rig.clock.store(103_000, Ordering::SeqCst);
    rig.connect();
    rig.settle();
    assert_eq!(rig.transport.payloads(), ["2 at 100000"], "one at a time after a loss, with the same bytes");
    rig.transport.ack();
    rig.settle();
    assert_eq!(rig.sent(), [2, 4, 5, 6, 7, 8, 9, 10, 11], "3 had arrived");
    assert_eq!(rig.transport.payloads()[1], "4 at 100000");
    assert!(rig.counters().sent_again >= 6);
    // 3 is newer and the broker keeps it; those after it are kept again.
    let retained: Vec<bool> = rig.transport.wire().published.iter().map(|m| m.retain).collect();
    assert_eq!(retained[..3], [false, true, true]);
}

#[test]
fn volatile_message_shares_the_window() {
    let mut rig = wide(4);
    rig.connect();
    for seq in 0..20 {
        rig.add(&record(seq, 100_000));
    }
    rig.settle();
    for payload in ["old", "new"] {
        rig.shared.latest_messages().push(Message::new("camera/status", payload, Content::Text));
    }
    for _ in 0..4 {
        rig.transport.ack();
        rig.settle();
    }
    let payloads = rig.transport.payloads();
    assert!(payloads.contains(&"new".into()) && !payloads.contains(&"old".into()), "{payloads:?}");
    assert!(rig.sent().len() > 4, "{payloads:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(500)))]
    /// Whatever connection and broker do: within a field the broker gets records in order, repetitions apart, and none
    /// is forgotten before it has it.
    #[test]
    fn order_holds_per_field(
        fields in prop::collection::vec(0usize..3, 1..25),
        fates in prop::collection::vec((0u8..12, any::<usize>()), 0..150),
        denied in prop::collection::vec(any::<bool>(), 3),
    ) {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        let mut rig = wide(8);
        // Something larger than any record has arrived: a record that is under way alone when three connections end
        // has its field blocked, whatever its size.
        rig.shared.latest_messages().push(Message::new("stats", "x".repeat(100), Content::Json));
        rig.transport.push(Event::Connected);
        for _ in 0..10 {
            rig.step();
            if rig.transport.under_way().is_some() {
                rig.transport.ack();
            }
        }
        for (seq, &field) in fields.iter().enumerate() {
            rig.add(&record_of(NAMES[field], seq as u64, 100_000));
        }
        // The broker: what it has, what it has taken but not acknowledged, and which topics it denies.
        let mut has: Vec<u64> = Vec::new();
        let mut pending: Vec<(Ticket, Message, bool)> = Vec::new();
        let (mut allows, mut seen) = (denied.iter().map(|denied| !denied).collect::<Vec<_>>(), rig.transport.wire().published.len());
        let field_of = |m: &Message| NAMES.iter().position(|name| *name == m.topic);
        // At the end there is a new connection on which everything is answered.
        for (fate, index) in fates.into_iter().chain([(0, 0)]).chain([(5, 0); 400]) {
            match fate {
                0 => {
                    rig.transport.push(Event::Lost("gone".into()));
                    pending.clear();
                }
                1 if !rig.transport.wire().up => rig.transport.push(Event::Connected),
                2 => allows = vec![true; 3],
                _ if !rig.transport.wire().up => rig.transport.push(Event::Connected),
                // An answer, usually the oldest.
                _ if !pending.is_empty() => {
                    let (ticket, message, taken) = pending.remove(if fate == 3 { index % pending.len() } else { 0 });
                    rig.transport.push(match taken {
                        true => Event::Acked(ticket),
                        false => Event::TemporarilyRejected(ticket, format!("{} is not allowed", message.topic)),
                    });
                }
                _ => {}
            }
            rig.step();
            rig.step();
            let wire = rig.transport.wire();
            for (at, message) in wire.published.iter().enumerate().skip(seen) {
                let field = field_of(message);
                let allowed = field.is_none_or(|field| allows[field]);
                let ticket = Ticket(at as u64 + 1);
                if wire.in_flight.contains(&ticket) {
                    pending.push((ticket, message.clone(), allowed));
                }
                if let (Some(field), true) = (field, allowed) {
                    let text = String::from_utf8_lossy(&message.payload);
                    let seq: u64 = text.split(' ').next().unwrap().parse().unwrap();
                    if !has.contains(&seq) {
                        let newer = has.iter().filter(|&&had| fields[had as usize] == field && had > seq).count();
                        prop_assert_eq!(newer, 0, "{} comes late: {:?}", seq, &has);
                        has.push(seq);
                    }
                }
            }
            seen = wire.published.len();
            drop(wire);
            for seq in 0..fields.len() as u64 {
                let waits = rig.queue.clone().next(seq).is_some_and(|entry| entry.id == seq + 1);
                prop_assert!(has.contains(&seq) || waits);
            }
        }
        let blocked = rig.shared.blocked_now();
        for (seq, &field) in fields.iter().enumerate() {
            let may_wait = !allows[field] || blocked.iter().any(|name| name == NAMES[field]);
            prop_assert!(has.contains(&(seq as u64)) || may_wait, "{} did not come: {:?}", seq, &has);
        }
    }
}
