//! The errors of the library: [`Error`], and what its variants hold.

pub use crate::image::ImageError;
#[doc(inline)]
pub use crate::infer::InferError;
#[doc(inline)]
pub use crate::memory::NoMemory;
pub use crate::models::ModelError;
pub use crate::param::ParamError;
pub use crate::source::SourceError;

use crate::detect::detector::{DetectError, DetectorError};
use crate::recognise::RecogniserError;
use crate::stage::StageError;

/// Why an image was not read. Every message is one sentence: the thing, the reason, the remedy. `Debug` is that sentence
/// too, because a `main` that returns an error prints it so.
#[derive(thiserror::Error, Clone, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A parameter or a configuration that cannot be used.
    #[error("{0}")]
    Config(String),
    /// A value that a parameter cannot have.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// A model that cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The engine failed.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The image cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// ONNX Runtime, or what it is to run networks on, cannot be used.
    #[cfg(feature = "ort")]
    #[error(transparent)]
    Ort(#[from] crate::infer::ort::OrtError),
    /// An engine that this program was built without.
    #[error("the engine {0} is not in this program; build it with `--features {0}`")]
    NoEngine(String),
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl From<NoMemory> for Error {
    fn from(error: NoMemory) -> Self {
        Error::Infer(error.into())
    }
}

impl From<DetectorError> for Error {
    fn from(error: DetectorError) -> Self {
        match error {
            DetectorError::Model(e) => Error::Model(e),
            DetectorError::Param(error) => Error::Param(error),
            DetectorError::Db(error) => Error::Config(error.to_string()),
            DetectorError::Memory(e) => e.into(),
        }
    }
}

impl From<RecogniserError> for Error {
    fn from(error: RecogniserError) -> Self {
        match error {
            RecogniserError::Model(e) => Error::Model(e),
            RecogniserError::Param(error) => Error::Param(error),
        }
    }
}

impl From<DetectError> for Error {
    fn from(error: DetectError) -> Self {
        match error {
            DetectError::Infer(e) => Error::Infer(e),
            DetectError::Image(e) => Error::Image(e),
            DetectError::Map(reason) => Error::Infer(InferError::Run { model: "detector".into(), reason }),
        }
    }
}

impl From<StageError> for Error {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Infer(e) => Error::Infer(e),
            StageError::Image(e) => Error::Image(e),
        }
    }
}
