//! Messages on their way out, and what may happen to them.

use super::*;

#[test]
fn a_message_is_acknowledged() {
    for protocol in BOTH {
        let broker = FakeBroker::start(good);
        let mut mqtt = transport(broker.port, protocol);
        assert_eq!(mqtt.publish(&message("0")), Err(TransportError::NotConnected));
        assert_eq!(next(&mut mqtt), Event::Connected);
        let mut last = None;
        for i in 0..250 {
            let ticket = mqtt.publish(&message(&i.to_string())).unwrap();
            assert_eq!(next(&mut mqtt), Event::Acked(ticket), "{i}");
            assert!(Some(ticket) > last);
            last = Some(ticket);
        }
    }
}

#[test]
fn qos0_messages_do_not_wait_and_are_bounded() {
    let broker = FakeBroker::start(|conn| {
        conn.accept();
        while conn.read().is_some() {}
    });
    let mut mqtt = transport(broker.port, Protocol::V311);
    assert_eq!(next(&mut mqtt), Event::Connected);
    mqtt.publish(&message("waits")).unwrap();
    let image = Message { qos: Qos::AtMostOnce, ..Message::new("ocr/n/camera/image", "jpeg", Content::Jpeg) };
    let taken = (0..100).take_while(|_| mqtt.publish(&image).is_ok()).count();
    assert!((1..100).contains(&taken), "{taken}");
    assert_eq!(mqtt.publish(&image), Err(TransportError::Busy));
    let images = || broker.packets().iter().filter(|p| p.is_publish() && p.topic().ends_with("image")).count();
    let (mut seen, end) = (0, Instant::now() + DEADLINE);
    while seen < taken && Instant::now() < end {
        mqtt.poll(Duration::from_millis(20));
        seen += images();
    }
    assert_eq!(seen, taken);
    mqtt.publish(&image).unwrap();
}

/// rumqttc would keep the message in `pending` and throw it away when the broker says that there was no session.
#[test]
fn unacked_publish_given_back_not_resent_by_link() {
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| match conn.number {
            0 => {
                conn.accept();
                while !conn.read().is_none_or(|p| p.is_publish()) {}
            }
            _ => good(conn),
        });
        let mut mqtt = transport(broker.port, protocol);
        assert_eq!(next(&mut mqtt), Event::Connected);
        mqtt.publish(&message("42")).unwrap();
        assert!(lost(&mut mqtt).contains("closed the connection"));
        assert_eq!(mqtt.publish(&message("42")), Err(TransportError::NotConnected));
        assert_eq!(next(&mut mqtt), Event::Connected);
        let other = mqtt.publish(&message("other")).unwrap();
        assert_eq!(next(&mut mqtt), Event::Acked(other));
        let again = mqtt.publish(&message("42")).unwrap();
        assert_eq!(next(&mut mqtt), Event::Acked(again));
        let sent = broker.packets();
        let on = |n: usize| sent.iter().filter(move |p| p.connection == n && p.is_publish());
        assert!(on(0).next().unwrap().has("42"));
        assert_eq!(on(1).map(|p| p.has("42")).collect::<Vec<_>>(), [false, true]);
    }
}

#[test]
fn acknowledgements_of_something_else_are_none() {
    for protocol in BOTH {
        for wrong in [0u16, 2, 99, 100, 101, 65_535] {
            let broker = FakeBroker::start(move |conn| {
                let Some(version) = conn.accept() else { return };
                if conn.number > 0 {
                    while conn.serve(version) {}
                    return;
                }
                while let Some(packet) = conn.read() {
                    if packet.is_publish() {
                        conn.puback(wrong);
                    }
                }
            });
            let mut mqtt = transport(broker.port, protocol);
            assert_eq!(next(&mut mqtt), Event::Connected);
            mqtt.publish(&message("1")).unwrap();
            lost(&mut mqtt);
            assert_eq!(next(&mut mqtt), Event::Connected);
            let ticket = mqtt.publish(&message("1")).unwrap();
            assert_eq!(next(&mut mqtt), Event::Acked(ticket));
        }
    }
}

/// With two messages under way this is how rumqttc comes to wait for ever.
#[test]
fn a_second_acknowledgement_harms_nothing() {
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| {
            let Some(version) = conn.accept() else { return };
            while let Some(packet) = conn.read() {
                conn.answer(&packet, version);
                conn.answer(&packet, version);
            }
        });
        let mut mqtt = transport(broker.port, protocol);
        let (mut acked, mut connected) = (0, false);
        let end = Instant::now() + DEADLINE;
        while acked < 5 && Instant::now() < end {
            match mqtt.poll(Duration::from_millis(100)) {
                Event::Connected => connected = true,
                Event::Acked(_) => acked += 1,
                Event::Lost(_) => connected = false,
                _ => {}
            }
            if connected {
                let _ = mqtt.publish(&message("1"));
            }
        }
        assert_eq!(acked, 5);
    }
}

#[test]
fn reasons_of_mqtt_5_are_told() {
    for (code, expected) in [
        (0u8, "ack"),
        (16, "ack"),
        (135, "deny"),
        (144, "refuse"),
        (153, "refuse"),
        (128, "lose"),
        (151, "deny"),
        (77, "lose"),
    ] {
        let broker = FakeBroker::start(move |conn| {
            conn.accept();
            while let Some(packet) = conn.read() {
                if packet.is_publish() {
                    let [high, low] = packet.pkid().to_be_bytes();
                    // With a reason string, "no".
                    conn.send(&[0x40, 9, high, low, code, 5, 0x1f, 0, 2, b'n', b'o']);
                }
            }
        });
        let mut mqtt = transport(broker.port, Protocol::V5);
        assert_eq!(next(&mut mqtt), Event::Connected);
        let ticket = mqtt.publish(&message("1")).unwrap();
        match (next(&mut mqtt), expected) {
            (Event::Acked(t), "ack") => assert_eq!(t, ticket),
            (Event::PermanentlyRejected(t, why), "refuse") => {
                assert_eq!(t, ticket);
                assert!(why.ends_with(": no"), "{why}");
                let next_one = mqtt.publish(&message("2"));
                assert!(next_one.is_ok(), "a refused message does not block the next");
            }
            (Event::TemporarilyRejected(t, why), "deny") => {
                assert_eq!(t, ticket);
                assert!(why.contains(": no; ") && why.contains("broker"), "{why}");
                assert!(mqtt.publish(&message("1")).is_ok(), "it can be sent again on this connection");
            }
            (Event::Lost(_), "lose") => {}
            (event, _) => panic!("{code}: {event:?}"),
        }
    }
}

#[test]
fn half_open_connection_ends_in_two_keep_alives() {
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| {
            conn.accept();
            while conn.read().is_some() {}
        });
        let mut mqtt = transport_with(broker.port, protocol, Options::default(), |s| {
            s.keep_alive = Duration::from_secs(1);
            s.silence = Duration::from_secs(2);
        });
        assert_eq!(next(&mut mqtt), Event::Connected);
        let start = Instant::now();
        assert!(lost(&mut mqtt).contains("no longer answers"));
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }
}

#[test]
fn missing_puback_disconnects() {
    let broker = FakeBroker::start(|conn| {
        let Some(version) = conn.accept() else { return };
        while let Some(packet) = conn.read() {
            if !packet.is_publish() {
                conn.answer(&packet, version);
            }
        }
    });
    let mut mqtt = transport_with(broker.port, Protocol::V311, Options::default(), |s| {
        s.keep_alive = Duration::from_secs(1);
        s.silence = Duration::from_secs(2);
    });
    assert_eq!(next(&mut mqtt), Event::Connected);
    mqtt.publish(&message("1")).unwrap();
    assert!(lost(&mut mqtt).contains("does not acknowledge"));
}

#[test]
fn busy_caller_keeps_connection() {
    let broker = FakeBroker::start(good);
    let mut mqtt =
        transport_with(broker.port, Protocol::V311, Options::default(), |s| s.silence = Duration::from_millis(700));
    assert_eq!(next(&mut mqtt), Event::Connected);
    // Not for the sake of timing: the pause is what is tested.
    std::thread::sleep(Duration::from_millis(900));
    let ticket = mqtt.publish(&message("1")).unwrap();
    assert_eq!(next(&mut mqtt), Event::Acked(ticket));
}

#[test]
fn what_cannot_be_sent_is_refused_before() {
    let broker = FakeBroker::start(|conn| {
        conn.read();
        // Maximum packet size 100.
        conn.send(&[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 100]);
        while conn.serve(5) {}
    });
    let mut mqtt = transport(broker.port, Protocol::V5);
    for topic in ["", "a/+", "a\0"] {
        let bad = Message::new(topic, "1", Content::Text);
        assert!(matches!(mqtt.publish(&bad), Err(TransportError::BadTopic { .. })), "{topic:?}");
    }
    let large = Message::new("a", vec![0; 300 << 10], Content::Bytes);
    let error = mqtt.publish(&large).unwrap_err();
    assert!(error.to_string().contains("mqtt.max_packet_out_bytes"), "{error}");
    assert_eq!(next(&mut mqtt), Event::Connected);
    let error = mqtt.publish(&Message::new("a", vec![0; 101], Content::Bytes)).unwrap_err();
    assert!(
        matches!(&error, TransportError::TooLarge { limit: 100, .. }) && error.to_string().contains("broker"),
        "{error}"
    );
    // 1 type, 1 length, 2 + 1 topic, 2 packet id, 1 no properties.
    let largest = Message::new("a", vec![0; 100 - 8], Content::Bytes);
    let ticket = mqtt.publish(&largest).unwrap();
    assert_eq!(next(&mut mqtt), Event::Acked(ticket));
    assert!(broker.packets().iter().filter(|p| p.is_publish()).all(|p| p.body.len() == 98));
}

#[test]
fn a_poll_can_be_ended_from_another_thread() {
    let broker = FakeBroker::start(good);
    let mut mqtt = transport(broker.port, Protocol::V311);
    assert_eq!(next(&mut mqtt), Event::Connected);
    let waker = mqtt.waker();
    let (polled, start) = (std::thread::spawn(move || waker.wake()), Instant::now());
    assert_eq!(mqtt.poll(DEADLINE), Event::Idle);
    assert!(start.elapsed() < DEADLINE);
    polled.join().unwrap();
}

/// The shutdown message could not be sent while a message was under way, and an orderly end then made the broker
/// forget the will.
#[test]
fn broker_without_pubacks_gets_offline_message() {
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| {
            conn.accept();
            while conn.read().is_some_and(|packet| packet.kind() != 14) {}
        });
        let mut transport = transport(broker.port, protocol);
        assert_eq!(next(&mut transport), Event::Connected);
        transport.publish(&message("never acknowledged")).unwrap();
        let start = Instant::now();
        transport.close(&[Message::new("ocr/n/status", "offline", Content::Text)], Duration::from_secs(2));
        assert!(start.elapsed() < DEADLINE);
        let mut events = vec![broker.packet(), broker.packet(), broker.packet()];
        assert!(events.pop().unwrap().has("offline"), "{protocol:?}");
        assert_eq!(broker.packet().kind(), 14, "{protocol:?}: an orderly end");
    }
}

/// Mosquitto's `message_size_limit`: its answer is none that MQTT 5 has for acknowledgements, and rumqttc ends the
/// connection.
#[test]
fn refused_size_is_told_of_the_right_message() {
    let broker = FakeBroker::start(|conn| {
        let Some(version) = conn.accept() else { return };
        while let Some(packet) = conn.read() {
            match packet.is_publish() && packet.has("large") {
                true => conn.send(&[0x40, 4, (packet.pkid() >> 8) as u8, packet.pkid() as u8, 0x95, 0]),
                false => conn.answer(&packet, version),
            }
        }
    });
    let mut mqtt = transport(broker.port, Protocol::V5);
    let told = |why: &str| why.contains("message_size_limit") && why.contains("mqtt.max_packet_out_bytes");
    assert_eq!(next(&mut mqtt), Event::Connected);
    let sent = ["1", "2", "large", "4"].map(|payload| mqtt.publish(&message(payload)).unwrap());
    for ticket in &sent[..2] {
        assert_eq!(next(&mut mqtt), Event::Acked(*ticket));
    }
    match next(&mut mqtt) {
        Event::TooLarge(refused, why) => assert!(refused == sent[2] && told(&why), "{why}"),
        event => panic!("{event:?} instead of a refusal"),
    }
    let why = lost(&mut mqtt);
    assert!(told(&why) && !why.contains("understood"), "{why}");
    assert_eq!(next(&mut mqtt), Event::Connected);
    let ticket = mqtt.publish(&message("4")).unwrap();
    assert_eq!(next(&mut mqtt), Event::Acked(ticket));
    assert_eq!(broker.connections.load(Ordering::SeqCst), 2);
}

/// Of which message it speaks is not known: none is given up.
#[test]
fn disconnect_because_of_size_is_reported_as_such() {
    let broker = FakeBroker::start(|conn| {
        conn.accept();
        while conn.read().is_some_and(|packet| !packet.is_publish()) {}
        conn.send(&[0xe0, 2, 0x95, 0]);
    });
    let mut mqtt = transport(broker.port, Protocol::V5);
    assert_eq!(next(&mut mqtt), Event::Connected);
    mqtt.publish(&message("1")).unwrap();
    let why = lost(&mut mqtt);
    assert!(why.contains("mqtt.max_packet_out_bytes"), "{why}");
}
