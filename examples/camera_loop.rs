//! Frames of a camera in a loop, read by one pipeline, in memory that is all there before the first frame: between two
//! frames nothing is allocated. The camera is played by an image from which the frames are cut; a real one writes into
//! `frame` instead.
//!
//!     cargo run --release --example camera_loop -- [IMAGE]

use edge_ocr::image::{CHANNELS, PixelView, decode};
use edge_ocr::{Config, Pipeline};
use std::error::Error;

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
const FRAMES: usize = 4;

/// Writes the next frame, tight RGB8.
fn capture(scene: PixelView<'_>, number: usize, frame: &mut [u8]) {
    // The camera moves down, and sees the scene's last row and column beyond its edge.
    let top = number * scene.height().saturating_sub(HEIGHT) / (FRAMES - 1);
    for (y, row) in frame.chunks_exact_mut(WIDTH * CHANNELS).enumerate() {
        let seen = scene.row((top + y).min(scene.height() - 1));
        let width = seen.len().min(row.len());
        row[..width].copy_from_slice(&seen[..width]);
        let edge = seen[seen.len() - CHANNELS..].iter().cycle();
        row[width..].iter_mut().zip(edge).for_each(|(to, from)| *to = *from);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/receipt.jpg");
    let path = std::env::args().nth(1).unwrap_or(default.into());
    let scene = decode::decode(&std::fs::read(path)?, &decode::Limits::default())?;

    let mut pipeline = Pipeline::from_config(&Config::default())?;
    let mut frame = vec![0; WIDTH * HEIGHT * CHANNELS];
    for number in 0..FRAMES {
        capture(scene.view(), number, &mut frame);
        let page = pipeline.run(PixelView::new(&frame, WIDTH, HEIGHT, WIDTH * CHANNELS)?)?;
        println!("frame {number}: {} lines", page.len());
        for line in page.lines().filter(|line| line.score > 0.9) {
            println!("  {}", line.text());
        }
    }
    Ok(())
}
