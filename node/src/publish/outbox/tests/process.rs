//! Real processes that are killed, and real disks that are full or read-only.

use super::*;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const CHILD: &str = "EDGE_OCR_TEST_OUTBOX";

/// What [`a_killed_process_loses_nothing`] starts: it adds records until it is killed, and says so after each.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let mut outbox = Outbox::open(Some(Path::new(&dir)), &small_but_large_enough()).unwrap();
    let mut out = std::io::stdout();
    for i in 0.. {
        let name = format!("{}.{i}", std::process::id());
        assert!(outbox.append(record(&name).as_bytes()).durable);
        writeln!(out, "added {name}").unwrap();
        if i % 7 == 0 {
            outbox.sync();
        }
        if i % 3 == 0 {
            let entry = outbox.peek().unwrap();
            writeln!(out, "removing {}", name_of(&entry)).unwrap();
            outbox.remove(entry.id);
        }
    }
}

fn record(name: &str) -> String {
    format!("{name} {}", name.repeat(5))
}

/// The name in a record, which must be whole.
fn name_of(entry: &Entry) -> String {
    let text = String::from_utf8(entry.bytes.clone()).unwrap();
    let name = text.split(' ').next().unwrap().to_owned();
    assert_eq!(text, record(&name));
    name
}

/// No quota that would be reached.
fn small_but_large_enough() -> OutboxConfig {
    OutboxConfig { max_bytes: 64 << 20, ..small() }
}

#[test]
fn a_killed_process_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let mut junk = disk::Junk(42);
    let (mut added, mut removed) = (Vec::new(), BTreeSet::new());
    for round in 0..50 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "publish::outbox::tests::process::child", "--nocapture"])
            .env(CHILD, root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: &str| {
            if let Some((_, name)) = line.split_once("added ") {
                added.push(name.to_owned());
            } else if let Some((_, name)) = line.split_once("removing ") {
                removed.insert(name.to_owned());
            }
        };
        for _ in 0..20 + junk.next() % 300 {
            note(&lines.next().expect("it goes on until it is killed").unwrap());
        }
        child.kill().unwrap();
        // What it had said before it was killed. Lines this short come whole through a pipe.
        lines.map_while(Result::ok).for_each(|line| note(&line));
        child.wait().unwrap();
        assert!(!added.is_empty(), "round {round}");
    }
    let mut outbox = Outbox::open(Some(root.path()), &small_but_large_enough()).unwrap();
    assert_eq!((outbox.status().damaged_total, outbox.status().dropped_total), (0, 0));
    let found: Vec<String> = drain(&mut outbox).iter().map(name_of).collect();
    let present: BTreeSet<_> = found.iter().collect();
    assert_eq!(present.len(), found.len(), "nothing twice");
    let lost: Vec<_> = added.iter().filter(|name| !present.contains(name) && !removed.contains(*name)).collect();
    assert!(lost.is_empty(), "{} of {}: {lost:?}", lost.len(), added.len());
    let order: Vec<_> = added.iter().filter(|name| present.contains(name)).collect();
    let known: BTreeSet<_> = added.iter().collect();
    assert_eq!(found.iter().filter(|name| known.contains(name)).collect::<Vec<_>>(), order, "in the order of adding");
}

/// A file system of its own, of `size`; `None` and a word where that is not allowed.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(size: &str) -> Option<Mount> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Mount(dir);
        if mount.mount(&format!("size={size}")) {
            return Some(mount);
        }
        eprintln!("skipped: a tmpfs cannot be mounted here (not root)");
        // Not mounted, so nothing to unmount.
        std::mem::forget(mount);
        None
    }

    fn mount(&self, options: &str) -> bool {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "edge-ocr-test"]).arg(self.0.path()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_real_full_disk() {
    let Some(mount) = Mount::new("64k") else { return };
    let mut outbox = Outbox::open(Some(mount.0.path()), &small()).unwrap();
    let filler = mount.0.path().join("filler");
    outbox.append(b"record 0");
    outbox.sync();
    // Until nothing goes in any more.
    assert!(std::fs::write(&filler, vec![1; 100 << 10]).is_err());
    let mut i = 1;
    while outbox.status().on_disk {
        outbox.append(format!("record {i}").as_bytes());
        i += 1;
        assert!(i < 10_000, "the disk is never full");
    }
    assert!(outbox.status().problem.unwrap().contains("free space"));
    outbox.append(format!("record {i}").as_bytes());
    std::fs::remove_file(&filler).unwrap();
    let mut now = std::time::Instant::now();
    for _ in 0..3 {
        outbox.tick(now);
        now += std::time::Duration::from_secs(61);
    }
    assert!(outbox.status().on_disk);
    drop(outbox);
    let mut outbox = Outbox::open(Some(mount.0.path()), &small()).unwrap();
    assert_eq!(texts(&drain(&mut outbox)), numbers(0..i + 1));
    assert_eq!(outbox.status().damaged_total, 0);
}

#[test]
fn a_real_read_only_disk() {
    let Some(mount) = Mount::new("1m") else { return };
    let mut outbox = Outbox::open(Some(mount.0.path()), &small()).unwrap();
    outbox.append(b"record 0");
    drop(outbox);
    assert!(mount.mount("remount,ro"));
    let mut outbox = Outbox::open(Some(mount.0.path()), &small()).unwrap();
    assert!(!outbox.append(b"record 1").durable);
    let status = outbox.status();
    assert!(!status.on_disk && status.problem.unwrap().contains("make it writable"));
    assert_eq!(texts(&drain(&mut outbox)), numbers(0..2));
    assert!(mount.mount("remount,rw"));
    outbox.append(b"record 2");
    let mut now = std::time::Instant::now();
    for _ in 0..3 {
        outbox.tick(now);
        now += std::time::Duration::from_secs(61);
    }
    assert!(outbox.status().on_disk && outbox.status().problem.is_none());
    drop(outbox);
    assert_eq!(texts(&drain(&mut Outbox::open(Some(mount.0.path()), &small()).unwrap())), ["record 2"]);
}

#[test]
fn a_state_directory_that_cannot_be_made() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let mut outbox = Outbox::open(Some(&file), &small()).unwrap();
    assert!(!outbox.append(b"x").durable);
    let problem = outbox.status().problem.unwrap();
    assert!(problem.contains("Not a directory") && !problem.contains('\n'), "{problem}");
    assert_eq!(drain(&mut outbox).len(), 1);
}

/// Opening such a lock waited for ever.
#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_in_the_outbox_is_done_without() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("outbox");
    std::fs::create_dir(&dir).unwrap();
    crate::util::atomic_file::fifo(&dir.join("lock"));
    crate::util::atomic_file::fifo(&dir.join("0000000000000001.log"));
    std::fs::create_dir(dir.join("0000000000000002.log")).unwrap();
    let mut outbox = Outbox::open(Some(root.path()), &small()).unwrap();
    let problem = outbox.status().problem.unwrap();
    assert!(problem.contains("'lock'") && problem.contains("kept in memory only"), "{problem}");
    assert!(!outbox.append(b"record 0").durable);
    std::fs::remove_file(dir.join("lock")).unwrap();
    drop(outbox);
    let mut outbox = Outbox::open(Some(root.path()), &small()).unwrap();
    assert_eq!((outbox.status().problem, outbox.status().damaged_total), (None, 2), "the segments that are none");
    assert_eq!(texts(&drain(&mut outbox)), ["record 0"], "the end has tried the disk once more");
}
