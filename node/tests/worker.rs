//! Workers of a fleet on real brokers, started here: rumqttd, and mosquitto where that is installed.
#![cfg(unix)]

mod node_support;

use edge_ocr::config::{Config, Mode};
use edge_ocr_node::publish::mqtt::{self, MqttConfig, Options, Protocol};
use edge_ocr_node::publish::{Content, Event, Message, Qos};
use edge_ocr_node::util::shutdown::Shutdown;
use edge_ocr_node::worker::{self, WorkerConfig};
use node_support::Mosquitto;
use std::collections::{HashMap, HashSet};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(120);
/// After this long without a result a job is sent again.
const RETRY: Duration = Duration::from_secs(5);

/// A broker for both versions; gives the ports. It runs until the test's process ends.
fn broker() -> [u16; 2] {
    let ports = [0, 0].map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let server = |name: &str, port: u16| {
        let connections = rumqttd::ConnectionSettings {
            connection_timeout_ms: 10_000,
            max_payload_size: 2 << 20,
            max_inflight_count: 20,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        };
        let settings = rumqttd::ServerSettings {
            name: name.into(),
            listen: ([127, 0, 0, 1], port).into(),
            tls: None,
            next_connection_delay_ms: 1,
            connections,
        };
        Some(HashMap::from([(name.to_string(), settings)]))
    };
    let router = rumqttd::RouterConfig {
        max_connections: 100,
        max_outgoing_packet_count: 200,
        max_segment_size: 10 << 20,
        max_segment_count: 10,
        ..rumqttd::RouterConfig::default()
    };
    let config = rumqttd::Config {
        id: 0,
        router,
        v4: server("v4", ports[0]),
        v5: server("v5", ports[1]),
        ..rumqttd::Config::default()
    };
    std::thread::spawn(move || {
        let _ = rumqttd::Broker::new(config).start();
    });
    ports
}

fn mqtt(port: u16, protocol: Protocol) -> MqttConfig {
    let host = "127.0.0.1".into();
    MqttConfig { host, port: Some(port), protocol, backoff_min_ms: 100, backoff_max_ms: 200, ..MqttConfig::default() }
}

#[test]
fn jobs_are_spread_by_rumqttd() {
    jobs_are_spread_and_each_has_a_result(broker());
}

#[test]
fn jobs_are_spread_by_mosquitto() {
    if !Mosquitto::available() {
        return;
    }
    let broker = Mosquitto::start();
    jobs_are_spread_and_each_has_a_result([broker.port(); 2]);
}

fn jobs_are_spread_and_each_has_a_result(ports: [u16; 2]) {
    let image = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/digit.png")).unwrap();
    for (protocol, port) in [(Protocol::V311, ports[0]), (Protocol::V5, ports[1])] {
        let base = if protocol == Protocol::V5 { "five" } else { "four" };
        let stop = Shutdown::default();
        let workers = ["w1", "w2"].map(|id| {
            let mut pipeline = Config::default();
            (pipeline.mode, pipeline.threads) = (Mode::Line, 1);
            let config = WorkerConfig {
                id: Some(id.into()),
                base: base.into(),
                mqtt: mqtt(port, protocol),
                pipeline,
                ..WorkerConfig::default()
            };
            let stop = stop.clone();
            std::thread::spawn(move || worker::run(&config, &stop).unwrap())
        });
        let config = mqtt(port, protocol);
        let mut client = mqtt::connect(&config, &format!("client-{base}"), None, Options::default()).unwrap();
        let all = [(format!("{base}/#"), Qos::AtLeastOnce)];
        let end = Instant::now() + DEADLINE;
        let (mut online, mut by) = (HashSet::new(), HashMap::<String, usize>::new());
        let mut wanted: HashSet<String> = (0..8).map(|i| format!("job-{i}")).collect();
        let mut to_send: Vec<String> = Vec::new();
        let (mut up, mut in_flight, mut lost) = (false, false, 0);
        let mut sent_at: Option<Instant> = None;
        while !wanted.is_empty() {
            assert!(Instant::now() < end, "{protocol:?} without a result: {wanted:?} of {online:?}");
            // As a sender should: when both are there, and once more after a time without a result.
            if online.len() == 2 && to_send.is_empty() && sent_at.is_none_or(|at| at.elapsed() > RETRY) {
                to_send = wanted.iter().cloned().collect();
                sent_at = Some(Instant::now());
            }
            if up
                && !in_flight
                && let Some(id) = to_send.pop()
            {
                let payload = if id == "job-3" { b"no image".to_vec() } else { image.clone() };
                client.publish(&Message::new(format!("{base}/jobs/{id}"), payload, Content::Bytes)).unwrap();
                in_flight = true;
            }
            match client.poll(Duration::from_millis(100)) {
                Event::Connected => {
                    up = true;
                    client.subscribe(&all).unwrap();
                }
                Event::Lost(why) => {
                    println!("{protocol:?}: {why}");
                    (up, in_flight) = (false, false);
                    lost += 1;
                }
                Event::Acked(_) => in_flight = false,
                Event::Received(delivery) if delivery.payload == b"online" => {
                    online.insert(delivery.topic);
                }
                Event::Received(delivery) => {
                    let Some(id) = delivery.topic.strip_prefix(&format!("{base}/results/")) else { continue };
                    let json: serde_json::Value = serde_json::from_slice(&delivery.payload).unwrap();
                    assert_eq!(json["job"], id);
                    match id {
                        "job-3" => assert_eq!(json["code"], "bad_picture"),
                        _ => assert_eq!(json["result"]["lines"][0]["text"], "7", "{json}"),
                    }
                    if wanted.remove(id) {
                        *by.entry(json["worker"].as_str().unwrap().to_owned()).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
        println!("{protocol:?}: {by:?}");
        stop.set();
        let done: u64 = workers.into_iter().map(|worker| worker.join().unwrap().done).sum();
        assert!(done >= 7, "{done}");
        // rumqttd now and then closes a connection that did nothing wrong; who is away gets no work.
        assert!(by.len() == 2 || lost > 0, "one worker did everything: {by:?}");
    }
}
