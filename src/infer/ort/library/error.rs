//! Why there is no library to load.

use super::{ENVIRONMENT, FILE, OLDEST};
use crate::config::Provider;
use crate::infer::ort::elf::ElfError;
use crate::param::Param;
use std::fmt;
use std::path::PathBuf;

/// Who named a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// [`Search::given`](super::Search::given).
    Parameter,
    /// [`Search::environment`](super::Search::environment).
    Environment,
}

impl fmt::Display for NamedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamedBy::Parameter => Param::OrtLibrary.fmt(f),
            NamedBy::Environment => f.pad(ENVIRONMENT),
        }
    }
}

/// A file or a folder as an error names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The absolute path.
    pub path: PathBuf,
    /// Who named it; nobody in the usual places and for a provider's file.
    pub named_by: Option<NamedBy>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_os_str().is_empty() {
            true => f.write_str("''")?,
            false => write!(f, "{}", self.path.display())?,
        }
        self.named_by.map_or(Ok(()), |name| write!(f, " (named by {name})"))
    }
}

/// Why there is no library to load.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LibraryError {
    /// None is named, and none is in the usual places.
    #[error(
        "there is no ONNX Runtime here: {FILE} is in none of {places}; install ONNX Runtime for this machine, or name \
         its file with {param} or the environment variable {ENVIRONMENT}",
        param = Param::OrtLibrary
    )]
    NotFound {
        /// The folders, `*` standing for any characters.
        places: String,
    },
    /// Nothing is where it should be.
    #[error(
        "the ONNX Runtime library {library} does not exist; name the file {FILE}.1.x.y of an installed ONNX Runtime"
    )]
    Missing {
        /// The file.
        library: Place,
    },
    /// A symbolic link to nothing.
    #[error(
        "the ONNX Runtime library {library} is a link to {target}, which does not exist; install ONNX Runtime again, \
         or name another file"
    )]
    BrokenLink {
        /// The link.
        library: Place,
        /// What it names.
        target: PathBuf,
    },
    /// A folder was named, and it holds no library.
    #[error("the folder {folder} holds no {FILE}; name the file of an installed ONNX Runtime, or its folder")]
    NoneInFolder {
        /// The folder.
        folder: Place,
    },
    /// A folder was named, and it holds more than one.
    #[error("the folder {folder} holds several ONNX Runtime libraries ({files}); name one of these files")]
    SeveralInFolder {
        /// The folder.
        folder: Place,
        /// Their names.
        files: String,
    },
    /// It cannot be loaded.
    #[error("the ONNX Runtime library {library} {reason}")]
    Unusable {
        /// The library or the provider's file beside it.
        library: Place,
        /// What is wrong with it, and the remedy.
        reason: ElfError,
    },
    /// It is another library.
    #[error(
        "the ONNX Runtime library {library} does not export {symbol}, so it is another library or damaged; name the \
         file {FILE}.1.x.y of an installed ONNX Runtime, or install that again"
    )]
    NoSymbol {
        /// The library or the provider's file beside it.
        library: Place,
        /// The symbol.
        symbol: &'static str,
    },
    /// It is older than [`OLDEST`](super::OLDEST).
    #[error(
        "the ONNX Runtime library {library} has version {version}, which is too old; install {}.{} or later",
        OLDEST.0, OLDEST.1
    )]
    TooOld {
        /// The library.
        library: Place,
        /// Its version.
        version: String,
    },
    /// It was built without the provider, or the provider's files were not copied with it.
    #[error(
        "the ONNX Runtime library {library} has no {missing} beside it, which the provider {provider} needs; install \
         an ONNX Runtime that is built with {provider}, or copy that file into the same folder"
    )]
    NoProvider {
        /// The library.
        library: Place,
        /// The provider asked for.
        provider: Provider,
        /// The name of the file.
        missing: &'static str,
    },
}
