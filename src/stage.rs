//! What the stages that work on one line have in common.

use crate::image::ImageError;
use crate::infer::InferError;

/// Why a stage that works on one line failed.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StageError {
    /// The engine.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The pixels.
    #[error(transparent)]
    Image(#[from] ImageError),
}
