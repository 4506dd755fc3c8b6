//! The quantised model and its file.
//!
//! ```text
//! 8 bytes   "EOCRQ8\r\n"
//! 4 bytes   format version, little endian
//! 8 bytes   length of the body, little endian
//! body      Model, postcard
//! 4 bytes   CRC-32 (IEEE) of everything before, little endian
//! ```

use crate::graph::{Graph, GraphError};
use edge_ocr_engine::plan::crc32;
use serde::{Deserialize, Serialize};
use std::path::Path;

const MAGIC: &[u8; 8] = b"EOCRQ8\r\n";
/// Version of the format that this release writes and reads.
pub const VERSION: u32 = 1;
const HEADER: usize = 20;
/// No model of the family comes near.
const MAX_BYTES: u64 = 256 << 20;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Image to text probability per pixel.
    Detector,
    /// Line to class probabilities per step.
    Recogniser,
    /// Line to orientation.
    Classifier,
}

/// The image that the network reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Channels are blue, green, red instead of red, green, blue.
    pub bgr: bool,
    /// Fixed height, if there is one.
    pub height_px: Option<u32>,
    /// Fixed width, if there is one.
    pub width_px: Option<u32>,
    /// Both sides are multiples of this.
    pub multiple_of_px: Option<u32>,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name in the manifest.
    pub source: String,
    /// SHA-256 of the ONNX file, in hex.
    pub sha256: String,
    /// Its licence.
    pub licence: String,
    /// Release of this tool.
    pub tool: String,
    /// Number of calibration images and CRC-32 of their list.
    pub calibration: String,
}

/// A quantised model, target-neutral.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Name, such as `ppocrv6-small-rec-latin`.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// What it reads.
    pub input: Input,
    /// Recogniser: the text of every class, in order of classes; class 0, the blank, is empty.
    pub classes: Vec<String>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// The network.
    pub graph: Graph,
}

/// Why a `.q8` file cannot be used.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[error("the quantised model {name} cannot be used: {reason}; {remedy}")]
pub struct Q8Error {
    /// File or buffer.
    pub name: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: &'static str,
}

const AGAIN: &str = "get it again or make it with `quantize calibrate`";
const SMALLER: &str = "models are at most 256 MiB";
const RELEASE: &str = "make it again with the `quantize` of this release";

impl Model {
    /// The bytes of a file.
    ///
    /// # Errors
    /// The graph is not valid.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Q8Error> {
        let wrong = |reason: String| Q8Error { name: self.name.clone(), reason, remedy: "calibrate it again" };
        self.graph.validate().map_err(|e| wrong(e.to_string()))?;
        let body = postcard::to_stdvec(self).map_err(|e| wrong(e.to_string()))?;
        let mut bytes = Vec::with_capacity(HEADER + body.len() + 4);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&body);
        let crc = crc32(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        Ok(bytes)
    }

    /// Reads the bytes of a file; `name` is for messages. Allocates no more than a small multiple of the bytes' length.
    ///
    /// # Errors
    /// Anything that is not exactly what [`Model::to_bytes`] writes.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Model, Q8Error> {
        let wrong = |reason: String, remedy| Q8Error { name: name.to_string(), reason, remedy };
        let head = |from: usize, to: usize| bytes.get(from..to).unwrap_or(&[]);
        if head(0, 8) != MAGIC {
            return Err(wrong("it does not begin like a .q8 file".into(), AGAIN));
        }
        let version =
            head(8, 12).try_into().map(u32::from_le_bytes).map_err(|_| wrong("it is cut short".into(), AGAIN))?;
        if version != VERSION {
            return Err(wrong(format!("its format is version {version}, this release reads {VERSION}"), RELEASE));
        }
        let len =
            head(12, 20).try_into().map(u64::from_le_bytes).map_err(|_| wrong("it is cut short".into(), AGAIN))?;
        if len > MAX_BYTES {
            return Err(wrong(format!("its body claims {len} bytes"), SMALLER));
        }
        let end = HEADER + len as usize;
        let (body, stored) = (head(HEADER, end), head(end, end + 4));
        if body.len() as u64 != len || stored.len() != 4 || bytes.len() != end + 4 {
            return Err(wrong(format!("it has {} bytes where {} belong", bytes.len(), end + 4), AGAIN));
        }
        if crc32(&bytes[..end]).to_le_bytes() != stored {
            return Err(wrong("its checksum does not match: it is damaged".into(), AGAIN));
        }
        Model::from_body(name, body)
    }

    fn from_body(name: &str, body: &[u8]) -> Result<Model, Q8Error> {
        let wrong = |reason: String| Q8Error { name: name.to_string(), reason, remedy: AGAIN };
        let (model, rest): (Model, &[u8]) =
            postcard::take_from_bytes(body).map_err(|e| wrong(format!("its body is not readable ({e})")))?;
        if !rest.is_empty() {
            return Err(wrong(format!("{} bytes are left over", rest.len())));
        }
        model.validate().map_err(|e| wrong(e.to_string()))?;
        Ok(model)
    }

    /// Checks the graph and that the classes are as many as the network gives.
    pub fn validate(&self) -> Result<(), GraphError> {
        self.graph.validate()?;
        let channels = self.graph.tensor(self.graph.output).channels as usize;
        let wrong = |reason: String| GraphError { node: "graph".into(), op: "-", reason };
        match self.kind {
            Kind::Recogniser if self.classes.len() != channels => {
                Err(wrong(format!("{channels} classes, but {} texts for them", self.classes.len())))
            }
            _ => Ok(()),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be opened, is too large, or is refused by [`Model::from_bytes`].
    pub fn load(path: &Path) -> Result<Model, Q8Error> {
        let name = path.display().to_string();
        let wrong = |reason: String, remedy| Q8Error { name: name.clone(), reason, remedy };
        let len = std::fs::metadata(path).map_err(|e| wrong(e.to_string(), "check the path"))?.len();
        if len > MAX_BYTES {
            return Err(wrong(format!("it has {len} bytes"), SMALLER));
        }
        let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string(), "check the path"))?;
        Model::from_bytes(&name, &bytes)
    }
}

#[cfg(test)]
mod tests;
