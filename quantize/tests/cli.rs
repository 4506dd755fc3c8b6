//! The verbs as people call them.
#![cfg(feature = "onnx")]

mod proto;

use edge_ocr_engine::plan::Plan;
use edge_ocr_engine::{Answer, Executor, Kernels};
use edge_ocr_quantize::plan::AlignedBytes;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("edge-ocr-quantize-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn models(name: &str) -> String {
    format!("{}/../models/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn quantize(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quantize")).args(args).output().unwrap()
}

fn succeeds(args: &[&str]) -> String {
    let out = quantize(args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Fails with this exit code and one sentence, which is given.
fn fails(code: i32, args: &[&str]) -> String {
    let out = quantize(args);
    let sentence = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(code), "{args:?}: {sentence}");
    assert!(sentence.starts_with("quantize: ") && sentence.lines().count() == 1, "{sentence}");
    assert!(out.stdout.is_empty());
    sentence
}

#[test]
fn plan_gives_a_plan_that_runs() {
    let folder = Folder::new("plan");
    let (model, out, map) = (models("ppocrv6-small-rec.q8"), folder.file("rec.plan"), folder.file("rec.txt"));
    let svg = folder.file("rec.svg");
    let said = succeeds(&[
        "plan",
        &model,
        "--charset",
        "digits",
        "--size",
        "48x160",
        "--size",
        "48x320",
        "--target",
        "board",
        "--out",
        &out,
        "--map",
        &map,
        "--svg",
        &svg,
    ]);
    assert!(said.starts_with("ppocrv6-small-rec-digits: plan of "), "{said}");
    assert!(said.contains("48x320: arena "), "{said}");
    assert!(std::fs::read_to_string(&map).unwrap().contains("48x320"));
    assert!(Path::new(&folder.file("rec-48x160.svg")).exists());

    let bytes = AlignedBytes::copy(&std::fs::read(&out).unwrap());
    assert!(Plan::load_for(bytes.bytes(), "another").is_err());
    let plan = Plan::load_for(bytes.bytes(), "board").unwrap();
    assert_eq!((plan.header().classes, plan.header().variants), (28, 2));
    let mut arena = AlignedBytes::zeroed(plan.arena_bytes(1));
    let mut executor = Executor::new(&plan, 0, arena.bytes_mut(), Kernels::detect().unwrap(), 1).unwrap();
    executor.input_mut().fill(128);
    executor.run().unwrap();
    let Answer::F32(values) = executor.output() else { panic!("no probabilities") };
    let tokens: Vec<&[f32]> = values.chunks_exact(28).collect();
    // A line without text is blank (class 0) from end to end.
    assert!(tokens.len() == 20 && tokens.iter().all(|token| token[0] > 0.5), "{tokens:?}");
}

#[test]
fn plan_takes_sizes_charset_and_threads_from_a_board() {
    let folder = Folder::new("board");
    let (model, out) = (models("ppocrv6-small-rec.q8"), folder.file("rec.plan"));
    let board = models("../targets/pi-zero2w.toml");
    let said = succeeds(&["plan", &model, "--target", &board, "--out", &out]);
    assert!(said.contains("for pi-zero2w") && said.contains("48x1600: arena "), "{said}");
    assert!(said.contains("with 4 threads"), "{said}");
    let bytes = AlignedBytes::copy(&std::fs::read(&out).unwrap());
    assert_eq!(Plan::load_for(bytes.bytes(), "pi-zero2w").unwrap().header().variants, 12);
    let cls = models("ppocr-mobile-v2-cls.q8");
    assert!(fails(2, &["plan", &cls, "--target", &board, "--out", &out]).contains("--size"));
    assert!(fails(2, &["plan", &cls, "--target", "t", "--out", &out]).contains("--size"));
}

#[test]
fn plan_refuses_what_it_cannot_use() {
    let folder = Folder::new("refuse");
    let out = folder.file("x.plan");
    let plan = |code, model: &str, more: &[&str]| {
        let given = [&["plan", model, "--target", "t", "--out", &out, "--size"], more].concat();
        let sentence = fails(code, &given);
        assert!(!Path::new(&out).exists());
        sentence
    };
    let (det, rec) = (models("ppocrv6-small-det.q8"), models("ppocrv6-small-rec.q8"));
    let broken = folder.file("broken.q8");
    std::fs::write(&broken, &std::fs::read(&det).unwrap()[..5000]).unwrap();
    assert!(plan(3, &broken, &["64x64"]).contains("broken.q8"));
    assert!(plan(2, &det, &["50x64"]).contains("50x64"));
    assert!(plan(2, &det, &["64x64", "--charset", "latin"]).contains("recogniser"));
    let charset = folder.file("charset.txt");
    std::fs::write(&charset, "0\n1\n\u{e000}\n").unwrap();
    assert!(plan(2, &rec, &["48x320", "--charset", &charset]).contains("'\\u{e000}'"));
    assert!(plan(2, &rec, &["48x320", "--charset", "klingon"]).contains("\"klingon\""));
}

#[test]
fn an_operation_that_is_not_known_is_named() {
    let folder = Folder::new("onnx");
    let (onnx, manifest) = (folder.file("net.onnx"), models("ppocr-mobile-v2-cls.toml"));
    let show = |nodes: &[&proto::Node]| {
        std::fs::write(&onnx, proto::model(nodes)).unwrap();
        fails(2, &["show", &onnx, "--manifest", &manifest, "--size", "8", "8"])
    };
    // This one is known, but no network of the family is made of it alone.
    let relu = proto::Node { name: "my_relu", op: "Relu", inputs: &["x"], outputs: &["y"] };
    assert!(show(&[&relu]).contains("its first operation my_relu is no plain convolution"));
    let lstm = proto::Node { name: "my_lstm", op: "LSTM", inputs: &["y"], outputs: &["z"] };
    let sentence = show(&[&relu, &lstm]);
    assert!(sentence.contains("node my_lstm (LSTM) cannot be quantised"), "{sentence}");
    assert!(sentence.contains("quantize/src/import"), "{sentence}");
    // Nothing that is ONNX at all.
    std::fs::write(&onnx, b"PK\x03\x04 not a network").unwrap();
    assert!(fails(2, &["show", &onnx, "--manifest", &manifest]).contains("net.onnx"));
}

#[test]
fn calibrate_refuses_another_file_than_its_manifests() {
    let folder = Folder::new("sha");
    let onnx = folder.file("net.onnx");
    let node = proto::Node { name: "n", op: "Relu", inputs: &["x"], outputs: &["y"] };
    std::fs::write(&onnx, proto::model(&[&node])).unwrap();
    let (manifest, out) = (models("ppocr-mobile-v2-cls.toml"), folder.file("out.q8"));
    let args = ["calibrate", "--model", &onnx, "--manifest", &manifest, "--images", "x", "--data", ".", "--out", &out];
    assert!(fails(4, &args).contains("sha256"));
}
