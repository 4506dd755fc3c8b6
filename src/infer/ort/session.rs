//! Sessions of ONNX Runtime: options in, errors out. Nothing here falls back to anything.

use super::environment::Runtime;
use super::error::{OrtError, essence, explain, of_model};
use super::used::Profile;
use crate::config::{OrtParams, Provider};
use ort::ep::{self, ExecutionProviderDispatch};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use std::path::Path;

/// What a session of TensorRT needs besides the parameters.
pub struct Engines<'a> {
    /// Folder of the built engines.
    pub folder: &'a Path,
    /// Prefix of their files.
    pub prefix: &'a str,
    /// Least, usual and largest shapes of the inputs, see [`graph::profile`](super::graph::profile).
    pub shapes: &'a super::graph::Profile,
    /// Whether 16-bit floats are allowed.
    pub fp16: bool,
}

/// Makes a session of `onnx`, which runs on `params.provider` and, with CUDA, on the CPU what CUDA leaves to it. A
/// profile of its runs is written beside `profile` until [`profile`](self::profile) ends it.
///
/// # Errors
/// [`OrtError::Provider`] if the provider refuses, [`OrtError::Model`] if the network is refused.
pub fn create(
    runtime: &Runtime,
    model: &str,
    onnx: &[u8],
    params: &OrtParams,
    engines: Option<&Engines<'_>>,
    profile: &Path,
) -> Result<Session, OrtError> {
    let provider = params.provider;
    let refused = |text: &str| {
        log::debug!("{model}: {text}");
        match provider {
            Provider::Cpu => of_model(model, text),
            _ => OrtError::Provider { provider, reason: explain(text) },
        }
    };
    let mut builder = options(runtime, provider, profile).map_err(|e| refused(e.message()))?;
    if let Some(dispatch) = dispatch(params, engines) {
        let register = || builder.with_execution_providers([dispatch]).map_err(|e| e.message().to_string());
        builder = match crate::panics::catch_panic(register) {
            Ok(Ok(builder)) => builder,
            Ok(Err(text)) | Err(text) => return Err(refused(&text)),
        };
    }
    // A device that is missing, or a driver too old, is found out here, not at registration.
    match crate::panics::catch_panic(|| builder.commit_from_memory(onnx)) {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(refused(error.message())),
        Err(panic) => Err(refused(&panic)),
    }
}

/// Registers the provider once and forgets it: that loads its libraries, and fails where they are missing.
///
/// # Errors
/// [`OrtError::Provider`].
pub fn register(runtime: &Runtime, params: &OrtParams) -> Result<(), OrtError> {
    let provider = params.provider;
    let refused = |text: &str| OrtError::Provider { provider, reason: explain(text) };
    let registered = crate::panics::catch_panic(|| -> ort::Result<()> {
        let builder = Session::builder(&runtime.environment)?;
        if let Some(dispatch) = dispatch(params, None) {
            builder.with_execution_providers([dispatch])?;
        }
        Ok(())
    });
    match registered {
        Ok(done) => done.map_err(|e| refused(e.message())),
        Err(panic) => Err(refused(&panic)),
    }
}

fn options(runtime: &Runtime, provider: Provider, profile: &Path) -> ort::Result<SessionBuilder> {
    let mut builder = Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        // Of the thread that calls; those of the pool are told by the environment.
        .with_flush_to_zero()?
        .with_profiling(profile)?;
    if provider == Provider::Tensorrt {
        builder = builder.with_disable_cpu_fallback()?;
    }
    Ok(builder)
}

/// The provider with its options; none for the CPU, which is always there.
fn dispatch(params: &OrtParams, engines: Option<&Engines<'_>>) -> Option<ExecutionProviderDispatch> {
    let device = i32::try_from(params.device_id).unwrap_or(i32::MAX);
    let dispatch = match params.provider {
        Provider::Cpu => return None,
        // The exhaustive search of cuDNN, the default, runs anew at every shape.
        Provider::Cuda => ep::CUDA::default()
            .with_device_id(device)
            .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
            .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
            .build(),
        Provider::Tensorrt => {
            let mut tensorrt = ep::TensorRT::default()
                .with_device_id(device)
                // Two builds at once do not fit into the memory of small boards.
                .with_force_sequential_engine_build(true);
            if let Some(bytes) = params.workspace_bytes {
                tensorrt = tensorrt.with_max_workspace_size(usize::try_from(bytes).unwrap_or(usize::MAX));
            }
            if let Some(engines) = engines {
                tensorrt = tensorrt
                    .with_engine_cache(true)
                    .with_engine_cache_path(engines.folder.display())
                    .with_engine_cache_prefix(engines.prefix)
                    .with_fp16(engines.fp16)
                    .with_profile_min_shapes(&engines.shapes.min)
                    .with_profile_opt_shapes(&engines.shapes.opt)
                    .with_profile_max_shapes(&engines.shapes.max);
            }
            tensorrt.build()
        }
    };
    #[cfg(test)]
    if tests::SILENT.get() {
        return Some(dispatch.fail_silently());
    }
    Some(dispatch.error_on_failure())
}

/// Ends the profile of a session, and reads and removes it.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub fn profile(session: &mut Session) -> Result<Profile, String> {
    let path = session.end_profiling().map_err(|e| essence(e.message()))?;
    let text = std::fs::read_to_string(&path).map_err(|e| format!("its profile {path} cannot be read: {e}"));
    Profile::parse(&text?)
}

#[cfg(test)]
pub mod tests {
    use std::cell::Cell;

    std::thread_local! {
        /// Whether a provider that cannot register says so, as other programs have it.
        pub static SILENT: Cell<bool> = const { Cell::new(false) };
    }
}
