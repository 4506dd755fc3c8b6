//! Only some characters may come out: digits, or whatever a pattern allows at each place. What is allowed is no filter
//! on the text: a digit that looks like a letter is read as a digit. One pipeline reads in all these ways.
//!
//! Which characters there are at all is decided when the program is built (`EDGE_OCR_CHARSET`).
//!
//!     cargo run --release --example charset -- [IMAGE] [CHARACTERS]

use edge_ocr::image::decode;
use edge_ocr::pipeline::ProfileConfig;
use edge_ocr::{Config, Pipeline, target};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/plate.jpg");
    let path = args.next().unwrap_or(default.into());
    let characters = args.next().unwrap_or("0123456789".into());
    let image = decode::decode(&std::fs::read(path)?, &decode::Limits::default())?;

    let all = ProfileConfig::default();
    let mut some = all.clone();
    some.allowed_chars = Some(characters);
    let mut like_a_plate = all.clone();
    like_a_plate.pattern = Some("AA 9999 A".into());

    let configs = [("all", all), ("some", some), ("like a plate", like_a_plate)];
    let mut pipeline =
        Pipeline::for_profiles(&Config::default(), &configs.each_ref().map(|(_, config)| config.clone()))?;
    println!("built with the characters {:?}", target::CHARSET);
    for (name, config) in &configs {
        // Refuses characters that the program was built without.
        let profile = pipeline.profile(config)?;
        let page = pipeline.run_profile(&image, &profile, None)?;
        for line in page.lines() {
            println!("{name}: {}", line.text());
        }
    }
    Ok(())
}
