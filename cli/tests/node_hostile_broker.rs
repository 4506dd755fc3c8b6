//! A broker that is broken or means ill: the node goes on, its memory is bounded, and its log is not flooded.
#![cfg(all(feature = "node", unix))]

mod node_support;

use node_support::child::{Program, node_config};
use node_support::{Mosquitto, SOON, Subscriber, full, wait_for};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// More than a node takes in peace.
const MAX_BYTES: u64 = 64 << 20;
const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

/// What is done with a connection. Ends when the writing fails or the flag says so.
type Play = fn(&mut TcpStream, &AtomicBool) -> Option<()>;

struct Broker {
    port: u16,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    fn start(play: Play) -> Broker {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (connections, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let thread = std::thread::spawn({
            let (connections, stop) = (connections.clone(), stop.clone());
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                    connections.fetch_add(1, Ordering::AcqRel);
                    let stop = stop.clone();
                    std::thread::spawn(move || {
                        let mut stream = stream.ok()?;
                        stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
                        stream.set_write_timeout(Some(Duration::from_secs(2))).ok()?;
                        play(&mut stream, &stop)
                    });
                }
            }
        });
        Broker { port, connections, stop, thread: Some(thread) }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Type and flags of the next packet, and its body.
fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    let (first, mut length, mut shift) = (byte[0], 0usize, 0);
    loop {
        stream.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 127) << shift;
        shift += 7;
        if byte[0] < 128 || shift > 21 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first, body))
}

fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x30];
    let mut length = 2 + topic.len() + payload.len();
    while length > 127 {
        packet.push((length & 127) as u8 | 128);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// A broker that works, for a while.
fn greet(stream: &mut TcpStream) -> Option<()> {
    packet(stream)?;
    stream.write_all(&CONNACK).ok()
}

/// Answers what has to be answered, and gives its kind.
fn serve(stream: &mut TcpStream) -> Option<u8> {
    let (first, body) = packet(stream)?;
    match first >> 4 {
        3 if first & 6 == 2 => {
            let at = 2 + usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
            stream.write_all(&[0x40, 2, *body.get(at)?, *body.get(at + 1)?]).ok()?;
        }
        8 => {
            let (mut at, mut count) = (2, 0);
            while at + 2 < body.len() {
                at += 3 + usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
                count += 1;
            }
            stream.write_all(&[0x90, 2 + count, body[0], body[1]]).ok()?;
            stream.write_all(&vec![1; usize::from(count)]).ok()?;
        }
        12 => stream.write_all(&[0xd0, 0]).ok()?,
        _ => {}
    }
    Some(first >> 4)
}

fn again(stream: &mut TcpStream, stop: &AtomicBool, bytes: &[u8]) -> Option<()> {
    while !stop.load(Ordering::Acquire) {
        stream.write_all(bytes).ok()?;
    }
    None
}

const PLAYS: [(&str, Play); 20] = [
    ("closes at once", |_, _| None),
    ("says nothing", |stream, stop| {
        while !stop.load(Ordering::Acquire) && !matches!(stream.read(&mut [0; 64]), Ok(0)) {}
        None
    }),
    ("HTTP", |stream, _| stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").ok()),
    ("noise for ever", |stream, stop| {
        let noise: Vec<u8> = (0u32..65_536).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        again(stream, stop, &noise)
    }),
    ("zeros for ever", |stream, stop| again(stream, stop, &[0; 65_536])),
    ("0xff for ever", |stream, stop| again(stream, stop, &[0xff; 65_536])),
    ("an endless greeting", |stream, stop| {
        packet(stream)?;
        again(stream, stop, &CONNACK.repeat(1000))
    }),
    ("a greeting by bytes", |stream, stop| {
        packet(stream)?;
        for byte in [0x20, 0x82, 0x80, 0x80, 0x80, 0x80] {
            stream.write_all(&[byte]).ok()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        again(stream, stop, &[0x80])
    }),
    ("an unknown refusal", |stream, _| {
        packet(stream)?;
        stream.write_all(&[0x20, 2, 0, 77]).ok()
    }),
    ("a huge packet is announced", |stream, stop| {
        greet(stream)?;
        stream.write_all(&[0x30, 0xff, 0xff, 0xff, 0x7f]).ok()?;
        again(stream, stop, &[b'x'; 65_536])
    }),
    ("a length without end", |stream, stop| {
        greet(stream)?;
        stream.write_all(&[0x30, 0xff, 0xff, 0xff, 0xff, 0xff]).ok()?;
        again(stream, stop, &[0xff; 64])
    }),
    ("a topic longer than its packet", |stream, _| {
        greet(stream)?;
        stream.write_all(&[0x30, 4, 0xff, 0xff, b'a', b'b']).ok()
    }),
    ("a topic that is no text", |stream, _| {
        greet(stream)?;
        stream.write_all(&[0x30, 5, 0, 3, 0xff, 0xfe, 0xfd]).ok()
    }),
    ("acknowledgements of nothing", |stream, stop| {
        greet(stream)?;
        let acks: Vec<u8> = (0u16..1000).flat_map(|id| [0x40, 2, (id >> 8) as u8, id as u8]).collect();
        again(stream, stop, &acks)
    }),
    ("other acknowledgements", |stream, stop| {
        greet(stream)?;
        again(stream, stop, &[0x50, 2, 0, 1, 0x62, 2, 0, 1, 0x70, 2, 0, 1, 0x90, 3, 0, 1, 0x80, 0xb0, 2, 0, 1])
    }),
    ("what only clients send", |stream, stop| {
        greet(stream)?;
        again(stream, stop, &[0x10, 0, 0x82, 5, 0, 1, 0, 0, 0, 0xc0, 0, 0xe0, 0])
    }),
    ("no acknowledgement", |stream, stop| {
        greet(stream)?;
        while !stop.load(Ordering::Acquire) {
            if stream.read(&mut [0; 4096]).is_ok_and(|length| length == 0) {
                return None;
            }
        }
        None
    }),
    ("it closes after every reading", |stream, _| {
        greet(stream)?;
        // Status, description and camera come before.
        for _ in 0..6 {
            serve(stream)?;
        }
        None
    }),
    ("commands without end", |stream, stop| {
        greet(stream)?;
        while serve(stream)? != 8 {}
        let flood = [
            publish("ocr/n/cmd/read", b"{\"transaction\": 1}"),
            publish("ocr/n/cmd/read", b"nonsense"),
            publish("ocr/n/cmd/image", b""),
            publish("ocr/n/cmd/set_value", b"{}"),
            publish("ocr/n/cmd/reload", b"[]"),
            publish(&format!("ocr/n/cmd/{}", "x".repeat(10_000)), b""),
        ]
        .concat();
        again(stream, stop, &flood)
    }),
    ("messages of other topics without end", |stream, stop| {
        greet(stream)?;
        while serve(stream)? != 8 {}
        let mut number = 0u64;
        while !stop.load(Ordering::Acquire) {
            number += 1;
            stream.write_all(&publish(&format!("other/{number}"), &[b'y'; 100_000])).ok()?;
        }
        None
    }),
];

#[test]
fn nonsense_is_borne() {
    let time = Duration::from_secs(if full() { 60 } else { 6 });
    // At the same time: most of it is waiting.
    let scenes: Vec<_> = PLAYS
        .into_iter()
        .map(|(name, play)| {
            let (dir, broker) = (tempfile::tempdir().expect("a folder"), Broker::start(play));
            let state = dir.path().join("state");
            let more = format!(
                "[trigger]\ninterval_s = 0.5\n[node]\nstate_dir = {:?}\nstats_interval_s = 1\n[discovery]\nenabled = true",
                state.to_str().expect("UTF-8")
            );
            node_config(dir.path(), broker.port, &more);
            let node = Program::node(dir.path());
            (name, dir, broker, node)
        })
        .collect();
    let start = Instant::now();
    wait_for(time, || start.elapsed() >= time);
    let mut wrong = Vec::new();
    for (name, dir, broker, mut node) in scenes {
        let (now, most) = node.memory();
        let (lines, bytes) = node.said();
        let connections = broker.connections.load(Ordering::Acquire);
        println!(
            "{name}: {connections} connections, {} MB, at most {} MB, {lines} lines of {bytes} bytes",
            now >> 20,
            most >> 20
        );
        let (said, runs) = (node.lines(), node.runs());
        let mut complain = |what: &str| wrong.push(format!("{name}: {what}: {:#?}", &said[..lines.min(20)]));
        if connections == 0 {
            complain("it did not connect");
        }
        if most > MAX_BYTES {
            complain("too much memory");
        }
        // A line for each kind of trouble, and again after ten seconds or ten minutes.
        if lines > 10 + 3 * time.as_secs() as usize / 10 || bytes > 20_000 {
            complain("a flood of lines");
        }
        if said.iter().any(|line| line.contains("panicked")) {
            complain("a panic");
        }
        if !runs {
            complain("it ended");
            continue;
        }
        // Another broker, a good one, would be welcome; the node is as healthy as before.
        node.signal(Signal::TERM);
        let code = node.exit_code(Duration::from_secs(20));
        if code != Some(0) {
            wrong.push(format!("{name}: it does not stop: {code:?}"));
        }
        drop((broker, dir));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A good broker at the same address is used as soon as it is there.
#[test]
fn a_good_broker_after_a_bad_one() {
    if !Mosquitto::available() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let good = Mosquitto::start();
    let listener = Subscriber::new(good.port(), &["#"]);
    let bad = Broker::start(PLAYS[3].1);
    // The broker's name leads to the bad one first.
    let proxy = node_support::Proxy::to(bad.port);
    node_config(dir.path(), proxy.port(), "");
    let mut node = Program::node(dir.path());
    assert!(wait_for(SOON, || bad.connections.load(Ordering::Acquire) >= 3));
    assert!(node.runs());
    // By a new configuration, as a user would.
    node_config(dir.path(), good.port(), "");
    node.signal(Signal::HUP);
    assert!(listener.last("ocr/n/field/a/state").is_some(), "{:#?}", node.lines());
    let first: serde_json::Value = serde_json::from_str(&listener.texts("ocr/n/field/a/state")[0]).expect("JSON");
    assert!(first["seq"] == 0 && first["historical"] == true, "what was read before is not lost: {first}");
}
