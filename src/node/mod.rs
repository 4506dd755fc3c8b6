//! The program that runs for years: frames → pipeline → rules → outbox → broker.
//!
//! ```text
//!   camera ─ source ─┐                       ┌─ publisher (thread) ─ broker
//!   schedule ────────┤ round: read, judge, record ─ outbox (disk) ──┘
//!   signals, commands┘
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `config`, `load` | `node.toml`, and its mistakes told in one sentence |
//! | `setup` | a configuration → a running node |
//! | `run`, `round`, `orders` | the loop, a round of it, commands |
//! | `anew` | whether another configuration can take the place of this one |
//! | `desk` | observations → judged, numbered records |
//! | `voice` | what the node says of itself on each connection |
//! | `fields`, `annotate` | reading named regions of a frame; drawing them |
//! | `schedule`, `zone`, `clock` | when a frame is taken; the local time zone; which run this is, and whether the clock is set |
//! | `stats`, `metrics`, `systemd` | how it is doing, and who is told |
//! | `printer` | readings on standard output |
//! | `seldom` | trouble that comes often is logged seldom |
//! | `demo` | a broker inside the program (feature `demo`) |

mod anew;
pub mod annotate;
mod clear;
mod clock;
mod config;
#[cfg(test)]
mod default_toml;
#[cfg(feature = "demo")]
pub mod demo;
mod desk;
mod error;
pub mod field_config;
pub mod fields;
pub mod load;
mod metrics;
mod orders;
mod printer;
mod round;
mod run;
pub mod schedule;
mod seldom;
mod setup;
mod stats;
mod systemd;
#[cfg(test)]
mod tests;
mod voice;
mod wake;
mod zone;

pub use annotate::{AnnotateConfig, AnnotateError, FrameAnnotator};
pub use clear::clear_retained;
pub use config::{DEFAULT_TOML, FieldSection, NodeConfig, NodeSection, Which};
pub use error::NodeError;
pub use field_config::{AlignConfig, FieldConfig, MarkConfig, OnLost};
pub use fields::{FieldProblem, FieldReader, FieldReading, FrameReadings};
pub use run::{Ended, Recheck};
pub use setup::timing;

use crate::signals::Signals;
use crate::source::frames::Stop;

/// Sets `stop` on SIGTERM and SIGINT; a second signal ends the program at once.
///
/// # Errors
/// The system's.
pub fn stop_on_signals(signals: Signals, stop: Stop) -> std::io::Result<()> {
    // Nobody looks into the inbox: the flag is all that is wanted.
    wake::listen_for_signals(signals, wake::channel().0, stop).map(drop)
}

/// Whether a node could be made of this configuration: its values, its secrets, its networks. Neither camera nor broker is asked.
///
/// # Errors
/// [`NodeError`].
pub fn check(config: &NodeConfig) -> Result<(), NodeError> {
    setup::Parts::new(config).map(drop)
}

/// Runs a node until it is stopped by a signal, by `stop`, by a command to begin anew, or because its source has no further frames.
/// After [`Ended::Reload`] signals are held back, in this thread and all others, for the program that is executed next.
///
/// # Errors
/// [`NodeError`].
pub fn run(config: NodeConfig, stop: Stop, signals: Signals, recheck: Recheck<'_>) -> Result<Ended, NodeError> {
    let (outlet, inbox) = wake::channel();
    let listener = wake::listen_for_signals(signals, outlet.clone(), stop.clone())?;
    let mut node = run::Node::start(config, stop.clone(), (outlet, inbox))?;
    let ended = node.run(recheck);
    node.close(&ended);
    if matches!(ended, Ok(Ended::Reload)) {
        listener.finish();
    }
    match ended {
        // Told to end while it was about to begin anew.
        Ok(Ended::Reload) if stop.is_set() => Ok(Ended::Stopped),
        ended => ended,
    }
}
