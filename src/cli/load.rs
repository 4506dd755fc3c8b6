//! One input to pixels, with the time it took.

use edge_ocr::Error;
use edge_ocr::image::{Picture, decode};
use edge_ocr::source::{self, Input};
use std::time::Instant;

/// Reads and decodes an input. The milliseconds are those of decoding, not of reading the file.
pub fn load(input: &Input, limits: &decode::Limits) -> Result<(Picture, f32), Error> {
    let bytes = source::read(input, limits.max_bytes)?;
    let start = Instant::now();
    let picture = decode::decode(&bytes, limits)?;
    Ok((picture, start.elapsed().as_secs_f32() * 1e3))
}
