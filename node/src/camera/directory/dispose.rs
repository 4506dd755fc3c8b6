//! Deleting a file that was read, or moving it to another folder without overwriting anything there.

use super::file_tracker::File;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Longest name on the usual file systems.
const MAX_NAME_BYTES: usize = 255;
/// Most files of one name in a folder.
const MAX_OF_A_NAME: usize = 1000;

/// Moves a file to the folder `to`, under a name that is free there, or deletes it. A file that has changed since it
/// was found is left alone: it will be read again.
///
/// # Errors
/// One clause.
pub fn dispose(folder: &Path, file: &File, to: Option<&Path>) -> Result<(), String> {
    let path = folder.join(&file.name);
    match fs::symlink_metadata(&path) {
        Ok(about) if File::new(file.name.clone(), &about) == *file => {}
        Ok(_) => return Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e.to_string()),
    }
    let Some(to) = to else { return fs::remove_file(&path).map_err(|e| e.to_string()) };
    fs::create_dir_all(to).map_err(|e| e.to_string())?;
    match move_into(&path, to, &file.name) {
        Err(e) if e.kind() == ErrorKind::CrossesDevices => move_across(&path, to, &file.name),
        moved => moved.map(drop),
    }
    .map_err(|e| e.to_string())
}

/// Moves a file to `folder`, as `name`, or `name-1`, `name-2`… before the ending, whichever is free there; gives its
/// new path.
fn move_into(path: &Path, folder: &Path, name: &OsStr) -> io::Result<PathBuf> {
    let plain = Path::new(name);
    for number in 0..MAX_OF_A_NAME {
        let target = match number {
            0 => folder.join(name),
            _ => {
                let mut tail = OsString::from(format!("-{number}"));
                if let Some(ending) = plain.extension() {
                    tail.push(".");
                    tail.push(ending);
                }
                folder.join(fitting(plain.file_stem().unwrap_or_default(), &tail))
            }
        };
        match rename_new(path, &target) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            moved => return moved.map(|()| target),
        }
    }
    Err(io::Error::other(format!("{} has a thousand files of that name", folder.display())))
}

/// Renames a file unless there is one of the new name, which looking first could not exclude: another process may put
/// one there meanwhile.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`], or the system's.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // The file system (NFS, some of FUSE) or the kernel cannot.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            renamed => return renamed.map_err(io::Error::from),
        }
    }
    link_new(from, to)
}

/// Moves by a second name for the file, where the file system has these: it never replaces anything.
fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from).inspect_err(|_| {
            // It is tried again, and each time would leave another copy.
            let _ = fs::remove_file(to);
        }),
        Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => look_and_rename(from, to),
        Err(e) => Err(e),
    }
}

/// Moves where the file system can do neither.
fn look_and_rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::symlink_metadata(to) {
        Ok(_) => Err(ErrorKind::AlreadyExists.into()),
        Err(e) if e.kind() == ErrorKind::NotFound => fs::rename(from, to),
        Err(e) => Err(e),
    }
}

/// `stem` and `tail`, with so much of `stem` as a name has room for.
fn fitting(stem: &OsStr, tail: &OsStr) -> OsString {
    let room = MAX_NAME_BYTES.saturating_sub(tail.len());
    let mut name = match stem.len() <= room {
        true => stem.to_owned(),
        false => {
            let text = stem.to_string_lossy();
            OsString::from(&text[..text.floor_char_boundary(room)])
        }
    };
    name.push(tail);
    name
}

/// Moves a file to another file system so that it is never half there.
fn move_across(path: &Path, to: &Path, name: &OsStr) -> io::Result<()> {
    let mut stem = OsString::from(".");
    stem.push(name);
    // Of this process alone: another one may move a file of the same name.
    let hidden = to.join(fitting(&stem, OsStr::new(&format!(".{}.part", std::process::id()))));
    let copied = fs::copy(path, &hidden)
        .and_then(|_| fs::File::open(&hidden)?.sync_all())
        .and_then(|()| move_into(&hidden, to, name));
    if copied.is_err() {
        let _ = fs::remove_file(&hidden);
    }
    let target = copied?;
    fs::remove_file(path).inspect_err(|_| {
        // It is tried again, and each time would leave another copy.
        let _ = fs::remove_file(&target);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any error counted as "taken", and a suffix made a long name too long.
    #[test]
    fn a_name_that_is_too_long_with_a_number_is_shortened() {
        let root = tempfile::tempdir().unwrap();
        let from = root.path().join("from");
        for (long, last) in [("x".repeat(251) + ".png", "x-1.png"), ("é".repeat(125) + "x.png", "é-1.png")] {
            assert!(long.len() <= MAX_NAME_BYTES);
            fs::write(root.path().join(&long), b"taken").unwrap();
            fs::write(&from, b"it can be used").unwrap();
            let target = move_into(&from, root.path(), OsStr::new(&long)).unwrap();
            let name = target.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(name.ends_with(last) && name.len() <= MAX_NAME_BYTES && name.len() > 250, "{name}");
            assert_eq!(fs::read(&target).unwrap(), b"it can be used");
        }
        fs::write(&from, b"").unwrap();
        let error = move_into(&from, root.path(), OsStr::new(&"x".repeat(300))).unwrap_err().to_string();
        assert!(!error.contains("thousand"), "{error}");
        let error = move_into(&from, &from, OsStr::new("a")).unwrap_err().to_string();
        assert!(!error.contains("thousand"), "{error}");
    }

    /// Looking for a free name first let two processes take the same one; the second overwrote.
    #[test]
    fn rename_never_replaces_a_file() {
        let root = tempfile::tempdir().unwrap();
        let [from, to, free] = ["from", "to", "free"].map(|name| root.path().join(name));
        for rename in [rename_new, link_new, look_and_rename] {
            fs::write(&from, b"new").unwrap();
            fs::write(&to, b"old").unwrap();
            assert_eq!(rename(&from, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
            assert_eq!((fs::read(&from).unwrap(), fs::read(&to).unwrap()), (b"new".to_vec(), b"old".to_vec()));
            rename(&from, &free).unwrap();
            assert_eq!((fs::read(&free).unwrap(), from.exists()), (b"new".to_vec(), false));
            fs::remove_file(&free).unwrap();
        }
    }

    #[test]
    fn many_movers_of_one_name_lose_no_file() {
        let root = tempfile::tempdir().unwrap();
        let to = root.path().join("to");
        fs::create_dir(&to).unwrap();
        let (movers, files) = (8, 40);
        std::thread::scope(|scope| {
            for mover in 0..movers {
                let (to, from) = (&to, root.path().join(format!("{mover}")));
                scope.spawn(move || {
                    for file in 0..files {
                        fs::write(&from, format!("{mover} {file}")).unwrap();
                        move_into(&from, to, OsStr::new("a.png")).unwrap();
                    }
                });
            }
        });
        let texts: std::collections::BTreeSet<_> =
            fs::read_dir(&to).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
        assert_eq!(texts.len(), movers * files);
    }

    #[test]
    fn a_long_name_goes_to_another_file_system() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        fs::create_dir(&to).unwrap();
        fs::write(&from, b"image").unwrap();
        let name = OsString::from("x".repeat(251) + ".png");
        move_across(&from, &to, &name).unwrap();
        assert_eq!((fs::read(to.join(&name)).unwrap().as_slice(), from.exists()), (&b"image"[..], false));
        assert_eq!(fs::read_dir(&to).unwrap().count(), 1, "nothing is left beside it");
        // What cannot be removed here is not there either: `from` is a folder now, which can be neither read nor
        // removed as a file.
        fs::create_dir(&from).unwrap();
        assert!(move_across(&from, &to, OsStr::new("second")).is_err());
        assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
    }
}
