//! The age of the records of this run, by the wall clock and by the monotonic clock.
//!
//! The wall clock alone is not enough: it may be set back while a record waits for the broker, and the record would
//! then look new again.

use crate::publish::record::Record;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Marks within the time after which a record is late: so much of it may be cut off a record's age, or added.
const MARKS: u32 = 64;

/// Remembers when records were made, by their sequence number. Late records are one number, because a late record stays
/// late; for the others there are at most [`MARKS`] + 2 marks.
#[derive(Debug)]
pub(super) struct AgeTracker {
    late_after: Duration,
    /// Records up to this one are late.
    late_through: Option<u64>,
    /// Records up to this one, and not of an earlier mark, were made at about that time.
    marks: VecDeque<(u64, Instant)>,
}

impl AgeTracker {
    /// No record yet.
    pub fn new(late_after_ms: u32) -> AgeTracker {
        AgeTracker {
            late_after: Duration::from_millis(late_after_ms.into()),
            late_through: None,
            marks: VecDeque::new(),
        }
    }

    /// Record `seq` was made at `now`.
    pub fn made(&mut self, seq: u64, now: Instant) {
        self.expire(now);
        match self.marks.back_mut() {
            Some((last, at)) if now.saturating_duration_since(*at) < self.late_after / MARKS => *last = seq,
            _ => self.marks.push_back((seq, now)),
        }
    }

    /// Whether a record is older than `late_after`; `wall_ms` is now, milliseconds since 1970. A record that was not
    /// passed to [`made`](AgeTracker::made) is judged by its date alone.
    pub fn is_late(&mut self, record: &Record, wall_ms: i64, now: Instant) -> bool {
        let by_date = i128::from(wall_ms) - i128::from(record.captured_at_ms);
        by_date > self.late_after.as_millis() as i128 || self.waited(record.seq, now)
    }

    fn waited(&mut self, seq: u64, now: Instant) -> bool {
        self.expire(now);
        self.late_through.is_some_and(|late| seq <= late)
    }

    fn expire(&mut self, now: Instant) {
        while let Some(&(seq, at)) = self.marks.front()
            && now.saturating_duration_since(at) > self.late_after
        {
            self.late_through = Some(seq);
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_late_after_its_time_and_marks_are_few() {
        let start = Instant::now();
        let after = |ms: u64| start + Duration::from_millis(ms);
        let mut age_tracker = AgeTracker::new(10_000);
        assert!(!age_tracker.waited(0, after(60_000)), "nothing is known of it");
        // Ten a second for a minute.
        for seq in 0..600 {
            age_tracker.made(seq, after(100_000 + seq * 100));
            assert!(age_tracker.marks.len() <= MARKS as usize + 2, "{}", age_tracker.marks.len());
        }
        let now = after(160_000);
        for seq in 0..600 {
            let age_ms = 60_000 - seq * 100;
            // A mark stands for 156 ms of records, and has the time of the first.
            match age_ms {
                10_001.. => assert!(age_tracker.waited(seq, now), "{seq}"),
                ..=9_843 => assert!(!age_tracker.waited(seq, now), "{seq}"),
                _ => {}
            }
        }
        assert!(age_tracker.waited(599, after(170_000)) && age_tracker.marks.is_empty());
    }
}
