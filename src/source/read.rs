//! Input → bytes, never more than allowed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::{Input, SourceError};
use crate::image::signature::{self, Foreign};

/// All bytes of `input`, at most `max_bytes` of them. No more than one byte beyond is ever read.
///
/// # Errors
/// [`SourceError`] naming the path: it does not exist, is a directory, is no regular file (a pipe that nobody writes to
/// would block for ever), is longer than `max_bytes`, or cannot be read.
pub fn read(input: &Input, max_bytes: u64) -> Result<Vec<u8>, SourceError> {
    let name = || input.name().into_owned();
    let unreadable = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => SourceError::Missing { path: name() },
        _ => SourceError::Unreadable { path: name(), reason: e.to_string() },
    };
    let (source, expected): (Box<dyn Read>, u64) = match input {
        Input::Stdin => (Box::new(io::stdin().lock()), 0),
        Input::Path(path) => {
            // Before opening, which is where a pipe blocks.
            let about = fs::metadata(path).map_err(unreadable)?;
            if about.is_dir() {
                return Err(SourceError::Directory { path: name() });
            }
            if !about.is_file() {
                return Err(SourceError::NotRegular { path: name() });
            }
            if about.len() > max_bytes {
                return Err(too_long(path, name(), max_bytes));
            }
            (Box::new(File::open(path).map_err(unreadable)?), about.len())
        }
    };
    match read_limited(source, max_bytes, expected) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(SourceError::TooLong { path: name(), limit: max_bytes }),
        Err(e) => Err(unreadable(e)),
    }
}

/// What is said of a file that is longer than `limit`: a higher limit is of no use to one of a format that is not read.
fn too_long(path: &Path, name: String, limit: u64) -> SourceError {
    const SIGNATURE_BYTES: u64 = 1024;
    let mut start = Vec::new();
    // A file that cannot be read is too long all the same.
    let _ = File::open(path).and_then(|file| file.take(SIGNATURE_BYTES).read_to_end(&mut start));
    match signature::foreign(&start) {
        Some(Foreign { name: format, remedy }) => SourceError::ForeignFormat { path: name, format, remedy },
        None => SourceError::TooLong { path: name, limit },
    }
}

/// Everything `source` gives, or `None` if that is more than `max_bytes`. `expected` is a guess at the length.
fn read_limited(source: impl Read, max_bytes: u64, expected: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    // The file may have grown since it was asked for its length, hence a limit on reading too; one byte more than the
    // guess lets the end be seen without growing the buffer.
    let room = usize::try_from(expected.min(max_bytes)).unwrap_or(usize::MAX).saturating_add(1);
    bytes.try_reserve_exact(room).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    source.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max_bytes).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_strict() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("image");
        fs::write(&path, b"12345").unwrap();
        let input = Input::Path(path);
        assert_eq!(read(&input, 5).unwrap(), b"12345");
        let error = read(&input, 4).unwrap_err().to_string();
        assert!(error.contains("image") && error.contains("limit of 4 bytes"), "{error}");
        assert_eq!(read_limited(&b"12345"[..], 4, 0).unwrap(), None, "longer than it said");
        assert_eq!(read_limited(&b"12345"[..], u64::MAX, 2).unwrap().unwrap(), b"12345");
    }

    #[test]
    fn long_file_of_foreign_format_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("scan");
        fs::write(&path, b"%PDF-1.7 and so on").unwrap();
        let error = read(&Input::Path(path), 4).unwrap_err().to_string();
        assert!(error.contains("PDF") && !error.contains("max_bytes"), "{error}");
    }

    #[test]
    fn an_endless_source_ends() {
        assert_eq!(read_limited(io::repeat(7), 1000, 0).unwrap(), None);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let of = |path: std::path::PathBuf| read(&Input::Path(path), 10).unwrap_err();
        assert!(matches!(of(root.path().to_owned()), SourceError::Directory { .. }));
        assert!(matches!(of(root.path().join("none")), SourceError::Missing { .. }));
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_do_not_block() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        // No binding for mkfifo without `unsafe`; the command is everywhere where there are pipes.
        if std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
            assert!(matches!(read(&Input::Path(pipe), 10), Err(SourceError::NotRegular { .. })));
        }
        assert!(matches!(read(&Input::Path("/dev/zero".into()), 10), Err(SourceError::NotRegular { .. })));
    }
}
