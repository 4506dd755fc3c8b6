//! What may go wrong many times a second, for years, and is logged now and then.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Who is said to speak.
const TARGET: &str = "edge_ocr::node";

/// Lets one message through in so long a time, and counts the others.
#[derive(Debug)]
pub struct Seldom {
    every: Duration,
    last: Option<Instant>,
    held_back: u64,
}

impl Seldom {
    /// The first one passes.
    pub const fn new(every: Duration) -> Seldom {
        Seldom { every, last: None, held_back: 0 }
    }

    /// Whether a message may pass now; then the number of those that did not since the one before.
    pub fn may(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < self.every) {
            self.held_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held_back))
    }

    /// It is well again: the next message passes. True if there was something to tell of.
    pub fn forget(&mut self) -> bool {
        self.held_back = 0;
        self.last.take().is_some()
    }

    /// Logs a warning, if one may pass.
    pub fn warn(&mut self, text: &dyn Display) {
        match self.may(Instant::now()) {
            Some(0) => log::warn!(target: TARGET, "{text}"),
            Some(others) => log::warn!(target: TARGET, "{text} (and {others} like it since the last that was told)"),
            None => log::debug!(target: TARGET, "{text}"),
        }
    }
}

/// The kinds of trouble of a node that come often.
#[derive(Debug)]
pub struct Troubles {
    /// The camera gives no frame.
    pub camera: Seldom,
    /// Fields that cannot be read in a frame.
    pub fields: Seldom,
    /// Files that stay because their readings are not safe.
    pub kept: Seldom,
    /// Files that stay because their readings were dropped.
    pub lost: Seldom,
    /// Metrics that cannot be written to their file.
    pub metrics: Seldom,
    /// States that cannot be written.
    pub states: Seldom,
}

impl Default for Troubles {
    fn default() -> Self {
        let late = Duration::from_secs(600);
        Troubles {
            camera: Seldom::new(late),
            fields: Seldom::new(late),
            kept: Seldom::new(late),
            lost: Seldom::new(late),
            metrics: Seldom::new(late),
            states: Seldom::new(late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passes_and_the_others_are_counted() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut seldom = Seldom::new(minute);
        assert_eq!(seldom.may(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(seldom.may(start + minute / 2), None);
        }
        assert_eq!(seldom.may(start + minute), Some(1000));
        assert_eq!(seldom.may(start + 3 * minute), Some(0));
        assert_eq!(seldom.may(start + 3 * minute), None);
        assert!(seldom.forget() && !seldom.forget());
        assert_eq!(seldom.may(start + 3 * minute), Some(0), "what is well again and fails again is told");
    }
}
