//! The publisher as the other threads see it.

use super::age_tracker::AgeTracker;
use super::latest_messages::LatestMessages;
use super::{Counters, Publisher, PublisherConfig, Setup};
use crate::publish::record::Record;
use crate::publish::transport::{Delivery, Message, Waker};
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Part of the grace time that is kept for the shutdown message, at most half of it.
const SHUTDOWN_MESSAGES_RESERVE: Duration = Duration::from_secs(2);
/// Part of the grace time that is kept for the thread's end after the shutdown message, at most a tenth of it.
const AFTER: Duration = Duration::from_millis(200);

/// When the thread is to end.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    /// Until then it sends what waits.
    pub send_by: Instant,
    /// The shutdown messages are sent by then.
    pub shutdown_messages_by: Instant,
    /// Nobody waits for the thread any longer.
    pub end_by: Instant,
}

impl Ending {
    fn within(grace: Duration) -> Ending {
        let grace = grace.min(Duration::from_secs(3600));
        let end_by = Instant::now() + grace;
        let shutdown_messages_by = end_by - AFTER.min(grace / 10);
        Ending { send_by: end_by - SHUTDOWN_MESSAGES_RESERVE.min(grace / 2), shutdown_messages_by, end_by }
    }
}

/// What the thread and its handles share.
pub(super) struct Shared {
    latest_messages: Mutex<LatestMessages>,
    /// What is to be said as after a connection, in this order.
    announcement: Mutex<Vec<Message>>,
    counters: Mutex<Counters>,
    age_tracker: Mutex<AgeTracker>,
    connected: AtomicBool,
    /// Records up to this one have arrived or are of blocked fields.
    sent_through: AtomicU64,
    /// Fields of which the broker takes nothing now.
    blocked: Mutex<BTreeSet<String>>,
    alive_at: Mutex<Instant>,
    /// Once that is asked for.
    pub ending: Mutex<Option<Ending>>,
}

/// A lock whose data is a list or numbers, which no panic leaves half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(config: &PublisherConfig) -> Shared {
        Shared {
            latest_messages: Mutex::new(LatestMessages::new(config.max_volatile, config.max_volatile_bytes)),
            announcement: Mutex::default(),
            counters: Mutex::default(),
            age_tracker: Mutex::new(AgeTracker::new(config.late_after_ms)),
            connected: AtomicBool::new(false),
            sent_through: AtomicU64::new(0),
            blocked: Mutex::default(),
            alive_at: Mutex::new(Instant::now()),
            ending: Mutex::new(None),
        }
    }

    pub(super) fn latest_messages(&self) -> MutexGuard<'_, LatestMessages> {
        lock(&self.latest_messages)
    }

    pub(super) fn age_tracker(&self) -> MutexGuard<'_, AgeTracker> {
        lock(&self.age_tracker)
    }

    pub(super) fn announce(&self, messages: Vec<Message>) {
        *lock(&self.announcement) = messages;
    }

    pub(super) fn take_announcement(&self) -> Vec<Message> {
        std::mem::take(&mut lock(&self.announcement))
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut lock(&self.counters));
    }

    pub(super) fn set_connected(&self, since_ms: Option<i64>) {
        self.count(|counters| counters.connected_since_ms = since_ms);
        self.connected.store(since_ms.is_some(), Ordering::Release);
    }

    /// Records up to `id` have arrived or are of blocked fields.
    pub(super) fn sent_through(&self, id: u64) {
        self.sent_through.fetch_max(id, Ordering::AcqRel);
    }

    /// Records from `id` on are to be sent, after all.
    pub(super) fn unsent_from(&self, id: u64) {
        self.sent_through.fetch_min(id.saturating_sub(1), Ordering::AcqRel);
    }

    pub(super) fn set_blocked(&self, fields: BTreeSet<String>) {
        self.count(|counters| counters.blocked_fields = fields.len() as u64);
        *lock(&self.blocked) = fields;
    }

    #[cfg(test)]
    pub(super) fn sent_through_now(&self) -> u64 {
        self.sent_through.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub(super) fn blocked_now(&self) -> Vec<String> {
        lock(&self.blocked).iter().cloned().collect()
    }

    pub(super) fn touch(&self) {
        *lock(&self.alive_at) = Instant::now();
    }
}

/// Talks to the publisher's thread; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    waker: Waker,
    thread: Arc<Mutex<Option<Running>>>,
}

/// The publisher's thread.
struct Running {
    thread: JoinHandle<()>,
    /// Closed when it has ended.
    ended: mpsc::Receiver<()>,
}

impl Handle {
    /// A message that does not go through the outbox: status, image, statistics, result of a command. It replaces
    /// one of the same topic that still waits, and waits for a connection if there is none.
    pub fn send(&self, message: Message) {
        let dropped = self.shared.latest_messages().push(message);
        if dropped > 0 {
            self.shared.count(|counters| counters.volatile_dropped += dropped);
        }
        self.waker.wake();
    }

    /// Record number `seq` of this run was made now; its age is counted from here, however the wall clock is set. To
    /// be said before it is in the outbox.
    pub fn made(&self, seq: u64) {
        self.shared.age_tracker().made(seq, Instant::now());
    }

    /// Whether a record of this run is no news any more at `now_ms`, milliseconds since 1970.
    pub fn is_late(&self, record: &Record, now_ms: i64) -> bool {
        self.shared.age_tracker().is_late(record, now_ms, Instant::now())
    }

    /// Messages that are sent all and in this order, also those of one topic, before anything else; they replace those
    /// of the same kind that still wait for their turn.
    pub fn announce(&self, messages: Vec<Message>) {
        self.shared.announce(messages);
        self.waker.wake();
    }

    /// There is a new record in the outbox.
    pub fn notify_outbox(&self) {
        self.waker.wake();
    }

    /// Whether there is a connection now.
    pub fn connected(&self) -> bool {
        self.shared.connected.load(Ordering::Acquire)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        lock(&self.shared.counters).clone()
    }

    /// How long ago the thread last went round, connected or not. More than half a minute mean that it is stuck or
    /// dead: a reason not to tell the watchdog that all is well.
    pub fn silent_for(&self) -> Duration {
        lock(&self.shared.alive_at).elapsed()
    }

    /// Whether records up to number `newest` of the outbox have arrived, apart from those that the broker does not
    /// take now.
    pub fn has_sent(&self, newest: u64) -> bool {
        self.shared.sent_through.load(Ordering::Acquire) >= newest
    }

    /// Whether the broker takes nothing of a field now, so that its records wait.
    pub fn is_blocked(&self, field: &str) -> bool {
        lock(&self.shared.blocked).contains(field)
    }

    /// Ends the thread: sends what it can, sends the shutdown message in the last two seconds of `grace` at the latest,
    /// and waits for its end. All of it takes no longer than `grace`, whatever broker and disk do: a thread that is
    /// stuck in one of them is left to itself and ends with the process. Without a connection it ends at once; what is
    /// in the outbox stays there.
    pub fn stop(&self, grace: Duration) {
        let ending = Ending::within(grace);
        *lock(&self.shared.ending) = Some(ending);
        self.waker.wake();
        let Some(Running { thread, ended }) = lock(&self.thread).take() else { return };
        let left = ending.end_by.saturating_duration_since(Instant::now());
        if let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(left) {
            log::warn!(
                "the publisher's thread does not end within {} s because the disk of the outbox does not answer, \
                 or the broker; it is left behind",
                grace.as_secs_f32()
            );
        } else if thread.join().is_err() {
            log::error!("the publisher's thread had ended in a panic; this is a mistake in edge-ocr");
        }
    }
}

impl Publisher {
    /// Starts the thread. What comes in for [`Setup::subscriptions`] is in the receiver.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn spawn(setup: Setup) -> io::Result<(Handle, mpsc::Receiver<Delivery>)> {
        let waker = setup.transport.waker();
        let (publisher, shared, deliveries) = Publisher::new(setup);
        let (ends, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("publisher".into()).spawn(move || {
            // Dropped at the end, whichever it is, and after the publisher, which closes the outbox if nobody else has
            // it.
            let _ends: mpsc::Sender<()> = ends;
            let mut publisher = publisher;
            publisher.run();
        })?;
        Ok((Handle { shared, waker, thread: Arc::new(Mutex::new(Some(Running { thread, ended }))) }, deliveries))
    }
}
