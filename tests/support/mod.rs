//! What the tests of all crates share: the repository, the models.
#![allow(dead_code)] // each test file uses a part

pub mod fuzz;

use std::path::Path;

/// The repository: where the workspace's lock file is, whichever crate's test this is.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).unwrap_or(here)
}

/// A default value with some fields changed: literals of the library's parameters are for the library only.
pub fn with<T: Default>(change: impl FnOnce(&mut T)) -> T {
    let mut value = T::default();
    change(&mut value);
    value
}

/// Whether a missing thing is a failure: yes in CI, where everything must be there; elsewhere the test says that it
/// skips.
pub fn skip(what: &str) -> bool {
    assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "CI needs {what}");
    eprintln!("skipped: {what} not here");
    true
}

/// True, and said, when the model files are not here.
pub fn models_missing() -> bool {
    let names = ["PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx", "ch_ppocr_mobile_v2.0_cls_mobile.onnx"];
    !names.iter().all(|name| root().join("models").join(name).is_file()) && skip("the models (run models/fetch)")
}
