//! The program that runs for years: frames → pipeline → rules → outbox → broker.
//!
//! ```text
//!   camera ─ source ─┐                        ┌─ publisher (thread) ─ broker
//!   schedule ────────┤ cycle: read, evaluate, record ─ outbox (disk) ┘
//!   signals, commands┘
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `config` | `node.toml` |
//! | `setup` | configuration → running node |
//! | `run`, `cycle` | the loop; one cycle: frames → readings → records |
//! | `events`, `command_receiver` | what interrupts the loop: signals and messages from the broker |
//! | `command_handler`, `command_limits` | commands, and how often they may come |
//! | `reload` | validating a new configuration while the node runs |
//! | `evaluator` | observations → accepted or refused, numbered records |
//! | `announcements` | messages about the node itself, published on each connection |
//! | `fields`, `annotate` | reading named regions of a frame; drawing them |
//! | `schedule`, `zone`, `clock` | when a frame is taken; the local time zone; boot id, and whether the clock is set |
//! | `stats`, `metrics`, `systemd` | counters and times; Prometheus; notifications of the service manager |
//! | `watchdog` | feeding the service manager's watchdog; whether the board can keep its limit |
//! | `stdout_writer` | readings on standard output, written by a thread that may block |
//! | `log_throttle` | rate-limited warnings |
//! | `demo` | a broker inside the program (feature `demo`) |

pub mod annotate;
mod announcements;
mod clear;
mod clock;
mod command_handler;
mod command_limits;
mod command_receiver;
mod config;
mod cycle;
#[cfg(test)]
mod default_toml;
#[cfg(feature = "demo")]
pub mod demo;
mod error;
mod evaluator;
mod events;
pub mod field_config;
pub mod fields;
mod log_throttle;
mod metrics;
mod reload;
mod run;
pub mod schedule;
mod setup;
mod state_dir;
mod stats;
mod stdout_writer;
mod systemd;
#[cfg(test)]
mod tests;
mod watchdog;
mod zone;

pub use annotate::{AnnotateConfig, AnnotateError, FrameAnnotator};
pub use clear::clear_retained;
pub use command_limits::CommandsConfig;
pub use config::{DEFAULT_TOML, FieldSection, NodeConfig, NodeSection, Which};
pub use error::NodeError;
pub use field_config::{AlignConfig, FieldConfig, MarkConfig, OnLost};
pub use fields::{FieldProblem, FieldReader, FieldReading, FrameReadings};
pub use reload::Load;
pub use setup::timing;

use crate::util::shutdown::Shutdown;
use crate::util::signals::Signals;
use reload::Handover;
use run::{Ended, Node, Process};
use std::rc::Rc;
use std::time::Duration;

/// Sets `stop` on SIGTERM and SIGINT; a second signal ends the program at once.
///
/// # Errors
/// The system's.
pub fn stop_on_signals(signals: Signals, stop: Shutdown) -> std::io::Result<()> {
    // Nobody looks into the inbox: the flag is all that is wanted.
    events::listen_for_signals(signals, events::channel(&stop).0, stop)
}

/// Whether a node could be made of this configuration: its values, its secrets, its networks. Neither camera nor
/// broker is asked.
///
/// # Errors
/// [`NodeError`].
pub fn check(config: &NodeConfig) -> Result<(), NodeError> {
    // A node that runs keeps readings in memory until its disk can be used.
    state_dir::check(config)?;
    setup::Parts::new(config)?;
    config.warnings().iter().for_each(|warning| log::warn!("{warning}"));
    Ok(())
}

/// Runs a node until it is stopped by a signal, by `stop`, or because its source has no further frames. SIGHUP and the
/// command `reload` have it go on with the configuration that `load` gives then, if that can be used.
///
/// # Errors
/// [`NodeError`].
pub fn run(config: NodeConfig, stop: Shutdown, signals: Signals, load: &Load) -> Result<(), NodeError> {
    let (event_sender, event_receiver) = events::channel(&stop);
    events::listen_for_signals(signals, event_sender.clone(), stop.clone())?;
    let process = Process {
        stop,
        event_sender,
        event_receiver: Rc::new(event_receiver),
        manager: systemd::ServiceManager::from_environment()?,
    };
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
