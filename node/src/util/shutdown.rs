//! The event by which a node or worker is ended. Every wait of it ends at once when it is set.

use super::latch::{Latch, Registration, Waker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The shortest slice of a wait that is watched over.
const MIN_SLICE: Duration = Duration::from_millis(50);

/// Set when the node is to end; shared by all threads.
#[derive(Clone, Default)]
pub struct Shutdown {
    latch: Latch,
    interrupted: Arc<AtomicBool>,
    watch: Option<Watch>,
}

/// What sees that a wait goes on.
#[derive(Clone)]
struct Watch {
    slice: Duration,
    on_wait: Arc<dyn Fn() + Send + Sync>,
}

impl Shutdown {
    /// The same event for waits that are watched over: `on_wait` is called whenever [`is_set`](Self::is_set) is asked,
    /// which waits do at least every `slice`.
    pub fn watched(&self, slice: Duration, on_wait: impl Fn() + Send + Sync + 'static) -> Shutdown {
        Shutdown { watch: Some(Watch { slice: slice.max(MIN_SLICE), on_wait: Arc::new(on_wait) }), ..self.clone() }
    }

    /// The same event for waits that [`interrupt`](Self::interrupt) does not end.
    pub fn uninterrupted(&self) -> Shutdown {
        Shutdown { interrupted: Arc::default(), ..self.clone() }
    }

    /// Ends the node.
    pub fn set(&self) {
        self.latch.set();
    }

    /// Whether the node is to end.
    pub fn is_set(&self) -> bool {
        if let Some(watch) = &self.watch {
            (watch.on_wait)();
        }
        self.latch.is_set()
    }

    /// Waits until `end`; false if the node is to end.
    pub fn wait(&self, end: Instant) -> bool {
        self.uninterrupted().wait_or_interrupt(end)
    }

    /// Waits until `end` or an [`interrupt`](Self::interrupt); false if the node is to end.
    pub fn wait_or_interrupt(&self, end: Instant) -> bool {
        loop {
            if self.is_set() {
                return false;
            }
            if Instant::now() >= end || self.is_interrupted() {
                return true;
            }
            self.latch.wait_or(self.slice(end), || self.is_interrupted());
        }
    }

    /// Ends waits for new files: there is something else to do. So does each further one until
    /// [`resume`](Self::resume).
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        self.latch.wake();
    }

    /// Waits may last again.
    pub fn resume(&self) {
        self.interrupted.store(false, Ordering::Release);
    }

    /// Whether waits for new files are to end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Uses `waker` when the node is to end, until the registration is dropped.
    #[must_use]
    pub(crate) fn notify(&self, waker: Waker) -> Registration {
        self.latch.notify(waker)
    }

    /// For waits for several things.
    pub(crate) fn latch(&self) -> &Latch {
        &self.latch
    }

    /// When a wait until `end` has to ask [`is_set`](Self::is_set) next.
    pub(crate) fn slice(&self, end: Instant) -> Instant {
        self.watch.as_ref().map_or(end, |watch| end.min(Instant::now() + watch.slice))
    }
}

impl std::fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shutdown").field(&self.latch).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::latch::deadline;
    use super::*;
    use std::sync::atomic::AtomicUsize;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn wait_ends_by_time_or_with_the_node() {
        let stop = Shutdown::default();
        assert!(stop.wait(Instant::now()));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| stop.wait(deadline(LONG)));
            stop.set();
            assert!(!waiting.join().unwrap());
        });
        assert!(!stop.wait(deadline(Duration::MAX)));
    }

    #[test]
    fn interrupt_ends_only_waits_that_ask_for_it() {
        let (stop, begun) = (Shutdown::default(), Instant::now());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| stop.wait_or_interrupt(deadline(LONG)));
            stop.interrupt();
            assert!(waiting.join().unwrap());
        });
        assert!(stop.wait_or_interrupt(deadline(LONG)) && begun.elapsed() < LONG, "until the next look");
        stop.resume();
        assert!(!stop.is_interrupted() && !stop.uninterrupted().is_interrupted());
        stop.interrupt();
        let end = deadline(Duration::from_millis(20));
        assert!(stop.wait(end) && Instant::now() >= end);
    }

    /// Otherwise the service manager's watchdog would kill a node that waits for its camera.
    #[test]
    fn watched_wait_reports_in_every_slice() {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        let stop = Shutdown::default().watched(Duration::ZERO, move || _ = count.fetch_add(1, Ordering::Relaxed));
        assert!(stop.wait(deadline(4 * MIN_SLICE)));
        assert!((4..10).contains(&seen.load(Ordering::Relaxed)), "{seen:?}");
    }
}
