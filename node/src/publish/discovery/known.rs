//! The components that the node announced last, in a small file.

use super::Component;
use crate::util::atomic_file::{read_small, replace_durably};
use std::io;
use std::path::Path;

/// Longest file that is read: far more than the entities of the largest node.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The entities of the file. None if there is no such file, or if it is damaged: then entities of fields that are
/// gone stay until `--clear-retained`, which is a nuisance and no reason to stop.
pub fn load_components(path: &Path) -> Vec<Component> {
    let read = || -> io::Result<Vec<Component>> { Ok(serde_json::from_slice(&read_small(path, MAX_FILE_BYTES)?)?) };
    read().unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            log::warn!(
                "{} cannot be read ({error}); entities of removed fields may stay in Home Assistant",
                path.display()
            );
        }
        Vec::new()
    })
}

/// Rewrites the file if it would change. After a power cut it is the old or the new one.
///
/// # Errors
/// As the system says; the node goes on without.
pub fn save_components(path: &Path, components: &[Component]) -> io::Result<()> {
    let bytes = serde_json::to_vec(components)?;
    if read_small(path, bytes.len() as u64).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    replace_durably(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The start waited for somebody to write to it.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_in_its_place_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("components.json");
        crate::util::atomic_file::fifo(&path);
        assert!(load_components(&path).is_empty());
        let announced = [Component { key: "main_value".into(), platform: "sensor".into() }];
        save_components(&path, &announced).unwrap();
        assert_eq!(load_components(&path), announced);
    }

    #[test]
    fn remembers_and_survives_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("components.json");
        assert!(load_components(&path).is_empty());
        let announced = [Component { key: "main_value".into(), platform: "sensor".into() }];
        save_components(&path, &announced).unwrap();
        assert_eq!(load_components(&path), announced);
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        save_components(&path, &announced).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written, "not written again");
        fs::write(&path, "[{").unwrap();
        assert!(load_components(&path).is_empty());
        save_components(&path, &[]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"[]");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
    }
}
