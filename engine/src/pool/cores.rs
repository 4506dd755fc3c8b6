//! On which cores the threads of a pool run. A scheduler moves a thread that wakes to an idle core; where there is
//! none, it leaves the thread where it was, which may be the core of another thread of the same pool. Both then have
//! half a core, though more than half of another one is to be had. So a helper on a crowded core is kept off the cores of
//! the pool's other threads until its core is free.

#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::atomic::{AtomicUsize, Ordering};

/// No core is known.
const NONE: usize = usize::MAX;

/// The core on which each thread ran last.
#[derive(Debug)]
pub(super) struct Cores(Box<[AtomicUsize]>);

impl Cores {
    pub fn new(threads: usize) -> Cores {
        Cores((0..threads).map(|_| AtomicUsize::new(NONE)).collect())
    }

    /// Notes on which core the calling thread runs.
    pub fn note(&self, thread: usize) {
        self.0[thread].store(current().unwrap_or(NONE), Ordering::Relaxed);
    }

    /// Keeps the calling thread off the cores of the other threads if it runs on one of these and may use another one.
    pub fn part(&self, thread: usize, affinity: &mut Affinity) {
        self.note(thread);
        let own = self.0[thread].load(Ordering::Relaxed);
        let others =
            || self.0.iter().enumerate().filter(|(i, _)| *i != thread).map(|(_, core)| core.load(Ordering::Relaxed));
        if own != NONE && others().any(|core| core == own) {
            affinity.exclude(others());
            self.note(thread);
        }
    }
}

/// Which cores the calling thread may use.
#[derive(Debug, Default)]
pub(super) struct Affinity {
    /// Which it might use before some were excluded, and which were left.
    #[cfg(target_os = "linux")]
    restricted: Option<(CpuSet, CpuSet)>,
}

#[cfg(target_os = "linux")]
impl Affinity {
    /// Excludes some cores, and no others any more. Nothing happens where none would be left, or the system refuses.
    fn exclude(&mut self, cores: impl Iterator<Item = usize>) {
        self.restore();
        let Ok(allowed) = sched_getaffinity(None) else { return };
        let mut rest = allowed;
        cores.filter(|core| *core < CpuSet::MAX_CPU).for_each(|core| rest.unset(core));
        if rest.count() > 0 && sched_setaffinity(None, &rest).is_ok() {
            self.restricted = Some((allowed, rest));
        }
    }

    /// Excludes none any more. What was changed from outside meanwhile stays.
    pub fn restore(&mut self) {
        if let Some((allowed, rest)) = self.restricted.take()
            && sched_getaffinity(None).is_ok_and(|now| now == rest)
        {
            // At worst the thread stays where it is well placed now.
            let _ = sched_setaffinity(None, &allowed);
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Affinity {
    fn exclude(&mut self, _: impl Iterator<Item = usize>) {}

    pub fn restore(&mut self) {}
}

#[cfg(target_os = "linux")]
fn current() -> Option<usize> {
    Some(rustix::thread::sched_getcpu())
}

#[cfg(not(target_os = "linux"))]
fn current() -> Option<usize> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn part_shared_core_moves_thread() {
        // In a thread of its own, so that no other test runs with fewer cores if this one fails.
        std::thread::spawn(|| {
            let allowed = sched_getaffinity(None).unwrap();
            if allowed.count() < 2 {
                return;
            }
            let shared = current().unwrap();
            let mut only = CpuSet::new();
            only.set(shared);
            sched_setaffinity(None, &only).unwrap();
            let cores = Cores::new(2);
            cores.note(0);
            // No other core is allowed: it stays.
            let mut affinity = Affinity::default();
            cores.part(1, &mut affinity);
            assert_eq!(current(), Some(shared));
            assert_eq!(sched_getaffinity(None).unwrap(), only);
            sched_setaffinity(None, &allowed).unwrap();
            cores.note(0);
            cores.part(1, &mut affinity);
            assert!(!sched_getaffinity(None).unwrap().is_set(cores.0[0].load(Ordering::Relaxed)));
            assert_ne!(cores.0[1].load(Ordering::Relaxed), cores.0[0].load(Ordering::Relaxed));
            affinity.restore();
            assert_eq!(sched_getaffinity(None).unwrap(), allowed);
            // Changed from outside: that stays.
            cores.note(0);
            cores.part(1, &mut affinity);
            let mut outside = CpuSet::new();
            outside.set(cores.0[0].load(Ordering::Relaxed));
            sched_setaffinity(None, &outside).unwrap();
            affinity.restore();
            assert_eq!(sched_getaffinity(None).unwrap(), outside);
        })
        .join()
        .unwrap();
    }
}
