//! How ONNX Runtime runs the networks, for [`Engine::Ort`](super::Engine::Ort).

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Parameters of the engine `ort`. Without effect with other engines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OrtParams {
    /// The shared library of ONNX Runtime, or the folder that it is in. If not given: what `ORT_DYLIB_PATH` names, or
    /// else the first that is in a usual place of JetPack or Python.
    pub library: Option<PathBuf>,
    /// On what the networks run.
    pub provider: Provider,
    /// Number of the GPU, from 0.
    pub device_id: u32,
    /// Where the provider cannot be used, run with the next one that can, down to the INT8 engine, and say so. If
    /// not, that is an error.
    pub allow_fallback: bool,
    /// Folder of the engines that TensorRT builds. If not given: `tensorrt` in the user's cache folder.
    pub cache: Option<PathBuf>,
    /// Build engines that are not in the cache when the pipeline is made, which takes minutes. If not, a missing
    /// engine is an error.
    pub build_engines: bool,
    /// The most memory that TensorRT may take while it builds and runs, bytes; TensorRT decides if not given.
    pub workspace_bytes: Option<u64>,
    /// Whether networks whose manifests allow it run with 16-bit floats. TensorRT only.
    pub fp16: Option<bool>,
}

impl OrtParams {
    pub(super) fn is_default(&self) -> bool {
        *self == OrtParams::default()
    }
}

/// What ONNX Runtime runs a network on: its execution provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// A GPU, by TensorRT, which builds an engine of each network for this GPU.
    #[default]
    Tensorrt,
    /// A GPU, by CUDA and cuDNN.
    Cuda,
    /// The processor.
    Cpu,
}

impl Provider {
    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Tensorrt => "tensorrt",
            Provider::Cuda => "cuda",
            Provider::Cpu => "cpu",
        }
    }
}

impl std::fmt::Display for Provider {
    /// As its makers write it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Provider::Tensorrt => "TensorRT",
            Provider::Cuda => "CUDA",
            Provider::Cpu => "CPU",
        })
    }
}
