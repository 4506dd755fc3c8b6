//! ONNX Runtime with TensorRT, CUDA or the CPU, out of a library that is loaded when the program runs.
//!
//! ONNX Runtime runs a network on the CPU where the GPU cannot be used, and says nothing. Here every step is checked:
//! the library before it is loaded ([`library`]), registration and session as errors ([`OrtModel::open`]), and the
//! profile of a first run by node ([`used`]).

#[cfg(target_env = "musl")]
compile_error!(
    "the feature `ort` loads a library when the program runs, which a static program for musl cannot; build for a target with glibc, such as aarch64-unknown-linux-gnu"
);

pub mod cache;
pub mod device;
mod elf;
mod environment;
mod error;
pub mod graph;
mod layout;
pub mod library;
mod open;
mod proto;
mod run;
mod session;
pub mod used;

pub use error::OrtError;
pub use layout::Sizes;

use super::{InferError, Model, Ran, Session, Shape};
use crate::config::Provider;
use layout::Layout;
use run::{OrtSession, Runner};
use std::sync::Arc;

/// A network that ONNX Runtime runs, one run at a time.
pub struct OrtModel {
    runner: Arc<Runner>,
    layout: Layout,
    sizes: Sizes,
    metadata: Vec<(String, String)>,
    ran: Ran,
}

impl OrtModel {
    /// The value of a key in the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

impl OrtModel {
    /// Notes that another provider was asked for first.
    pub fn set_requested(&mut self, provider: Provider) {
        self.ran.requested = provider;
    }
}

impl Model for OrtModel {
    fn engine(&self) -> &'static str {
        "ort"
    }

    /// ONNX Runtime has threads of its own, and one run at a time has them all.
    fn spreads(&self) -> bool {
        true
    }

    fn ran(&self) -> Option<&Ran> {
        Some(&self.ran)
    }

    /// # Errors
    /// [`InferError::Shape`] for an input that no image has, and with TensorRT for one that its engine was not built
    /// for: ONNX Runtime would build it anew, which takes minutes.
    fn session(&self, input: Shape) -> Result<Arc<dyn Session>, InferError> {
        let refused = |reason: String| InferError::Shape { model: self.runner.name.clone(), shape: input, reason };
        if self.ran.ran == Some(Provider::Tensorrt) && !self.sizes.contain(input) {
            let (least, greatest) = (self.sizes.least, self.sizes.greatest);
            return Err(refused(format!("TensorRT's engine takes {least} to {greatest}")));
        }
        let output = self.layout.output(input).ok_or_else(|| refused("it takes images".into()))?;
        Ok(Arc::new(OrtSession { runner: self.runner.clone(), input, output }))
    }
}
