//! What interrupts the node's waiting: signals and commands.

use super::seldom::Seldom;
use crate::publish::Delivery;
use crate::signals::{Asked, Listener, Signals};
use crate::source::frames::Stop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Something that somebody wants.
#[derive(Debug)]
pub enum Wake {
    /// The node is to end: SIGTERM, SIGINT.
    Stop,
    /// The configuration is to be read again: SIGHUP.
    Reload,
    /// A message from the broker.
    Delivery(Delivery),
}

/// Most that waits to be looked at; further ones are dropped.
const WAITING: usize = 64;

/// Where it arrives.
pub struct Inbox {
    wakes: Receiver<Wake>,
    reload: Arc<AtomicBool>,
}

/// Where it comes from.
#[derive(Clone)]
pub struct Outlet {
    wakes: SyncSender<Wake>,
    /// Whether the configuration is to be read again: asked a hundred times it is read once, and however many commands wait.
    reload: Arc<AtomicBool>,
    dropped: Arc<Mutex<Seldom>>,
}

/// Both ends.
pub fn channel() -> (Outlet, Inbox) {
    let (sender, receiver) = sync_channel(WAITING);
    let reload = Arc::new(AtomicBool::new(false));
    let dropped = Arc::new(Mutex::new(Seldom::new(Duration::from_secs(10))));
    (Outlet { wakes: sender, reload: reload.clone(), dropped }, Inbox { wakes: receiver, reload })
}

impl Inbox {
    /// What comes next, within `timeout`.
    pub fn next(&self, timeout: Duration) -> Option<Wake> {
        if self.reload.swap(false, Ordering::AcqRel) {
            return Some(Wake::Reload);
        }
        match self.wakes.recv_timeout(timeout) {
            // Only the knock: what it was about may have been given already.
            Ok(Wake::Reload) => self.reload.swap(false, Ordering::AcqRel).then_some(Wake::Reload),
            Ok(wake) => Some(wake),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                // Nobody is left who could want anything: waiting is all there is to do.
                std::thread::sleep(timeout);
                None
            }
        }
    }
}

impl Outlet {
    /// Hands it over; false if the node has gone.
    pub fn send(&self, wake: Wake) -> bool {
        match self.wakes.try_send(wake) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
                dropped.warn(&"too many commands wait; one was dropped");
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    /// The configuration is to be read again.
    pub fn reload(&self) {
        if !self.reload.swap(true, Ordering::AcqRel) {
            // If there is no room the node is awake anyway.
            let _ = self.wakes.try_send(Wake::Reload);
        }
    }
}

/// Listens for signals in a thread of its own. The first SIGTERM or SIGINT sets `stop`; a second one ends the program at once, for
/// those who cannot wait.
///
/// # Errors
/// The system's.
pub fn listen_for_signals(signals: Signals, outlet: Outlet, stop: Stop) -> std::io::Result<Listener> {
    signals.listen(move |asked| match asked {
        Asked::Reload => outlet.reload(),
        Asked::Stop(signal) if stop.is_set() => {
            log::logger().flush();
            std::process::exit(128 + signal)
        }
        Asked::Stop(_) => {
            stop.set();
            outlet.send(Wake::Stop);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_reload_is_asked_once_and_is_not_lost_among_commands() {
        let (outlet, inbox) = channel();
        for _ in 0..WAITING + 1 {
            outlet.send(Wake::Stop);
        }
        for _ in 0..10 * WAITING {
            outlet.reload();
        }
        let mut got = Vec::new();
        while let Some(wake) = inbox.next(Duration::ZERO) {
            got.push(matches!(wake, Wake::Reload));
        }
        assert!(got.len() == WAITING + 1 && got[0] && !got[1..].contains(&true), "{got:?}");
        outlet.reload();
        assert!(matches!(inbox.next(Duration::from_secs(30)), Some(Wake::Reload)), "and may be asked again");
        assert!(inbox.next(Duration::ZERO).is_none());
    }
}
