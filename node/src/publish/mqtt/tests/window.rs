//! Several messages under way.

use super::*;

/// Takes as many messages as the transport gives.
fn fill(mqtt: &mut MqttTransport, from: usize) -> Vec<Ticket> {
    (from..).map_while(|i| mqtt.publish(&message(&i.to_string())).ok()).collect()
}

/// A broker of MQTT 5 says how many it takes; rumqttc sends nothing at all once that many are under way, so it is one
/// less.
#[test]
fn window_is_eight_or_what_broker_allows() {
    for (receive_maximum, window) in [(None, 8), (Some(1), 1), (Some(2), 1), (Some(5), 4), (Some(20), 8), (Some(9), 8)]
    {
        let broker = FakeBroker::start(move |conn| {
            conn.read();
            match receive_maximum {
                Some(most) => conn.send(&[0x20, 6, 0, 0, 3, 0x21, 0, most]),
                None => conn.send(&[0x20, 3, 0, 0, 0]),
            }
            while conn.serve(5) {}
        });
        let mut mqtt = transport(broker.port, Protocol::V5);
        assert_eq!(next(&mut mqtt), Event::Connected);
        let mut sent = fill(&mut mqtt, 0);
        assert_eq!(sent.len(), window, "{receive_maximum:?}");
        mqtt.subscribe(&[("a".into(), Qos::AtLeastOnce)]).unwrap();
        let mut acked = Vec::new();
        while acked.len() < 300 {
            match next(&mut mqtt) {
                Event::Acked(ticket) => acked.push(ticket),
                event => panic!("{event:?}"),
            }
            sent.extend(fill(&mut mqtt, sent.len()));
        }
        assert_eq!(acked, sent[..300], "{receive_maximum:?}");
    }
}

/// This is how rumqttc comes to wait for ever: a packet id that is still in use.
#[test]
fn acks_out_of_order_do_not_stall_the_connection() {
    for protocol in BOTH {
        // One message is acknowledged after 99 later ones, which is as many as there are packet ids.
        let broker = FakeBroker::start(|conn| {
            let Some(version) = conn.accept() else { return };
            let (mut late, mut count) = (None, 0);
            while let Some(packet) = conn.read() {
                if !packet.is_publish() {
                    conn.answer(&packet, version);
                    continue;
                }
                count += 1;
                match late {
                    None if count % 150 == 1 => late = Some(packet.pkid()),
                    _ => conn.puback(packet.pkid()),
                }
                if count % 150 == 100 {
                    late.take().into_iter().for_each(|pkid| conn.puback(pkid));
                }
            }
        });
        let mut mqtt = transport(broker.port, protocol);
        assert_eq!(next(&mut mqtt), Event::Connected);
        let mut sent = fill(&mut mqtt, 0);
        let mut acked = 0;
        while acked < 400 {
            match next(&mut mqtt) {
                Event::Acked(ticket) => assert!(sent.contains(&ticket)),
                event => panic!("{protocol:?} after {acked}: {event:?}"),
            }
            acked += 1;
            sent.extend(fill(&mut mqtt, sent.len()));
        }
    }
}

/// rumqttc does not tell what comes in the same moment as the end.
#[test]
fn acks_that_come_with_the_end_count() {
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| {
            conn.accept();
            let mut acks = Vec::new();
            while let Some(packet) = conn.read() {
                if packet.is_publish() {
                    acks.extend([0x40, 2, (packet.pkid() >> 8) as u8, packet.pkid() as u8]);
                }
                if acks.len() == 4 * 8 {
                    acks.truncate(4 * 5);
                    return conn.send(&acks);
                }
            }
        });
        let mut mqtt = transport(broker.port, protocol);
        assert_eq!(next(&mut mqtt), Event::Connected);
        let sent = fill(&mut mqtt, 0);
        let mut acked = Vec::new();
        loop {
            match next(&mut mqtt) {
                Event::Acked(ticket) => acked.push(ticket),
                Event::Lost(_) => break,
                event => panic!("{event:?}"),
            }
        }
        assert_eq!(acked, sent[..5], "{protocol:?}");
    }
}
