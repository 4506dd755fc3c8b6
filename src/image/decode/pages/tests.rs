//! Tests of files with several pages or frames, and of files that break off.

use super::super::tests::PROGRESSIVE_JPEG;
use super::super::{GAVE_UP, decode, header};
use super::*;
use ::image::codecs::gif::GifEncoder;
use ::image::codecs::jpeg::JpegEncoder;
use ::image::{DynamicImage, ExtendedColorType, Frame, GrayImage, Luma, Rgb, RgbImage, RgbaImage};
use ::tiff::encoder::{TiffEncoder, colortype};
use proptest::prelude::*;

/// A TIFF of `pages` grey pages, page n of n + 1 by 3 pixels with the values n, n + 1, …, and its first, second, …
/// directory.
fn tiff(pages: u8) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    for n in 1..=pages {
        let width = u32::from(n) + 1;
        let values: Vec<u8> = (0..3 * width as u8).map(|i| n + i).collect();
        encoder.write_image::<colortype::Gray8>(width, 3, &values).unwrap();
    }
    file.into_inner()
}

/// Where the directory of each page begins.
fn directories(file: &[u8]) -> Vec<usize> {
    header::tiff::chain(file, 99).unwrap().pages.iter().map(|page| page.at as usize).collect()
}

/// Decodes all pages: the first grey value of each, or its error.
fn all(file: &[u8], limits: Limits) -> Result<Vec<Result<u8, String>>, ImageError> {
    let pages = Pages::new(file, limits, u64::MAX)?;
    Ok(pages.map(|page| page.map(|page| page.image.as_raw()[0]).map_err(|e| e.to_string())).collect())
}

#[test]
fn pages_of_tiff_all_decoded() {
    let file = tiff(3);
    let mut pages = Pages::new(file.clone(), Limits::default(), u64::MAX).unwrap();
    assert_eq!(pages.page_count(), 3);
    for n in 1..=3 {
        assert!(!pages.is_done());
        let page = pages.next().unwrap().unwrap();
        let width = n + 1;
        assert_eq!((page.page, page.full_px, page.image.width()), (n, [width, 3], width));
        let want: Vec<u8> = (0..3 * width).map(|i| (n + i) as u8).collect();
        assert!(page.image.as_raw().iter().step_by(CHANNELS).eq(&want), "page {n}");
    }
    assert!(pages.is_done() && pages.bytes.is_none() && pages.next().is_none());
    assert_eq!(decode(&file, &Limits::default()).unwrap().width(), 2, "the first");
}

#[test]
fn pages_of_mixed_kinds_all_decoded() {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    encoder.write_image::<colortype::RGB8>(2, 1, &[1, 2, 3, 4, 5, 6]).unwrap();
    encoder.write_image::<colortype::Gray16>(2, 1, &[0x1234, 0xFFFF]).unwrap();
    encoder.write_image::<colortype::RGBA8>(2, 1, &[9, 9, 9, 255, 7, 8, 9, 255]).unwrap();
    let pages = Pages::new(file.into_inner(), Limits::default(), u64::MAX).unwrap();
    let pixels: Vec<Vec<u8>> = pages.map(|page| page.unwrap().image.into_raw()).collect();
    assert_eq!(pixels, [[1, 2, 3, 4, 5, 6], [18, 18, 18, 255, 255, 255], [9, 9, 9, 7, 8, 9]]);
}

#[test]
fn damaged_page_leaves_the_others() {
    let mut file = tiff(3);
    // The height of the second page: an entry that no decoder can do without.
    let at = directories(&file)[1];
    let entry = (at + 2..).step_by(12).find(|&at| file[at..at + 2] == 257_u16.to_le_bytes()).unwrap();
    file[entry..entry + 2].copy_from_slice(&258_u16.to_le_bytes());
    let pages = all(&file, Limits::default()).unwrap();
    assert_eq!((&pages[0], &pages[2], pages.len()), (&Ok(1), &Ok(3), 3));
    let error = pages[1].clone().unwrap_err();
    assert!(error.starts_with("page 2 of 3: this TIFF image is damaged"), "{error}");
}

#[test]
fn chain_in_a_circle_ends_with_an_error() {
    let mut file = tiff(2);
    let at = directories(&file);
    let entries = usize::from(u16::from_le_bytes([file[at[1]], file[at[1] + 1]]));
    let next = at[1] + 2 + 12 * entries;
    file[next..next + 4].copy_from_slice(&(at[0] as u32).to_le_bytes());
    let pages = all(&file, Limits::default()).unwrap();
    assert_eq!((&pages[..2], pages.len()), (&[Ok(1), Ok(2)][..], 3));
    let error = pages[2].clone().unwrap_err();
    assert!(error.contains("after page 2 its directories go round in a circle"), "{error}");
}

#[test]
fn limits_hold_over_all_pages() {
    let file = tiff(3);
    let error = |limits: Limits| all(&file, limits).unwrap_err().to_string();
    assert!(error(Limits { max_pages: 2, ..Limits::default() }).contains("more pages than the limit of 2"));
    // 2 x 3, 3 x 3 and 4 x 3 pixels.
    let said = error(Limits { max_total_pixels: 26, ..Limits::default() });
    assert!(
        said.contains("3 pages") && said.contains("27 pixels") && said.contains("limits.max_total_pixels"),
        "{said}"
    );
    let exact = Limits { max_pages: 3, max_total_pixels: 27, max_pixels: 12, ..Limits::default() };
    assert_eq!(all(&file, exact).unwrap(), [Ok(1), Ok(2), Ok(3)]);
    let pages = all(&file, Limits { max_pixels: 9, ..Limits::default() }).unwrap();
    assert!(pages[1] == Ok(2) && pages[2].as_ref().unwrap_err().contains("limits.max_pixels"), "{pages:?}");
    assert!(error(Limits { max_bytes: file.len() as u64 - 1, ..Limits::default() }).contains("limits.max_bytes"));
}

/// The notices of the first page.
fn noticed(file: &[u8]) -> Vec<Notice> {
    Pages::new(file, Limits::default(), u64::MAX).unwrap().next().unwrap().unwrap().notices
}

#[test]
fn frames_that_are_not_read_are_noticed() {
    let frame = |value: u8| Frame::new(RgbaImage::from_pixel(3, 2, ::image::Rgba([value, value, value, 255])));
    let gif = |frames: u8| {
        let mut file = Vec::new();
        GifEncoder::new(&mut file).encode_frames((1..=frames).map(|n| frame(50 * n))).unwrap();
        file
    };
    assert!(noticed(&gif(1)).is_empty());
    assert_eq!(noticed(&gif(4)), [Notice::FurtherImages { count: Some(3) }]);
    assert!(noticed(&gif(4))[0].to_string().contains("3 further"));
    for one in [&b"P5 2 1 255\n\x99\x98"[..], b"P6 1 1 255\n\x99\x98\x97", b"P4 3 1\n\x60", b"P5 1 1 65535\n\x99\x98"] {
        assert!(noticed(one).is_empty(), "{}", one.escape_ascii());
        let two = [one, b"\n", one].concat();
        assert_eq!(noticed(&two), [Notice::FurtherImages { count: None }], "{}", one.escape_ascii());
    }
}

#[test]
fn nearly_black_image_is_noticed() {
    let file = |value: u8| [b"P5 2 1 255\n", &[0, value][..]].concat();
    assert_eq!((noticed(&file(15)), noticed(&file(16))), (vec![Notice::NearlyBlack], vec![]));
    // Ten bits in sixteen are stretched.
    assert!(noticed(b"P5 2 1 65535\n\x00\x00\x03\xFF").is_empty());
}

/// An image in which every place differs from its neighbours.
fn noise(width: u32, height: u32) -> RgbImage {
    let mut state = 1_u32;
    RgbImage::from_fn(width, height, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, a, b, c] = state.to_be_bytes();
        Rgb([a, b, c])
    })
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = &mut JpegEncoder::new_with_quality(&mut file, 80);
    encoder.encode(image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
    file
}

/// A file that breaks off is an error or is said to be one, or all of its pixels are there.
#[test]
fn cut_file_is_never_taken_for_whole() {
    let image = noise(40, 50);
    let formats =
        [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Pnm, ImageFormat::Gif];
    let mut files: Vec<Vec<u8>> = formats.map(|format| encode(image.clone(), format)).into();
    files.extend([jpeg(&image), tiff(3)]);
    for file in files {
        let whole: Vec<Image> =
            Pages::new(&file, Limits::default(), u64::MAX).unwrap().map(|page| page.unwrap().image).collect();
        for end in (0..file.len()).rev().step_by(file.len() / 150 + 1) {
            for max_bytes in [u64::MAX, 1000] {
                let Ok(pages) = Pages::new(&file[..end], Limits::default(), max_bytes) else { continue };
                let pages: Vec<_> = pages.collect();
                let said = pages.iter().any(|page| match page {
                    Err(_) => true,
                    Ok(page) => page.notices.iter().any(|notice| notice.is_loss()),
                });
                let complete = || pages.iter().flatten().map(|page| &page.image).eq(&whole);
                assert!(said || complete(), "{:?} cut at {end} of {}", ::image::guess_format(&file), file.len());
            }
        }
    }
}

/// The first byte of coded data.
fn scan_start(file: &[u8]) -> usize {
    let at = file.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    at + 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]))
}

#[test]
fn jpeg_without_any_pixels_is_refused() {
    for file in [jpeg(&noise(200, 100)), jpeg(&noise(200, 8)), PROGRESSIVE_JPEG.to_vec()] {
        let start = scan_start(&file);
        for end in [start, start + 1] {
            let ended = [&file[..end], &[0xFF, 0xD9]].concat();
            for (cut, max_bytes) in [(&file[..end], u64::MAX), (&file[..end], 1), (&ended, u64::MAX), (&ended, 1)] {
                let error = all_reduced(cut, max_bytes).expect_err("nothing is there");
                assert!(error.contains("breaks off") || error.contains("damaged"), "{error}");
            }
        }
        assert!(all_reduced(&file, u64::MAX).is_ok());
    }
    // Less than the first row of blocks.
    let file = jpeg(&noise(200, 100));
    assert!(all_reduced(&file[..scan_start(&file) + 40], u64::MAX).unwrap_err().contains("breaks off"));
}

#[test]
fn cut_jpeg_to_be_reduced_gives_what_is_there() {
    let file = jpeg(&noise(200, 100));
    let page = all_reduced(&file[..file.len() * 2 / 3], 1000).unwrap();
    assert_eq!((page.image.width(), page.notices.as_slice()), (200, &[Notice::EndsEarly][..]));
    assert_eq!(all_reduced(&file, 1000).unwrap().image.width(), 25, "reduced to an eighth");
}

fn all_reduced(file: &[u8], max_bytes: u64) -> Result<Decoded, String> {
    let mut pages = Pages::new(file, Limits::default(), max_bytes).map_err(|e| e.to_string())?;
    pages.next().expect("a page").map_err(|e| e.to_string())
}

#[test]
fn grey_image_that_is_whole_is_read() {
    let file = jpeg(&RgbImage::from_pixel(64, 64, Rgb([128; 3])));
    assert!(noticed(&file).is_empty());
    let blank = encode(GrayImage::from_pixel(64, 64, Luma([255])), ImageFormat::Jpeg);
    let ends = blank.len() - 2;
    assert_eq!(noticed(&blank[..ends]), [Notice::EndsEarly], "white, and only the end is missing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn pages_of_damaged_tiff_stay_within_limits(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut file = tiff(4);
        for (at, value) in hits {
            let at = at.index(file.len());
            file[at] = value;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let limits = Limits { max_pages: 9, max_pixels: 100_000, max_decode_bytes: 4_000_000, ..Limits::default() };
        match all(&file, limits) {
            Ok(pages) => {
                prop_assert!(pages.len() <= 10);
                prop_assert!(!pages.iter().any(|page| page.as_ref().is_err_and(|error| error.contains(GAVE_UP))));
            }
            Err(error) => prop_assert!(!error.to_string().contains(GAVE_UP)),
        }
    }
}
