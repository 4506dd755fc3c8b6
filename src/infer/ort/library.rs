//! Finds the shared library of ONNX Runtime and checks it before anything loads it.
//!
//! A process can load only one, and a damaged one may end the process. So the dynamic loader gets a path that was
//! looked for here, of a file whose headers and tables were read here. The path is absolute and without symbolic links,
//! because ONNX Runtime looks for its providers in the folder of the path that it was loaded by.
//!
//! A library that is named, by a parameter or by [`ENVIRONMENT`], is used or is an error. The usual places are searched
//! only when none is named.

mod error;
mod places;

pub use super::elf::ElfError;
pub use error::{LibraryError, NamedBy, Place};

use super::elf;
use crate::config::Provider;
use places::{expand, libraries_in, usual_places};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The environment variable that names the library.
pub const ENVIRONMENT: &str = "ORT_DYLIB_PATH";

/// The oldest version that works, major and minor: the one whose interface this program asks for.
pub const OLDEST: (u32, u32) = (1, 17);

/// The library's name; of an installed one the version follows, such as `.1.32.0`.
const FILE: &str = "libonnxruntime.so";

/// What every version of the library exports.
const SYMBOL: &str = "OrtGetApiBase";

/// Files of providers, each with the symbol that ONNX Runtime takes from it.
const SHARED: (&str, &str) = ("libonnxruntime_providers_shared.so", "Provider_SetHost");
const CUDA: (&str, &str) = ("libonnxruntime_providers_cuda.so", "GetProvider");
const TENSORRT: (&str, &str) = ("libonnxruntime_providers_tensorrt.so", "GetProvider");

/// Where the library is looked for, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search<'a> {
    /// What the parameter names: the file, or a folder with exactly one. Relative to the current directory.
    pub given: Option<&'a Path>,
    /// The value of [`ENVIRONMENT`], which names a file or a folder likewise; an empty one counts as not set.
    pub environment: Option<OsString>,
    /// The usual folders. A `*` in a component stands for any characters; of several matches the one with the highest
    /// numbers comes first.
    pub places: Vec<PathBuf>,
}

impl Search<'_> {
    /// What is usual on this machine: the environment variable, the folders of libraries, and those of Python packages
    /// of this user, of the environment in use (`VIRTUAL_ENV`, `CONDA_PREFIX`) and of the system.
    pub fn usual(given: Option<&Path>) -> Search<'_> {
        let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let environments: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(folder).collect();
        let places = usual_places(&environments, folder("HOME").as_deref());
        Search { given, environment: std::env::var_os(ENVIRONMENT), places }
    }
}

/// A library that passed all checks that need no loading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// The file: absolute, without symbolic links.
    pub path: PathBuf,
    /// Its version as far as the file tells: by the version that it defines, else by its own name, else by the file's.
    /// The library says the true one after it is loaded.
    pub version: Option<(u32, u32, u32)>,
    /// The providers in its folder.
    pub providers: Providers,
}

/// The files of providers in the folder of a library. That a file is there does not say that the provider works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Providers {
    /// `libonnxruntime_providers_shared.so`, which the others need.
    pub shared: bool,
    /// `libonnxruntime_providers_cuda.so`.
    pub cuda: bool,
    /// `libonnxruntime_providers_tensorrt.so`.
    pub tensorrt: bool,
}

/// Finds the library and checks it, and the files of `provider` beside it. In the usual places the first that passes
/// is taken.
///
/// # Errors
/// [`LibraryError`]. If several are in the usual places and none passes, the first one's.
pub fn find(search: &Search<'_>, provider: Provider) -> Result<Library, LibraryError> {
    if let Some(path) = search.given {
        return check_named(path, NamedBy::Parameter, provider);
    }
    if let Some(path) = search.environment.as_ref().filter(|path| !path.is_empty()) {
        return check_named(Path::new(path), NamedBy::Environment, provider);
    }
    let mut first = None;
    for path in search.places.iter().flat_map(|place| expand(place)).flat_map(|folder| libraries_in(&folder)) {
        match check(Place { path, named_by: None }, provider) {
            Ok(library) => return Ok(library),
            Err(error) => {
                log::info!("passed over: {error}");
                first.get_or_insert(error);
            }
        }
    }
    let places = || search.places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ");
    Err(first.unwrap_or_else(|| LibraryError::NotFound { places: places() }))
}

/// Checks the file or the folder that somebody named.
fn check_named(path: &Path, named_by: NamedBy, provider: Provider) -> Result<Library, LibraryError> {
    // This fails for an empty path only, which does not exist either.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let place = |path| Place { path, named_by: Some(named_by) };
    if !path.is_dir() {
        return check(place(path), provider);
    }
    match libraries_in(&path).as_slice() {
        [] => Err(LibraryError::NoneInFolder { folder: place(path) }),
        [file] => check(place(file.clone()), provider),
        files => {
            let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let files = files.iter().map(name).collect::<Vec<_>>().join(", ");
            Err(LibraryError::SeveralInFolder { folder: place(path), files })
        }
    }
}

/// Checks one file and what `provider` needs beside it.
fn check(library: Place, provider: Provider) -> Result<Library, LibraryError> {
    let path = match std::fs::canonicalize(&library.path) {
        Ok(path) => path,
        Err(error) => return Err(no_path(library, &error)),
    };
    let object = check_object(&path, &library, SYMBOL)?;
    let version = version_in(&object, &path);
    if let Some((major, minor, patch)) = version.filter(|(major, minor, _)| (*major, *minor) < OLDEST) {
        return Err(LibraryError::TooOld { library, version: format!("{major}.{minor}.{patch}") });
    }

    let beside = |(name, _): (&str, &str)| path.with_file_name(name);
    let needed: &[(&'static str, &'static str)] = match provider {
        Provider::Tensorrt => &[SHARED, TENSORRT],
        Provider::Cuda => &[SHARED, CUDA],
        Provider::Cpu => &[],
    };
    for &file in needed {
        let path = beside(file);
        if !path.exists() {
            return Err(LibraryError::NoProvider { library, provider, missing: file.0 });
        }
        check_object(&path, &Place { path: path.clone(), named_by: None }, file.1)?;
    }
    let is_there = |file| beside(file).is_file();
    let providers = Providers { shared: is_there(SHARED), cuda: is_there(CUDA), tensorrt: is_there(TENSORRT) };
    Ok(Library { path, version, providers })
}

/// Why a path leads nowhere.
fn no_path(library: Place, error: &std::io::Error) -> LibraryError {
    if error.kind() != std::io::ErrorKind::NotFound {
        return LibraryError::Unusable { library, reason: ElfError::Unreadable(error.to_string()) };
    }
    match std::fs::read_link(&library.path) {
        Ok(target) => LibraryError::BrokenLink { library, target },
        Err(_) => LibraryError::Missing { library },
    }
}

/// Checks that a file is a shared library for this machine and exports `symbol`. Where nothing tells what it exports,
/// the dynamic loader has to find out.
fn check_object(path: &Path, library: &Place, symbol: &'static str) -> Result<elf::SharedObject, LibraryError> {
    let unusable = |reason| LibraryError::Unusable { library: library.clone(), reason };
    let object = elf::inspect(path, symbol).map_err(unusable)?;
    match object.exports {
        Some(false) => Err(LibraryError::NoSymbol { library: library.clone(), symbol }),
        _ => Ok(object),
    }
}

/// The version that a library tells: `VERS_1.32.0` among those it defines, else its own name or that of the file, such
/// as `libonnxruntime.so.1.16.3`.
fn version_in(object: &elf::SharedObject, path: &Path) -> Option<(u32, u32, u32)> {
    let defined = object.versions.iter().filter_map(|name| name.strip_prefix("VERS_"));
    let names = [object.soname.as_deref(), path.file_name().and_then(|name| name.to_str())];
    let named = names.into_iter().flatten().filter_map(|name| name.strip_prefix(FILE)?.strip_prefix('.'));
    defined.chain(named).find_map(version_of)
}

/// A version of two or more numbers, such as `1.32.0`.
fn version_of(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests;
