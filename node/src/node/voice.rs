//! What the node says of itself, as opposed to readings: shared by the node's thread, which knows, and the publisher's, which says it
//! again on every connection, because a broker without persistence has forgotten.

use crate::publish::payload::{self, Info};
use crate::publish::{Encoder, Message, Record, RetainConfig, Topics};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared knowledge of what is to be said on each connection.
#[derive(Clone)]
pub struct Voice(Arc<Mutex<Inner>>);

struct Inner {
    topics: Topics,
    retain: RetainConfig,
    encoder: Encoder,
    /// For standard output.
    printer: Encoder,
    info: Message,
    discovery: Vec<Message>,
    camera_online: bool,
    /// The last reading of each field.
    last: BTreeMap<String, Last>,
}

struct Last {
    record: Record,
    /// Whether it still waits to be said for the first time, which the node does: said here too, it would come as old before it comes as news.
    held: bool,
}

impl Voice {
    /// The voice of a node whose camera has not been asked yet.
    pub fn new(
        topics: Topics,
        retain: RetainConfig,
        [encoder, printer]: [Encoder; 2],
        info: &Info,
        discovery: Vec<Message>,
    ) -> Voice {
        let info = payload::info(&topics, info, &retain, &jiff::tz::TimeZone::system());
        let inner =
            Inner { topics, retain, encoder, printer, info, discovery, camera_online: true, last: BTreeMap::new() };
        Voice(Arc::new(Mutex::new(inner)))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is said first on a connection. `backlog` says that records wait in the outbox: then they tell the fields' states, in
    /// their order, and the last ones are not said before them.
    pub fn birth(&self, backlog: bool, now_ms: i64) -> Vec<Message> {
        let inner = self.inner();
        let mut messages = vec![payload::online(&inner.topics, &inner.retain), inner.info.clone()];
        messages.extend(inner.discovery.iter().cloned());
        messages.push(payload::camera_status(&inner.topics, inner.camera_online, &inner.retain));
        if inner.retain.state && !backlog {
            messages.extend(inner.again(now_ms));
        }
        messages
    }

    /// What is said when Home Assistant has started: discovery, then that the node is there.
    pub fn introduction(&self) -> Vec<Message> {
        let inner = self.inner();
        let mut messages = inner.discovery.clone();
        messages.push(payload::online(&inner.topics, &inner.retain));
        messages.push(payload::camera_status(&inner.topics, inner.camera_online, &inner.retain));
        messages
    }

    /// The last reading of each field, once more.
    pub fn readings(&self, now_ms: i64) -> Vec<Message> {
        self.inner().again(now_ms).collect()
    }

    /// The node is leaving.
    pub fn farewell(&self) -> Vec<Message> {
        let inner = self.inner();
        vec![payload::offline(&inner.topics, &inner.retain)]
    }

    /// Whether the camera gives frames; the message, if that is news.
    pub fn camera(&self, online: bool) -> Option<Message> {
        let mut inner = self.inner();
        (std::mem::replace(&mut inner.camera_online, online) != online)
            .then(|| payload::camera_status(&inner.topics, online, &inner.retain))
    }

    /// A reading as a line of JSON, whatever the payload on MQTT.
    pub fn json(&self, record: &Record, now_ms: i64) -> Vec<u8> {
        self.inner().printer.reading(record, false, now_ms).map(|message| message.payload).unwrap_or_default()
    }

    /// A reading as it is sent; `None` if no topic can have its field's name.
    pub fn record(&self, record: &Record, historical: bool, now_ms: i64) -> Option<Message> {
        self.inner().encoder.reading(record, historical, now_ms).ok()
    }

    /// Remembers a reading as its field's last; `held` until it is [`told`](Self::told).
    pub fn remember(&self, record: &Record, held: bool) {
        let mut inner = self.inner();
        match inner.last.get_mut(&record.reading.field) {
            Some(last) => {
                last.record.clone_from(record);
                last.held = held;
            }
            None => {
                inner.last.insert(record.reading.field.clone(), Last { record: record.clone(), held });
            }
        }
    }

    /// A reading that was held is on its way.
    pub fn told(&self, record: &Record) {
        if let Some(last) = self.inner().last.get_mut(&record.reading.field)
            && last.record.seq == record.seq
        {
            last.held = false;
        }
    }
}

impl Inner {
    fn again(&self, now_ms: i64) -> impl Iterator<Item = Message> {
        let told = self.last.values().filter(|last| !last.held);
        told.filter_map(move |last| self.encoder.reading(&last.record, true, now_ms).ok())
    }
}
