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
//! | `config` | `node.toml` |
//! | `setup` | a configuration → a running node |
//! | `run`, `round` | the loop, a round of it |
//! | `wake`, `intake` | what interrupts it: signals, messages from the broker |
//! | `orders`, `limits` | commands, and how often they may come |
//! | `reload` | whether another configuration can take the place of this one |
//! | `desk` | observations → judged, numbered records |
//! | `voice` | what the node says of itself on each connection |
//! | `fields`, `annotate` | reading named regions of a frame; drawing them |
//! | `schedule`, `zone`, `clock` | when a frame is taken; the local time zone; which run this is, and whether the clock is set |
//! | `stats`, `metrics`, `systemd` | how it is doing, and who is told |
//! | `watchdog` | who feeds the service manager's watchdog, and whether it can be kept |
//! | `printer` | readings on standard output |
//! | `seldom` | trouble that comes often is logged seldom |
//! | `demo` | a broker inside the program (feature `demo`) |

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
mod intake;
mod limits;
mod metrics;
mod orders;
mod printer;
mod reload;
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
mod watchdog;
mod zone;

pub use annotate::{AnnotateConfig, AnnotateError, FrameAnnotator};
pub use clear::clear_retained;
pub use config::{DEFAULT_TOML, FieldSection, NodeConfig, NodeSection, Which};
pub use error::NodeError;
pub use field_config::{AlignConfig, FieldConfig, MarkConfig, OnLost};
pub use fields::{FieldProblem, FieldReader, FieldReading, FrameReadings};
pub use limits::CommandsConfig;
pub use reload::Load;
pub use setup::timing;

use crate::util::shutdown::Stop;
use crate::util::signals::Signals;
use reload::Handover;
use run::{Ended, Node, Process};
use std::rc::Rc;
use std::time::Duration;

/// Sets `stop` on SIGTERM and SIGINT; a second signal ends the program at once.
///
/// # Errors
/// The system's.
pub fn stop_on_signals(signals: Signals, stop: Stop) -> std::io::Result<()> {
    // Nobody looks into the inbox: the flag is all that is wanted.
    wake::listen_for_signals(signals, wake::channel().0, stop)
}

/// Whether a node could be made of this configuration: its values, its secrets, its networks. Neither camera nor broker is asked.
///
/// # Errors
/// [`NodeError`].
pub fn check(config: &NodeConfig) -> Result<(), NodeError> {
    setup::Parts::new(config).map(drop)
}

/// Runs a node until it is stopped by a signal, by `stop`, or because its source has no further frames. SIGHUP and the
/// command `reload` have it go on with the configuration that `load` gives then, if that can be used.
///
/// # Errors
/// [`NodeError`].
pub fn run(config: NodeConfig, stop: Stop, signals: Signals, load: &Load) -> Result<(), NodeError> {
    let (outlet, inbox) = wake::channel();
    wake::listen_for_signals(signals, outlet.clone(), stop.clone())?;
    let process = Process { stop, outlet, inbox: Rc::new(inbox), manager: systemd::Manager::from_environment()? };
    let result = run_all(config, &process, load, &mut |config, before| Node::start(config, &process, before));
    process.manager.finish(Duration::from_secs(1));
    result
}

/// Makes a node by a configuration, after the one that left this.
type Start<'a> = &'a mut dyn FnMut(NodeConfig, &mut Handover) -> Result<Node, NodeError>;

/// One node after the other, each by another configuration.
fn run_all(mut config: NodeConfig, process: &Process, load: &Load, start: Start<'_>) -> Result<(), NodeError> {
    let (mut before, mut old) = (Handover::default(), None);
    loop {
        let mut node = match (start(config.clone(), &mut before), old.take()) {
            (Ok(node), _) => node,
            // It was checked, but something has changed since.
            (Err(error), Some(last)) if !process.stop.is_set() => {
                log::error!("the old configuration stays in force: {error}");
                config = last;
                continue;
            }
            (Err(error), _) => return Err(error),
        };
        let ended = node.run(load);
        before = node.close(&ended);
        match ended? {
            Ended::Reload(new) if !process.stop.is_set() => old = Some(std::mem::replace(&mut config, *new)),
            Ended::Reload(_) => {
                process.manager.stopping();
                return Ok(());
            }
            Ended::Stopped | Ended::NoMoreFrames => return Ok(()),
        }
    }
}
