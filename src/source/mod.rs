//! Where images come from: what the command line names, and the bytes behind it.

mod error;
#[cfg(feature = "glob")]
mod expand;
mod read;

use std::borrow::Cow;
use std::path::PathBuf;

pub use error::SourceError;
#[cfg(feature = "glob")]
pub use expand::{Expanded, expand};
pub use read::read;

/// Endings (without the dot, lower case) by which files of a directory count as images.
pub const EXTENSIONS: [&str; 17] = [
    "bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "mpo", "pam", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff",
    "webp",
];

/// One thing to read an image from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    Path(PathBuf),
    /// Standard input, named `-`.
    Stdin,
}

impl Input {
    /// The name for messages and results: the path as given or found, or `-`.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Input::Path(path) => path.to_string_lossy(),
            Input::Stdin => Cow::Borrowed("-"),
        }
    }
}
