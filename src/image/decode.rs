//! Encoded picture → [`Picture`], within limits that are checked before memory is taken.
//!
//! PNG, JPEG, WebP, BMP, GIF, TIFF and PNM are read, told apart by their content. Sixteen-bit and float samples are
//! rounded to eight bits, grey becomes R = G = B, alpha is composited over white, of an animation the first frame counts,
//! and the picture is turned upright by its EXIF orientation. A JPEG that ends early gives what is there, the rest grey.

use std::io::Cursor;

use ::image::codecs::{jpeg, png, pnm};
use ::image::error::UnsupportedErrorKind;
use ::image::metadata::Orientation;
use ::image::{ColorType, ImageDecoder, ImageFormat};

use super::header::tiff::orientation;
use super::{ImageError, Picture, header, orient, reserve};

/// Memory a decoder takes whatever the picture: Huffman and colour tables, windows, row buffers of a narrow picture.
const FIXED_BYTES: u64 = 1 << 20;
/// What is said of a file on which a decoder panicked.
const GAVE_UP: &str = "its decoder failed on it";
/// Memory for texts and colour profiles of a PNG; longer ones make it unreadable.
const PNG_EXTRAS_BYTES: u64 = 4 << 20;

/// What a picture may cost before it is refused.
///
/// The defaults suit a board with 512 MB: an ordinary photograph of 24 megapixels passes, and a progressive one of 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Longest encoded picture in bytes. Default 64 000 000: more than any uncompressed one that `max_decode_bytes` admits.
    pub max_bytes: u64,
    /// Greatest width in pixels, before the EXIF turn. Default 32 768.
    pub max_width_px: u32,
    /// Greatest height in pixels, before the EXIF turn. Default 32 768.
    pub max_height_px: u32,
    /// Most pixels, width times height. Default 40 000 000, which take 120 MB as RGB8.
    pub max_pixels: u64,
    /// Most memory in bytes while decoding: the encoded picture, the decoder's buffers and the result together, as far as
    /// the header tells. Default 144 000 000. A baseline JPEG takes 3 bytes a pixel plus twice its file; a progressive one
    /// 3 bytes more with halved colour (4:2:0), 6 with full colour.
    pub max_decode_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 64_000_000,
            max_width_px: 32_768,
            max_height_px: 32_768,
            max_pixels: 40_000_000,
            max_decode_bytes: 144_000_000,
        }
    }
}

impl Limits {
    /// Refuses limits that no picture keeps.
    ///
    /// # Errors
    /// One sentence that names the command line's flag.
    pub fn validate(&self) -> Result<(), String> {
        let limits = [
            ("--max-bytes", self.max_bytes, 0),
            ("--max-width", self.max_width_px.into(), 0),
            ("--max-height", self.max_height_px.into(), 0),
            ("--max-pixels", self.max_pixels, 0),
            ("--max-decode-bytes", self.max_decode_bytes, FIXED_BYTES),
        ];
        match limits.into_iter().find(|(_, limit, too_little)| limit <= too_little) {
            Some((flag, limit, too_little)) => {
                Err(format!("{flag} is {limit}, so no picture could be read; give more than {too_little}"))
            }
            None => Ok(()),
        }
    }
}

/// Decodes a picture, upright and as RGB8.
///
/// # Errors
/// [`ImageError`]: empty or unknown data, one of the limits, a damaged or unsupported file, or no memory.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    let length = bytes.len() as u64;
    if length > limits.max_bytes {
        return Err(ImageError::TooManyBytes { bytes: length, limit: limits.max_bytes });
    }
    let format = ::image::guess_format(bytes).map_err(|_| ImageError::UnknownFormat)?;
    let job = Job { bytes, limits, name: name(format) };
    // The decoders are foreign code, some of which has panicked on damaged files (image-webp 0.2.4 on an animation whose
    // sizes disagree, now refused before); a node must outlive the next such file.
    crate::guard::guarded(|| job.run(format))
        .unwrap_or_else(|_| Err(ImageError::Damaged { format: name(format), reason: GAVE_UP.into() }))
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

/// One picture on its way.
struct Job<'a> {
    bytes: &'a [u8],
    limits: &'a Limits,
    name: &'static str,
}

impl Job<'_> {
    fn run(self, format: ImageFormat) -> Result<Picture, ImageError> {
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
    fn other(&self, _: ImageFormat) -> Result<Picture, ImageError> {
        let reason = "this program was built without its decoder (--features formats)".into();
        Err(ImageError::Unsupported { format: self.name, reason })
    }

    fn jpeg(mut self) -> Result<Picture, ImageError> {
        let format = self.name;
        let damaged = || ImageError::Damaged { format, reason: "no frame or scan header was found".into() };
        let header = header::jpeg::walk(self.bytes).ok_or_else(damaged)?;
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
        let decoder = self.check(jpeg::JpegDecoder::new(Cursor::new(self.bytes)))?;
        if decoder.dimensions() != (header.width, header.height) {
            return Err(damaged());
        }
        self.read(decoder, orientation(header.exif), extra)
    }

    fn png(&self) -> Result<Picture, ImageError> {
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

    /// Checks the size and the memory, then reads and converts. `extra` is what the decoder needs beside its output.
    fn read(
        &self,
        mut decoder: impl ImageDecoder,
        orientation: Orientation,
        extra: u64,
    ) -> Result<Picture, ImageError> {
        let (width, height) = decoder.dimensions();
        self.check_size(width, height)?;
        let color = decoder.color_type();
        let decoded = decoder.total_bytes();
        let buffer = decoded.max(self.rgb_bytes(width, height));
        let turning = orient::scratch_bytes(orientation, u64::from(width), u64::from(height));
        // The decoder is gone when the picture is turned.
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

        to_rgb8(&mut data, color, width * height);
        let (width, height) = orient::apply(orientation, &mut data, width, height)?;
        Picture::from_raw(data, width, height)
    }

    /// Bytes of a picture as RGB8.
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

/// Turns `pixels` pixels of type `color` at the start of `data` into RGB8 where they lie, and shortens `data` to them.
/// `data` is at least as long as both forms.
fn to_rgb8(data: &mut Vec<u8>, color: ColorType, pixels: usize) {
    let wide = |a: u8, b: u8| u16::from_ne_bytes([a, b]);
    match color {
        ColorType::L8 => convert(data, pixels, |[l]| [l; 3]),
        ColorType::La8 => convert(data, pixels, |[l, a]| [over_white(l, a); 3]),
        ColorType::L16 => convert(data, pixels, |[a, b]| [narrow(wide(a, b)); 3]),
        ColorType::La16 => {
            convert(data, pixels, |[a, b, c, d]| [over_white(narrow(wide(a, b)), narrow(wide(c, d))); 3])
        }
        ColorType::Rgba8 => convert(data, pixels, |[r, g, b, a]| [r, g, b].map(|c| over_white(c, a))),
        ColorType::Rgb16 => {
            convert(data, pixels, |[a, b, c, d, e, f]| [wide(a, b), wide(c, d), wide(e, f)].map(narrow))
        }
        ColorType::Rgba16 => convert(data, pixels, |[a, b, c, d, e, f, g, h]| {
            let alpha = narrow(wide(g, h));
            [wide(a, b), wide(c, d), wide(e, f)].map(|c| over_white(narrow(c), alpha))
        }),
        ColorType::Rgb32F => convert(data, pixels, |p: [u8; 12]| float_channels(&p).map(unit_to_byte)),
        ColorType::Rgba32F => convert(data, pixels, |p: [u8; 16]| {
            let alpha = p.last_chunk().map_or(1.0, |a| f32::from_ne_bytes(*a));
            float_channels(&p).map(|c| over_white(unit_to_byte(c), unit_to_byte(alpha)))
        }),
        // Rgb8 is there already; the enumeration is open, but no decoder gives anything else.
        _ => {}
    }
    data.truncate(pixels * 3);
    // Only where sixteen bits or alpha went before is there much to give back.
    data.shrink_to_fit();
}

/// Rewrites pixels of `N` bytes as pixels of three, from the end where they grow and from the start where they shrink, so
/// that nothing is overwritten before it is read.
fn convert<const N: usize>(data: &mut [u8], pixels: usize, pixel: impl Fn([u8; N]) -> [u8; 3]) {
    let mut one = |i: usize| {
        let Some(source) = data.get(i * N..).and_then(|d| d.first_chunk::<N>()) else { return };
        let rgb = pixel(*source);
        if let Some(target) = data.get_mut(i * 3..).and_then(|d| d.first_chunk_mut::<3>()) {
            *target = rgb;
        }
    };
    if N < 3 {
        (0..pixels).rev().for_each(&mut one);
    } else {
        (0..pixels).for_each(&mut one);
    }
}

/// A channel with alpha composited over white, rounded to nearest.
fn over_white(value: u8, alpha: u8) -> u8 {
    let sum = u16::from(value) * u16::from(alpha) + 255 * (255 - u16::from(alpha));
    ((sum + 127) / 255) as u8
}

/// Sixteen bits to eight, 65535 becoming 255, rounded to nearest.
fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

/// The first three floats of a pixel.
fn float_channels(pixel: &[u8]) -> [f32; 3] {
    let mut floats = pixel.as_chunks().0.iter().map(|b| f32::from_ne_bytes(*b));
    std::array::from_fn(|_| floats.next().unwrap_or_default())
}

/// 0.0..=1.0 to 0..=255, rounded to nearest; what lies outside is clamped.
fn unit_to_byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

#[cfg(feature = "formats")]
mod formats;
#[cfg(feature = "formats")]
mod indexed;
mod reduced;
pub use reduced::{Reduced, decode_reduced};
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
