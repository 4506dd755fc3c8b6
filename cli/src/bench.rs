//! `edge-ocr bench`: how long this program takes on this machine, for each network and for a whole page.
//!
//! A time counts only with its answer: every repetition must give what the first one gave, and that must be text.

mod machine;
mod network;
mod report;
mod stats;

use super::check::{IMAGE, TEXT};
use super::malloc_tuning;
use super::options::{self, Options};
use super::{Stop, exit, load};
use edge_ocr::config::{Config, Engine};
use edge_ocr::image::resize::{self, ResizeScratch};
use edge_ocr::image::{CHANNELS, Image, PixelView, decode};
use edge_ocr::infer::arena;
use edge_ocr::models::Kind;
use edge_ocr::page::Timing;
use edge_ocr::recognise::ctc::{self, Probabilities};
use edge_ocr::sensors::{Meter, Reading, SYS};
use edge_ocr::source::Input;
use edge_ocr::{Error, Pipeline, network_input, target};
use network::Single;
use report::{Part, Report, SCHEMA, Stage, StageName};
use stats::Stats;
use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

/// The first line of [`IMAGE`]: left, top, width, height.
const LINE: [usize; 4] = [0, 2, 276, 44];

/// A probability that only text has.
const SURE: f32 = 0.9;

#[derive(clap::Args)]
pub struct Args {
    /// Image to read, - for standard input; with --only rec it is one line of text [default: the one of `check`]
    image: Option<OsString>,
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
    /// Write a row for the table of boards instead of a table
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    #[command(flatten)]
    options: Options,
}

pub fn run(args: &Args) -> Result<u8, Stop> {
    let config = args.options.config()?;
    if args.size.is_some() && !matches!(args.only, Some(StageName::Det | StageName::Rec)) {
        let sentence = "--size is the input of one network; give it with --only det or --only rec";
        return Err(Error::Config(sentence.into()).into());
    }
    malloc_tuning::apply(&config, 1);
    config.validate()?;
    let kernels = match config.engine {
        Engine::Arena => Some(arena::isa()?.name()),
        _ => None,
    };
    let image = match &args.image {
        Some(name) if name == "-" => load::first(&Input::Stdin, config.limits)?,
        Some(name) => load::first(&Input::Path(name.into()), config.limits)?,
        None => decode::decode(IMAGE, &config.limits)?,
    };
    let before = Reading::of(Path::new(SYS));
    let mut stages = Vec::new();
    for stage in [StageName::Det, StageName::Rec, StageName::Page] {
        if args.only.is_none_or(|only| only == stage) {
            match stage {
                StageName::Det => stages.push(det(args, &config, image.view())?),
                StageName::Rec => {
                    for name in config.models.recognisers() {
                        stages.push(rec(args, &config, name, image.view())?);
                    }
                }
                StageName::Page => stages.push(page(args, &config, &image)?),
            }
        }
    }
    let after = Reading::of(Path::new(SYS));
    let cold_start_ms = if args.only.is_none() { machine::cold_start_ms(&config) } else { None };
    let report = Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        target: target::NAME,
        machine: machine::Machine::here(),
        engine: config.engine.name(),
        kernels,
        charset: kernels.map(|_| target::CHARSET),
        threads: config.threads,
        arena_bytes: target::ARENA_BYTES,
        peak_memory_bytes: machine::peak_memory_bytes(),
        cold_start_ms,
        repeat: args.repeat,
        warm_up: args.warm_up,
        warnings: before.warnings(&after),
        before,
        after,
        stages,
    };
    match (args.json, args.markdown) {
        (true, _) => report.json(),
        (_, true) => report.markdown(),
        _ => report.table(),
    }
}

/// One run of the detector on the image, scaled to fit its input.
fn det(args: &Args, config: &Config, image: PixelView<'_>) -> Result<Stage, Stop> {
    let single = Single::new(config, &config.models.det, Kind::Detector)?;
    let (session, [width, height]) = single.session(args.size, [640, 640])?;
    let scale = (width as f64 / image.width() as f64).min(height as f64 / image.height() as f64);
    let [w, h] = [image.width(), image.height()].map(|side| ((side as f64 * scale) as usize).max(1));
    let mut scaled = Image::new(w, h, [0; 3])?;
    resize::linear(image, scaled.as_raw_mut(), w, h, &mut ResizeScratch::default())?;
    let mut input = vec![0; width * height * CHANNELS];
    network_input::copy_window(
        scaled.view(),
        [0, 0],
        [width, height],
        single.model.manifest.input.channel_order,
        &mut input,
    );
    let runs = single.measure(args, &*session, &input, width)?;
    let text_pixels = runs.answer.iter().filter(|p| **p > 0.5).count();
    // Without text these networks are undecided, a little below or above a half; with text they are sure.
    if runs.answer.iter().all(|p| *p < SURE) {
        return Err(Stop::Failed("the detector found no text in the image; give one with text".into()));
    }
    Ok(Stage {
        stage: StageName::Det,
        model: single.model.manifest.name,
        width_px: width,
        height_px: height,
        threads: runs.threads,
        ms: Stats::of(runs.times.into_iter()),
        parts: Vec::new(),
        memory_bytes: Some(session.memory_bytes()),
        joules: runs.joules,
        text_pixels: Some(text_pixels),
        text: None,
    })
}

/// One run of a recogniser on the image, which is one line of text, or on the first line of the built-in one.
fn rec(args: &Args, config: &Config, name: &str, image: PixelView<'_>) -> Result<Stage, Stop> {
    let single = Single::new(config, name, Kind::Recogniser)?;
    let (session, [width, height]) = single.session(args.size, [320, 48])?;
    let built_in = decode::decode(IMAGE, &config.limits)?;
    let [x, y, w, h] = LINE;
    let given = args.image.is_some() && args.only == Some(StageName::Rec);
    let line = if given { image } else { built_in.view().crop(x, y, w, h)? };
    let columns = (height * line.width()).div_ceil(line.height().max(1)).clamp(1, width);
    let mut input = vec![0; width * height * CHANNELS];
    resize::linear(line, &mut input[..columns * height * CHANNELS], columns, height, &mut ResizeScratch::default())?;
    network_input::expand_rows_in_place(&mut input, columns, width, height, single.model.manifest.input.channel_order);
    let runs = single.measure(args, &*session, &input, columns)?;
    let classes = session.output_shape().axes().last().copied().unwrap_or(0);
    let mut symbols = Vec::new();
    if let Some(probabilities) = Probabilities::new(&runs.answer, classes) {
        ctc::greedy(probabilities, None, &mut symbols);
    }
    // A model file may carry no characters; then any will do.
    let text = |class| single.model.charset.as_ref().map_or("?", |set| set.text(class));
    let text: String = symbols.iter().map(|symbol| text(symbol.class)).collect();
    if text.trim().is_empty() {
        return Err(Stop::Failed("the recogniser read nothing in the line; give an image of one line of text".into()));
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
        memory_bytes: Some(session.memory_bytes()),
        joules: runs.joules,
        text_pixels: None,
        text: Some(text),
    })
}

/// Reading a whole image, without decoding it.
fn page(args: &Args, config: &Config, image: &Image) -> Result<Stage, Stop> {
    let mut pipeline = Pipeline::from_config(config)?;
    let mut first: Option<String> = None;
    let (times, joules) = args.repeat(|| -> Result<(f64, Timing), Stop> {
        let start = Instant::now();
        let page = pipeline.run(image)?;
        let time = (ms(start), page.timing);
        let text: String = page.lines().map(|l| l.text().to_string() + "\n").collect();
        let first = first.get_or_insert_with(|| text.clone());
        match *first == text {
            true => Ok(time),
            false => Err(Stop::Failed(format!(
                "the same image was read as {first:?} and as {text:?}; report this as a defect"
            ))),
        }
    })?;
    let text = first.unwrap_or_default();
    if args.image.is_none() && text != TEXT && can_say(config, TEXT) {
        return Err(wrong(&text, TEXT));
    }
    if text.trim().is_empty() {
        return Err(Stop::Failed("no text was read in the image; give one with text".into()));
    }
    let part = |part, of: fn(&Timing) -> f32| Part { part, ms: Stats::of(times.iter().map(|t| of(&t.1).into())) };
    let names = pipeline.names();
    let models = [&names.det, &names.cls, &Some(names.rec.clone()), &names.second_rec];
    Ok(Stage {
        stage: StageName::Page,
        model: models.into_iter().flatten().cloned().collect::<Vec<_>>().join(", "),
        width_px: image.width(),
        height_px: image.height(),
        threads: pipeline.config().threads,
        ms: Stats::of(times.iter().map(|t| t.0)),
        parts: vec![
            part("prepare", |t| t.prepare_ms),
            part("detect", |t| t.detect_ms),
            part("classify", |t| t.classify_ms),
            part("recognise", |t| t.recognise_ms),
        ],
        memory_bytes: None,
        joules,
        text_pixels: None,
        text: Some(text),
    })
}

/// Whether the program knows all characters: one built for digits cannot read the built-in image.
fn can_say(config: &Config, text: &str) -> bool {
    let known = |c: char| c == '\n' || target::RECOGNISERS[0].classes.iter().any(|class| class.chars().eq([c]));
    config.engine != Engine::Arena || text.chars().all(known)
}

fn wrong(text: &str, known: &str) -> Stop {
    Stop::Failed(format!("{known:?} was read as {text:?}, so that the times mean nothing; see `edge-ocr check`"))
}

impl Args {
    /// What each repetition after the warm-up gives, and the joules of one.
    fn repeat<T>(&self, mut once: impl FnMut() -> Result<T, Stop>) -> Result<(Vec<T>, Option<f64>), Stop> {
        for _ in 0..self.warm_up {
            once()?;
        }
        let (start, mut meter) = (Instant::now(), Meter::start(Path::new(SYS)));
        let mut results = Vec::with_capacity(self.repeat as usize);
        for _ in 0..self.repeat {
            results.push(once()?);
            meter.sample();
        }
        let joules = meter.joules(start.elapsed().as_secs_f64());
        Ok((results, joules.map(|joules| joules / f64::from(self.repeat))))
    }
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// `640x480` to `[640, 480]`.
fn size(text: &str) -> Result<[usize; 2], String> {
    options::size(text).ok_or_else(|| "sizes are like 640x480".into())
}
