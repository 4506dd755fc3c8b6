//! The name of a model to a network of the chosen engine.

use crate::config::{Config, Engine};
use crate::error::Error;
use crate::infer::arena::ArenaModel;
use crate::infer::{Model, Ran};
use crate::memory::Workspace;
#[cfg(any(feature = "tract", feature = "ort"))]
use crate::models::StoredModel;
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
    /// What runs the network, of an engine that finds that out.
    pub ran: Option<Ran>,
}

/// Opens a model of `kind` with the engine of a configuration. With the INT8 engine, up to `workers` threads share a run,
/// and the plan is checked in `workspace`.
///
/// # Errors
/// [`Error::Model`] for a model that is missing, damaged or not built in, [`Error::Infer`] for kernels that the processor lacks,
/// [`Error::NoEngine`] for an engine this program was built without.
pub fn open(
    config: &Config,
    name: &str,
    store: &Store,
    kind: Kind,
    workers: usize,
    workspace: &mut Workspace,
) -> Result<Opened, Error> {
    match config.engine {
        Engine::Arena => embedded(name, store, kind, workers, workspace),
        #[cfg(feature = "tract")]
        Engine::Tract => onnx(name, store, kind, config.memory.plans()),
        #[cfg(not(feature = "tract"))]
        Engine::Tract => Err(Error::NoEngine("tract".into())),
        #[cfg(feature = "ort")]
        // Too small to be worth a GPU, and both its sides have one name, which TensorRT takes for one size.
        Engine::Ort if kind == Kind::Classifier => embedded(name, store, kind, workers, workspace),
        #[cfg(feature = "ort")]
        Engine::Ort => onnx_runtime(config, name, store, kind, workers, workspace),
        #[cfg(not(feature = "ort"))]
        Engine::Ort => Err(Error::NoEngine("ort".into())),
    }
}

#[cfg(feature = "ort")]
fn onnx_runtime(
    config: &Config,
    name: &str,
    store: &Store,
    kind: Kind,
    workers: usize,
    workspace: &mut Workspace,
) -> Result<Opened, Error> {
    use crate::config::Provider;
    use crate::infer::Ran;
    use crate::infer::ort::{OrtError, OrtModel};
    let model = load(name, store, kind)?;
    let sizes = sizes(config, &model.manifest);
    let mut params = config.ort.clone();
    let requested = params.provider;
    let mut refused: Option<OrtError> = None;
    loop {
        match OrtModel::open(&model, &params, &sizes, config.threads) {
            Ok(mut network) => {
                if let Some(error) = refused {
                    log::warn!("{name}: {error}; {} runs it", params.provider);
                    network.set_requested(requested);
                }
                let ran = network.ran().cloned();
                let charset = charset_of(&model, |key| network.metadata(key))?;
                let network = Arc::new(network);
                return Ok(Opened { name: model.name, manifest: model.manifest, network, charset, ran });
            }
            Err(error) if !params.allow_fallback => return Err(error.into()),
            Err(error) if params.provider == Provider::Tensorrt => {
                params.provider = {
                    refused = Some(error);
                    Provider::Cuda
                }
            }
            Err(error) => {
                log::warn!("{name}: {}; the INT8 engine runs it", refused.as_ref().unwrap_or(&error));
                let ran = Some(Ran::int8_instead_of(requested));
                return Ok(Opened { ran, ..embedded(name, store, kind, workers, workspace)? });
            }
        }
    }
}

/// The inputs that are to come.
#[cfg(feature = "ort")]
fn sizes(config: &Config, manifest: &Manifest) -> crate::infer::ort::Sizes {
    use crate::infer::Shape;
    use crate::recognise::{LONGEST_PX, SHORTEST_PX, Widths};
    let height = manifest.input.height_px;
    let any_width = height.is_some() && config.recognise.widths == Widths::Exact;
    let (least, usual, greatest) = match height {
        Some(height) => {
            let [first, last] = match &config.recognise.widths {
                Widths::Exact => [SHORTEST_PX, LONGEST_PX],
                Widths::Buckets(widths) => [
                    widths.iter().copied().min().unwrap_or(SHORTEST_PX),
                    widths.iter().copied().max().unwrap_or(LONGEST_PX),
                ],
            };
            let batch = config.recognise.batch;
            (Shape::image(height, first), Shape::images(batch, height, first), Shape::images(batch, height, last))
        }
        None => {
            let canvases = &config.detect.scale.canvases_px;
            let side = |axis: usize, of: fn(usize, usize) -> usize| canvases.iter().map(|c| c[axis]).reduce(of);
            let size = |of: fn(usize, usize) -> usize| {
                Shape::image(side(1, of).unwrap_or(SHORTEST_PX), side(0, of).unwrap_or(SHORTEST_PX))
            };
            let [width, height] = canvases.first().copied().unwrap_or([SHORTEST_PX; 2]);
            (size(usize::min), Shape::image(height, width), size(usize::max))
        }
    };
    crate::infer::ort::Sizes { least, usual, greatest, any_width }
}

fn embedded(name: &str, store: &Store, kind: Kind, workers: usize, workspace: &mut Workspace) -> Result<Opened, Error> {
    if let Some(other) = store.manifest(name).map(|manifest| manifest.kind).filter(|other| *other != kind) {
        let reason = format!("its manifest says that it is a {other}");
        return Err(ModelError::WrongKind { name: name.into(), kind, reason }.into());
    }
    let Some((embedded, manifest)) = target::find(kind, name).zip(store.manifest(name).cloned()) else {
        let built_in: Vec<&str> = target::embedded(kind).iter().map(|embedded| embedded.model).collect();
        return Err(ModelError::NotBuiltIn { name: name.into(), kind, built_in: built_in.join(" and ") }.into());
    };
    let network = Arc::new(ArenaModel::load(embedded, workers, workspace)?);
    let charset = (kind == Kind::Recogniser).then(|| Charset::of_classes(embedded.classes));
    Ok(Opened { name: name.into(), manifest, network, charset, ran: None })
}

/// The file of a model; one that is given by its path is taken to be like the usual one of its kind.
#[cfg(any(feature = "tract", feature = "ort"))]
fn load(name: &str, store: &Store, kind: Kind) -> Result<StoredModel, ModelError> {
    let usual = crate::config::ModelChoice::of_tier(crate::config::Tier::Small);
    let like = match kind {
        Kind::Detector => usual.det,
        Kind::Recogniser => usual.rec,
        Kind::Classifier => usual.cls,
    };
    store.load(name, kind, &like)
}

/// The characters of a recogniser: of its dictionary, or those that its file carries, if its manifest says that it does.
#[cfg(any(feature = "tract", feature = "ort"))]
fn charset_of<'a>(
    model: &'a StoredModel,
    metadata: impl FnOnce(&str) -> Option<&'a str>,
) -> Result<Option<Charset>, ModelError> {
    let key = model.manifest.recogniser.as_ref().and_then(|r| r.charset.strip_prefix("onnx-metadata:"));
    let text = model.dictionary.as_deref().or_else(|| key.and_then(metadata));
    let name = || model.path.display().to_string();
    text.map(|text| Charset::parse(text).map_err(|reason| ModelError::Dictionary { name: name(), reason })).transpose()
}

#[cfg(feature = "tract")]
fn onnx(name: &str, store: &Store, kind: Kind, plans: usize) -> Result<Opened, Error> {
    use crate::infer::tract::TractModel;
    let model = load(name, store, kind)?;
    let path = || model.path.display().to_string();
    let network = TractModel::read(name, &model.bytes, &model.manifest.input, plans)
        .map_err(|e| ModelError::NotOnnx { path: path(), reason: e.to_string() })?;
    let charset = charset_of(&model, |key| network.metadata(key))?;
    Ok(Opened { name: model.name, manifest: model.manifest, network: Arc::new(network), charset, ran: None })
}
