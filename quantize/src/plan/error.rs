//! Why a plan could not be made.

use crate::graph::{Node, ShapeError};

/// A model cannot be compiled.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
pub enum CompileError {
    /// Options that make no sense.
    #[error("{0}")]
    Options(String),
    /// An input size that does not fit the network.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// An operator that the engine cannot do.
    #[error("node {node} ({op}) cannot be compiled: {reason}")]
    Node {
        /// Name.
        node: String,
        /// Kind of operator.
        op: &'static str,
        /// Why.
        reason: String,
    },
    /// The engine refuses what was compiled.
    #[error("the engine refuses the plan: {0}; this is a mistake in edge-ocr-quantize, report it")]
    Refused(String),
}

impl CompileError {
    /// An error at a node.
    pub(super) fn node(node: &Node, reason: impl Into<String>) -> CompileError {
        CompileError::Node { node: node.name.clone(), op: node.op.name(), reason: reason.into() }
    }

    pub(super) fn refused(error: impl std::fmt::Display) -> CompileError {
        CompileError::Refused(error.to_string())
    }

    pub(super) fn write(error: impl std::fmt::Display) -> CompileError {
        CompileError::Refused(format!("it cannot be written ({error})"))
    }
}
