//! How threads of a pool wait: a short spin, then asleep; and how a helper gives way whose core others want, too.
//!
//! A thread that the system stops while it holds a piece of work holds everybody up. So a helper that did, or that
//! shares its core with a thread of the pool, stays away for a while, and comes back to see whether it has a core
//! now. Each time that it has none it stays away for longer, so that these trials cost next to nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread spins at least before it sleeps: about as long as waking it takes.
const SPIN: Duration = Duration::from_micros(50);

/// How long it spins at most.
const LONGEST_SPIN: Duration = Duration::from_millis(1);

/// Rounds of spinning between looks at the clock; a round takes 1 to 50 ns, depending on the CPU.
const SPINS: u32 = 64;

/// How long a helper stays away at first, and at most.
const AWAY: Duration = Duration::from_millis(4);
const LONGEST_AWAY: Duration = Duration::from_millis(256);

/// A helper that had a core for this many times as long as it was away stays away for less the next time. More than
/// what a scheduler lets a thread run on a core that others want.
const USEFUL: u32 = 4;

/// Spins until `ready`, for a time that suits work of which this thread's part took `turn`; false if that was not
/// long enough.
pub(super) fn spin(turn: Duration, ready: impl Fn() -> bool) -> bool {
    let most = (turn / 4).clamp(SPIN, LONGEST_SPIN);
    let start = Instant::now();
    loop {
        for _ in 0..SPINS {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > most {
            return false;
        }
    }
}

/// Where one thread sleeps until another wakes it.
#[derive(Debug, Default)]
pub(super) struct Parker {
    parked: AtomicBool,
    lock: Mutex<()>,
    unparked: Condvar,
}

impl Parker {
    /// Sleeps until [`Parker::unpark`], or for `most`; not at all when `ready`. Whoever makes it ready calls
    /// `unpark` after that, so that one of the two sees the other: both sides use sequentially consistent
    /// operations. False when the time was up.
    pub fn park(&self, ready: impl Fn() -> bool, most: Option<Duration>) -> bool {
        self.parked.store(true, Ordering::SeqCst);
        if ready() {
            self.parked.store(false, Ordering::SeqCst);
            return true;
        }
        let parked = |(): &mut ()| self.parked.load(Ordering::SeqCst);
        let guard = self.guard();
        let in_time = match most {
            None => {
                drop(self.unparked.wait_while(guard, parked).unwrap_or_else(PoisonError::into_inner));
                true
            }
            Some(most) => {
                let result = self.unparked.wait_timeout_while(guard, most, parked);
                !result.unwrap_or_else(PoisonError::into_inner).1.timed_out()
            }
        };
        self.parked.store(false, Ordering::SeqCst);
        in_time
    }

    /// Wakes the thread if it sleeps.
    pub fn unpark(&self) {
        if self.parked.load(Ordering::SeqCst) && self.parked.swap(false, Ordering::SeqCst) {
            // The sleeper has the lock from its last look at the flag until it can be notified.
            drop(self.guard());
            self.unparked.notify_one();
        }
    }

    fn guard(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a thread's waits mostly end as they should, in the spin. Where two threads of a pool share one core,
/// each of them goes to sleep in every round, so that the other one can run.
#[derive(Debug, Default)]
pub(super) struct Waits(u32);

impl Waits {
    /// A round passed without sleep.
    pub fn short(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    /// A wait ended in sleep. True when that happens in many rounds.
    pub fn long(&mut self) -> bool {
        self.0 = (self.0 + 4).min(16);
        self.0 > 12
    }
}

/// How long a helper stays away; see the module.
#[derive(Debug)]
pub(super) struct Absence {
    time: Duration,
    /// When the last one ended.
    end: Option<Instant>,
}

impl Absence {
    pub fn new() -> Absence {
        Absence { time: AWAY, end: None }
    }

    /// Stays away, with no work in its hands; not for longer than until `parker` is unparked.
    pub fn take(&mut self, parker: &Parker, stop: impl Fn() -> bool) {
        if let Some(end) = self.end {
            self.time = next_absence(self.time, end.elapsed());
        }
        parker.park(stop, Some(self.time));
        self.end = Some(Instant::now());
    }
}

/// How long to stay away after an absence of `time`, from which the helper came back `present` ago.
fn next_absence(time: Duration, present: Duration) -> Duration {
    let next = if present > USEFUL * time { time / 2 } else { 2 * time };
    next.clamp(AWAY, LONGEST_AWAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_without_a_core_grows_and_shrinks_again() {
        // Stopped by another program after one slice of time, again and again.
        let slice = Duration::from_millis(8);
        let mut time = AWAY;
        for _ in 0..10 {
            time = next_absence(time, slice);
        }
        assert_eq!(time, LONGEST_AWAY);
        // Then the core is its own, but for single hitches that are seconds apart.
        for _ in 0..10 {
            time = next_absence(time, Duration::from_secs(3));
        }
        assert_eq!(time, AWAY);
    }

    #[test]
    fn waits_in_most_rounds_are_noticed_single_ones_not() {
        let mut waits = Waits::default();
        for _ in 0..100 {
            assert!(!waits.long());
            (0..8).for_each(|_| waits.short());
        }
        assert!((0..4).any(|_| {
            waits.short();
            waits.long()
        }));
    }
}
