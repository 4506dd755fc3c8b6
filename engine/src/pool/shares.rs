//! Whether helpers are of use while other programs want all cores.
//!
//! A scheduler spreads threads evenly. Three of them on two cores may lie so that the caller has a core of its own;
//! with a helper there are four, and the caller shares its core, too: two halves instead of a whole one, and waits
//! for each other besides. Which it is depends on where the system puts them, so it is measured: how much of a core
//! the caller gets with helpers, and how much without them.

use std::time::{Duration, Instant};

/// How long it is measured what the pool gets, in time of work.
const WINDOW: Duration = Duration::from_millis(64);

/// So much of a core is more than the caller can have alone. A little less than one, because no measurement is exact.
const MORE_THAN_ALONE: f64 = 0.95;

/// How long what was found holds.
const HOLDS: Duration = Duration::from_secs(1);

/// Whether the caller works with helpers, and how much of a core they get.
#[derive(Debug)]
pub(super) struct Shares {
    /// Helpers stay away.
    alone: bool,
    /// Until when that is not asked again.
    until: Option<Instant>,
    /// Cores that all threads had together, in the last window with helpers.
    together: f64,
    /// The system is given a window's time to place the threads anew.
    settling: bool,
    wall: Duration,
    cpu: Duration,
}

impl Shares {
    pub fn new() -> Shares {
        Shares { alone: false, until: None, together: 0.0, settling: false, wall: Duration::ZERO, cpu: Duration::ZERO }
    }

    /// The pool worked for `wall`, and its threads had cores for `cpu`. True when helpers are to stay away from now
    /// on.
    pub fn worked(&mut self, wall: Duration, cpu: Duration, now: Instant) -> bool {
        self.wall += wall;
        self.cpu += cpu;
        if self.wall >= WINDOW {
            let cores = self.cpu.as_secs_f64() / self.wall.as_secs_f64();
            (self.wall, self.cpu) = (Duration::ZERO, Duration::ZERO);
            if !std::mem::take(&mut self.settling) {
                self.decide(cores, now);
            }
        }
        self.alone
    }

    fn decide(&mut self, cores: f64, now: Instant) {
        let holds = self.until.is_some_and(|until| now < until);
        let (alone, until) = match self.alone {
            false => {
                self.together = cores;
                // Alone it may be more.
                if holds || cores >= MORE_THAN_ALONE { (false, self.until) } else { (true, None) }
            }
            true if cores <= self.together => (false, Some(now + HOLDS)),
            true if self.until.is_none() => (true, Some(now + HOLDS)),
            // Whether that still is so is seen by trying.
            true => {
                if holds {
                    (true, self.until)
                } else {
                    (false, None)
                }
            }
        };
        self.settling = alone != self.alone;
        (self.alone, self.until) = (alone, until);
    }
}

/// How long the calling thread has had a core, since some moment. `None` where the system does not say.
#[cfg(target_os = "linux")]
pub(super) fn thread_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn thread_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What becomes of a pool that gets `together` cores with helpers, and `alone` without: in how many of a
    /// thousand windows helpers stayed away.
    fn windows_alone(together: f64, alone: f64) -> usize {
        let (mut shares, start, mut away) = (Shares::new(), Instant::now(), false);
        let mut window = |i| {
            let cores = if away { alone } else { together };
            away = shares.worked(WINDOW, WINDOW.mul_f64(cores), start + WINDOW * i);
            away
        };
        (0..1000).filter(|i| window(*i)).count()
    }

    #[test]
    fn helpers_stay_where_they_add_to_a_core() {
        assert_eq!(windows_alone(1.3, 1.0), 0);
    }

    #[test]
    fn helpers_go_where_caller_has_more_alone() {
        let alone = windows_alone(0.8, 1.0);
        assert!((900..1000).contains(&alone), "{alone}");
    }

    #[test]
    fn helpers_return_where_caller_has_less_alone() {
        let alone = windows_alone(0.8, 0.5);
        assert!((1..200).contains(&alone), "{alone}");
    }

    #[test]
    fn short_jobs_are_added_up() {
        let (mut shares, now) = (Shares::new(), Instant::now());
        let alone: Vec<bool> = (0..64).map(|_| shares.worked(MS, MS / 2, now)).collect();
        assert!(alone[63] && !alone[62]);
    }
}
