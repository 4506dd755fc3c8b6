//! One run of each network on one thread, by each engine. The engines' answers are held against each other first.
//!
//! `cargo bench --bench models [-- FILTER]`. `edge-ocr bench` measures the same on a board, without this repository.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use edge_ocr::image::resize::{self, ResizeScratch};
use edge_ocr::image::{CHANNELS, PixelView};
use edge_ocr::infer::{Session, Shape};
use edge_ocr::memory::Workspace;
use edge_ocr::models::Kind;
use edge_ocr::network_input;
use edge_ocr::pipeline::Opened;
use edge_ocr::recognise::ctc::{self, Probabilities};

/// A network with its input.
struct Case {
    loaded: Opened,
    session: std::sync::Arc<dyn Session>,
    pixels: Vec<u8>,
    /// Those of the input that the image fills.
    columns: usize,
}

impl Case {
    /// The image is scaled to the input's height, or to all of it.
    fn new(loaded: Opened, [w, h]: [usize; 2], image: PixelView<'_>, fill: bool) -> Case {
        let session = loaded.network.session(Shape::image(h, w)).expect("a size that the target has");
        let columns = if fill { w } else { (h * image.width()).div_ceil(image.height()).min(w) };
        let mut pixels = vec![0; w * h * CHANNELS];
        let tight = &mut pixels[..columns * h * CHANNELS];
        resize::linear(image, tight, columns, h, &mut ResizeScratch::default()).expect("scaled");
        network_input::expand_rows_in_place(&mut pixels, columns, w, h, loaded.manifest.input.channel_order);
        Case { loaded, session, pixels, columns }
    }

    /// The input is written each time, since a run takes its memory.
    fn run(&self, memory: &mut [u8]) -> Vec<f32> {
        self.session.input(memory).expect("memory").copy_from_slice(&self.pixels);
        let answer = self.session.run(memory, &[self.columns], None).expect("an answer");
        (0..answer.len()).map(|i| answer.get(i)).collect()
    }

    fn bench(&self, c: &mut Criterion, group: &str, engine: &str) {
        let mut bench = Workspace::on_heap();
        let memory = bench.bytes(self.session.memory_bytes()).expect("memory");
        support::group(c, group).bench_function(engine, |b| {
            b.iter(|| {
                self.session.input(memory).expect("memory").copy_from_slice(&self.pixels);
                self.session.run(memory, &[self.columns], None).expect("an answer").len()
            });
        });
    }
}

/// Makes a case for each engine, asks for what is to be the same of them, and times them.
fn each<T: PartialEq + std::fmt::Debug>(
    c: &mut Criterion,
    group: &str,
    kind: Kind,
    case: impl Fn(Opened) -> Case,
    gist: impl Fn(&Case, Vec<f32>) -> T,
    same: impl Fn(&T, &T) -> bool,
) {
    let cases: Vec<(&str, Case)> =
        support::engines().into_iter().map(|(name, engine)| (name, case(support::load(engine, kind)))).collect();
    let gists: Vec<T> = cases
        .iter()
        .map(|(_, case)| gist(case, case.run(Workspace::on_heap().bytes(case.session.memory_bytes()).expect("memory"))))
        .collect();
    assert!(gists.windows(2).all(|pair| same(&pair[0], &pair[1])), "{group}: the engines differ: {gists:?}");
    for (engine, case) in &cases {
        case.bench(c, group, engine);
    }
}

fn detector(c: &mut Criterion) {
    let page = support::image("receipt.jpg");
    let text_pixels = |_: &Case, answer: Vec<f32>| answer.iter().filter(|p| **p > 0.5).count();
    let about = |a: &usize, b: &usize| *a > 1000 && a.abs_diff(*b) * 20 < *a;
    each(c, "det 640x640", Kind::Detector, |l| Case::new(l, [640, 640], page.view(), true), text_pixels, about);
}

/// The first line of the image of `edge-ocr check`.
fn line(then: impl FnOnce(PixelView<'_>)) {
    let image = support::image("check.png");
    then(image.view().crop(0, 2, 276, 44).expect("inside"));
}

fn recogniser(c: &mut Criterion) {
    let read = |case: &Case, answer: Vec<f32>| {
        let classes = *case.session.output_shape().axes().last().expect("classes");
        let mut symbols = Vec::new();
        ctc::greedy(Probabilities::new(&answer, classes).expect("probabilities"), None, &mut symbols);
        let charset = case.loaded.charset.as_ref().expect("characters");
        symbols.iter().map(|s| charset.text(s.class)).collect::<String>()
    };
    let same = |a: &String, b: &String| a == b && !a.is_empty();
    line(|line| each(c, "rec 320x48", Kind::Recogniser, |l| Case::new(l, [320, 48], line, false), read, same));
}

fn classifier(c: &mut Criterion) {
    let upright = |_: &Case, answer: Vec<f32>| answer[0] > answer[1];
    line(|line| {
        each(c, "cls 192x48", Kind::Classifier, |l| Case::new(l, [192, 48], line, false), upright, |a, b| *a && *b)
    });
}

criterion_group!(benches, detector, recogniser, classifier);
criterion_main!(benches);
