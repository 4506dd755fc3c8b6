//! The errors of the host-side tool that are not told elsewhere.

/// What went wrong, as a sentence for a person.
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// A graph that breaks a rule.
    #[error("{0}")]
    Graph(#[from] crate::graph::GraphError),
    /// An input size that does not fit.
    #[error("{0}")]
    Shape(#[from] crate::graph::ShapeError),
    /// An interpreter met what it does not do.
    #[error("node {node} cannot be interpreted: {reason}; this is a mistake in edge-ocr-quantize, report it")]
    Exec {
        /// Name of the node.
        node: String,
        /// Why.
        reason: String,
    },
    /// A file.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// A `.q8` file.
    #[error(transparent)]
    Q8(#[from] crate::q8::Q8Error),
    /// A choice of characters.
    #[error(transparent)]
    Charset(#[from] crate::charset::CharsetError),
    /// A parameter of the caller.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// A file error.
    pub fn file(path: &std::path::Path, reason: impl std::fmt::Display) -> Error {
        Error::File { path: path.display().to_string(), reason: reason.to_string() }
    }
}
