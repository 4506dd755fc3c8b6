//! How long to wait before the next attempt.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Doubling waits with jitter: of each wait a random half is left out, so that a fleet whose broker restarts does not
/// come back in one instant.
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    /// State of a xorshift generator, never 0.
    random: u64,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Backoff {
        // The standard library seeds its hashers from the system.
        let random = RandomState::new().hash_one(0u8) | 1;
        Backoff { min, max, next: min, random }
    }

    /// The wait before the next attempt; each is twice the last one, up to the longest.
    pub(super) fn wait(&mut self) -> Duration {
        let whole = self.next.min(self.max);
        self.next = whole.saturating_mul(2).min(self.max);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let part = (self.random >> 11) as f64 / (1u64 << 53) as f64;
        whole.div_f64(2.0) + whole.div_f64(2.0).mul_f64(part)
    }

    /// The last connection was a good one.
    pub(super) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_again() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(1000), ms(60_000));
        for whole in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            let wait = backoff.wait();
            assert!(wait >= ms(whole / 2) && wait <= ms(whole), "{wait:?} of {whole}");
        }
        backoff.reset();
        assert!(backoff.wait() <= ms(1000));
    }

    #[test]
    fn two_nodes_do_not_wait_alike() {
        let waits = |mut b: Backoff| (0..4).map(|_| b.wait()).collect::<Vec<_>>();
        let new = || Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        assert_ne!(waits(new()), waits(new()));
    }
}
