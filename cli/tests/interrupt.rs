//! Results that are written while images are read: each at once, whole after a signal, and not lost in silence.
#![cfg(unix)]

mod support;

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};
use support::{finish, program, root};

const DIGIT: &str = "tests/golden/digit.png";
const DEADLINE: Duration = Duration::from_secs(60);

/// The program with a pipe at each end. Killed when a test fails.
struct Running(Child);

impl Running {
    fn start(args: &[&str]) -> Running {
        let pipes = || Stdio::piped();
        Running(
            program().args(args).stdin(pipes()).stdout(pipes()).stderr(pipes()).spawn().expect("the program starts"),
        )
    }

    /// The same by env(1) with an option, because the tests themselves may have been started with a signal ignored.
    #[cfg(target_os = "linux")]
    fn start_with(option: &str, args: &[&str]) -> Running {
        let mut env = Command::new("env");
        env.current_dir(root()).arg(option).arg(env!("CARGO_BIN_EXE_edge-ocr")).args(args);
        let pipes = || Stdio::piped();
        Running(env.stdin(pipes()).stdout(pipes()).stderr(pipes()).spawn().expect("env of coreutils"))
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// The exit code, none for a signal, and standard error.
    fn end(mut self) -> (Option<i32>, String) {
        wait("the end", || self.0.try_wait().expect("a child").is_some());
        let mut err = String::new();
        self.0.stderr.take().expect("a pipe").read_to_string(&mut err).expect("UTF-8");
        (self.0.wait().expect("a child").code(), err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "no {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// What comes through the pipe until `part` is in it, or until its end. A record comes in several writes.
fn until(out: &mut impl Read, part: &str) -> String {
    let (mut text, mut bytes) = (String::new(), [0; 1 << 16]);
    while !text.contains(part) {
        match out.read(&mut bytes).expect("a pipe") {
            0 => break,
            count => text.push_str(std::str::from_utf8(&bytes[..count]).expect("UTF-8")),
        }
    }
    text
}

/// The second image is standard input, which never comes: the first one's result must be there all the same, and
/// whole after a signal.
#[test]
fn interrupted_read_leaves_whole_records_in_pipe() {
    for (format, signal, code) in
        [("text", "INT", 130), ("json", "TERM", 143), ("jsonl", "INT", 130), ("hocr", "INT", 130)]
    {
        let mut child = Running::start(&["read", "--line", "--format", format, DIGIT, "-"]);
        let mut out = child.0.stdout.take().expect("a pipe");
        let mut text = until(&mut out, "7");
        assert!(text.contains('7'), "{format}: {text:?}");
        child.signal(signal);
        out.read_to_string(&mut text).expect("UTF-8");
        assert_eq!(child.end(), (Some(code), String::new()), "{format}");
        match format {
            "text" => assert_eq!(text, format!("==> {DIGIT} <==\n7\n")),
            "hocr" => assert!(text.contains("ocr_page") && text.ends_with("</html>\n"), "{text}"),
            _ => {
                let value: Value = serde_json::from_str(&text).expect(&text);
                let object = if format == "json" { &value[0] } else { &value };
                assert_eq!(object["lines"][0]["text"], "7");
            }
        }
    }
}

/// A closed terminal sends it; with nohup(1) the program reads on.
#[cfg(target_os = "linux")]
#[test]
fn hangup_closes_records_unless_ignored() {
    for (how, read_on) in [("default", false), ("ignore", true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("out.json");
        let args = ["read", "--line", "--format", "json", "-o", file.to_str().expect("UTF-8"), DIGIT, "-"];
        let mut child = Running::start_with(&format!("--{how}-signal=HUP"), &args);
        wait("result in the file", || fs::metadata(&file).is_ok_and(|file| file.len() > 0));
        child.signal("HUP");
        if read_on {
            let image = fs::read(root().join(DIGIT)).expect("an image");
            child.0.stdin.take().expect("a pipe").write_all(&image).expect("the program reads on");
        }
        assert_eq!(child.end().0, Some(if read_on { 0 } else { 129 }), "{how}");
        let value: Value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
        let count = value.as_array().expect("an array").len();
        assert_eq!(count, if read_on { 2 } else { 1 }, "{how}: {value}");
    }
}

#[test]
fn interrupted_read_leaves_whole_records_in_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.json");
    let args = ["read", "--line", "--format", "json", "-o", file.to_str().expect("UTF-8"), DIGIT, "-"];
    let child = Running::start(&args);
    wait("result in the file", || fs::metadata(&file).is_ok_and(|file| file.len() > 0));
    child.signal("TERM");
    assert_eq!(child.end().0, Some(143));
    let value: Value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
    assert_eq!(value[0]["lines"][0]["text"], "7");
}

#[test]
fn interrupted_eval_leaves_whole_records() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(root().join(DIGIT), folder.path().join("digit.png")).expect("copied");
    let labels = folder.path().join("labels.jsonl");
    // More than a pipe holds, so that it does not end before the signal.
    let count = 5000;
    fs::write(&labels, "{\"image\": \"digit.png\"}\n".repeat(count)).expect("written");
    let mut child = Running::start(&["eval", labels.to_str().expect("UTF-8"), "--out", "-", "--line"]);
    let mut out = BufReader::new(child.0.stdout.take().expect("a pipe"));
    let mut text = String::new();
    out.read_line(&mut text).expect("UTF-8");
    child.signal("INT");
    out.read_to_string(&mut text).expect("UTF-8");
    assert_eq!(child.end().0, Some(130));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(!lines.is_empty() && lines.len() < count && text.ends_with('\n'), "{} lines", lines.len());
    assert!(lines.iter().all(|line| line["lines"][0]["text"] == "7"));
}

/// Whoever should read the results has stopped reading: the first signal cannot close them, a later one does not wait.
#[cfg(target_os = "linux")]
#[test]
fn second_signal_ends_read_that_cannot_write() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(&[0; 1 << 16]).expect("a pipe holds 64 KiB");
    let mut command = program();
    let child = command.args(["read", "--line", DIGIT, DIGIT]).stdout(writer).stderr(Stdio::piped()).spawn();
    drop(command);
    let mut child = Running(child.expect("the program starts"));
    let caught = format!("/proc/{}/status", child.0.id());
    wait("handler of SIGTERM", || {
        let status = fs::read_to_string(&caught).expect("a process");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask").trim();
        u64::from_str_radix(mask, 16).expect("hexadecimal") & 1 << 14 != 0
    });
    wait("end", || {
        if child.0.try_wait().expect("a child").is_none() {
            child.signal("TERM");
            thread::sleep(Duration::from_millis(100));
            return false;
        }
        true
    });
    assert_eq!(child.end().0, Some(143));
    drop(reader);
}

#[test]
fn closed_standard_output_is_not_success() {
    for args in [&["read", "--line", DIGIT][..], &["read", "--line", DIGIT, DIGIT], &["models", "list"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = program().args(args).stdout(writer).stderr(Stdio::piped()).output().expect("run");
        assert_eq!(finish(output), (141, String::new(), String::new()), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_standard_output_is_an_error() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    for args in [&["read", "--line", DIGIT][..], &["read", "--line", "-f", "json", DIGIT, DIGIT]] {
        let (code, _, err) = finish(program().args(args).stdout(full()).stderr(Stdio::piped()).output().expect("run"));
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("standard output") && err.lines().count() == 1, "{err}");
    }
}

#[test]
fn dash_as_output_is_standard_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let digit = root().join(DIGIT);
    let labels = folder.path().join("labels.jsonl");
    fs::write(&labels, format!("{{\"image\": {:?}}}\n", digit.to_str().expect("UTF-8"))).expect("written");
    let run = |args: &[&str]| finish(program().args(args).current_dir(folder.path()).output().expect("run"));
    let (code, out, err) = run(&["read", "--line", "-o", "-", digit.to_str().expect("UTF-8")]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "7\n", ""));
    let (code, out, _) = run(&["eval", "labels.jsonl", "--line", "--out", "-"]);
    assert_eq!((code, out.lines().count()), (0, 1), "{out}");
    let (code, _, err) = run(&["read", "--line", "--annotate", "-", digit.to_str().expect("UTF-8")]);
    assert!(code == 2 && err.contains("--annotate"), "{err}");
    assert!(!folder.path().join("-").exists());
}

#[test]
fn text_of_several_has_names_though_one_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("bad.png");
    fs::write(&bad, "no image").expect("written");
    let bad = bad.to_str().expect("UTF-8");
    for args in [["read", "--line", bad, DIGIT], ["read", "--line", DIGIT, bad]] {
        let (code, out, err) = finish(program().args(args).output().expect("run"));
        assert_eq!((code, out), (4, format!("==> {DIGIT} <==\n7\n")), "{err}");
    }
}
