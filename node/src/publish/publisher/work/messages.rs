//! Messages other than records on their way to the connection.

use super::{Given, Publisher, Sent, bytes_of};
use crate::publish::transport::{Message, Qos, TransportError};
use std::time::Instant;

impl Publisher {
    pub(super) fn give(&mut self, message: &Message) -> Given {
        match self.transport.publish(message) {
            Ok(ticket) => {
                self.shared.count(|counters| counters.sent += 1);
                Given::Taken(ticket)
            }
            Err(TransportError::Busy | TransportError::NotConnected) => Given::Later,
            Err(error) => Given::Never(error),
        }
    }

    /// Gives a message that is no record to the transport, unless it would end the connection again.
    pub(super) fn give_volatile(&mut self, message: &Message) -> Given {
        let bytes = bytes_of(message);
        match self.too_large {
            Some((limit, _)) if bytes >= limit => Given::Never(TransportError::TooLarge {
                topic: message.topic.clone(),
                bytes,
                limit: limit - 1,
                remedy: "raise the broker's limit (mosquitto: message_size_limit)",
            }),
            _ => self.give(message),
        }
    }

    /// It is not sent on each connection again, which it would end.
    pub(super) fn volatile_too_large(&mut self, bytes: usize, why: &str) {
        self.refuse_volatile(why);
        self.ended_by_record = true;
        let limit = self.too_large.map_or(bytes, |(limit, _)| limit.min(bytes));
        self.too_large = Some((limit, Instant::now()));
    }

    pub(super) fn drop_volatile(&mut self, error: &TransportError) {
        log::error!("a message is dropped: {error}");
        self.shared.count(|counters| counters.volatile_dropped += 1);
    }

    pub(super) fn send_at_most_once(&mut self) {
        loop {
            let taken = self.shared.latest_messages().take(Qos::AtMostOnce);
            let Some(message) = taken else { return };
            match self.give_volatile(&message) {
                Given::Taken(_) => {}
                Given::Later => return self.shared.latest_messages().put_back(message),
                Given::Never(error) => self.drop_volatile(&error),
            }
        }
    }

    /// One at a time, so that the latest of a topic is sent and not all of them.
    pub(super) fn send_volatile(&mut self) {
        let under_way = self.in_flight.iter().any(|(_, sent)| matches!(sent, Sent::Volatile(_)));
        if under_way || self.in_flight.len() >= self.window() {
            return;
        }
        loop {
            let taken = self.shared.latest_messages().take(Qos::AtLeastOnce);
            let Some(message) = taken else { return };
            match self.give_volatile(&message) {
                Given::Taken(ticket) => {
                    self.in_flight.push_back((ticket, Sent::Volatile(message)));
                    return;
                }
                Given::Later => return self.shared.latest_messages().put_back(message),
                Given::Never(error) => self.drop_volatile(&error),
            }
        }
    }

    pub(super) fn refuse_volatile(&mut self, why: &str) {
        self.log(&format!("a message was refused because {why}"));
        self.shared.count(|counters| counters.volatile_dropped += 1);
    }
}
