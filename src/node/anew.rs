//! What can be tried before a node gives itself up for a new configuration: a start that fails would leave no node at all.

use super::config::NodeConfig;
use super::run::{Node, Recheck};
use super::{metrics, setup};
use crate::publish::outbox::Outbox;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long what waits in a folder that is to be left may take to be sent.
const LEAVING: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);

impl Node {
    /// Whether a node by the configuration that is on disk now could take this one's place.
    ///
    /// # Errors
    /// Why not, in a sentence.
    pub(super) fn may_begin_anew(&mut self, recheck: Recheck<'_>) -> Result<(), String> {
        let config = recheck()?;
        if let Some(address) = config.metrics.listen
            && self.config.metrics.listen != Some(address)
        {
            // Had, and left for the one that comes.
            drop(metrics::bind(address)?);
        }
        self.may_move(&config)
    }

    /// Whether what outlives a node may be kept where `config` says.
    fn may_move(&mut self, config: &NodeConfig) -> Result<(), String> {
        let (old, new) = (setup::state_dir(&self.config), setup::state_dir(config));
        if real(old.as_deref()) == real(new.as_deref()) {
            return Ok(());
        }
        if new.is_some() {
            // Another node's is refused here; one that cannot be written is no reason, as at a start.
            Outbox::open(new.as_deref(), &config.outbox).map_err(|e| e.to_string())?;
        }
        let Some(old) = old else { return Ok(()) };
        match self.unsent(LEAVING) {
            0 => Ok(()),
            waiting => Err(format!(
                "state_dir in [node] stays {} because {waiting} readings wait for the broker; reload again when it has them, or restart \
                 the node, which {}",
                old.display(),
                match self.outbox.status().on_disk {
                    true => "leaves them there",
                    false => "leaves those behind that are in that folder, and loses the others",
                }
            )),
        }
    }

    /// How many readings are in the outbox when the publisher has had `patience` to send them. Nothing is read meanwhile.
    fn unsent(&mut self, patience: Duration) -> usize {
        let end = Instant::now() + patience;
        loop {
            let waiting = self.outbox.status().waiting;
            let now = Instant::now();
            if waiting == 0 || now >= end || !self.publisher.connected() || self.stop.is_set() {
                return waiting;
            }
            self.manager.alive(now);
            std::thread::sleep(LOOK);
        }
    }
}

/// The folder itself, by whatever way it was named.
fn real(dir: Option<&Path>) -> Option<PathBuf> {
    dir.map(|dir| dir.canonicalize().or_else(|_| std::path::absolute(dir)).unwrap_or_else(|_| dir.to_owned()))
}
