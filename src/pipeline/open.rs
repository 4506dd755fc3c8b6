//! The name of a model to a network of the chosen engine.

use crate::config::{Config, Engine};
use crate::error::Error;
use crate::infer::Model;
use crate::infer::arena::ArenaModel;
use crate::memory::Workspace;
use crate::models::{Charset, Kind, Manifest, ModelError, Store};
use crate::target;
use std::sync::Arc;

/// A model, ready to be given inputs.
pub struct Opened {
    /// Name of its manifest, or the path as it was given.
    pub name: String,
    /// What is known of it.
    pub manifest: Manifest,
    /// The network.
    pub network: Arc<dyn Model>,
    /// The characters that a recogniser's file carries, if it does.
    pub charset: Option<Charset>,
}

/// Opens the model that a configuration names for `kind`. With the INT8 engine, up to `workers` threads share a run,
/// and the plan is checked in `workspace`.
///
/// # Errors
/// [`Error::Model`] for a model that is missing, damaged or not built in, [`Error::Infer`] for kernels that the processor lacks,
/// [`Error::NoEngine`] for an engine this program was built without.
pub fn open(
    config: &Config,
    store: &Store,
    kind: Kind,
    workers: usize,
    workspace: &mut Workspace,
) -> Result<Opened, Error> {
    let name = match kind {
        Kind::Detector => &config.models.det,
        Kind::Recogniser => &config.models.rec,
        Kind::Classifier => &config.models.cls,
    };
    match config.engine {
        Engine::Arena => embedded(name, store, kind, workers, workspace),
        #[cfg(feature = "tract")]
        Engine::Tract => onnx(name, store, kind, config.memory.plans()),
        #[cfg(not(feature = "tract"))]
        Engine::Tract => Err(Error::NoEngine("tract".into())),
    }
}

fn embedded(name: &str, store: &Store, kind: Kind, workers: usize, workspace: &mut Workspace) -> Result<Opened, Error> {
    let embedded = match kind {
        Kind::Detector => &target::DETECTOR,
        Kind::Recogniser => &target::RECOGNISER,
        Kind::Classifier => &target::CLASSIFIER,
    };
    let manifest = store.manifest(name).filter(|_| name == embedded.model).cloned();
    let manifest =
        manifest.ok_or_else(|| ModelError::NotBuiltIn { name: name.into(), kind, built_in: embedded.model })?;
    let network = Arc::new(ArenaModel::load(embedded, workers, workspace)?);
    let charset = (kind == Kind::Recogniser).then(|| Charset::of_classes(target::CLASSES));
    Ok(Opened { name: name.into(), manifest, network, charset })
}

#[cfg(feature = "tract")]
fn onnx(name: &str, store: &Store, kind: Kind, plans: usize) -> Result<Opened, Error> {
    use crate::infer::tract::TractModel;
    let usual = crate::config::ModelChoice::default();
    let like = match kind {
        Kind::Detector => usual.det,
        Kind::Recogniser => usual.rec,
        Kind::Classifier => usual.cls,
    };
    let model = store.load(name, kind, &like)?;
    let path = || model.path.display().to_string();
    let network = TractModel::read(name, &model.bytes, &model.manifest.input, plans)
        .map_err(|e| ModelError::NotOnnx { path: path(), reason: e.to_string() })?;
    let key = model.manifest.recogniser.as_ref().and_then(|r| r.charset.strip_prefix("onnx-metadata:"));
    let charset = key
        .and_then(|key| network.metadata(key))
        .map(|text| Charset::parse(text).map_err(|reason| ModelError::Dictionary { name: path(), reason }))
        .transpose()?;
    Ok(Opened { name: model.name, manifest: model.manifest, network: Arc::new(network), charset })
}
