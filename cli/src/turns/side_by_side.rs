//! `read` and `eval` with two pipelines against one call for each image. The built-in engine shows it on any machine; with
//! it and with ONNX Runtime's CPU provider the program itself would use one.

#[path = "../../../tests/support/mod.rs"]
mod support;

use super::two;
use crate::{Cli, Stop, Verb, eval, read};
use clap::Parser;
use edge_ocr::Pipeline;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::root;

/// Paths of images: one cannot be read, one has several pages, and some have the same name.
fn images(broken: &Path) -> Vec<String> {
    let golden = ["blank.png", "receipt.jpg", "digit.png", "columns.png", "plate.jpg", "tall.png"];
    let path = |name: &str| root().join("tests").join(name).to_str().unwrap().to_owned();
    let once: Vec<String> = golden.iter().map(|name| path(&format!("golden/{name}"))).collect();
    let between = [broken.to_str().unwrap().to_owned(), path("cases/three_pages.tif")];
    [&once[..], &between, &once, &once[..3]].concat()
}

/// Flags of the engines that there are here.
fn engines() -> Vec<Vec<String>> {
    let mut engines = vec![vec![]];
    let library = root().join("tests/onnxruntime/libonnxruntime.so.1.32.0");
    if cfg!(feature = "ort") && !support::models_missing() {
        match library.is_file() {
            true => {
                let flags = ["--engine", "ort", "--provider", "cpu", "--ort-library", library.to_str().unwrap()];
                let models = root().join("models").to_str().unwrap().to_owned();
                engines.push(flags.map(String::from).into_iter().chain(["--models-dir".into(), models]).collect());
            }
            false => drop(support::skip("ONNX Runtime (run tests/onnxruntime/fetch)")),
        }
    }
    engines
}

fn called(flags: &[&[String]], pipelines: impl FnOnce(Pipeline, usize) -> Vec<Pipeline>) -> u8 {
    let cli = Cli::try_parse_from(["edge-ocr".to_owned()].iter().chain(flags.iter().copied().flatten()));
    let ended = match cli.unwrap_or_else(|error| panic!("{error}")).verb {
        Verb::Read(args) => read::run_with(&args, pipelines),
        Verb::Eval(args) => eval::run_with(&args, pipelines),
        _ => panic!("neither"),
    };
    match ended {
        Ok(code) => code,
        Err(Stop::Error(error)) => panic!("{error}"),
        Err(_) => panic!("the result could not be written"),
    }
}

/// JSON lines without times.
fn timeless(path: &Path) -> Vec<Value> {
    let document = |line| {
        let mut document: Value = serde_json::from_str(line).unwrap();
        let object = document.as_object_mut().unwrap();
        let times = object.remove("timing_ms").or(object.remove("ms"));
        assert!(times.is_some() || document.get("error").is_some());
        document
    };
    std::fs::read_to_string(path).unwrap().lines().map(document).collect()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn two_pipelines_tell_what_one_tells() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.jpg");
    std::fs::write(&broken, &std::fs::read(root().join("tests/golden/receipt.jpg")).unwrap()[..600]).unwrap();
    let images = images(&broken);
    let out = folder.path().join("out.jsonl");
    for engine in engines() {
        let flags = ["read", "--format", "jsonl", "--output"].map(String::from);
        let flags: Vec<String> = flags.into_iter().chain([text(&out)]).chain(engine).collect();
        let mut alone: BTreeMap<&String, (u8, Vec<Value>)> = BTreeMap::new();
        for image in &images {
            alone
                .entry(image)
                .or_insert_with(|| (called(&[&flags, std::slice::from_ref(image)], |p, _| vec![p]), timeless(&out)));
        }
        let drawn = folder.path().join("drawn");
        let code = called(&[&flags, &["--annotate".into(), text(&drawn)], &images], |p, _| two(p));
        assert_eq!(code, alone[&text(&broken)].0);
        let together = timeless(&out);
        let one_by_one: Vec<&Value> = images.iter().flat_map(|image| &alone[image].1).collect();
        assert_eq!(together.len(), one_by_one.len());
        for (document, alone) in together.iter().zip(one_by_one) {
            assert_eq!(document, alone);
        }
        // Drawings of one name are numbered in the order of the images.
        for name in ["blank.png", "receipt.jpg", "digit.png"] {
            let copies =
                ["", "-2", "-3"].map(|number| std::fs::read(drawn.join(format!("{name}{number}.png"))).unwrap());
            assert!(copies.iter().all(|copy| *copy == copies[0]), "{name}");
        }
        assert_eq!(std::fs::read_dir(&drawn).unwrap().count(), images.len() - 1 + 2, "each page that could be read");
        std::fs::remove_dir_all(&drawn).unwrap();
    }
}

#[test]
fn two_pipelines_predict_what_one_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.jpg");
    std::fs::write(&broken, b"no image").unwrap();
    let labels = folder.path().join("labels.jsonl");
    let label = |image: &String| format!("{}\n", serde_json::json!({ "image": image }));
    std::fs::write(&labels, images(&broken).iter().map(label).collect::<String>()).unwrap();
    for engine in engines() {
        let predict = |name: &str, pipelines: fn(Pipeline) -> Vec<Pipeline>| {
            let out: PathBuf = folder.path().join(name);
            let flags = ["eval".to_owned(), text(&labels), "--out".to_owned(), text(&out)];
            (called(&[&flags, &engine], |p, _| pipelines(p)), timeless(&out))
        };
        let alone = predict("one", |p| vec![p]);
        assert_eq!(alone.1.len(), images(&broken).len());
        assert!(predict("two", two) == alone);
    }
}
