//! What the tests of the whole program share: the program, the models, the data beside the checkout.
#![allow(dead_code)] // each test file uses a part

pub mod fuzz;
pub mod node_mistakes;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program, to be given arguments; it runs in the repository's root.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-ocr"));
    command.current_dir(root()).env_remove("EDGE_OCR_MODELS").env_remove("RUST_LOG");
    command
}

/// Runs the program and gives exit code, standard output, standard error.
pub fn run(args: &[&str]) -> (i32, String, String) {
    finish(program().args(args).output().expect("the program starts"))
}

/// Exit code, standard output, standard error.
pub fn finish(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code, not a signal"), text(output.stdout), text(output.stderr))
}

/// Whether a missing thing is a failure: yes in CI, where everything must be there; elsewhere the test says that it skips.
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

/// The labelled pictures beside the checkout, if they are there.
pub fn shared_data() -> Option<PathBuf> {
    let data = root().join("../shared/data");
    if data.is_dir() {
        return Some(data);
    }
    skip("../shared/data");
    None
}
