//! Finding a model's file and proving that it is the one its manifest describes.

use super::manifest::TRAINED_WIDTH_PX;
use super::{Kind, Manifest, ModelError};
use crate::param::Param;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The manifests of the repository's `models/`, built into the program.
const MANIFESTS: [&str; 11] = [
    include_str!("../../models/ppocrv6-small-det.toml"),
    include_str!("../../models/ppocrv6-small-rec.toml"),
    include_str!("../../models/ppocrv6-tiny-det.toml"),
    include_str!("../../models/ppocrv6-tiny-rec.toml"),
    include_str!("../../models/ppocrv6-medium-det.toml"),
    include_str!("../../models/ppocrv6-medium-rec.toml"),
    include_str!("../../models/ppocrv5-mobile-det.toml"),
    include_str!("../../models/ppocrv5-mobile-rec.toml"),
    include_str!("../../models/ppocrv4-mobile-det.toml"),
    include_str!("../../models/ppocrv4-mobile-rec.toml"),
    include_str!("../../models/ppocr-mobile-v2-cls.toml"),
];

/// No model of the family comes near this; a larger file is not read.
const MAX_MODEL_BYTES: u64 = 512 << 20;

/// The known models and the folders their files may be in.
pub struct Store {
    manifests: Vec<Manifest>,
    folders: Vec<PathBuf>,
}

/// A model whose file was read and, where a manifest names it, proven.
pub struct StoredModel {
    /// Manifest name, or the path as it was given.
    pub name: String,
    /// Where it was read from.
    pub path: PathBuf,
    /// What is known of it; for a file given by path, what the default model of its kind says.
    pub manifest: Manifest,
    /// The ONNX file.
    pub bytes: Vec<u8>,
    /// The text file with the characters, of a recogniser whose manifest names one.
    pub dictionary: Option<String>,
}

impl Store {
    /// The built-in manifests. Files are looked for in `folder` if it is given; otherwise in `$EDGE_OCR_MODELS`,
    /// `./models`, `models` beside the program and `../share/edge-ocr/models`, in this order.
    pub fn new(folder: Option<&Path>) -> Store {
        let manifests = MANIFESTS
            .iter()
            .filter_map(|text| {
                Manifest::parse(text).inspect_err(|e| log::error!("a built-in manifest is broken: {e}")).ok()
            })
            .collect();
        let folders = match folder {
            Some(folder) => vec![folder.to_path_buf()],
            None => {
                let program = std::env::current_exe().ok().and_then(|p| p.parent().map(Path::to_path_buf));
                let beside = program.into_iter().flat_map(|p| [p.join("models"), p.join("../share/edge-ocr/models")]);
                std::env::var_os("EDGE_OCR_MODELS")
                    .map(PathBuf::from)
                    .into_iter()
                    .chain([PathBuf::from("models")])
                    .chain(beside)
                    .collect()
            }
        };
        Store { manifests, folders }
    }

    /// All manifests.
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// The manifest of that name.
    pub fn manifest(&self, name: &str) -> Option<&Manifest> {
        self.manifests.iter().find(|m| m.name == name)
    }

    /// Where a manifest's file is, if it is anywhere.
    pub fn find(&self, manifest: &Manifest) -> Option<PathBuf> {
        self.folders.iter().map(|f| f.join(&manifest.file.name)).find(|p| p.is_file())
    }

    /// Reads a model and checks it. `name` is a manifest's name, or the path of an `.onnx` file (anything with a
    /// separator or that ending): then the manifest is that of `like`, with the path for its name.
    pub fn load(&self, name: &str, kind: Kind, like: &str) -> Result<StoredModel, ModelError> {
        if let Some(manifest) = self.manifest(name) {
            if manifest.kind != kind {
                let reason = format!("its manifest says that it is a {}", manifest.kind);
                return Err(ModelError::WrongKind { name: name.into(), kind, reason });
            }
            let path = self.find(manifest).ok_or_else(|| self.missing(manifest, &manifest.file.name))?;
            let bytes = read(&path)?;
            verify(name, &path, &bytes, &manifest.file.sha256)?;
            let dictionary = self.dictionary(manifest, &path)?;
            return Ok(StoredModel { name: name.into(), path, manifest: manifest.clone(), bytes, dictionary });
        }
        let path = PathBuf::from(name);
        if !(name.ends_with(".onnx") || name.contains(['/', '\\'])) {
            return Err(ModelError::Unknown { name: name.into() });
        }
        let mut manifest = self.manifest(like).cloned().ok_or_else(|| ModelError::Unknown { name: like.into() })?;
        manifest.name = name.into();
        if let Some(facts) = &mut manifest.recogniser {
            // These are known of one network only.
            (facts.narrowest_px, facts.space_thresh, facts.certain) = (TRAINED_WIDTH_PX, None, None);
        }
        let bytes = read(&path)?;
        Ok(StoredModel { name: name.into(), path, manifest, bytes, dictionary: None })
    }

    /// Reads a manifest's files and checks them against their checksums; gives where the network is.
    pub fn verify(&self, manifest: &Manifest) -> Result<PathBuf, ModelError> {
        let path = self.find(manifest).ok_or_else(|| self.missing(manifest, &manifest.file.name))?;
        let bytes = read(&path)?;
        verify(&manifest.name, &path, &bytes, &manifest.file.sha256)?;
        self.dictionary(manifest, &path).map(|_| path)
    }

    /// The dictionary that a manifest names, from beside its network.
    fn dictionary(&self, manifest: &Manifest, network: &Path) -> Result<Option<String>, ModelError> {
        let Some(dictionary) = manifest.dictionary() else { return Ok(None) };
        let path = network.with_file_name(&dictionary.name);
        if !path.is_file() {
            return Err(self.missing(manifest, &dictionary.name));
        }
        let bytes = read(&path)?;
        verify(&manifest.name, &path, &bytes, &dictionary.sha256)?;
        let broken = |e: std::string::FromUtf8Error| ModelError::Dictionary {
            name: path.display().to_string(),
            reason: e.to_string(),
        };
        String::from_utf8(bytes).map(Some).map_err(broken)
    }

    fn missing(&self, manifest: &Manifest, file: &str) -> ModelError {
        let folders: Vec<String> = self.folders.iter().map(|f| f.display().to_string()).collect();
        let remedy = match &manifest.origin.package {
            Some(_) => {
                format!(
                    "run `models/fetch {}` in the repository, or name its folder with {}",
                    manifest.name,
                    Param::ModelsFolder
                )
            }
            None => format!("fetch it by hand from {}", manifest.origin.url),
        };
        ModelError::Missing { name: manifest.name.clone(), file: file.into(), folders: folders.join(", "), remedy }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    let unreadable = |reason: String| ModelError::Unreadable { path: path.display().to_string(), reason };
    let meta = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?;
    if !meta.is_file() {
        return Err(unreadable("it is not a file".into()));
    }
    if meta.len() > MAX_MODEL_BYTES {
        return Err(unreadable(format!("it has {} bytes, more than any model of the family", meta.len())));
    }
    std::fs::read(path).map_err(|e| unreadable(e.to_string()))
}

fn verify(name: &str, path: &Path, bytes: &[u8], want: &str) -> Result<(), ModelError> {
    let got: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    if got == want {
        return Ok(());
    }
    Err(ModelError::Checksum { name: name.into(), path: path.display().to_string(), got, want: want.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_manifests_complete() {
        let store = Store::new(None);
        assert_eq!(store.manifests.len(), MANIFESTS.len());
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let mut stems: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "toml") && !p.ends_with("Cargo.toml"))
            .map(|p| p.file_stem().unwrap().to_str().unwrap().to_string())
            .collect();
        let mut names: Vec<String> = store.manifests.iter().map(|m| m.name.clone()).collect();
        stems.sort();
        names.sort();
        assert_eq!(stems, names);
    }

    #[test]
    fn each_mistake_has_its_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(Some(folder.path()));
        let load = |name: &str| store.load(name, Kind::Detector, "ppocrv6-small-det").err().expect("refused");
        assert!(matches!(load("nonsense"), ModelError::Unknown { .. }));
        assert!(matches!(load("ppocrv6-small-rec"), ModelError::WrongKind { .. }));
        assert!(matches!(load("ppocrv6-small-det"), ModelError::Missing { .. }));
        assert!(matches!(load("./not-there.onnx"), ModelError::Unreadable { .. }));
        assert!(matches!(load(folder.path().to_str().unwrap()), ModelError::Unreadable { .. }));
        std::fs::write(folder.path().join("PP-OCRv6_det_small.onnx"), b"wrong").unwrap();
        assert!(matches!(load("ppocrv6-small-det"), ModelError::Checksum { .. }));
    }
}
