//! The marker of a finished engine: what its folder holds and for what it was built.
//!
//! ONNX Runtime writes an engine in place, ignores errors while it does, and gives to TensorRT whatever it finds later.
//! The marker is written last and holds the checksum of every other file, so that a folder is either what was built or
//! not used.

use super::key::{Facts, hex};
use crate::infer::Nodes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// Name of the marker's file.
pub(super) const FILE: &str = "edge-ocr.json";
/// Version of the marker's fields and of the digest's.
pub(super) const SCHEMA: u32 = 1;

/// A longer marker is not read.
const MAX_MARKER_BYTES: u64 = 64 << 10;
/// ONNX Runtime writes two files for each part of a network that TensorRT takes, and one with timings.
const MAX_FILES: usize = 64;

/// What was learnt when an engine was built, stored with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Nodes of the first run.
    pub nodes: Nodes,
    /// Whether the engine computes with 16-bit floats where that is faster.
    pub fp16: bool,
    /// How long it took to build, milliseconds.
    pub build_ms: u64,
}

/// The marker's file.
#[derive(Serialize, Deserialize)]
struct Stored {
    schema: u32,
    model: String,
    digest: String,
    key: Facts,
    built: Marker,
    files: BTreeMap<String, Sealed>,
}

/// The one field that all schemas have.
#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// A file as it was when the engine was finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    bytes: u64,
    sha256: String,
}

/// What a folder is.
pub(super) enum State {
    /// Not there.
    Absent,
    /// The engine as it was built.
    Whole {
        /// What was stored with it.
        marker: Marker,
        /// SHA-256 of the marker's file: another one for each build.
        seal: String,
    },
    /// Not usable; the text is the end of a sentence.
    Unfit(String),
}

enum Fault {
    Unfit(String),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            // Another process removes the folder now, or somebody has removed a part of it.
            io::ErrorKind::NotFound => Fault::Unfit("a part of it is missing".into()),
            _ => Fault::Io(error),
        }
    }
}

/// Reads all of the folder and compares it with its marker, and the marker with the key.
///
/// # Errors
/// The system's, if the folder is there and cannot be read.
pub(super) fn look(folder: &Path, key: &Facts, digest: &str) -> io::Result<State> {
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Absent),
        Err(error) => return Err(error),
        Ok(about) if !about.is_dir() => return Ok(State::Unfit("it is not a folder".into())),
        Ok(_) => {}
    }
    match inspect(folder, key, digest) {
        Ok((marker, seal)) => Ok(State::Whole { marker, seal }),
        Err(Fault::Unfit(reason)) => Ok(State::Unfit(reason)),
        Err(Fault::Io(error)) => Err(error),
    }
}

fn inspect(folder: &Path, key: &Facts, digest: &str) -> Result<(Marker, String), Fault> {
    let unfit = |reason: String| Err(Fault::Unfit(reason));
    let mut files = list(folder)?;
    if files.remove(FILE).is_none() {
        return unfit(format!("{FILE} is missing, so it was not finished"));
    }
    let text = read_marker(folder)?;
    let no_marker = |error: serde_json::Error| {
        Fault::Unfit(format!("{FILE} is damaged at line {}, column {}", error.line(), error.column()))
    };
    let Schema { schema } = serde_json::from_slice(&text).map_err(no_marker)?;
    if schema != SCHEMA {
        return unfit(format!("{FILE} has the schema {schema}, and this program reads {SCHEMA}"));
    }
    let stored: Stored = serde_json::from_slice(&text).map_err(no_marker)?;
    if stored.key != *key || stored.digest != digest {
        return unfit("it was built for something else".into());
    }
    if !stored.files.keys().eq(files.keys()) {
        return unfit(format!("it does not hold the files that {FILE} names"));
    }
    // Lengths first: they need no reading.
    for ((name, sealed), bytes) in stored.files.iter().zip(files.values()) {
        if sealed.bytes != *bytes {
            return unfit(format!("{name:?} has {bytes} bytes where {} were written", sealed.bytes));
        }
    }
    for (name, sealed) in &stored.files {
        if checksum(&mut File::open(folder.join(name))?)? != *sealed {
            return unfit(format!("{name:?} was altered"));
        }
    }
    Ok((stored.built, hex(Sha256::digest(&text))))
}

/// The files of a folder with their lengths. What is no file there, or more than ONNX Runtime writes, is a fault.
fn list(folder: &Path) -> Result<BTreeMap<String, u64>, Fault> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        // Of the entry itself, not of what a link leads to.
        let about = entry.metadata()?;
        match name.to_str() {
            Some(name) if about.is_file() && files.len() < MAX_FILES => files.insert(name.to_string(), about.len()),
            _ => return Err(Fault::Unfit(format!("{name:?} does not belong there"))),
        };
    }
    Ok(files)
}

fn read_marker(folder: &Path) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    File::open(folder.join(FILE))?.take(MAX_MARKER_BYTES + 1).read_to_end(&mut text)?;
    match text.len() as u64 > MAX_MARKER_BYTES {
        true => Err(Fault::Unfit(format!("{FILE} is longer than {MAX_MARKER_BYTES} bytes"))),
        false => Ok(text),
    }
}

/// The seal of the marker that is in the folder now; `None` if there is none that can be read.
pub(super) fn seal_of(folder: &Path) -> Option<String> {
    // A pipe would block.
    let regular = fs::symlink_metadata(folder.join(FILE)).is_ok_and(|about| about.is_file());
    let text = regular.then(|| read_marker(folder).ok()).flatten()?;
    Some(hex(Sha256::digest(&text)))
}

fn checksum(file: &mut File) -> io::Result<Sealed> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        bytes += part.len() as u64;
    }
    Ok(Sealed { bytes, sha256: hex(hash.finalize()) })
}

/// Brings what ONNX Runtime wrote into the folder to the disk and gives its checksums; none if there is no engine.
///
/// # Errors
/// The system's, or what does not belong there.
pub(super) fn seal(folder: &Path) -> io::Result<Option<BTreeMap<String, Sealed>>> {
    let listed = list(folder).map_err(|fault| match fault {
        Fault::Unfit(reason) => io::Error::other(reason),
        Fault::Io(error) => error,
    })?;
    // An empty one is what a full disk leaves.
    if !listed.iter().any(|(name, bytes)| name.ends_with(".engine") && *bytes > 0) {
        return Ok(None);
    }
    let mut files = BTreeMap::new();
    for name in listed.into_keys() {
        let mut file = File::options().read(true).write(true).open(folder.join(&name))?;
        file.sync_all()?;
        files.insert(name, checksum(&mut file)?);
    }
    Ok(Some(files))
}

/// Writes the marker to the disk, and the folder's names with it. Gives its seal.
///
/// # Errors
/// The system's.
pub(super) fn write(
    folder: &Path,
    model: &str,
    key: &Facts,
    built: &Marker,
    files: BTreeMap<String, Sealed>,
) -> io::Result<String> {
    let stored = Stored {
        schema: SCHEMA,
        model: model.into(),
        digest: key.digest(),
        key: key.clone(),
        built: built.clone(),
        files,
    };
    let mut text = serde_json::to_vec_pretty(&stored)?;
    text.push(b'\n');
    if text.len() as u64 > MAX_MARKER_BYTES {
        return Err(io::Error::other(format!("its marker would be longer than {MAX_MARKER_BYTES} bytes")));
    }
    let mut file = File::create_new(folder.join(FILE))?;
    file.write_all(&text)?;
    file.sync_all()?;
    sync_folder(folder)?;
    Ok(hex(Sha256::digest(&text)))
}

/// Brings the names in a folder to the disk.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}
