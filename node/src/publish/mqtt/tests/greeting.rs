//! How connections begin and end.

use super::*;

#[test]
fn refused_connections_say_what_to_do() {
    for (protocol, answer, part) in [
        (Protocol::V311, &[0x20, 2, 0, 1][..], "mqtt.protocol = \"5\""),
        (Protocol::V311, &[0x20, 2, 0, 2], "mqtt.client_id"),
        (Protocol::V311, &[0x20, 2, 0, 3], "not available"),
        (Protocol::V311, &[0x20, 2, 0, 4], "password"),
        (Protocol::V311, &[0x20, 2, 0, 5], "allow_anonymous"),
        (Protocol::V311, &[0x20, 2, 0, 77], "understood"),
        (Protocol::V5, &[0x20, 3, 0, 134, 0], "password"),
        (Protocol::V5, &[0x20, 3, 0, 135, 0], "not authorised"),
        (Protocol::V5, &[0x20, 3, 0, 132, 0], "mqtt.protocol = \"3.1.1\""),
        (Protocol::V5, &[0x20, 3, 0, 133, 0], "mqtt.client_id"),
        (Protocol::V5, &[0x20, 3, 0, 138, 0], "Banned"),
        (Protocol::V5, &[0x20, 2, 0, 1], "mqtt.protocol = \"3.1.1\""),
        (Protocol::V5, &[0x20, 5, 0, 0, 2, 0x24, 0], "QoS"),
        (Protocol::V311, &[0xd0, 0], "understood"),
        (Protocol::V5, &[0xd0, 0], "understood"),
    ] {
        let broker = FakeBroker::start(move |conn| {
            conn.read();
            conn.send(answer);
        });
        let why = lost(&mut transport(broker.port, protocol));
        assert!(why.contains(part), "{answer:?}: {why}");
        assert!(!why.contains('\n') && why.contains("127.0.0.1"), "{why}");
    }
}

/// MQTT 5, section 3.2.2.3.5: it must refuse a last will that is to be kept.
#[test]
fn a_broker_that_keeps_nothing_is_not_asked_to() {
    for told in [&[0x20, 5, 0, 0, 2, 0x25, 0][..], &[0x20, 3, 0, 0, 0]] {
        let broker = FakeBroker::start(move |conn| {
            let Some(connect) = conn.read() else { return };
            if connect.body[7] & 0x20 != 0 {
                return conn.send(&[0x20, 3, 0, 0x9a, 0]);
            }
            conn.send(told);
            while let Some(packet) = conn.read() {
                match packet.is_publish() && packet.head & 1 != 0 {
                    true => return conn.send(&[0xe0, 2, 0x9a, 0]),
                    false => conn.answer(&packet, 5),
                }
            }
        });
        let mut mqtt = transport(broker.port, Protocol::V5);
        let why = lost(&mut mqtt);
        assert!(why.contains("retain") && !why.contains('\n'), "{why}");
        assert_eq!(next(&mut mqtt), Event::Connected);
        let kept = Message { retain: true, ..message("1") };
        let ticket = mqtt.publish(&kept).unwrap();
        assert_eq!(next(&mut mqtt), Event::Acked(ticket));
    }
    // One that finds out late.
    let broker = FakeBroker::start(|conn| {
        conn.accept();
        while let Some(packet) = conn.read() {
            match packet.is_publish() && packet.head & 1 != 0 {
                true => return conn.send(&[0xe0, 2, 0x9a, 0]),
                false => conn.answer(&packet, 5),
            }
        }
    });
    let mut mqtt = transport(broker.port, Protocol::V5);
    assert_eq!(next(&mut mqtt), Event::Connected);
    let kept = Message { retain: true, ..message("1") };
    mqtt.publish(&kept).unwrap();
    assert!(lost(&mut mqtt).contains("retain"));
    assert_eq!(next(&mut mqtt), Event::Connected);
    let ticket = mqtt.publish(&kept).unwrap();
    assert_eq!(next(&mut mqtt), Event::Acked(ticket));
}

/// MQTT 3.1.1 has no word for it: mosquitto closes the connection.
#[test]
fn broker_without_retain_detected_by_probe() {
    let broker = FakeBroker::start(|conn| {
        let Some(connect) = conn.read() else { return };
        if connect.body[7] & 0x20 != 0 {
            return;
        }
        conn.send(&[0x20, 2, 0, 0]);
        while let Some(packet) = conn.read() {
            match packet.is_publish() && packet.head & 1 != 0 {
                true => return,
                false => conn.answer(&packet, 4),
            }
        }
    });
    let mut mqtt = transport(broker.port, Protocol::V311);
    for part in ["[retain]", "[retain]", "[retain]", "once more", "without asking"] {
        let why = lost(&mut mqtt);
        assert!(why.contains(part) && !why.contains('\n'), "{part}: {why}");
    }
    assert_eq!(next(&mut mqtt), Event::Connected);
    let ticket = mqtt.publish(&Message { retain: true, ..message("1") }).unwrap();
    assert_eq!(next(&mut mqtt), Event::Acked(ticket));
    assert_eq!(broker.connections.load(Ordering::SeqCst), 6);
}

/// One that is away behind a forwarder closes connections too, until it is there again.
#[test]
fn a_broker_that_was_away_is_asked_to_keep() {
    for away in 0..9 {
        let broker = FakeBroker::start(move |conn| match conn.number < away {
            true => drop(conn.read()),
            false => good(conn),
        });
        let mut mqtt = transport(broker.port, Protocol::V311);
        let mut event = next(&mut mqtt);
        while event != Event::Connected {
            event = next(&mut mqtt);
        }
        let connects: Vec<u8> = broker.packets().iter().filter(|p| p.kind() == 1).map(|p| p.body[7] & 0x20).collect();
        assert_eq!(connects.last(), Some(&0x20), "{away}: {connects:?}");
        let trials = connects.iter().filter(|retain| **retain == 0).count();
        assert!(trials <= 1 + away / 2 && (away >= 3 || trials == 0), "{away}: {connects:?}");
    }
}

#[test]
fn nobody_listening_is_explained() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for protocol in BOTH {
        let why = lost(&mut transport(free, protocol));
        assert!(why.contains("listener") && why.contains("mqtt.port"), "{why}");
    }
}

#[test]
fn connack_missing_times_out() {
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| while conn.read().is_some() {});
        let mut mqtt = transport_with(broker.port, protocol, Options::default(), |s| {
            s.connect_timeout = Duration::from_millis(200)
        });
        let start = Instant::now();
        assert!(lost(&mut mqtt).contains("mqtt.connect_timeout_ms"));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn failures_are_followed_by_a_pause() {
    for protocol in BOTH {
        let broker = FakeBroker::start(|conn| {
            conn.accept();
        });
        let mut mqtt = transport_with(broker.port, protocol, Options::default(), |s| s.backoff_ms = [100, 100]);
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            mqtt.poll(end - Instant::now());
        }
        let attempts = broker.connections.load(Ordering::SeqCst);
        assert!((2..=21).contains(&attempts), "{attempts} attempts in a second");
    }
}

#[test]
fn server_keep_alive_zero_sends_no_pings() {
    let broker = FakeBroker::start(|conn| {
        conn.read();
        conn.send(&[0x20, 6, 0, 0, 3, 0x13, 0, 0]);
        while conn.serve(5) {}
    });
    let mut mqtt = transport(broker.port, Protocol::V5);
    assert_eq!(next(&mut mqtt), Event::Connected);
    for i in 0..20 {
        let ticket = mqtt.publish(&message(&i.to_string())).unwrap();
        assert_eq!(next(&mut mqtt), Event::Acked(ticket));
    }
    let pings = broker.packets().iter().filter(|p| p.kind() == 12).count();
    assert!(pings <= 1, "{pings} pings");
}

#[test]
fn connect_has_will_client_id_clean_session() {
    for (protocol, clean) in [(Protocol::V311, 0b1110_1110), (Protocol::V5, 0b1110_1110)] {
        let broker = FakeBroker::start(good);
        let mut mqtt =
            transport_with(broker.port, protocol, Options { receive_maximum: Some(2), ..Options::default() }, |s| {
                s.login = Some(("user".into(), Secret::new("hunter2")));
            });
        assert_eq!(next(&mut mqtt), Event::Connected);
        let connect = broker.packet();
        assert_eq!(connect.kind(), 1);
        // User, password, will retained, at least once, clean.
        assert_eq!(connect.body[7], clean);
        for text in ["node-1", "ocr/n/status", "offline", "user", "hunter2"] {
            assert!(connect.has(text), "{text}");
        }
        assert_eq!(protocol == Protocol::V5, connect.has("\x21\0\x02"), "receive maximum");
    }
}

#[test]
fn shutdown_message_precedes_the_disconnect() {
    for protocol in BOTH {
        let broker = FakeBroker::start(good);
        let mut mqtt = transport(broker.port, protocol);
        assert_eq!(next(&mut mqtt), Event::Connected);
        mqtt.publish(&message("last reading")).unwrap();
        let offline = Message { retain: true, ..Message::new("ocr/n/status", "offline", Content::Text) };
        let hint = Message { qos: Qos::AtMostOnce, ..Message::new("ocr/n/log", "bye", Content::Text) };
        let start = Instant::now();
        mqtt.close(&[offline, hint], DEADLINE);
        assert!(start.elapsed() < DEADLINE);
        let mut kinds = Vec::new();
        while kinds.last() != Some(&14) {
            kinds.push(broker.packet().kind());
        }
        assert_eq!(kinds, [1, 3, 3, 3, 14]);
        assert_eq!(mqtt.poll(Duration::from_millis(1)), Event::Idle);
        assert_eq!(broker.connections.load(Ordering::SeqCst), 1, "no connection after the end");
    }
}

#[test]
fn the_end_does_not_wait_for_a_broker_that_is_silent() {
    let broker = FakeBroker::start(|conn| {
        conn.accept();
        while conn.read().is_some() {}
    });
    let mut mqtt = transport(broker.port, Protocol::V311);
    assert_eq!(next(&mut mqtt), Event::Connected);
    let start = Instant::now();
    mqtt.close(&[message("offline")], Duration::from_millis(300));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let config = MqttConfig::default();
    let error =
        |config: &MqttConfig, id: &str, will| connect(config, id, will, Options::default()).err().unwrap().to_string();
    assert!(error(&config, "", None).contains("mqtt.client_id"));
    assert!(error(&config, "n", Some(Message::new("a/#", "x", Content::Text))).contains("wildcard"));
    assert!(error(&config, "n", Some(Message::new("a", vec![0; 300 << 10], Content::Text))).contains("too large"));
    let secret = MqttConfig { username: Some("u".into()), password_file: Some("/nonexistent/p".into()), ..config };
    assert!(error(&secret, "n", None).contains("mqtt.password_file"));
}
