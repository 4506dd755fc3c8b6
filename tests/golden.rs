//! Pictures of this repository and the text that must come out of them.
//!
//! `EDGE_OCR_UPDATE_GOLDEN=1 cargo test --test golden` rewrites the expected texts; read the difference before committing it.

mod support;

use edge_ocr::config::Mode;
use edge_ocr::image::decode::{self, Limits};
use edge_ocr::{Config, Frame, Pipeline};
use support::{models_missing, root};

fn check(config: &Config, pictures: &[&str]) {
    if models_missing() {
        return;
    }
    let folder = root().join("tests/golden");
    let config = Config {
        models: edge_ocr::config::ModelChoice { folder: Some(root().join("models")), ..config.models.clone() },
        ..config.clone()
    };
    let mut pipeline = Pipeline::from_config(&config).expect("a pipeline");
    let mut wrong = Vec::new();
    for picture in pictures {
        let bytes = std::fs::read(folder.join(picture)).expect(picture);
        let pixels = decode::decode(&bytes, &Limits::default()).expect(picture);
        let page = pipeline.run(Frame::new(pixels.view())).expect(picture);
        let text: String = page.lines().map(|line| line.text().to_string() + "\n").collect();
        let expected = folder.join(picture).with_extension("expected.txt");
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

#[test]
fn pages_are_read_in_order() {
    let pictures = [
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
    check(&Config::default(), &pictures);
}

#[test]
fn crops_are_read_as_lines() {
    check(&Config { mode: Mode::Line, ..Config::default() }, &["word.png", "digit.png"]);
}

#[test]
fn the_older_family_reads_too() {
    if !root().join("models/ch_PP-OCRv4_det_infer.onnx").is_file() {
        assert!(support::skip("PP-OCRv4 mobile (run models/fetch)"));
        return;
    }
    let mut config = Config::default();
    (config.models.det, config.models.rec) = ("ppocrv4-mobile-det".into(), "ppocrv4-mobile-rec".into());
    // It drops spaces more often: one word only.
    check(&config, &["word.png"]);
}
