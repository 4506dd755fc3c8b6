//! Back-off: waiting between attempts of a source that fails, and no longer than the node runs.

use super::{CameraError, Stop};
use std::time::{Duration, Instant};

/// How often a waiting source checks whether the node ends.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Doubles the pause after every failure, from `min` to `max`.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    pause: Duration,
    until: Option<Instant>,
}

impl Backoff {
    pub fn new(min_ms: u64, max_ms: u64) -> Backoff {
        let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(max_ms.max(min_ms)));
        Backoff { min, max, pause: min, until: None }
    }

    /// Notes a failure; returns the pause that follows.
    pub fn failed(&mut self, now: Instant) -> Duration {
        let pause = self.pause;
        self.until = now.checked_add(pause);
        self.pause = pause.saturating_mul(2).min(self.max);
        pause
    }

    /// Notes a success: the next failure is followed by the shortest pause again.
    pub fn succeeded(&mut self) {
        self.pause = self.min;
        self.until = None;
    }
}

/// The retry state of a source that is opened for every frame: the pause, and the error that is returned during it.
#[derive(Debug)]
pub(super) struct RetryState {
    backoff: Backoff,
    failure: Option<CameraError>,
}

impl RetryState {
    pub fn new(min_ms: u64, max_ms: u64) -> RetryState {
        RetryState { backoff: Backoff::new(min_ms, max_ms), failure: None }
    }

    /// Waits until the next try is allowed.
    ///
    /// # Errors
    /// The last failure if that is after `end`; [`CameraError::Stopped`].
    pub fn wait(&self, end: Instant, stop: &Stop) -> Result<(), CameraError> {
        let Some(until) = self.backoff.until else { return Ok(()) };
        if !wait(until.min(end), stop) {
            return Err(CameraError::Stopped);
        }
        match &self.failure {
            Some(failure) if until > end => Err(failure.clone()),
            _ => Ok(()),
        }
    }

    /// Notes how a try went.
    pub fn note<T>(&mut self, result: &Result<T, CameraError>) {
        match result {
            Ok(_) | Err(CameraError::NothingNew { .. }) => {
                self.backoff.succeeded();
                self.failure = None;
            }
            Err(CameraError::Stopped) => {}
            Err(error) => {
                self.backoff.failed(Instant::now());
                self.failure = Some(error.clone());
            }
        }
    }
}

/// Waits until `end`; `false` if the node is to end.
pub(super) fn wait(end: Instant, stop: &Stop) -> bool {
    loop {
        if stop.is_set() {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(POLL_INTERVAL));
    }
}

/// `now + after`, or a moment that never comes.
pub(super) fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_anew() {
        let mut backoff = Backoff::new(100, 350);
        let now = Instant::now();
        assert_eq!(backoff.until, None);
        let pauses: Vec<u64> = (0..4).map(|_| backoff.failed(now).as_millis() as u64).collect();
        assert_eq!(pauses, [100, 200, 350, 350]);
        assert_eq!(backoff.until, Some(now + Duration::from_millis(350)));
        backoff.succeeded();
        assert_eq!(backoff.until, None);
        assert_eq!(backoff.failed(now).as_millis(), 100);
    }

    #[test]
    fn a_wait_ends_with_the_node() {
        let stop = Stop::default();
        assert!(wait(Instant::now(), &stop));
        stop.set();
        assert!(!wait(deadline(Duration::MAX), &stop));
    }
}
