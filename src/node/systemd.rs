//! What systemd is told (`Type=notify`): ready, alive, ending. Does nothing where the program was started otherwise.

use sd_notify::NotifyState;
use std::time::{Duration, Instant};

/// The link to the service manager.
pub struct Manager {
    /// A sign of life is given this often; `None` where nobody waits for one.
    every: Option<Duration>,
    last: Option<Instant>,
}

impl Manager {
    /// Asks the environment what is expected.
    pub fn from_environment() -> Manager {
        // A third of what is allowed, so that one late sign is no death.
        Manager { every: sd_notify::watchdog_enabled().map(|limit| limit / 3), last: None }
    }

    /// The node works.
    pub fn ready(&self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The node is ending.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
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
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        log::debug!("the service manager cannot be told: {e}");
    }
}
