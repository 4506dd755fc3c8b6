//! Waiting without polling: a latch, which is set once and ends waits, and a monitor, a value that threads wait for.

use super::shutdown::Shutdown;
use std::collections::BTreeMap;
use std::io;
#[cfg(unix)]
use std::io::{PipeReader, PipeWriter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Ends a wait of another thread.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// Calls `wake` when used, from any thread. It must not block.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Waker {
        Waker(Arc::new(wake))
    }

    /// Ends the wait that runs now, or the next one.
    pub fn wake(&self) {
        (self.0)();
    }
}

/// Set once, for good. Clones are the same latch.
#[derive(Clone, Default)]
pub struct Latch(Arc<Shared>);

#[derive(Default)]
struct Shared {
    set: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    wakers: BTreeMap<u64, Waker>,
    next: u64,
    /// Made when the first wait in poll(2) asks for it. The writing end is closed when the latch is set.
    #[cfg(unix)]
    pipe: Option<(Arc<PipeReader>, Option<PipeWriter>)>,
}

impl Latch {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is half done when a thread panics: each change is one assignment.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets it, and ends all waits for it.
    pub fn set(&self) {
        let mut state = self.state();
        self.0.set.store(true, Ordering::Release);
        #[cfg(unix)]
        if let Some((_, writer)) = &mut state.pipe {
            *writer = None;
        }
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.0.changed.notify_all();
        wakers.values().for_each(Waker::wake);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::Acquire)
    }

    /// Waits until it is set, at most until `end`; whether it is set.
    pub fn wait(&self, end: Instant) -> bool {
        self.wait_or(end, || false);
        self.is_set()
    }

    /// Waits until it is set or `done` holds, at most until `end`. Each [`wake`](Self::wake) asks `done` again.
    pub(super) fn wait_or(&self, end: Instant, done: impl Fn() -> bool) {
        let mut state = self.state();
        while !self.is_set() && !done() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has all who wait look again, without setting it.
    pub(super) fn wake(&self) {
        let wakers: Vec<Waker> = self.state().wakers.values().cloned().collect();
        self.0.changed.notify_all();
        wakers.iter().for_each(Waker::wake);
    }

    /// Uses `waker` when it is set, at once if it is, until the registration is dropped.
    #[must_use]
    pub fn notify(&self, waker: Waker) -> Registration {
        let mut state = self.state();
        if self.is_set() {
            drop(state);
            waker.wake();
            return Registration { latch: self.clone(), number: None };
        }
        let number = state.next;
        state.next += 1;
        state.wakers.insert(number, waker);
        Registration { latch: self.clone(), number: Some(number) }
    }

    /// A descriptor for poll(2) that hangs up when the latch is set.
    #[cfg(unix)]
    fn descriptor(&self) -> io::Result<Arc<PipeReader>> {
        let mut state = self.state();
        if let Some((reader, _)) = &state.pipe {
            return Ok(reader.clone());
        }
        let (reader, writer) = io::pipe()?;
        let reader = Arc::new(reader);
        state.pipe = Some((reader.clone(), Some(writer).filter(|_| !self.is_set())));
        Ok(reader)
    }
}

impl std::fmt::Debug for Latch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Latch").field(&self.is_set()).finish()
    }
}

/// A waker that a latch knows; dropping it has the latch forget it.
pub struct Registration {
    latch: Latch,
    number: Option<u64>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.latch.state().wakers.remove(&number);
        }
    }
}

/// Waits until `source` can be read or has ended, one of the latches is set, or `end`. Whether `source` can be read.
///
/// # Errors
/// The system's: too many open files, for instance.
#[cfg(unix)]
pub(crate) fn wait_readable(source: &impl std::os::fd::AsFd, latches: &[&Latch], end: Instant) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let pipes = latches.iter().map(|latch| latch.descriptor()).collect::<io::Result<Vec<_>>>()?;
    let mut watched = vec![PollFd::new(source, PollFlags::IN)];
    watched.extend(pipes.iter().map(|pipe| PollFd::new(&**pipe, PollFlags::IN)));
    // Only centuries do not fit.
    let timeout = Timespec::try_from(end.saturating_duration_since(Instant::now())).unwrap_or_default();
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) => Ok(!watched[0].revents().is_empty()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Where there is no poll(2), reading waits by itself.
#[cfg(not(unix))]
pub(crate) fn wait_readable<S>(_: &S, _: &[&Latch], _: Instant) -> io::Result<bool> {
    Ok(true)
}

/// `now + after`, or a moment that never comes.
pub(crate) fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600))
}

/// Why a wait for a [`Monitor`] ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The node is shutting down.
    Stopped,
    /// The time is over.
    Timeout,
}

/// A value that some threads change and others wait for.
#[derive(Debug, Default)]
pub(crate) struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    pub fn new(value: T) -> Monitor<T> {
        Monitor { value: Mutex::new(value), changed: Condvar::new() }
    }

    /// The value, to look at. What is changed by it wakes nobody.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        // Values here are lists, numbers and fields that are set as wholes, which no panic leaves half done.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value, and wakes all who wait for it.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Wakes all who wait for the value, so that they look again.
    pub fn notify(&self) {
        // Not between a look and the wait that follows it.
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Waits until `ready` gives something, at most until `end`.
    pub fn wait_until<R>(&self, end: Instant, mut ready: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        let mut value = self.lock();
        loop {
            if let Some(result) = ready(&mut value) {
                return Some(result);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            value = self.changed.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T: Send + 'static> Monitor<T> {
    /// Uses [`notify`](Self::notify).
    pub fn waker(self: &Arc<Self>) -> Waker {
        let monitor = self.clone();
        Waker::new(move || monitor.notify())
    }

    /// As [`wait_until`](Self::wait_until), and no longer than the node runs.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn wait<R>(
        self: &Arc<Self>,
        end: Instant,
        stop: &Shutdown,
        mut ready: impl FnMut(&mut T) -> Option<R>,
    ) -> Result<R, Ended> {
        let _registration = stop.latch().notify(self.waker());
        loop {
            let slice = stop.slice(end);
            // What ends the wait is looked at under the lock, so that no waker comes between a look and the wait.
            let ended = self.wait_until(slice, |value| match stop.latch().is_set() {
                true => Some(Err(Ended::Stopped)),
                false => ready(value).map(Ok),
            });
            match ended {
                Some(ended) => return ended,
                None if stop.is_set() => return Err(Ended::Stopped),
                None if slice >= end => return Err(Ended::Timeout),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(60);

    /// Ends of waits in other threads, all of which begin before the latch is set.
    #[test]
    fn set_latch_ends_waits_of_every_kind() {
        let (latch, monitor, (ends, ended)) = (Latch::default(), Arc::new(Monitor::new(0)), mpsc::channel());
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| ends.send(latch.wait(deadline(LONG))).unwrap());
            #[cfg(unix)]
            scope.spawn(|| {
                let (silent, _writer) = io::pipe().unwrap();
                ends.send(!wait_readable(&silent, &[&latch], deadline(LONG)).unwrap()).unwrap();
            });
            scope.spawn(|| {
                let _registration = latch.notify(monitor.waker());
                let set = monitor.wait_until(deadline(LONG), |_| latch.is_set().then_some(()));
                ends.send(set.is_some()).unwrap();
            });
            assert!(ended.recv_timeout(Duration::from_millis(20)).is_err(), "nothing has happened yet");
            latch.set();
            for _ in 0..if cfg!(unix) { 3 } else { 2 } {
                assert!(ended.recv().unwrap());
            }
        });
        assert!(begun.elapsed() < LONG);
        assert!(latch.wait(deadline(LONG)) && latch.is_set(), "and stays set");
    }

    #[test]
    fn waker_is_used_at_once_later_or_never() {
        let (wakes, woken) = mpsc::channel();
        let waker = |number: u32| {
            let wakes = wakes.clone();
            Waker::new(move || wakes.send(number).unwrap())
        };
        let latch = Latch::default();
        drop(latch.notify(waker(1)));
        let _second = latch.notify(waker(2));
        latch.set();
        let _third = latch.notify(waker(3));
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), [2, 3]);
    }

    #[cfg(unix)]
    #[test]
    fn readable_source_or_time_ends_poll() {
        use std::io::Write;
        let (latch, (reader, mut writer)) = (Latch::default(), io::pipe().unwrap());
        assert!(!wait_readable(&reader, &[&latch], Instant::now()).unwrap());
        writer.write_all(b"x").unwrap();
        assert!(wait_readable(&reader, &[&latch], deadline(LONG)).unwrap());
        latch.set();
        // One whose other end is gone can be read, to its end.
        let (ended, other_end) = io::pipe().unwrap();
        drop(other_end);
        assert!(wait_readable(&ended, &[], deadline(LONG)).unwrap());
        let (silent, _writer) = io::pipe().unwrap();
        assert!(!wait_readable(&silent, &[&latch], deadline(LONG)).unwrap());
    }

    #[test]
    fn monitor_wait_ends_by_value_time_or_shutdown() {
        let (monitor, stop) = (Arc::new(Monitor::new(0)), Shutdown::default());
        let nonzero = |value: &mut u32| Some(*value).filter(|value| *value > 0);
        assert_eq!(monitor.wait(Instant::now(), &stop, nonzero), Err(Ended::Timeout));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| monitor.wait(deadline(LONG), &stop, nonzero));
            monitor.change(|value| *value = 7);
            assert_eq!(waiting.join().unwrap(), Ok(7));
            monitor.change(|value| *value = 0);
            let waiting = scope.spawn(|| monitor.wait(deadline(LONG), &stop, nonzero));
            stop.set();
            assert_eq!(waiting.join().unwrap(), Err(Ended::Stopped));
        });
    }
}
