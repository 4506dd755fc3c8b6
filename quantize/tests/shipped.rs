//! The shipped `.q8` files are those whose checksums are written down, and say where they come from.

use edge_ocr_quantize::Model;
use sha2::Digest;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn models() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../models").into()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(models().join(name)).unwrap_or_else(|e| panic!("models/{name}: {e}"))
}

/// File name to checksum, as `sha256sum` writes them.
fn sums() -> BTreeMap<String, String> {
    let sums = text("SHA256SUMS");
    let pair = |line: &str| line.split_once("  ").map(|(sum, name)| (name.to_string(), sum.to_string()));
    sums.lines().map(|line| pair(line).unwrap_or_else(|| panic!("SHA256SUMS: {line}"))).collect()
}

#[test]
fn checksums_are_right_and_complete() {
    let is_q8 = |name: &String| name.ends_with(".q8");
    let files = std::fs::read_dir(models()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    let files: BTreeMap<String, String> = files
        .filter(is_q8)
        .map(|name| {
            let hash = sha2::Sha256::digest(std::fs::read(models().join(&name)).unwrap());
            (name, hash.iter().map(|b| format!("{b:02x}")).collect())
        })
        .collect();
    assert!(!files.is_empty());
    assert_eq!(files, sums(), "make them again with models/quantise, which writes SHA256SUMS");
}

#[test]
fn provenance_matches_the_manifest_and_the_readme() {
    let readme = text("README.md");
    for (file, sum) in sums() {
        let model = Model::load(&models().join(&file)).unwrap();
        let name = file.trim_end_matches(".q8");
        assert_eq!(model.name, name);
        let manifest = text(&format!("{name}.toml"));
        let from = &model.provenance;
        assert_eq!(from.source, name);
        assert!(manifest.contains(&format!("sha256 = \"{}\"", from.sha256)), "{file} was made from another ONNX file");
        assert!(manifest.contains(&format!("licence = \"{}\"", from.licence)), "{file}");
        for fact in [&sum, &from.sha256, &from.licence, &from.calibration] {
            assert!(readme.contains(fact.as_str()), "models/README.md does not say {fact} of {file}");
        }
    }
}
