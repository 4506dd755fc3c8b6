//! A connection and an outbox that tests command.

use crate::publish::queue::{Entry, Queue};
use crate::publish::transport::{Delivery, Event, Message, Qos, Ticket, Transport, TransportError, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// What a test sees and does of the connection.
#[derive(Default)]
pub(crate) struct Wire {
    pub events: VecDeque<Event>,
    pub up: bool,
    /// What is under way, oldest first.
    pub in_flight: VecDeque<Ticket>,
    /// Messages at least once that may be under way; none is one.
    pub window: usize,
    pub published: Vec<Message>,
    pub subscribed: usize,
    tickets: u64,
    /// Acknowledges what is published by itself.
    pub obliging: bool,
    pub closed: Option<Vec<Message>>,
    /// What the end was given.
    pub close_within: Duration,
}

#[derive(Clone, Default)]
pub(crate) struct FakeTransport(Arc<(Mutex<Wire>, Condvar)>);

impl FakeTransport {
    pub fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.0.lock().unwrap()
    }

    pub fn push(&self, event: Event) {
        let mut wire = self.wire();
        match &event {
            Event::Connected => (wire.up, wire.in_flight) = (true, VecDeque::new()),
            Event::Lost(_) => (wire.up, wire.in_flight) = (false, VecDeque::new()),
            Event::Acked(done)
            | Event::PermanentlyRejected(done, _)
            | Event::TemporarilyRejected(done, _)
            | Event::TooLarge(done, _) => {
                wire.in_flight.retain(|ticket| ticket != done);
            }
            _ => {}
        }
        wire.events.push_back(event);
        self.0.1.notify_all();
    }

    /// What is under way for the longest time.
    pub fn under_way(&self) -> Option<Ticket> {
        self.wire().in_flight.front().copied()
    }

    /// Acknowledges it.
    pub fn ack(&self) {
        self.push(Event::Acked(self.under_way().expect("something under way")));
    }

    /// The broker does not take it now.
    pub fn deny(&self) {
        self.push(Event::TemporarilyRejected(self.under_way().expect("something under way"), "not allowed".into()));
    }

    pub fn payloads(&self) -> Vec<String> {
        self.wire().published.iter().map(|m| String::from_utf8_lossy(&m.payload).into_owned()).collect()
    }
}

impl Transport for FakeTransport {
    fn poll(&mut self, timeout: Duration) -> Event {
        let (wire, condition) = &*self.0;
        let wire = wire.lock().unwrap();
        let (mut wire, _) = condition.wait_timeout_while(wire, timeout, |wire| wire.events.is_empty()).unwrap();
        wire.events.pop_front().unwrap_or(Event::Idle)
    }

    fn publish(&mut self, message: &Message) -> Result<Ticket, TransportError> {
        let mut wire = self.wire();
        if message.payload.len() > 1000 {
            let topic = message.topic.clone();
            return Err(TransportError::TooLarge {
                topic,
                bytes: message.payload.len(),
                limit: 1000,
                remedy: "raise it",
            });
        }
        if !wire.up {
            return Err(TransportError::NotConnected);
        }
        if message.qos == Qos::AtLeastOnce && wire.in_flight.len() >= wire.window.max(1) {
            return Err(TransportError::Busy);
        }
        wire.tickets += 1;
        let ticket = Ticket(wire.tickets);
        wire.published.push(message.clone());
        if message.qos == Qos::AtLeastOnce {
            match wire.obliging {
                true => wire.events.push_back(Event::Acked(ticket)),
                false => wire.in_flight.push_back(ticket),
            }
        }
        Ok(ticket)
    }

    fn subscribe(&mut self, _: &[(String, Qos)]) -> Result<(), TransportError> {
        self.wire().subscribed += 1;
        Ok(())
    }

    fn ack(&mut self, _: &Delivery) {}

    fn close(&mut self, last: &[Message], timeout: Duration) {
        let mut wire = self.wire();
        (wire.closed, wire.close_within) = (Some(last.to_vec()), timeout);
    }

    fn waker(&self) -> Waker {
        let transport = self.clone();
        Waker::new(move || {
            transport.wire().events.push_back(Event::Idle);
            transport.0.1.notify_all();
        })
    }
}

#[derive(Clone, Default)]
pub(crate) struct FakeQueue(Arc<Mutex<(VecDeque<Entry>, usize)>>);

impl Queue for FakeQueue {
    fn next(&mut self, after: u64) -> Option<Entry> {
        self.0.lock().unwrap().0.iter().find(|entry| entry.id > after).cloned()
    }

    fn remove(&mut self, id: u64) {
        self.0.lock().unwrap().0.retain(|entry| entry.id != id);
    }

    fn sync(&mut self) {
        self.0.lock().unwrap().1 += 1;
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().0.len()
    }
}

impl FakeQueue {
    pub fn add(&self, id: u64, bytes: Vec<u8>) {
        self.0.lock().unwrap().0.push_back(Entry { id, bytes });
    }

    pub fn syncs(&self) -> usize {
        self.0.lock().unwrap().1
    }
}
