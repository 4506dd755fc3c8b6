//! `edge-ocr models`: what is known of the models, and whether their files are here and right.

use super::options::Options;
use super::{Stop, exit};
use clap::Subcommand;
use edge_ocr::config::{Engine, Provider};
use edge_ocr::models::{Manifest, ModelError, Status, Store};
use edge_ocr::{Error, Pipeline};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    /// Folder of the model files (default: $EDGE_OCR_MODELS, ./models, beside the program)
    #[arg(long, value_name = "DIR", global = true)]
    models_dir: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// One line for each known model
    List,
    /// The manifest of a model
    Show {
        /// Its name
        name: String,
    },
    /// How to bring the files that are missing
    Fetch,
    /// Build TensorRT's engines of the detector and the recogniser for this GPU, with the flags that `read` is to have
    Prepare(Box<PrepareArgs>),
    /// Write a network as it is handed to ONNX Runtime, for other tools such as trtexec
    Export {
        /// Its name
        name: String,
        /// The file to write
        file: PathBuf,
    },
    /// Check the files against their checksums (default: all that are here)
    Verify {
        /// Their names
        names: Vec<String>,
    },
}

#[derive(clap::Args)]
struct PrepareArgs {
    #[command(flatten)]
    options: Options,
}

pub fn run(args: &Args) -> Result<u8, Stop> {
    if let Verb::Prepare(args) = &args.verb {
        return prepare(&args.options);
    }
    let store = Store::new(args.models_dir.as_deref());
    let known =
        |name: &String| store.manifest(name).ok_or_else(|| Error::Model(ModelError::Unknown { name: name.clone() }));
    match &args.verb {
        Verb::List => {
            say!("{:<22} {:<11} {:<9} {:<8} {:<5} licence", "name", "kind", "family", "status", "here");
            for m in store.manifests() {
                let here = if store.find(m).is_some() { "yes" } else { "no" };
                say!("{:<22} {:<11} {:<9} {:<8} {here:<5} {}", m.name, m.kind, m.family, status(m), m.origin.licence);
            }
        }
        Verb::Show { name } => {
            let manifest = known(name)?;
            match toml::to_string(manifest) {
                Ok(text) => say!("{}", text.trim_end()),
                Err(error) => return Err(Stop::Failed(format!("the manifest {name} could not be written: {error}"))),
            }
            match store.find(manifest) {
                Some(path) => say!("\n# here: {}", path.display()),
                None => say!("\n# not here: {}", hint(manifest)),
            }
        }
        Verb::Fetch => {
            for m in store.manifests().iter().filter(|m| store.find(m).is_none()) {
                say!("{}: {}", m.name, hint(m));
            }
        }
        Verb::Verify { names } => {
            let chosen: Vec<&Manifest> = match names.is_empty() {
                true => store.manifests().iter().filter(|m| store.find(m).is_some()).collect(),
                false => names.iter().map(known).collect::<Result<_, _>>()?,
            };
            if chosen.is_empty() {
                say!("no model file is here; run `models/fetch` in the repository");
            }
            let mut code = exit::OK;
            for m in chosen {
                match store.verify(m) {
                    Ok(path) => say!("{}: right ({})", m.name, path.display()),
                    Err(error) => {
                        print_error!("edge-ocr: {error}");
                        code = exit::MODEL;
                    }
                }
            }
            return Ok(code);
        }
        Verb::Export { name, file } => export(&store, known(name)?, file)?,
        // Above: it needs no store.
        Verb::Prepare(_) => {}
    }
    Ok(exit::OK)
}

#[cfg(feature = "ort")]
fn export(store: &Store, manifest: &Manifest, file: &Path) -> Result<(), Stop> {
    use edge_ocr::infer::ort::{OrtError, graph};
    let model = store.load(&manifest.name, manifest.kind, &manifest.name).map_err(Error::from)?;
    let handed = graph::hand_over(&model.bytes, &manifest.input, manifest.kind)
        .map_err(|reason| Error::from(OrtError::Graph { model: model.name, reason }))?;
    std::fs::write(file, &handed.bytes).map_err(|e| {
        Stop::Failed(format!("{} could not be written: {e}; free space or choose another place", file.display()))
    })?;
    say!("{}: u8 [N, H, W, 3]", handed.pixels);
    say!("{}: u8 [N, 1, W, 1], 1 where a column has pixels", handed.inside);
    Ok(())
}

#[cfg(not(feature = "ort"))]
fn export(_: &Store, _: &Manifest, _: &Path) -> Result<(), Stop> {
    Err(Error::NoEngine("ort".into()).into())
}

/// Makes the pipeline that `read` would make, with permission to build engines.
fn prepare(options: &Options) -> Result<u8, Stop> {
    let mut config = options.config_of(Engine::Ort)?;
    config.ort.build_engines = true;
    if config.ort.provider != Provider::Tensorrt {
        return Err(Stop::from(Error::Config(format!("{} needs no engines; only TensorRT does", config.ort.provider))));
    }
    let progress = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} engines of TensorRT, some minutes for each network; {elapsed_precise}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    progress.enable_steady_tick(Duration::from_secs(1));
    let start = Instant::now();
    let opened = Pipeline::from_config(&config);
    progress.finish_and_clear();
    for (model, ran) in &opened?.names().ran {
        say!("{model}: {ran}");
    }
    say!("ready after {:.0} s", start.elapsed().as_secs_f64());
    Ok(exit::OK)
}

fn status(manifest: &Manifest) -> &'static str {
    match manifest.status {
        Status::Tested => "tested",
        Status::Untested => "untested",
    }
}

fn hint(manifest: &Manifest) -> String {
    match &manifest.origin.package {
        Some(package) => {
            format!("run `models/fetch {}` in the repository (it is in the Python package {package})", manifest.name)
        }
        None => format!("download {} and name it {} in the models folder", manifest.origin.url, manifest.file.name),
    }
}
