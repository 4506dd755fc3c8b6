//! Why there is no frame.

/// Why a source gave no frame. Every message is one sentence: the thing, the reason, the remedy. Never a secret in it.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum CameraError {
    /// Nothing came in time.
    #[error("{source_name} gave no frame within {waited_ms} ms; {remedy}")]
    Timeout {
        /// The source.
        source_name: String,
        /// How long was waited.
        waited_ms: u64,
        /// What to do about it.
        remedy: String,
    },
    /// There is nothing new yet (a directory without new files); no failure of the camera.
    #[error("{source_name} has no new frame")]
    NothingNew {
        /// The source.
        source_name: String,
    },
    /// The camera, server, program or device failed.
    #[error("{source_name} failed because {reason}; {remedy}")]
    Failed {
        /// The source.
        source_name: String,
        /// Why.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// What came is not an image, or one that exceeds the limits.
    #[error("a frame of {source_name} cannot be used because {reason}")]
    BadFrame {
        /// The source.
        source_name: String,
        /// Why.
        reason: String,
    },
    /// The node is ending.
    #[error("the node is ending")]
    Stopped,
    /// All images were given (a replay that does not loop).
    #[error("{source_name} has no further frames")]
    End {
        /// The source.
        source_name: String,
    },
}
