//! The stages by themselves. An image that is one line needs no detector; of a page text can be found without being
//! read, and boxes can be read without being searched for.
//!
//!     cargo run --release --example lines_only -- [LINE_IMAGE] [PAGE_IMAGE]

use edge_ocr::config::Mode;
use edge_ocr::detect::TextBox;
use edge_ocr::image::{Image, decode};
use edge_ocr::{Config, Pipeline};
use std::error::Error;

fn open(argument: usize, default: &str) -> Result<Image, Box<dyn Error>> {
    let golden = format!("{}/tests/golden/{default}", env!("CARGO_MANIFEST_DIR"));
    let path = std::env::args().nth(argument).unwrap_or(golden);
    Ok(decode::decode(&std::fs::read(path)?, &decode::Limits::default())?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (line, page) = (open(1, "word.png")?, open(2, "plate.jpg")?);

    // Without the detector and the classifier less is loaded.
    let mut config = Config::default();
    config.mode = Mode::Line;
    let mut reader = Pipeline::from_config(&config)?;
    println!("one line: {}", reader.recognise_line(&line)?.text);
    drop(reader);

    let mut pipeline = Pipeline::from_config(&Config::default())?;
    let boxes = pipeline.detect(&page)?;
    println!("{} boxes found", boxes.len());
    for line in pipeline.recognise(&page, &boxes)? {
        println!("found: {}", line.text);
    }
    // A box from elsewhere: top left, top right, bottom right, bottom left. Here where a camera has the plates.
    let [w, h] = [page.width() as f32, page.height() as f32];
    let [left, top, right, bottom] = [0.3 * w, 0.51 * h, 0.7 * w, 0.68 * h];
    let plate = TextBox::from([[left, top], [right, top], [right, bottom], [left, bottom]]);
    println!("given: {}", pipeline.recognise(&page, &[plate])?[0].text);
    Ok(())
}
