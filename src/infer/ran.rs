//! What runs a network, where that is not certain beforehand: engines that use a GPU say what they really used.

use crate::config::Provider;
use serde::{Deserialize, Serialize};

/// What runs a network, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ran {
    /// What was asked for.
    pub requested: Provider,
    /// What runs it; `None`: the INT8 engine, in the place of all providers.
    pub ran: Option<Provider>,
    /// Nodes of its first run.
    pub nodes: Nodes,
    /// `fp32`, `fp16` or `int8`.
    pub precision: &'static str,
    /// Version of ONNX Runtime; empty where it runs nothing.
    pub library: String,
}

impl Ran {
    /// What was asked for does not run, and the INT8 engine does.
    pub fn int8_instead_of(requested: Provider) -> Ran {
        Ran { requested, ran: None, nodes: Nodes::default(), precision: "int8", library: String::new() }
    }
}

impl std::fmt::Display for Ran {
    /// `TensorRT of ONNX Runtime 1.23.0, fp16; nodes: TensorRT 1, CUDA 0, CPU 0`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ran {
            None => write!(f, "the INT8 engine")?,
            Some(ran) => {
                let Ran { library, precision, nodes, .. } = self;
                write!(f, "{ran} of ONNX Runtime {library}, {precision}; nodes: {nodes}")?;
            }
        }
        if self.ran != Some(self.requested) {
            write!(f, " (in the place of {})", self.requested)?;
        }
        Ok(())
    }
}

/// How many nodes ran on what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// TensorRT's; a whole network is one.
    pub tensorrt: usize,
    /// CUDA's.
    pub cuda: usize,
    /// The CPU's.
    pub cpu: usize,
    /// Of providers that were not asked for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl std::fmt::Display for Nodes {
    /// `TensorRT 1, CUDA 0, CPU 0`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TensorRT {}, CUDA {}, CPU {}", self.tensorrt, self.cuda, self.cpu)?;
        if self.other > 0 {
            write!(f, ", others {}", self.other)?;
        }
        Ok(())
    }
}
