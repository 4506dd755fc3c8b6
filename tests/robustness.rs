//! Damaged bytes are answered with an error: never a panic, a hang or memory without bound.
//!
//! The mutations follow from fixed seeds, so that a failure can be repeated; with `EDGE_OCR_FUZZ_SECONDS` each test
//! goes on for that long. (cargo-fuzz needs a nightly compiler, which the project does without.)

mod support;

use edge_ocr::image::decode::{self, Limits};
use edge_ocr::models::{Charset, Manifest};
use image::ImageFormat;
use std::io::Cursor;
use support::fuzz::repeat;
#[cfg(feature = "tract")]
use support::models_missing;
use support::root;

/// A small generator (Marsaglia's xorshift): the tests need repeatable junk, not randomness.
struct Junk(u64);

impl Junk {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize
    }

    /// `bytes` with a few of them changed, cut out or doubled.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..1 + self.next() % 8 {
            if damaged.is_empty() {
                break;
            }
            let at = self.next() % damaged.len();
            match self.next() % 5 {
                0 => damaged.truncate(at),
                1 => drop(damaged.drain(at..(at + self.next() % 64).min(damaged.len()))),
                2 => damaged[at] = [0, 1, 0x7f, 0x80, 0xff][self.next() % 5],
                _ => damaged[at] ^= 1 << (self.next() % 8),
            }
        }
        damaged
    }
}

/// One image in every format that is read.
fn encoded() -> Vec<Vec<u8>> {
    let golden = |name: &str| std::fs::read(root().join("tests/golden").join(name)).expect(name);
    let mut files: Vec<_> = ["check.png", "plate.jpg", "word.png", "blank.png"].map(golden).into();
    let image = image::load_from_memory(&files[2]).expect("a PNG").to_rgb8();
    let others: &[ImageFormat] = if cfg!(feature = "formats") {
        &[ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff, ImageFormat::Pnm]
    } else {
        &[ImageFormat::Pnm]
    };
    for &format in others {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).expect("encoded");
        files.push(bytes.into_inner());
    }
    files
}

#[test]
fn images() {
    let mut limits = Limits::default();
    (limits.max_pixels, limits.max_decode_bytes) = (4_000_000, 32_000_000);
    let files = encoded();
    let mut junk = Junk(0x9e37_79b9_7f4a_7c15);
    repeat(200, || {
        for bytes in &files {
            let _ = decode::decode(&junk.damage(bytes), &limits);
            // The beginning of a file, which says what it is, and then nothing that follows from it.
            let mut noise = bytes[..32.min(bytes.len())].to_vec();
            noise.extend((0..junk.next() % 512).map(|_| junk.next() as u8).collect::<Vec<_>>());
            let _ = decode::decode(&noise, &limits);
        }
    });
}

#[test]
fn manifests_and_dictionaries() {
    let text = std::fs::read(root().join("models/ppocrv6-small-rec.toml")).expect("a manifest");
    let mut junk = Junk(7);
    repeat(2000, || {
        let damaged = junk.damage(&text);
        let damaged = String::from_utf8_lossy(&damaged);
        let _ = Manifest::parse(&damaged);
        let _ = Charset::parse(&damaged);
    });
}

#[cfg(feature = "tract")]
#[test]
fn networks() {
    use edge_ocr::infer::{Model, Shape, tract::TractModel};
    if models_missing() {
        return;
    }
    edge_ocr::panics::silence_caught_panics();
    let bytes = std::fs::read(root().join("models/ch_ppocr_mobile_v2.0_cls_mobile.onnx")).expect("the classifier");
    let manifest = std::fs::read_to_string(root().join("models/ppocr-mobile-v2-cls.toml")).expect("its manifest");
    let input = Manifest::parse(&manifest).expect("a manifest").input;
    let mut junk = Junk(11);
    let mut refused = 0;
    repeat(150, || match TractModel::read("damaged", &junk.damage(&bytes), &input, 1) {
        Ok(network) => refused += usize::from(network.output_shape(Shape::image(48, 192)).is_err()),
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "one line: {error}");
            refused += 1;
        }
    });
    assert!(refused > 0, "some damage is noticed");
}
