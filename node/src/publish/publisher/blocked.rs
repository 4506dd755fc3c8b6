//! Fields whose records the broker does not take now, though it could: because of its access list, a quota, or their
//! size.
//!
//! Each field has a topic of its own, and order holds per topic. So the records of a blocked field wait in the outbox,
//! all of them or those of a certain size and more, while those of the other fields are sent. Now and then the oldest
//! one is tried again.

use super::work::REPEAT_LOG;
use crate::util::retry::Retry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// First and longest pause before a record that was denied is tried again, which costs nothing; each is twice the last
/// one.
const DENIED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// First and longest pause before a record is tried again where a try ends the connection.
const CLOSED: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(600));

/// Why a record is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The broker answered that this client may not publish to the topic now.
    Rejected,
    /// The transport knows that it is too large for this connection.
    TooLarge,
    /// The broker ended the connection because of its size, and said so.
    TooLargeClosed,
    /// The broker ended several connections without a word while nothing but it was under way.
    Closed,
}

/// The blocked fields, by name.
#[derive(Default)]
pub(super) struct Blocked {
    fields: BTreeMap<String, Block>,
    /// When it was last logged of a field that it is blocked.
    logged: BTreeMap<String, Instant>,
}

struct Block {
    /// The oldest record that waits; 0 if that one was dropped and the next is not known yet.
    first: u64,
    /// Records of at least so many bytes wait: 0 for all.
    min_bytes: usize,
    /// When `first` may be tried again.
    retry: Retry,
    /// Whether a try ends the connection.
    costly: bool,
    /// Whether `first` is under way.
    trying: bool,
    /// Whether a smaller record of the field has arrived since: its topic is allowed, so size was the cause.
    passed: bool,
    logged: bool,
}

impl Block {
    /// Whether its oldest record is known and not under way.
    fn is_ready(&self) -> bool {
        self.first > 0 && !self.trying
    }
}

impl Blocked {
    /// Record `id` of `bytes` bytes was not taken. True if that is to be logged: once for each field, then at most
    /// every 10 min.
    ///
    /// If a record ends connections without a word, its size or its topic may be the cause. It was its size if no
    /// message as large ever arrived (`largest_arrived`) and smaller ones of its field do; otherwise it was the topic.
    pub fn block(
        &mut self,
        field: &str,
        id: u64,
        bytes: usize,
        cause: Cause,
        largest_arrived: usize,
        now: Instant,
    ) -> bool {
        let before = self.fields.remove(field);
        let by_size = match cause {
            Cause::Rejected => false,
            Cause::TooLarge | Cause::TooLargeClosed => true,
            Cause::Closed => {
                let again = before.as_ref().is_some_and(|b| b.min_bytes > 0 && bytes < b.min_bytes && !b.passed);
                bytes > largest_arrived && !again
            }
        };
        let costly = matches!(cause, Cause::Closed | Cause::TooLargeClosed);
        let (shortest, longest) = if costly { CLOSED } else { DENIED };
        let mut block = Block {
            first: id,
            min_bytes: if by_size { bytes } else { 0 },
            retry: Retry::new(shortest, longest),
            costly,
            trying: false,
            passed: false,
            logged: false,
        };
        let again = before.as_ref().is_some_and(|before| before.costly == costly && id == before.first);
        if let Some(before) = before {
            block.first = if before.first == 0 { id } else { before.first.min(id) };
            block.min_bytes = block.min_bytes.min(before.min_bytes);
            block.logged = before.logged;
            block.passed = before.passed && by_size;
            if before.costly == costly {
                // The same one again, or one that was under way beside it.
                (block.retry, block.trying) = (before.retry, before.trying && !again);
            }
        }
        if again || block.retry.until().is_none() {
            block.retry.failed(now);
        }
        let log = self.logged.get(field).is_none_or(|at| now.duration_since(*at) >= REPEAT_LOG);
        if log {
            self.logged.insert(field.into(), now);
            block.logged = true;
        }
        self.fields.insert(field.into(), block);
        log
    }

    /// Whether a record of this size has to wait.
    pub fn holds(&self, field: &str, bytes: usize) -> bool {
        self.fields.get(field).is_some_and(|block| bytes >= block.min_bytes)
    }

    /// Whether all records of a field have to wait.
    pub fn holds_all(&self, field: &str) -> bool {
        self.holds(field, 0)
    }

    /// The fields of which all records have to wait.
    pub fn fields(&self) -> BTreeSet<String> {
        self.fields.iter().filter(|(_, block)| block.min_bytes == 0).map(|(field, _)| field.clone()).collect()
    }

    /// A field whose oldest record is to be tried again: its name, the record, and whether that may end the connection.
    pub fn due(&self, now: Instant) -> Option<(String, u64, bool)> {
        let mut due = self.fields.iter().filter(|(_, block)| block.is_ready() && block.retry.is_due(now));
        due.next().map(|(field, block)| (field.clone(), block.first, block.costly))
    }

    /// When the next field is to be tried, of those that were not yet to be at `now`.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        let until = self.fields.values().filter(|block| block.is_ready()).filter_map(|block| block.retry.until());
        until.filter(|until| *until > now).min()
    }

    /// A record that waits was found.
    pub fn found(&mut self, field: &str, id: u64) {
        if let Some(block) = self.fields.get_mut(field).filter(|block| block.first == 0 || id < block.first) {
            block.first = id;
        }
    }

    /// The oldest record of a field is not there any more; the next one is still to be [`found`](Self::found).
    pub fn lost_first(&mut self, field: &str) {
        if let Some(block) = self.fields.get_mut(field) {
            block.first = 0;
        }
    }

    /// The oldest record of a field is under way.
    pub fn trying(&mut self, field: &str) {
        if let Some(block) = self.fields.get_mut(field) {
            block.trying = true;
        }
    }

    /// Whether a try that may end the connection is under way.
    pub fn is_costly_try(&self) -> bool {
        self.fields.values().any(|block| block.trying && block.costly)
    }

    /// Whether this record is tried, and may end the connection.
    pub fn is_costly(&self, field: &str, id: u64) -> bool {
        self.fields.get(field).is_some_and(|block| block.costly && block.first == id)
    }

    /// A record arrived. If it is the one that was tried, its field is free again: gives whether it was logged that it
    /// was blocked.
    pub fn arrived(&mut self, field: &str, id: u64, bytes: usize) -> Option<bool> {
        let block = self.fields.get_mut(field)?;
        if bytes < block.min_bytes {
            block.passed = true;
            return None;
        }
        if id != block.first {
            // It was under way when an older one was denied.
            return None;
        }
        self.logged.remove(field);
        self.fields.remove(field).map(|block| block.logged)
    }

    /// There is a new connection, and the cause may have been removed at the broker: what costs nothing is tried at
    /// once, and the rest soon, unless such a try is what ended the last connection (`by_record`).
    pub fn reconnected(&mut self, now: Instant, by_record: bool) {
        for block in self.fields.values_mut() {
            block.trying = false;
            match (block.costly, by_record) {
                (false, _) => block.retry.hasten(now),
                (true, false) => block.retry.hasten(now + CLOSED.0),
                (true, true) => {}
            }
        }
    }

    /// Ids have changed.
    pub fn forget_ids(&mut self) {
        for block in self.fields.values_mut() {
            (block.first, block.trying) = (0, false);
        }
    }

    /// What was looked for in the whole outbox and is not there does not wait.
    pub fn forget_lost(&mut self) {
        self.fields.retain(|_, block| block.first > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn due(blocked: &Blocked, now: Instant) -> Option<u64> {
        blocked.due(now).map(|(_, first, _)| first)
    }

    #[test]
    fn denied_field_is_tried_after_growing_pauses() {
        let start = Instant::now();
        let (mut blocked, mut now, mut logged) = (Blocked::default(), start, 0);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            logged += u32::from(blocked.block("a", 7, 100, Cause::Rejected, 500, now));
            assert!(blocked.holds_all("a") && !blocked.holds("b", 100));
            assert_eq!(due(&blocked, now + pause * S - S / 1000), None, "{pause}");
            now += pause * S;
            assert_eq!(due(&blocked, now), Some(7), "{pause}");
            blocked.trying("a");
            assert_eq!(due(&blocked, now), None);
        }
        assert_eq!(logged, 1);
        assert!(blocked.block("a", 7, 100, Cause::Rejected, 500, start + REPEAT_LOG), "again, as it lasts");
        blocked.reconnected(now, false);
        assert_eq!(due(&blocked, now), Some(7), "a new connection tries at once");
        assert_eq!(blocked.arrived("a", 8, 100), None, "one that was under way at the time");
        assert_eq!(blocked.arrived("a", 7, 100), Some(true));
        assert!(!blocked.holds_all("a") && blocked.fields().is_empty());
    }

    #[test]
    fn large_record_blocks_only_large_ones() {
        let now = Instant::now();
        let mut blocked = Blocked::default();
        blocked.block("a", 7, 1000, Cause::Closed, 500, now);
        assert!(blocked.holds("a", 1000) && blocked.holds("a", 2000) && !blocked.holds("a", 999));
        assert!(!blocked.holds("b", 1000) && blocked.fields().is_empty());
        blocked.block("a", 7, 1000, Cause::Closed, 500, now);
        assert_eq!((due(&blocked, now + 29 * S), due(&blocked, now + 30 * S)), (None, Some(7)));
        blocked.reconnected(now, true);
        assert_eq!(due(&blocked, now + 29 * S), None, "it would end each new connection");
        blocked.reconnected(now, false);
        assert_eq!((due(&blocked, now), due(&blocked, now + 15 * S)), (None, Some(7)), "the broker may be another");
        assert_eq!(blocked.arrived("a", 8, 900), None);
        // Its topic is allowed, so it is the size of this one too.
        blocked.block("a", 9, 950, Cause::Closed, 900, now);
        assert!(blocked.holds("a", 950) && !blocked.holds("a", 949));
    }

    #[test]
    fn record_no_larger_than_others_blocks_its_field() {
        let now = Instant::now();
        let mut blocked = Blocked::default();
        blocked.block("a", 7, 400, Cause::Closed, 500, now);
        assert!(blocked.holds_all("a"));
        // Nothing of the field ever arrived: a smaller one that ends connections too is not too large.
        blocked.block("b", 7, 900, Cause::Closed, 500, now);
        assert!(!blocked.holds_all("b"));
        blocked.block("b", 8, 800, Cause::Closed, 500, now);
        assert!(blocked.holds_all("b"));
        assert_eq!(blocked.due(now + 600 * S).map(|(field, first, _)| (field, first)), Some(("a".into(), 7)));
    }
}
