//! On which cores the threads of a pool run. A scheduler moves a thread that wakes to an idle core; where there is
//! none, it leaves the thread where it was, which may be the core of another thread of the same pool. Both then have
//! half a core, though more than half of another one is to be had.

use std::sync::atomic::{AtomicUsize, Ordering};

/// No core is known.
const NONE: usize = usize::MAX;

/// Of each thread, the core on which it ran last.
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

    /// Moves the calling thread to another core if it runs on one of another thread's, and there is one that is
    /// none's. What the system or the user allows the thread stays as it is.
    pub fn part(&self, thread: usize) {
        self.note(thread);
        let own = self.0[thread].load(Ordering::Relaxed);
        let others =
            || self.0.iter().enumerate().filter(|(i, _)| *i != thread).map(|(_, core)| core.load(Ordering::Relaxed));
        if own != NONE && others().any(|core| core == own) {
            leave(others());
            self.note(thread);
        }
    }
}

#[cfg(target_os = "linux")]
fn current() -> Option<usize> {
    Some(rustix::thread::sched_getcpu())
}

/// Moves the calling thread to a core that is none of these, if it may use one.
#[cfg(target_os = "linux")]
fn leave(cores: impl Iterator<Item = usize>) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut rest = allowed;
    cores.filter(|core| *core < CpuSet::MAX_CPU).for_each(|core| rest.unset(core));
    // A thread may not be without a core, and it may be moved again: only where it is now was a bad place. Where
    // the system does not allow it, it stays.
    if rest.count() > 0 && sched_setaffinity(None, &rest).is_ok() {
        let _ = sched_setaffinity(None, &allowed);
    }
}

#[cfg(not(target_os = "linux"))]
fn current() -> Option<usize> {
    None
}

#[cfg(not(target_os = "linux"))]
fn leave(_: impl Iterator<Item = usize>) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

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
            cores.part(1);
            assert_eq!(current(), Some(shared));
            sched_setaffinity(None, &allowed).unwrap();
            cores.part(1);
            assert_ne!(cores.0[1].load(Ordering::Relaxed), shared);
            assert_eq!(sched_getaffinity(None).unwrap(), allowed);
        })
        .join()
        .unwrap();
    }
}
