//! Disks and directories that are away for a while, or for good.

use super::faults::heal;
use super::*;
use std::time::{Duration, Instant};

#[test]
fn a_disk_that_comes_late_is_before_what_is_in_memory() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    outbox.append(b"record 0");
    outbox.append(b"record 1");
    kill(outbox, &disk);
    disk.state().fail_all = true;
    let mut outbox = open(&disk);
    assert!(!outbox.status().on_disk);
    outbox.append(b"record 2");
    let under_way = outbox.peek().unwrap();
    assert_eq!(under_way.id, 1, "the id that record 0 has");
    disk.state().fail_all = false;
    heal(&mut outbox, &mut Instant::now());
    assert!(outbox.status().on_disk);
    outbox.remove(under_way.id);
    assert_eq!(texts(&drain(&mut outbox)), numbers(0..3), "an old acknowledgement removes no other record");
}

#[test]
fn a_disk_that_goes_and_comes_keeps_its_records() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let mut now = Instant::now();
    for i in 0..50 {
        outbox.append(format!("{i:0100}").as_bytes());
    }
    outbox.sync();
    disk.state().fail_all = true;
    assert_eq!(outbox.peek(), None, "nothing can be read");
    outbox.append(b"in memory");
    assert_eq!(outbox.status().waiting, 1);
    heal(&mut outbox, &mut now);
    disk.state().fail_all = false;
    heal(&mut outbox, &mut now);
    let status = outbox.status();
    assert_eq!((status.waiting, status.damaged_total, status.on_disk), (51, 0, true));
    assert_eq!(drain(&mut outbox).len(), 51);
}

#[test]
fn a_directory_that_is_deleted_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    let state_dir = root.path().join("state");
    let mut outbox = Outbox::open(Some(&state_dir), &small()).unwrap();
    let mut now = Instant::now();
    outbox.append(b"lost with the directory");
    outbox.sync();
    std::fs::remove_dir_all(&state_dir).unwrap();
    for _ in 0..60 {
        outbox.append(&[b'x'; 100]);
        outbox.tick(now);
        now += Duration::from_secs(61);
    }
    heal(&mut outbox, &mut now);
    let status = outbox.status();
    assert!(status.on_disk && status.damaged_total > 0, "{status:?}");
    let waiting = outbox.len();
    drop(outbox);
    assert_eq!(Outbox::open(Some(&state_dir), &small()).unwrap().len(), waiting);
}

/// The open segment takes writes and syncs long after its directory is gone.
#[test]
fn what_comes_after_the_directory_went_is_kept() {
    for replaced in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let (state_dir, away) = (root.path().join("state"), root.path().join("away"));
        let mut outbox = Outbox::open(Some(&state_dir), &small()).unwrap();
        let mut now = Instant::now();
        outbox.append(b"before");
        outbox.sync();
        std::fs::rename(&state_dir, &away).unwrap();
        if replaced {
            std::fs::create_dir_all(state_dir.join("outbox")).unwrap();
            for entry in std::fs::read_dir(away.join("outbox")).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), state_dir.join("outbox").join(entry.file_name())).unwrap();
            }
        }
        outbox.append(b"after");
        outbox.sync();
        let problem = outbox.status().problem.unwrap();
        assert!(problem.contains("kept in memory only"), "{problem}");
        outbox.append(b"later");
        heal(&mut outbox, &mut now);
        assert!(outbox.status().on_disk);
        drop(outbox);
        let mut outbox = Outbox::open(Some(&state_dir), &small()).unwrap();
        let all: Vec<_> = drain(&mut outbox).into_iter().map(|entry| entry.bytes).collect();
        let expected: &[&[u8]] = if replaced { &[b"before", b"after", b"later"] } else { &[b"after", b"later"] };
        assert_eq!(all, expected);
    }
}

/// A new outbox was begun in the empty mount point, and lay hidden when the disk was back. Here a link is what leads to
/// a disk.
#[cfg(target_os = "linux")]
#[test]
fn place_of_absent_disk_is_not_taken_for_it() {
    use std::os::unix::fs::{MetadataExt, symlink};
    let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    let device = |dir: &tempfile::TempDir| std::fs::metadata(dir.path()).unwrap().dev();
    if device(&root) == device(&elsewhere) {
        eprintln!("there is one disk only");
        return;
    }
    let (state_dir, disk) = (root.path().join("state"), root.path().join("disk"));
    let lead_to = |place: &std::path::Path| {
        let _ = std::fs::remove_file(&state_dir);
        symlink(place, &state_dir).unwrap();
    };
    std::fs::create_dir(&disk).unwrap();
    lead_to(&disk);
    let mut outbox = Outbox::open(Some(&state_dir), &small()).unwrap();
    let mut now = Instant::now();
    outbox.append(b"before");
    outbox.sync();
    lead_to(elsewhere.path());
    for text in ["away 1", "away 2"] {
        outbox.append(text.as_bytes());
        outbox.sync();
        heal(&mut outbox, &mut now);
        let problem = outbox.status().problem.unwrap();
        assert!(
            problem.contains("because its disk is not mounted") && problem.contains("restart the node"),
            "{problem}"
        );
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "nothing is made there");
    }
    lead_to(&disk);
    heal(&mut outbox, &mut now);
    assert!(outbox.status().on_disk);
    outbox.append(b"after");
    drop(outbox);
    let mut outbox = Outbox::open(Some(&state_dir), &small()).unwrap();
    let all = texts(&drain(&mut outbox));
    for text in ["before", "away 1", "away 2", "after"] {
        assert!(all.iter().any(|found| found == text), "{text}: {all:?}");
    }
    // A node that is started takes what is there.
    lead_to(elsewhere.path());
    assert!(Outbox::open(Some(&state_dir), &small()).unwrap().status().on_disk);
}
