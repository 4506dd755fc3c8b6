//! Pictures of this repository and the text that must come out of them, by each engine.
//!
//! Where INT8 reads a picture differently from float, and not better or worse than is allowed, `NAME.arena.expected.txt` says so.
//! `EDGE_OCR_UPDATE_GOLDEN=1 cargo test --test golden` rewrites the expected texts; read the difference before committing it.

mod support;

use edge_ocr::config::{Engine, Mode};
use edge_ocr::image::decode::{self, Limits};
use edge_ocr::{Config, Frame, Pipeline};
use support::root;

fn check(config: &Config, pictures: &[&str]) {
    let folder = root().join("tests/golden");
    let mut pipeline = Pipeline::from_config(config).expect("a pipeline");
    let mut wrong = Vec::new();
    for picture in pictures {
        let bytes = std::fs::read(folder.join(picture)).expect(picture);
        let pixels = decode::decode(&bytes, &Limits::default()).expect(picture);
        let page = pipeline.run(Frame::new(pixels.view())).expect(picture);
        let text: String = page.lines().map(|line| line.text().to_string() + "\n").collect();
        let common = folder.join(picture).with_extension("expected.txt");
        let own = folder.join(picture).with_extension("arena.expected.txt");
        let expected = if config.engine == Engine::Arena && own.exists() { own } else { common };
        if std::env::var_os("EDGE_OCR_UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &text).expect("written");
        }
        let want = std::fs::read_to_string(&expected).unwrap_or_default();
        if text != want {
            wrong.push(format!("{picture}: read\n{text}instead of\n{want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The float engine and its models, if they are here.
#[cfg(feature = "tract")]
fn float(config: &Config, pictures: &[&str]) {
    if support::models_missing() {
        return;
    }
    let models = edge_ocr::config::ModelChoice { folder: Some(root().join("models")), ..config.models.clone() };
    check(&Config { engine: Engine::Tract, models, ..config.clone() }, pictures);
}

const PAGES: [&str; 9] = [
    "check.png",
    "receipt.jpg",
    "columns.png",
    "slanted.png",
    "upside_down.png",
    "tall.png",
    "page.jpg",
    "plate.jpg",
    "blank.png",
];

const LINES: [&str; 2] = ["word.png", "digit.png"];

#[test]
fn pages_are_read_in_order() {
    check(&Config::default(), &PAGES);
}

#[test]
fn crops_are_read_as_lines() {
    check(&Config { mode: Mode::Line, ..Config::default() }, &LINES);
}

#[test]
fn any_number_of_threads_reads_the_same() {
    for threads in [1, 2, 5] {
        check(&Config { threads, ..Config::default() }, &PAGES);
    }
}

#[cfg(feature = "tract")]
#[test]
fn the_float_engine_reads_the_same() {
    float(&Config::default(), &PAGES);
    float(&Config { mode: Mode::Line, ..Config::default() }, &LINES);
}

#[cfg(feature = "tract")]
#[test]
fn the_older_family_reads_too() {
    if !root().join("models/ch_PP-OCRv4_det_infer.onnx").is_file() {
        assert!(support::skip("PP-OCRv4 mobile (run models/fetch)"));
        return;
    }
    let mut config = Config::default();
    (config.models.det, config.models.rec) = ("ppocrv4-mobile-det".into(), "ppocrv4-mobile-rec".into());
    // It drops spaces more often: one word only.
    float(&config, &["word.png"]);
}

#[test]
fn a_reduced_picture_is_told_in_its_whole_size() {
    let bytes = std::fs::read(root().join("tests/golden/page.jpg")).expect("page.jpg");
    let limits = Limits::default();
    let mut pipeline = Pipeline::from_config(&Config::default()).expect("a pipeline");
    let mut quads = Vec::new();
    // Whole: 1500 x 2000; then half of it.
    for most_bytes in [u64::MAX, 3_000_000] {
        let reduced = decode::decode_reduced(&bytes, &limits, most_bytes).expect("page.jpg");
        let frame = Frame { full_px: reduced.full_px, ..Frame::new(reduced.picture.view()) };
        let page = pipeline.run(frame).expect("page.jpg");
        assert_eq!((page.width_px, page.height_px), (1500, 2000));
        quads.push(page.lines().map(|line| line.quad).collect::<Vec<_>>());
    }
    let near = |a: &[[f32; 2]; 4], b: &[[f32; 2]; 4]| {
        a.as_flattened().iter().zip(b.as_flattened()).all(|(a, b)| (a - b).abs() < 16.0)
    };
    let again = quads[0].iter().filter(|a| quads[1].iter().any(|b| near(a, b))).count();
    assert!(again * 10 >= quads[0].len() * 9, "{again} of {} lines lie where they were", quads[0].len());
}
