//! What the tests of the whole program share: the program, the models, the data beside the checkout.
#![allow(dead_code, unused_imports)] // each test file uses a part

pub mod config_errors;
#[path = "../../../tests/support/mod.rs"]
mod shared;

pub use shared::{models_missing, root, skip};

use std::process::{Command, Output};

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
