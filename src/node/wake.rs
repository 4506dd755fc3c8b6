//! What interrupts the node's waiting: signals and commands.

use super::seldom::Seldom;
use crate::publish::Delivery;
use crate::source::frames::Stop;
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
pub struct Inbox(Receiver<Wake>);

/// Where it comes from.
#[derive(Clone)]
pub struct Outlet(SyncSender<Wake>, Arc<Mutex<Seldom>>);

/// Both ends.
pub fn channel() -> (Outlet, Inbox) {
    let (sender, receiver) = sync_channel(WAITING);
    let dropped = Arc::new(Mutex::new(Seldom::new(Duration::from_secs(10))));
    (Outlet(sender, dropped), Inbox(receiver))
}

impl Inbox {
    /// What comes next, within `timeout`.
    pub fn next(&self, timeout: Duration) -> Option<Wake> {
        match self.0.recv_timeout(timeout) {
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
        match self.0.try_send(wake) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                let mut dropped = self.1.lock().unwrap_or_else(PoisonError::into_inner);
                dropped.warn(&"too many commands wait; one was dropped");
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

/// Listens for signals in a thread of its own, until the program ends. The first SIGTERM or SIGINT sets `stop`; a second one ends
/// the program at once, for those who cannot wait.
///
/// # Errors
/// The system's.
#[cfg(unix)]
pub fn listen_for_signals(outlet: Outlet, stop: Stop) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let work = move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => {
                    outlet.send(Wake::Reload);
                }
                _ if stop.is_set() => std::process::exit(128 + signal),
                _ => {
                    stop.set();
                    outlet.send(Wake::Stop);
                }
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(work).map(drop)
}

/// No signals here: the program ends when it is killed.
#[cfg(not(unix))]
pub fn listen_for_signals(_: Outlet, _: Stop) -> std::io::Result<()> {
    Ok(())
}
