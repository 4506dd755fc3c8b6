//! Records on their way out of the outbox.

use super::{Given, Publisher, Sent};
use crate::publish::queue::Entry;
use crate::publish::record::{RECORD_VERSION, Record};
use crate::publish::transport::{Message, Qos};
use std::time::Instant;

/// The message of the record that was sent last, so that it is the same when it has to be sent again.
pub(super) struct Encoded {
    pub id: u64,
    pub message: Message,
    historical: bool,
    /// Connections lost while it was under way.
    pub losses: u32,
}

impl Publisher {
    pub(super) fn send_record(&mut self) {
        while let Some(entry) = self.queue.peek() {
            let id = entry.id;
            if self.held.holds(id, Instant::now()) {
                return;
            }
            let Some(message) = self.message_of(entry) else {
                self.queue.remove(id);
                self.shared.count(|counters| counters.undecodable += 1);
                continue;
            };
            match self.give(&message) {
                Given::Taken(ticket) => {
                    if self.encoded.as_ref().is_some_and(|encoded| encoded.losses > 0) {
                        self.shared.count(|counters| counters.sent_again += 1);
                    }
                    self.in_flight = Some((ticket, Sent::Record(id)));
                    return;
                }
                Given::Later => return,
                Given::Never(error) => self.refuse_record(id, &error.to_string()),
            }
        }
    }

    /// `None` if the entry is no record. It is durable before it is sent: otherwise a power cut could give its number to another.
    fn message_of(&mut self, entry: Entry) -> Option<Message> {
        let record = match decode(&entry.bytes) {
            Ok(record) => record,
            Err(reason) => {
                log::error!(
                    "record {} of the outbox is dropped because {reason}; it is of another version or damaged",
                    entry.id
                );
                return None;
            }
        };
        let now = (self.clock)();
        // Numbers of another run say nothing.
        let late = record.boot_id != self.boot_id || self.shared.ages().is_late(&record, now, Instant::now());
        if let Some(encoded) = self.encoded.as_ref().filter(|encoded| encoded.id == entry.id)
            // The same once more, so that consumers see it is the same; but not as news when it is none.
            && (encoded.historical || !late)
        {
            return Some(encoded.message.clone());
        }
        let losses = match &self.encoded {
            Some(encoded) if encoded.id == entry.id => encoded.losses,
            _ => {
                self.queue.sync();
                0
            }
        };
        let mut message = self.encode.encode(&record, late, now);
        message.qos = Qos::AtLeastOnce;
        self.encoded = Some(Encoded { id: entry.id, message: message.clone(), historical: late, losses });
        Some(message)
    }

    pub(super) fn refuse_record(&mut self, id: u64, why: &str) {
        log::error!("record {id} of the outbox is given up: {why}");
        self.queue.remove(id);
        self.encoded = None;
        self.shared.count(|counters| counters.refused += 1);
    }

    /// It stays where it is, so that the order does.
    pub(super) fn hold_record(&mut self, id: u64, why: &str) {
        // It was answered, and that is what a connection is judged by.
        self.barren = 0;
        if self.held.deny(id, Instant::now()) {
            let topic = self.encoded.as_ref().map_or("", |encoded| &encoded.message.topic);
            log::error!(
                "record {id} for {topic} and the {} behind it wait in the outbox because {why}; they are sent as soon as the broker takes it",
                self.queue.len().saturating_sub(1)
            );
        }
    }

    pub(super) fn record_arrived(&mut self, id: u64) {
        self.queue.remove(id);
        self.encoded = None;
        self.barren = 0;
        self.shared.count(|counters| counters.acked += 1);
        if self.held.release() {
            log::info!("record {id} has arrived, and those that waited behind it follow");
            if std::mem::take(&mut self.birth_denied) {
                self.birth = (self.make_birth)().into();
            }
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Record, String> {
    // The version comes first, so that a later form is recognised whatever follows.
    match bytes.first() {
        None => Err("it is empty".into()),
        Some(&version) if version != RECORD_VERSION => {
            Err(format!("its version is {version} and not {RECORD_VERSION}"))
        }
        Some(_) => postcard::from_bytes(bytes).map_err(|e| format!("decoding it failed ({e})")),
    }
}
