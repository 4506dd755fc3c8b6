//! The verbs of the command line, one file each.

mod calibrate;
mod eval;
mod list;
mod plan;
mod show;

use clap::{Parser, Subcommand};
use edge_ocr_quantize::Error;

/// ONNX networks of the PP-OCR family to quantised models (.q8)
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Calibrate(calibrate::Args),
    Eval(eval::Args),
    List(list::Args),
    Plan(plan::Args),
    Show(show::Args),
}

/// Runs a command.
pub fn run(cli: Cli) -> Result<(), Error> {
    match cli.verb {
        Verb::Calibrate(args) => calibrate::run(args),
        Verb::Eval(args) => eval::run(args),
        Verb::List(args) => list::run(args),
        Verb::Plan(args) => plan::run(args),
        Verb::Show(args) => show::run(args),
    }
}
