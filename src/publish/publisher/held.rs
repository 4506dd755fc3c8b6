//! A record that the broker does not take now, though it could: because of its access list, or of a quota.

use super::work::REPEAT_LOG;
use std::time::{Duration, Instant};

/// The first pause; each is twice the last one, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The record at the head of the outbox that waits for the broker to be mended, and those behind it with it.
#[derive(Default)]
pub(super) struct Held {
    record: Option<Waiting>,
    /// When that was last told, of whichever record.
    told_at: Option<Instant>,
    /// Whether it was told since a record last arrived.
    told: bool,
}

struct Waiting {
    id: u64,
    /// When it may be sent again.
    until: Instant,
    pause: Duration,
}

impl Held {
    /// Record `id` was denied. True if that is to be told: once, and then seldom.
    pub fn deny(&mut self, id: u64, now: Instant) -> bool {
        let before = self.record.as_ref().filter(|record| record.id == id);
        let pause = before.map_or(SHORTEST, |record| (record.pause * 2).min(LONGEST));
        self.record = Some(Waiting { id, until: now + pause, pause });
        let tell = self.told_at.is_none_or(|at| now.duration_since(at) >= REPEAT_LOG);
        if tell {
            (self.told_at, self.told) = (Some(now), true);
        }
        tell
    }

    /// Whether this record has to wait. Another one, because the outbox was full and dropped the one that waited, has not.
    pub fn holds(&self, id: u64, now: Instant) -> bool {
        self.record.as_ref().is_some_and(|record| record.id == id && now < record.until)
    }

    /// A new connection: the broker may have been mended.
    pub fn hasten(&mut self, now: Instant) {
        if let Some(record) = &mut self.record {
            record.until = now;
        }
    }

    /// A record arrived. True if it was told that it, or one before it, waits.
    pub fn release(&mut self) -> bool {
        self.record = None;
        std::mem::take(&mut self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_and_little_is_told() {
        let start = Instant::now();
        let (mut held, mut now, mut told) = (Held::default(), start, 0);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            told += u32::from(held.deny(7, now));
            assert!(held.holds(7, now) && !held.holds(8, now));
            assert!(held.holds(7, now + Duration::from_secs(pause) - Duration::from_millis(1)), "{pause}");
            now += Duration::from_secs(pause);
            assert!(!held.holds(7, now), "{pause}");
        }
        assert_eq!(told, 1);
        assert!(held.deny(7, start + REPEAT_LOG), "again, as it lasts");
        assert!(!held.deny(8, now) && held.holds(8, now), "another one begins with a short pause");
        held.hasten(now);
        assert!(!held.holds(8, now), "a new connection tries at once");
        assert!(held.release() && !held.release());
        assert!(!held.deny(9, now) && !held.release(), "nothing was told this time");
    }
}
