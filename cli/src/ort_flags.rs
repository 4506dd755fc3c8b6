//! The flags of the engine `ort`. They are there in every program, so that one without the engine says so.

use clap::{Args, ValueEnum};
use edge_ocr::Error;
use edge_ocr::config::{Engine, OrtParams, Provider};
use std::path::PathBuf;

#[derive(Args)]
#[command(next_help_heading = "ONNX Runtime (with --engine ort)")]
pub struct OrtFlags {
    /// What runs the networks (default: tensorrt)
    #[arg(long, value_enum)]
    provider: Option<ProviderName>,
    /// ONNX Runtime's library, libonnxruntime.so, or its folder (default: $ORT_DYLIB_PATH, or the first in the usual
    /// places of JetPack and Python)
    #[arg(long, value_name = "FILE")]
    ort_library: Option<PathBuf>,
    /// Where the provider cannot be used, run with the next one, down to the INT8 engine, and say so
    #[arg(long)]
    allow_fallback: bool,
    /// Number of the GPU
    #[arg(long, value_name = "N", default_value_t = 0)]
    device_id: u32,
    /// Folder of the engines that TensorRT builds (default: edge-ocr/tensorrt in the user's cache folder)
    #[arg(long, value_name = "DIR")]
    engine_cache: Option<PathBuf>,
    /// Build engines that are missing now, which takes minutes; `models prepare` does it beforehand
    #[arg(long)]
    build_engines: bool,
    /// The most memory that TensorRT may take for its work, MiB (default: it decides)
    #[arg(long, value_name = "N")]
    trt_workspace: Option<u64>,
    /// Do not use 16-bit floats with TensorRT
    #[arg(long)]
    no_fp16: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProviderName {
    Tensorrt,
    Cuda,
    Cpu,
}

impl OrtFlags {
    pub fn params(&self) -> OrtParams {
        let mut params = OrtParams::default();
        params.provider = match self.provider {
            Some(ProviderName::Tensorrt) | None => Provider::Tensorrt,
            Some(ProviderName::Cuda) => Provider::Cuda,
            Some(ProviderName::Cpu) => Provider::Cpu,
        };
        params.library.clone_from(&self.ort_library);
        params.cache.clone_from(&self.engine_cache);
        (params.allow_fallback, params.device_id) = (self.allow_fallback, self.device_id);
        params.build_engines = self.build_engines;
        params.workspace_bytes = self.trt_workspace.map(|mib| mib.saturating_mul(1 << 20));
        params.fp16 = self.no_fp16.then_some(false);
        params
    }

    /// Refuses the flags with another engine: a GPU would not be used, and nobody would know.
    pub fn check(&self, engine: Engine) -> Result<(), Error> {
        if engine == Engine::Ort || (self.provider.is_none() && self.params() == OrtParams::default()) {
            return Ok(());
        }
        let sentence =
            "the flags for ONNX Runtime have no effect with another engine; give --engine ort, or leave them out";
        Err(Error::Config(sentence.into()))
    }
}
