//! What the fields remember, on disk.

use super::clock::Moment;
use super::state::FieldState;
use crate::util::atomic_file::{read_small, replace_durably};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// First bytes of the file; the last is the version of its layout.
const MAGIC: [u8; 8] = *b"eocrsta\x01";
/// Longest file that is read; a hundred fields with long texts have a tenth of it.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// How often the state is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// Least time between two writes of the rules' state, 1 to 86400. What a power cut takes is at most this: the
    /// values of before are older, so they are allowed more change.
    pub save_interval_s: u64,
}

impl Default for StateConfig {
    fn default() -> Self {
        StateConfig { save_interval_s: 300 }
    }
}

impl StateConfig {
    /// Whether the interval makes sense.
    ///
    /// # Errors
    /// One sentence naming the key.
    pub fn validate(&self) -> Result<(), String> {
        match self.save_interval_s {
            1..=86400 => Ok(()),
            other => Err(format!("save_interval_s is {other}; give seconds from 1 to 86400")),
        }
    }
}

/// Why the state was not written or read.
#[derive(thiserror::Error, Debug)]
pub enum StateError {
    /// Writing failed; it is tried again after the interval.
    #[error("the fields' state cannot be written to {path} because {reason}; free space there or make it writable")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// Reading failed; the fields start afresh.
    #[error("the fields' state in {path} cannot be read because {reason}; the fields start afresh")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A file with the state of all fields: eight bytes that say what it is, a map from names to states in postcard,
/// CRC-32 of that, little endian. Postcard because JSON would not give every f64 back to the bit. Written beside and
/// renamed, so that it is the old or the new one after a power cut.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    interval_ms: u64,
    saved: BTreeMap<String, FieldState>,
    /// By the monotonic clock; of the last attempt, so that a full disk is not tried at every reading.
    tried_ms: Option<u64>,
    /// Whether something may be news that came too soon after the last attempt.
    put_off: bool,
}

impl StateFile {
    /// Reads the file if there is one. The error, to be reported once, says why it cannot be used; the file object
    /// works all the same and replaces it with the next write.
    pub fn open(path: impl Into<PathBuf>, config: &StateConfig) -> (StateFile, Option<StateError>) {
        let path = path.into();
        let (saved, error) = match read(&path) {
            Ok(saved) => (saved, None),
            Err(reason) => (BTreeMap::new(), Some(StateError::Read { path: path.clone(), reason })),
        };
        let interval_ms = config.save_interval_s.saturating_mul(1000);
        (StateFile { path, interval_ms, saved, tried_ms: None, put_off: false }, error)
    }

    /// The fields of which something was kept.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.saved.keys().map(String::as_str)
    }

    /// What was kept of a field.
    pub fn get(&self, field: &str) -> Option<&FieldState> {
        self.saved.get(field)
    }

    /// When to [`save`](Self::save) next by the monotonic clock, if the last call came too soon or failed.
    pub fn next_save_ms(&self) -> Option<u64> {
        self.tried_ms.filter(|_| self.put_off).map(|tried| tried.saturating_add(self.interval_ms))
    }

    /// Writes the state of all fields if it says more than the file and the last attempt is long enough ago, or if it
    /// is `urgent`: a new base, a value set by hand, the end of the program. Returns whether it was written. Fields
    /// that are not given are forgotten.
    ///
    /// # Errors
    /// [`StateError::Write`]; what was on disk is still there.
    pub fn save<'a>(
        &mut self,
        fields: impl IntoIterator<Item = (&'a str, FieldState)>,
        at: Moment,
        urgent: bool,
    ) -> Result<bool, StateError> {
        let due = self.tried_ms.is_none_or(|tried| at.monotonic_ms.saturating_sub(tried) >= self.interval_ms);
        self.put_off = !due && !urgent;
        if self.put_off {
            return Ok(false);
        }
        let fields: BTreeMap<String, FieldState> =
            fields.into_iter().map(|(name, state)| (name.to_owned(), state)).collect();
        let news = fields.len() != self.saved.len()
            || fields.iter().any(|(name, state)| self.saved.get(name).is_none_or(|saved| state.is_news(saved)));
        if !news {
            return Ok(false);
        }
        self.tried_ms = Some(at.monotonic_ms);
        if let Err(reason) = write(&self.path, &fields) {
            self.put_off = true;
            return Err(StateError::Write { path: self.path.clone(), reason });
        }
        self.saved = fields;
        Ok(true)
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, FieldState>, String> {
    let bytes = match read_small(path, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(e.to_string()),
    };
    let rest = bytes.strip_prefix(&MAGIC).ok_or("it is damaged or of another version of the program")?;
    let (body, sum) = rest.split_last_chunk::<4>().ok_or("it is damaged: its end is missing")?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Err("it is damaged: its checksum is wrong".into());
    }
    postcard::from_bytes(body).map_err(|e| format!("it is damaged: {e}"))
}

fn write(path: &Path, fields: &BTreeMap<String, FieldState>) -> io::Result<()> {
    let body = postcard::to_allocvec(fields).map_err(io::Error::other)?;
    replace_durably(path, &[&MAGIC[..], &body, &crc32fast::hash(&body).to_le_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::super::{Field, Observation, RulesConfig};
    use super::*;
    use std::fs;

    fn at(s: u64) -> Moment {
        Moment { unix_ms: 1_700_000_000_000 + s as i64 * 1000, monotonic_ms: s * 1000 }
    }

    fn field() -> Field {
        Field::new("water", &toml::from_str::<RulesConfig>("number = {}\nmonotonic = 'increasing'").unwrap()).unwrap()
    }

    fn show(field: &mut Field, text: &str, s: u64) {
        field.judge(&[Observation { text: text.into(), score: 0.99, chars: Vec::new() }], at(s));
    }

    #[test]
    fn state_is_restored_and_rarely_written() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        let (mut file, error) = StateFile::open(&path, &StateConfig::default());
        assert!(error.is_none(), "no file is no error");
        let mut field = field();
        let mut save =
            |field: &Field, s: u64, urgent: bool| file.save([("water", field.state())], at(s), urgent).unwrap();
        show(&mut field, "10.5", 0);
        assert!(save(&field, 0, false));
        show(&mut field, "10.6", 100);
        assert!(!save(&field, 100, false), "not yet");
        assert!(save(&field, 300, false));
        show(&mut field, "10.6", 700);
        assert!(!save(&field, 700, false), "only the time has changed");
        assert!(!save(&field, 700, true), "nothing to say is nothing urgent");
        show(&mut field, "10.6", 5000);
        assert!(save(&field, 5000, false), "the time is an hour newer");
        show(&mut field, "10.7", 5001);
        assert!(save(&field, 5001, true));
        let (file, error) = StateFile::open(&path, &StateConfig::default());
        assert!(error.is_none());
        assert_eq!(file.get("water"), Some(&field.state()));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing is left beside");
    }

    #[test]
    fn damage_is_reported_once_and_repaired() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        let mut field = field();
        show(&mut field, "10.5", 0);
        let (mut file, _) = StateFile::open(&path, &StateConfig::default());
        file.save([("water", field.state())], at(0), false).unwrap();
        let whole = fs::read(&path).unwrap();
        for damaged in (0..whole.len()).map(|i| {
            let mut bytes = whole.clone();
            bytes[i] ^= 0x10;
            bytes
        }) {
            fs::write(&path, damaged).unwrap();
            let (file, error) = StateFile::open(&path, &StateConfig::default());
            assert!(file.get("water").is_none());
            assert!(error.unwrap().to_string().contains("start afresh"));
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(StateFile::open(&path, &StateConfig::default()).1.is_some(), "{length} bytes");
        }
        let (mut file, _) = StateFile::open(&path, &StateConfig::default());
        assert!(file.save([("water", field.state())], at(0), false).unwrap());
        assert!(StateFile::open(&path, &StateConfig::default()).1.is_none());
    }

    /// The start waited for somebody to write to it.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_in_its_place_is_damage() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        crate::util::atomic_file::fifo(&path);
        let (mut file, error) = StateFile::open(&path, &StateConfig::default());
        let said = error.unwrap().to_string();
        assert!(said.contains("not a regular file; the fields start afresh"), "{said}");
        let mut field = field();
        show(&mut field, "10.5", 0);
        assert!(file.save([("water", field.state())], at(0), false).unwrap());
        assert!(StateFile::open(&path, &StateConfig::default()).1.is_none(), "the next write repairs it");
    }

    #[test]
    fn failed_disk_retried_with_backoff() {
        let root = tempfile::tempdir().unwrap();
        let (mut file, _) = StateFile::open(root.path().join("gone/state"), &StateConfig::default());
        let mut field = field();
        show(&mut field, "10.5", 0);
        let error = file.save([("water", field.state())], at(0), false).unwrap_err().to_string();
        assert!(error.contains("gone/state"), "{error}");
        assert!(!file.save([("water", field.state())], at(1), false).unwrap());
        assert!(file.save([("water", field.state())], at(300), false).is_err(), "again after the interval");
    }

    #[test]
    fn the_interval_has_bounds() {
        assert!(StateConfig::default().validate().is_ok());
        assert!(StateConfig { save_interval_s: 0 }.validate().unwrap_err().contains("save_interval_s"));
        assert!(toml::from_str::<StateConfig>("save_interval = 1").is_err());
    }
}
