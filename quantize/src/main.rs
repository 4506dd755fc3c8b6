//! `quantize`: ONNX networks to quantised models, and what belongs to it.

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quantize: {error}");
            match error {
                edge_ocr_quantize::Error::Usage(_) | edge_ocr_quantize::Error::Charset(_) => ExitCode::from(2),
                edge_ocr_quantize::Error::Q8(_) => ExitCode::from(3),
                _ => ExitCode::from(4),
            }
        }
    }
}
