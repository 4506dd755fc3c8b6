//! Decoding against the development data: broken and malicious files, and photographs that EXIF turns.
//!
//! The data is not part of the repository. Without it the tests print that they were skipped; in CI they fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use edge_ocr::image::decode::{Limits, decode};
use edge_ocr::image::{Image, ImageError};
use serde_json::Value;

/// The folder `name` of the data and its labels, or `None` where there is no data.
fn data(name: &str) -> Option<(PathBuf, Vec<Value>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    let Ok(labels) = fs::read_to_string(folder.join("labels.jsonl")) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", folder.display());
        println!("skipped: {} is missing", folder.display());
        return None;
    };
    let labels = labels.lines().map(|line| serde_json::from_str(line).expect("a label a line")).collect();
    Some((folder, labels))
}

fn text<'a>(label: &'a Value, key: &str) -> &'a str {
    label[key].as_str().unwrap_or_else(|| panic!("{key} is missing in {label}"))
}

/// Greatest memory of this process so far, in MB; `None` where the system does not tell.
fn peak_mb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1000)
}

#[test]
fn hostile_files_get_what_they_deserve() {
    let Some((folder, labels)) = data("hostile") else { return };
    let mut wrong = Vec::new();
    for label in &labels {
        let name = text(label, "image");
        let bytes = fs::read(folder.join(name)).expect("the file of the label");
        let start = Instant::now();
        let outcome = decode(&bytes, &Limits::default());
        if start.elapsed() > Duration::from_secs(20) {
            wrong.push(format!("{name} took {:?}", start.elapsed()));
        }
        if let Err(error) = &outcome {
            let sentence = error.to_string();
            if sentence.contains('\n') || sentence.len() > 400 || matches!(error, ImageError::OutOfMemory { .. }) {
                wrong.push(format!("{name} is refused with: {sentence}"));
            }
        }
        match (text(label, "expect"), outcome) {
            // A board build is without these.
            ("decode", Err(ImageError::Unsupported { format, .. }))
                if cfg!(not(feature = "formats")) && ["BMP", "GIF", "TIFF", "WebP"].contains(&format) => {}
            ("decode", Err(error)) => wrong.push(format!("{name} should decode: {error}")),
            ("error", Ok(image)) => wrong.push(format!("{name} should be refused: {image:?}")),
            ("decode" | "error" | "error_or_bounded" | "any", _) => {}
            (expect, _) => wrong.push(format!("{name} expects {expect}, which this test does not know")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(labels.len(), 92, "the data changed: look at the new files");
    // Other tests of this process count too.
    if let Some(peak) = peak_mb() {
        assert!(peak < 150, "{peak} MB");
    }
}

/// Mean difference of two images of one size, in grey levels.
fn difference(a: &Image, b: &Image) -> f64 {
    let sum: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.as_raw().len() as f64
}

#[test]
fn exif_orientations_come_out_upright() {
    let Some((folder, labels)) = data("exif") else { return };
    // The images of one series show the same, whatever their orientation (a photograph has its number drawn on it).
    for (series, allowed) in [("Landscape_", 8.0), ("receipt_", 2.0)] {
        let mut first: Option<Image> = None;
        for label in labels.iter().filter(|label| text(label, "image").contains(series)) {
            let name = text(label, "image");
            let bytes = fs::read(folder.join(name)).expect("the file of the label");
            let image = decode(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let first = first.get_or_insert_with(|| image.clone());
            let size = |p: &Image| (p.width(), p.height());
            assert_eq!(size(&image), size(first), "{name}");
            let found = difference(&image, first);
            assert!(found < allowed, "{name} differs by {found}");
        }
        assert!(first.is_some(), "no image of {series}");
    }
}
