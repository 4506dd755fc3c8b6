//! The formats that cameras do not write: WebP, TIFF, GIF, BMP (feature `formats`).

use super::patched::Patched;
use super::{Job, indexed};
use crate::image::header::tiff::orientation;
use crate::image::{Image, ImageError, header};
use ::image::codecs::{bmp, gif, tiff, webp};
use ::image::metadata::Orientation;
use ::image::{ExtendedColorType, ImageDecoder, ImageFormat};
use std::io::Cursor;

impl Job<'_> {
    pub(super) fn other(&self, format: ImageFormat) -> Result<Image, ImageError> {
        match format {
            ImageFormat::WebP => self.webp(),
            ImageFormat::Tiff => self.tiff(),
            ImageFormat::Gif => self.gif(),
            _ => {
                let decoder = self.check(bmp::BmpDecoder::new(Cursor::new(self.bytes)))?;
                self.read(decoder, Orientation::NoTransforms, 0)
            }
        }
    }

    fn webp(&self) -> Result<Image, ImageError> {
        let header = header::webp::walk(self.bytes);
        let decoder = self.check(webp::WebPDecoder::new(Cursor::new(self.bytes)))?;
        let (width, height) = decoder.dimensions();
        if header.frame_disagrees || header.lossy_size.is_some_and(|size| size != (width, height)) {
            return Err(ImageError::Damaged { format: self.name, reason: "its parts disagree about its size".into() });
        }
        // Bytes a pixel beside the result: planes of a lossy image 1.5, a lossless one 4 and its block data 1, the
        // alpha plane while it is decoded 5; for a frame of an animation all of these, its pixels and the canvas.
        let each = match (header.animated, header.lossless, header.alpha) {
            (true, _, _) => 15,
            (_, true, _) => 5,
            (_, _, true) => 7,
            _ => 2,
        };
        let pixels = u64::from(width) * u64::from(height);
        let extra = pixels.saturating_mul(each).saturating_add(self.bytes.len() as u64);
        self.read(decoder, orientation(header.exif), extra)
    }

    fn tiff(&self) -> Result<Image, ImageError> {
        let page = match self.directory {
            Some(at) => header::tiff::Page::new(self.bytes, at),
            None => {
                header::tiff::chain(self.bytes, self.limits.max_pages).and_then(|chain| chain.pages.first().copied())
            }
        };
        let Some(page) = page else {
            let reason = "its header does not lead to a whole directory".into();
            return Err(ImageError::Damaged { format: self.name, reason });
        };
        if page.claims_too_much() {
            let reason = "its directory claims more values than an image can need".into();
            return Err(ImageError::Damaged { format: self.name, reason });
        }
        if page.is_thumbnail_of_raw() {
            let reason =
                "it holds no more than a thumbnail outside its sub-directories, as raw files of cameras do".into();
            return Err(ImageError::Unsupported { format: self.name, reason });
        }
        // The decoder begins with the first page of what it is given.
        let (at, offset) = page.as_first();
        let file = Patched::new(self.bytes).patch(at, &offset);
        if let Some(table) = header::tiff::table(&page) {
            return indexed::decode(self, &table, file, page.orientation());
        }
        let decoder = self.check(tiff::TiffDecoder::new(file))?;
        let (width, height) = decoder.dimensions();
        // The decoder reads into a buffer of its own first.
        let each = match decoder.original_color_type() {
            ExtendedColorType::Cmyk8 => 4,
            ExtendedColorType::Cmyk16 => 8,
            _ => u64::from(decoder.color_type().bytes_per_pixel()),
        };
        let extra = (u64::from(width) * u64::from(height)).saturating_mul(each);
        self.read(decoder, page.orientation(), extra)
    }

    fn gif(&self) -> Result<Image, ImageError> {
        let decoder = self.check(gif::GifDecoder::new(Cursor::new(self.bytes)))?;
        let (width, height) = decoder.dimensions();
        // A first frame that does not fill the canvas is decoded by itself, as RGBA.
        let extra = u64::from(width) * u64::from(height) * 4;
        self.read(decoder, Orientation::NoTransforms, extra)
    }
}
