//! Records on their way out of the outbox.
//!
//! They are given to the connection in the order of their ids, several before the first is acknowledged. Within a
//! field, which is a topic, this order is never left: the first record of a field on a connection is alone until it
//! has arrived, so that none overtakes it if it is denied; those of a blocked field are passed over (`blocked`), and
//! looked at again, from the oldest on, when it is free. After a lost connection everything is looked at again, from
//! the oldest that was not acknowledged.

use super::{Cause, Given, Publisher, SUSPICIOUS, Sent, bytes_of};
use crate::publish::queue::Entry;
use crate::publish::record::Record;
use crate::publish::transport::{Message, Qos, TransportError};
use std::time::{Duration, Instant};

/// Records that are passed over before it is looked whether something has happened.
const MAX_PASSED: usize = 100;
/// A broker that does not like a record ends the connection within this time. Later it is the network.
const PROMPT: Duration = Duration::from_secs(10);

/// The message of a record, so that it is the same when it has to be sent again.
pub(super) struct Encoded {
    pub message: Message,
    field: String,
    historical: bool,
    /// Whether it was under way when a connection was lost.
    lost: bool,
}

/// What became of a record that was looked at.
enum Looked {
    /// It is under way, waits for its field, or is given up: on to the next one.
    Done,
    /// Nothing more can be sent now.
    Full,
}

impl Publisher {
    /// Gives records to the connection as long as it takes some. True if there are more to look at.
    pub(super) fn send_records(&mut self) -> bool {
        if self.queue.renumbered() {
            self.forget_ids();
        }
        if self.try_blocked() {
            return false;
        }
        for _ in 0..MAX_PASSED {
            if self.in_flight.len() >= self.window() {
                return false;
            }
            let Some(entry) = self.queue.next(self.cursor) else {
                self.all_looked_at();
                return false;
            };
            let id = entry.id;
            match self.look_at(entry, false) {
                Looked::Done => (self.cursor, self.newest) = (id, self.newest.max(id)),
                Looked::Full => return false,
            }
        }
        true
    }

    /// No id of before names its record any more. What is under way is sent again.
    fn forget_ids(&mut self) {
        for (_, sent) in &mut self.in_flight {
            if matches!(sent, Sent::Record(_)) {
                *sent = Sent::Record(0);
            }
        }
        self.encoded.clear();
        self.blocked.forget_ids();
        self.arrived.clear();
        (self.suspect, self.newest) = (None, 0);
        self.look_again_from(0);
    }

    /// Records from this one on are looked at again.
    fn look_again_from(&mut self, id: u64) {
        self.cursor = self.cursor.min(id.saturating_sub(1));
        self.shared.unsent_from(id);
    }

    fn all_looked_at(&mut self) {
        // Nothing is left between them, and what comes is newer.
        self.cursor = self.cursor.max(self.newest);
        self.blocked.forget_lost();
        self.shared.set_blocked(self.blocked.fields());
        if !self.in_flight.iter().any(|(_, sent)| matches!(sent, Sent::Record(_))) {
            // Of records that were dropped meanwhile.
            self.encoded.clear();
            self.shared.sent_through(self.cursor);
        }
    }

    /// Tries the oldest records of blocked fields again, if it is time. True if nothing else may be sent now.
    fn try_blocked(&mut self) -> bool {
        while let Some((field, first, costly)) = self.blocked.due(Instant::now()) {
            if self.in_flight.len() >= if costly { 1 } else { self.window() } {
                // One that may end the connection is sent alone.
                return costly;
            }
            if self.in_flight.iter().any(|(_, sent)| record_id(sent) == Some(first)) {
                self.blocked.trying(&field);
                continue;
            }
            match self.queue.next(first - 1) {
                Some(entry) if entry.id == first => {
                    if matches!(self.look_at(entry, true), Looked::Full) {
                        return false;
                    }
                    if costly {
                        return true;
                    }
                }
                // The outbox was full.
                _ => {
                    self.blocked.lost_first(&field);
                    self.look_again_from(first);
                }
            }
        }
        false
    }

    /// `again` says that it is the oldest of a blocked field, which is to be tried.
    fn look_at(&mut self, entry: Entry, again: bool) -> Looked {
        let id = entry.id;
        if self.in_flight.iter().any(|(_, sent)| record_id(sent) == Some(id)) {
            return Looked::Done;
        }
        let record = match Record::decode(&entry.bytes) {
            Ok(record) => record,
            Err(reason) => {
                log::error!(
                    "record {id} of the outbox is dropped because {reason}; it is of another version or damaged"
                );
                self.queue.remove(id);
                self.shared.count(|counters| counters.undecodable += 1);
                return Looked::Done;
            }
        };
        let field = record.reading.field.clone();
        if !again && self.blocked.holds_all(&field) {
            self.blocked.found(&field, id);
            return Looked::Done;
        }
        if !again && !self.open_fields.contains(&field) && self.is_under_way(&field) {
            return Looked::Full;
        }
        let message = self.message_of(id, &record);
        let bytes = bytes_of(&message);
        if !again && self.blocked.holds(&field, bytes) {
            self.encoded.remove(&id);
            self.blocked.found(&field, id);
            return Looked::Done;
        }
        match self.give(&message) {
            Given::Taken(ticket) => {
                if self.encoded.get(&id).is_some_and(|encoded| encoded.lost) {
                    self.shared.count(|counters| counters.sent_again += 1);
                }
                self.in_flight.push_back((ticket, Sent::Record(id)));
                self.sent_at = Instant::now();
                if again {
                    self.blocked.trying(&field);
                }
                return Looked::Done;
            }
            Given::Later => {
                // When it is sent is not known yet.
                if self.encoded.get(&id).is_some_and(|encoded| !encoded.lost) {
                    self.encoded.remove(&id);
                }
                return Looked::Full;
            }
            Given::Never(error @ TransportError::TooLarge { .. }) => {
                self.block(id, Cause::TooLarge, &error.to_string());
            }
            Given::Never(error) => self.refuse_record(id, &error.to_string()),
        }
        Looked::Done
    }

    /// Whether a record of a field is under way.
    fn is_under_way(&self, field: &str) -> bool {
        self.in_flight.iter().any(|(_, sent)| match sent {
            Sent::Record(id) => self.encoded.get(id).is_some_and(|encoded| encoded.field == field),
            _ => false,
        })
    }

    /// The record is durable before it is sent: otherwise a power cut could give its number to another.
    fn message_of(&mut self, id: u64, record: &Record) -> Message {
        let now = (self.clock)();
        // Numbers of another run say nothing.
        let late = record.boot_id != self.boot_id || self.shared.age_tracker().is_late(record, now, Instant::now());
        let field = &record.reading.field;
        // The broker keeps the latest of a field, which this one is not any more.
        let passed = self.arrived.get(field).is_some_and(|newest| *newest > id);
        let before = self.encoded.get_mut(&id);
        let lost = before.as_ref().is_some_and(|encoded| encoded.lost);
        if let Some(encoded) = before
            // The same once more, so that consumers see it is the same; but not as news when it is none.
            && (encoded.historical || !late)
        {
            encoded.message.retain &= !passed;
            return encoded.message.clone();
        }
        if !lost {
            self.queue.sync();
        }
        let mut message = self.encode.encode(record, late, now);
        message.qos = Qos::AtLeastOnce;
        message.retain &= !passed;
        let encoded = Encoded { message: message.clone(), field: field.clone(), historical: late, lost };
        self.encoded.insert(id, encoded);
        message
    }

    pub(super) fn refuse_record(&mut self, id: u64, why: &str) {
        log::error!("record {id} of the outbox is given up: {why}");
        self.queue.remove(id);
        self.encoded.remove(&id);
        self.cautious = false;
        self.shared.count(|counters| counters.refused += 1);
    }

    /// The record and those of its field, or the large ones of them, stay where they are.
    pub(super) fn block(&mut self, id: u64, cause: Cause, why: &str) {
        self.ended_by_record |= matches!(cause, Cause::Closed | Cause::TooLargeClosed);
        if matches!(cause, Cause::Rejected | Cause::TooLargeClosed) {
            // It was answered, and that is what a connection is judged by.
            (self.unproductive_connections, self.cautious) = (0, false);
        }
        let Some(Encoded { message, field, .. }) = self.encoded.remove(&id) else { return };
        let bytes = bytes_of(&message);
        self.open_fields.remove(&field);
        if self.blocked.block(&field, id, bytes, cause, self.largest_arrived, Instant::now()) {
            let others = match self.blocked.holds_all(&field) {
                true => "all later ones for this topic",
                false => "later ones for this topic that are as large",
            };
            log::error!(
                "record {id} for {} and {others} wait in the outbox because {why}; they are sent as soon as \
                 the broker takes it",
                message.topic
            );
        }
        self.shared.set_blocked(self.blocked.fields());
    }

    pub(super) fn record_arrived(&mut self, id: u64) {
        (self.unproductive_connections, self.cautious, self.suspect) = (0, false, None);
        self.shared.count(|counters| counters.acked += 1);
        self.queue.remove(id);
        let Some(Encoded { message, field, .. }) = self.encoded.remove(&id) else { return };
        let bytes = bytes_of(&message);
        self.largest_arrived = self.largest_arrived.max(bytes);
        let newest = self.arrived.entry(field.clone()).or_default();
        *newest = id.max(*newest);
        if let Some(logged) = self.blocked.arrived(&field, id, bytes) {
            self.look_again_from(id);
            self.shared.set_blocked(self.blocked.fields());
            if logged {
                log::info!("record {id} for {} has arrived, and those that waited behind it follow", message.topic);
            }
            if std::mem::take(&mut self.birth_denied) {
                self.birth = (self.make_birth)().into();
            }
        }
        self.open_fields.insert(field);
    }

    /// The connection ended, perhaps because of what was under way.
    pub(super) fn records_lost(&mut self) {
        let ids: Vec<u64> = self.in_flight.iter().filter_map(|(_, sent)| record_id(sent)).collect();
        for id in &ids {
            if let Some(encoded) = self.encoded.get_mut(id) {
                encoded.lost = true;
            }
        }
        self.suspect = match (ids.as_slice(), self.in_flight.len()) {
            (&[id], 1) if self.sent_at.elapsed() < PROMPT => {
                let before = self.suspect.filter(|(suspect, _)| *suspect == id).map_or(0, |(_, losses)| losses);
                let field = self.encoded.get(&id).map(|encoded| encoded.field.clone()).unwrap_or_default();
                let losses = if self.blocked.is_costly(&field, id) { SUSPICIOUS } else { before + 1 };
                if losses >= SUSPICIOUS {
                    let bytes = self.encoded.get(&id).map_or(0, |encoded| encoded.message.payload.len());
                    let why = format!(
                        "{losses} connections were lost while nothing else was under way; check that the broker allows \
                         its topic and its {bytes} bytes"
                    );
                    self.block(id, Cause::Closed, &why);
                    None
                } else {
                    Some((id, losses))
                }
            }
            // Nothing is learnt about it.
            (&[], _) => self.suspect,
            _ => None,
        };
        self.cautious |= !ids.is_empty();
        self.cursor = 0;
        self.open_fields.clear();
    }
}

fn record_id(sent: &Sent) -> Option<u64> {
    match sent {
        Sent::Record(id) => Some(*id),
        Sent::Birth(_) | Sent::Volatile(_) => None,
    }
}
