//! The flags that decide what comes out, shared by `read`, `eval` and `check`, and how they become a [`Config`].
//! Stems are PaddleOCR's where it has the same thing.

use crate::model_flags::{EngineName, MemoryName, Models};
use crate::ort_flags::OrtFlags;
use clap::{Args, ValueEnum};
use edge_ocr::Error;
use edge_ocr::config::{Config, Engine, Memory, Mode, Order};
use edge_ocr::detect::{BoxMode, DetectParams, LimitType, ScaleRule, ScoreMode};
use edge_ocr::image::ImageError;
use edge_ocr::image::decode::Limits;
use edge_ocr::recognise::{RecogniseParams, Widths};
use std::str::FromStr;

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    models: Models,
    #[command(flatten)]
    ort: OrtFlags,
    #[command(flatten)]
    image: Image,
    #[command(flatten)]
    detection: Detection,
    #[command(flatten)]
    recognition: Recognition,
    #[command(flatten)]
    limits: LimitFlags,
}

#[derive(Args)]
#[command(next_help_heading = "Image")]
struct Image {
    /// Do not look for text: the image, or each region, is one line
    #[arg(long)]
    line: bool,
    /// Read only this region, pixels or per cent (may be given several times)
    #[arg(long, value_name = "X,Y,W,H")]
    roi: Vec<String>,
    /// Turn the image clockwise first: 90, 180 or 270
    #[arg(long, value_name = "DEGREES", default_value_t = 0)]
    rotate: u16,
    /// Enhance the image first: contrast, threshold, otsu (one threshold for the whole image), deskew
    #[arg(long, value_name = "HOW", value_delimiter = ',')]
    enhance: Vec<String>,
    /// Order of the lines: as a person reads, or as RapidOCR sorts
    #[arg(long, value_enum, default_value = "reading")]
    order: OrderName,
}

#[derive(Clone, Copy, ValueEnum)]
enum OrderName {
    Reading,
    Rapidocr,
}

#[derive(Args)]
#[command(next_help_heading = "Detection")]
struct Detection {
    /// Size at which text is looked for: fixed canvases and tiles, or RapidOCR's sizes
    #[arg(long, value_enum, default_value = "tiled")]
    scale: ScaleName,
    /// Tiled: inputs of the network, smallest first [default: 320x160,640x640,1312x736,736x1312]
    #[arg(long, value_name = "WxH", value_delimiter = ',')]
    det_canvas: Vec<String>,
    /// Tiled: pixels that neighbouring tiles share
    #[arg(long, value_name = "PX")]
    det_overlap: Option<usize>,
    /// Tiled: how often a small image is enlarged at most
    #[arg(long, value_name = "TIMES")]
    det_max_upscale: Option<f32>,
    /// Longest side of the page that is looked at; larger pages are reduced to it, strips less (tiled)
    #[arg(long, value_name = "PX")]
    max_side_len: Option<usize>,
    /// Reference: shortest side of the page
    #[arg(long, value_name = "PX")]
    min_side_len: Option<usize>,
    /// Reference: side of the network's input
    #[arg(long, value_name = "PX")]
    det_limit_side_len: Option<usize>,
    /// Reference: which side that is
    #[arg(long, value_enum)]
    det_limit_type: Option<LimitName>,
    /// A pixel above this probability is text (default: as the model's manifest says, also below)
    #[arg(long, value_name = "0..1")]
    det_thresh: Option<f32>,
    /// A box below this score is dropped
    #[arg(long, value_name = "0..1")]
    det_box_thresh: Option<f32>,
    /// How far a box grows beyond what was found
    #[arg(long, value_name = "RATIO")]
    det_unclip_ratio: Option<f32>,
    /// Contours that are looked at
    #[arg(long, value_name = "N")]
    det_max_candidates: Option<usize>,
    /// Shortest side of a box on the network's map
    #[arg(long, value_name = "PX")]
    det_min_size: Option<f32>,
    /// Whether the map is dilated first
    #[arg(long, value_name = "BOOL")]
    det_dilate: Option<bool>,
    /// Score of a box: of its rectangle (fast), of its contour (slow), of the contour only for long boxes that fail
    /// by their rectangle (adaptive); adaptive with --scale tiled, else fast, if not given
    #[arg(long, value_enum)]
    det_score_mode: Option<ScoreName>,
    /// Rectangles, or polygons for curved text
    #[arg(long, value_enum)]
    det_box_type: Option<BoxName>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScaleName {
    Tiled,
    Reference,
}

#[derive(Clone, Copy, ValueEnum)]
enum LimitName {
    Min,
    Max,
    ResizeLong,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScoreName {
    Fast,
    Slow,
    Adaptive,
}

#[derive(Clone, Copy, ValueEnum)]
enum BoxName {
    Quad,
    Poly,
}

#[derive(Args)]
#[command(next_help_heading = "Recognition")]
struct Recognition {
    /// Do not look for lines that are upside down
    #[arg(long)]
    no_cls: bool,
    /// A line is turned above this probability
    #[arg(long, value_name = "0..1")]
    cls_thresh: Option<f32>,
    /// Lines below this score are left out (default: 0.5, with --line 0)
    #[arg(long, value_name = "0..1")]
    rec_score_thresh: Option<f32>,
    /// Only these characters may come out
    #[arg(long, value_name = "CHARS", allow_hyphen_values = true)]
    allowed_chars: Option<String>,
    /// What stands at each place: 9 digit, A capital, a small letter, X capital or digit, * anything, [AB] one of
    /// these, \c and other characters themselves
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pattern: Option<String>,
    /// Lines in one run of the network
    #[arg(long, value_name = "N", default_value_t = 1)]
    rec_batch: usize,
    /// Widths of the network's input, ascending, longer lines are squeezed into the last; or `exact`: each line its
    /// own, at least 320, as RapidOCR (default: those of the target; exact with --scale reference)
    #[arg(long, value_name = "PX,...|exact", value_delimiter = ',')]
    rec_widths: Vec<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Limits")]
struct LimitFlags {
    /// Largest image file, bytes
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_bytes)]
    max_bytes: u64,
    /// Widest image, pixels
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_width_px)]
    max_width: u32,
    /// Highest image, pixels
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_height_px)]
    max_height: u32,
    /// Largest image, pixels
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_pixels)]
    max_pixels: u64,
    /// Memory for decoding, bytes
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_decode_bytes)]
    max_decode_bytes: u64,
    /// Most pages of one file (TIFF)
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_pages)]
    max_pages: u64,
    /// Pixels of all pages of one file together
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_total_pixels)]
    max_total_pixels: u64,
}

impl Options {
    fn limits(&self) -> Limits {
        let (flags, mut limits) = (&self.limits, Limits::default());
        limits.max_bytes = flags.max_bytes;
        limits.max_width_px = flags.max_width;
        limits.max_height_px = flags.max_height;
        limits.max_pixels = flags.max_pixels;
        limits.max_decode_bytes = flags.max_decode_bytes;
        limits.max_pages = flags.max_pages;
        limits.max_total_pixels = flags.max_total_pixels;
        limits
    }

    /// The configuration these flags describe.
    pub fn config(&self) -> Result<Config, Error> {
        self.config_of(match self.models.engine {
            Some(EngineName::Ort) => Engine::Ort,
            Some(EngineName::Tract) => Engine::Tract,
            Some(EngineName::Arena) | None => Engine::Arena,
        })
    }

    /// The same with another engine.
    pub fn config_of(&self, engine: Engine) -> Result<Config, Error> {
        let (image, recognition) = (&self.image, &self.recognition);
        let mut config = Config::default();
        config.models = self.models.choice()?;
        config.ort = self.ort.params();
        config.engine = engine;
        self.ort.check(engine)?;
        config.threads = self.models.threads.unwrap_or(config.threads);
        config.memory = match self.models.memory {
            MemoryName::Small => Memory::Small,
            MemoryName::Large => Memory::Large,
        };
        config.mode = if image.line { Mode::Line } else { Mode::Page };
        config.classify = !recognition.no_cls;
        (config.cls_thresh, config.rec_score_thresh) = (recognition.cls_thresh, recognition.rec_score_thresh);
        config.detect = self.detection.params()?;
        config.recognise = recognition.params(matches!(self.detection.scale, ScaleName::Reference))?;
        config.regions = parsed(&image.roi)?;
        config.enhance = parsed(&image.enhance)?;
        (config.rotate_deg, config.limits) = (image.rotate, self.limits());
        config.order = match image.order {
            OrderName::Reading => Order::Reading,
            OrderName::Rapidocr => Order::Rapidocr,
        };
        // Before a model is looked for that only a wrong value would need.
        config.validate()?;
        config.detect.scale.validate()?;
        config.recognise.validate()?;
        let free = self.models.engine.is_none() && engine == Engine::Arena;
        if let Some(reason) = config.needs_float().filter(|_| free && cfg!(feature = "tract")) {
            log::info!("the float engine reads, because {reason}");
            config.engine = Engine::Tract;
        }
        Ok(config)
    }
}

impl Detection {
    fn params(&self) -> Result<DetectParams, Error> {
        let mut params = DetectParams::default();
        let scale = &mut params.scale;
        scale.rule = match self.scale {
            ScaleName::Tiled => ScaleRule::Tiled,
            ScaleName::Reference => ScaleRule::Reference,
        };
        if !self.det_canvas.is_empty() {
            scale.canvases_px = self.det_canvas.iter().map(|text| canvas(text)).collect::<Result<_, _>>()?;
        }
        scale.overlap_px = self.det_overlap.unwrap_or(scale.overlap_px);
        scale.max_upscale = self.det_max_upscale.unwrap_or(scale.max_upscale);
        scale.max_side_px = self.max_side_len.unwrap_or(scale.max_side_px);
        scale.min_side_px = self.min_side_len.unwrap_or(scale.min_side_px);
        scale.limit_side_len_px = self.det_limit_side_len.unwrap_or(scale.limit_side_len_px);
        scale.limit_type = match self.det_limit_type {
            None => scale.limit_type,
            Some(LimitName::Min) => LimitType::Min,
            Some(LimitName::Max) => LimitType::Max,
            Some(LimitName::ResizeLong) => LimitType::ResizeLong,
        };
        let db = &mut params.db;
        db.thresh = self.det_thresh;
        db.box_thresh = self.det_box_thresh;
        db.unclip_ratio = self.det_unclip_ratio;
        db.max_candidates = self.det_max_candidates;
        db.min_side_px = self.det_min_size;
        db.dilate = self.det_dilate;
        db.score_mode = self.det_score_mode.map(|mode| match mode {
            ScoreName::Fast => ScoreMode::Fast,
            ScoreName::Slow => ScoreMode::Slow,
            ScoreName::Adaptive => ScoreMode::Adaptive,
        });
        db.box_mode = self.det_box_type.map(|kind| match kind {
            BoxName::Quad => BoxMode::Quad,
            BoxName::Poly => BoxMode::Poly,
        });
        Ok(params)
    }
}

impl Recognition {
    fn params(&self, reference: bool) -> Result<RecogniseParams, Error> {
        let widths = match self.rec_widths.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] if reference => Widths::Exact,
            [] => Widths::default(),
            ["exact"] => Widths::Exact,
            ref list => Widths::Buckets(list.iter().map(|text| width(text)).collect::<Result<_, _>>()?),
        };
        let mut params = RecogniseParams::default();
        (params.allowed_chars, params.pattern) = (self.allowed_chars.clone(), self.pattern.clone());
        (params.batch, params.widths) = (self.rec_batch, widths);
        Ok(params)
    }
}

/// Values of a flag.
fn parsed<T: FromStr<Err = ImageError>>(texts: &[String]) -> Result<Vec<T>, Error> {
    texts.iter().map(|text| text.parse().map_err(|e: ImageError| Error::Config(e.to_string()))).collect()
}

fn width(text: &str) -> Result<usize, Error> {
    text.parse()
        .map_err(|_| Error::Config(format!("{text:?} is no width; --rec-widths takes pixels like 320,640 or exact")))
}

/// `640x480` to `[640, 480]`.
pub fn size(text: &str) -> Option<[usize; 2]> {
    let (w, h) = text.split_once('x')?;
    Some([w.parse().ok()?, h.parse().ok()?])
}

/// As [`size`], for `--det-canvas`.
fn canvas(text: &str) -> Result<[usize; 2], Error> {
    size(text).ok_or_else(|| Error::Config(format!("{text:?} is no canvas; --det-canvas takes sizes like 640x640")))
}
