//! Small files, replaced atomically: written beside the target and renamed, so that readers see the old or the new
//! content. Also reads small files, with a limit.
//!
//! Not by `tempfile`: its names are random, so each power cut would leave one more file, and it gives the mode 0600.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// Replaces the file and lets everybody read it, whatever the process's umask. After a power cut it may be empty.
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

/// The bytes of a file of at most `max_bytes`.
///
/// # Errors
/// The system's, or that it is longer, or no regular file: a pipe would block for ever at opening, and a device may
/// never end.
pub(crate) fn read_small(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    check_regular(path)?;
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(io::Error::other(format!("it is longer than {max_bytes} bytes"))),
        false => Ok(bytes),
    }
}

/// Whether `path` leads to a regular file.
///
/// # Errors
/// That it does not, or the system's.
pub(crate) fn check_regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

fn swap(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    // What is no file there would block, or take the bytes elsewhere.
    if fs::symlink_metadata(&beside).is_ok_and(|about| !about.is_file()) {
        fs::remove_file(&beside)?;
    }
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        if sync { file.sync_all() } else { readable(&file) }
    });
    let done = written.and_then(|()| fs::rename(&beside, path));
    if done.is_err() {
        // The half of it would only take room.
        let _ = fs::remove_file(&beside);
    }
    done
}

/// A service's umask closes its files to others.
#[cfg(unix)]
fn readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &File) -> io::Result<()> {
    Ok(())
}

/// A named pipe, for tests.
#[cfg(all(test, target_os = "linux"))]
pub(crate) fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opening such a pipe waits for its other end.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_is_neither_read_nor_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let [path, beside] = ["state", "state.new"].map(|name| folder.path().join(name));
        for path in [&path, &beside] {
            fifo(path);
        }
        for (path, part) in [
            (path.as_path(), "not a regular file"),
            (folder.path(), "not a regular file"),
            (Path::new("/dev/zero"), "not a regular file"),
        ] {
            let error = read_small(path, 10).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        replace_durably(&path, b"0123456789").unwrap();
        assert_eq!(read_small(&path, 10).unwrap(), b"0123456789");
        assert!(read_small(&path, 9).unwrap_err().to_string().contains("longer than 9 bytes"));
        assert!(!beside.exists());
        assert_eq!(read_small(&beside, 10).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn atomic_write_replaces_or_leaves_file() {
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
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The umask of this process cannot be changed here; that of the file beside it would be kept.
            fs::write(folder.path().join("numbers.prom.new"), b"").unwrap();
            fs::set_permissions(folder.path().join("numbers.prom.new"), fs::Permissions::from_mode(0o600)).unwrap();
            replace(&path, b"three").unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644, "others may read it");
        }
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["numbers.prom", "one", "two"]);
    }
}
