//! `edge-ocr bench`: how long this program takes on this machine, for each network and for a whole page.
//!
//! A time counts only with its answer: every repetition must give what the first one gave, and that must be text.

mod machine;
mod network;
mod stats;

use super::check::{PICTURE, TEXT};
use super::heap;
use super::options::{self, Options};
use super::{Stop, exit, load};
use edge_ocr::config::{Config, Engine};
use edge_ocr::image::resize::{self, ResizeScratch};
use edge_ocr::image::{CHANNELS, Picture, PixelView, decode};
use edge_ocr::infer::arena;
use edge_ocr::models::Kind;
use edge_ocr::page::Timing;
use edge_ocr::recognise::ctc::{self, Probabilities};
use edge_ocr::source::Input;
use edge_ocr::{Error, Frame, Pipeline, prepare, target};
use network::Single;
use serde::Serialize;
use stats::Stats;
use std::ffi::OsString;
use std::time::Instant;

/// The first line of [`PICTURE`]: left, top, width, height.
const LINE: [usize; 4] = [0, 2, 276, 44];

/// A probability that only text has.
const SURE: f32 = 0.9;

/// Name and version of the JSON object; the number rises when a field changes its meaning.
const SCHEMA: &str = "edge-ocr-bench/1";

#[derive(clap::Args)]
pub struct Args {
    /// Picture to read, - for standard input; with --only rec it is one line of text [default: the one of `check`]
    picture: Option<OsString>,
    /// Measure only this: one run of the detector, one of the recogniser, or reading a page
    #[arg(long, value_enum)]
    only: Option<StageName>,
    /// Input of the network that --only names [default: 640x640 and 320x48, or the smallest there is]
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<[usize; 2]>,
    /// Repetitions that are timed
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeat: u32,
    /// Repetitions before them that are not
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=100_000))]
    warm_up: u32,
    /// Write one JSON object instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum StageName {
    Det,
    Rec,
    Page,
}

/// Everything that was measured, and on what.
#[derive(Serialize)]
struct Report {
    schema: &'static str,
    version: &'static str,
    target: &'static str,
    #[serde(flatten)]
    machine: machine::Machine,
    engine: &'static str,
    /// Instruction set of the INT8 kernels; the float engine has its own.
    kernels: Option<&'static str>,
    /// Characters that the INT8 engine can read; the float engine's are in the model.
    charset: Option<&'static str>,
    threads: usize,
    arena_bytes: usize,
    peak_memory_bytes: Option<u64>,
    repeat: u32,
    warm_up: u32,
    stages: Vec<Stage>,
}

/// One measurement.
#[derive(Serialize)]
struct Stage {
    stage: StageName,
    model: String,
    /// Of the network's input, or of the page.
    width_px: usize,
    height_px: usize,
    /// Threads that shared one run.
    threads: usize,
    ms: Stats,
    /// Where the time of a page went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
    /// Memory of one run of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<usize>,
    /// Pixels that the detector takes for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text_pixels: Option<usize>,
    /// What was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Serialize)]
struct Part {
    part: &'static str,
    ms: Stats,
}

pub fn run(args: &Args) -> Result<u8, Stop> {
    let config = args.options.config()?;
    if args.size.is_some() && !matches!(args.only, Some(StageName::Det | StageName::Rec)) {
        let sentence = "--size is the input of one network; give it with --only det or --only rec";
        return Err(Error::Config(sentence.into()).into());
    }
    heap::keep_small(&config, 1);
    config.validate().map_err(Error::Config)?;
    let kernels = match config.engine {
        Engine::Arena => Some(arena::isa()?.name()),
        Engine::Tract => None,
    };
    let picture = match &args.picture {
        Some(name) if name == "-" => load::load(&Input::Stdin, &config.limits, u64::MAX)?.picture,
        Some(name) => load::load(&Input::Path(name.into()), &config.limits, u64::MAX)?.picture,
        None => decode::decode(PICTURE, &config.limits)?,
    };
    let mut stages = Vec::new();
    for stage in [StageName::Det, StageName::Rec, StageName::Page] {
        if args.only.is_none_or(|only| only == stage) {
            stages.push(match stage {
                StageName::Det => det(args, &config, picture.view())?,
                StageName::Rec => rec(args, &config, picture.view())?,
                StageName::Page => page(args, &config, &picture)?,
            });
        }
    }
    let report = Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        target: target::NAME,
        machine: machine::Machine::here(),
        engine: match config.engine {
            Engine::Arena => "arena",
            Engine::Tract => "tract",
        },
        kernels,
        charset: kernels.map(|_| target::CHARSET),
        threads: config.threads,
        arena_bytes: target::ARENA_BYTES,
        peak_memory_bytes: machine::peak_memory_bytes(),
        repeat: args.repeat,
        warm_up: args.warm_up,
        stages,
    };
    if args.json {
        let text =
            serde_json::to_string(&report).map_err(|e| Stop::Failed(format!("the times could not be written: {e}")))?;
        say!("{text}");
    } else {
        table(&report)?;
    }
    Ok(exit::OK)
}

/// One run of the detector on the picture, scaled to fit its input.
fn det(args: &Args, config: &Config, picture: PixelView<'_>) -> Result<Stage, Stop> {
    let single = Single::new(config, Kind::Detector)?;
    let (model, [width, height]) = single.model(args.size, [640, 640])?;
    let scale = (width as f64 / picture.width() as f64).min(height as f64 / picture.height() as f64);
    let [w, h] = [picture.width(), picture.height()].map(|side| ((side as f64 * scale) as usize).max(1));
    let mut scaled = Picture::new(w, h, [0; 3])?;
    resize::linear(picture, scaled.as_raw_mut(), w, h, &mut ResizeScratch::default())?;
    let mut input = vec![0; width * height * CHANNELS];
    prepare::window(scaled.view(), [0, 0], [width, height], single.model.manifest.input.channel_order, &mut input);
    let runs = single.measure(args, &*model, &input, width)?;
    let text_pixels = runs.answer.iter().filter(|p| **p > 0.5).count();
    // Without text these networks are undecided, a little below or above a half; with text they are sure.
    if runs.answer.iter().all(|p| *p < SURE) {
        return Err(Stop::Failed("the detector found no text in the picture; give one with text".into()));
    }
    Ok(Stage {
        stage: StageName::Det,
        model: single.model.manifest.name,
        width_px: width,
        height_px: height,
        threads: runs.threads,
        ms: Stats::of(runs.times.into_iter()),
        parts: Vec::new(),
        memory_bytes: Some(model.memory_bytes()),
        text_pixels: Some(text_pixels),
        text: None,
    })
}

/// One run of the recogniser on the picture, which is one line of text, or on the first line of the built-in one.
fn rec(args: &Args, config: &Config, picture: PixelView<'_>) -> Result<Stage, Stop> {
    let single = Single::new(config, Kind::Recogniser)?;
    let (model, [width, height]) = single.model(args.size, [320, 48])?;
    let built_in = decode::decode(PICTURE, &config.limits)?;
    let [x, y, w, h] = LINE;
    let given = args.picture.is_some() && args.only == Some(StageName::Rec);
    let line = if given { picture } else { built_in.view().crop(x, y, w, h)? };
    let columns = (height * line.width()).div_ceil(line.height().max(1)).clamp(1, width);
    let mut input = vec![0; width * height * CHANNELS];
    resize::linear(line, &mut input[..columns * height * CHANNELS], columns, height, &mut ResizeScratch::default())?;
    prepare::spread(&mut input, columns, width, height, single.model.manifest.input.channel_order);
    let runs = single.measure(args, &*model, &input, columns)?;
    let classes = model.output_shape().axes().last().copied().unwrap_or(0);
    let mut symbols = Vec::new();
    if let Some(probabilities) = Probabilities::new(&runs.answer, classes) {
        ctc::greedy(probabilities, &mut symbols);
    }
    // A model file may carry no characters; then any will do.
    let text = |class| single.model.charset.as_ref().map_or("?", |set| set.text(class));
    let text: String = symbols.iter().map(|symbol| text(symbol.class)).collect();
    if text.trim().is_empty() {
        return Err(Stop::Failed("the recogniser read nothing in the line; give a picture of one line of text".into()));
    }
    let known = TEXT.lines().next().unwrap_or_default();
    // Some models drop spaces, which is no defect of the machine.
    let letters = |text: &str| text.split_whitespace().collect::<String>();
    if !given && single.model.charset.is_some() && letters(&text) != letters(known) && can_say(config, known) {
        return Err(wrong(&text, known));
    }
    Ok(Stage {
        stage: StageName::Rec,
        model: single.model.manifest.name,
        width_px: width,
        height_px: height,
        threads: runs.threads,
        ms: Stats::of(runs.times.into_iter()),
        parts: Vec::new(),
        memory_bytes: Some(model.memory_bytes()),
        text_pixels: None,
        text: Some(text),
    })
}

/// Reading a whole picture, without decoding it.
fn page(args: &Args, config: &Config, picture: &Picture) -> Result<Stage, Stop> {
    let mut pipeline = Pipeline::from_config(config)?;
    let mut first: Option<String> = None;
    let times: Vec<(f64, Timing)> = args.repeat(|| {
        let start = Instant::now();
        let page = pipeline.run(Frame::new(picture.view()))?;
        let time = (ms(start), page.timing);
        let text: String = page.lines().map(|l| l.text().to_string() + "\n").collect();
        let first = first.get_or_insert_with(|| text.clone());
        match *first == text {
            true => Ok(time),
            false => Err(Stop::Failed(format!(
                "the same picture was read as {first:?} and as {text:?}; report this as a defect"
            ))),
        }
    })?;
    let text = first.unwrap_or_default();
    if args.picture.is_none() && text != TEXT && can_say(config, TEXT) {
        return Err(wrong(&text, TEXT));
    }
    if text.trim().is_empty() {
        return Err(Stop::Failed("no text was read in the picture; give one with text".into()));
    }
    let part = |part, of: fn(&Timing) -> f32| Part { part, ms: Stats::of(times.iter().map(|t| of(&t.1).into())) };
    let names = pipeline.names();
    let models = [&names.det, &names.cls, &Some(names.rec.clone())];
    Ok(Stage {
        stage: StageName::Page,
        model: models.into_iter().flatten().cloned().collect::<Vec<_>>().join(", "),
        width_px: picture.width(),
        height_px: picture.height(),
        threads: pipeline.config().threads,
        ms: Stats::of(times.iter().map(|t| t.0)),
        parts: vec![
            part("prepare", |t| t.prepare_ms),
            part("detect", |t| t.detect_ms),
            part("classify", |t| t.classify_ms),
            part("recognise", |t| t.recognise_ms),
        ],
        memory_bytes: None,
        text_pixels: None,
        text: Some(text),
    })
}

/// Whether the program knows all characters: one built for digits cannot read the built-in picture.
fn can_say(config: &Config, text: &str) -> bool {
    let known = |c: char| c == '\n' || target::CLASSES.iter().any(|class| class.chars().eq([c]));
    config.engine == Engine::Tract || text.chars().all(known)
}

fn wrong(text: &str, known: &str) -> Stop {
    Stop::Failed(format!("{known:?} was read as {text:?}, so that the times mean nothing; see `edge-ocr check`"))
}

impl Args {
    /// What each repetition after the warm-up gives.
    fn repeat<T>(&self, mut once: impl FnMut() -> Result<T, Stop>) -> Result<Vec<T>, Stop> {
        for _ in 0..self.warm_up {
            once()?;
        }
        (0..self.repeat).map(|_| once()).collect()
    }
}

/// The report for people.
fn table(report: &Report) -> Result<(), Stop> {
    let machine = &report.machine;
    let cpu = machine.cpu.as_deref().unwrap_or("unknown");
    let board = machine.board.as_ref().map_or(String::new(), |board| format!(", {board}"));
    say!("program    edge-ocr {} for {} on {}, target {}", report.version, machine.arch, machine.os, report.target);
    say!("processor  {cpu}, {} cores{board}", machine.cores);
    let kernels = report.kernels.map_or("f32".into(), |isa| format!("{isa} kernels"));
    say!("engine     {}, {kernels}, {} threads", report.engine, report.threads);
    let peak = report.peak_memory_bytes.map_or("unknown".into(), |bytes| format!("{:.1} MB", megabytes(bytes as f64)));
    say!("memory     peak {peak}; static arena {:.1} MB", megabytes(report.arena_bytes as f64));
    say!("");
    say!("{:24}{:>9}{:>9}{:>9}{:>9}{:>9}", "milliseconds", "mean", "stdev", "P50", "P90", "min");
    for stage in &report.stages {
        let name = match stage.stage {
            StageName::Det => "det",
            StageName::Rec => "rec",
            StageName::Page => "page",
        };
        let threads =
            if stage.threads == report.threads { String::new() } else { format!(", {} thread", stage.threads) };
        row(&format!("{name} {}x{}{threads}", stage.width_px, stage.height_px), &stage.ms)?;
        for part in &stage.parts {
            row(&format!("  {}", part.part), &part.ms)?;
        }
    }
    say!("");
    say!("answers    the same in all {} repetitions", report.warm_up + report.repeat);
    Ok(())
}

fn row(name: &str, s: &Stats) -> Result<(), Stop> {
    say!("{name:24}{:9.2}{:9.2}{:9.2}{:9.2}{:9.2}", s.mean, s.stdev, s.p50, s.p90, s.min);
    Ok(())
}

fn megabytes(bytes: f64) -> f64 {
    bytes / 1e6
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// `640x480` to `[640, 480]`.
fn size(text: &str) -> Result<[usize; 2], String> {
    options::size(text).ok_or_else(|| "sizes are like 640x480".into())
}
