//! Arguments → inputs: files, directories, patterns and `-`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::{EXTENSIONS, Input, SourceError};

/// Endings of images and documents that are not read. Such a file of a directory is an input all the same: it
/// becomes an error that names its format, instead of being passed over.
const FOREIGN_EXTENSIONS: [&str; 35] = [
    "ai", "arw", "avif", "cr2", "cr3", "djvu", "dng", "emf", "eps", "exr", "hdr", "heic", "heics", "heif", "heifs",
    "hif", "ico", "j2c", "j2k", "jp2", "jpf", "jpx", "jxl", "jxr", "nef", "orf", "pdf", "ps", "psd", "raf", "rw2",
    "svg", "svgz", "wmf", "xcf",
];

/// What arguments name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expanded {
    /// The inputs, in the order of the arguments.
    pub inputs: Vec<Input>,
    /// Why some directories were not searched ([`SourceError::Unreadable`]); the others were.
    pub unreadable: Vec<SourceError>,
}

/// The inputs that `args` name.
///
/// - `-` is standard input.
/// - An existing file is taken whatever its name, even if the name looks like a pattern.
/// - A directory gives its files with one of the [`EXTENSIONS`] in any case, sorted by name; with `recursive` those
///   of its subdirectories too, sorted by path. Names that begin with a dot and links to directories are passed over.
///   Images and documents of formats that are not read (`.heic`, `.pdf`, …) are among them, so that reading names
///   them.
/// - Anything else with `*`, `?` or `[` in it is a pattern (`**` crosses directories) and gives the files that match,
///   sorted by path.
///
/// # Errors
/// [`SourceError`] for no arguments, a second `-`, a name that does not exist, a directory without images, a pattern
/// that fits nothing or is none, and a directory that cannot be listed if there is nothing else to read.
pub fn expand(args: &[impl AsRef<OsStr>], recursive: bool) -> Result<Expanded, SourceError> {
    if args.is_empty() {
        return Err(SourceError::Nothing);
    }
    let Expanded { mut inputs, mut unreadable } = Expanded::default();
    for arg in args {
        let path = Path::new(arg);
        let arg = path.to_string_lossy();
        let problems = unreadable.len();
        if arg == "-" {
            if inputs.contains(&Input::Stdin) {
                return Err(SourceError::StdinTwice);
            }
            inputs.push(Input::Stdin);
        } else if path.is_dir() {
            let mut files = list(path, recursive, &mut unreadable);
            if files.is_empty() && unreadable.len() == problems {
                return Err(SourceError::EmptyDirectory { path: arg.into_owned(), recursive });
            }
            files.sort();
            inputs.extend(files.into_iter().map(Input::Path));
        } else if path.exists() {
            inputs.push(Input::Path(path.to_owned()));
        } else if arg.contains(['*', '?', '[']) {
            let files = matches(&arg, &mut unreadable)?;
            if files.is_empty() && unreadable.len() == problems {
                return Err(SourceError::NoMatch { pattern: arg.into_owned() });
            }
            inputs.extend(files.into_iter().map(Input::Path));
        } else {
            return Err(SourceError::Missing { path: arg.into_owned() });
        }
    }
    if inputs.is_empty() && !unreadable.is_empty() {
        return Err(unreadable.swap_remove(0));
    }
    Ok(Expanded { inputs, unreadable })
}

/// The images of a directory, in no particular order.
fn list(directory: &Path, recursive: bool, unreadable: &mut Vec<SourceError>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    // A work list instead of recursion: nesting then costs no stack.
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        let why = |e: std::io::Error| SourceError::Unreadable {
            path: directory.display().to_string(),
            reason: e.to_string(),
        };
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(e) => {
                unreadable.push(why(e));
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                // The rest of the directory would fail likewise, for ever on some disks.
                Err(e) => {
                    unreadable.push(why(e));
                    break;
                }
            };
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            // The kind of the entry itself: a link to a directory is not followed, so there are no endless circles.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if recursive {
                    waiting.push(path);
                }
            } else if is_image(&path) && path.is_file() {
                files.push(path);
            }
        }
    }
    files
}

/// Whether a name ends like an image's, of a format that is read or not.
fn is_image(path: &Path) -> bool {
    let known = |extension: &str| {
        EXTENSIONS.iter().chain(&FOREIGN_EXTENSIONS).any(|known| extension.eq_ignore_ascii_case(known))
    };
    path.extension().and_then(|extension| extension.to_str()).is_some_and(known)
}

/// The files that match a pattern.
fn matches(pattern: &str, unreadable: &mut Vec<SourceError>) -> Result<Vec<PathBuf>, SourceError> {
    let paths = glob::glob(pattern)
        .map_err(|e| SourceError::BadPattern { pattern: pattern.to_owned(), reason: e.msg.to_owned() })?;
    let mut files = Vec::new();
    for path in paths {
        match path {
            Ok(path) if path.is_file() => files.push(path),
            Ok(_) => {}
            Err(e) => unreadable
                .push(SourceError::Unreadable { path: e.path().display().to_string(), reason: e.error().to_string() }),
        }
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
        let Expanded { inputs, unreadable } = expand(&args, recursive)?;
        assert_eq!(unreadable, []);
        Ok(inputs.iter().map(|input| input.name().replace(root, "@")).collect())
    }

    #[test]
    fn directories_give_images_by_name() {
        let (_guard, root) =
            directory(&["b.PNG", "a.jpeg", "c.txt", ".hidden.png", "sub/d.webp", "sub/.x/e.png", "noext"]);
        assert_eq!(names(&root, &["@"], false).unwrap(), ["@a.jpeg", "@b.PNG"]);
        assert_eq!(names(&root, &["@"], true).unwrap(), ["@a.jpeg", "@b.PNG", "@sub/d.webp"]);
        assert_eq!(names(&root, &["@c.txt", "-", "@sub"], false).unwrap(), ["@c.txt", "-", "@sub/d.webp"]);
    }

    #[test]
    fn directory_with_foreign_formats_gives_them() {
        let (_guard, root) = directory(&["a.heic", "b.PDF", "c.png", "d.avif", "e.txt"]);
        assert_eq!(names(&root, &["@"], false).unwrap(), ["@a.heic", "@b.PDF", "@c.png", "@d.avif"]);
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
        assert!(message(&["@"]).contains("has no image") && message(&["@"]).contains("(recursive)"));
        assert_eq!(names(&root, &["-", "@sub", "-"], false), Err(SourceError::StdinTwice));
        assert_eq!(expand(&[""; 0], false), Err(SourceError::Nothing));
    }

    /// A directory that nobody can open, root neither: its path is longer than the system takes.
    #[cfg(target_os = "linux")]
    fn closed(parent: &Path) -> String {
        let step = "x".repeat(200);
        let script = format!(
            "cd \"$0\" && for i in 0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l; do mkdir {step} && cd -P {step} || exit; done"
        );
        let made = std::process::Command::new("sh").args(["-c", &script]).arg(parent).status();
        assert!(made.is_ok_and(|status| status.success()));
        step
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn directory_that_cannot_be_listed_hides_no_other() {
        let (guard, root) = directory(&["a.png", "sub/b.png"]);
        let step = closed(guard.path());
        let expanded = expand(&[&root], true).unwrap();
        let names: Vec<String> = expanded.inputs.iter().map(|input| input.name().replace(&root, "@")).collect();
        assert_eq!(names, ["@a.png", "@sub/b.png"]);
        let [SourceError::Unreadable { path, .. }] = &expanded.unreadable[..] else { panic!("{expanded:?}") };
        assert!(path.contains(&step));
        let alone = format!("{root}{step}");
        assert!(matches!(expand(&[alone], true), Err(SourceError::Unreadable { .. })), "nothing is left to read");
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
