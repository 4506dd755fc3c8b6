//! From the file of a network to one that is ready, with proof of what runs it.

use super::cache::{Cache, Engine, Key, Marker};
use super::device::{self, TensorRt};
use super::environment::{self, Runtime};
use super::error::of_model;
use super::graph::{self, HandedOver, Profile};
use super::run::{Runner, State};
use super::session::{self, Engines};
use super::{Layout, OrtError, OrtModel, Sizes, library};
use crate::config::{OrtParams, Provider};
use crate::infer::{Ran, Shape};
use crate::models::StoredModel;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What is known while a network is opened.
struct Opening<'a> {
    runtime: &'static Runtime,
    model: &'a StoredModel,
    handed: &'a HandedOver,
    params: &'a OrtParams,
    sizes: &'a Sizes,
}

impl OrtModel {
    /// Hands a network to ONNX Runtime and runs it once, at the usual one of `sizes`, to see what runs it. `threads` is
    /// how many work on the CPU, for all networks of the process together; the first call decides.
    ///
    /// # Errors
    /// See [`OrtError`]. With TensorRT, [`OrtError::NotPrepared`] where the engine is not in the cache and `params` does
    /// not allow to build it.
    pub fn open(model: &StoredModel, params: &OrtParams, sizes: &Sizes, threads: usize) -> Result<OrtModel, OrtError> {
        let library = library::find(&library::Search::usual(params.library.as_deref()), params.provider)?;
        let runtime = environment::load(&library, threads)?;
        let handed = graph::hand_over(&model.bytes, &model.manifest.input, model.manifest.kind)
            .map_err(|reason| OrtError::Graph { model: model.name.clone(), reason })?;
        let opening = Opening { runtime, model, handed: &handed, params, sizes };
        match params.provider {
            Provider::Tensorrt => opening.tensorrt(),
            _ => opening.open(None, "fp32"),
        }
    }
}

impl Opening<'_> {
    fn failed(&self, reason: &str) -> OrtError {
        of_model(&self.model.name, reason)
    }

    /// Makes a session, runs it once, and judges what ran it.
    fn open(&self, engines: Option<&Engines<'_>>, precision: &'static str) -> Result<OrtModel, OrtError> {
        let scratch = Scratch::new()?;
        let (name, onnx) = (&self.model.name, &self.handed.bytes);
        let session = session::create(self.runtime, name, onnx, self.params, engines, &scratch.0.join("profile"))?;
        self.run_once(session, precision)
    }

    fn run_once(&self, session: ort::session::Session, precision: &'static str) -> Result<OrtModel, OrtError> {
        let (name, kind, provider) = (&self.model.name, self.model.manifest.kind, self.params.provider);
        let mut state = State::new(session, self.handed).map_err(|e| self.failed(e.message()))?;
        let output = state.answer_to_black(self.sizes.usual).map_err(|e| self.failed(e.message()))?;
        let profile = session::profile(&mut state.session).map_err(|reason| self.failed(&reason))?;
        profile.judge(provider).map_err(|reason| OrtError::NotUsed { model: name.clone(), provider, reason })?;
        let layout = Layout::of(kind, self.sizes.usual, &output).ok_or_else(|| {
            self.failed(&format!("to {} it answers {output:?}, which no {kind} does", self.sizes.usual))
        })?;
        let layout = match self.sizes.any_width {
            true => layout
                .learn(self.sizes.usual, |shape| state.answer_to_black(shape))
                .map_err(|e| self.failed(e.message()))?,
            false => layout,
        };
        let (nodes, library) = (profile.nodes, self.runtime.version.clone());
        let ran = Ran { requested: provider, ran: Some(provider), nodes, precision, library };
        log::info!("{name}: {ran}");
        let runner = Arc::new(Runner { name: name.clone(), state: Mutex::new(state) });
        Ok(OrtModel { runner, layout, sizes: *self.sizes, metadata: self.handed.metadata.clone(), ran })
    }

    /// With the engine of the cache, which is built first where that is missing and allowed.
    fn tensorrt(&self) -> Result<OrtModel, OrtError> {
        // Registration loads TensorRT, whose version belongs to the key.
        session::register(self.runtime, self.params)?;
        let tensorrt = TensorRt::loaded();
        // TensorRT 11 knows no permission to use 16 bits: a network runs in those that it is written in.
        let permission = tensorrt.as_ref().is_none_or(|t| t.major < 11);
        let fp16 = permission && self.model.manifest.fp16 && self.params.fp16.unwrap_or(true);
        let precision = if fp16 { "fp16" } else { "fp32" };
        let shapes = self.profile();
        let root = self.params.cache.clone().or_else(Cache::usual).ok_or(OrtError::NoCache)?;
        let (cache, device) = (Cache::new(root), device::describe(Path::new("/"), self.params.device_id));
        let key = Key {
            onnx: &self.handed.bytes,
            precision,
            profile: &format!("{}|{}|{}", shapes.min, shapes.opt, shapes.max),
            builder_level: None,
            workspace_bytes: self.params.workspace_bytes,
            onnxruntime: &self.runtime.version,
            tensorrt: &tensorrt.map(|t| t.to_string()).unwrap_or_default(),
            gpu: &device.gpu,
            driver: &device.driver,
        };
        let entry = cache.entry(&key, &self.model.name);
        let open = |engine: &Engine| {
            let engines = Engines { folder: &engine.folder, prefix: PREFIX, shapes: &shapes, fp16 };
            self.open(Some(&engines), precision)
        };
        if let Some(engine) = entry.find()? {
            match open(&engine) {
                Err(error) if error.is_damaged_engine() => {
                    log::warn!("{}: {error}; it is removed", self.model.name);
                    entry.discard(&engine)?;
                }
                done => return done,
            }
        }
        if !self.params.build_engines {
            let cache = cache.root().display().to_string();
            return Err(OrtError::NotPrepared { model: self.model.name.clone(), cache });
        }
        let engine = entry.build(|folder| -> Result<Marker, OrtError> {
            log::info!("{}: TensorRT builds an engine, which takes minutes", self.model.name);
            let start = Instant::now();
            let engines = Engines { folder, prefix: PREFIX, shapes: &shapes, fp16 };
            let built = self.open(Some(&engines), precision)?;
            let build_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            Ok(Marker { nodes: built.ran.nodes, fp16, build_ms })
        })?;
        open(&engine)
    }

    fn profile(&self) -> Profile {
        let sides = |shape: Shape| match *shape.axes() {
            [n, _, h, w] => [n, h, w],
            _ => [1; 3],
        };
        let Sizes { least, usual, greatest, .. } = self.sizes;
        self.handed.profile(sides(*usual), &[sides(*least), sides(*greatest)])
    }
}

/// A folder for what ONNX Runtime writes while a network is opened, also where that fails. Removed when dropped, which
/// must be after the session.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, OrtError> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("edge-ocr-{}-{count}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Scratch(path)),
                // What a killed process of the same number has left.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && count < MAX_LEFTOVERS => {}
                Err(error) => {
                    return Err(OrtError::Temporary { path: path.display().to_string(), reason: error.to_string() });
                }
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            log::debug!("{} stays: {error}", self.0.display());
        }
    }
}

/// So many folders of other processes are passed over.
const MAX_LEFTOVERS: usize = 1000;

/// How the files of an engine begin.
const PREFIX: &str = "engine";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Kind, Store};

    /// A file of the repository that is fetched. `None`, and said, where it is not here.
    fn fetched(path: &str) -> Option<PathBuf> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if path.is_file() {
            return Some(path);
        }
        assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "CI needs {}", path.display());
        eprintln!("skipped: {} is not here", path.display());
        None
    }

    #[test]
    fn silent_fallback_to_the_cpu_is_refused() {
        let Some(library) = fetched("tests/onnxruntime/libonnxruntime.so.1.32.0") else { return };
        let Some(folder) = fetched("models/PP-OCRv6_det_small.onnx") else { return };
        let store = Store::new(folder.parent());
        let model = store.load("ppocrv6-small-det", Kind::Detector, "").unwrap();
        let search = library::Search { given: Some(&library), ..Default::default() };
        let runtime = environment::load(&library::find(&search, Provider::Cpu).unwrap(), 1).unwrap();
        let handed = graph::hand_over(&model.bytes, &model.manifest.input, Kind::Detector).unwrap();
        let [usual, greatest] = [Shape::image(64, 96), Shape::image(640, 640)];
        let sizes = Sizes { least: usual, usual, greatest, any_width: false };
        let mut params = OrtParams::default();
        for (provider, silent) in [(Provider::Cpu, false), (Provider::Cuda, false), (Provider::Cuda, true)] {
            params.provider = provider;
            let opening = Opening { runtime, model: &model, handed: &handed, params: &params, sizes: &sizes };
            session::tests::SILENT.set(silent);
            let opened = opening.open(None, "fp32");
            session::tests::SILENT.set(false);
            match (provider, silent, opened.err()) {
                (Provider::Cpu, _, None) => {}
                (_, false, Some(OrtError::Provider { reason, .. })) => {
                    assert!(reason.contains("was built without it"), "{reason}");
                }
                (_, true, Some(OrtError::NotUsed { reason, .. })) => {
                    assert!(reason.contains("CUDA 0, CPU "), "{reason}")
                }
                (_, _, error) => panic!("{provider}, silent: {silent}: {error:?}"),
            }
        }
    }
}
