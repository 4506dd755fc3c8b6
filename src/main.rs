//! The `edge-ocr` program; everything it does is in `cli/`.

mod cli;

fn main() -> std::process::ExitCode {
    edge_ocr::guard::silence_caught_panics();
    std::process::ExitCode::from(cli::main())
}
