//! Messages about the node itself, as opposed to new readings. The node's thread updates them, and the publisher's
//! thread sends them again on every connection, because a broker without persistence has forgotten them.

use crate::publish::payload::{self, Info};
use crate::publish::{Encoder, Message, Record, RetainConfig, Topics};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The state from which these messages are made, shared by both threads.
#[derive(Clone)]
pub struct Announcements(Arc<Mutex<Inner>>);

struct Inner {
    topics: Topics,
    retain: RetainConfig,
    encoder: Encoder,
    /// For standard output.
    stdout_encoder: Encoder,
    info: Message,
    discovery: Vec<Message>,
    /// Clears the readings of fields that there are no longer.
    gone: Vec<Message>,
    camera_online: bool,
    /// The last reading of each field.
    last: BTreeMap<String, Last>,
}

struct Last {
    record: Record,
    /// Whether the node has not published it yet. Republished here, it would arrive as historical before it arrives
    /// as new.
    deferred: bool,
}

impl Announcements {
    /// For a node whose camera has not been used yet.
    pub fn new(
        topics: Topics,
        retain: RetainConfig,
        [encoder, stdout_encoder]: [Encoder; 2],
        info: &Info,
        discovery: Vec<Message>,
        gone: Vec<Message>,
    ) -> Announcements {
        let info = payload::info(&topics, info, &retain, &jiff::tz::TimeZone::system());
        let inner = Inner {
            topics,
            retain,
            encoder,
            stdout_encoder,
            info,
            discovery,
            gone,
            camera_online: true,
            last: BTreeMap::new(),
        };
        Announcements(Arc::new(Mutex::new(inner)))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first messages on a connection. With `backlog`, records wait in the outbox: they carry the fields' states,
    /// in their order, so the last readings are not sent before them.
    pub fn birth_messages(&self, backlog: bool, now_ms: i64) -> Vec<Message> {
        let inner = self.inner();
        let mut messages = vec![payload::online(&inner.topics, &inner.retain), inner.info.clone()];
        messages.extend(inner.discovery.iter().chain(&inner.gone).cloned());
        messages.push(payload::camera_status(&inner.topics, inner.camera_online, &inner.retain));
        if inner.retain.state && !backlog {
            messages.extend(inner.republished(now_ms));
        }
        messages
    }

    /// The messages for a Home Assistant that has started: discovery, then availability.
    pub fn discovery_messages(&self) -> Vec<Message> {
        let inner = self.inner();
        let mut messages = inner.discovery.clone();
        messages.push(payload::online(&inner.topics, &inner.retain));
        messages.push(payload::camera_status(&inner.topics, inner.camera_online, &inner.retain));
        messages
    }

    /// The last reading of each field, once more.
    pub fn readings(&self, now_ms: i64) -> Vec<Message> {
        self.inner().republished(now_ms).collect()
    }

    /// The last messages on a connection: the node is offline.
    pub fn shutdown_messages(&self) -> Vec<Message> {
        let inner = self.inner();
        vec![payload::offline(&inner.topics, &inner.retain)]
    }

    /// Sets whether the camera gives frames. Returns a message if that has changed.
    pub fn camera(&self, online: bool) -> Option<Message> {
        let mut inner = self.inner();
        (std::mem::replace(&mut inner.camera_online, online) != online)
            .then(|| payload::camera_status(&inner.topics, online, &inner.retain))
    }

    /// A reading as a line of JSON, whatever the payload on MQTT.
    pub fn json(&self, record: &Record, now_ms: i64) -> Vec<u8> {
        self.inner().stdout_encoder.reading(record, false, now_ms).map(|message| message.payload).unwrap_or_default()
    }

    /// A reading as it is sent; `None` if no topic can have its field's name.
    pub fn record(&self, record: &Record, historical: bool, now_ms: i64) -> Option<Message> {
        self.inner().encoder.reading(record, historical, now_ms).ok()
    }

    /// Remembers a reading as its field's last; `deferred` until it is [`mark_published`](Self::mark_published).
    pub fn remember(&self, record: &Record, deferred: bool) {
        let mut inner = self.inner();
        match inner.last.get_mut(&record.reading.field) {
            Some(last) => {
                last.record.clone_from(record);
                last.deferred = deferred;
            }
            None => {
                inner.last.insert(record.reading.field.clone(), Last { record: record.clone(), deferred });
            }
        }
    }

    /// A deferred reading has been published.
    pub fn mark_published(&self, record: &Record) {
        if let Some(last) = self.inner().last.get_mut(&record.reading.field)
            && last.record.seq == record.seq
        {
            last.deferred = false;
        }
    }
}

impl Inner {
    fn republished(&self, now_ms: i64) -> impl Iterator<Item = Message> {
        let published = self.last.values().filter(|last| !last.deferred);
        published.filter_map(move |last| self.encoder.reading(&last.record, true, now_ms).ok())
    }
}
