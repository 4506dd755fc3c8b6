//! `edge-ocr read`: images in, text out.

use super::interrupt::Guarded;
use super::malloc_tuning;
use super::options::Options;
use super::turns::{self, Turn};
use super::{Stop, exit, load, overwrite, sink, write_failed};
use clap::ValueEnum;
use edge_ocr::image::decode::Decoded;
use edge_ocr::output::{self, Document, Font, Format, Layout, Part, Writer};
use edge_ocr::source::{self, Input};
use edge_ocr::{Error, Page, Pipeline};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// Images: files, directories, patterns, - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    inputs: Vec<OsString>,
    /// Look into the directories of directories too
    #[arg(short, long)]
    recursive: bool,
    /// Form of the result
    #[arg(short, long, value_enum, default_value = "text")]
    format: FormatName,
    /// Where the result goes; - for standard output (default)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What a line of text is: a line of the page in reading order, or all that stands on one printed row, as
    /// pdftotext -layout (text)
    #[arg(long, value_enum, default_value = "lines")]
    layout: LayoutName,
    /// Also write the words and characters with their boxes and scores (json, jsonl)
    #[arg(long)]
    chars: bool,
    /// Draw the image with boxes, and the texts beside it; a directory when there are several images. Further
    /// pages of a file get -2, -3, … before the ending
    #[arg(long, value_name = "PNG|DIR")]
    annotate: Option<PathBuf>,
    /// Font for that, TrueType (default: a built-in one with Latin, Greek and Cyrillic letters)
    #[arg(long, value_name = "TTF")]
    annotate_font: Option<PathBuf>,
    /// Exit with 5 when an image has no text
    #[arg(long)]
    fail_on_empty: bool,
    /// Exchange left and right first, for what is seen in a mirror; boxes and regions are those of the exchanged
    /// image
    #[arg(long, help_heading = "Image")]
    mirror: bool,
    #[command(flatten)]
    options: Options,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatName {
    Text,
    Json,
    Jsonl,
    Tsv,
    Hocr,
    Paddle,
}

#[derive(Clone, Copy, ValueEnum)]
enum LayoutName {
    Lines,
    Rows,
}

impl From<LayoutName> for Layout {
    fn from(name: LayoutName) -> Layout {
        match name {
            LayoutName::Lines => Layout::Lines,
            LayoutName::Rows => Layout::Rows,
        }
    }
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Format {
        match name {
            FormatName::Text => Format::Text,
            FormatName::Json => Format::Json,
            FormatName::Jsonl => Format::Jsonl,
            FormatName::Tsv => Format::Tsv,
            FormatName::Hocr => Format::Hocr,
            FormatName::Paddle => Format::Paddle,
        }
    }
}

pub fn run(args: &Args) -> Result<u8, Stop> {
    run_with(args, turns::pipelines)
}

/// As [`run`], with the pipelines that `pipelines` makes of one and the number of images.
pub fn run_with(args: &Args, pipelines: impl FnOnce(Pipeline, usize) -> Vec<Pipeline>) -> Result<u8, Stop> {
    // What can be wrong is found before the models are loaded: configuration first, then the inputs.
    let config = args.options.config()?;
    if matches!((args.layout, args.format), (LayoutName::Rows, format) if !matches!(format, FormatName::Text)) {
        let sentence = "--layout rows joins lines of text, and the other formats have boxes instead; leave it out, or give --format text";
        return Err(Error::Config(sentence.into()).into());
    }
    let source::Expanded { inputs, unreadable, .. } = source::expand(&args.inputs, args.recursive)?;
    malloc_tuning::apply(&config, inputs.len());
    let several = inputs.len() + unreadable.len() > 1;
    if args.annotate.as_deref() == Some(Path::new("-")) {
        return Err(Error::Config("--annotate draws to a file, not to standard output; name one".into()).into());
    }
    let drawing = args.annotate.as_deref().filter(|_| !several);
    let output = sink::file(args.output.as_deref());
    overwrite::refuse(&[("--output", output), ("--annotate", drawing)], &inputs)?;
    let annotator = args
        .annotate
        .as_deref()
        .map(|target| Annotator::new(target, args.annotate_font.as_deref(), several))
        .transpose()?;
    let pipeline = Pipeline::from_config(&config)?;
    let mut params = serde_json::to_value(pipeline.config())
        .map_err(|e| Stop::Failed(format!("the parameters could not be written: {e}")))?;
    params["mirror"] = args.mirror.into();
    let names = pipeline.names().clone();
    let models = output::Models::from(&names);

    let (target, out) = sink::create(output)?;
    let mut options = output::Options::default();
    (options.chars, options.layout) = (args.chars, args.layout.into());
    let writer = Writer::new(args.format.into(), options, out);
    let writer = if several { writer.several() } else { writer };
    let progress = progress(inputs.len());
    let bar = progress.clone();
    let results = Guarded::new(writer, move |writer| {
        bar.finish_and_clear();
        writer.finish()
    })?;
    // Boxes are drawn on the whole image.
    let max_bytes = if annotator.is_some() { u64::MAX } else { pipeline.config().max_decoded_bytes() };
    let loading = load::Loading { limits: pipeline.config().limits, max_bytes, mirror: args.mirror };
    let mut code = exit::OK;
    for error in &unreadable {
        print_error!("edge-ocr: {error}");
        code = exit::INPUT;
    }
    let read = |pipeline: &mut Pipeline, input: &Input, turn: &Turn<'_, Told>| -> Result<bool, Stop> {
        // What comes through a pipe may never come, and must not keep the program from ending before.
        if matches!(input, Input::Stdin) && turn.wait().is_none() {
            return Ok(false);
        }
        let name = input.name();
        progress.set_message(name.to_string());
        let (mut failed, mut texts) = (false, false);
        for loaded in load::load(input, loading) {
            let read = loaded.map(|loaded| (pipeline.run(&loaded), loaded));
            let Some(mut told) = turn.wait() else { return Ok(false) };
            if let Ok((_, loaded)) = &read {
                load::log_notices(&name, loaded);
            }
            match read.and_then(|(page, loaded)| Ok((page?, loaded))) {
                Ok((page, loaded)) => {
                    texts |= !page.is_empty();
                    for notice in page.notices() {
                        log::warn!("{name}: {notice}");
                    }
                    let warnings = loaded.warnings();
                    let mut document = Document::new(&name, page, &models, &params, names.engine);
                    document.part = Part::of(&loaded, &warnings);
                    results.with(|writer| {
                        writer.document(&document).map_err(write_failed(&target))?;
                        told.annotator.as_mut().map_or(Ok(()), |annotator| annotator.draw(input, page, loaded))
                    })?;
                }
                Err(error) => {
                    progress.suspend(|| print_error!("edge-ocr: {name}: {error}"));
                    results.with(|writer| writer.failure(&name, &error.to_string())).map_err(write_failed(&target))?;
                    failed = true;
                    told.code = exit::of(&error);
                    // An engine that fails once fails again; a bad image is only itself.
                    if !matches!(error, Error::Image(_) | Error::Source(_)) {
                        told.bad += 1;
                        return Ok(false);
                    }
                }
            }
        }
        let Some(mut told) = turn.wait() else { return Ok(false) };
        told.bad += usize::from(failed);
        told.empty += usize::from(!failed && !texts);
        progress.inc(1);
        Ok(true)
    };
    let mut pipelines = pipelines(pipeline, inputs.len());
    let told = Told { bad: 0, empty: 0, code, annotator };
    let (Told { bad, empty, mut code, .. }, goes_on) = turns::in_turn(&mut pipelines, &inputs, told, read);
    // Also after an error: what was read before it is a whole document.
    let closed = results.close(Writer::finish).map_err(write_failed(&target));
    progress.finish_and_clear();
    let tried_all = goes_on?;
    closed?;
    if bad > 0 && tried_all && inputs.len() > 1 {
        print_error!("edge-ocr: {bad} of {} images could not be read", inputs.len());
    }
    if code == exit::OK && args.fail_on_empty && empty > 0 {
        print_error!("edge-ocr: {empty} of {} images have no text", inputs.len());
        code = exit::NO_TEXT;
    }
    Ok(code)
}

/// What the images so far have come to.
struct Told {
    /// Images that could not be read.
    bad: usize,
    /// Images without text.
    empty: usize,
    /// The exit code.
    code: u8,
    annotator: Option<Annotator>,
}

/// A bar on standard error, for several images and a person who watches.
fn progress(images: usize) -> ProgressBar {
    if images < 2 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(images as u64).with_style(style)
}

/// Draws pages.
struct Annotator {
    font: Font,
    target: PathBuf,
    several: bool,
    /// Names given in the directory so far: images of several directories may have one name.
    names: HashSet<OsString>,
}

impl Annotator {
    fn new(target: &Path, font: Option<&Path>, several: bool) -> Result<Annotator, Stop> {
        const MAX_FONT_BYTES: u64 = 64 << 20;
        let font = match font {
            None => Font::built_in(),
            Some(path) => Font::from_bytes(&source::read(&Input::Path(path.to_path_buf()), MAX_FONT_BYTES)?),
        };
        let font = font.map_err(|e| Error::Config(e.to_string()))?;
        if several {
            std::fs::create_dir_all(target).map_err(write_failed(&target.display().to_string()))?;
        }
        Ok(Annotator { font, target: target.to_path_buf(), several, names: HashSet::new() })
    }

    /// Where the drawing of a page of `input` goes.
    fn path(&mut self, input: &Input, page: usize) -> PathBuf {
        if !self.several {
            if page == 1 {
                return self.target.clone();
            }
            let mut name = self.target.file_stem().unwrap_or_default().to_os_string();
            name.push(format!("-{page}"));
            if let Some(ending) = self.target.extension() {
                name.push(".");
                name.push(ending);
            }
            return self.target.with_file_name(name);
        }
        let stem = match input {
            Input::Stdin => OsStr::new("stdin"),
            Input::Path(path) => path.file_name().unwrap_or_default(),
        };
        let mut name = stem.to_os_string();
        name.push(".png");
        let mut again = 2;
        while !self.names.insert(name.clone()) {
            name = stem.to_os_string();
            name.push(format!("-{again}.png"));
            again += 1;
        }
        self.target.join(name)
    }

    fn draw(&mut self, input: &Input, page: &Page, loaded: Decoded) -> Result<(), Stop> {
        let path = self.path(input, loaded.page);
        let (width, height) = (page.width_px, page.height_px);
        let Some(canvas) = image::RgbImage::from_raw(width, height, loaded.image.into_raw()) else {
            return Err(Stop::Failed(format!("the image {} has lost its pixels", input.name())));
        };
        let canvas = output::annotate(page, canvas, &self.font).map_err(Error::from)?;
        // Encoded first: the encoder's own writer would swallow what goes wrong with its last bytes. By this encoder
        // and not by the image's method, which brings the encoders of all formats into the program.
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(canvas.as_raw(), canvas.width(), canvas.height(), ExtendedColorType::Rgb8)
            .map_err(std::io::Error::other)
            .and_then(|()| std::fs::write(&path, &png))
            .map_err(|e| Stop::Failed(format!("the annotated image could not be written to {}: {e}; check the path, its permissions and the free space", path.display())))
    }
}
