//! Exit codes, the same for every verb. A signal while results are written gives 128 plus its number: 130, 143.

use edge_ocr::Error;
use edge_ocr::infer::InferError;
use edge_ocr::source::SourceError;
#[cfg(feature = "node")]
use edge_ocr_node::node::NodeError;

/// Done.
pub const OK: u8 = 0;
/// The self-test read the wrong text, or writing the result failed.
pub const FAILED: u8 = 1;
/// Wrong flags or configuration.
pub const USAGE: u8 = 2;
/// A model cannot be used.
pub const MODEL: u8 = 3;
/// An image could not be read.
pub const INPUT: u8 = 4;
/// No text was found, and that was asked to be an error.
pub const NO_TEXT: u8 = 5;
/// The engine is not available.
pub const NO_ENGINE: u8 = 6;
/// The broker did not do what was asked.
#[cfg(feature = "node")]
pub const BROKER: u8 = 7;
/// Standard output was closed before all was written: what a shell shows of programs that SIGPIPE ends.
pub const CLOSED: u8 = 128 + 13;

/// What an error of the library means: 2 configuration, 3 model, 4 input, 6 the engine is not available: not in the
/// program, not for this machine, or no memory for it.
pub fn of(error: &Error) -> u8 {
    match error {
        Error::Config(_) | Error::Param(_) | Error::Source(SourceError::StdinTwice | SourceError::Nothing) => USAGE,
        Error::Infer(InferError::Kernels(_) | InferError::Machine(_) | InferError::NoMemory(_))
        | Error::NoEngine(_) => NO_ENGINE,
        #[cfg(feature = "ort")]
        Error::Ort(error) if !error.is_of_model() => NO_ENGINE,
        #[cfg(feature = "ort")]
        Error::Ort(_) => MODEL,
        Error::Model(_) | Error::Infer(_) => MODEL,
        Error::Image(_) | Error::Source(_) => INPUT,
        // A kind of error that this program does not know.
        _ => FAILED,
    }
}

/// What an error of the node means: 2 configuration, 7 broker, 1 otherwise, and the pipeline's.
#[cfg(feature = "node")]
pub fn of_node(error: &NodeError) -> u8 {
    match error {
        NodeError::Config(_) | NodeError::Outbox(_) => USAGE,
        NodeError::Pipeline(error) => of(error),
        NodeError::Broker(_) => BROKER,
        NodeError::System(_) | NodeError::Print(_) | NodeError::Internal(_) => FAILED,
    }
}
