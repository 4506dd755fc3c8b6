//! Inputs that hold more than one image, nothing to be seen at first, or no image that is read: what comes out is
//! said.

mod support;

use image::{DynamicImage, GrayImage, ImageFormat, LumaA, Rgba, RgbaImage};
use serde_json::Value;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use support::{root, run};

/// The lines that the program reads in a file, with flags.
fn read(path: &Path, flags: &[&str]) -> Vec<String> {
    let (code, out, err) = run(&[&["read", path.to_str().expect("UTF-8")], flags].concat());
    assert_eq!(code, 0, "{err}");
    out.lines().map(String::from).collect()
}

/// A file of the folder with an encoded image.
fn save(folder: &tempfile::TempDir, name: &str, image: impl Into<DynamicImage>) -> std::path::PathBuf {
    let mut bytes = Cursor::new(Vec::new());
    let format = ImageFormat::from_path(name).expect("an ending");
    image.into().write_to(&mut bytes, format).expect("encoded");
    let path = folder.path().join(name);
    fs::write(&path, bytes.into_inner()).expect("written");
    path
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn case(name: &str) -> std::path::PathBuf {
    root().join("tests/cases").join(name)
}

fn open(path: &Path) -> DynamicImage {
    image::load_from_memory(&fs::read(path).expect("the file")).expect("an image")
}

#[cfg(feature = "formats")]
mod pages {
    use super::*;

    const TEXTS: [[&str; 2]; 3] =
        [["Page one", "Delivery note 100"], ["Page two", "Delivery note 101"], ["Page three", "Delivery note 102"]];

    #[test]
    fn every_page_is_in_every_format() {
        let file = case("three_pages.tif");
        let path = file.to_str().unwrap();
        for format in ["text", "json", "jsonl", "tsv", "hocr", "paddle"] {
            let (code, out, err) = run(&["read", path, "--format", format]);
            assert_eq!((code, err.as_str()), (0, ""), "{format}");
            // TSV and hOCR have a word a line.
            let words = TEXTS.iter().flatten().flat_map(|text| text.split(' '));
            words.for_each(|word| assert!(out.contains(word), "{format} has no {word}: {out}"));
        }
        let (_, out, _) = run(&["read", path, "--format", "json"]);
        let pages: Vec<Value> = serde_json::from_str(&out).unwrap();
        assert_eq!(pages.len(), 3);
        for (i, texts) in TEXTS.iter().enumerate() {
            assert_eq!((&pages[i]["page"], &pages[i]["pages"]), (&(i + 1).into(), &3.into()));
            assert_eq!([0, 1].map(|line| pages[i]["lines"][line]["text"].clone()), *texts);
        }
    }

    #[test]
    fn one_bad_page_is_an_error_beside_the_others() {
        let folder = folder();
        let mut bytes = fs::read(case("three_pages.tif")).unwrap();
        // The chain of directories, each after the one before.
        let at = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let first = at(&bytes, 4);
        let second = at(&bytes, first + 2 + 12 * usize::from(bytes[first]));
        // The first entry of the second one, its width, becomes unknown.
        bytes[second + 3] = 0xFF;
        let path = folder.path().join("pages.tif");
        fs::write(&path, &bytes).unwrap();
        let (code, out, err) = run(&["read", path.to_str().unwrap()]);
        assert_eq!(code, 4, "{err}");
        assert!(err.contains("pages.tif: page 2 of 3: "), "{err}");
        assert!(out.contains(TEXTS[0][0]) && out.contains(TEXTS[2][0]), "{out}");
    }

    #[test]
    fn pages_beyond_the_limit_are_refused() {
        let path = case("three_pages.tif");
        for (flag, value) in [("--max-pages", "2"), ("--max-total-pixels", "150000")] {
            let (code, out, err) = run(&["read", path.to_str().unwrap(), flag, value]);
            assert_eq!((code, out.as_str()), (4, ""), "{err}");
            assert!(err.contains(flag), "{err}");
        }
    }

    #[test]
    fn pages_are_evaluated_and_drawn() {
        let folder = folder();
        fs::copy(case("three_pages.tif"), folder.path().join("a.tif")).unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("labels.jsonl"), "{\"image\": \"a.tif\"}\n").unwrap();
        let (code, _, err) = run(&["eval", &path("labels.jsonl"), "--out", &path("out.jsonl")]);
        assert_eq!(code, 0, "{err}");
        let out: Value = serde_json::from_str(&fs::read_to_string(path("out.jsonl")).unwrap()).unwrap();
        let lines: Vec<_> = out["lines"].as_array().unwrap().iter().map(|line| line["text"].clone()).collect();
        assert_eq!(lines, TEXTS.concat());
        assert_eq!(run(&["read", &path("a.tif"), "--annotate", &path("drawn.png")]).0, 0);
        for name in ["drawn.png", "drawn-2.png", "drawn-3.png"] {
            assert!(folder.path().join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn frames_that_are_not_read_are_told() {
        let folder = folder();
        let frame = image::Frame::new(open(&root().join("tests/golden/word.png")).to_rgba8());
        let mut gif = Vec::new();
        image::codecs::gif::GifEncoder::new(&mut gif).encode_frames(vec![frame; 3]).unwrap();
        let path = folder.path().join("frames.gif");
        fs::write(&path, gif).unwrap();
        let (code, out, err) = run(&["read", path.to_str().unwrap(), "--format", "json"]);
        assert_eq!(code, 0, "{err}");
        assert!(err.contains("frames.gif: ") && err.contains("2 further"), "{err}");
        let out: Value = serde_json::from_str(&out).unwrap();
        assert!(out["warnings"][0].as_str().is_some_and(|warning| warning.contains("2 further")), "{out}");
    }
}

#[test]
fn transparent_images_are_read_on_either_ground() {
    const TEXTS: [&str; 3] = ["Pump station 4", "Flow 12.7 m3/h", "Service due 2027"];
    let folder = folder();
    let white = open(&case("white_on_transparent.png")).to_rgba8();
    let changed = |change: fn(Rgba<u8>) -> Rgba<u8>| -> RgbaImage {
        let mut image = white.clone();
        image.pixels_mut().for_each(|pixel| *pixel = change(*pixel));
        image
    };
    let dark = changed(|Rgba([_, _, _, a])| Rgba([20, 20, 60, a]));
    let grey = DynamicImage::from(dark.clone()).to_luma_alpha8();
    let pale = changed(|Rgba([r, g, b, a])| Rgba([r, g, b, (u16::from(a) * 2 / 3) as u8]));
    let wide = DynamicImage::from(white.clone()).to_luma_alpha16();
    for path in [
        case("white_on_transparent.png"),
        save(&folder, "dark.png", dark),
        save(&folder, "grey.png", grey),
        save(&folder, "pale.png", pale),
        save(&folder, "wide.png", wide),
        save(&folder, "luma.png", DynamicImage::from(white.clone()).to_luma_alpha8()),
    ] {
        assert_eq!(read(&path, &[]), TEXTS, "{}", path.display());
    }
}

#[test]
fn sixteen_bit_images_of_few_bits_are_read() {
    let folder = folder();
    let word = open(&root().join("tests/golden/word.png")).to_luma8();
    let expected = read(&save(&folder, "plain.png", word.clone()), &[]);
    assert!(!expected.is_empty());
    for bits in [10, 12, 14, 16] {
        let scaled = |&value: &u8| (u32::from(value) * ((1 << bits) - 1) / 255) as u16;
        let wide = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(
            word.width(),
            word.height(),
            word.as_raw().iter().map(scaled).collect::<Vec<u16>>(),
        )
        .unwrap();
        assert_eq!(read(&save(&folder, "wide.png", wide), &[]), expected, "{bits} bits");
    }
}

#[test]
fn otsu_reads_displays_with_unlit_segments() {
    let folder = folder();
    let display = open(&case("display_ghost_segments_2.png"));
    let mut inverted = display.clone();
    inverted.invert();
    let flags = ["--line", "--allowed-chars", "0123456789.", "--enhance", "otsu"];
    for path in [case("display_ghost_segments_2.png"), save(&folder, "lit.png", inverted)] {
        assert_eq!(read(&path, &flags), ["0217.4"], "{}", path.display());
    }
}

#[test]
fn mirrored_images_are_read_when_told() {
    let folder = folder();
    for name in ["tests/golden/word.png", "tests/golden/slanted.png"] {
        let path = save(&folder, "mirrored.png", open(&root().join(name)).fliph());
        assert_eq!(read(&path, &["--mirror"]), read(&root().join(name), &[]), "{name}");
    }
}

#[test]
fn formats_that_are_not_read_are_named() {
    let folder = folder();
    let files: [(&str, &[u8], &str); 5] = [
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        ("b.avif", b"\0\0\0\x1Cftypavif\0\0\0\0avifmif1miaf", "AVIF"),
        ("c.pdf", b"%PDF-1.7\n", "PDF"),
        // By its content, whatever its name says.
        ("d.jpg", b"\0\0\0\x0CjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000"),
        ("e.svg", b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "SVG"),
    ];
    for (name, bytes, format) in files {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let (code, _, err) = run(&["read", path.to_str().unwrap()]);
        assert_eq!(code, 4, "{name}");
        assert!(err.contains(name) && err.contains(format) && err.contains("cannot be read"), "{err}");
    }
    fs::copy(root().join("tests/golden/word.png"), folder.path().join("f.png")).unwrap();
    let (code, out, err) = run(&["read", folder.path().to_str().unwrap()]);
    assert_eq!(code, 4, "{err}");
    assert!(!out.is_empty() && err.contains("5 of 6 images could not be read"), "{out}{err}");
    files.iter().for_each(|(name, _, format)| assert!(err.contains(name) && err.contains(format), "{err}"));
}

#[test]
fn jpeg_without_any_pixels_is_an_error() {
    let folder = folder();
    let bytes = fs::read(root().join("tests/golden/receipt.jpg")).unwrap();
    let scan = bytes.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    for (name, end) in [("nothing.jpg", scan + 14), ("little.jpg", scan + 100)] {
        let path = folder.path().join(name);
        fs::write(&path, &bytes[..end]).unwrap();
        let (code, out, err) = run(&["read", path.to_str().unwrap()]);
        assert_eq!((code, out.as_str()), (4, ""), "{name}: {err}");
        assert!(err.contains(name) && err.contains("breaks off"), "{err}");
    }
}

#[test]
fn black_image_is_told() {
    let folder = folder();
    let path = save(&folder, "black.png", GrayImage::new(64, 48));
    let (code, out, err) = run(&["read", path.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.contains("black.png: the image is nearly black"), "{err}");
    let clear = image::ImageBuffer::from_pixel(64, 48, LumaA([0_u8, 0]));
    assert_eq!(run(&["read", save(&folder, "clear.png", clear).to_str().unwrap()]).2, "");
}
