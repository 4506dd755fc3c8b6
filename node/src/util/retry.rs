//! Pauses between attempts.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Doubles the pause after each failure, from the shortest to the longest.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    min: Duration,
    max: Duration,
    /// The pause after the next failure.
    next: Duration,
    until: Option<Instant>,
    jitter: Option<Jitter>,
}

impl Retry {
    /// Pauses from `min` to `max`, or always `min` if that is longer.
    pub const fn new(min: Duration, max: Duration) -> Retry {
        Retry { min, max, next: min, until: None, jitter: None }
    }

    /// The same, but of each pause a random part of up to a half is left out, so that a fleet whose broker restarts
    /// does not come back in one instant.
    pub fn with_jitter(min: Duration, max: Duration) -> Retry {
        Retry { jitter: Some(Jitter::new()), ..Retry::new(min, max) }
    }

    /// Notes a failure; returns the pause that follows.
    pub fn failed(&mut self, now: Instant) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.max).max(self.min);
        let pause = self.jitter.as_mut().map_or(whole, |jitter| whole / 2 + (whole / 2).mul_f64(jitter.next()));
        self.until = now.checked_add(pause);
        pause
    }

    /// Notes a success: the shortest pause follows the next failure, and nothing has to wait.
    pub fn succeeded(&mut self) {
        (self.next, self.until) = (self.min, None);
    }

    /// Until when the pause after the last failure lasts.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Ends the pause at `at`, if that is earlier.
    pub fn hasten(&mut self, at: Instant) {
        self.until = self.until.map(|until| until.min(at));
    }

    /// Whether the pause is over.
    pub fn is_due(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }
}

/// Random numbers for pauses (Marsaglia's xorshift).
#[derive(Clone, Debug)]
struct Jitter(u64);

impl Jitter {
    fn new() -> Jitter {
        // The standard library seeds its hashers from the system. Never 0.
        Jitter(RandomState::new().hash_one(0u8) | 1)
    }

    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_to_the_longest_and_restart() {
        let (mut retry, now) = (Retry::new(100 * MS, 350 * MS), Instant::now());
        assert!(retry.until().is_none() && retry.is_due(now));
        assert_eq!([0; 4].map(|_| retry.failed(now)), [100, 200, 350, 350].map(|ms| ms * MS));
        assert_eq!(retry.until(), Some(now + 350 * MS));
        assert!(!retry.is_due(now + 349 * MS) && retry.is_due(now + 350 * MS));
        retry.hasten(now + 400 * MS);
        assert_eq!(retry.until(), Some(now + 350 * MS));
        retry.hasten(now);
        assert!(retry.is_due(now));
        assert_eq!(retry.failed(now), 350 * MS);
        retry.succeeded();
        assert!(retry.is_due(now) && retry.failed(now) == 100 * MS);
        let mut constant = Retry::new(60 * MS, MS);
        assert_eq!([0; 3].map(|_| constant.failed(now)), [60 * MS; 3]);
    }

    #[test]
    fn jitter_leaves_out_up_to_half() {
        let mut retry = Retry::with_jitter(1000 * MS, 60_000 * MS);
        for whole in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            let pause = retry.failed(Instant::now());
            assert!(pause >= whole / 2 * MS && pause <= whole * MS, "{pause:?} of {whole}");
        }
        retry.succeeded();
        assert!(retry.failed(Instant::now()) <= 1000 * MS);
    }

    #[test]
    fn two_nodes_do_not_pause_alike() {
        let pauses = |mut retry: Retry| [0; 4].map(|_| retry.failed(Instant::now()));
        let new = || Retry::with_jitter(1000 * MS, 60_000 * MS);
        assert_ne!(pauses(new()), pauses(new()));
    }
}
