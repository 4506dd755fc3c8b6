//! What can go wrong before an image's bytes are there. Every message is one sentence: the thing, the reason, the
//! remedy.

use crate::param::Param;

/// Why an input cannot be found or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No argument at all.
    #[error("no image was named; name files, a directory, a pattern such as '*.jpg', or - for standard input")]
    Nothing,

    /// `-` more than once.
    #[error("standard input (-) was named twice but can be read only once; name it once")]
    StdinTwice,

    /// Neither a file nor a directory of that name exists.
    #[error("{path} does not exist; check the name")]
    Missing {
        /// The path as given.
        path: String,
    },

    /// A directory without an image.
    #[error(
        "directory {path} has no image ({extensions}) in it; name another one{hint}",
        extensions = super::EXTENSIONS.join(", "),
        hint = deeper(.recursive)
    )]
    EmptyDirectory {
        /// The directory as given.
        path: String,
        /// Whether its subdirectories were searched too.
        recursive: bool,
    },

    /// A pattern that fits nothing.
    #[error("no file matches the pattern '{pattern}'; check it, and the directory it starts from")]
    NoMatch {
        /// The pattern as given.
        pattern: String,
    },

    /// A pattern that cannot be one.
    #[error(
        "the pattern '{pattern}' cannot be understood because {reason}; put [ and ] around a character meant literally"
    )]
    BadPattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A directory where a file was wanted.
    #[error("{path} is a directory, not an image; name a file in it, or give the directory as an argument of its own")]
    Directory {
        /// The path as given.
        path: String,
    },

    /// A pipe, socket or device: reading it might never end.
    #[error("{path} is not a regular file; send what it gives to standard input and name - instead")]
    NotRegular {
        /// The path as given.
        path: String,
    },

    /// The system refused.
    #[error("{path} cannot be read because the system says '{reason}'; check the file and its permissions")]
    Unreadable {
        /// The path as given, or `-`.
        path: String,
        /// The system's own words.
        reason: String,
    },

    /// A file of a format that is not read, and longer than images may be.
    #[error("{path} is {format}, which cannot be read; {remedy}")]
    ForeignFormat {
        /// The path as given.
        path: String,
        /// The format, with its article.
        format: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },

    /// More bytes than allowed.
    #[error("{path} is more than the limit of {limit} bytes long; raise {}", Param::MaxBytes)]
    TooLong {
        /// The path as given, or `-`.
        path: String,
        /// The limit in force.
        limit: u64,
    },
}

/// What else could be done about a directory without images.
fn deeper(recursive: &bool) -> String {
    if *recursive { String::new() } else { format!(" or search its subdirectories too ({})", Param::Recursive) }
}
