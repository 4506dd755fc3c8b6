//! A small file that is replaced as a whole: written beside its place and renamed, so that readers see the old one or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Replaces the file, for readers; after a power cut it may be empty.
///
/// # Errors
/// The system's. What was there is still there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    swap(path, bytes, false)
}

/// Replaces the file so that it is the old or the new one after a power cut, too.
///
/// # Errors
/// The system's. What was there is still there, unless it is the folder that could not be written down.
pub(crate) fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    swap(path, bytes, true)?;
    // The name is in the folder, which has to reach the disk too.
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")) {
        folder if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn swap(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        if sync { file.sync_all() } else { Ok(()) }
    });
    let done = written.and_then(|()| fs::rename(&beside, path));
    if done.is_err() {
        // The half of it would only take room.
        let _ = fs::remove_file(&beside);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_or_left_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.prom");
        for (replace, text) in [(replace as fn(&Path, &[u8]) -> _, "one"), (replace_durably, "two")] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            // A folder cannot be replaced by a file.
            let taken = folder.path().join(text);
            fs::create_dir(&taken).unwrap();
            assert!(replace(&taken, b"x").is_err());
            assert!(replace(&folder.path().join("none/x"), b"x").is_err() && replace(Path::new("/"), b"x").is_err());
        }
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["numbers.prom", "one", "two"]);
    }
}
