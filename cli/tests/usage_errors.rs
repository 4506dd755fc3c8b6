//! Every mistake gets one clear sentence and its exit code.

mod support;

use std::fs;
#[cfg(feature = "tract")]
use support::models_missing;
use support::{root, run};

/// The arguments, the exit code, a part of the sentence.
fn mistake(args: &[&str], code: i32, said: &str) {
    let (got, out, err) = run(args);
    assert_eq!(got, code, "{args:?}: {err}");
    assert!(err.contains(said), "{args:?} says {err:?}, not {said:?}");
    assert!(!err.contains("panicked") && !out.contains("panicked"), "{args:?}: {err}");
    // clap's own messages explain the usage in several lines; ours are a line for each mistake.
    if err.starts_with("edge-ocr: ") {
        assert!(err.lines().all(|line| line.starts_with("edge-ocr: ")), "one line each: {err}");
    }
}

const WORD: &str = "tests/golden/word.png";

#[test]
fn usage() {
    for args in [
        &["read"][..],
        &["nonsense"],
        &["read", WORD, "--no-such-flag"],
        &["read", WORD, "--format", "docx"],
        &["read", WORD, "--threads", "many"],
    ] {
        let (code, _, err) = run(args);
        assert_eq!(code, 2, "{args:?}");
        assert!(err.starts_with("error: "), "{err}");
    }
    mistake(&["read", "--no-such-flag", WORD], 2, "--no-such-flag");
    assert_eq!(run(&["--help"]).0, 0);
    #[cfg(feature = "node")]
    assert!(run(&["node", "--help"]).1.contains("experimental"), "no camera has been tried with v4l2");
    assert_eq!(run(&["--version"]).0, 0);
}

#[test]
fn parameters_out_of_range() {
    for (flags, said) in [
        (&["--threads", "0"][..], "--threads"),
        (&["--rotate", "45"], "--rotate"),
        (&["--rec-score-thresh", "1.5"], "--rec-score-thresh"),
        (&["--cls-thresh=-1"], "--cls-thresh"),
        (&["--roi", "1,2,3"], "1,2,3"),
        (&["--roi", "a,b,c,d"], "a,b,c,d"),
        (&["--roi", "1,2,0,4"], "empty"),
        (&["--roi", "0,0,100%,0%"], "empty"),
        (&["-"], "twice"),
        (&["--enhance", "magic"], "magic"),
        (&["--det-canvas", "640"], "640"),
        (&["--model", "ppocrv9"], "ppocrv9"),
    ] {
        let first = if flags == ["-"] { "-" } else { WORD };
        mistake(&[&["read", first][..], flags].concat(), 2, said);
    }
}

#[test]
fn a_cut_jpeg_is_read_with_a_warning() {
    let bytes = fs::read(root().join("tests/golden/receipt.jpg")).expect("receipt.jpg");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("half.jpg");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    let (code, out, err) = support::run(&["read", path.to_str().expect("UTF-8")]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("CORNER BAKERY") && err.contains("half.jpg: the file ends early"), "{out}{err}");
    let (_, _, err) = support::run(&["read", "tests/golden/receipt.jpg"]);
    assert!(err.is_empty(), "{err}");
}

#[test]
fn parameters_that_only_the_model_can_refuse() {
    for (flags, said) in [
        (&["--det-canvas", "640x641"][..], "multiples of 32"),
        (&["--det-thresh", "2"], "thresh"),
        (&["--rec-batch", "0"], "--rec-batch"),
        (&["--rec-widths", "640,320"], "ascending"),
        (&["--rec-widths", "33"], "64 to 8192"),
        (&["--allowed-chars", "\u{E123}"], "--allowed-chars"),
        (&["--pattern", "[9"], "pattern"),
    ] {
        mistake(&[&["read", WORD][..], flags].concat(), 2, said);
    }
    mistake(&["read", WORD, "--roi", "5000,0,10,10"], 4, "160");
}

#[test]
fn inputs() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    mistake(&["read", "not-there.png"], 4, "not-there.png");
    mistake(&["read", empty], 4, empty);
    mistake(&["read", "no-such-*.png"], 4, "no-such-*.png");
    mistake(&["eval", "not-there.jsonl", "--out", "/dev/null"], 4, "not-there.jsonl");
    let labels = folder.path().join("labels.jsonl");
    fs::write(&labels, "{\"image\": \"a.png\"}\nnonsense\n").unwrap();
    mistake(&["eval", labels.to_str().unwrap(), "--out", "/dev/null"], 2, "line 2");
}

#[test]
fn bad_image_does_not_stop_others() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.png");
    fs::write(&bad, b"this is no image").unwrap();
    let (code, out, err) = run(&["read", bad.to_str().unwrap(), WORD, "--format", "jsonl"]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("1 of 2 images"), "{err}");
    let lines: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0]["error"].is_string() && lines[1]["lines"].is_array());
}

/// A message that nobody can get must not cost the results.
#[cfg(target_os = "linux")]
#[test]
fn unwritable_stderr_does_not_stop_results() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("bad.png");
    fs::write(&bad, b"this is no image").expect("written");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let mut command = support::program();
    command.arg("read").arg(&bad).args([WORD, "--format", "jsonl"]).stderr(full);
    let output = command.output().expect("the program");
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
}

/// Also where the value would need another engine, whose model may be missing.
#[test]
fn wrong_values_are_refused_before_models_are_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().to_str().expect("UTF-8");
    for [flag, value, said] in [
        ["--rec-batch", "0", "--rec-batch"],
        ["--rec-widths", "320,100", "ascending"],
        ["--det-canvas", "0x0", "multiples of 32"],
        ["--threads", "0", "--threads"],
    ] {
        mistake(&["read", WORD, "--models-dir", empty, flag, value], 2, said);
    }
}

/// As `lost+found` on every ext4 disk, for whoever is not root.
#[cfg(unix)]
#[test]
fn directory_that_is_closed_hides_no_other() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().expect("a folder");
    let mode =
        |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
    mode(folder.path(), 0o755);
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).expect("a folder");
    for name in ["a.png", "closed/b.png", "z.png"] {
        fs::copy(root().join("tests/golden/digit.png"), folder.path().join(name)).expect("copied");
    }
    mode(&closed, 0);
    const NOBODY: u32 = 65534;
    let root_opens_all = fs::read_dir(&closed).is_ok();
    let read = |args: &[&str]| {
        let mut command = support::program();
        if root_opens_all {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.args(["read", "--line", "-f", "jsonl"]).args(args).output().map(support::finish)
    };
    let path = folder.path().to_str().expect("UTF-8");
    for args in [&["-r", path][..], &[&format!("{path}/**/*.png")]] {
        let (code, out, err) = match read(args) {
            Ok(done) => done,
            Err(e) if root_opens_all && support::skip(&format!("a program that nobody may start ({e})")) => break,
            Err(e) => panic!("{e}"),
        };
        assert_eq!(code, 4, "{err}");
        assert!(err.contains(&format!("{path}/closed cannot be read")), "{err}");
        let text =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["lines"][0]["text"].clone();
        assert_eq!(out.lines().map(text).collect::<Vec<_>>(), ["7", "7"], "{err}");
    }
    mode(&closed, 0o755);
}

#[test]
fn no_text_is_a_mistake_only_when_asked() {
    assert_eq!(run(&["read", "tests/golden/blank.png"]).0, 0);
    mistake(&["read", "tests/golden/blank.png", "--fail-on-empty"], 5, "no text");
}

#[cfg(feature = "tract")]
#[test]
fn models() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    mistake(&["read", WORD, "--engine", "tract", "--models-dir", dir], 3, "models/fetch");
    mistake(&["read", WORD, "--det-model", "nonsense"], 3, "nonsense");
    mistake(&["read", WORD, "--det-model", "not-there.onnx"], 3, "not-there.onnx");
    mistake(&["read", WORD, "--det-model", "ppocrv6-small-rec"], 3, "recogniser");
    mistake(&["models", "show", "nonsense"], 3, "nonsense");
    mistake(&["models", "verify", "ppocrv6-medium-det", "--models-dir", dir], 3, "by hand");
    let path = folder.path().join("PP-OCRv6_det_small.onnx");
    fs::write(&path, b"another file").unwrap();
    mistake(&["read", WORD, "--engine", "tract", "--models-dir", dir], 3, "sha256");
    mistake(&["models", "verify", "--models-dir", dir], 3, "sha256");
    mistake(&["read", WORD, "--det-model", path.to_str().unwrap()], 3, "not an ONNX model");
}

#[cfg(feature = "tract")]
#[test]
fn models_of_the_wrong_kind_by_path() {
    if models_missing() {
        return;
    }
    let file = |name: &str| root().join("models").join(name).to_str().unwrap().to_string();
    let (det, rec, cls) = (
        file("PP-OCRv6_det_small.onnx"),
        file("PP-OCRv6_rec_small.onnx"),
        file("ch_ppocr_mobile_v2.0_cls_mobile.onnx"),
    );
    mistake(&["read", WORD, "--det-model", &rec], 3, "not a detector");
    mistake(&["read", WORD, "--det-model", &cls], 3, "not a detector");
    mistake(&["read", WORD, "--rec-model", &det], 3, "dictionary");
    mistake(&["read", WORD, "--cls-model", &det], 3, "not a classifier");
    let folder = tempfile::tempdir().unwrap();
    let dict = folder.path().join("dict.txt");
    fs::write(&dict, "a\nb\nc\n").unwrap();
    mistake(&["read", WORD, "--dict", dict.to_str().unwrap()], 3, "6906");
    mistake(&["read", WORD, "--dict", "not-there.txt"], 3, "not-there.txt");
    mistake(&["read", WORD, "--tier", "cascade", "--dict", dict.to_str().unwrap()], 2, "one recogniser");
    mistake(&["read", WORD, "--rec-model", &det, "--dict", dict.to_str().unwrap()], 3, "not a recogniser");
}

#[test]
fn what_the_int8_engine_cannot_do() {
    for (flags, code, said) in [
        (&["--det-canvas", "672x672"][..], 2, "--det-canvas"),
        (&["--scale", "reference"], 2, "--scale tiled"),
        (&["--rec-widths", "328"], 2, "--rec-widths"),
        (&["--rec-widths", "exact"], 2, "--rec-widths"),
        (&["--rec-batch", "2"], 2, "one at a time"),
        (&["--model", "ppocrv4-mobile"], 3, "not built into this program"),
        (
            &["--det-model", "x.onnx"],
            3,
            if cfg!(feature = "tract") { "give --engine tract" } else { "--features tract" },
        ),
    ] {
        mistake(&[&["read", WORD, "--engine", "arena"][..], flags].concat(), code, said);
    }
}

#[test]
fn engines_that_are_not_here() {
    for isa in ["nonsense", if cfg!(target_arch = "x86_64") { "neon-dot" } else { "avx2" }] {
        let output = support::program().args(["read", WORD]).env("EDGE_OCR_ISA", isa).output().expect("run");
        let (code, _, err) = support::finish(output);
        assert_eq!(code, 6, "{err}");
        assert!(err.contains(isa) && err.lines().count() == 1, "{err}");
    }
    if cfg!(not(feature = "tract")) {
        mistake(&["read", WORD, "--engine", "tract"], 6, "--features tract");
    }
}

#[test]
fn a_result_that_cannot_be_written() {
    mistake(&["read", WORD, "--output", "/no/such/folder/out.json"], 1, "/no/such/folder/out.json");
    if std::path::Path::new("/dev/full").exists() {
        mistake(&["read", WORD, "--output", "/dev/full"], 1, "/dev/full");
    }
}

#[test]
fn an_output_over_its_own_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("same.png");
    fs::copy(root().join(WORD), &image).expect("copied");
    let before = fs::read(&image).expect("read");
    let (image, other) = (image.to_str().expect("UTF-8"), folder.path().join("out.png"));
    fs::write(&other, "").expect("written");
    let other = other.to_str().expect("UTF-8");
    mistake(&["read", image, "--output", image], 2, "which is also read");
    mistake(&["read", image, "--annotate", image], 2, "which is also read");
    mistake(&["read", image, "--output", other, "--annotate", other], 2, "as does --output");
    let labels = folder.path().join("labels.jsonl");
    fs::write(&labels, "{\"image\": \"same.png\"}\n").expect("written");
    let labels = labels.to_str().expect("UTF-8");
    mistake(&["eval", labels, "--out", labels], 2, "which is also read");
    mistake(&["eval", labels, "--out", image], 2, "which is also read");
    assert_eq!(fs::read(image).expect("still there"), before);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_or_ends_never() {
    use std::process::{Command, Stdio};
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full"));
    let program = env!("CARGO_BIN_EXE_edge-ocr");
    let list = Command::new(program).args(["models", "list"]).stdout(full()).status().expect("run");
    assert_eq!(list.code(), Some(1));
    mistake(&["read", WORD, "--line", "--annotate", "/dev/full"], 1, "/dev/full");
    mistake(&["read", WORD, "--line", "--dict", "/dev/zero"], 3, "not a regular file");
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join(std::ffi::OsStr::from_bytes(b"w\xffrd.png"));
    fs::copy(root().join(WORD), &image).expect("copied");
    let drawings = folder.path().join("drawings");
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_edge-ocr"))
        .current_dir(root())
        .arg("read")
        .args([&image, &image])
        .arg("--annotate")
        .arg(&drawings)
        .output()
        .expect("run");
    assert_eq!(program.status.code(), Some(0), "{}", String::from_utf8_lossy(&program.stderr));
    assert_eq!(fs::read_dir(drawings).expect("a folder").count(), 2, "images of one name are both drawn");
}

/// From just too little memory down to where the system no longer starts the program. In steps that are smaller than
/// those in which the heap grows, so that no allocation is passed over whatever the sizes of arena and program are.
#[cfg(target_os = "linux")]
#[test]
fn no_memory_is_told_and_not_died_of() {
    // A limit in kB: exit code (none for a signal), standard error.
    let limited = |kb: usize| {
        let read = format!("ulimit -v {kb} && exec \"$0\" read --threads 2 {WORD}");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &read, env!("CARGO_BIN_EXE_edge-ocr")]).current_dir(root()).env_remove("RUST_BACKTRACE");
        let output = shell.output().expect("a shell");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (mut too_little, mut enough) = (16 << 10, 2 << 20);
    assert_eq!(limited(enough).0, Some(0));
    while enough - too_little > 256 {
        let between = (too_little + enough) / 2;
        *(if limited(between).0 == Some(0) { &mut enough } else { &mut too_little }) = between;
    }
    let (mut told, mut starts) = (0, true);
    for kb in (0..too_little).rev().step_by(60) {
        let (code, err) = limited(kb);
        if err.starts_with("edge-ocr: ") {
            // 2: no memory for a thread.
            assert!(matches!(code, Some(2 | 6)) && err.lines().count() == 1, "{kb} kB: {code:?} {err}");
            told += usize::from(code == Some(6) && err.contains("there is no memory for "));
        } else if let Some((_, rest)) = err.split_once("memory allocation of ") {
            // Small things, a decoder's buffers among them, are not asked for first; a limit may end just there.
            let bytes: usize = rest.split(' ').next().and_then(|n| n.parse().ok()).expect("a number of bytes");
            assert!(bytes < 128 << 10, "{kb} kB: {err}");
        } else {
            // The system's loader gave up.
            assert!(code != Some(0), "{kb} kB: {err}");
            starts = false;
            break;
        }
    }
    assert!(told > 0 && !starts, "{too_little} kB and less");
}

#[cfg(all(feature = "node", not(feature = "demo")))]
#[test]
fn demo_without_broker_names_feature() {
    mistake(&["node", "--demo"], 6, "--features demo");
}
