//! What decoding may cost.

use super::FIXED_BYTES;
use crate::param::{Param, ParamError};

/// What an image may cost before it is refused.
///
/// The defaults suit a board with 512 MB: an ordinary photograph of 24 megapixels passes, and a progressive one of 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Longest encoded image in bytes. Default 64 000 000: more than any uncompressed one that `max_decode_bytes`
    /// admits.
    pub max_bytes: u64,
    /// Greatest width in pixels, before the EXIF turn. Default 32 768.
    pub max_width_px: u32,
    /// Greatest height in pixels, before the EXIF turn. Default 32 768.
    pub max_height_px: u32,
    /// Most pixels, width times height. Default 40 000 000, which take 120 MB as RGB8.
    pub max_pixels: u64,
    /// Most memory in bytes while decoding: the encoded image, the decoder's buffers and the result together, as
    /// far as the header tells. Default 144 000 000. A baseline JPEG takes 3 bytes a pixel plus twice its file; a
    /// progressive one 3 bytes more with halved colour (4:2:0), 6 with full colour.
    pub max_decode_bytes: u64,
    /// Most pages of one file (TIFF). Default 256.
    pub max_pages: u64,
    /// Most pixels of all pages of one file together. Default 1 000 000 000: a hundred A4 pages of 300 dots an inch.
    /// Pages are decoded one after the other, so this bounds time; memory is bounded by the limits above.
    pub max_total_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64_000_000,
            max_width_px: 32_768,
            max_height_px: 32_768,
            max_pixels: 40_000_000,
            max_decode_bytes: 144_000_000,
            max_pages: 256,
            max_total_pixels: 1_000_000_000,
        }
    }
}

impl Limits {
    /// Refuses limits that no image keeps.
    ///
    /// # Errors
    /// The first limit that is too low.
    pub fn validate(&self) -> Result<(), ParamError> {
        let limits = [
            (Param::MaxBytes, self.max_bytes, 0),
            (Param::MaxWidth, self.max_width_px.into(), 0),
            (Param::MaxHeight, self.max_height_px.into(), 0),
            (Param::MaxPixels, self.max_pixels, 0),
            (Param::MaxDecodeBytes, self.max_decode_bytes, FIXED_BYTES),
            (Param::MaxPages, self.max_pages, 0),
            (Param::MaxTotalPixels, self.max_total_pixels, 0),
        ];
        match limits.into_iter().find(|(_, limit, too_little)| limit <= too_little) {
            Some((param, limit, too_little)) => Err(ParamError::new(param, limit, format!("more than {too_little}"))
                .saying(format!("{param} is {limit}, so no image could be read; give more than {too_little}"))),
            None => Ok(()),
        }
    }
}
