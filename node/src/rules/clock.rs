//! Time as the rules see it: it comes in, and it may be wrong.

use serde::{Deserialize, Serialize};

/// A moment by both clocks. Within one run of the program the monotonic clock counts; the wall clock may be set at
/// any time, and on a board without a battery it starts in 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Wall clock, milliseconds since 1970.
    pub unix_ms: i64,
    /// Monotonic clock, milliseconds since some moment before the first one of this run.
    pub monotonic_ms: u64,
}

/// Longest time between two runs that is believed, 31 days: after more than that, or if the clock went back, the time
/// between is taken to be unknown. A clock that starts in 1970 and is set later would otherwise allow any change of a
/// value.
pub const MAX_GAP_MS: i64 = 31 * 24 * 3600 * 1000;

/// When something happened, in this run or an earlier one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stamp {
    unix_ms: i64,
    /// `None` if it was in an earlier run, whose monotonic clock says nothing today.
    monotonic_ms: Option<u64>,
}

impl Stamp {
    pub(super) fn now(at: Moment) -> Stamp {
        Stamp { unix_ms: at.unix_ms, monotonic_ms: Some(at.monotonic_ms) }
    }

    /// A moment of an earlier run.
    pub(super) fn restored(unix_ms: i64) -> Stamp {
        Stamp { unix_ms, monotonic_ms: None }
    }

    /// Seconds until `at`; `None` if the clocks do not say. A monotonic clock that goes back counts as standing still.
    pub(super) fn elapsed_s(&self, at: Moment) -> Option<f64> {
        let ms = match self.monotonic_ms {
            Some(then) => at.monotonic_ms.saturating_sub(then) as f64,
            None => {
                let gap = at.unix_ms.checked_sub(self.unix_ms)?;
                (0..=MAX_GAP_MS).contains(&gap).then_some(gap as f64)?
            }
        };
        Some(ms / 1000.0)
    }

    /// Whether `at` is before it, by the clock of this run; false if it was in an earlier one.
    pub(super) fn is_after(&self, at: Moment) -> bool {
        self.monotonic_ms.is_some_and(|then| at.monotonic_ms < then)
    }

    /// The moment by the wall clock as it goes at `seen`, the last moment known. A clock that was set in between is
    /// made good: what is saved is the age, not what the clock showed then.
    pub(super) fn saved(&self, seen: Moment) -> i64 {
        match self.monotonic_ms {
            Some(then) => {
                let age = i64::try_from(seen.monotonic_ms.saturating_sub(then)).unwrap_or(i64::MAX);
                seen.unix_ms.saturating_sub(age)
            }
            None => self.unix_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_ms: i64, monotonic_ms: u64) -> Moment {
        Moment { unix_ms, monotonic_ms }
    }

    #[test]
    fn the_monotonic_clock_counts_within_a_run() {
        let stamp = Stamp::now(at(1_000_000, 500));
        assert_eq!(stamp.elapsed_s(at(-5, 2_500)), Some(2.0), "whatever the wall clock says");
        assert_eq!(stamp.elapsed_s(at(0, 0)), Some(0.0), "going back is standing still");
    }

    #[test]
    fn plausible_wall_clock_counts_across_runs() {
        let stamp = Stamp::restored(1_000);
        assert_eq!(stamp.elapsed_s(at(61_000, 3)), Some(60.0));
        assert_eq!(stamp.elapsed_s(at(999, 3)), None, "went back");
        assert_eq!(stamp.elapsed_s(at(1_001 + MAX_GAP_MS, 3)), None, "absurdly long");
        assert_eq!(Stamp::restored(i64::MIN).elapsed_s(at(i64::MAX, 3)), None, "no overflow");
    }

    #[test]
    fn a_clock_that_was_set_is_made_good_when_saving() {
        let stamp = Stamp::now(at(5_000, 5_000));
        let after_ntp = at(1_700_000_000_000, 65_000);
        assert_eq!(stamp.saved(after_ntp), 1_700_000_000_000 - 60_000);
        assert_eq!(Stamp::restored(77).saved(after_ntp), 77);
        assert_eq!(Stamp::now(at(0, 0)).saved(at(i64::MIN, u64::MAX)), i64::MIN);
    }
}
