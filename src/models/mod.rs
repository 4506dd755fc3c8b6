//! The models: what is known of them ([`manifest`]), their characters ([`charset`]), and the files themselves
//! ([`store`]).

pub mod charset;
pub mod manifest;
pub mod store;

pub use charset::Charset;
pub use manifest::{Kind, Manifest, Status};
pub use store::{Store, StoredModel};

/// Why a model cannot be used.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ModelError {
    /// No manifest of that name and no such file.
    #[error("there is no model {name}; give the name of one of `edge-ocr models list` or the path of an .onnx file")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The manifest is there, its file is not.
    #[error("the model {name} is not here: {file} is in none of {folders}; {remedy}")]
    Missing {
        /// Manifest name.
        name: String,
        /// File name.
        file: String,
        /// Folders looked at.
        folders: String,
        /// The command that brings it.
        remedy: String,
    },
    /// The file is not the one of the manifest.
    #[error(
        "the model file {path} is not {name}: its sha256 is {got}, the manifest says {want}; remove it and run `models/fetch`"
    )]
    Checksum {
        /// Manifest name.
        name: String,
        /// The file.
        path: String,
        /// Its checksum.
        got: String,
        /// The manifest's.
        want: String,
    },
    /// The file cannot be read.
    #[error("the model file {path} cannot be read: {reason}; check the path and its permissions")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// The file is not a network.
    #[error(
        "the file {path} is not an ONNX model this engine can read: {reason}; give a model of the PP-OCR family with its weights inside"
    )]
    NotOnnx {
        /// The file.
        path: String,
        /// The engine's words.
        reason: String,
    },
    /// The network does something else.
    #[error("the model {name} is not a {kind}: {reason}; give a {kind} of the PP-OCR family")]
    WrongKind {
        /// File or manifest name.
        name: String,
        /// What it was to be.
        kind: Kind,
        /// What was seen.
        reason: String,
    },
    /// The dictionary cannot be used.
    #[error("the dictionary {name} cannot be used: {reason}; give a text file with one character on each line")]
    Dictionary {
        /// File or metadata key.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The dictionary belongs to another model.
    #[error(
        "the dictionary of {name} has {entries} characters, so the model must have {want} classes (blank and space added), but it has {classes}; give the dictionary that belongs to the model with {dict}",
        dict = crate::param::Param::Dict
    )]
    DictionaryLength {
        /// File or manifest name.
        name: String,
        /// Lines of the dictionary.
        entries: usize,
        /// Classes it asks for.
        want: usize,
        /// Classes of the network.
        classes: usize,
    },
    /// The INT8 engine runs only what the program was built with.
    #[error(
        "the {kind} {name} is not built into this program, which has {built_in}; build it with a target that names {name}, or {float}",
        float = crate::param::FloatEngine
    )]
    NotBuiltIn {
        /// File or manifest name.
        name: String,
        /// What it was to be.
        kind: Kind,
        /// The models of that kind in the program.
        built_in: String,
    },
}
