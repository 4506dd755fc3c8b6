//! `edge-ocr eval`: reads the images of a labels file and writes predictions, one JSON object a line.

use super::interrupt::Guarded;
use super::malloc_tuning;
use super::options::Options;
use super::turns::{self, Turn};
use super::{Stop, exit, load, overwrite, sink, write_failed};
use edge_ocr::image::decode::Decoded;
use edge_ocr::page::LineRef;
use edge_ocr::source::{self, Input};
use edge_ocr::{Error, Pipeline};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    /// JSON lines with an "image" in each, relative to this file
    labels: PathBuf,
    /// Where the predictions go; - for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only the first N images
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Exchange left and right first, for what is seen in a mirror
    #[arg(long, help_heading = "Image")]
    mirror: bool,
    #[command(flatten)]
    options: Options,
}

#[derive(serde::Deserialize)]
struct Label {
    image: String,
}

#[derive(Serialize)]
struct Prediction<'a> {
    image: &'a str,
    lines: Vec<Line>,
    ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Line {
    /// Number of the page in its file, from 1.
    page: usize,
    text: String,
    score: f32,
    #[serde(rename = "box")]
    quad: [[f32; 2]; 4],
}

/// The largest labels file that is read.
const MAX_LABELS_BYTES: u64 = 256 << 20;

pub fn run(args: &Args) -> Result<u8, Stop> {
    run_with(args, turns::pipelines)
}

/// As [`run`], with the pipelines that `pipelines` makes of one and the number of images.
pub fn run_with(args: &Args, pipelines: impl FnOnce(Pipeline, usize) -> Vec<Pipeline>) -> Result<u8, Stop> {
    let config = args.options.config()?;
    malloc_tuning::apply(&config, usize::MAX);
    let name = args.labels.display().to_string();
    let bytes = source::read(&Input::Path(args.labels.clone()), MAX_LABELS_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut images = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let label: Label = serde_json::from_str(line).map_err(|e| {
            Error::Config(format!(
                "line {} of {name} is no label: {e}; each line is a JSON object with \"image\"",
                number + 1
            ))
        })?;
        images.push(label.image);
    }
    images.truncate(args.limit.unwrap_or(usize::MAX));
    let folder = args.labels.parent().unwrap_or(std::path::Path::new("")).to_path_buf();
    let read: Vec<Input> = std::iter::once(args.labels.clone())
        .chain(images.iter().map(|image| folder.join(image)))
        .map(Input::Path)
        .collect();
    overwrite::refuse(&[("--out", sink::file(Some(&args.out)))], &read)?;
    let pipeline = Pipeline::from_config(&config)?;
    // Making plans is part of loading; an image pays only for those beyond what `--memory` keeps.
    pipeline.warm_up()?;
    let config = pipeline.config();
    let loading = load::Loading { limits: config.limits, max_bytes: config.max_decoded_bytes(), mirror: args.mirror };
    let (out_name, out) = sink::create(Some(&args.out))?;
    // A prediction is written when its image is read, and none is cut by a signal.
    let out = Guarded::new(out, |mut out| out.flush())?;
    let read = |pipeline: &mut Pipeline, image: &String, turn: &Turn<'_, usize>| -> Result<bool, Stop> {
        let input = Input::Path(folder.join(image));
        let mut start = Instant::now();
        let mut prediction = Prediction { image, lines: Vec::new(), ms: 0.0, error: None };
        let mut failed = false;
        // Of a file with several pages all lines, in their order.
        for loaded in load::load(&input, loading) {
            let mut read_page = |loaded: &Decoded| -> Result<(), Error> {
                let page = pipeline.run(loaded)?;
                let line = |l: LineRef<'_>| Line {
                    page: loaded.page,
                    text: l.text().to_string(),
                    score: l.score,
                    quad: l.quad,
                };
                prediction.lines.extend(page.lines().map(line));
                Ok(())
            };
            let read = loaded.map(|loaded| (read_page(&loaded), loaded));
            prediction.ms += start.elapsed().as_secs_f64() * 1e3;
            if turn.wait().is_none() {
                return Ok(false);
            }
            if let Ok((_, loaded)) = &read {
                load::log_notices(&input.name(), loaded);
            }
            if let Err(error) = read.and_then(|(read, _)| read) {
                print_error!("edge-ocr: {image}: {error}");
                failed = true;
                prediction.error.get_or_insert(error.to_string());
            }
            // The time of waiting is not that of the image.
            start = Instant::now();
        }
        let Some(mut bad) = turn.wait() else { return Ok(false) };
        *bad += usize::from(failed);
        out.with(|out| {
            serde_json::to_writer(&mut *out, &prediction)?;
            out.write_all(b"\n")?;
            out.flush()
        })
        .map_err(write_failed(&out_name))?;
        Ok(true)
    };
    let mut pipelines = pipelines(pipeline, images.len());
    let (bad, all) = turns::in_turn(&mut pipelines, &images, 0, read);
    all?;
    if bad > 0 {
        print_error!("edge-ocr: {bad} of {} images could not be read", images.len());
        return Ok(exit::INPUT);
    }
    Ok(exit::OK)
}
