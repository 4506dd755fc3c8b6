use super::*;
use crate::output::tests::{HOSTILE, page, push, rect};

/// The font the program carries.
fn shipped_font() -> Font {
    Font::from_bytes(include_bytes!("../font/DejaVuSans-subset.ttf")).expect("a font")
}

#[test]
fn bytes_that_are_no_font_are_refused() {
    for bytes in [&b""[..], b"no font at all", &[0; 64]] {
        let error = Font::from_bytes(bytes).expect_err("no font");
        assert!(error.to_string().starts_with("the font cannot be"), "{error}");
    }
}

const GREY: image::Rgb<u8> = image::Rgb([128, 128, 128]);

/// How many pixels of a part of an image are dark, as letters are.
fn ink(image: &image::RgbImage, xs: std::ops::Range<u32>, ys: std::ops::Range<u32>) -> usize {
    let pixels = xs.flat_map(|x| ys.clone().map(move |y| (x, y)));
    pixels.filter(|&(x, y)| image.get_pixel(x, y).0.iter().all(|value| *value < 130)).count()
}

#[test]
fn annotated_text_stands_beside_image_at_its_place() {
    let font = shipped_font();
    let mut page = page(&[]);
    let (box_of, green) = (rect(20.0, 40.0, 100.0, 60.0), image::Rgb([0, 140, 60]));
    push(&mut page, "Hi", box_of, 0, 0.95);
    let image = annotate(&page, image::RgbImage::from_pixel(200, 140, GREY), &font).expect("memory");
    assert_eq!(image.dimensions(), (402, 140));
    for x in [0, 202] {
        assert_eq!(*image.get_pixel(x + 70, 100), green, "the box");
        assert_eq!(*image.get_pixel(x + 70, 101), green);
    }
    let covered = (0..200).flat_map(|x| (0..140).map(move |y| (x, y))).filter(|&(x, y)| *image.get_pixel(x, y) != GREY);
    assert!(covered.clone().all(|(x, y)| *image.get_pixel(x, y) == green), "nothing but boxes on the image");
    assert!(ink(&image, 224..320, 44..98) > 100, "letters in the box");
    assert_eq!(ink(&image, 202..402, 0..40) + ink(&image, 202..402, 102..140), 0, "and nowhere else");
}

#[test]
fn annotated_text_fits_its_box_and_its_direction() {
    let font = shipped_font();
    for (text, quad, turns) in [
        ("text that is too long", rect(20.0, 20.0, 140.0, 60.0), 0),
        ("upwards", rect(20.0, 20.0, 20.0, 100.0), 1),
        ("on its head", rect(20.0, 20.0, 100.0, 20.0), 2),
    ] {
        let mut page = page(&[]);
        push(&mut page, text, quad, turns, 0.5);
        let image = annotate(&page, image::RgbImage::from_pixel(200, 140, GREY), &font).expect("memory");
        let ([left, top], [right, bottom]) = (quad[0].map(|v| v as u32), quad[2].map(|v| v as u32));
        let all = ink(&image, 202..402, 0..140);
        assert!(all > 30, "{text}: {all} pixels");
        assert_eq!(ink(&image, 202 + left..203 + right, top..bottom + 1), all, "{text}: all in the box");
        // The letters fill the length.
        let (half, long) = ((bottom - top) / 2, bottom - top > right - left);
        let ends = if long {
            [
                ink(&image, 202 + left..202 + right, top..top + half),
                ink(&image, 202 + left..202 + right, top + half..bottom),
            ]
        } else {
            let middle = (left + right) / 2;
            [ink(&image, 202 + left..202 + middle, top..bottom), ink(&image, 202 + middle..202 + right, top..bottom)]
        };
        assert!(ends.iter().all(|end| *end > 10), "{text}: {ends:?}");
    }
}

#[test]
fn annotated_wide_image_has_texts_below() {
    let mut page = page(&[]);
    push(&mut page, "Hi", rect(20.0, 10.0, 100.0, 30.0), 0, 0.95);
    let image = annotate(&page, image::RgbImage::from_pixel(300, 60, GREY), &shipped_font()).expect("memory");
    assert_eq!(image.dimensions(), (300, 122));
    assert!(ink(&image, 20..120, 74..102) > 50);
}

#[test]
fn annotation_never_panics() {
    let font = shipped_font();
    let mut page = page(&["漢字 ภาษาไทย \u{10ffff}", HOSTILE, ""]);
    push(&mut page, &"long ".repeat(500), [[-1e30, f32::NAN], [1e30, 5.0], [f32::INFINITY, 1e9], [3.0, -7e8]], 1, 0.1);
    push(&mut page, "corner", rect(199.0, 99.0, 1.0, 1.0), 0, 0.7);
    push(&mut page, "flat", rect(10.0, 10.0, 100.0, 0.0), 3, 0.7);
    for (width, height) in [(200, 100), (1, 1), (0, 0), (3, 500)] {
        annotate(&page, image::RgbImage::new(width, height), &font).expect("memory");
    }
}
