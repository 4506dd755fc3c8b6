//! What measuring devices show, from the pixels to the text and the reading.

use edge_ocr::image::Image;
use edge_ocr::image::decode::{self, Limits};
use edge_ocr::{Config, Frame, Pipeline};

fn case(name: &str) -> Image {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    decode::decode(&std::fs::read(path).unwrap(), &Limits::default()).unwrap()
}

/// Segments of a digit from a to g: left, top, right, bottom in eighths of its width of 8 and height of 16.
const SEGMENTS: [[usize; 4]; 7] =
    [[2, 0, 6, 2], [6, 2, 8, 8], [6, 8, 8, 14], [2, 14, 6, 16], [0, 8, 2, 14], [0, 2, 2, 8], [2, 7, 6, 9]];

/// A display of seven segments, whose digits are 16 units high.
fn display(text: &str, unit: usize, [ground, ink]: [[u8; 3]; 2]) -> Image {
    let mut image = Image::new((text.len() + 3) * 11 * unit, 35 * unit, ground).unwrap();
    let mut left = 11;
    for c in text.chars() {
        let lit = match c {
            '-' => "g",
            '0' => "abcdef",
            '2' => "abged",
            '3' => "abgcd",
            '4' => "fgbc",
            '5' => "afgcd",
            '6' => "afgedc",
            '8' => "abcdefg",
            '9' => "abcdfg",
            other => panic!("{other}"),
        };
        for segment in lit.bytes() {
            let [from_x, from_y, to_x, to_y] = SEGMENTS[usize::from(segment - b'a')];
            for y in (10 + from_y) * unit..(10 + to_y) * unit {
                for x in (left + from_x) * unit..(left + to_x) * unit {
                    *image.pixel_mut(x, y).unwrap() = ink;
                }
            }
        }
        left += 11;
    }
    image
}

/// The detector leaves the minus out of the box of such numbers, and they were read as positive ones.
#[test]
fn minus_left_out_by_detector_is_read() {
    let lcd = [[190, 200, 180], [25, 35, 30]];
    let led = [[15, 10, 10], [255, 60, 40]];
    let mut pipeline = Pipeline::from_config(&Config::default()).unwrap();
    for (text, unit, colours) in [
        ("-28", 5, led),
        ("-628", 7, led),
        ("-934", 7, led),
        ("-934", 7, lcd),
        ("-450", 7, lcd),
        ("-528", 10, lcd),
        // The minus has a box of its own.
        ("-628", 5, led),
        ("-934", 5, led),
    ] {
        let page = pipeline.run(Frame::new(display(text, unit, colours).view())).unwrap();
        assert_eq!(page.text().trim().replace(' ', ""), text, "{unit}");
        let [[left, ..], ..] = page.lines().next().unwrap().quad;
        assert!(left <= (13 * unit) as f32, "the box has the minus: {left}");
    }
    for (text, colours) in [("528", lcd), ("934", led)] {
        let page = pipeline.run(Frame::new(display(text, 7, colours).view())).unwrap();
        assert_eq!(page.text().trim(), text);
    }
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
