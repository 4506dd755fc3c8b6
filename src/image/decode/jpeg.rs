//! JPEG: what it costs, and whether a file that was cut holds any of its image.

use super::{Job, Pixels};
use crate::image::header::jpeg::{Jpeg, walk};
use crate::image::header::tiff::orientation;
use crate::image::{CHANNELS, Image, ImageError};
use ::image::ImageDecoder;
use ::image::codecs::jpeg::JpegDecoder;
use std::io::Cursor;

/// What the decoders leave where there is no data.
const UNDECODED: [u8; CHANNELS] = [128; CHANNELS];

impl Job<'_> {
    pub(super) fn jpeg(mut self) -> Result<Image, ImageError> {
        let format = self.name;
        let damaged = || ImageError::Damaged { format, reason: "no frame or scan header was found".into() };
        let header = walk(self.bytes).ok_or_else(damaged)?;
        if let Some(reason) = header.unsupported {
            return Err(ImageError::Unsupported { format, reason: reason.into() });
        }
        if header.progressive {
            self.name = "progressive JPEG";
        }
        self.check_size(header.width, header.height)?;
        let coefficients = if header.keeps_coefficients() { header.coefficients().saturating_mul(2) } else { 0 };
        // The decoder holds a copy of the file, and some rows of blocks as `i16`, before and after upsampling.
        let rows = u64::from(header.width) * 64 * header.sampling.len() as u64 * 4;
        let extra = (self.bytes.len() as u64).saturating_add(coefficients).saturating_add(rows);
        // Before the decoder makes its copy: refuse what cannot fit.
        self.check_memory(
            header.width,
            header.height,
            extra.saturating_add(self.rgb_bytes(header.width, header.height)),
        )?;
        if header.has_no_data() {
            return Err(self.nothing_decoded());
        }
        let decoder = self.check(JpegDecoder::new(Cursor::new(self.bytes)))?;
        if decoder.dimensions() != (header.width, header.height) {
            return Err(damaged());
        }
        let turn = orientation(header.exif);
        let pixels = self.pixels(decoder, turn, extra)?;
        self.refuse_undecoded(&header, &pixels)?;
        pixels.upright(turn)
    }

    /// Refuses the image of a file that was cut before its first row of blocks was whole: it is grey all over, and
    /// would be read as a page without text.
    fn refuse_undecoded(&self, header: &Jpeg<'_>, pixels: &Pixels) -> Result<(), ImageError> {
        if header.ends {
            return Ok(());
        }
        let block_rows = header.block_height() as usize;
        if pixels.height <= block_rows {
            return Ok(());
        }
        let below = pixels.data.get(pixels.width * block_rows * CHANNELS..).unwrap_or_default().as_chunks().0;
        // Of four components (CMYK) the neutral values become another grey.
        let fill = match header.sampling.len() {
            4 => below.last().copied().unwrap_or(UNDECODED),
            _ => UNDECODED,
        };
        match below.iter().all(|pixel| *pixel == fill) {
            true => Err(self.nothing_decoded()),
            false => Ok(()),
        }
    }

    pub(super) fn nothing_decoded(&self) -> ImageError {
        let reason = "it breaks off before the first of its pixels, so nothing of it can be read".into();
        ImageError::Damaged { format: self.name, reason }
    }
}
