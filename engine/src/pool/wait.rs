//! How threads of a pool wait: a short spin, then asleep; and how a helper gives way whose core others want, too.
//!
//! A thread that the system stops while it holds a piece of work holds everybody up. So a helper to which that
//! happened, or that shares its core with a thread of the pool, works for a short time and rests, by turns, from then
//! on: it goes before its slice of the core is over. When its rests end in time, because nobody else runs on the core,
//! it works without rest again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread spins at least before it sleeps: about as long as waking it takes.
const SPIN: Duration = Duration::from_micros(50);

/// How long it spins at most.
const LONGEST_SPIN: Duration = Duration::from_millis(1);

/// Rounds of spinning between looks at the clock; a round takes 1 to 50 ns, depending on the CPU.
const SPINS: u32 = 64;

/// How long a helper works at a time on a core that others want. Less than the slice that a scheduler gives to such a
/// thread (Linux: 1.4 ms on two cores, 2.1 ms on four), so that it stops by itself between two pieces and is not
/// stopped within one.
const BURST: Duration = Duration::from_micros(1250);

/// How long it rests after that: longer than the slice of whoever has the core meanwhile, so that it has a whole one
/// of its own when it comes back.
const REST: Duration = Duration::from_micros(2000);

/// A rest that ends later than this is one that the system made longer: the core is not free.
const LATE: Duration = Duration::from_micros(300);

/// So many rests must end in time, one after the other, before the core counts as free again: at first, and at
/// most. The number doubles each time that the core turns out to be crowded all the same.
const RESTS: u32 = 8;
const MAX_RESTS: u32 = 256;

/// A helper that was not held up for this long has a core of its own.
const FREE: Duration = Duration::from_secs(1);

/// Spins until `ready`, for a time that suits work of which this thread's part took `turn`; false if that was not
/// long enough.
pub(super) fn spin(turn: Duration, ready: impl Fn() -> bool) -> bool {
    let timeout = (turn / 4).clamp(SPIN, LONGEST_SPIN);
    let start = Instant::now();
    loop {
        for _ in 0..SPINS {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > timeout {
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
    /// Sleeps until [`Parker::unpark`], or for `timeout`; not at all when `ready`. Whoever makes it ready calls
    /// `unpark` after that, so that one of the two sees the other: both sides use sequentially consistent
    /// operations. False when the time was up.
    pub fn park(&self, ready: impl Fn() -> bool, timeout: Option<Duration>) -> bool {
        self.parked.store(true, Ordering::SeqCst);
        if ready() {
            self.parked.store(false, Ordering::SeqCst);
            return true;
        }
        let parked = |(): &mut ()| self.parked.load(Ordering::SeqCst);
        let guard = self.guard();
        let in_time = match timeout {
            None => {
                drop(self.unparked.wait_while(guard, parked).unwrap_or_else(PoisonError::into_inner));
                true
            }
            Some(timeout) => {
                let result = self.unparked.wait_timeout_while(guard, timeout, parked);
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

/// When a helper works and when it rests; see the module.
#[derive(Debug)]
pub(super) struct Presence {
    /// When it is to rest. `None`: its core counts as free.
    until: Option<Instant>,
    /// When its core was last found to be free.
    free: Instant,
    /// Rests that ended in time, one after the other, and how many have to.
    in_time: u32,
    rests: u32,
}

impl Presence {
    pub fn new() -> Presence {
        Presence { until: None, free: Instant::now(), in_time: 0, rests: RESTS }
    }

    /// Whether it may take another piece.
    pub fn may_work(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Whether others want its core.
    pub fn is_crowded(&self) -> bool {
        self.until.is_some()
    }

    /// Others want its core: it was stopped with a piece in its hands. It is to rest now.
    pub fn crowded(&mut self) {
        let now = Instant::now();
        if self.until.replace(now).is_none() {
            self.rests = if now - self.free > FREE { RESTS } else { (2 * self.rests).min(MAX_RESTS) };
        }
        self.in_time = 0;
    }

    /// It slept for want of work: its slice begins again.
    pub fn slept(&mut self) {
        self.until = self.until.map(|_| Instant::now() + BURST);
    }

    /// Rests with no work in its hands; not for longer than until `parker` is unparked.
    pub fn rest(&mut self, parker: &Parker, stop: impl Fn() -> bool) {
        let start = Instant::now();
        parker.park(stop, Some(REST));
        self.rested(start.elapsed());
    }

    fn rested(&mut self, time: Duration) {
        let now = Instant::now();
        self.in_time = if time > REST + LATE { 0 } else { self.in_time + 1 };
        self.until = Some(now + BURST);
        if self.in_time >= self.rests {
            (self.until, self.free) = (None, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rests that end in time until the core counts as free.
    fn rests_until_free(presence: &mut Presence) -> u32 {
        presence.crowded();
        (1..)
            .find(|_| {
                assert!(presence.until.is_some());
                presence.rested(REST);
                presence.until.is_none()
            })
            .unwrap()
    }

    #[test]
    fn crowded_core_is_trusted_later_each_time() {
        let mut presence = Presence::new();
        assert!(presence.may_work());
        let rests: Vec<u32> = (0..8).map(|_| rests_until_free(&mut presence)).collect();
        assert_eq!(rests, [16, 32, 64, 128, 256, 256, 256, 256]);
        // A single hitch, long after the last one.
        presence.free = Instant::now().checked_sub(2 * FREE).unwrap();
        assert_eq!(rests_until_free(&mut presence), RESTS);
    }

    #[test]
    fn late_rest_keeps_core_crowded() {
        let mut presence = Presence::new();
        presence.crowded();
        assert!(!presence.may_work());
        for _ in 0..100 {
            (1..presence.rests).for_each(|_| presence.rested(REST));
            presence.rested(REST + 2 * LATE);
            assert!(presence.until.is_some());
        }
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
