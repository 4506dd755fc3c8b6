//! Large JPEGs at a half, a quarter or an eighth of their size, straight from their frequencies.
//!
//! The usual decoder always makes the whole image, 3 bytes a pixel: 104 MB for a page scanned at 600 dots an inch,
//! of which the detector sees a ninth. This one never holds more than the reduced image and its planes.

use super::{GAVE_UP, Job, Limits, Pixels, one_line};
use crate::image::header::tiff::orientation;
use crate::image::{Image, ImageError, header, orient};
use ::image::ImageFormat;
use jpeg_decoder::{Decoder, PixelFormat};
use std::io::Cursor;

/// An image and the size it was made from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reduced {
    /// The pixels.
    pub image: Image,
    /// Width and height in pixels of the file's image, upright: those of `image`, or up to eight times as large.
    pub full_px: [usize; 2],
}

/// As [`super::decode`], but a JPEG (grey or with three components) that would take more than `max_bytes` as RGB8 is
/// decoded at the largest of a half, a quarter and an eighth of its width and height that takes no more, or at an
/// eighth.
///
/// # Errors
/// As [`super::decode`]. [`Limits::max_pixels`] and the sides' limits hold for the whole image,
/// [`Limits::max_decode_bytes`] for what is decoded.
pub fn decode_reduced(bytes: &[u8], limits: &Limits, max_bytes: u64) -> Result<Reduced, ImageError> {
    let jpeg = ::image::guess_format(bytes).is_ok_and(|format| format == ImageFormat::Jpeg);
    if jpeg && bytes.len() as u64 <= limits.max_bytes {
        let job = Job::new(bytes, limits, ImageFormat::Jpeg);
        let reduced = crate::panics::catch_panic(|| reduce(&job, max_bytes))
            .unwrap_or_else(|_| Err(ImageError::Damaged { format: job.name, reason: GAVE_UP.into() }))?;
        if let Some(reduced) = reduced {
            return Ok(reduced);
        }
    }
    let image = super::decode(bytes, limits)?;
    let full_px = [image.width(), image.height()];
    Ok(Reduced { image, full_px })
}

/// `None` if the image is small enough, cut, or not of the kinds that are reduced.
fn reduce(job: &Job<'_>, max_bytes: u64) -> Result<Option<Reduced>, ImageError> {
    let Some(header) = header::jpeg::walk(job.bytes) else { return Ok(None) };
    let (width, height) = (header.width, header.height);
    let samples = header.sampling.len();
    // Of a file that was cut this decoder gives nothing, and the other one what is there.
    let reducible = header.unsupported.is_none() && header.ends && matches!(samples, 1 | 3);
    if !reducible || job.rgb_bytes(width, height) <= max_bytes {
        return Ok(None);
    }
    job.check_size(width, height)?;
    if header.has_no_data() {
        return Err(job.nothing_decoded());
    }
    let side = |full: u32, n: u32| full.div_ceil(n);
    let fits = |n: &u32| job.rgb_bytes(side(width, *n), side(height, *n)) <= max_bytes;
    let n = [2, 4].into_iter().find(fits).unwrap_or(8);
    let (w, h) = (side(width, n), side(height, n));
    let turn = orientation(header.exif);
    // Planes as they are stored, one byte a sample; then rows of colours from them. A progressive image's
    // coefficients lie beside the planes.
    let planes = header.coefficients() / u64::from(n * n);
    let kept = if header.keeps_coefficients() { header.coefficients() * 2 } else { 0 };
    let turning = orient::scratch_bytes(turn, u64::from(w), u64::from(h));
    let needed = job.rgb_bytes(w, h).saturating_add((planes + kept).max(turning));
    let spare = job.check_memory(w, h, needed)?;

    let damaged = |reason: String| ImageError::Damaged { format: job.name, reason: one_line(&reason) };
    let disagree = || damaged("its parts disagree about its size".into());
    let mut decoder = Decoder::new(Cursor::new(job.bytes));
    decoder.set_max_decoding_buffer_size(usize::try_from(needed + spare).unwrap_or(usize::MAX));
    let short = |v: u32| u16::try_from(v).map_err(|_| disagree());
    let scaled = decoder.scale(short(w)?, short(h)?).map_err(|e| damaged(e.to_string()))?;
    if (u32::from(scaled.0), u32::from(scaled.1)) != (w, h) {
        return Err(disagree());
    }
    let mut data = decoder.decode().map_err(|e| damaged(e.to_string()))?;
    let pixels = w as usize * h as usize;
    match decoder.info().map(|info| info.pixel_format) {
        Some(PixelFormat::RGB24) => {}
        Some(PixelFormat::L8) => {
            let extra = (pixels * 3).saturating_sub(data.len());
            data.try_reserve_exact(extra).map_err(|_| ImageError::OutOfMemory { bytes: extra })?;
            data.resize(pixels * 3, 0);
            super::to_rgb8(&mut data, ::image::ColorType::L8, w as usize, h as usize);
        }
        _ => return Err(damaged("its samples are not bytes".into())),
    }
    let image = Pixels { data, width: w as usize, height: h as usize }.upright(turn)?;
    let (width, height) = (width as usize, height as usize);
    // Where the orientation makes columns of rows, the sides have changed places; a square is the same either way.
    let same = (image.width(), image.height()) == (w as usize, h as usize);
    let full_px = if same { [width, height] } else { [height, width] };
    Ok(Some(Reduced { image, full_px }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

    /// A smooth image, in which every place can be told from every other.
    fn ramp(w: usize, h: usize, channels: usize) -> Vec<u8> {
        let pixel = |i: usize| [(i % w * 255 / w) as u8, (i / w * 255 / h) as u8, 90];
        (0..w * h).flat_map(|i| pixel(i).into_iter().take(channels)).collect()
    }

    fn jpeg(w: u16, h: u16, color: ExtendedColorType, exif: Option<u8>) -> Vec<u8> {
        let channels = if color == ExtendedColorType::L8 { 1 } else { 3 };
        let mut file = Vec::new();
        let pixels = ramp(w.into(), h.into(), channels);
        JpegEncoder::new_with_quality(&mut file, 95).encode(&pixels, w.into(), h.into(), color).expect("encoded");
        if let Some(orientation) = exif {
            let tiff =
                [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", &[orientation, 0, 0, 0][..], &[0; 4]].concat();
            let length = (tiff.len() + 8) as u16;
            let segment = [&[0xFF, 0xE1][..], &length.to_be_bytes(), b"Exif\0\0", &tiff].concat();
            file.splice(2..2, segment);
        }
        file
    }

    fn mean_difference(small: &Image, whole: &Image, n: usize) -> f64 {
        let mut sum = 0.0;
        let (w, h) = (whole.width() / n, whole.height() / n);
        for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
            let a = small.pixel(x, y).expect("inside");
            for (c, a) in a.into_iter().enumerate() {
                let block = (0..n * n).map(|i| whole.pixel(x * n + i % n, y * n + i / n).expect("inside")[c]);
                let mean = block.map(f64::from).sum::<f64>() / (n * n) as f64;
                sum += (f64::from(a) - mean).abs();
            }
        }
        sum / (w * h * 3) as f64
    }

    #[test]
    fn reduced_pixels_are_means_of_whole_ones() {
        let limits = Limits::default();
        for (color, exif) in [
            (ExtendedColorType::Rgb8, None),
            (ExtendedColorType::L8, None),
            (ExtendedColorType::Rgb8, Some(6)),
            (ExtendedColorType::Rgb8, Some(3)),
        ] {
            let file = jpeg(157, 93, color, exif);
            let whole = super::super::decode(&file, &limits).expect("decoded");
            // 157 x 93 x 3 is 43803 bytes; 79 x 47 x 3 is 11139, 40 x 24 x 3 is 2880, 20 x 12 x 3 is 720.
            for (max_bytes, n) in [(43_803, 1), (43_802, 2), (11_139, 2), (11_138, 4), (2_879, 8), (0, 8)] {
                let reduced = decode_reduced(&file, &limits, max_bytes).expect("decoded");
                assert_eq!(reduced.full_px, [whole.width(), whole.height()]);
                let sides = [reduced.image.width(), reduced.image.height()];
                assert_eq!(sides, reduced.full_px.map(|side| side.div_ceil(n)), "{max_bytes} bytes");
                // Blocks are counted from the stored image's corner: turned, they may lie n - 1 pixels off, in
                // which the ramp rises by 2 a pixel.
                let bound = if exif.is_some() { 2 * n } else { 3 };
                let difference = mean_difference(&reduced.image, &whole, n);
                assert!(difference < bound as f64, "{color:?} {exif:?} 1/{n}: {difference}");
            }
        }
    }

    #[test]
    fn other_images_and_limits_are_as_ever() {
        let limits = Limits::default();
        let mut file = Vec::new();
        let png = ::image::codecs::png::PngEncoder::new(&mut file);
        ::image::ImageEncoder::write_image(png, &ramp(30, 20, 3), 30, 20, ExtendedColorType::Rgb8).expect("encoded");
        assert_eq!(decode_reduced(&file, &limits, 0).expect("decoded").image.width(), 30);
        assert!(matches!(decode_reduced(&[], &limits, 0), Err(ImageError::Empty)));
        let file = jpeg(300, 200, ExtendedColorType::Rgb8, None);
        let within = |limits: Limits| decode_reduced(&file, &limits, 1000);
        assert!(matches!(within(Limits { max_pixels: 59_999, ..limits }), Err(ImageError::TooManyPixels { .. })));
        assert!(matches!(within(Limits { max_bytes: 100, ..limits }), Err(ImageError::TooManyBytes { .. })));
        assert!(matches!(
            within(Limits { max_decode_bytes: 1 << 20, ..limits }),
            Err(ImageError::TooMuchMemory { .. })
        ));
        for end in (0..file.len()).step_by(7) {
            let _ = within(limits).is_ok();
            let _ = decode_reduced(&file[..end], &limits, 1000);
        }
    }
}
