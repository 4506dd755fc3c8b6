//! What brokers do to us, played by [`FakeBroker`].

mod greeting;
mod incoming;
mod outgoing;
mod window;

use super::fake_broker::{Conn, DEADLINE, FakeBroker};
use super::link::MqttTransport;
use super::*;
use crate::publish::transport::{Content, Event, Qos, Ticket, TransportError};
use proptest::prelude::*;
use std::sync::atomic::Ordering;
use std::time::Instant;

const BOTH: [Protocol; 2] = [Protocol::V311, Protocol::V5];

fn transport_with(
    port: u16,
    protocol: Protocol,
    options: Options,
    change: impl FnOnce(&mut Settings),
) -> MqttTransport {
    let config = MqttConfig { host: "127.0.0.1".into(), port: Some(port), protocol, ..MqttConfig::default() };
    let will = Message { retain: true, ..Message::new("ocr/n/status", "offline", Content::Text) };
    let mut settings = settings(&config, "node-1", Some(will), options).unwrap();
    settings.backoff_ms = [5, 10];
    change(&mut settings);
    MqttTransport::new(settings, protocol).unwrap()
}

fn transport(port: u16, protocol: Protocol) -> MqttTransport {
    transport_with(port, protocol, Options::default(), |_| {})
}

/// Polls until something happens.
fn next(transport: &mut dyn Transport) -> Event {
    let end = Instant::now() + DEADLINE;
    loop {
        match transport.poll(Duration::from_millis(200)) {
            Event::Idle if Instant::now() < end => {}
            event => return event,
        }
    }
}

fn lost(transport: &mut dyn Transport) -> String {
    match next(transport) {
        Event::Lost(why) => why,
        event => panic!("{event:?} instead of a lost connection"),
    }
}

fn message(payload: &str) -> Message {
    Message::new("ocr/n/roi/main/state", payload, Content::Json)
}

/// Accepts, then answers everything.
fn good(conn: &mut Conn) {
    if let Some(version) = conn.accept() {
        while conn.serve(version) {}
    }
}
