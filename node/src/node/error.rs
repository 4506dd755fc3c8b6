//! Why a node cannot run, or no longer.

use crate::publish::outbox::OutboxError;
use edge_ocr::Error;

/// Every message is one sentence: the thing, the reason, the remedy.
#[derive(thiserror::Error, Debug)]
pub enum NodeError {
    /// The configuration.
    #[error("{0}")]
    Config(String),
    /// The pipeline.
    #[error(transparent)]
    Pipeline(#[from] Error),
    /// The outbox's directory is another node's.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The system.
    #[error("the node cannot run because the system says '{0}'; free memory and processes")]
    System(#[from] std::io::Error),
    /// Readings cannot be printed.
    #[error("readings cannot be written to standard output: {0}; switch off print in [node]")]
    Print(std::io::Error),
    /// The broker cannot be reached, where that is all that was wanted.
    #[error("the broker did not do what was asked: {0}")]
    Broker(String),
    /// A mistake in this program.
    #[error("a mistake in edge-ocr: {0}; please report it")]
    Internal(String),
}
