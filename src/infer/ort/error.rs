//! Why ONNX Runtime cannot run a network: its texts are traces of its source, here they become sentences.

use super::cache::CacheError;
use super::graph::GraphError;
use super::library::LibraryError;
use crate::config::Provider;
use crate::param::Param;

/// Why the engine `ort` cannot be used.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OrtError {
    /// The shared library is missing or not fit.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The system or the library itself refuses to load.
    #[error("the ONNX Runtime library {path} cannot be loaded: {reason}; give another one with {library}", library = Param::OrtLibrary)]
    Load {
        /// The library.
        path: String,
        /// Why.
        reason: String,
    },
    /// A process can load one library only.
    #[error("the ONNX Runtime library {loaded} is loaded already, so {asked} cannot be; start the program again")]
    OtherLibrary {
        /// What is loaded.
        loaded: String,
        /// What was asked for.
        asked: String,
    },
    /// The provider cannot be used.
    #[error("{provider} cannot be used: {reason}")]
    Provider {
        /// Which one.
        provider: Provider,
        /// Why, and what can be done.
        reason: String,
    },
    /// A part of the network did not run where it was to run.
    #[error(
        "the model {model} does not run by {provider}: {reason}; take another ONNX Runtime, another provider ({param}), or allow a fallback ({fallback})",
        param = Param::OrtProvider, fallback = Param::OrtAllowFallback
    )]
    NotUsed {
        /// File or manifest name.
        model: String,
        /// What was asked for.
        provider: Provider,
        /// What ran elsewhere.
        reason: String,
    },
    /// The network cannot be run.
    #[error("ONNX Runtime cannot run the model {model}: {reason}; give a model of the PP-OCR family")]
    Model {
        /// File or manifest name.
        model: String,
        /// ONNX Runtime's words.
        reason: String,
    },
    /// There is too little memory.
    #[error(
        "there is no memory for the model {model} in ONNX Runtime; end other programs, or raise the limit of this one (ulimit -v)"
    )]
    Memory {
        /// File or manifest name.
        model: String,
    },
    /// The network cannot be prepared for ONNX Runtime.
    #[error("the model {model} cannot be handed to ONNX Runtime: {reason}")]
    Graph {
        /// File or manifest name.
        model: String,
        /// What is wrong with it.
        reason: GraphError,
    },
    /// TensorRT's engine is to be built first.
    #[error(
        "TensorRT's engine of the model {model} for this GPU and these versions is not in the cache {cache}; build it with `edge-ocr models prepare`, which takes minutes, or allow that now ({build})",
        build = Param::OrtBuildEngines
    )]
    NotPrepared {
        /// File or manifest name.
        model: String,
        /// The folder of the engines.
        cache: String,
    },
    /// There is no place for temporary files.
    #[error(
        "the folder {path} for temporary files cannot be made: {reason}; free space there, or set TMPDIR to another place"
    )]
    Temporary {
        /// The folder.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// There is no place for the engines.
    #[error("there is no folder for TensorRT's engines, because no home folder is known; name one with {param}", param = Param::OrtCache)]
    NoCache,
    /// The cache of engines cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl OrtError {
    /// Whether the fault is the model's, and not that of the library, the provider or the machine.
    pub fn is_of_model(&self) -> bool {
        matches!(self, OrtError::Model { .. } | OrtError::Graph { .. })
    }

    /// Whether TensorRT could not use an engine of the cache.
    pub(super) fn is_damaged_engine(&self) -> bool {
        matches!(self, OrtError::Provider { reason, .. } if reason == DAMAGED_ENGINE)
    }
}

/// What a failure to make or run a session of a model on the CPU means.
pub fn of_model(model: &str, text: &str) -> OrtError {
    let model = model.to_string();
    match ["bad_alloc", "Failed to allocate memory"].iter().any(|sign| text.contains(sign)) {
        true => OrtError::Memory { model },
        false => OrtError::Model { model, reason: essence(text) },
    }
}

const DAMAGED_ENGINE: &str = "the engine in the cache is damaged or of another TensorRT; run `edge-ocr models prepare`";

/// What a text of ONNX Runtime, CUDA or TensorRT means to the user.
const KNOWN: [(&str, &str); 14] = [
    (
        "is not enabled in this build",
        "this ONNX Runtime was built without it; take a build for this board, see docs/jetson.md",
    ),
    (
        "CUDA failure 100",
        "CUDA finds no GPU here; check that the driver is loaded, and that a container was started with the GPU",
    ),
    (
        "no CUDA-capable device",
        "CUDA finds no GPU here; check that the driver is loaded, and that a container was started with the GPU",
    ),
    (
        "CUDA failure 35",
        "the GPU's driver is older than the CUDA version that this ONNX Runtime needs; install the JetPack that fits",
    ),
    (
        "driver version is insufficient",
        "the GPU's driver is older than the CUDA version that this ONNX Runtime needs; install the JetPack that fits",
    ),
    (
        "CUDA failure 209",
        "this ONNX Runtime holds no machine code for this GPU; take a build for this board, see docs/jetson.md",
    ),
    (
        "no kernel image",
        "this ONNX Runtime holds no machine code for this GPU; take a build for this board, see docs/jetson.md",
    ),
    ("CUDA failure 2:", "the GPU has too little memory left; stop other programs, or lower the workspace"),
    ("out of memory", "the GPU has too little memory left; stop other programs, or lower the workspace"),
    (
        "libnvdla_compiler.so",
        "libnvdla_compiler.so is missing; install NVIDIA's package nvidia-l4t-dla-compiler, or mount it into the container",
    ),
    ("invalid device ordinal", "there is no GPU of that number"),
    ("CUDA failure 101", "there is no GPU of that number"),
    ("deserialize", DAMAGED_ENGINE),
    ("INVALID_CONFIG", "TensorRT refuses the configuration of the engine"),
];

/// The reason in a text of ONNX Runtime, as the end of a sentence.
pub fn explain(text: &str) -> String {
    if let Some(file) = missing_file(text) {
        return match file {
            "libnvdla_compiler.so" => KNOWN.iter().find(|k| k.0 == file).map_or(file, |k| k.1).to_string(),
            _ => format!("the library {file} is missing; install the package of JetPack or CUDA that holds it"),
        };
    }
    match KNOWN.iter().find(|(sign, _)| text.contains(sign)) {
        Some((_, meaning)) => (*meaning).to_string(),
        None => essence(text),
    }
}

/// The library that the dynamic loader did not find: `libcublas.so.13: cannot open shared object file`.
fn missing_file(text: &str) -> Option<&str> {
    let before = text.split(": cannot open shared object file").next().filter(|before| before.len() < text.len())?;
    before.rsplit([' ', ':', '"', '\'']).next().filter(|name| name.contains(".so"))
}

/// The last part of a trace, on one line: what follows "with error:" or the like, without paths of source files.
pub fn essence(text: &str) -> String {
    const MAX_CHARS: usize = 240;
    let tail = ["with error:", "Error:", "ERROR:"].iter().find_map(|sign| text.rsplit_once(sign)).map_or(text, |s| s.1);
    let line = tail.split_whitespace().filter(|word| !is_source(word)).collect::<Vec<_>>().join(" ");
    let mut line = line.trim_end_matches(['.', ';', ' ']).to_string();
    if let Some((cut, _)) = line.char_indices().nth(MAX_CHARS) {
        line.truncate(cut);
        line.push('…');
    }
    if line.is_empty() { "it gives no reason".into() } else { line }
}

/// Whether a word is the place in ONNX Runtime's source where something failed.
fn is_source(word: &str) -> bool {
    word.contains(".cc:") || word.contains(".h:") || word.starts_with("/onnxruntime")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts that ONNX Runtime 1.31 and 1.32 gave, each with a part of what it means.
    const TEXTS: [(&str, &str); 6] = [
        (
            "TensorRT execution provider is not enabled in this build. ",
            "this ONNX Runtime was built without it; take a build for this board, see docs/jetson.md",
        ),
        (
            "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:129 std::conditional_t<THRW, void, common::Status> onnxruntime::CudaCall(...) CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=host ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=282 ; expr=cudaSetDevice(info_.device_id);",
            "CUDA finds no GPU here; check that the driver is loaded, and that a container was started with the GPU",
        ),
        (
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1",
            "the GPU's driver is older than the CUDA version that this ONNX Runtime needs; install the JetPack that fits",
        ),
        (
            "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2251 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: libcublas.so.13: cannot open shared object file: No such file or directory",
            "the library libcublas.so.13 is missing; install the package of JetPack or CUDA that holds it",
        ),
        (
            "Failed to load library libonnxruntime_providers_tensorrt.so with error: libnvdla_compiler.so: cannot open shared object file: No such file or directory",
            "libnvdla_compiler.so is missing; install NVIDIA's package nvidia-l4t-dla-compiler, or mount it into the container",
        ),
        ("Load model failed with error:  a\n   b  ", "a b"),
    ];

    #[test]
    fn texts_become_sentences() {
        for (text, meaning) in TEXTS {
            assert_eq!(explain(text), meaning);
        }
    }

    #[test]
    fn a_trace_is_cut_and_never_empty() {
        assert_eq!(essence(""), "it gives no reason");
        assert_eq!(essence("x with error: /onnxruntime_src/a.cc:12 "), "it gives no reason");
        assert_eq!(essence(&"ä".repeat(1000)).chars().count(), 241);
    }
}
