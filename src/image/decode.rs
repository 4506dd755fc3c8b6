//! Encoded image → [`Image`], within limits that are checked before memory is taken.
//!
//! PNG, JPEG, WebP, BMP, GIF, TIFF and PNM are read, told apart by their content. Sixteen-bit and float samples are
//! rounded to eight bits, grey becomes R = G = B, transparent parts become a ground from which the rest stands out,
//! and the image is turned upright by its EXIF orientation. A JPEG that ends early gives what is there, the rest
//! grey. [`Pages`] gives all pages of a TIFF and says what of a file was not decoded; [`decode`] gives the first
//! page.

use std::io::Cursor;

use ::image::codecs::{png, pnm};
use ::image::error::UnsupportedErrorKind;
use ::image::metadata::Orientation;
use ::image::{ImageDecoder, ImageFormat};

use super::header::tiff::orientation;
use super::{Image, ImageError, header, orient, reserve, signature};
use convert::to_rgb8;

mod convert;
#[cfg(feature = "formats")]
mod formats;
mod ground;
#[cfg(feature = "formats")]
mod indexed;
mod jpeg;
mod limits;
mod pages;
#[cfg(feature = "formats")]
mod patched;
mod reduced;

pub use limits::Limits;
pub use pages::{Decoded, Notice, Pages};
pub use reduced::{Reduced, decode_reduced};

/// Memory a decoder takes whatever the image: Huffman and colour tables, windows, row buffers of a narrow image.
const FIXED_BYTES: u64 = 1 << 20;
/// What is said of a file on which a decoder panicked.
const GAVE_UP: &str = "its decoder failed on it";
/// Memory for texts and colour profiles of a PNG; longer ones make it unreadable.
const PNG_EXTRAS_BYTES: u64 = 4 << 20;

/// Decodes an image, upright and as RGB8; of a file with several pages or frames the first.
///
/// # Errors
/// [`ImageError`]: empty or unknown data, one of the limits, a damaged or unsupported file, or no memory.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image, ImageError> {
    let format = check_file(bytes, limits)?;
    Job::new(bytes, limits, format).run_catching_panics(format)
}

/// The format of a file that is within the limits and of a kind that is read.
fn check_file(bytes: &[u8], limits: &Limits) -> Result<ImageFormat, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    let length = bytes.len() as u64;
    if length > limits.max_bytes {
        return Err(ImageError::TooManyBytes { bytes: length, limit: limits.max_bytes });
    }
    if let Some(foreign) = signature::foreign(bytes) {
        return Err(ImageError::ForeignFormat { format: foreign.name, remedy: foreign.remedy });
    }
    ::image::guess_format(bytes).map_err(|_| ImageError::UnknownFormat)
}

/// Whether the file is a JPEG that was cut: what is missing is decoded as grey, without an error.
pub fn ends_early(bytes: &[u8]) -> bool {
    ::image::guess_format(bytes).is_ok_and(|format| format == ImageFormat::Jpeg)
        && header::jpeg::walk(bytes).is_some_and(|header| header.unsupported.is_none() && !header.ends)
}

/// The name of a format in messages.
fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Gif => "GIF",
        ImageFormat::Bmp => "BMP",
        _ => "PNM",
    }
}

/// One image that is being decoded.
struct Job<'a> {
    bytes: &'a [u8],
    limits: &'a Limits,
    name: &'static str,
    /// Where the directory of the page begins, if it is another one than the first of a TIFF.
    #[cfg_attr(not(feature = "formats"), allow(dead_code))]
    directory: Option<u32>,
}

/// Decoded pixels as they are stored, before the EXIF turn: tight RGB8.
struct Pixels {
    data: Vec<u8>,
    width: usize,
    height: usize,
}

impl Pixels {
    fn upright(mut self, orientation: Orientation) -> Result<Image, ImageError> {
        let (width, height) = orient::apply(orientation, &mut self.data, self.width, self.height)?;
        Image::from_raw(self.data, width, height)
    }
}

impl<'a> Job<'a> {
    fn new(bytes: &'a [u8], limits: &'a Limits, format: ImageFormat) -> Self {
        Job { bytes, limits, name: name(format), directory: None }
    }

    /// The decoders are foreign code, some of which has panicked on damaged files (image-webp 0.2.4 on an animation
    /// whose sizes disagree, now refused before); a node must outlive the next such file.
    fn run_catching_panics(self, format: ImageFormat) -> Result<Image, ImageError> {
        let name = self.name;
        crate::panics::catch_panic(|| self.run(format))
            .unwrap_or_else(|_| Err(ImageError::Damaged { format: name, reason: GAVE_UP.into() }))
    }

    fn run(self, format: ImageFormat) -> Result<Image, ImageError> {
        let data = Cursor::new(self.bytes);
        match format {
            ImageFormat::Jpeg => self.jpeg(),
            ImageFormat::Png => self.png(),
            ImageFormat::Pnm => self.read(self.check(pnm::PnmDecoder::new(data))?, Orientation::NoTransforms, 0),
            ImageFormat::WebP | ImageFormat::Tiff | ImageFormat::Gif | ImageFormat::Bmp => self.other(format),
            _ => Err(ImageError::UnknownFormat),
        }
    }

    #[cfg(not(feature = "formats"))]
    fn other(&self, _: ImageFormat) -> Result<Image, ImageError> {
        let reason = "this program was built without its decoder (--features formats)".into();
        Err(ImageError::Unsupported { format: self.name, reason })
    }

    fn png(&self) -> Result<Image, ImageError> {
        let header = header::png::walk(self.bytes)
            .ok_or_else(|| ImageError::Damaged { format: self.name, reason: "it does not begin with IHDR".into() })?;
        self.check_size(header.width, header.height)?;
        let mut within = ::image::Limits::no_limits();
        within.max_alloc = Some(PNG_EXTRAS_BYTES);
        let decoder = png::PngDecoder::with_limits(Cursor::new(self.bytes), within).map_err(|e| match e {
            ::image::ImageError::Limits(_) => ImageError::Unsupported {
                format: self.name,
                reason: format!("its texts or colour profile are longer than {PNG_EXTRAS_BYTES} bytes"),
            },
            e => self.explain(e),
        })?;
        let rows = u64::from(header.width) * 8 * 4;
        self.read(decoder, orientation(header.exif), PNG_EXTRAS_BYTES + rows)
    }

    /// Decodes, and turns the image upright. `extra` is what the decoder needs beside its output.
    fn read(&self, decoder: impl ImageDecoder, orientation: Orientation, extra: u64) -> Result<Image, ImageError> {
        self.pixels(decoder, orientation, extra)?.upright(orientation)
    }

    /// Checks the size and the memory, then reads and converts.
    fn pixels(
        &self,
        mut decoder: impl ImageDecoder,
        orientation: Orientation,
        extra: u64,
    ) -> Result<Pixels, ImageError> {
        let (width, height) = decoder.dimensions();
        self.check_size(width, height)?;
        let color = decoder.color_type();
        let decoded = decoder.total_bytes();
        let buffer = decoded.max(self.rgb_bytes(width, height));
        let turning = orient::scratch_bytes(orientation, u64::from(width), u64::from(height));
        // The decoder is gone when the image is turned.
        let needed = buffer.saturating_add(extra.max(turning));
        let spare = self.check_memory(width, height, needed)?;
        let mut within = ::image::Limits::no_limits();
        within.max_alloc = Some(extra.saturating_add(spare));
        decoder.set_limits(within).map_err(|e| self.explain(e))?;

        // The numbers are below the limit, which is a number of bytes in memory; still, `usize` may be small.
        let too_large = || ImageError::OutOfMemory { bytes: usize::MAX };
        let size = |v: u64| usize::try_from(v).map_err(|_| too_large());
        let (buffer, decoded) = (size(buffer)?, size(decoded)?);
        let (width, height) = (size(width.into())?, size(height.into())?);
        let mut data = reserve(buffer)?;
        data.resize(buffer, 0);
        let output = data.get_mut(..decoded).ok_or_else(too_large)?;
        decoder.read_image(output).map_err(|e| self.explain(e))?;

        to_rgb8(&mut data, color, width, height);
        Ok(Pixels { data, width, height })
    }

    /// Bytes of an image as RGB8.
    fn rgb_bytes(&self, width: u32, height: u32) -> u64 {
        (u64::from(width) * u64::from(height)).saturating_mul(3)
    }

    fn check_size(&self, width: u32, height: u32) -> Result<(), ImageError> {
        let limits = self.limits;
        if width == 0 || height == 0 {
            Err(ImageError::Damaged { format: self.name, reason: "it has no pixels".into() })
        } else if width > limits.max_width_px {
            Err(ImageError::TooWide { width, height, limit: limits.max_width_px })
        } else if height > limits.max_height_px {
            Err(ImageError::TooHigh { width, height, limit: limits.max_height_px })
        } else if u64::from(width) * u64::from(height) > limits.max_pixels {
            Err(ImageError::TooManyPixels { width, height, limit: limits.max_pixels })
        } else {
            Ok(())
        }
    }

    /// What is left of the limit after `needed` bytes beside the file and the fixed part.
    fn check_memory(&self, width: u32, height: u32, needed: u64) -> Result<u64, ImageError> {
        let needed = needed.saturating_add(self.bytes.len() as u64).saturating_add(FIXED_BYTES);
        let limit = self.limits.max_decode_bytes;
        limit.checked_sub(needed).ok_or(ImageError::TooMuchMemory { format: self.name, width, height, needed, limit })
    }

    fn check<T>(&self, result: ::image::ImageResult<T>) -> Result<T, ImageError> {
        result.map_err(|e| self.explain(e))
    }

    /// A decoder's own error in the words of this crate.
    fn explain(&self, error: ::image::ImageError) -> ImageError {
        use ::image::ImageError as Foreign;
        let format = self.name;
        match error {
            Foreign::Unsupported(e) => {
                let what = match e.kind() {
                    UnsupportedErrorKind::GenericFeature(feature) => feature.clone(),
                    UnsupportedErrorKind::Color(color) => format!("colour type {color:?}"),
                    _ => e.to_string(),
                };
                ImageError::Unsupported {
                    format,
                    reason: format!("it uses what is not supported: {}", one_line(&what)),
                }
            }
            Foreign::Limits(e) => ImageError::Unsupported {
                format,
                reason: format!("some of its parts need more memory than allowed ({})", one_line(&e.to_string())),
            },
            // The outer message only repeats the format's name.
            e => {
                let cause = std::error::Error::source(&e).map(|cause| cause.to_string());
                ImageError::Damaged { format, reason: one_line(&cause.unwrap_or_else(|| e.to_string())) }
            }
        }
    }
}

/// A foreign message made fit to stand inside a sentence: one line, no full stop, not endless.
fn one_line(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(160).collect();
    line.trim_end_matches(['.', ':', ' ']).to_owned()
}

// The board build has the same code for the formats that it has.
#[cfg(all(test, feature = "formats"))]
mod tests;

#[cfg(all(test, not(feature = "formats")))]
#[test]
fn a_format_that_was_left_out_is_named() {
    for (file, format) in [(&b"GIF89a"[..], "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"RIFF\0\0\0\0WEBP", "WebP")] {
        let said = decode(file, &Limits::default()).unwrap_err().to_string();
        assert!(said.contains(format) && said.contains("--features formats"), "{said}");
    }
}
