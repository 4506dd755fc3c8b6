//! Two recognisers that say what they are made to say.

use super::{LineBox, LineReader, ReadOptions};
use crate::image::Image;
use crate::infer::fake::FakeModel;
use crate::infer::{Pool, Shape};
use crate::memory::Workspace;
use crate::models::{Charset, Manifest};
use crate::recognise::{Reader, RecogniseParams, Recogniser, RecogniserError, Recognisers, Widths};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A recogniser that knows `chars` and reads the first of them once, with the probability that `sure` makes of the mean
/// of the image, -1 to 1. It counts its lines in `runs`.
fn recogniser(
    chars: &str,
    certain: bool,
    runs: Arc<AtomicUsize>,
    sure: impl Fn(f32) -> f32 + Send + Sync + 'static,
) -> Arc<Recogniser> {
    let charset = Charset::parse(chars).expect("characters");
    let classes = charset.classes();
    let mut manifest = Manifest::parse(include_str!("../../../models/ppocrv6-tiny-rec.toml")).expect("a manifest");
    let facts = manifest.recogniser.as_mut().expect("a recogniser");
    facts.classes = classes;
    facts.certain = facts.certain.take().filter(|_| certain);
    let model = FakeModel::new(move |input: Shape, pixels: &[f32]| {
        let &[lines, _, _, width] = input.axes() else { panic!("{input}") };
        let steps = width / 8;
        let mut values = vec![0.0; lines * steps * classes];
        for (line, pixels) in values.chunks_exact_mut(steps * classes).zip(pixels.chunks_exact(pixels.len() / lines)) {
            line.chunks_exact_mut(classes).for_each(|step| step[0] = 1.0);
            let p = sure(pixels.iter().sum::<f32>() / pixels.len() as f32);
            (line[classes], line[classes + 1]) = (1.0 - p, p);
        }
        // To learn the shape of its answer, the network is also run on zeros.
        if pixels.iter().any(|value| *value != 0.0) {
            runs.fetch_add(lines, Ordering::Relaxed);
        }
        (Shape::from_slice(&[lines, steps, classes]).expect("a shape"), values)
    });
    let params = RecogniseParams { widths: Widths::Buckets(vec![320]), ..RecogniseParams::default() };
    Arc::new(Recogniser::new(Arc::new(model), &manifest, charset, &params).expect("a recogniser"))
}

/// Texts of lines with who read them, and the lines that each recogniser was given.
type Answer = (Vec<(String, Reader)>, [usize; 2]);

/// What was read in two boxes, a bright one and a dark one, and the lines that each recogniser was given.
fn read(first: &str, second: Option<&str>, allowed: Option<&str>) -> Result<Answer, RecogniserError> {
    let runs = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let first = recogniser(first, true, runs[0].clone(), |mean| if mean > 0.0 { 0.99 } else { 0.7 });
    let second = second.map(|chars| recogniser(chars, false, runs[1].clone(), |_| 0.95));
    let recognisers = Recognisers::new(first, second);
    let restrictions = recognisers.restrictions(allowed, None)?;
    let mut page = Image::new(400, 100, [20; 3]).expect("an image");
    page.as_raw_mut()[..400 * 50 * 3].fill(250);
    let mut boxes: Vec<LineBox> = [5.0, 55.0]
        .map(|top| LineBox {
            quad: [[5.0, top], [395.0, top], [395.0, top + 40.0], [5.0, top + 40.0]],
            polygon: Vec::new(),
            score: 1.0,
            whole: false,
        })
        .into();
    let options = ReadOptions { restrictions: &restrictions, classify: true, widen: false, on_progress: &|| {} };
    let mut reader = LineReader::new(recognisers, None, 1).expect("memory");
    let (mut workspace, mut pool) = (Workspace::on_heap(), Pool::new(1).expect("a thread"));
    reader.read(page.view(), &mut boxes, options, &mut workspace, &mut pool).expect("read");
    let mut lines = Vec::new();
    reader.for_each(|line, chars| lines.push((chars.iter().map(|c| c.ch).collect(), line.reader)));
    lines.reverse();
    Ok((lines, runs.map(|count| count.load(Ordering::Relaxed))))
}

#[test]
fn second_recogniser_reads_uncertain_lines_only() {
    let (lines, [_, second]) = read("A\nB", Some("C\nB"), None).expect("read");
    assert_eq!(lines, [("A".into(), Reader::First), ("C".into(), Reader::Second)]);
    assert_eq!(second, 1);
}

#[test]
fn one_recogniser_has_the_last_word() {
    let (lines, runs) = read("A\nB", None, None).expect("read");
    assert_eq!(lines, [("A".into(), Reader::First), ("A".into(), Reader::First)]);
    assert_eq!(runs[1], 0);
}

#[test]
fn second_reads_alone_what_the_first_cannot_say() {
    let (lines, [first, _]) = read("A\nB", Some("C\nB"), Some("C")).expect("read");
    assert_eq!(lines, [("C".into(), Reader::Second), ("C".into(), Reader::Second)]);
    assert_eq!(first, 0);
    let error = read("A\nB", Some("C\nB"), Some("A")).expect_err("the last word is the second's");
    assert!(error.to_string().contains("'A'"), "{error}");
}
