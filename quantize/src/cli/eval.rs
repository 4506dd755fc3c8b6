//! `quantize eval`: a quantised model against its float original on images that calibration did not see.

use clap::Args as ClapArgs;
use edge_ocr_quantize::charset::{self, Charset};
use edge_ocr_quantize::data::samples::Sample;
use edge_ocr_quantize::data::{list, manifest::Manifest, samples};
use edge_ocr_quantize::graph::Graph;
use edge_ocr_quantize::interpreter::{self, Mode, parallel};
use edge_ocr_quantize::q8::{Kind, Model};
use edge_ocr_quantize::{Error, import, onnx};
use std::path::PathBuf;

/// Compare a quantised model with its float original
#[derive(ClapArgs)]
pub struct Args {
    /// The quantised model
    #[arg(long)]
    q8: PathBuf,
    /// ONNX file
    #[arg(long)]
    model: PathBuf,
    /// Its manifest
    #[arg(long)]
    manifest: PathBuf,
    /// List of images
    #[arg(long)]
    images: PathBuf,
    /// Folder that the list's paths start from
    #[arg(long)]
    data: PathBuf,
    /// Recogniser: compare with the classes cut to latin, digits, full, or the characters of a text file
    #[arg(long, default_value = "full")]
    charset: String,
    /// Take every so many images only
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Show the lines that differ, and each page
    #[arg(long)]
    verbose: bool,
}

/// Evaluates.
pub fn run(args: Args) -> Result<(), Error> {
    let manifest = Manifest::load(&args.manifest)?;
    let charset = Charset::parse(&args.charset)?;
    let mut model = Model::load(&args.q8)?;
    let usage = |e: &dyn std::fmt::Display| Error::Usage(e.to_string());
    let raw = onnx::read(&args.model).map_err(|e| usage(&e))?;
    let mut float =
        import::import(&raw, &manifest.normalisation(), model.kind == Kind::Recogniser).map_err(|e| usage(&e))?;
    if model.kind == Kind::Recogniser {
        // The same characters for both, so that only the arithmetic differs.
        model = model.prune(&charset)?;
        let all = charset::dictionary(&manifest.dictionary(&args.model, raw.metadata.get("character"))?);
        charset::prune(&mut float, &all, &charset)?;
    }
    let entries: Vec<list::Entry> = list::read(&args.images)?.into_iter().step_by(args.every.max(1)).collect();
    let outside = manifest.normalisation().outside();
    let images = samples::load(&args.data, &entries, model.kind, &model.input, outside)?;
    match model.kind {
        Kind::Recogniser => lines(&model, &float, &images, &args),
        Kind::Detector => maps(&model, &float, &images, args.verbose),
        Kind::Classifier => labels(&model, &float, &images),
    }
}

fn answer(graph: &Graph, sample: &Sample, mode: Mode) -> Result<Vec<f32>, Error> {
    Ok(interpreter::run(graph, &sample.bytes, sample.h, sample.w, mode)?.1)
}

/// Best class of each step, repeats and blanks dropped.
fn decode(probabilities: &[f32], classes: &[String]) -> String {
    let (mut text, mut before) = (String::new(), 0);
    for row in probabilities.chunks_exact(classes.len()) {
        let best = row.iter().enumerate().fold((0, f32::MIN), |a, (i, p)| if *p > a.1 { (i, *p) } else { a }).0;
        if best != before {
            text += &classes[best];
        }
        before = best;
    }
    text
}

/// Kullback-Leibler divergence in nats, summed over steps.
fn divergence(f: &[f32], q: &[f32]) -> f64 {
    f.iter().zip(q).map(|(f, q)| f64::from(*f) * (f64::from(f.max(1e-9)) / f64::from(q.max(1e-9))).ln()).sum()
}

/// Edit distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut left_up = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let up = row[j + 1];
            row[j + 1] = (left_up + usize::from(ca != *cb)).min(up + 1).min(row[j] + 1);
            left_up = up;
        }
    }
    row[b.len()]
}

fn lines(model: &Model, float: &Graph, images: &[Sample], args: &Args) -> Result<(), Error> {
    let read = |i: usize| -> Result<(String, String, f64), Error> {
        let f = answer(float, &images[i], Mode::Float)?;
        let q = answer(&model.graph, &images[i], Mode::Int)?;
        let kl = divergence(&f, &q) / (f.len() / model.classes.len()).max(1) as f64;
        Ok((decode(&f, &model.classes), decode(&q, &model.classes), kl))
    };
    let texts = parallel(images.len(), 2, read).into_iter().collect::<Result<Vec<_>, Error>>()?;
    let kl = texts.iter().map(|t| t.2).sum::<f64>() / texts.len().max(1) as f64;
    // Labels of receipts are upper case whatever the print: compare without case.
    let fold = |t: &str| t.to_lowercase();
    let (mut equal, mut apart, mut chars) = (0, 0, 0);
    let (mut wrong, mut label_chars, mut exact) = ([0, 0], 0, [0, 0]);
    // Lines that the float network can read: what it gives for others is noise, and flips at a touch.
    let (mut legible_apart, mut legible_chars) = (0, 0);
    for ((f, q, _), image) in texts.iter().zip(images) {
        equal += usize::from(f == q);
        apart += distance(f, q);
        chars += f.chars().count();
        if f != q && args.verbose {
            println!("{}\n  float {f}\n  int8  {q}", image.name);
        }
        if let Some(label) = &image.text {
            label_chars += label.chars().count();
            if 2 * distance(&fold(f), &fold(label)) <= label.chars().count() {
                legible_apart += distance(f, q);
                legible_chars += f.chars().count();
            }
            for (i, text) in [f, q].into_iter().enumerate() {
                let d = distance(&fold(text), &fold(label));
                wrong[i] += d;
                exact[i] += usize::from(d == 0);
            }
        }
    }
    let percent = |a: usize, b: usize| 100.0 * a as f64 / b.max(1) as f64;
    println!(
        "{} lines, {chars} characters: same text {:.2} %, characters apart {:.3} % (of lines that float reads at least half right {:.3} %), divergence {kl:.5} per step; against labels CER {:.3} -> {:.3} %, exact {} -> {}",
        images.len(),
        percent(equal, images.len()),
        percent(apart, chars),
        percent(legible_apart, legible_chars),
        percent(wrong[0], label_chars),
        percent(wrong[1], label_chars),
        exact[0],
        exact[1]
    );
    Ok(())
}

fn maps(model: &Model, float: &Graph, images: &[Sample], verbose: bool) -> Result<(), Error> {
    const THRESHOLD: f32 = 0.3;
    let one = |i: usize| -> Result<[f64; 5], Error> {
        let f = answer(float, &images[i], Mode::Float)?;
        let q = answer(&model.graph, &images[i], Mode::Int)?;
        let mut sums = [0.0; 5];
        for (a, b) in f.iter().zip(&q) {
            let (pa, pb) = (*a > THRESHOLD, *b > THRESHOLD);
            sums[0] += f64::from((a - b).abs());
            sums[1] += f64::from(u8::from(pa && pb));
            sums[2] += f64::from(u8::from(pa));
            sums[3] += f64::from(u8::from(pb));
            sums[4] += 1.0;
        }
        Ok(sums)
    };
    let all = parallel(images.len(), 2, one).into_iter().collect::<Result<Vec<_>, Error>>()?;
    let total: [f64; 5] = std::array::from_fn(|i| all.iter().map(|s| s[i]).sum());
    let f1 = |s: &[f64; 5]| 2.0 * s[1] / (s[2] + s[3]).max(1.0);
    for (sums, p) in all.iter().zip(images).filter(|_| verbose) {
        let [difference, _, float, int8, pixels] = sums;
        let apart = difference / pixels;
        println!(
            "{} {}x{}: F1 {:.4}, pixels {float} -> {int8}, mean |difference| {apart:.6}",
            p.name,
            p.w,
            p.h,
            f1(sums)
        );
    }
    let worst = all.iter().zip(images).filter(|(s, _)| s[2] > 100.0).min_by(|a, b| f1(a.0).total_cmp(&f1(b.0)));
    println!(
        "{} pages: mean |difference| {:.6}, pixels above {THRESHOLD}: F1 {:.4}; worst page {} {:.4}",
        images.len(),
        total[0] / total[4].max(1.0),
        f1(&total),
        worst.map_or("-", |(_, p)| &p.name),
        worst.map_or(1.0, |(s, _)| f1(s))
    );
    Ok(())
}

/// Lines are turned only when the classifier is as sure of it as this (`classifier.thresh` of its manifest).
const SURE: f32 = 0.9;

fn labels(model: &Model, float: &Graph, images: &[Sample]) -> Result<(), Error> {
    let one = |i: usize| -> Result<[f32; 2], Error> {
        let turned = |v: Vec<f32>| v.get(1).copied().unwrap_or(0.0);
        Ok([turned(answer(float, &images[i], Mode::Float)?), turned(answer(&model.graph, &images[i], Mode::Int)?)])
    };
    let all = parallel(images.len(), 2, one).into_iter().collect::<Result<Vec<_>, Error>>()?;
    let percent = |n: usize| 100.0 * n as f64 / all.len().max(1) as f64;
    let same = |limit: f32| percent(all.iter().filter(|[f, q]| (*f > limit) == (*q > limit)).count());
    let right = |which: usize, limit: f32| {
        percent(all.iter().zip(images).filter(|(p, image)| (p[which] > limit) == image.turned).count())
    };
    let mean = all.iter().map(|[f, q]| f64::from((f - q).abs())).sum::<f64>() / all.len().max(1) as f64;
    println!(
        "{} lines, half of them on their heads: same label {:.2} %, same decision at {SURE} {:.2} %, mean |difference| {mean:.5}; right labels {:.2} -> {:.2} %, right decisions {:.2} -> {:.2} %",
        all.len(),
        same(0.5),
        same(SURE),
        right(0, 0.5),
        right(1, 0.5),
        right(0, SURE),
        right(1, SURE)
    );
    Ok(())
}
