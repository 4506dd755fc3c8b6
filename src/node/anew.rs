//! What can be tried before a node gives itself up for a new configuration: a start that fails would leave no node at all.

use super::config::NodeConfig;
use super::run::{Node, Recheck};
use super::{metrics, setup};
use crate::publish::outbox::Outbox;
use std::path::{Path, PathBuf};

impl Node {
    /// Whether a node by the configuration that is on disk now could take this one's place.
    ///
    /// # Errors
    /// Why not, in a sentence.
    pub(super) fn may_begin_anew(&self, recheck: Recheck<'_>) -> Result<(), String> {
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
    fn may_move(&self, config: &NodeConfig) -> Result<(), String> {
        let (old, new) = (setup::state_dir(&self.config), setup::state_dir(config));
        if real(old.as_deref()) == real(new.as_deref()) {
            return Ok(());
        }
        if new.is_some() {
            // Another node's is refused here; one that cannot be written is no reason, as at a start.
            Outbox::open(new.as_deref(), &config.outbox).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// The folder itself, by whatever way it was named.
fn real(dir: Option<&Path>) -> Option<PathBuf> {
    dir.map(|dir| dir.canonicalize().or_else(|_| std::path::absolute(dir)).unwrap_or_else(|_| dir.to_owned()))
}
