//! The engine `ort` with a real library of ONNX Runtime on the CPU, and with libraries that are none. Each run is a
//! process of its own, because a process loads one library for good.
#![cfg(feature = "ort")]

mod support;

use std::path::{Path, PathBuf};
use support::{finish, models_missing, program, root, skip};

/// The library that `tests/onnxruntime/fetch` brings. `None`, and said, where it is not here.
fn library() -> Option<PathBuf> {
    let path = root().join("tests/onnxruntime/libonnxruntime.so.1.32.0");
    if path.is_file() {
        return Some(path);
    }
    skip("ONNX Runtime (run tests/onnxruntime/fetch)");
    None
}

/// Runs the program with the engine `ort` and nothing that says where its library is; gives exit code, standard
/// output, standard error.
fn ort(args: &[&str]) -> (i32, String, String) {
    let mut command = program();
    command.env_remove("ORT_DYLIB_PATH").args(&args[..1]).args(["--engine", "ort"]).args(&args[1..]);
    finish(command.output().expect("the program starts"))
}

const IMAGES: [&str; 3] = ["tests/golden/receipt.jpg", "tests/golden/columns.png", "tests/golden/plate.jpg"];

#[test]
fn cpu_reads_what_the_float_engine_reads() {
    let Some(library) = library().filter(|_| !models_missing()) else { return };
    let library = library.to_str().unwrap();
    for image in IMAGES {
        let read = |engine: &[&str]| {
            let output = program().args(["read", "--format", "text"]).args(engine).arg(image).output();
            let (code, text, errors) = finish(output.expect("the program starts"));
            assert_eq!((code, errors.as_str()), (0, ""), "{engine:?}");
            text
        };
        let float = read(&["--engine", "tract"]);
        assert!(!float.trim().is_empty());
        for batch in ["1", "4"] {
            let flags = ["--engine", "ort", "--provider", "cpu", "--ort-library", library, "--rec-batch", batch];
            assert_eq!(read(&flags), float, "{image}, batches of {batch}");
        }
    }
}

#[test]
fn json_and_check_say_what_ran() {
    let Some(library) = library().filter(|_| !models_missing()) else { return };
    let library = library.to_str().unwrap();
    let flags = ["--provider", "cpu", "--ort-library", library];
    let (code, text, errors) = ort(&[&["read", "--format", "json", IMAGES[0]], &flags[..]].concat());
    assert_eq!((code, errors.as_str()), (0, ""));
    let page: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(page["engine"], "ort");
    for model in ["ppocrv6-small-det", "ppocrv6-small-rec"] {
        let ran = &page["models"]["ran"][model];
        assert_eq!((&ran["requested"], &ran["ran"], &ran["library"]), (&"cpu".into(), &"cpu".into(), &"1.32.0".into()));
        assert!(ran["nodes"]["cpu"].as_u64().unwrap() > 50, "{ran}");
    }
    let (code, text, errors) = ort(&[&["check"], &flags[..]].concat());
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(
        text.contains("ppocrv6-small-det: CPU of ONNX Runtime 1.32.0, fp32; nodes: TensorRT 0, CUDA 0, CPU "),
        "{text}"
    );
}

#[test]
fn nothing_is_left_in_home_or_temporary_folder() {
    let Some(library) = library().filter(|_| !models_missing()) else { return };
    let [home, temporary] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    // The second cannot be opened: no network.
    for model in ["ppocrv6-small-det", "tests/golden/check.png"] {
        let mut command = program();
        command.args([
            "read",
            "--engine",
            "ort",
            "--provider",
            "cpu",
            "--det-model",
            model,
            IMAGES[0],
            "--ort-library",
        ]);
        command.arg(&library).env("HOME", home.path()).env("TMPDIR", temporary.path());
        command.env_remove("XDG_CACHE_HOME").env_remove("ORT_DISABLE_TELEMETRY");
        let (code, ..) = finish(command.output().expect("the program starts"));
        assert_eq!(code, if model.ends_with("png") { 3 } else { 0 });
    }
    for folder in [&home, &temporary] {
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{}", folder.path().display());
    }
}

#[test]
fn missing_temporary_folder_costs_one_sentence() {
    let Some(library) = library().filter(|_| !models_missing()) else { return };
    let mut command = program();
    command.args(["read", "--engine", "ort", "--provider", "cpu", IMAGES[0], "--ort-library"]).arg(&library);
    let (code, _, errors) = finish(command.env("TMPDIR", "/nowhere").output().expect("the program starts"));
    assert_eq!(code, 6, "{errors}");
    assert!(errors.lines().count() == 1 && errors.contains("TMPDIR"), "{errors}");
}

#[test]
fn flags_of_the_engine_need_the_engine() {
    for flags in
        [&["--provider", "cuda"][..], &["--provider", "tensorrt"], &["--ort-library", "x.so", "--engine", "tract"]]
    {
        let output = program().arg("read").args(flags).arg(IMAGES[0]).output().expect("the program starts");
        let (code, text, errors) = finish(output);
        assert_eq!((code, text.as_str()), (2, ""), "{errors}");
        assert!(errors.contains("--engine ort"), "{errors}");
    }
}

#[test]
fn allowed_characters_and_patterns_hold() {
    let Some(library) = library().filter(|_| !models_missing()) else { return };
    let flags = ["--provider", "cpu", "--ort-library", library.to_str().unwrap(), "--allowed-chars", "0123456789"];
    let (code, text, _) = ort(&[&["read", "--format", "text", IMAGES[0]], &flags[..]].concat());
    assert_eq!(code, 0);
    assert!(
        text.chars().any(|c| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace()),
        "{text}"
    );
}

#[test]
fn gpu_without_a_provider_is_refused() {
    let Some(library) = library() else { return };
    for (provider, name) in [("tensorrt", "TensorRT"), ("cuda", "CUDA")] {
        let (code, text, errors) =
            ort(&["read", "--provider", provider, "--ort-library", library.to_str().unwrap(), IMAGES[0]]);
        assert_eq!((code, text.as_str()), (6, ""), "{errors}");
        assert!(errors.lines().count() == 1 && errors.contains(name), "{errors}");
    }
}

#[test]
fn fallback_reads_and_names_what_ran() {
    let Some(library) = library() else { return };
    let flags = ["--provider", "tensorrt", "--allow-fallback", "--ort-library", library.to_str().unwrap()];
    let (code, text, errors) = ort(&[&["read", "--format", "json", IMAGES[0]], &flags[..]].concat());
    let page: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 0);
    assert!(!page["lines"].as_array().unwrap().is_empty());
    let ran = &page["models"]["ran"]["ppocrv6-small-det"];
    assert_eq!((&ran["requested"], &ran["ran"], &ran["precision"]), (&"tensorrt".into(), &().into(), &"int8".into()));
    assert!(errors.contains("the INT8 engine runs it"), "{errors}");
}

/// What stands for a library, and what is said of it.
fn pretenders(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let program = std::fs::read(env!("CARGO_BIN_EXE_edge-ocr")).unwrap();
    vec![
        (folder.join("missing.so"), "missing.so"),
        (folder.to_path_buf(), "libonnxruntime"),
        (file("text.so", b"not a library\n"), "text.so"),
        (file("empty.so", b""), "empty.so"),
        (file("half.so", &program[..program.len() / 2]), "half.so"),
        (file("other.so", &program), "other.so"),
    ]
}

#[test]
fn what_is_no_library_costs_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for (path, part) in pretenders(folder.path()) {
        let (code, text, errors) =
            ort(&["read", "--provider", "cpu", "--ort-library", path.to_str().unwrap(), IMAGES[0]]);
        assert_eq!((code, text.as_str()), (6, ""), "{errors}");
        assert!(errors.lines().count() == 1 && errors.contains(part), "{errors}");
    }
}

/// What a library's functions return that claims to be ONNX Runtime `VERSION` and has no API.
const STUB: &str = r#"
#include <stddef.h>
static const void *api(unsigned version) { (void)version; return NULL; }
static const char *version(void) { return VERSION; }
static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };
const void *OrtGetApiBase(void) { return &base; }
"#;

#[test]
fn a_library_without_an_api_costs_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("stub.c");
    std::fs::write(&source, STUB).unwrap();
    for version in ["1.32.0", "1.10.0", "nonsense"] {
        let library = folder.path().join(format!("stub-{version}.so"));
        let define = format!("-DVERSION=\"{version}\"");
        let cc = std::process::Command::new("cc")
            .args(["-shared", "-fPIC", &define, "-o"])
            .args([&library, &source])
            .status();
        if !cc.is_ok_and(|status| status.success()) {
            skip("a C compiler");
            return;
        }
        let (code, text, errors) =
            ort(&["read", "--provider", "cpu", "--ort-library", library.to_str().unwrap(), IMAGES[0]]);
        assert_eq!((code, text.as_str()), (6, ""), "{errors}");
        assert!(errors.lines().count() == 1 && errors.contains("stub-"), "{version}: {errors}");
    }
}

#[test]
fn a_wrong_variable_is_not_skipped() {
    let mut command = program();
    command.args(["read", "--engine", "ort", "--provider", "cpu", IMAGES[0]]).env("ORT_DYLIB_PATH", "/nowhere/x.so");
    let (code, _, errors) = finish(command.output().expect("the program starts"));
    assert_eq!(code, 6);
    assert!(errors.contains("/nowhere/x.so") && errors.contains("ORT_DYLIB_PATH"), "{errors}");
}
