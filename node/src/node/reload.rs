//! Reload: a new configuration is validated while the node goes on reading, and replaces the old one only if it is
//! usable.

use super::command_limits::CommandLimits;
use super::config::NodeConfig;
use super::events::EventSender;
use super::run::Node;
use super::schedule::{Schedule, TriggerConfig};
use super::stdout_writer::StdoutWriter;
use super::{metrics, state_dir};
use crate::camera::ReadFiles;
use crate::publish::commands::{Command, Reply};
use crate::publish::outbox::Outbox;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

/// How long the publisher may take to send the records in an old `state_dir` before the node uses another.
const OLD_STATE_DIR_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the node feeds the watchdog while it waits for that.
const WATCHDOG_INTERVAL: Duration = Duration::from_secs(1);

/// Reads the configuration as it is now; the error is a sentence.
pub type Load = Arc<dyn Fn() -> Result<NodeConfig, String> + Send + Sync>;

/// What a node hands over to its successor.
#[derive(Default)]
pub struct Handover {
    /// Its schedule, and what that was made from.
    pub schedule: Option<(TriggerConfig, Schedule)>,
    /// When the last commands of each kind came.
    pub limits: Option<CommandLimits>,
    /// The thread that writes to standard output, which may be stuck there.
    pub stdout_writer: Option<StdoutWriter>,
    /// What its source has read.
    pub read_files: Option<ReadFiles>,
    /// Names of all fields that it has or had: the broker keeps their last readings.
    pub known_fields: BTreeSet<String>,
}

/// A configuration that is being checked, in a thread of its own: networks are loaded, files and folders are tried, and
/// any of that may take its time or never end.
pub struct Check {
    result: Receiver<Result<Box<NodeConfig>, String>>,
    /// For whoever asked by MQTT.
    reply: Option<Reply>,
}

/// What of a running node another configuration may go on using.
struct Present {
    metrics: Option<SocketAddr>,
    state_dir: Option<PathBuf>,
}

impl Node {
    /// Begins to check the configuration as it is now.
    pub(super) fn begin_check(&mut self, load: &Load, reply: Option<Reply>) {
        self.process.manager.reloading();
        let present = Present { metrics: self.config.metrics.listen, state_dir: state_dir::of(&self.config) };
        let (load, event_sender, (done, result)) = (load.clone(), self.process.event_sender.clone(), sync_channel(1));
        let work = move || {
            // Dropped at the end of the thread, in a panic too: the node looks then.
            let _wake = WakeOnDrop(event_sender);
            // The receiver is gone if the node has ended meanwhile.
            let _ = done.send(load().and_then(|config| present.check(&config).map(|()| Box::new(config))));
        };
        match std::thread::Builder::new().name("check".into()).spawn(work) {
            Ok(_) => self.check = Some(Check { result, reply }),
            Err(e) => self.refuse(reply, &format!("the system says '{e}' to another thread; free memory")),
        }
    }

    /// The configuration that takes the place of this one, if a check has ended and found that it can.
    pub(super) fn checked(&mut self) -> Option<Box<NodeConfig>> {
        let result = match self.check.as_ref()?.result.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err("the check of the new one failed; please report this".into()),
        };
        let Check { reply, .. } = self.check.take()?;
        match result.and_then(|config| self.may_leave(&config).map(|()| config)) {
            Ok(config) => {
                self.answer(reply, Ok(()));
                Some(config)
            }
            Err(sentence) => {
                self.refuse(reply, &sentence);
                None
            }
        }
    }

    fn refuse(&mut self, reply: Option<Reply>, sentence: &str) {
        log::error!("the old configuration stays in force: {sentence}");
        self.process.manager.ready("reading");
        self.answer(reply, Err(sentence));
    }

    fn answer(&self, reply: Option<Reply>, result: Result<(), &str>) {
        let Some(reply) = reply else { return };
        self.publisher.send(match result {
            Ok(()) => reply.done(),
            Err(sentence) => reply.failed(sentence),
        });
        self.process.event_receiver.done(&Command::Reload);
    }

    /// Whether the folder of what outlives a node may be left for the one that `config` says.
    fn may_leave(&mut self, config: &NodeConfig) -> Result<(), String> {
        let (old, new) = (state_dir::of(&self.config), state_dir::of(config));
        let Some(old) = old.filter(|old| real(Some(old.as_path())) != real(new.as_deref())) else { return Ok(()) };
        match self.unsent(OLD_STATE_DIR_TIMEOUT) {
            0 => Ok(()),
            waiting => Err(format!(
                "state_dir in [node] stays {} because {waiting} readings wait for the broker; reload again when it has \
                 them, or restart the node, which {}",
                old.display(),
                match self.outbox.status().on_disk {
                    true => "leaves them there",
                    false => "leaves those behind that are in that folder, and loses the others",
                }
            )),
        }
    }

    /// How many readings are in the outbox when the publisher has had `timeout` to send them. Nothing is read
    /// meanwhile.
    fn unsent(&mut self, timeout: Duration) -> usize {
        let end = Instant::now() + timeout;
        let stop = &self.process.stop;
        loop {
            // Before the look: the publisher interrupts when records have arrived.
            stop.resume();
            let waiting = self.outbox.status().waiting;
            if waiting == 0 || Instant::now() >= end || !self.publisher.connected() || stop.is_set() {
                return waiting;
            }
            self.progress.made();
            stop.wait_or_interrupt(end.min(Instant::now() + WATCHDOG_INTERVAL));
        }
    }
}

impl Present {
    /// Whether a node by `config` could start if this one were gone. What can be tried is tried here, because after
    /// this the old node is given up.
    fn check(&self, config: &NodeConfig) -> Result<(), String> {
        super::check(config).map_err(|e| e.to_string())?;
        if let Some(address) = config.metrics.listen
            && self.metrics != Some(address)
        {
            // Bound as a test, and released again for the new node.
            drop(metrics::bind(address)?);
        }
        let new = state_dir::of(config);
        if new.is_some() && real(self.state_dir.as_deref()) != real(new.as_deref()) {
            // Another node's is refused here; one that cannot be written is no reason, as at a start.
            Outbox::open(new.as_deref(), &config.outbox).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// Wakes the node when it is dropped.
struct WakeOnDrop(EventSender);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake_up();
    }
}

/// The folder itself, by whatever way it was named.
fn real(dir: Option<&Path>) -> Option<PathBuf> {
    dir.map(|dir| dir.canonicalize().or_else(|_| std::path::absolute(dir)).unwrap_or_else(|_| dir.to_owned()))
}
