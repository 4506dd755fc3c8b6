//! The folder in which a node keeps what outlives it: the outbox, the states of fields, what was announced.

use super::config::NodeConfig;
use super::error::NodeError;
use std::path::PathBuf;

/// As configured, or systemd's `StateDirectory`; `None` where everything is kept in memory.
pub(super) fn of(config: &NodeConfig) -> Option<PathBuf> {
    let given = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    config.node.state_dir.clone().or_else(given)
}

/// Refuses a folder that can never be made because a file is in its place.
///
/// # Errors
/// [`NodeError::Config`].
pub(super) fn check(config: &NodeConfig) -> Result<(), NodeError> {
    let dir = of(config);
    let file = dir.iter().flat_map(|dir| dir.ancestors()).find(|path| path.exists()).filter(|path| !path.is_dir());
    match file {
        Some(file) => Err(NodeError::Config(format!(
            "[node] state_dir cannot be used because {} is not a folder; name another one, or leave it out to keep what \
             waits in memory",
            file.display()
        ))),
        None => Ok(()),
    }
}
