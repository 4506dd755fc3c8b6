//! A bounded queue of messages that keeps only the latest message of each topic.

use crate::publish::transport::{Message, Qos};
use std::collections::VecDeque;

/// The latest message of each topic, oldest first, within bounds.
pub(super) struct LatestMessages {
    waiting: VecDeque<Message>,
    most: usize,
    max_bytes: usize,
}

impl LatestMessages {
    pub(super) fn new(most: usize, max_bytes: usize) -> LatestMessages {
        LatestMessages { waiting: VecDeque::new(), most, max_bytes }
    }

    /// Adds a message in place of an older one of its topic; gives the number of others that were dropped for it.
    pub(super) fn push(&mut self, message: Message) -> u64 {
        match self.waiting.iter_mut().find(|m| m.topic == message.topic) {
            // It keeps its turn, so that a topic that changes all the time is sent all the same.
            Some(older) => *older = message,
            None => self.waiting.push_back(message),
        }
        let mut dropped = 0;
        while self.waiting.len() > self.most || self.bytes() > self.max_bytes {
            self.waiting.pop_front();
            dropped += 1;
        }
        dropped
    }

    /// Returns a message that could not be sent, unless there is a newer one of its topic.
    pub(super) fn put_back(&mut self, message: Message) {
        let known = self.waiting.iter().any(|m| m.topic == message.topic);
        let fits = self.waiting.len() < self.most && self.bytes() + message.payload.len() <= self.max_bytes;
        if !known && fits {
            self.waiting.push_front(message);
        }
    }

    /// The oldest of this quality of service.
    pub(super) fn take(&mut self, qos: Qos) -> Option<Message> {
        let at = self.waiting.iter().position(|m| m.qos == qos)?;
        self.waiting.remove(at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn bytes(&self) -> usize {
        self.waiting.iter().map(|m| m.payload.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::transport::Content;
    use proptest::prelude::*;

    fn message(topic: &str, payload: &str) -> Message {
        Message::new(topic, payload, Content::Text)
    }

    #[test]
    fn the_latest_of_each_topic_in_order_of_the_first() {
        let mut latest_messages = LatestMessages::new(10, 1000);
        for (topic, payload) in [("a", "1"), ("b", "1"), ("a", "2")] {
            assert_eq!(latest_messages.push(message(topic, payload)), 0);
        }
        assert_eq!(latest_messages.take(Qos::AtMostOnce), None);
        assert_eq!(latest_messages.take(Qos::AtLeastOnce), Some(message("a", "2")));
        latest_messages.put_back(message("a", "2"));
        latest_messages.put_back(message("b", "0"));
        assert_eq!(latest_messages.take(Qos::AtLeastOnce), Some(message("a", "2")));
        assert_eq!(
            latest_messages.take(Qos::AtLeastOnce),
            Some(message("b", "1")),
            "a newer one wins over one that comes back"
        );
        assert!(latest_messages.is_empty());
    }

    proptest! {
        #[test]
        fn bounds_hold(pushes in prop::collection::vec((0u8..20, 0usize..40, any::<bool>()), 0..200)) {
            let mut latest_messages = LatestMessages::new(5, 100);
            for (topic, length, back) in pushes {
                let message = Message::new(topic.to_string(), vec![0; length], Content::Bytes);
                match back {
                    true => latest_messages.put_back(message),
                    false => drop(latest_messages.push(message)),
                }
                prop_assert!(latest_messages.waiting.len() <= 5 && latest_messages.bytes() <= 100);
            }
        }
    }
}
