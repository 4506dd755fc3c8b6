//! The part of a model manifest (`models/*.toml`) that calibration needs.

use crate::error::Error;
use crate::import::Normalisation;
use crate::q8::{Input, Kind};
use serde::Deserialize;
use std::path::Path;

/// A manifest.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Manifest {
    pub name: String,
    pub kind: ManifestKind,
    pub file: FileFacts,
    pub origin: Origin,
    pub input: InputFacts,
    pub recogniser: Option<RecogniserFacts>,
}

/// Kind as the manifest writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ManifestKind {
    Detector,
    Recogniser,
    Classifier,
}

/// The ONNX file.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct FileFacts {
    pub name: String,
    pub sha256: String,
}

/// Facts of a recogniser.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct RecogniserFacts {
    pub dictionary: Option<FileFacts>,
}

/// Its origin.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Origin {
    pub licence: String,
}

/// Its input.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct InputFacts {
    pub channel_order: String,
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub height_px: Option<u32>,
    pub width_px: Option<u32>,
    pub multiple_of_px: Option<u32>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// It cannot be read, is no manifest, or has values that make no sense.
    pub fn load(path: &Path) -> Result<Manifest, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::file(path, e))?;
        let manifest: Manifest = toml::from_str(&text).map_err(|e| Error::file(path, e))?;
        let input = &manifest.input;
        if !["bgr", "rgb"].contains(&input.channel_order.as_str()) {
            return Err(Error::file(path, "channel_order must be rgb or bgr"));
        }
        if input.std.iter().any(|s| !(s.is_finite() && *s > 0.0)) || input.mean.iter().any(|m| !(0.0..=1.0).contains(m))
        {
            return Err(Error::file(path, "mean must be 0 to 1 and std positive"));
        }
        Ok(manifest)
    }

    /// The characters of a recogniser, one a line: the dictionary beside its network where the manifest names one,
    /// otherwise `in_network`, what the network itself carries.
    ///
    /// # Errors
    /// The dictionary is missing or another than the manifest says, or there is none.
    pub fn dictionary(&self, network: &Path, in_network: Option<&String>) -> Result<String, Error> {
        let Some(file) = self.recogniser.as_ref().and_then(|facts| facts.dictionary.as_ref()) else {
            let none = "it holds no dictionary (metadata `character`), and its manifest names none";
            return in_network.cloned().ok_or_else(|| Error::file(network, none));
        };
        let path = network.with_file_name(&file.name);
        if sha256(&path)? != file.sha256 {
            return Err(Error::file(&path, "it is not the file of the manifest (sha256 differs); fetch it again"));
        }
        std::fs::read_to_string(&path).map_err(|e| Error::file(&path, e))
    }

    /// The normalisation.
    pub fn normalisation(&self) -> Normalisation {
        Normalisation { mean: self.input.mean, std: self.input.std }
    }

    /// What the network does.
    pub fn kind(&self) -> Kind {
        match self.kind {
            ManifestKind::Detector => Kind::Detector,
            ManifestKind::Recogniser => Kind::Recogniser,
            ManifestKind::Classifier => Kind::Classifier,
        }
    }

    /// What it reads.
    pub fn input(&self) -> Input {
        Input {
            bgr: self.input.channel_order == "bgr",
            height_px: self.input.height_px,
            width_px: self.input.width_px,
            multiple_of_px: self.input.multiple_of_px,
        }
    }
}

/// SHA-256 of a file, hexadecimal.
///
/// # Errors
/// It cannot be read.
pub fn sha256(path: &Path) -> Result<String, Error> {
    use sha2::Digest;
    let bytes = std::fs::read(path).map_err(|e| Error::file(path, e))?;
    Ok(sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect())
}
