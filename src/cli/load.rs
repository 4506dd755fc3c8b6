//! One input to a frame, with the time it took.

use edge_ocr::image::Picture;
use edge_ocr::image::decode::{self, Limits, Reduced};
use edge_ocr::source::{self, Input};
use edge_ocr::{Error, Frame};
use std::time::Instant;

/// A decoded picture.
pub struct Loaded {
    pub picture: Picture,
    /// Width and height of the file's picture, which may have been decoded at a reduced size.
    full_px: [usize; 2],
    /// Of decoding, not of reading the file.
    decode_ms: f32,
}

impl Loaded {
    pub fn frame(&self) -> Frame<'_> {
        Frame { decode_ms: self.decode_ms, full_px: self.full_px, ..Frame::new(self.picture.view()) }
    }
}

/// Reads and decodes an input; a JPEG of more than `most_bytes` at a reduced size.
pub fn load(input: &Input, limits: &Limits, most_bytes: u64) -> Result<Loaded, Error> {
    let bytes = source::read(input, limits.max_bytes)?;
    let start = Instant::now();
    let Reduced { picture, full_px } = decode::decode_reduced(&bytes, limits, most_bytes)?;
    if decode::ends_early(&bytes) {
        log::warn!("{}: the file ends early; what is missing is grey", input.name());
    }
    Ok(Loaded { picture, full_px, decode_ms: start.elapsed().as_secs_f32() * 1e3 })
}
