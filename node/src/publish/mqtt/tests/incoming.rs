//! What comes in, wanted or not.

use super::*;

#[test]
fn packets_above_the_limit_end_the_connection_unread() {
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| {
            conn.accept();
            conn.send(&[0x30, 0xff, 0xff, 0xff, 0x7f]);
            conn.read();
        });
        let mut mqtt = transport(broker.port, protocol);
        assert_eq!(next(&mut mqtt), Event::Connected);
        let why = lost(&mut mqtt);
        assert!(why.contains("mqtt.max_packet_in_bytes"), "{why}");
    }
}

/// A job that was a little too large for the limit that a worker announced never came, and counted as under way for ever.
#[test]
fn least_limit_lets_larger_packets_in() {
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| {
            let Some(version) = conn.accept() else { return };
            conn.publish("jobs/a", 7, &[1; 300 << 10], version, false);
            while conn.serve(version) {}
        });
        let options = Options { manual_acks: true, least_in_bytes: 400 << 10, ..Options::default() };
        let mut mqtt = transport_with(broker.port, protocol, options, |_| {});
        assert_eq!(next(&mut mqtt), Event::Connected);
        let Event::Received(delivery) = next(&mut mqtt) else { panic!("no message") };
        assert_eq!(delivery.payload.len(), 300 << 10);
    }
}

#[test]
fn messages_come_in_and_are_acknowledged_by_hand() {
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| {
            let Some(version) = conn.accept() else { return };
            conn.publish("jobs/a", 7, b"image", version, false);
            while let Some(packet) = conn.read() {
                if packet.kind() == 4 {
                    // Answers the acknowledgement with another message.
                    conn.publish("jobs/b", 8, b"image", version, true);
                }
                if conn.number == 0 && packet.is_publish() {
                    return;
                }
                conn.answer(&packet, version);
            }
        });
        let options = Options { manual_acks: true, ..Options::default() };
        let mut mqtt = transport_with(broker.port, protocol, options, |_| {});
        assert_eq!(next(&mut mqtt), Event::Connected);
        let Event::Received(first) = next(&mut mqtt) else { panic!("no message") };
        assert_eq!((first.topic.as_str(), first.payload.as_slice(), first.retain), ("jobs/a", &b"image"[..], false));
        mqtt.ack(&first);
        let Event::Received(second) = next(&mut mqtt) else { panic!("no second message") };
        assert!(second.retain);
        mqtt.publish(&message("ends the connection")).unwrap();
        lost(&mut mqtt);
        assert_eq!(next(&mut mqtt), Event::Connected);
        let Event::Received(_) = next(&mut mqtt) else { panic!("no message again") };
        // Of the first connection: must not be taken for this one's message 8.
        mqtt.ack(&second);
        let ticket = mqtt.publish(&message("1")).unwrap();
        assert_eq!(next(&mut mqtt), Event::Acked(ticket));
        let acks: Vec<_> =
            broker.packets().iter().filter(|p| p.kind() == 4).map(|p| (p.connection, p.pkid())).collect();
        assert_eq!(acks, [(0, 7)]);
    }
}

/// MQTT-4.6.0-2; and more of them than rumqttc has room for.
#[test]
fn acknowledgements_keep_the_order_of_the_messages() {
    const MESSAGES: u16 = 150;
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| {
            let Some(version) = conn.accept() else { return };
            for pkid in 1..=MESSAGES {
                conn.publish("jobs/a", pkid, b"image", version, false);
            }
            while conn.serve(version) {}
        });
        let options = Options { manual_acks: true, ..Options::default() };
        let mut mqtt = transport_with(broker.port, protocol, options, |_| {});
        assert_eq!(next(&mut mqtt), Event::Connected);
        let mut deliveries = Vec::new();
        while deliveries.len() < usize::from(MESSAGES) {
            match next(&mut mqtt) {
                Event::Received(delivery) => deliveries.push(delivery),
                event => panic!("{event:?}"),
            }
        }
        deliveries.iter().skip(1).for_each(|delivery| mqtt.ack(delivery));
        let ticket = mqtt.publish(&message("1")).unwrap();
        assert_eq!(next(&mut mqtt), Event::Acked(ticket));
        assert!(broker.packets().iter().all(|p| p.kind() != 4), "the first one is not dealt with");
        mqtt.ack(&deliveries[0]);
        let (mut acked, end) = (Vec::new(), Instant::now() + DEADLINE);
        while acked.len() < usize::from(MESSAGES) && Instant::now() < end {
            assert_eq!(mqtt.poll(Duration::from_millis(20)), Event::Idle);
            acked.extend(broker.packets().iter().filter(|p| p.kind() == 4).map(|p| p.pkid()));
        }
        assert_eq!(acked, (1..=MESSAGES).collect::<Vec<_>>());
    }
}

#[test]
fn refused_subscription_fails_only_if_required() {
    for protocol in BOTH {
        for must_subscribe in [false, true] {
            let broker = FakeBroker::start(|conn| {
                let Some(version) = conn.accept() else { return };
                while let Some(packet) = conn.read() {
                    if packet.kind() != 8 {
                        conn.answer(&packet, version);
                        continue;
                    }
                    let [high, low] = packet.pkid().to_be_bytes();
                    match version {
                        5 => conn.send(&[0x90, 5, high, low, 0, 1, 135]),
                        _ => conn.send(&[0x90, 4, high, low, 1, 128]),
                    }
                }
            });
            let mut mqtt =
                transport_with(broker.port, protocol, Options { must_subscribe, ..Options::default() }, |_| {});
            assert_eq!(mqtt.subscribe(&[]), Err(TransportError::NotConnected));
            assert_eq!(next(&mut mqtt), Event::Connected);
            let filters = ["a/+", "bad+", "$share/g/jobs/+"].map(|f| (f.to_string(), Qos::AtLeastOnce));
            mqtt.subscribe(&filters).unwrap();
            if must_subscribe {
                assert!(lost(&mut mqtt).contains("$share/g/jobs/+"));
            } else {
                let ticket = mqtt.publish(&message("1")).unwrap();
                assert_eq!(next(&mut mqtt), Event::Acked(ticket));
            }
        }
    }
}

#[test]
fn another_client_of_the_same_name_is_named() {
    let broker = FakeBroker::start(|conn| {
        conn.accept();
        conn.send(&[0xe0, 2, 0x8e, 0]);
        conn.read();
    });
    let mut mqtt = transport(broker.port, Protocol::V5);
    assert_eq!(next(&mut mqtt), Event::Connected);
    assert!(lost(&mut mqtt).contains("mqtt.client_id"));
}

/// rumqttc remembers each alias; 65,535 topics of 64 KiB are more than a board has.
#[test]
fn unexpected_topic_alias_disconnects() {
    let broker = FakeBroker::start(|conn| {
        conn.accept();
        conn.send(&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 9]);
        conn.read();
    });
    let mut mqtt = transport(broker.port, Protocol::V5);
    assert_eq!(next(&mut mqtt), Event::Connected);
    assert!(lost(&mut mqtt).contains("alias"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn garbage_is_a_lost_connection(bytes in prop::collection::vec(any::<u8>(), 1..200), accepted: bool, five: bool) {
        let broker = FakeBroker::start(move |conn| {
            match accepted {
                true => {
                    conn.accept();
                }
                false => {
                    conn.read();
                }
            }
            conn.send(&bytes);
        });
        let mut mqtt = transport(broker.port, if five { Protocol::V5 } else { Protocol::V311 });
        let end = Instant::now() + DEADLINE;
        loop {
            prop_assert!(Instant::now() < end, "neither understood nor given up");
            match mqtt.poll(Duration::from_millis(200)) {
                Event::Lost(why) => {
                    prop_assert!(!why.is_empty() && !why.contains('\n'));
                    break;
                }
                Event::Acked(_) | Event::PermanentlyRejected(..) => prop_assert!(false, "nothing was sent"),
                _ => {}
            }
        }
    }
}
