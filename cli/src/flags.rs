//! What the library's parameters are called on the command line.

use edge_ocr::param::Param;

/// The flag of a parameter, for [`name_by`](edge_ocr::param::name_by).
pub fn name(param: Param) -> &'static str {
    match param {
        Param::Engine => "--engine",
        Param::Threads => "--threads",
        Param::ModelsFolder => "--models-dir",
        Param::Dict => "--dict",
        Param::Rotate => "--rotate",
        Param::ScaleRule => "--scale",
        Param::Canvases => "--det-canvas",
        Param::Overlap => "--det-overlap",
        Param::MaxUpscale => "--det-max-upscale",
        Param::MaxSide => "--max-side-len",
        Param::MinSide => "--min-side-len",
        Param::LimitSideLen => "--det-limit-side-len",
        // It has none.
        Param::CapSide => param.key(),
        Param::MaxCandidates => "--det-max-candidates",
        Param::ClsThresh => "--cls-thresh",
        Param::RecScoreThresh => "--rec-score-thresh",
        Param::AllowedChars => "--allowed-chars",
        Param::Pattern => "--pattern",
        Param::RecBatch => "--rec-batch",
        Param::RecWidths => "--rec-widths",
        Param::MaxBytes => "--max-bytes",
        Param::MaxWidth => "--max-width",
        Param::MaxHeight => "--max-height",
        Param::MaxPixels => "--max-pixels",
        Param::MaxDecodeBytes => "--max-decode-bytes",
        Param::MaxPages => "--max-pages",
        Param::MaxTotalPixels => "--max-total-pixels",
        Param::Recursive => "--recursive",
        Param::OrtLibrary => "--ort-library",
        Param::OrtProvider => "--provider",
        Param::OrtAllowFallback => "--allow-fallback",
        Param::OrtCache => "--engine-cache",
        Param::OrtBuildEngines => "--build-engines",
        // A newer one; the test below finds it.
        _ => param.key(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;
    use clap::CommandFactory;

    #[test]
    fn every_parameter_is_a_flag_of_read() {
        let cli = Cli::command();
        let read = cli.find_subcommand("read").unwrap();
        let flags: Vec<String> =
            read.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
        for param in Param::ALL.into_iter().filter(|param| *param != Param::CapSide) {
            assert!(flags.iter().any(|flag| flag == name(param)), "{param:?}: {} is not in {flags:?}", name(param));
        }
    }
}
