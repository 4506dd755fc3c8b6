//! Finds out whether the broker accepts the retain flag, also of the last will.
//!
//! An MQTT 5 broker without retained messages says so in its CONNACK. An MQTT 3.1.1 broker can only close the
//! connection, as it also does when it wants TLS or speaks another version, and as a forwarder does when its broker
//! is not running. So after several closed connections one is opened without the retain flag. If the broker accepts
//! it, it is closed again and one with the flag is opened: if the broker closes that one, the flag was the cause.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connections in a row that are closed instead of accepted before one is tried without asking. Then each second one
/// is.
const CLOSED: u32 = 3;

/// How a connection is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Messages are to be kept.
    Ask,
    /// As if nothing were to be kept, to see whether that makes a difference.
    Trial,
    /// The broker keeps nothing, and is not asked any more.
    Never,
}

#[derive(Clone, Copy)]
enum Phase {
    /// So many connections in a row were closed instead of accepted.
    Asking { closed: u32 },
    /// A trial was accepted.
    Doubting,
    /// As long as this program runs.
    Never,
}

/// What is known of it; shared by all connections of a transport.
pub(super) struct RetainProbe(Mutex<(Phase, bool)>);

impl Default for RetainProbe {
    fn default() -> RetainProbe {
        RetainProbe(Mutex::new((Phase::Asking { closed: 0 }, false)))
    }
}

impl RetainProbe {
    fn lock(&self) -> MutexGuard<'_, (Phase, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How to begin the next connection.
    pub fn attempt(&self) -> Attempt {
        match self.lock().0 {
            Phase::Asking { closed } if closed >= CLOSED && (closed - CLOSED).is_multiple_of(2) => Attempt::Trial,
            Phase::Asking { .. } | Phase::Doubting => Attempt::Ask,
            Phase::Never => Attempt::Never,
        }
    }

    /// Whether to ask.
    pub fn asks(&self) -> bool {
        !matches!(self.lock().0, Phase::Never)
    }

    /// The broker said that it keeps nothing.
    pub fn never(&self) {
        self.lock().0 = Phase::Never;
    }

    /// A connection was accepted that was begun so.
    pub fn accepted(&self, attempt: Attempt) {
        let mut state = self.lock();
        match attempt {
            Attempt::Ask => state.0 = Phase::Asking { closed: 0 },
            Attempt::Trial => *state = (Phase::Doubting, true),
            Attempt::Never => {}
        }
    }

    /// A connection was closed instead of accepted. True if it is known now that asking was the cause.
    pub fn closed(&self, attempt: Attempt) -> bool {
        let mut state = self.lock();
        match (state.0, attempt) {
            (Phase::Doubting, Attempt::Ask) => {
                *state = (Phase::Never, true);
                return true;
            }
            (Phase::Asking { closed }, _) => state.0 = Phase::Asking { closed: closed.saturating_add(1) },
            _ => {}
        }
        false
    }

    /// No connection was made for another reason, which says nothing.
    pub fn failed(&self) {
        let mut state = self.lock();
        if let Phase::Asking { closed } = &mut state.0 {
            *closed = 0;
        }
    }

    /// Whether something was found out since this was last asked, so that the next attempt is one of another kind and
    /// need not wait long.
    pub fn progressed(&self) -> bool {
        std::mem::take(&mut self.lock().1)
    }
}
