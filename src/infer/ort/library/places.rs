//! The folders that libraries are installed in, and the libraries in a folder.

use super::FILE;
use std::path::{Path, PathBuf};

/// The usual folders, as patterns for [`expand`]: those of the environments in use and of the user before those of the
/// system.
pub fn usual_places(environments: &[PathBuf], home: Option<&Path>) -> Vec<PathBuf> {
    let python = |lib: PathBuf| lib.join("python3*/*-packages/onnxruntime/capi");
    let mut places = Vec::new();
    for environment in environments {
        let lib = environment.join("lib");
        places.extend([python(lib.clone()), lib]);
    }
    places.extend(home.map(|home| python(home.join(".local/lib"))));
    for lib in ["/usr/local/lib", "/usr/lib"] {
        places.push(lib.into());
        places.extend(debian_triplet().map(|triplet| Path::new(lib).join(triplet)));
        places.push(python(lib.into()));
    }
    places
}

/// Debian's name for this machine, which is a folder of libraries there.
fn debian_triplet() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "aarch64" => Some("aarch64-linux-gnu"),
        "x86_64" => Some("x86_64-linux-gnu"),
        "arm" => Some("arm-linux-gnueabihf"),
        "riscv64" => Some("riscv64-linux-gnu"),
        _ => None,
    }
}

/// The libraries in a folder, the newest first, each once however many links to it there are; none if the folder cannot
/// be read. A link to nothing is among them: to be reported.
pub fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let is_version = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_library = |name: &str| {
        name.strip_prefix(FILE).is_some_and(|rest| rest.is_empty() || rest.strip_prefix('.').is_some_and(is_version))
    };
    let mut files = entries(folder, is_library);
    for file in &mut files {
        *file = std::fs::canonicalize(&*file).unwrap_or_else(|_| file.clone());
    }
    sort_newest_first(&mut files);
    files.dedup();
    files
}

/// The folders that a pattern stands for, where a `*` in a component is any characters; those with the highest numbers
/// first. A pattern without `*` stands for itself.
pub fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::new()];
    for component in pattern {
        let Some((before, after)) = component.to_str().and_then(|text| text.split_once('*')) else {
            folders.iter_mut().for_each(|folder| folder.push(component));
            continue;
        };
        let is_match = |name: &str| name.strip_prefix(before).is_some_and(|rest| rest.ends_with(after));
        let matches = |folder: &PathBuf| {
            let mut found = entries(folder, is_match);
            sort_newest_first(&mut found);
            found
        };
        folders = folders.iter().flat_map(matches).collect();
    }
    folders
}

/// The entries of a folder whose name is right; none if it cannot be read.
fn entries(folder: &Path, is_right: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_right)).map(|entry| entry.path()).collect()
}

/// Sorts by the numbers in the last component: 3.12 is newer than 3.9.
fn sort_newest_first(paths: &mut [PathBuf]) {
    paths.sort_by_cached_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let digits = name.split(|c: char| !c.is_ascii_digit());
        let numbers: Vec<u64> = digits.filter_map(|digits| digits.parse().ok()).collect();
        std::cmp::Reverse((numbers, path.clone()))
    });
}
