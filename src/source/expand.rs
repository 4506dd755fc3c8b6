//! Arguments → inputs: files, directories, patterns and `-`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Input, SourceError};

/// Endings (without the dot, lower case) by which files of a directory count as pictures.
pub const EXTENSIONS: [&str; 16] = [
    "bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "pam", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp",
];

/// The inputs that `args` name, in the order of the arguments.
///
/// - `-` is standard input.
/// - An existing file is taken whatever its name, even if the name looks like a pattern.
/// - A directory gives its files with one of the [`EXTENSIONS`] in any case, sorted by name; with `recursive` those of its
///   subdirectories too, sorted by path. Names that begin with a dot and links to directories are passed over.
/// - Anything else with `*`, `?` or `[` in it is a pattern (`**` crosses directories) and gives the files that match,
///   sorted by path.
///
/// # Errors
/// [`SourceError`] for no arguments, a second `-`, a name that does not exist, a directory without pictures, a pattern
/// that fits nothing or is none, and a directory that cannot be listed.
pub fn expand(args: &[impl AsRef<OsStr>], recursive: bool) -> Result<Vec<Input>, SourceError> {
    if args.is_empty() {
        return Err(SourceError::Nothing);
    }
    let mut inputs = Vec::new();
    for arg in args {
        let path = Path::new(arg);
        let arg = path.to_string_lossy();
        if arg == "-" {
            if inputs.contains(&Input::Stdin) {
                return Err(SourceError::StdinTwice);
            }
            inputs.push(Input::Stdin);
        } else if path.is_dir() {
            let mut files = Vec::new();
            list(path, recursive, &mut files)?;
            if files.is_empty() {
                let hint = if recursive { "" } else { " or search its subdirectories too (--recursive)" };
                return Err(SourceError::EmptyDirectory { path: arg.into_owned(), hint });
            }
            files.sort();
            inputs.extend(files.into_iter().map(Input::Path));
        } else if path.exists() {
            inputs.push(Input::Path(path.to_owned()));
        } else if arg.contains(['*', '?', '[']) {
            inputs.extend(matches(&arg)?.into_iter().map(Input::Path));
        } else {
            return Err(SourceError::Missing { path: arg.into_owned() });
        }
    }
    Ok(inputs)
}

/// Adds the pictures of a directory to `files`, in no particular order.
fn list(directory: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> Result<(), SourceError> {
    // A work list instead of recursion: nesting then costs no stack.
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        let unreadable = |e: std::io::Error| SourceError::Unreadable {
            path: directory.display().to_string(),
            reason: e.to_string(),
        };
        for entry in fs::read_dir(&directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            // The kind of the entry itself: a link to a directory is not followed, so there are no endless circles.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if recursive {
                    waiting.push(path);
                }
            } else if is_picture(&path) && path.is_file() {
                files.push(path);
            }
        }
    }
    Ok(())
}

/// Whether a name ends like a picture's.
fn is_picture(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// The files that match a pattern.
fn matches(pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let paths = glob::glob(pattern)
        .map_err(|e| SourceError::BadPattern { pattern: pattern.to_owned(), reason: e.msg.to_owned() })?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|e| SourceError::Unreadable {
            path: e.path().display().to_string(),
            reason: e.error().to_string(),
        })?;
        if path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(SourceError::NoMatch { pattern: pattern.to_owned() });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with files `names`; returns it and its path with a final slash.
    fn directory(names: &[&str]) -> (tempfile::TempDir, String) {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        let path = format!("{}/", root.path().display());
        (root, path)
    }

    fn names(root: &str, args: &[&str], recursive: bool) -> Result<Vec<String>, SourceError> {
        let args: Vec<String> = args.iter().map(|arg| arg.replace('@', root)).collect();
        let inputs = expand(&args, recursive)?;
        Ok(inputs.iter().map(|input| input.name().replace(root, "@")).collect())
    }

    #[test]
    fn directories_give_pictures_by_name() {
        let (_guard, root) =
            directory(&["b.PNG", "a.jpeg", "c.txt", ".hidden.png", "sub/d.webp", "sub/.x/e.png", "noext"]);
        assert_eq!(names(&root, &["@"], false).unwrap(), ["@a.jpeg", "@b.PNG"]);
        assert_eq!(names(&root, &["@"], true).unwrap(), ["@a.jpeg", "@b.PNG", "@sub/d.webp"]);
        assert_eq!(names(&root, &["@c.txt", "-", "@sub"], false).unwrap(), ["@c.txt", "-", "@sub/d.webp"]);
    }

    #[test]
    fn patterns_match_files_and_literal_names_win() {
        let (_guard, root) = directory(&["b.png", "a.png", "[ab].png", "sub/c.png", "x.png/y.png"]);
        assert_eq!(names(&root, &["@?.png"], false).unwrap(), ["@a.png", "@b.png"]);
        assert_eq!(names(&root, &["@[ab].png"], false).unwrap(), ["@[ab].png"]);
        assert_eq!(names(&root, &["@**/c.png"], false).unwrap(), ["@sub/c.png"]);
        assert!(matches!(names(&root, &["@*.gif"], false), Err(SourceError::NoMatch { .. })));
        assert!(matches!(names(&root, &["@x.*"], false), Err(SourceError::NoMatch { .. })), "only a directory matches");
        assert!(matches!(names(&root, &["@a***"], false), Err(SourceError::BadPattern { .. })));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let (_guard, root) = directory(&["sub/a.png", "text.txt"]);
        let message = |args: &[&str]| names(&root, args, false).unwrap_err().to_string();
        assert!(message(&["@nothing.png"]).contains("nothing.png does not exist"));
        assert!(message(&["@"]).contains("has no picture") && message(&["@"]).contains("--recursive"));
        assert_eq!(names(&root, &["-", "@sub", "-"], false), Err(SourceError::StdinTwice));
        assert_eq!(expand(&[""; 0], false), Err(SourceError::Nothing));
    }

    #[cfg(unix)]
    #[test]
    fn circles_of_links_end() {
        let (guard, root) = directory(&["sub/a.png"]);
        std::os::unix::fs::symlink(guard.path(), guard.path().join("sub/again")).unwrap();
        std::os::unix::fs::symlink("a.png", guard.path().join("sub/link.png")).unwrap();
        assert_eq!(names(&root, &["@"], true).unwrap(), ["@sub/a.png", "@sub/link.png"]);
    }
}
