//! The transport against mosquitto, where that is installed.
#![cfg(unix)]

mod node_support;

use edge_ocr_node::publish::mqtt::{self, MqttConfig, Options, Protocol};
use edge_ocr_node::publish::{
    Content, Entry, Event, Message, Publisher, PublisherConfig, Qos, Queue, RECORD_VERSION, Record, Setup, Transport,
};
use edge_ocr_node::rules::{Reading, Status};
use node_support::Mosquitto;
use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);

fn client(config: &MqttConfig, id: &str, will: Option<Message>) -> Box<dyn Transport> {
    mqtt::connect(config, id, will, Options::default()).unwrap()
}

/// Polls until `wanted` gives something.
fn until<T>(client: &mut dyn Transport, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    let mut seen = Vec::new();
    loop {
        assert!(Instant::now() < end, "{what}: {seen:?}");
        let event = client.poll(Duration::from_millis(100));
        if let Some(found) = wanted(&event) {
            return found;
        }
        if event != Event::Idle {
            seen.push(event);
        }
    }
}

fn connected(client: &mut dyn Transport) {
    until(client, "a connection", |event| (*event == Event::Connected).then_some(()));
}

fn payload_of(event: &Event, topic: &str) -> Option<String> {
    match event {
        Event::Received(delivery) if delivery.topic == topic => Some(String::from_utf8_lossy(&delivery.payload).into()),
        _ => None,
    }
}

#[test]
fn messages_pass_and_a_killed_broker_is_found_again() {
    if !Mosquitto::available() {
        return;
    }
    for protocol in [Protocol::V311, Protocol::V5] {
        let mut broker = Mosquitto::start();
        let mut mqtt = client(&broker.config(protocol), "n1", None);
        connected(mqtt.as_mut());
        for round in ["before", "after"] {
            mqtt.subscribe(&[("t/#".into(), Qos::AtLeastOnce)]).unwrap();
            let message = Message::new("t/1", round, Content::Text);
            let ticket = mqtt.publish(&message).unwrap();
            let (mut acked, mut came) = (false, false);
            until(mqtt.as_mut(), "both ways", |event| {
                acked |= *event == Event::Acked(ticket);
                came |= payload_of(event, "t/1").as_deref() == Some(round);
                (acked && came).then_some(())
            });
            if round == "before" {
                broker.kill();
                until(mqtt.as_mut(), "the loss", |event| matches!(event, Event::Lost(_)).then_some(()));
                broker.restart();
                connected(mqtt.as_mut());
            }
        }
    }
}

#[test]
fn will_published_on_crash_not_on_stop() {
    if !Mosquitto::available() {
        return;
    }
    let broker = Mosquitto::start();
    let status = |text: &str| Message { retain: true, ..Message::new("ocr/n1/status", text, Content::Text) };
    for protocol in [Protocol::V311, Protocol::V5] {
        let mut watcher = client(&broker.config(protocol), "watcher", None);
        connected(watcher.as_mut());
        watcher.subscribe(&[("ocr/n1/status".into(), Qos::AtLeastOnce), ("mark".into(), Qos::AtLeastOnce)]).unwrap();
        for (vanish, expected) in [(true, "offline by will"), (false, "offline by itself")] {
            let mut node = client(&broker.config(protocol), "n1", Some(status("offline by will")));
            connected(node.as_mut());
            let ticket = node.publish(&status("online")).unwrap();
            until(node.as_mut(), "online", |event| (*event == Event::Acked(ticket)).then_some(()));
            if !vanish {
                node.close(&[status("offline by itself")], Duration::from_secs(5));
            }
            drop(node);
            until(watcher.as_mut(), expected, |event| {
                payload_of(event, "ocr/n1/status").filter(|text| text == expected)
            });
            // And nothing after it.
            watcher.publish(&Message::new("mark", "", Content::Bytes)).unwrap();
            until(watcher.as_mut(), "the mark", |event| {
                assert_eq!(payload_of(event, "ocr/n1/status"), None);
                payload_of(event, "mark")
            });
        }
    }
}

#[test]
fn a_wrong_password_is_explained() {
    if !Mosquitto::available() {
        return;
    }
    let broker = Mosquitto::with_config("allow_anonymous false\n");
    for protocol in [Protocol::V311, Protocol::V5] {
        let mut mqtt = client(&broker.config(protocol), "n1", None);
        let why = until(mqtt.as_mut(), "a refusal", |event| match event {
            Event::Lost(why) if !why.contains("nothing takes connections") => Some(why.clone()),
            _ => None,
        });
        assert!(why.contains("not authorised") && why.contains("mqtt.username"), "{why}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn tls_verifies_server_and_sends_client_cert() {
    use edge_ocr_node::publish::mqtt::TlsConfig;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    if !Mosquitto::available() {
        return;
    }
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/support/tls");
    let file = |name: &str| tls.join(name).display().to_string();
    let config = format!(
        "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
        file("ca.pem"),
        file("server.pem"),
        file("server.key")
    );
    let broker = Mosquitto::with_config(&config);
    // A checkout lets everybody read.
    let key = broker.file("client.key");
    fs::copy(tls.join("client.key"), &key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let with = |host: &str, ca: &str, key: Option<PathBuf>| MqttConfig {
        host: host.into(),
        tls: Some(TlsConfig {
            ca_file: Some(tls.join(ca)),
            client_cert_file: key.as_ref().map(|_| tls.join("client.pem")),
            client_key_file: key,
        }),
        ..broker.config(Protocol::V5)
    };
    for protocol in [Protocol::V311, Protocol::V5] {
        let good = MqttConfig { protocol, ..with("localhost", "ca.pem", Some(key.clone())) };
        let mut mqtt = client(&good, "n1", None);
        connected(mqtt.as_mut());
        let ticket = mqtt.publish(&Message::new("t", "secret", Content::Text)).unwrap();
        until(mqtt.as_mut(), "an acknowledgement", |event| (*event == Event::Acked(ticket)).then_some(()));
        for (bad, part) in [
            (with("localhost", "other-ca.pem", Some(key.clone())), "mqtt.tls.ca_file"),
            (with("127.0.0.1", "ca.pem", Some(key.clone())), "mqtt.host"),
            (with("localhost", "ca.pem", None), "mqtt.tls"),
            (MqttConfig { tls: None, ..good.clone() }, "TLS"),
        ] {
            let bad = MqttConfig { protocol, ..bad };
            let mut mqtt = client(&bad, "n2", None);
            let why = until(mqtt.as_mut(), "a refusal", |event| match event {
                Event::Lost(why) => Some(why.clone()),
                Event::Connected => panic!("connected with {bad:?}"),
                _ => None,
            });
            assert!(why.contains(part), "{why}");
        }
    }
    let open = MqttConfig { ..with("localhost", "ca.pem", Some(tls.join("client.key"))) };
    let error = mqtt::connect(&open, "n1", None, Options::default()).err();
    assert!(error.is_none_or(|e| e.to_string().contains("chmod o-r")));
}

/// Passes bytes on to a broker, and cuts each connection after some of them have come back: in the midst of
/// acknowledgements.
fn cutting_proxy(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (number, client) in listener.incoming().flatten().enumerate() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let (mut up, mut up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut up, &mut up_to);
                let _ = up_to.shutdown(Shutdown::Both);
            });
            std::thread::spawn(move || {
                let (mut down, mut down_to) = (server, client);
                // 4 bytes of greeting, then 4 for each acknowledgement.
                let mut left = 4 + 7 * (number + 1);
                let mut bytes = [0; 3];
                while left > 0 {
                    let Ok(count @ 1..) = down.read(&mut bytes) else { break };
                    if down_to.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                    left = left.saturating_sub(count);
                }
                let _ = down.shutdown(Shutdown::Both);
                let _ = down_to.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

#[derive(Clone, Default)]
struct MemoryQueue(Arc<Mutex<VecDeque<Entry>>>);

impl Queue for MemoryQueue {
    fn next(&mut self, after: u64) -> Option<Entry> {
        self.0.lock().unwrap().iter().find(|entry| entry.id > after).cloned()
    }

    fn remove(&mut self, id: u64) {
        self.0.lock().unwrap().retain(|entry| entry.id != id);
    }

    fn sync(&mut self) {}

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn record(seq: u64) -> Vec<u8> {
    let reading = Reading {
        field: "main".into(),
        status: Status::Ok,
        value: None,
        raw: "1".into(),
        confidence: 1.0,
        candidates: Vec::new(),
        rebased: false,
        changed: true,
        rate_per_s: None,
        reason: String::new(),
    };
    let record = Record {
        version: RECORD_VERSION,
        boot_id: "b".into(),
        seq,
        captured_at_ms: i64::MAX,
        time_synced: true,
        reading,
        warnings: Vec::new(),
    };
    postcard::to_allocvec(&record).unwrap()
}

#[test]
fn every_record_arrives_over_connections_that_are_cut() {
    const RECORDS: u64 = 60;
    if !Mosquitto::available() {
        return;
    }
    let broker = Mosquitto::start();
    for protocol in [Protocol::V311, Protocol::V5] {
        let mut watcher = client(&broker.config(protocol), "watcher", None);
        connected(watcher.as_mut());
        watcher.subscribe(&[("state".into(), Qos::AtLeastOnce), ("mark".into(), Qos::AtLeastOnce)]).unwrap();
        watcher.publish(&Message::new("mark", "", Content::Bytes)).unwrap();
        until(watcher.as_mut(), "the subscription", |event| payload_of(event, "mark"));
        let config = MqttConfig {
            port: Some(cutting_proxy(broker.port())),
            backoff_min_ms: 100,
            backoff_max_ms: 100,
            ..broker.config(protocol)
        };
        let queue = MemoryQueue::default();
        queue.0.lock().unwrap().extend((0..RECORDS).map(|seq| Entry { id: seq + 1, bytes: record(seq) }));
        let setup = Setup {
            transport: client(&config, "n1", None),
            queue: Box::new(queue.clone()),
            encode: Box::new(|record: &Record, _: bool, at: i64| {
                Message::new("state", format!("{} {at}", record.seq), Content::Text)
            }),
            boot_id: "b".into(),
            subscriptions: Vec::new(),
            birth: Box::new(Vec::new),
            shutdown_messages: Vec::new(),
            on_change: edge_ocr_node::publish::Waker::new(|| {}),
            clock: Box::new(node_support::wall_ms),
            config: PublisherConfig::default(),
        };
        let (handle, _commands) = Publisher::spawn(setup).unwrap();
        let mut seen: HashMap<u64, String> = HashMap::new();
        until(watcher.as_mut(), "all records", |event| {
            if let Some(text) = payload_of(event, "state") {
                let seq: u64 = text.split(' ').next().unwrap().parse().unwrap();
                // After a lost connection the last ones may come once more.
                assert!(seq <= seen.len() as u64, "{seq} comes before {}", seen.len());
                // What is sent again is the same.
                assert_eq!(seen.entry(seq).or_insert_with(|| text.clone()), &text);
            }
            (seen.len() as u64 == RECORDS).then_some(())
        });
        handle.stop(Duration::from_secs(20));
        let counters = handle.counters();
        assert!(counters.lost >= 5, "{counters:?}");
        assert!(counters.acked <= RECORDS && counters.refused == 0 && counters.undecodable == 0, "{counters:?}");
    }
}
