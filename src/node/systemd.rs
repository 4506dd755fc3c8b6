//! What systemd is told (`Type=notify`): ready, alive, beginning anew, ending. Does nothing where the program was started otherwise.
//!
//! By a thread, because its socket is one that others may fill, and that nobody may read: that must not keep the node from its readings.

use sd_notify::NotifyState;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// What waits to be told; more is dropped, which is signs of life where nobody reads.
const WAITING: usize = 8;

/// The link to the service manager.
pub struct Manager {
    /// A sign of life is given this often; `None` where nobody waits for one.
    every: Option<Duration>,
    last: Option<Instant>,
    link: Option<SyncSender<Say>>,
}

/// What the thread does next.
enum Say {
    States(Vec<NotifyState<'static>>),
    /// Says that all before it has been told.
    Done(SyncSender<()>),
}

impl Manager {
    /// Asks the environment what is expected.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn from_environment() -> std::io::Result<Manager> {
        // A third of what is allowed, so that one late sign is no death.
        let every = sd_notify::watchdog_enabled().map(|limit| limit / 3);
        let link = std::env::var_os("NOTIFY_SOCKET").map(|_| Manager::link()).transpose()?;
        Ok(Manager { every, last: None, link })
    }

    fn link() -> std::io::Result<SyncSender<Say>> {
        let (link, waiting) = sync_channel(WAITING);
        std::thread::Builder::new().name("manager".into()).spawn(move || tell(&waiting))?;
        Ok(link)
    }

    /// The node works.
    pub fn ready(&self, status: &'static str) {
        self.say(vec![NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The node is ending.
    pub fn stopping(&self) {
        self.say(vec![NotifyState::Stopping]);
    }

    /// The node ends to begin anew in the same process: were this called stopping, systemd would kill the one that follows.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.say(vec![NotifyState::Reloading, now]),
            Err(e) => log::warn!("the service manager cannot be told of the reload: {e}"),
        }
    }

    /// How long the node may wait before the next [`alive`](Self::alive).
    pub fn every(&self) -> Option<Duration> {
        self.every
    }

    /// A sign of life, given only by who made progress. Not more often than asked for.
    pub fn alive(&mut self, now: Instant) {
        let Some(every) = self.every else { return };
        if self.last.is_none_or(|last| now.duration_since(last) >= every) {
            self.last = Some(now);
            self.say(vec![NotifyState::Watchdog]);
        }
    }

    /// Waits until everything has been told, at most for `patience`.
    pub fn finish(&self, patience: Duration) {
        let (done, wait) = sync_channel(1);
        if let Some(link) = &self.link
            && link.try_send(Say::Done(done)).is_ok()
        {
            let _ = wait.recv_timeout(patience);
        }
    }

    fn say(&self, states: Vec<NotifyState<'static>>) {
        if let Some(link) = &self.link
            && link.try_send(Say::States(states)).is_err()
        {
            log::debug!("the service manager does not read what it is told");
        }
    }
}

fn tell(waiting: &Receiver<Say>) {
    for say in waiting {
        match say {
            Say::States(states) => {
                if let Err(e) = sd_notify::notify(&states) {
                    log::debug!("the service manager cannot be told: {e}");
                }
            }
            Say::Done(done) => drop(done.try_send(())),
        }
    }
}
