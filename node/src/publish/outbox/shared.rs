//! The outbox between the thread that reads and the one that publishes.

use super::super::{Entry, Queue};
use super::{Appended, Flushed, Outbox, OutboxStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// An [`Outbox`] for several threads. A call waits while another one makes records durable, which takes an SD card up
/// to some hundred milliseconds.
#[derive(Clone)]
pub struct SharedOutbox(Arc<Mutex<Outbox>>);

impl SharedOutbox {
    /// Shares `outbox`; it is closed when the last clone is dropped, or by [`close`](Self::close).
    pub fn new(outbox: Outbox) -> SharedOutbox {
        SharedOutbox(Arc::new(Mutex::new(outbox)))
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // No call leaves it half changed but by a panic, of which there are none; then a queue is better than none.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Outbox::append`].
    pub fn append(&self, bytes: &[u8]) -> Appended {
        self.outbox().append(bytes)
    }

    /// [`Outbox::tick`].
    pub fn tick(&self, now: Instant) -> bool {
        self.outbox().tick(now)
    }

    /// [`Outbox::next_tick`].
    pub fn next_tick(&self) -> Option<Instant> {
        self.outbox().next_tick()
    }

    /// [`Outbox::status`].
    pub fn status(&self) -> OutboxStatus {
        self.outbox().status()
    }

    /// Makes everything added so far durable: before an image is deleted whose readings are in the outbox. Says what
    /// became of all that was added since it last said anything but [`Flushed::Waiting`].
    #[must_use]
    pub fn flush(&self) -> Flushed {
        self.outbox().flush()
    }

    /// [`Outbox::close`].
    pub fn close(&self) {
        self.outbox().close();
    }
}

impl Queue for SharedOutbox {
    fn next(&mut self, after: u64) -> Option<Entry> {
        self.outbox().next(after)
    }

    fn remove(&mut self, id: u64) {
        self.outbox().remove(id);
    }

    fn sync(&mut self) {
        self.outbox().sync();
    }

    fn len(&self) -> usize {
        self.outbox().len()
    }

    fn renumbered(&mut self) -> bool {
        self.outbox().renumbered()
    }
}
