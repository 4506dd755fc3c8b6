//! The parameters that errors and the log name.
//!
//! The library calls a parameter by its key: its path in a [`Config`](crate::Config). A program whose users know it by
//! another name, a flag say, gives its names to [`name_by`].

use std::fmt;
use std::sync::OnceLock;

/// A parameter. Its `Display` is the name that [`name_by`] gave it, or else its [`key`](Self::key).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Param {
    /// The engine.
    Engine,
    /// Threads for one image.
    Threads,
    /// The folder with model files.
    ModelsFolder,
    /// The recogniser's dictionary.
    Dict,
    /// Degrees that an image is turned.
    Rotate,
    /// How large the detector sees a page.
    ScaleRule,
    /// The detector's input sizes.
    Canvases,
    /// The overlap of tiles.
    Overlap,
    /// How much a small page is enlarged.
    MaxUpscale,
    /// The longest side of a page that is searched.
    MaxSide,
    /// The shortest one.
    MinSide,
    /// The side that the reference rule goes by.
    LimitSideLen,
    /// The longest side that the reference rule gives.
    CapSide,
    /// How many places are looked at.
    MaxCandidates,
    /// The score below which the classifier is not believed.
    ClsThresh,
    /// The score below which a line is left out.
    RecScoreThresh,
    /// The characters that may come out.
    AllowedChars,
    /// What a line looks like.
    Pattern,
    /// Lines in one run.
    RecBatch,
    /// The recogniser's input widths.
    RecWidths,
    /// The longest file.
    MaxBytes,
    /// The greatest width.
    MaxWidth,
    /// The greatest height.
    MaxHeight,
    /// Most pixels.
    MaxPixels,
    /// Most memory for decoding.
    MaxDecodeBytes,
    /// Most pages of a file.
    MaxPages,
    /// Most pixels of all pages.
    MaxTotalPixels,
    /// Whether directories in directories are searched.
    Recursive,
    /// The shared library of ONNX Runtime.
    OrtLibrary,
    /// What ONNX Runtime runs networks on.
    OrtProvider,
    /// Whether another provider may take its place.
    OrtAllowFallback,
    /// Where TensorRT's engines are kept.
    OrtCache,
    /// Whether TensorRT's engines may be built now.
    OrtBuildEngines,
}

impl Param {
    /// Every one.
    pub const ALL: [Param; 33] = [
        Param::Engine,
        Param::Threads,
        Param::ModelsFolder,
        Param::Dict,
        Param::Rotate,
        Param::ScaleRule,
        Param::Canvases,
        Param::Overlap,
        Param::MaxUpscale,
        Param::MaxSide,
        Param::MinSide,
        Param::LimitSideLen,
        Param::CapSide,
        Param::MaxCandidates,
        Param::ClsThresh,
        Param::RecScoreThresh,
        Param::AllowedChars,
        Param::Pattern,
        Param::RecBatch,
        Param::RecWidths,
        Param::MaxBytes,
        Param::MaxWidth,
        Param::MaxHeight,
        Param::MaxPixels,
        Param::MaxDecodeBytes,
        Param::MaxPages,
        Param::MaxTotalPixels,
        Param::Recursive,
        Param::OrtLibrary,
        Param::OrtProvider,
        Param::OrtAllowFallback,
        Param::OrtCache,
        Param::OrtBuildEngines,
    ];

    /// Its path in a [`Config`](crate::Config); characters and pattern, which a profile has too, are named alike in
    /// both.
    pub fn key(self) -> &'static str {
        match self {
            Param::Engine => "engine",
            Param::Threads => "threads",
            Param::ModelsFolder => "models.folder",
            Param::Dict => "models.dict",
            Param::Rotate => "rotate_deg",
            Param::ScaleRule => "detect.scale.rule",
            Param::Canvases => "detect.scale.canvases_px",
            Param::Overlap => "detect.scale.overlap_px",
            Param::MaxUpscale => "detect.scale.max_upscale",
            Param::MaxSide => "detect.scale.max_side_px",
            Param::MinSide => "detect.scale.min_side_px",
            Param::LimitSideLen => "detect.scale.limit_side_len_px",
            Param::CapSide => "detect.scale.cap_side_px",
            Param::MaxCandidates => "detect.db.max_candidates",
            Param::ClsThresh => "cls_thresh",
            Param::RecScoreThresh => "rec_score_thresh",
            Param::AllowedChars => "allowed_chars",
            Param::Pattern => "pattern",
            Param::RecBatch => "recognise.batch",
            Param::RecWidths => "recognise.widths",
            Param::MaxBytes => "limits.max_bytes",
            Param::MaxWidth => "limits.max_width_px",
            Param::MaxHeight => "limits.max_height_px",
            Param::MaxPixels => "limits.max_pixels",
            Param::MaxDecodeBytes => "limits.max_decode_bytes",
            Param::MaxPages => "limits.max_pages",
            Param::MaxTotalPixels => "limits.max_total_pixels",
            Param::Recursive => "recursive",
            Param::OrtLibrary => "ort.library",
            Param::OrtProvider => "ort.provider",
            Param::OrtAllowFallback => "ort.allow_fallback",
            Param::OrtCache => "ort.cache",
            Param::OrtBuildEngines => "ort.build_engines",
        }
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(NAMES.get().map_or(self.key(), |name| name(*self)))
    }
}

static NAMES: OnceLock<fn(Param) -> &'static str> = OnceLock::new();

/// Has every message of this process call parameters by these names. For programs, like a translation: errors keep
/// their types and values. The first call counts.
pub fn name_by(names: fn(Param) -> &'static str) {
    let _ = NAMES.set(names);
}

/// A value that a parameter cannot have. The message is one sentence.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
#[error("{sentence}")]
#[non_exhaustive]
pub struct ParamError {
    /// The parameter.
    pub param: Param,
    /// What it was given.
    pub value: String,
    /// What it may be.
    pub allowed: String,
    sentence: String,
}

impl ParamError {
    /// An error with the usual sentence: the parameter must be what is `allowed`.
    pub fn new(param: Param, value: impl ToString, allowed: impl Into<String>) -> ParamError {
        let allowed = allowed.into();
        let sentence = format!("{param} must be {allowed}");
        ParamError { param, value: value.to_string(), allowed, sentence }
    }

    /// This error with another sentence.
    pub fn saying(self, sentence: impl Into<String>) -> ParamError {
        ParamError { sentence: sentence.into(), ..self }
    }
}

/// How to have the float engine, which runs at any size: the end of messages about what is not built in.
#[derive(Clone, Copy, Debug)]
pub struct FloatEngine;

impl fmt::Display for FloatEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match cfg!(feature = "tract") {
            true => write!(f, "give {} tract", Param::Engine),
            false => f.write_str("build the program with its float engine (--features tract)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `None` where the key leads nowhere.
    fn at<'a>(config: &'a serde_json::Value, key: &str) -> Option<&'a serde_json::Value> {
        config.pointer(&format!("/{}", key.replace('.', "/")))
    }

    #[test]
    fn keys_are_paths_of_the_configuration() {
        let mut config = crate::Config::default();
        // Left out where nothing of it is set.
        config.ort.allow_fallback = true;
        let config = serde_json::to_value(config).unwrap();
        for param in Param::ALL {
            // Of a profile, of `source::expand`.
            if !matches!(param, Param::AllowedChars | Param::Pattern | Param::Recursive) {
                assert!(at(&config, param.key()).is_some(), "{} is not in {config}", param.key());
            }
        }
    }

    #[test]
    fn error_names_the_parameter_and_what_it_may_be() {
        let error = ParamError::new(Param::Threads, 17, "1 to 16");
        assert_eq!((error.to_string().as_str(), error.value.as_str()), ("threads must be 1 to 16", "17"));
        assert_eq!(error.saying("no").to_string(), "no");
    }
}
