//! What a [`Pipeline`](crate::Pipeline) is made from: one typed value, also readable from TOML or JSON.

mod models;
mod ort;

pub use models::{CLASSIFIER, FAMILIES, ModelChoice, NONE, Tier};
pub use ort::{OrtParams, Provider};

use crate::detect::detector::DetectParams;
use crate::detect::scale::ScaleRule;
use crate::image::decode::Limits;
use crate::image::enhance::Enhance;
use crate::image::region::Region;
use crate::infer::MAX_WORKERS;
use crate::models::Kind;
use crate::param::{Param, ParamError};
use crate::recognise::{RecogniseParams, Widths};
use crate::target;
use serde::{Deserialize, Serialize};

/// Everything that decides what comes out for given pixels. `Default` is the program's default, from which others are
/// made by setting fields:
///
/// ```
/// let mut config = edge_ocr::Config::default();
/// config.threads = 1;
/// config.recognise.allowed_chars = Some("0123456789.,".into());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Which engine runs the networks.
    pub engine: Engine,
    /// How the engine `ort` runs them.
    #[serde(skip_serializing_if = "OrtParams::is_default")]
    pub ort: OrtParams,
    /// Which networks.
    pub models: ModelChoice,
    /// Threads for one image, 1 to 16.
    pub threads: usize,
    /// Whether memory is spared, or time and detail.
    pub memory: Memory,
    /// Find the text first, or take the image (or each region) as one line.
    pub mode: Mode,
    /// Turn lines that are upside down (rotated by 180°).
    pub classify: bool,
    /// Probability above which a line is turned; the model's manifest decides if not given.
    pub cls_thresh: Option<f32>,
    /// Lines with a lower score are left out, 0 to 1. If not given: 0.5 for pages as RapidOCR, 0 in line mode.
    pub rec_score_thresh: Option<f32>,
    /// Finding.
    pub detect: DetectParams,
    /// Reading.
    pub recognise: RecogniseParams,
    /// Parts of the image, read one after the other; none means the whole image.
    pub regions: Vec<Region>,
    /// Degrees the image is turned clockwise before it is read: 0, 90, 180 or 270.
    pub rotate_deg: u16,
    /// Enhancements, in this order.
    pub enhance: Vec<Enhance>,
    /// What an image may cost.
    pub limits: Limits,
    /// Order of the lines.
    pub order: Order,
}

/// Which engine runs the networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Engine {
    /// Our INT8 engine: the models and input sizes that the program was built with, in memory of fixed size.
    #[default]
    Arena,
    /// tract, f32, any ONNX model of the family at any size.
    Tract,
    /// ONNX Runtime: TensorRT or CUDA on a GPU, or the CPU; any ONNX model of the family at any size. How, is in
    /// [`Config::ort`].
    Ort,
}

/// What is spared. The float engine makes a plan for each input shape of a network, which takes a quarter of a second
/// and of the recogniser holds 22 MB of packed weights, and it runs in about 100 bytes a pixel; its results are the
/// same either way. Of a large JPEG the whole image is the greatest piece of memory with any engine; small text in
/// it is read less well when it is decoded at half its size, see [`Config::max_decoded_bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// Two plans a network; while a large page is searched, none of the recogniser, and one tile at a time. JPEGs of
    /// more than 16 megapixels are decoded at a half, a quarter or an eighth of their size.
    #[default]
    Small,
    /// All plans are kept, and as many tiles are searched side by side as there are threads. Images are decoded
    /// whole.
    Large,
}

impl Engine {
    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Arena => "arena",
            Engine::Tract => "tract",
            Engine::Ort => "ort",
        }
    }
}

impl Memory {
    /// Plans kept for each network.
    pub fn plans(self) -> usize {
        match self {
            Memory::Small => 2,
            Memory::Large => 16,
        }
    }

    /// Pixels of all tiles that are searched side by side.
    pub fn pixels_at_once(self) -> usize {
        match self {
            Memory::Small => 1 << 20,
            Memory::Large => usize::MAX,
        }
    }
}

/// Find the text first, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Detection, then recognition of each box. Where nothing certain is read, detection looks at a smoothed copy
    /// too, in which dotted print (ink-jet dates) shows; that takes up to as long again unless the copy is blank.
    #[default]
    Page,
    /// The image, or each region, is one line of text.
    Line,
}

impl Mode {
    /// The score below which a line is left out if nothing else is said.
    pub fn score_thresh(self) -> f32 {
        match self {
            Mode::Page => 0.5,
            Mode::Line => 0.0,
        }
    }
}

/// Order of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As a person reads: relative to text height, columns and slant respected.
    #[default]
    Reading,
    /// As RapidOCR sorts: rows cut where boxes are 10 pixels apart.
    Rapidocr,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            engine: Engine::default(),
            ort: OrtParams::default(),
            models: ModelChoice::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from).min(target::THREADS),
            memory: Memory::default(),
            mode: Mode::default(),
            classify: true,
            cls_thresh: None,
            rec_score_thresh: None,
            detect: DetectParams::default(),
            recognise: RecogniseParams::default(),
            regions: Vec::new(),
            rotate_deg: 0,
            enhance: Vec::new(),
            limits: Limits::default(),
            order: Order::default(),
        }
    }
}

/// The most that an image takes which is decoded whole when memory is spared: 16 megapixels.
const FULL_SIZE_BYTES: u64 = 48_000_000;

impl Config {
    /// The most bytes that a JPEG may take as RGB8 before it is decoded at a reduced size, for
    /// [`decode_reduced`](crate::image::decode::decode_reduced). No bound with [`Memory::Large`], with regions (which
    /// may be a small part of the image) and under the reference rule (which is about equal pixels).
    pub fn max_decoded_bytes(&self) -> u64 {
        let whole =
            self.memory == Memory::Large || !self.regions.is_empty() || self.detect.scale.rule == ScaleRule::Reference;
        if whole { u64::MAX } else { FULL_SIZE_BYTES }
    }

    /// Why the INT8 engine of this program cannot do what is asked for; `None` if it can.
    pub fn needs_float(&self) -> Option<&'static str> {
        let scale = &self.detect.scale;
        let page = self.mode == Mode::Page;
        let (det, cls) = (page, page && self.classify);
        let models = &self.models;
        let built_in = |kind, name: &str| target::find(kind, name).is_some();
        let facts = [
            (det && !built_in(Kind::Detector, &models.det), "the detector is not built in"),
            (
                !models.recognisers().all(|name| built_in(Kind::Recogniser, name)) || models.dict.is_some(),
                "the recogniser is not built in",
            ),
            (cls && !built_in(Kind::Classifier, &models.cls), "the classifier is not built in"),
            (det && scale.rule == ScaleRule::Reference, "the reference scale rule has no fixed sizes"),
            (det && !scale.canvases_px.iter().all(|c| target::CANVASES_PX.contains(c)), "a canvas is not built in"),
            (
                match &self.recognise.widths {
                    Widths::Exact => true,
                    Widths::Buckets(widths) => !widths.iter().all(|w| target::WIDTHS_PX.contains(w)),
                },
                "a width is not built in",
            ),
            (self.recognise.batch != 1, "several lines are to be read in one run"),
            (!self.characters_built_in(), "a character is not built in"),
        ];
        facts.into_iter().find(|(holds, _)| *holds).map(|(_, reason)| reason)
    }

    /// Whether the built-in recogniser, of two the second, knows the characters that are asked for. A pattern's signs are
    /// ASCII.
    fn characters_built_in(&self) -> bool {
        let allowed = self.recognise.allowed_chars.iter().flat_map(|text| text.chars());
        let fixed = self.recognise.pattern.iter().flat_map(|text| text.chars()).filter(|c| !c.is_ascii());
        let last = self.models.recognisers().last().and_then(|name| target::find(Kind::Recogniser, name));
        let classes = last.map_or(&[][..], |embedded| embedded.classes);
        let known = |c: char| classes.iter().any(|text| text.chars().eq([c]));
        allowed.chain(fixed).all(known)
    }

    /// The score below which a line is left out.
    pub fn score_thresh(&self) -> f32 {
        self.rec_score_thresh.unwrap_or(self.mode.score_thresh())
    }

    /// Checks what the types cannot. Detection and recognition check their own part.
    ///
    /// # Errors
    /// The first parameter that is out of its range.
    pub fn validate(&self) -> Result<(), ParamError> {
        let unit = |v: Option<f32>| v.is_none_or(|v| (0.0..=1.0).contains(&v));
        let shown = |v: Option<f32>| v.map_or(String::new(), |v| v.to_string());
        let (rotate, turns) = (self.rotate_deg, "0, 90, 180 or 270");
        let facts = [
            ((1..=MAX_WORKERS).contains(&self.threads), Param::Threads, self.threads.to_string(), "1 to 16"),
            (unit(self.rec_score_thresh), Param::RecScoreThresh, shown(self.rec_score_thresh), "0 to 1"),
            (unit(self.cls_thresh), Param::ClsThresh, shown(self.cls_thresh), "0 to 1"),
            (rotate < 360 && rotate.is_multiple_of(90), Param::Rotate, rotate.to_string(), turns),
        ];
        if self.engine != Engine::Ort && self.ort != OrtParams::default() {
            let (engine, ours) = (self.engine.name(), Engine::Ort.name());
            let sentence = format!(
                "what is set for ONNX Runtime has no effect with the engine {engine}; give {} {ours}, or leave it out",
                Param::Engine
            );
            return Err(ParamError::new(Param::Engine, engine, ours).saying(sentence));
        }
        match facts.into_iter().find(|(holds, ..)| !holds) {
            Some((_, param, value, allowed)) => Err(ParamError::new(param, value, allowed)),
            None => self.limits.validate(),
        }
    }
}
