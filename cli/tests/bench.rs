//! `edge-ocr bench`: the table, the JSON object, and times that are refused.

mod support;

use edge_ocr::target;
use serde_json::Value;
use support::{models_missing, run};

const QUICK: [&str; 6] = ["--repeat", "2", "--warm-up", "0", "--threads", "1"];

fn bench(args: &[&str]) -> (i32, String, String) {
    run(&[&["bench"], args, &QUICK].concat())
}

fn json(args: &[&str]) -> Value {
    let (code, out, err) = bench(&[args, &["--json"]].concat());
    assert_eq!(code, 0, "{args:?}: {err}");
    serde_json::from_str(&out).expect("one JSON object")
}

/// Numbers that can be those of two repetitions.
fn plausible(ms: &Value) {
    let [mean, stdev, p50, p90, min] =
        ["mean", "stdev", "p50", "p90", "min"].map(|key| ms[key].as_f64().expect("a number"));
    assert!(0.0 <= min && min <= mean && mean <= p90 && p50 <= p90 && stdev >= 0.0, "{ms}");
}

#[test]
fn a_table_for_people() {
    let (code, out, err) = bench(&[]);
    assert_eq!(code, 0, "{err}");
    for said in [
        "program ",
        "processor ",
        "engine ",
        "memory ",
        "det 640x640",
        "rec 320x48",
        "page 360x96",
        "  recognise",
        "answers ",
    ] {
        assert!(out.lines().any(|line| line.starts_with(said)), "{said:?} is not in\n{out}");
    }
}

#[test]
fn an_object_for_programs() {
    let report = json(&[]);
    assert_eq!(report["schema"], "edge-ocr-bench/1");
    assert_eq!((&report["engine"], &report["threads"], &report["repeat"]), (&"arena".into(), &1.into(), &2.into()));
    for key in ["version", "target", "arch", "os", "kernels", "charset"] {
        assert!(report[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {report}");
    }
    assert!(report["arena_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    if cfg!(target_os = "linux") {
        assert!(report["peak_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    }
    assert!(report["before"].is_object() && report["after"].is_object() && report["warnings"].is_array());
    if cfg!(target_arch = "x86_64") {
        assert!(report["cold_start_ms"].as_f64().is_some_and(|ms| ms > 1.0), "{report}");
    }
    let stages = report["stages"].as_array().expect("stages");
    let recognisers = vec!["rec"; target::RECOGNISERS.len()];
    let names = [vec!["det"], recognisers, vec!["page"]].concat();
    assert_eq!(stages.iter().map(|stage| &stage["stage"]).collect::<Vec<_>>(), names);
    for stage in stages {
        plausible(&stage["ms"]);
    }
    assert!(stages[0]["text_pixels"].as_u64().is_some_and(|pixels| pixels > 1000));
    for stage in &stages[1..names.len() - 1] {
        assert_eq!(stage["text"], "edge-ocr reads this");
    }
    let parts = stages[names.len() - 1]["parts"].as_array().expect("parts");
    assert_eq!(parts.iter().map(|p| &p["part"]).collect::<Vec<_>>(), ["prepare", "detect", "classify", "recognise"]);
    for part in parts {
        plausible(&part["ms"]);
    }
}

#[test]
fn a_row_for_the_table_of_boards() {
    let (code, out, err) = bench(&["--markdown"]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    let cells = |line: &str| line.split('|').count();
    assert_eq!((lines.len(), cells(lines[0]), cells(lines[0])), (3, cells(lines[1]), cells(lines[2])), "{out}");
    assert!(lines[2].contains("(640x640)") && lines[2].contains("(360x96)"), "{out}");
    // Where the page lies that collects them.
    let page = std::fs::read_to_string(support::root().join("benches/boards/README.md")).expect("the page");
    assert!(page.contains(lines[0]) && page.contains(lines[1]), "{out}");
    assert_eq!(bench(&["--markdown", "--json"]).0, 2);
}

#[test]
fn one_network_at_another_size() {
    for (stage, size, [w, h]) in [("det", "320x160", [320, 160]), ("rec", "640x48", [640, 48])] {
        let report = json(&["--only", stage, "--size", size]);
        let stages = report["stages"].as_array().expect("stages");
        assert_eq!(stages.len(), if stage == "rec" { target::RECOGNISERS.len() } else { 1 });
        for stage in stages {
            assert_eq!((&stage["width_px"], &stage["height_px"]), (&w.into(), &h.into()));
        }
    }
}

#[test]
fn an_image_of_the_user() {
    let word = json(&["--only", "rec", "tests/golden/word.png"]);
    assert_eq!(word["stages"][0]["text"], "Kitchen");
    let page = json(&["--only", "page", "tests/golden/slanted.png"]);
    assert!(page["stages"][0]["text"].as_str().is_some_and(|text| text.len() > 20), "{page}");
}

#[test]
fn the_float_engine() {
    if !cfg!(feature = "tract") || models_missing() {
        return;
    }
    let report = json(&["--engine", "tract", "--only", "rec", "--size", "328x48"]);
    assert_eq!((&report["engine"], &report["kernels"]), (&"tract".into(), &Value::Null));
    assert_eq!(report["stages"][0]["text"], "edge-ocr reads this");
}

#[test]
fn mistakes_and_wrong_answers() {
    for (args, code, said) in [
        (&["--only", "det", "--size", "641x640"][..], 2, "640x640"),
        (&["--only", "rec", "--size", "320x47"], 2, "320x48"),
        (&["--size", "640x640"], 2, "--only"),
        (&["--only", "page", "--size", "640x640"], 2, "--only"),
        (&["--only", "det", "--size", "640"], 2, "640x480"),
        (&["--only", "everything"], 2, "possible values"),
        (&["--engine", "tract", "--only", "det", "--size", "640x641"], 2, "multiples of 32"),
        (&["--only", "rec", "not-there.png"], 4, "not-there.png"),
        (&["--only", "det", "tests/golden/blank.png"], 1, "no text"),
        (&["--only", "rec", "tests/golden/blank.png"], 1, "nothing"),
        (&["--only", "page", "tests/golden/blank.png"], 1, "no text"),
    ] {
        if args.contains(&"tract") && (!cfg!(feature = "tract") || models_missing()) {
            continue;
        }
        let (got, out, err) = bench(args);
        assert_eq!(got, code, "{args:?}: {err}");
        assert!(err.contains(said) && !err.contains("panicked"), "{args:?} says {err:?}, not {said:?}");
        assert!(out.is_empty(), "{args:?}: {out}");
        assert!(!err.starts_with("edge-ocr: ") || err.lines().count() == 1, "one line: {err}");
    }
    assert_eq!(run(&["bench", "--repeat", "0"]).0, 2);
}

#[test]
fn kernels_that_are_not_there() {
    let output = support::program().args(["bench", "--only", "rec"]).env("EDGE_OCR_ISA", "nonsense").output();
    let (code, _, err) = support::finish(output.expect("the program starts"));
    assert_eq!(code, 6, "{err}");
}
