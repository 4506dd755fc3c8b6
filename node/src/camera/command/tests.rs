use super::super::testing::{eventually, jpeg, png};
use super::super::{Captured, Shutdown};
use super::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// A folder with frames for scripts, which run in it.
struct Stage {
    root: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let root = tempfile::tempdir().unwrap();
        for value in 1..=9 {
            fs::write(root.path().join(format!("{value}.png")), png(value)).unwrap();
            fs::write(root.path().join(format!("{value}.jpg")), jpeg(value)).unwrap();
            fs::write(root.path().join(format!("{value}.pgm")), [b"P5 2 1 255\n", &[value, value][..]].concat())
                .unwrap();
            fs::write(root.path().join(format!("{value}.raw")), [value; 6]).unwrap();
        }
        Stage { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn open(&self, script: &str, change: impl FnOnce(&mut CommandConfig, &mut Common)) -> Box<dyn FrameSource> {
        let script = format!("cd '{}' && {{ {script}\n}}", self.root.path().display());
        let command = ["sh", "-c", &script].map(String::from).to_vec();
        let mut config = CommandConfig { command, ..CommandConfig::default() };
        let mut common = Common { timeout_ms: 20_000, backoff_min_ms: 10, backoff_max_ms: 20, ..Common::default() };
        common.max_age_ms = 20_000;
        common.max_bytes = 100_000;
        change(&mut config, &mut common);
        open(&config, &common).unwrap()
    }

    /// As [`open`](Self::open), with a time that may well be over.
    fn hurried(&self, script: &str, change: impl FnOnce(&mut CommandConfig)) -> Box<dyn FrameSource> {
        self.open(script, |config, common| {
            common.timeout_ms = 1500;
            change(config);
        })
    }

    /// As one that goes on.
    fn stream(&self, format: CommandFormat, script: &str) -> Box<dyn FrameSource> {
        self.open(script, |config, _| {
            (config.once, config.format) = (false, format);
            if format.layout().is_some() {
                (config.width_px, config.height_px) = (2, 1);
            }
        })
    }

    /// The process whose number a script wrote to `pid`.
    fn process(&self) -> PathBuf {
        eventually("a number is written", || fs::read_to_string(self.path("pid")).is_ok_and(|s| s.ends_with('\n')));
        PathBuf::from("/proc").join(fs::read_to_string(self.path("pid")).unwrap().trim())
    }
}

fn next(source: &mut Box<dyn FrameSource>) -> Result<Captured, CameraError> {
    source.next(LONG, &Shutdown::default())
}

fn said(source: &mut Box<dyn FrameSource>) -> String {
    let said = next(source).err().expect("no frame").to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}

#[test]
fn a_frame_for_every_run() {
    let stage = Stage::new();
    let mut source = stage.open("echo taking >&2; cat 3.png", |_, _| {});
    for count in 1..=3 {
        let frame = next(&mut source).unwrap();
        assert_eq!((frame.image.as_raw()[0], frame.name), (3, format!("command sh frame {count}")));
    }
    let mut raw = stage.open("cat 7.raw", |config, _| {
        (config.format, config.width_px, config.height_px) = (CommandFormat::Rgb, 1, 2);
    });
    assert_eq!(next(&mut raw).unwrap().image.as_raw(), [7; 6]);
}

#[test]
fn a_run_that_fails_says_its_last_line() {
    let stage = Stage::new();
    let of = |script: &str| said(&mut stage.open(script, |_, _| {}));
    let text = of("echo first >&2; echo 'no camera at rtsp://me:hunter2@cam' >&2; exit 3");
    assert!(text.contains("exit status: 3, saying 'no camera at rtsp://***@cam'; run it by hand"), "{text}");
    assert!(of("cat 1.png; exit 1").contains("exit status: 1"), "a frame of a failing program is not trusted");
    assert!(of("true").contains("without a frame"));
    assert!(of("head -c 40 1.png").contains("cannot be used"));
    assert!(of("kill -9 $$").contains("signal: 9"));
    assert!(of("cat /dev/zero").contains("more than 100000 bytes"));
    let mut missing = stage.open("", |config, _| config.command = vec!["/no/such/program".into(), "hunter2".into()]);
    let text = said(&mut missing);
    assert!(text.contains("command program failed") && text.contains("install the program"), "{text}");
    assert!(!text.contains("hunter2"));
}

#[test]
fn raw_frames_of_another_size_are_told() {
    let stage = Stage::new();
    for (script, word) in [("cat 1.raw 2.raw", "more than the 6 bytes"), ("head -c 5 1.raw", "5 bytes")] {
        let mut source = stage.open(script, |config, _| {
            (config.format, config.width_px, config.height_px) = (CommandFormat::Grey, 3, 2);
        });
        let text = said(&mut source);
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn a_hanging_run_is_killed_with_its_children() {
    let stage = Stage::new();
    // It does not listen to being asked, and neither does its child, which holds the output open.
    let mut source =
        stage.hurried("trap '' TERM; echo waiting >&2; sh -c 'echo $$ > pid; sleep 1000'; sleep 1000", |_| {});
    let text = said(&mut source);
    assert!(text.contains("gave no frame within") && text.contains("killed") && text.contains("'waiting'"), "{text}");
    let process = stage.process();
    eventually("the child's child is gone", || !process.exists());
}

/// Starts a process that leaves the program's group, holds its pipes open, and writes its number to `pid`.
const LEAVE_ONE_BEHIND: &str =
    "setsid sh -c 'echo $$ > pid; exec sleep 100' & while ! test -s pid; do sleep 0.01; done";

/// Whether this process has the reading end of what `process` writes to.
fn hears(process: &Path) -> bool {
    let theirs = [1, 2].map(|fd| fs::read_link(process.join(format!("fd/{fd}"))).unwrap());
    let ours = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    ours.into_iter().any(|link| theirs.contains(&link))
}

fn kill(process: &Path) {
    let number = process.file_name().unwrap();
    assert!(std::process::Command::new("kill").arg("-9").arg(number).status().unwrap().success());
}

#[test]
fn frame_does_not_wait_for_orphaned_children() {
    let stage = Stage::new();
    let mut source = stage.open(&format!("{LEAVE_ONE_BEHIND}; cat 3.png"), |_, _| {});
    let start = Instant::now();
    assert_eq!(next(&mut source).unwrap().image.as_raw()[0], 3);
    assert!(start.elapsed() < LONG / 2);
    let stranger = stage.process();
    eventually("threads and descriptors are gone", || !hears(&stranger));
    assert!(stranger.exists(), "it is none of ours");
    kill(&stranger);
    // One in the program's group is ended with it, and what was written before is taken whole.
    fs::remove_file(stage.path("pid")).unwrap();
    let mut source = stage.open("sleep 1000 & echo $! > pid; cat 4.png", |_, _| {});
    assert_eq!(next(&mut source).unwrap().image.as_raw()[0], 4);
    let process = stage.process();
    eventually("it is ended", || !process.exists());
    // A failure is told as one.
    fs::remove_file(stage.path("pid")).unwrap();
    let text = said(&mut stage.open(&format!("{LEAVE_ONE_BEHIND}; echo broken >&2; exit 3"), |_, _| {}));
    kill(&stage.process());
    assert!(text.contains("exit status: 3, saying 'broken'"), "{text}");
}

#[test]
fn stream_does_not_wait_for_orphaned_children() {
    let stage = Stage::new();
    let mut source =
        stage.stream(CommandFormat::Jpeg, &format!("test -e pid && exit 7; {LEAVE_ONE_BEHIND}; cat 5.jpg; exit 7"));
    let (mut seen, mut told) = (false, false);
    eventually("a frame, and that it ended", || {
        match next(&mut source) {
            Ok(_) => seen = true,
            Err(e) => told |= e.to_string().contains("exit status: 7"),
        }
        seen && told
    });
    let stranger = stage.process();
    drop(source);
    eventually("threads and descriptors are gone", || !hears(&stranger));
    kill(&stranger);
    // Nor when it was killed because it hung.
    fs::remove_file(stage.path("pid")).unwrap();
    let script = format!("test -e pid && sleep 1000; {LEAVE_ONE_BEHIND}; sleep 1000");
    let mut source = stage.hurried(&script, |config| config.once = false);
    assert!(said(&mut source).contains("within 1500 ms"));
    let stranger = stage.process();
    drop(source);
    eventually("threads and descriptors are gone", || !hears(&stranger));
    kill(&stranger);
}

#[test]
fn a_run_is_killed_when_the_node_ends() {
    let stage = Stage::new();
    let mut source = stage.open("echo $$ > pid; sleep 1000", |_, common| common.timeout_ms = 600_000);
    let stop = Shutdown::default();
    let (other, start) = (stop.clone(), Instant::now());
    let thread = std::thread::spawn(move || source.next(LONG, &other).err());
    let process = stage.process();
    stop.set();
    assert_eq!(thread.join().unwrap(), Some(CameraError::Stopped));
    assert!(!process.exists(), "not even a zombie");
    assert!(start.elapsed() < LONG / 2);
}

#[test]
fn a_flood_of_messages_does_not_block() {
    let stage = Stage::new();
    let mut source = stage.open("yes complaint | head -c 1000000 >&2; cat 2.png", |_, _| {});
    assert_eq!(next(&mut source).unwrap().image.as_raw()[0], 2);
}

#[test]
fn streams_of_every_format() {
    let stage = Stage::new();
    let sleep = "; sleep 1000";
    let mut source =
        stage.stream(CommandFormat::Jpeg, &format!("cat 1.jpg 2.jpg; head -c 300 3.jpg; cat 4.jpg{sleep}"));
    let whole = edge_ocr::image::decode::decode(&jpeg(4), &Default::default()).unwrap();
    eventually("the last", || next(&mut source).is_ok_and(|frame| frame.image.as_raw() == whole.as_raw()));
    for (format, ending) in [(CommandFormat::Pnm, "pgm"), (CommandFormat::Rgb, "raw")] {
        let mut source = stage.stream(format, &format!("cat 1.{ending} 2.{ending} 5.{ending}{sleep}"));
        eventually("the last", || next(&mut source).is_ok_and(|frame| frame.image.as_raw() == [5; 6]));
    }
}

#[test]
fn a_stream_that_ends_is_started_again() {
    let stage = Stage::new();
    let script = "echo x >> runs; test $(wc -l < runs) -lt 3 && { echo dying >&2; exit 7; }; cat 5.jpg; sleep 1000";
    let mut source = stage.stream(CommandFormat::Jpeg, script);
    let mut failures = 0;
    eventually("the third run gives a frame", || match next(&mut source) {
        Ok(_) => true,
        Err(e) => {
            assert!(e.to_string().contains("exit status: 7"), "{e}");
            failures += 1;
            false
        }
    });
    assert!(failures >= 1);
    assert_eq!(fs::read_to_string(stage.path("runs")).unwrap().lines().count(), 3);
}

#[test]
fn a_stream_that_stalls_is_killed_and_started_again() {
    let stage = Stage::new();
    let script = "echo $$ > pid; echo x >> runs; cat 1.jpg; test $(wc -l < runs) -gt 1 && while cat 2.jpg; do sleep 0.1; done; \
        while echo junk; do sleep 0.05; done";
    let mut source = stage.hurried(script, |config| config.once = false);
    assert!(next(&mut source).is_ok());
    let first = stage.process();
    let mut told = false;
    eventually("a frame after the stall", || match next(&mut source) {
        Ok(_) => told,
        Err(e) => {
            assert!(matches!(e, CameraError::Timeout { .. }), "{e}");
            told = true;
            false
        }
    });
    assert!(!first.exists());
}

#[test]
fn a_stream_in_the_wrong_format_is_told() {
    let stage = Stage::new();
    let text = said(&mut stage.stream(CommandFormat::Pnm, "cat 1.png; sleep 1000"));
    assert!(text.contains("P4, P5 or P6") && text.contains("check that it writes"), "{text}");
    let text = said(&mut stage.hurried("cat 1.png; sleep 1000", |config| config.once = false));
    assert!(text.contains("within 1500 ms"), "{text}");
    let text = said(&mut stage.stream(CommandFormat::Grey, "exit 0"));
    assert!(text.contains("width_px"), "{text}");
}

#[test]
fn stream_gives_newest_frame_without_blocking() {
    let stage = Stage::new();
    // More than any pipe holds; then it says that it got rid of all of it.
    let script = "i=0; while test $i -lt 300; do cat 1.jpg; i=$((i+1)); done; cat 9.jpg; echo x > written; sleep 1000";
    let mut source = stage.open(script, |config, _| config.once = false);
    assert!(next(&mut source).is_ok());
    eventually("all is written", || stage.path("written").exists());
    let whole = edge_ocr::image::decode::decode(&jpeg(9), &Default::default()).unwrap();
    eventually("the newest", || next(&mut source).is_ok_and(|frame| frame.image.as_raw() == whole.as_raw()));
}

#[test]
fn dropping_a_stream_leaves_nothing_behind() {
    let stage = Stage::new();
    let script = "trap '' TERM; sh -c 'echo $$ > pid; sleep 1000' & while cat 1.jpg; do sleep 0.05; done";
    let mut source = stage.stream(CommandFormat::Jpeg, script);
    assert!(next(&mut source).is_ok());
    let process = stage.process();
    let start = Instant::now();
    drop(source);
    assert!(start.elapsed() < Duration::from_secs(5));
    eventually("its child is gone", || !process.exists());
    // One that was never asked starts nothing.
    fs::remove_file(stage.path("pid")).unwrap();
    drop(stage.stream(CommandFormat::Jpeg, "echo $$ > pid"));
    assert!(!stage.path("pid").exists());
}

#[test]
fn contradictions_are_refused() {
    let of = |change: fn(&mut CommandConfig)| {
        let mut config = CommandConfig { command: vec!["x".into()], ..CommandConfig::default() };
        change(&mut config);
        config.validate(&Common::default()).unwrap_err()
    };
    assert!(of(|c| c.command.clear()).contains("command is empty"));
    assert!(of(|c| c.width_px = 5).contains("raw formats"));
    assert!(of(|c| c.format = CommandFormat::Rgb).contains("width_px is 0"));
    assert!(of(|c| (c.format, c.width_px, c.height_px) = (CommandFormat::Yuyv, 3, 3)).contains("even"));
    assert!(of(|c| (c.format, c.width_px, c.height_px) = (CommandFormat::Rgb, 30_000, 30_000)).contains("max_pixels"));
}

/// Set for [`inherits`], which [`nothing_is_left_of_a_program_to_process_1`] starts.
#[cfg(target_os = "linux")]
const HEIR: &str = "EDGE_OCR_TEST_HEIR";

/// In a process of its own, which inherits from its children as the process 1 of a container does.
#[cfg(target_os = "linux")]
#[test]
fn inherits() {
    use rustix::process::{WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};
    if std::env::var_os(HEIR).is_none() {
        return;
    }
    set_child_subreaper(Some(getpid())).unwrap();
    let stage = Stage::new();
    let mut source =
        stage.open("sleep 1000 > /dev/null 2>&1 & (sleep 1000 & sleep 1000) > /dev/null 2>&1 & cat 1.png", |_, _| {});
    for _ in 0..3 {
        assert_eq!(next(&mut source).unwrap().image.as_raw()[0], 1);
        let child = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT);
        assert_eq!(child.err(), Some(rustix::io::Errno::CHILD), "none is left, alive or dead");
    }
}

/// Each frame left a dead process.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_left_of_a_program_to_process_1() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "camera::command::tests::inherits"])
        .env(HEIR, "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}
