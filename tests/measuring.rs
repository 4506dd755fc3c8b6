//! What measuring devices show, from the pixels to the text and the reading.

use edge_ocr::image::Image;
use edge_ocr::image::decode::{self, Limits};
use edge_ocr::{Config, Frame, Pipeline};

fn case(name: &str) -> Image {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    decode::decode(&std::fs::read(path).unwrap(), &Limits::default()).unwrap()
}

/// Drawn with DejaVu Sans, 34 pixels high.
#[test]
fn measuring_signs_are_read_as_signs() {
    let image = case("measuring_signs.png");
    let mut pipeline = Pipeline::from_config(&Config::default()).unwrap();
    let page = pipeline.run(Frame::new(image.view())).unwrap();
    let lines: Vec<String> = page.lines().map(|line| line.text().to_string().replace(' ', "")).collect();
    assert_eq!(lines, ["R≤47kΩ±5%", "CO₂≥400ppm", "Al₂O₃≈12kg", "ΔT=3K", "5→7and5≠7", "length2πrand√2", "21℃or70℉"]);
}
