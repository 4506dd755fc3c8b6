//! The quantised networks (`.q8`) that the build script of [edge-ocr](https://crates.io/crates/edge-ocr) makes plans
//! of. They are a crate of their own because a registry takes packages of at most 10 MB.
//!
//! The networks are derived from those of PaddleOCR and have their licence, Apache-2.0.

/// The folder in which the files lie, named `<name>.q8` as in `edge-ocr models list`; it exists where this crate was
/// compiled.
pub const FOLDER: &str = env!("CARGO_MANIFEST_DIR");
