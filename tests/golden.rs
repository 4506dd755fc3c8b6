//! Images of this repository and the text that must come out of them, by each engine.
//!
//! Where INT8 reads an image differently from float, and not better or worse than is allowed,
//! `NAME.arena.expected.txt` says so. `EDGE_OCR_UPDATE_GOLDEN=1 cargo test --test golden` rewrites the expected
//! texts; read the difference before committing it.

mod support;

use edge_ocr::config::{Engine, Mode};
use edge_ocr::image::decode::{self, Limits};
use edge_ocr::image::region::PixelRect;
use edge_ocr::pipeline::ProfileConfig;
use edge_ocr::{Config, Error, Frame, Pipeline};
use support::{root, with};

fn check(config: &Config, images: &[&str]) {
    let folder = root().join("tests/golden");
    let mut pipeline = Pipeline::from_config(config).expect("a pipeline");
    let mut wrong = Vec::new();
    for image in images {
        let bytes = std::fs::read(folder.join(image)).expect(image);
        let pixels = decode::decode(&bytes, &Limits::default()).expect(image);
        let page = pipeline.run(Frame::new(pixels.view())).expect(image);
        let text: String = page.lines().map(|line| line.text().to_string() + "\n").collect();
        let common = folder.join(image).with_extension("expected.txt");
        let own = folder.join(image).with_extension("arena.expected.txt");
        let expected = if config.engine == Engine::Arena && own.exists() { own } else { common };
        if std::env::var_os("EDGE_OCR_UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &text).expect("written");
        }
        let want = std::fs::read_to_string(&expected).unwrap_or_default();
        if text != want {
            wrong.push(format!("{image}: read\n{text}instead of\n{want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The float engine and its models, if they are here.
#[cfg(feature = "tract")]
fn float(config: &Config, images: &[&str]) {
    if support::models_missing() {
        return;
    }
    let mut config = config.clone();
    (config.engine, config.models.folder) = (Engine::Tract, Some(root().join("models")));
    check(&config, images);
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
    check(&with(|config: &mut Config| config.mode = Mode::Line), &LINES);
}

#[test]
fn any_number_of_threads_reads_the_same() {
    for threads in [1, 2, 5] {
        check(&with(|config: &mut Config| config.threads = threads), &PAGES);
    }
}

#[cfg(feature = "tract")]
#[test]
fn the_float_engine_reads_the_same() {
    float(&Config::default(), &PAGES);
    float(&with(|config: &mut Config| config.mode = Mode::Line), &LINES);
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
fn a_reduced_image_is_told_in_its_whole_size() {
    let bytes = std::fs::read(root().join("tests/golden/page.jpg")).expect("page.jpg");
    let limits = Limits::default();
    let mut pipeline = Pipeline::from_config(&Config::default()).expect("a pipeline");
    let mut quads = Vec::new();
    // Whole: 1500 x 2000; then half of it.
    for max_bytes in [u64::MAX, 3_000_000] {
        let reduced = decode::decode_reduced(&bytes, &limits, max_bytes).expect("page.jpg");
        let mut frame = Frame::from(&reduced.image);
        frame.full_px = reduced.full_px;
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

#[test]
fn shared_pipeline_reads_profiles_alike() {
    let bytes = std::fs::read(root().join("tests/golden/receipt.jpg")).expect("receipt.jpg");
    let pixels = decode::decode(&bytes, &Limits::default()).expect("receipt.jpg");
    let view = pixels.view();
    let half = PixelRect { x: 0, y: 0, w: view.width(), h: view.height() / 2 };
    let profiles: [ProfileConfig; 4] = [
        ProfileConfig::default(),
        with(|p: &mut ProfileConfig| (p.mode, p.rotate_deg) = (Mode::Line, 180)),
        with(|p: &mut ProfileConfig| {
            (p.allowed_chars, p.rec_score_thresh) = (Some("0123456789.".into()), Some(0.1));
        }),
        with(|p: &mut ProfileConfig| (p.mode, p.pattern) = (Mode::Line, Some("99.99".into()))),
    ];
    let mut shared = Pipeline::for_profiles(&Config::default(), &profiles).expect("a pipeline");
    let made = profiles.each_ref().map(|profile| shared.profile(profile).expect("a profile"));
    let told = |page: &edge_ocr::Page| -> Vec<_> {
        page.lines().map(|line| (line.text().to_string(), line.quad, line.score)).collect()
    };
    let mut texts = std::collections::HashSet::new();
    // Twice, so that each comes after each other.
    for i in [0, 1, 2, 3, 0, 2, 1, 3, 1, 0] {
        let p = profiles[i].clone();
        let mut config = Config::default();
        (config.mode, config.rec_score_thresh, config.rotate_deg) = (p.mode, p.rec_score_thresh, p.rotate_deg);
        config.regions = vec![half.into()];
        (config.recognise.allowed_chars, config.recognise.pattern) = (p.allowed_chars, p.pattern);
        let alone = told(Pipeline::from_config(&config).expect("a pipeline").run(Frame::new(view)).expect("a page"));
        let here = told(shared.run_profile(Frame::new(view), &made[i], Some(half)).expect("a page"));
        assert_eq!(here, alone, "profile {i}");
        assert!(!here.is_empty(), "profile {i}");
        texts.insert(here.into_iter().map(|line| line.0).collect::<String>());
    }
    assert_eq!(texts.len(), 4, "{texts:?}");
    let beyond = PixelRect { x: 1, ..half };
    assert!(matches!(shared.run_profile(Frame::new(view), &made[0], Some(beyond)), Err(edge_ocr::Error::Image(_))));
}

#[test]
fn a_pipeline_of_lines_has_no_detector_and_says_so() {
    let line = with(|profile: &mut ProfileConfig| profile.mode = Mode::Line);
    let page = ProfileConfig::default();
    let mut lines = Pipeline::for_profiles(&Config::default(), std::slice::from_ref(&line)).expect("lines");
    assert_eq!((&lines.names().det, &lines.names().cls), (&None, &None));
    let both = Pipeline::for_profiles(&Config::default(), &[line.clone(), page.clone()]).expect("both");
    assert!(both.names().det.is_some() && both.names().cls.is_some());
    let foreign = both.profile(&page).expect("a profile");
    let image = edge_ocr::image::Image::new(64, 48, [255; 3]).expect("an image");
    for error in [
        lines.run_profile(Frame::new(image.view()), &foreign, None).err(),
        lines.run(Frame::new(image.view())).err(),
        lines.profile(&page).err(),
        lines.profile(&with(|p: &mut ProfileConfig| (p.mode, p.rotate_deg) = (Mode::Line, 45))).err(),
        lines
            .profile(&with(|p: &mut ProfileConfig| (p.mode, p.allowed_chars) = (Mode::Line, Some("\u{1}".into()))))
            .err(),
    ] {
        let error = error.expect("an error");
        assert!(matches!(error, Error::Config(_) | Error::Param(_)), "{error}");
    }
}
