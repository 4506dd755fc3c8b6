//! The program: one file for each verb, and the flags they share.

/// `println!` that ends the verb when nobody can be told, instead of a panic.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stdout(), $($text)*).map_err($crate::write_failed("standard output"))?
    }};
}

/// `eprintln!` that gives up when standard error takes nothing, instead of a panic: a message that cannot be written must
/// not cost the results that can.
macro_rules! print_error {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod bench;
mod check;
mod eval;
mod exit;
mod flags;
mod interrupt;
mod load;
mod logger;
mod malloc_tuning;
mod model_flags;
mod models;
#[cfg(feature = "node")]
mod node;
mod options;
mod ort_flags;
mod overwrite;
#[cfg(feature = "packaging")]
mod package;
mod read;
mod sink;
mod targets;
#[cfg(all(feature = "ort", unix))]
mod telemetry;
mod turns;
#[cfg(feature = "node")]
mod worker;

use clap::{Parser, Subcommand};
use edge_ocr::Error;

/// Reads the text in images: boxes, characters, confidence.
#[derive(Parser)]
#[command(name = "edge-ocr", version, max_term_width = 110)]
struct Cli {
    /// Say more on standard error; twice for even more (or set RUST_LOG)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Read the text in images
    Read(Box<read::Args>),
    /// Read the images of a labels file and write predictions to be scored
    Eval(Box<eval::Args>),
    /// List, show and verify models
    Models(models::Args),
    /// Show what this program was built for: input sizes, memory, and the targets there are
    Targets(targets::Args),
    /// Read a built-in image and say whether engine, models and machine are fit
    Check(Box<check::Args>),
    /// Read fields of camera frames for years and publish the readings by MQTT
    ///
    /// Sources of frames: directory, http, mjpeg, command, replay, and v4l2 (USB cameras), which is experimental: it
    /// has not been tried on a camera yet.
    #[cfg(feature = "node")]
    Node(Box<node::Args>),
    /// Read images that others send by MQTT: one of many that share the jobs of a broker
    #[cfg(feature = "node")]
    Worker(worker::Args),
    /// Measure this machine: milliseconds of each network and of a whole page, with the answers checked
    Bench(Box<bench::Args>),
}

impl Verb {
    /// Whether the library's parameters come from flags; those of a node and a worker come from a file.
    fn has_flags(&self) -> bool {
        match self {
            #[cfg(feature = "node")]
            Verb::Node(_) | Verb::Worker(_) => false,
            _ => true,
        }
    }

    /// Whether it runs until a signal ends it.
    fn is_service(&self) -> bool {
        match self {
            #[cfg(feature = "node")]
            Verb::Node(args) => args.is_service(),
            #[cfg(feature = "node")]
            Verb::Worker(args) => args.is_service(),
            _ => false,
        }
    }
}

fn main() -> std::process::ExitCode {
    #[cfg(all(feature = "ort", unix))]
    telemetry::switch_off();
    edge_ocr::panics::silence_caught_panics();
    std::process::ExitCode::from(run())
}

/// Runs the program; gives its exit code.
fn run() -> u8 {
    #[cfg(feature = "packaging")]
    if let Some(code) = package::requested() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not mistakes.
            let code = if error.use_stderr() { exit::USAGE } else { exit::OK };
            let _ = error.print();
            return code;
        }
    };
    if cli.verb.has_flags() {
        edge_ocr::param::name_by(flags::name);
    }
    // First of all: a signal must not come before.
    #[cfg(feature = "node")]
    let signals = match cli.verb.is_service().then(edge_ocr_node::util::signals::Signals::catch).transpose() {
        Ok(signals) => signals,
        Err(error) => {
            print_error!("edge-ocr: signals cannot be caught: {error}; free memory and open files");
            return exit::FAILED;
        }
    };
    let level = ["warn", "info", "debug"][usize::from(cli.verbose.min(2))];
    let logger = match logger::start(level, cli.verb.is_service()) {
        Ok(logger) => logger,
        Err(error) => {
            print_error!("edge-ocr: the log cannot be written: {error}; free memory and processes");
            return exit::FAILED;
        }
    };
    let result = match cli.verb {
        Verb::Read(args) => read::run(&args),
        Verb::Eval(args) => eval::run(&args),
        Verb::Models(args) => models::run(&args),
        Verb::Targets(args) => targets::run(&args),
        Verb::Check(args) => check::run(&args),
        #[cfg(feature = "node")]
        Verb::Node(args) => node::run(&args, signals),
        #[cfg(feature = "node")]
        Verb::Worker(args) => worker::run(&args, signals),
        Verb::Bench(args) => bench::run(&args),
    };
    let (sentence, code) = match result {
        Ok(code) => (None, code),
        Err(Stop::Quiet) => (None, exit::CLOSED),
        Err(Stop::Failed(sentence)) => (Some(sentence), exit::FAILED),
        #[cfg(feature = "node")]
        Err(Stop::Node(error)) => (Some(error.to_string()), exit::of_node(&error)),
        #[cfg(all(feature = "node", not(feature = "demo")))]
        Err(Stop::NotBuiltIn(sentence)) => (Some(sentence.into()), exit::NO_ENGINE),
        Err(Stop::Error(error)) => (Some(error.to_string()), exit::of(&error)),
    };
    logger.end(sentence.map(|sentence| format!("edge-ocr: {sentence}")));
    code
}

/// Why a verb ends before its end.
enum Stop {
    /// One sentence and the exit code that belongs to it.
    Error(Error),
    /// One sentence; exit code 1.
    Failed(String),
    /// The node's.
    #[cfg(feature = "node")]
    Node(edge_ocr_node::node::NodeError),
    /// One sentence about what this program was built without; exit code 6.
    #[cfg(all(feature = "node", not(feature = "demo")))]
    NotBuiltIn(&'static str),
    /// Whoever read our output has gone: nothing to say.
    Quiet,
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Error(error.into())
    }
}

/// What a failed write to `target` means.
fn write_failed(target: &str) -> impl FnOnce(std::io::Error) -> Stop {
    let target = target.to_string();
    move |error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Stop::Quiet,
        _ => Stop::Failed(format!(
            "the result could not be written to {target}: {error}; check the path, its permissions and the free space"
        )),
    }
}
