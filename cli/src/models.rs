//! `edge-ocr models`: what is known of the models, and whether their files are here and right.

use super::{Stop, exit};
use clap::Subcommand;
use edge_ocr::Error;
use edge_ocr::models::{Manifest, ModelError, Status, Store};
use std::path::PathBuf;

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
    /// Check the files against their checksums (default: all that are here)
    Verify {
        /// Their names
        names: Vec<String>,
    },
}

pub fn run(args: &Args) -> Result<u8, Stop> {
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
    }
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
