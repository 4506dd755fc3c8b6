//! Tests of decoding: every format, every sample type, the limits, and data that is none.

use std::io::Cursor;

use ::image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};
use proptest::prelude::*;

use super::*;

/// A 17×9 progressive JPEG with halved colour, made with Pillow.
pub(super) const PROGRESSIVE_JPEG: &[u8] = &[
    255, 216, 255, 224, 0, 16, 74, 70, 73, 70, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 255, 219, 0, 67, 0, 27, 18, 20, 23, 20,
    17, 27, 23, 22, 23, 30, 28, 27, 32, 40, 66, 43, 40, 37, 37, 40, 81, 58, 61, 48, 66, 96, 85, 101, 100, 95, 85, 93,
    91, 106, 120, 153, 129, 106, 113, 144, 115, 91, 93, 133, 181, 134, 144, 158, 163, 171, 173, 171, 103, 128, 188,
    201, 186, 166, 199, 153, 168, 171, 164, 255, 219, 0, 67, 1, 28, 30, 30, 40, 35, 40, 78, 43, 43, 78, 164, 110, 93,
    110, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164,
    164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164, 164,
    164, 164, 164, 164, 164, 255, 194, 0, 17, 8, 0, 9, 0, 17, 3, 1, 34, 0, 2, 17, 1, 3, 17, 1, 255, 196, 0, 22, 0, 1,
    1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4, 255, 196, 0, 22, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 2, 1, 4, 255, 218, 0, 12, 3, 1, 0, 2, 16, 3, 16, 0, 0, 1, 6, 102, 131, 61, 178, 122, 63, 255, 196, 0, 24, 16,
    0, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 16, 19, 255, 218, 0, 8, 1, 1, 0, 1, 5, 2, 83, 20, 206, 98,
    22, 127, 255, 196, 0, 23, 17, 0, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 19, 255, 218, 0, 8, 1, 3, 1,
    1, 63, 1, 157, 25, 163, 63, 255, 196, 0, 22, 17, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 17, 255,
    218, 0, 8, 1, 2, 1, 1, 63, 1, 149, 175, 255, 196, 0, 20, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32,
    255, 218, 0, 8, 1, 1, 0, 6, 63, 2, 95, 255, 196, 0, 20, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32,
    255, 218, 0, 8, 1, 1, 0, 1, 63, 33, 84, 255, 0, 255, 218, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 0, 16, 83, 207, 255, 196,
    0, 20, 17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 255, 218, 0, 8, 1, 3, 1, 1, 63, 16, 11, 255, 196, 0,
    22, 17, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 17, 255, 218, 0, 8, 1, 2, 1, 1, 63, 16, 187, 111,
    255, 196, 0, 23, 16, 0, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 97, 113, 255, 218, 0, 8, 1, 1, 0, 1,
    63, 16, 129, 3, 8, 127, 255, 217,
];

/// A 17×9 lossy WebP, made with Pillow.
const LOSSY_WEBP: &[u8] = &[
    82, 73, 70, 70, 86, 0, 0, 0, 87, 69, 66, 80, 86, 80, 56, 32, 74, 0, 0, 0, 240, 3, 0, 157, 1, 42, 17, 0, 9, 0, 63,
    17, 112, 176, 80, 44, 38, 36, 162, 176, 8, 1, 128, 34, 9, 106, 0, 157, 50, 132, 119, 0, 27, 120, 212, 80, 208, 220,
    78, 0, 0, 254, 228, 33, 171, 92, 66, 212, 101, 113, 84, 55, 46, 227, 44, 181, 64, 69, 218, 158, 65, 22, 138, 13,
    197, 40, 98, 216, 48, 197, 102, 241, 192, 0,
];

const WIDTH: u32 = 17;
const HEIGHT: u32 = 9;

/// An image without sharp edges, so that lossy formats keep near it.
fn colour() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb([(x * 15) as u8, (y * 28) as u8, ((x + y) * 10) as u8]))
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decoded(bytes: &[u8]) -> Image {
    let image = decode(bytes, &Limits::default()).unwrap();
    assert_eq!((image.width(), image.height()), (WIDTH as usize, HEIGHT as usize));
    image
}

/// One valid file of every format and main variety.
fn samples() -> Vec<Vec<u8>> {
    let mut files: Vec<Vec<u8>> =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Pnm]
            .map(|format| encode(colour(), format))
            .into();
    let grey = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| Luma([(x * y) as u8]));
    files.extend([ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff].map(|format| encode(grey.clone(), format)));
    files.push(encode(DynamicImage::ImageRgb8(colour()).to_rgba8(), ImageFormat::Gif));
    files.extend([PROGRESSIVE_JPEG.to_vec(), LOSSY_WEBP.to_vec()]);
    files
}

#[test]
fn every_format_gives_its_pixels() {
    let expected = colour();
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Pnm] {
        assert_eq!(decoded(&encode(expected.clone(), format)).as_raw(), expected.as_raw(), "{format:?}");
    }
    let lossy = [encode(expected.clone(), ImageFormat::Jpeg), PROGRESSIVE_JPEG.to_vec(), LOSSY_WEBP.to_vec()];
    for (index, bytes) in lossy.into_iter().enumerate() {
        let image = decoded(&bytes);
        let error: u32 = image.as_raw().iter().zip(expected.as_raw()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        assert!(error < 12 * 3 * WIDTH * HEIGHT, "lossy sample {index}: mean error {error} / {}", 3 * WIDTH * HEIGHT);
    }
}

#[test]
fn every_sample_type_becomes_rgb8() {
    let first = |image: DynamicImage, format| decoded(&encode(image, format)).pixel(0, 0).unwrap();
    fn filled<P: ::image::Pixel>(pixel: P) -> ImageBuffer<P, Vec<P::Subpixel>> {
        ImageBuffer::from_pixel(WIDTH, HEIGHT, pixel)
    }
    let png = ImageFormat::Png;
    assert_eq!(first(filled(Luma([77u8])).into(), png), [77; 3]);
    assert_eq!(first(filled(LumaA([0u8, 64])).into(), png), [191; 3]);
    assert_eq!(first(filled(Luma([0x1234u16])).into(), png), [0x12; 3]);
    assert_eq!(first(filled(LumaA([0u16, 0x8080])).into(), png), [127; 3]);
    assert_eq!(first(filled(Rgba([10u8, 20, 30, 0])).into(), png), [255; 3]);
    assert_eq!(first(filled(Rgba([10u8, 20, 30, 255])).into(), png), [10, 20, 30]);
    assert_eq!(first(filled(Rgb([0xFFFFu16, 0x80FF, 0])).into(), png), [255, 128, 0]);
    assert_eq!(first(filled(Rgba([0u16, 0xFFFF, 0, 0xFFFF])).into(), png), [0, 255, 0]);
    assert_eq!(first(filled(Rgb([1.5f32, 0.5, -1.0])).into(), ImageFormat::Tiff), [255, 128, 0]);
    assert_eq!(first(filled(Rgba([0.0f32, f32::NAN, 1.0, 1.0])).into(), ImageFormat::Tiff), [0, 0, 255]);
}

#[test]
fn limits_are_strict_and_name_their_option() {
    let bytes = encode(colour(), ImageFormat::Png);
    let exact = Limits {
        max_bytes: bytes.len() as u64,
        max_width_px: WIDTH,
        max_height_px: HEIGHT,
        max_pixels: u64::from(WIDTH * HEIGHT),
        ..Limits::default()
    };
    assert!(decode(&bytes, &exact).is_ok());
    for (limits, option) in [
        (Limits { max_bytes: exact.max_bytes - 1, ..exact }, "limits.max_bytes"),
        (Limits { max_width_px: WIDTH - 1, ..exact }, "limits.max_width_px"),
        (Limits { max_height_px: HEIGHT - 1, ..exact }, "limits.max_height_px"),
        (Limits { max_pixels: exact.max_pixels - 1, ..exact }, "17x9 pixels, more than the limit of 152 pixels"),
        (Limits { max_decode_bytes: 100_000, ..exact }, "limits.max_decode_bytes"),
    ] {
        let error = decode(&bytes, &limits).unwrap_err().to_string();
        assert!(error.contains(option), "{error}");
    }
}

#[test]
fn the_photographs_promised_fit() {
    let jpeg = |width: u16, height: u16, frame: u8, luma: u8| {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, frame, 0, 17, 8];
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes.extend([3, 1, luma, 0, 2, 0x11, 0, 3, 0x11, 0]);
        bytes.extend([0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
        // As large as such a file is; without tables it cannot be decoded, only weighed.
        bytes.resize(usize::from(width) * usize::from(height) / 3, 0);
        decode(&bytes, &Limits::default()).unwrap_err()
    };
    let too_much = |error: &ImageError| matches!(error, ImageError::TooMuchMemory { .. });
    assert!(!too_much(&jpeg(6000, 4000, 0xC0, 0x22)), "24 megapixels, baseline");
    assert!(!too_much(&jpeg(6000, 4000, 0xC0, 0x11)), "24 megapixels, baseline, full colour");
    assert!(!too_much(&jpeg(4000, 3000, 0xC2, 0x22)), "12 megapixels, progressive");
    let error = jpeg(6000, 4000, 0xC2, 0x22);
    assert!(too_much(&error) && error.to_string().contains("progressive JPEG"), "{error}");
}

#[test]
fn what_is_no_image_is_refused_in_one_sentence() {
    let arithmetic = [0xFF, 0xD8, 0xFF, 0xC9, 0, 8, 8, 0, 1, 0, 1, 0];
    let mut cut = encode(colour(), ImageFormat::Png);
    cut.truncate(cut.len() / 2);
    for (bytes, words) in [
        (&b""[..], "0 bytes"),
        (b"not an image", "not an image in a format"),
        (b"\x89PNG\r\n\x1a\n", "IHDR"),
        (b"\xFF\xD8\xFF\xD9", "no frame"),
        (&arithmetic, "arithmetic-coded"),
        (&cut, "damaged"),
    ] {
        let error = decode(bytes, &Limits::default()).unwrap_err().to_string();
        assert!(error.contains(words) && !error.contains('\n') && !error.ends_with('.'), "{error}");
    }
}

#[test]
fn a_gif_frame_stands_at_its_place_on_white() {
    // A canvas of 3x2, red as its background colour; one frame of 1x1, blue, at (2, 1).
    let mut gif = b"GIF89a\x03\0\x02\0\x80\0\0\xFF\0\0\0\0\xFF".to_vec();
    gif.extend(b"\x2C\x02\0\x01\0\x01\0\x01\0\0\x02\x02\x4C\x01\0\x3B");
    let image = decode(&gif, &Limits::default()).unwrap();
    assert_eq!((image.width(), image.height()), (3, 2));
    assert_eq!(image.pixel(2, 1), Some([0, 0, 255]));
    assert_eq!(image.pixel(1, 1), Some([255; 3]));
}

#[test]
fn exif_turns_a_png() {
    let upright = decoded(&encode(colour(), ImageFormat::Png));
    let mut bytes = encode(colour(), ImageFormat::Png);
    // Between header and pixels; the decoder passes over the wrong checksum of a chunk it need not know.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let chunk = [&(exif.len() as u32).to_be_bytes()[..], b"eXIf", exif, &[0; 4]].concat();
    bytes.splice(33..33, chunk);
    let turned = decode(&bytes, &Limits::default()).unwrap();
    assert_eq!((turned.width(), turned.height()), (HEIGHT as usize, WIDTH as usize));
    // A quarter turn clockwise: the lower left corner comes to the upper left.
    assert_eq!(turned.pixel(0, 0), upright.pixel(0, HEIGHT as usize - 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), magic in 0usize..12) {
        let sample = samples().swap_remove(magic);
        let begun = [&sample[..sample.len().min(16)], &bytes].concat();
        for bytes in [bytes, begun] {
            prop_assert!(decode(&bytes, &small()).err() != Some(gave_up(&bytes)));
        }
    }

    #[test]
    fn damaged_files_never_panic(
        which in 0usize..12,
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = samples().swap_remove(which);
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        match decode(&bytes, &small()) {
            Ok(image) => prop_assert!(image.width() * image.height() <= 1_000_000),
            Err(error) => prop_assert!(error != gave_up(&bytes)),
        }
    }
}

/// Limits that keep a damaged size from costing time.
fn small() -> Limits {
    Limits { max_pixels: 1_000_000, max_decode_bytes: 30_000_000, ..Limits::default() }
}

/// The error by which a panic of a decoder is seen.
fn gave_up(bytes: &[u8]) -> ImageError {
    let format = ::image::guess_format(bytes).map_or("", name);
    ImageError::Damaged { format, reason: GAVE_UP.into() }
}
