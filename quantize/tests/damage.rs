//! Files that are not what they should be: every one is refused in one sentence, none does harm.
//!
//! `EDGE_OCR_FUZZ_SECONDS` is how long damage is tried at random, per test; `EDGE_OCR_FUZZ_SEED` repeats a run.

mod networks;

use edge_ocr_engine::plan::crc32;
use edge_ocr_quantize::Model;
use edge_ocr_quantize::interpreter::{self, Mode};
use edge_ocr_quantize::plan::{Options, compile};
use edge_ocr_quantize::q8::VERSION;
use std::time::{Duration, Instant};

/// A file's header: 8 bytes of magic, 4 of version, 8 of the body's length.
const HEADER: usize = 20;

fn refusal(bytes: &[u8]) -> String {
    let sentence = Model::from_bytes("a.q8", bytes).expect_err("it was taken for a model").to_string();
    assert!(sentence.starts_with("the quantised model a.q8 cannot be used: "), "{sentence}");
    assert!(sentence.contains("; ") && !sentence.contains('\n') && sentence.len() < 300, "{sentence}");
    sentence
}

fn shipped() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ppocr-mobile-v2-cls.q8")).unwrap()
}

/// Puts the right length before a changed body and the right checksum behind it.
fn seal(bytes: &mut [u8]) {
    let end = bytes.len() - 4;
    bytes[12..HEADER].copy_from_slice(&((end - HEADER) as u64).to_le_bytes());
    let crc = crc32(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_file_that_is_cut_short_or_too_long() {
    let whole = shipped();
    Model::from_bytes("a.q8", &whole).unwrap();
    for len in (0..64).chain((64..whole.len()).step_by(4999)).chain(whole.len() - 8..whole.len()) {
        refusal(&whole[..len]);
    }
    let mut long = whole.clone();
    long.push(0);
    assert!(refusal(&long).contains("bytes where"));
}

#[test]
fn a_flipped_bit_anywhere() {
    let whole = shipped();
    for at in (0..64).chain((64..whole.len()).step_by(3001)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        refusal(&bytes);
    }
}

#[test]
fn another_version_and_another_kind_of_file() {
    let mut bytes = shipped();
    bytes[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let sentence = refusal(&bytes);
    assert!(sentence.contains(&format!("version {}", VERSION + 1)) && sentence.contains("make it again"), "{sentence}");
    assert!(refusal(b"\x08\x07\x12\x07pytorch").contains("does not begin like a .q8 file"));
    let mut claims = shipped();
    claims[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&claims).contains("claims"));
}

#[test]
fn files_that_cannot_be_opened() {
    for path in ["no/such/model.q8", env!("CARGO_MANIFEST_DIR")] {
        let sentence = Model::load(path.as_ref()).unwrap_err().to_string();
        assert!(sentence.contains(path) && sentence.contains("; "), "{sentence}");
    }
}

/// Bodies changed at random behind a checksum that matches: what is still taken for a model must also compile and
/// run, or be refused, without a panic.
#[test]
fn a_body_that_lies() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let until = Instant::now() + Duration::from_secs(variable("EDGE_OCR_FUZZ_SECONDS").unwrap_or(2));
    let seed = variable("EDGE_OCR_FUZZ_SEED").unwrap_or(1);
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let files: Vec<Vec<u8>> =
        networks::all().iter().chain([&networks::islands()]).map(|m| m.to_bytes().unwrap()).collect();
    let [size @ [h, w], _] = networks::SIZES;
    let pixels = vec![90; h * w * 3];
    let (mut tried, mut taken, mut compiled) = (0, 0, 0);
    while Instant::now() < until {
        for file in &files {
            let mut bytes = file.clone();
            for _ in 0..1 + random(4) {
                let at = HEADER + random(bytes.len() - HEADER - 4);
                // Numbers at the edges of their types do more harm than others.
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
            }
            let at = HEADER + random(bytes.len() - HEADER - 4);
            match random(8) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, random(256) as u8),
                _ => {}
            }
            seal(&mut bytes);
            tried += 1;
            let Ok(model) = Model::from_bytes("a.q8", &bytes) else {
                refusal(&bytes);
                continue;
            };
            taken += 1;
            // What is valid but huge is for whoever asks for it.
            let Ok(shapes) = model.graph.shapes(h, w) else { continue };
            if shapes.iter().any(|s| s.len() > 1 << 18) {
                continue;
            }
            let options = Options { target: "test".into(), sizes: vec![size] };
            compiled += usize::from(compile(&model, &options).is_ok());
            let _ = interpreter::run(&model.graph, &pixels, h, w, Mode::Int);
        }
    }
    eprintln!("seed {seed}: {tried} files, {taken} taken for models, {compiled} compiled");
    assert!(tried > taken && compiled > 0, "{tried} {taken} {compiled}");
}
