//! A connection and a reader that tests command.

use super::super::answer::Names;
use super::super::work::work;
use super::super::*;
use super::DEADLINE;
use crate::publish::{Content, Delivery, Event, Message, Qos, Ticket, Transport, TransportError, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Wire {
    pub events: VecDeque<Event>,
    pub up: bool,
    pub in_flight: Option<Ticket>,
    pub tickets: u64,
    pub published: Vec<Message>,
    pub acked: Vec<u64>,
    pub subscribed: Vec<String>,
    /// Results are not acknowledged by themselves.
    pub slow: bool,
    pub closed: bool,
}

#[derive(Clone, Default)]
pub(super) struct Fake(Arc<(Mutex<Wire>, Condvar)>);

impl Fake {
    pub fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.0.lock().unwrap()
    }

    pub fn push(&self, event: Event) {
        let mut wire = self.wire();
        match &event {
            Event::Connected => (wire.up, wire.in_flight) = (true, None),
            Event::Lost(_) => (wire.up, wire.in_flight) = (false, None),
            Event::Acked(_) => wire.in_flight = None,
            _ => {}
        }
        wire.events.push_back(event);
        self.0.1.notify_all();
    }

    pub fn job(&self, id: &str, image: &[u8], token: u64) {
        self.push(Event::Received(Delivery {
            topic: format!("ocr/jobs/{id}"),
            payload: image.to_vec(),
            retain: false,
            duplicate: false,
            response_topic: None,
            correlation: None,
            token,
        }));
    }

    /// Waits until `holds`.
    pub fn until(&self, what: &str, holds: impl Fn(&Wire) -> bool) {
        drop(self.when(what, holds));
    }

    /// The same; nothing goes on while the answer is held.
    pub fn when(&self, what: &str, holds: impl Fn(&Wire) -> bool) -> MutexGuard<'_, Wire> {
        let (wire, timeout) = self.0.1.wait_timeout_while(self.wire(), DEADLINE, |wire| !holds(wire)).unwrap();
        assert!(!timeout.timed_out(), "{what}: {:?}", wire.published);
        wire
    }

    pub fn results(wire: &Wire) -> Vec<(String, String)> {
        let of = |m: &Message| {
            let json: serde_json::Value = serde_json::from_slice(&m.payload).unwrap();
            let status = json.get("code").unwrap_or(&json["status"]);
            (m.topic.clone(), status.as_str().unwrap().to_owned())
        };
        wire.published.iter().filter(|m| m.content == Content::Json).map(of).collect()
    }
}

impl Transport for Fake {
    fn poll(&mut self, timeout: Duration) -> Event {
        let (mut wire, _) =
            self.0.1.wait_timeout_while(self.0.0.lock().unwrap(), timeout, |wire| wire.events.is_empty()).unwrap();
        let event = wire.events.pop_front();
        self.0.1.notify_all();
        event.unwrap_or(Event::Idle)
    }

    fn publish(&mut self, message: &Message) -> Result<Ticket, TransportError> {
        let mut wire = self.wire();
        if message.payload.len() > 2000 {
            let (topic, bytes) = (message.topic.clone(), message.payload.len());
            return Err(TransportError::TooLarge { topic, bytes, limit: 2000, remedy: "raise it" });
        }
        if !wire.up {
            return Err(TransportError::NotConnected);
        }
        if message.qos == Qos::AtLeastOnce && wire.in_flight.is_some() {
            return Err(TransportError::Busy);
        }
        wire.tickets += 1;
        let ticket = Ticket(wire.tickets);
        wire.published.push(message.clone());
        if message.qos == Qos::AtLeastOnce {
            match wire.slow && message.content == Content::Json {
                true => wire.in_flight = Some(ticket),
                false => wire.events.push_back(Event::Acked(ticket)),
            }
        }
        self.0.1.notify_all();
        Ok(ticket)
    }

    fn subscribe(&mut self, filters: &[(String, Qos)]) -> Result<(), TransportError> {
        self.wire().subscribed.extend(filters.iter().map(|(filter, _)| filter.clone()));
        Ok(())
    }

    fn ack(&mut self, delivery: &Delivery) {
        self.wire().acked.push(delivery.token);
        self.0.1.notify_all();
    }

    fn close(&mut self, last: &[Message], _: Duration) {
        let mut wire = self.wire();
        wire.published.extend_from_slice(last);
        wire.closed = true;
        self.0.1.notify_all();
    }

    fn waker(&self) -> Waker {
        let fake = self.clone();
        Waker::new(move || fake.push(Event::Idle))
    }
}

/// Reads `slow` when it is let go, and everything else at once.
#[derive(Clone, Default)]
pub(super) struct FakeReader(Arc<(Mutex<bool>, Condvar)>);

impl FakeReader {
    pub fn release(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

impl Read for FakeReader {
    fn read(&mut self, _: &str, image: &[u8]) -> Result<Vec<u8>, ReadError> {
        match image {
            b"bad" => Err(ReadError::Image("this is no image".into())),
            b"ill" => Err(ReadError::Engine("the engine is ill".into())),
            b"panic" => panic!("boom"),
            b"long" => Ok(format!("\"{}\"", "x".repeat(3000)).into_bytes()),
            b"slow" => {
                let free = self.0.0.lock().unwrap();
                let (_free, timeout) = self.0.1.wait_timeout_while(free, DEADLINE, |free| !*free).unwrap();
                assert!(!timeout.timed_out());
                Ok(b"{}".to_vec())
            }
            _ => Ok(b"{\"lines\":[]}".to_vec()),
        }
    }
}

/// Runs a worker while `test` plays the broker; gives what it counted.
pub(super) fn with_worker(config: WorkerConfig, test: impl FnOnce(&Fake, &FakeReader, &Shutdown)) -> (Counters, Fake) {
    let (fake, reader, stop) = (Fake::default(), FakeReader::default(), Shutdown::default());
    let counters = std::thread::scope(|scope| {
        let (mut transport, read, stop_it) = (fake.clone(), reader.clone(), stop.clone());
        let worker = scope.spawn(move || {
            let names = Names::new("ocr", "w1");
            work(&mut transport, read, &config, &names, &stop_it).unwrap()
        });
        fake.push(Event::Connected);
        test(&fake, &reader, &stop);
        stop.set();
        reader.release();
        worker.join().unwrap()
    });
    (counters, fake)
}
