//! Rate-limited warnings for failures that may happen many times a second, for years.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// The log target of these warnings.
const TARGET: &str = "edge_ocr::node";

/// Lets one message pass in each period, and counts the others.
#[derive(Debug)]
pub struct RateLimitedLog {
    every: Duration,
    last: Option<Instant>,
    suppressed: u64,
}

impl RateLimitedLog {
    /// The first message passes.
    pub const fn new(every: Duration) -> RateLimitedLog {
        RateLimitedLog { every, last: None, suppressed: 0 }
    }

    /// `Some` if a message may pass now, with the number of messages suppressed since the last one.
    pub fn allow(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < self.every) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }

    /// The failure is over, so the next message passes. True if a message had passed before.
    pub fn reset(&mut self) -> bool {
        self.suppressed = 0;
        self.last.take().is_some()
    }

    /// Logs a warning, or counts it.
    pub fn warn(&mut self, text: &dyn Display) {
        match self.allow(Instant::now()) {
            Some(0) => log::warn!(target: TARGET, "{text}"),
            Some(others) => log::warn!(target: TARGET, "{text} (and {others} like it since the last that was told)"),
            None => log::debug!(target: TARGET, "{text}"),
        }
    }
}

/// The node's frequent failures, each rate-limited by itself.
#[derive(Debug)]
pub struct ThrottledWarnings {
    /// The camera gives no frame.
    pub camera: RateLimitedLog,
    /// Fields that cannot be read in a frame.
    pub fields: RateLimitedLog,
    /// Files that stay because their readings are not safe.
    pub kept: RateLimitedLog,
    /// Files that stay because their readings were dropped.
    pub lost: RateLimitedLog,
    /// Metrics that cannot be written to their file.
    pub metrics: RateLimitedLog,
    /// States that cannot be written.
    pub states: RateLimitedLog,
}

impl Default for ThrottledWarnings {
    fn default() -> Self {
        let late = Duration::from_secs(600);
        ThrottledWarnings {
            camera: RateLimitedLog::new(late),
            fields: RateLimitedLog::new(late),
            kept: RateLimitedLog::new(late),
            lost: RateLimitedLog::new(late),
            metrics: RateLimitedLog::new(late),
            states: RateLimitedLog::new(late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passes_and_the_others_are_counted() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut log = RateLimitedLog::new(minute);
        assert_eq!(log.allow(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(log.allow(start + minute / 2), None);
        }
        assert_eq!(log.allow(start + minute), Some(1000));
        assert_eq!(log.allow(start + 3 * minute), Some(0));
        assert_eq!(log.allow(start + 3 * minute), None);
        assert!(log.reset() && !log.reset());
        assert_eq!(log.allow(start + 3 * minute), Some(0), "what is well again and fails again is told");
    }
}
