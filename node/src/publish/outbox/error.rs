//! The one reason for which the outbox does not open.

use std::path::PathBuf;

/// Why an outbox was not opened. A disk that cannot be used is no reason: then records are kept in memory.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum OutboxError {
    /// Another process has it.
    #[error("the outbox {} is in use by another process; stop that one, or give this node a state_dir of its own", dir.display())]
    InUse {
        /// Directory of the outbox.
        dir: PathBuf,
    },
}
