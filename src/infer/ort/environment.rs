//! The library of ONNX Runtime in this process: loaded once, and for good.
//!
//! ONNX Runtime has one environment in a process, also after it was dropped, and with CUDA aborts when it is released
//! at exit (pykeio/ort#609). So it stays until the process ends.

use super::error::{OrtError, essence};
use super::library::Library;
use ort::environment::{Environment, EnvironmentBuilder, GlobalThreadPoolOptions};
use ort::logging::LogLevel;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A loaded library.
pub struct Runtime {
    /// Where sessions are made.
    pub environment: Environment,
    /// Version, such as `1.23.0`; the name of a branch, or empty, where the library does not tell.
    pub version: String,
    path: PathBuf,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// Held while the library is loaded. True after it panicked: it is then in an unknown state.
static LOADING: Mutex<bool> = Mutex::new(false);

/// Loads `library`, or gives what is loaded if that is the same. All networks share `threads` threads on the CPU; the
/// first call decides how many.
///
/// # Errors
/// [`OrtError::Load`] if the system or the library refuses, [`OrtError::OtherLibrary`] if another is loaded.
pub fn load(library: &Library, threads: usize) -> Result<&'static Runtime, OrtError> {
    let mut panicked = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    let shown = library.path.display().to_string();
    if let Some(runtime) = RUNTIME.get() {
        return match runtime.path == library.path {
            true => Ok(runtime),
            false => Err(OrtError::OtherLibrary { loaded: runtime.path.display().to_string(), asked: shown }),
        };
    }
    let failed = |reason: String| OrtError::Load { path: shown.clone(), reason };
    if *panicked {
        return Err(failed("another library failed to load in this process; start the program again".into()));
    }
    let loaded = crate::panics::catch_panic(|| -> Result<(Environment, String), String> {
        let builder = ort::init_from(&library.path).map_err(|error| match &error {
            ort::LoadDynamicError::Dlopen { error, .. } => chain(error),
            error => chain(error),
        })?;
        environment(builder, threads).map_err(|error| chain(&error))
    });
    let (environment, build) = match loaded {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(reason)) => return Err(failed(reason)),
        Err(_) => {
            *panicked = true;
            return Err(failed("it is not an ONNX Runtime that this program can use".into()));
        }
    };
    // The build's information names a branch, which need not be a release.
    let version = library.version.map_or(build, |(major, minor, patch)| format!("{major}.{minor}.{patch}"));
    log::debug!("{shown}: ONNX Runtime {version}");
    Ok(RUNTIME.get_or_init(|| Runtime { environment, version, path: library.path.clone() }))
}

/// The environment, with the branch that the library was built from.
fn environment(builder: EnvironmentBuilder, threads: usize) -> ort::Result<(Environment, String)> {
    // Its threads spin while they wait, and more of them than cores wait for each other.
    let threads = threads.min(std::thread::available_parallelism().map_or(threads, usize::from)).max(1);
    let pool = GlobalThreadPoolOptions::default().with_intra_threads(threads)?.with_inter_threads(1)?;
    // Two convolutions of PP-OCRv6's detector work on numbers below 1e-38, for which processors need many times longer.
    let pool = pool.with_flush_to_zero()?;
    let environment = builder
        .with_name("edge-ocr")
        .with_telemetry(false)
        .with_global_thread_pool(pool)
        .with_logger(Arc::new(|_, _, _, _, message| log::debug!("ONNX Runtime: {}", essence(message))))
        .build()?;
    environment.set_log_level(LogLevel::Warning);
    Ok((environment, branch(ort::info())))
}

/// An error with all that it stems from: the first says only that loading failed, the last why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    log::debug!("{error}: {last}");
    essence(&last.to_string())
}

/// The branch in ONNX Runtime's build information: `… git-branch=rel-1.23.0, …`.
fn branch(info: &str) -> String {
    let branch = info.split("git-branch=").nth(1).and_then(|rest| rest.split([',', ' ']).next()).unwrap_or_default();
    branch.trim_start_matches("rel-").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_of_a_release_is_its_version() {
        let info = "ORT Build Info: git-branch=rel-1.19.0, git-commit-id=26250ae, build type=Release";
        assert_eq!(branch(info), "1.19.0");
        assert_eq!(branch("nothing"), "");
    }
}
