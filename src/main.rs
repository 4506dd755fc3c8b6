//! The `edge-ocr` program; everything it does is in `cli/`.

mod cli;

fn main() -> std::process::ExitCode {
    // A panic inside the float engine on a damaged model is caught and becomes an error: only that is to be seen.
    #[cfg(feature = "tract")]
    {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !edge_ocr::infer::tract::panic_is_caught() {
                report(info);
            }
        }));
    }
    std::process::ExitCode::from(cli::main())
}
