//! The service manager's notifications (`Type=notify`, sd_notify(3)): ready, watchdog, reloading, stopping. Does
//! nothing where the program was started otherwise.
//!
//! They are sent by a thread of its own, because the socket may be full or nobody may read it, and that must not keep
//! the node from its readings. That thread has no timer: it sends what the node gives it, so a node that hangs is
//! killed.

use sd_notify::NotifyState;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Notifications that wait to be sent; more are dropped, which are watchdog messages where nobody reads.
const WAITING: usize = 8;

/// The connection to the service manager.
#[derive(Clone)]
pub struct ServiceManager {
    watchdog: Option<Watchdog>,
    sender: Option<SyncSender<Notification>>,
}

/// The watchdog that the service manager runs.
#[derive(Clone)]
struct Watchdog {
    /// It kills the service after this time without a message.
    limit: Duration,
    last: Arc<Mutex<Option<Instant>>>,
}

impl Watchdog {
    /// A third of the limit, so that one late message is not fatal.
    fn watchdog_interval(&self) -> Duration {
        self.limit / 3
    }
}

/// An order for the sending thread.
enum Notification {
    States(Vec<NotifyState<'static>>),
    /// Answers when everything before it has been sent.
    Done(SyncSender<()>),
}

/// The time within which the service manager expects watchdog messages: `WATCHDOG_USEC` of the environment.
pub fn watchdog_limit() -> Option<Duration> {
    // 0 is systemd's word for none.
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}

impl ServiceManager {
    /// Reads the environment, and starts the sending thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn from_environment() -> std::io::Result<ServiceManager> {
        let watchdog = watchdog_limit().map(|limit| Watchdog { limit, last: Arc::default() });
        let sender = match std::env::var_os("NOTIFY_SOCKET") {
            Some(_) => {
                let (sender, waiting) = sync_channel(WAITING);
                std::thread::Builder::new().name("manager".into()).spawn(move || send(&waiting))?;
                Some(sender)
            }
            None => None,
        };
        Ok(ServiceManager { watchdog, sender })
    }

    /// The node works, with its first or a new configuration.
    pub fn ready(&self, status: &'static str) {
        self.send_states(vec![NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The node is ending.
    pub fn stopping(&self) {
        self.send_states(vec![NotifyState::Stopping]);
    }

    /// The configuration is being read again; [`ready`](Self::ready) says that this is over, whether it is used or not.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send_states(vec![NotifyState::Reloading, now]),
            Err(e) => log::warn!("the service manager cannot be told of the reload: {e}"),
        }
    }

    /// How long the node may wait before the next [`feed_watchdog`](Self::feed_watchdog); `None` without a watchdog.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.as_ref().map(Watchdog::watchdog_interval)
    }

    /// Feeds the watchdog, not more often than needed. To be called only where the node has made progress.
    pub fn feed_watchdog(&self, now: Instant) {
        let Some(watchdog) = &self.watchdog else { return };
        let mut last = watchdog.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| now.saturating_duration_since(last) >= watchdog.watchdog_interval()) {
            *last = Some(now);
            self.send_states(vec![NotifyState::Watchdog]);
        }
    }

    /// Waits until everything has been sent, at most for `timeout`.
    pub fn finish(&self, timeout: Duration) {
        let (done, wait) = sync_channel(1);
        if let Some(sender) = &self.sender
            && sender.try_send(Notification::Done(done)).is_ok()
        {
            let _ = wait.recv_timeout(timeout);
        }
    }

    fn send_states(&self, states: Vec<NotifyState<'static>>) {
        if let Some(sender) = &self.sender
            && sender.try_send(Notification::States(states)).is_err()
        {
            log::debug!("the service manager does not read its notifications");
        }
    }
}

/// The thread.
fn send(waiting: &Receiver<Notification>) {
    for notification in waiting {
        match notification {
            Notification::States(states) => {
                if let Err(e) = sd_notify::notify(&states) {
                    log::debug!("the service manager cannot be notified: {e}");
                }
            }
            Notification::Done(done) => drop(done.try_send(())),
        }
    }
}

/// A manager for tests, and how many watchdog messages it has been sent.
#[cfg(test)]
pub mod fake {
    use super::*;

    /// What a manager has been sent.
    pub struct SentNotifications(Receiver<Notification>);

    impl SentNotifications {
        /// The number of watchdog messages since the last call.
        pub fn watchdog(&self) -> usize {
            let is_watchdog = |notification: &Notification| matches!(notification, Notification::States(states) if matches!(states[..], [NotifyState::Watchdog]));
            self.0.try_iter().filter(is_watchdog).count()
        }
    }

    /// One that takes every message at once, with a watchdog of this limit.
    pub fn manager(limit: Duration) -> (ServiceManager, SentNotifications) {
        let (sender, heard) = sync_channel(10_000);
        (
            ServiceManager { watchdog: Some(Watchdog { limit, last: Arc::default() }), sender: Some(sender) },
            SentNotifications(heard),
        )
    }
}
