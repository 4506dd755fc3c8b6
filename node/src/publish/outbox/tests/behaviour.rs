//! What the outbox promises while nothing fails.

use super::super::{SharedOutbox, segments::REMOVALS_PER_MARK};
use super::*;
use crate::publish::outbox::{Flushed, OutboxError};
use std::time::{Duration, Instant};

#[test]
fn records_come_back_in_order_also_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let state_dir = root.path().join("state");
    let mut outbox = Outbox::open(Some(&state_dir), &OutboxConfig::default()).unwrap();
    for text in numbers(0..5) {
        let appended = outbox.append(text.as_bytes());
        assert_eq!((appended.durable, appended.dropped), (true, 0));
    }
    let first = outbox.peek().unwrap();
    assert_eq!(first, outbox.peek().unwrap(), "peeking takes nothing");
    outbox.remove(first.id);
    outbox.remove(first.id);
    outbox.remove(first.id + 5);
    assert_eq!(outbox.len(), 4, "a record is removed once, and only if it is there");
    drop(outbox);
    let mut outbox = Outbox::open(Some(&state_dir), &OutboxConfig::default()).unwrap();
    assert_eq!((outbox.len(), outbox.status().damaged_total, outbox.status().problem), (4, 0, None));
    assert_eq!(texts(&drain(&mut outbox)), numbers(1..5));
    assert!(state_dir.join("outbox/0000000000000001.log").is_file());
}

#[test]
fn ids_rise_when_everything_was_removed() {
    let disk = FakeDisk::default();
    let mut last = 0;
    for round in 0..5 {
        let mut outbox = open(&disk);
        let id = outbox.append(b"x").id;
        assert!(id > last, "{id} after {last}");
        last = id;
        assert!(!drain(&mut outbox).is_empty());
        if round % 2 == 0 { kill(outbox, &disk) } else { drop(outbox) }
    }
}

#[test]
fn a_second_process_is_told_so() {
    let root = tempfile::tempdir().unwrap();
    let first = Outbox::open(Some(root.path()), &small()).unwrap();
    let Err(error) = Outbox::open(Some(root.path()), &small()) else { panic!("opened twice") };
    assert_eq!(error, OutboxError::InUse { dir: root.path().join("outbox") });
    assert!(error.to_string().contains("in use by another process; stop"), "{error}");
    drop(first);
    assert!(Outbox::open(Some(root.path()), &small()).is_ok());
}

#[test]
fn the_oldest_segment_goes_when_the_quota_is_reached() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let mut dropped = 0;
    for i in 0..200 {
        dropped += outbox.append(format!("{i:0100}").as_bytes()).dropped;
        assert!(outbox.status().bytes <= small().max_bytes);
    }
    assert!(dropped > 0 && dropped == outbox.status().dropped_total);
    assert_eq!(outbox.len() as u64, 200 - dropped);
    let expected: Vec<_> = (dropped..200).map(|i| format!("{i:0100}")).collect();
    assert_eq!(texts(&drain(&mut outbox)), expected);
}

/// A start that found no room for a frame in the last segment began another one, and gave up the oldest for it.
#[test]
fn a_start_drops_nothing() {
    let disk = FakeDisk::default();
    for i in 0..600 {
        let mut outbox = open(&disk);
        outbox.append(&[1; 50]);
        let waiting = outbox.len();
        if i % 2 == 0 {
            kill(outbox, &disk)
        } else {
            drop(outbox)
        }
        let outbox = open(&disk);
        assert_eq!((outbox.len(), outbox.status().dropped_total), (waiting, 0), "start {i}");
    }
}

#[test]
fn the_record_that_is_under_way_may_be_dropped() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    outbox.append(b"first");
    let first = outbox.peek().unwrap();
    while outbox.append(&[1; 900]).dropped == 0 {}
    let waiting = outbox.len();
    outbox.remove(first.id);
    assert_eq!(outbox.len(), waiting, "its acknowledgement removes no other");
}

#[test]
fn a_record_that_is_too_long_is_dropped_and_counted() {
    let mut outbox = open(&FakeDisk::default());
    assert!(outbox.append(&[0; 1000]).durable);
    let appended = outbox.append(&[0; 1001]);
    assert_eq!((appended.durable, appended.dropped, outbox.len()), (false, 1, 1));
    assert!(outbox.append(b"").durable, "an empty one is a record");
    assert_eq!(drain(&mut outbox).len(), 2);
}

#[test]
fn without_a_directory_the_memory_is_bounded() {
    let mut outbox = Outbox::open(None, &small()).unwrap();
    for text in numbers(0..15) {
        assert!(!outbox.append(text.as_bytes()).durable);
    }
    let status = outbox.status();
    assert_eq!((status.waiting, status.dropped_total, status.on_disk), (10, 5, false));
    assert!(status.problem.unwrap().contains("set one"));
    outbox.tick(Instant::now());
    assert_eq!(texts(&drain(&mut outbox)), numbers(5..15));
    for _ in 0..10 {
        outbox.append(&[0; 900]);
    }
    assert_eq!(outbox.len(), 4, "4000 bytes");
}

#[test]
fn records_synced_in_batches_before_sending() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let start = Instant::now();
    outbox.tick(start);
    let before = disk.state().syncs;
    for i in 0..4 {
        outbox.append(b"x");
        outbox.tick(start + Duration::from_secs(i));
    }
    assert_eq!(disk.state().syncs, before);
    outbox.tick(start + Duration::from_secs(5));
    assert_eq!(disk.state().syncs, before + 1);
    outbox.tick(start + Duration::from_secs(60));
    outbox.sync();
    assert_eq!(disk.state().syncs, before + 1, "nothing to do");
    outbox.append(b"x");
    outbox.sync();
    // And once the directory, at the beginning.
    assert_eq!((disk.state().syncs, outbox.status().fsyncs_total), (before + 2, before as u64 + 3));
}

/// While the broker is there, a reading costs one write and one fsync, and hardly more bytes than it has.
#[test]
fn steady_state_wear() {
    const READINGS: u64 = 5000;
    const BYTES: u64 = 200;
    let disk = FakeDisk::default();
    let mut outbox = Outbox::with_files(Some(disk.files()), &OutboxConfig::default()).unwrap();
    let before = (outbox.status(), disk.state().writes);
    for _ in 0..READINGS {
        outbox.append(&[7; BYTES as usize]);
        let entry = outbox.peek().unwrap();
        outbox.sync();
        outbox.remove(entry.id);
    }
    let after = outbox.status();
    let writes = (disk.state().writes - before.1) as f64 / READINGS as f64;
    let fsyncs = (after.fsyncs_total - before.0.fsyncs_total) as f64 / READINGS as f64;
    let bytes = (after.written_bytes_total - before.0.written_bytes_total) as f64 / READINGS as f64;
    println!("for each reading of {BYTES} bytes: {writes:.3} writes, {fsyncs:.3} fsyncs, {bytes:.0} bytes");
    assert!(writes < 1.01 && fsyncs < 1.01, "{writes} writes, {fsyncs} fsyncs");
    // Two frames of 24 bytes (the record and the removal of the one before), and the zeros that were there first.
    assert!(bytes < 2.1 * (BYTES + 48) as f64, "{bytes} bytes");
    assert_eq!(disk.state().files.len(), 1, "what has been sent is deleted");
}

#[test]
fn kill_resends_few_orderly_stop_none() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    for i in 0..200 {
        outbox.append(format!("{i}").as_bytes());
    }
    for _ in 0..130 {
        let id = outbox.peek().unwrap().id;
        outbox.remove(id);
    }
    kill(outbox, &disk);
    let mut outbox = open(&disk);
    let again = outbox.len() - 70;
    assert!(again < REMOVALS_PER_MARK as usize, "{again} again");
    outbox.append(b"marks are written with it");
    kill(outbox, &disk);
    let mut outbox = open(&disk);
    while outbox.len() > 20 {
        let id = outbox.peek().unwrap().id;
        outbox.remove(id);
    }
    drop(outbox);
    assert_eq!(open(&disk).len(), 20);
}

#[test]
fn the_configuration_may_change_between_starts() {
    let disk = FakeDisk::default();
    let large = OutboxConfig { segment_bytes: 64 << 10, max_bytes: 128 << 10, ..small() };
    let mut outbox = Outbox::with_files(Some(disk.files()), &large).unwrap();
    for i in 0..500 {
        outbox.append(format!("{i:0100}").as_bytes());
    }
    drop(outbox);
    let mut outbox = open(&disk);
    outbox.append(b"last");
    let status = outbox.status();
    assert!(status.bytes <= small().max_bytes, "the new quota holds: {}", status.bytes);
    assert_eq!(status.dropped_total as usize + status.waiting, 501);
    assert_eq!(texts(&drain(&mut outbox)).last().map(String::as_str), Some("last"));
}

#[test]
fn two_threads_share_it() {
    const RECORDS: usize = 2000;
    let root = tempfile::tempdir().unwrap();
    let outbox = SharedOutbox::new(Outbox::open(Some(root.path()), &OutboxConfig::default()).unwrap());
    let mut queue = outbox.clone();
    let publisher = std::thread::spawn(move || {
        let mut got = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while got.len() < RECORDS && Instant::now() < deadline {
            let Some(entry) = queue.peek() else {
                std::thread::yield_now();
                continue;
            };
            if got.len().is_multiple_of(100) {
                queue.sync();
            }
            queue.remove(entry.id);
            got.push(entry);
        }
        got
    });
    for i in 0..RECORDS {
        assert!(outbox.append(format!("record {i}").as_bytes()).durable);
    }
    assert_eq!(texts(&publisher.join().unwrap()), numbers(0..RECORDS));
    assert_eq!(outbox.flush(), Flushed::Safe);
    outbox.close();
    assert_eq!((outbox.len(), outbox.status().damaged_total), (0, 0));
}

/// An empty memory was taken for everything being safe, and the image went.
#[test]
fn dropped_count_reported_once() {
    let mut outbox = Outbox::open(None, &small()).unwrap();
    outbox.append(&[0; 1001]);
    assert_eq!([outbox.flush(), outbox.flush()], [Flushed::Dropped, Flushed::Safe], "too long");
    (0..11).for_each(|_| _ = outbox.append(b"x"));
    assert_eq!(outbox.flush(), Flushed::Waiting);
    drain(&mut outbox);
    assert_eq!([outbox.flush(), outbox.flush()], [Flushed::Dropped, Flushed::Safe], "no room in memory");
    (0..10).for_each(|_| _ = outbox.append(b"x"));
    assert_eq!(outbox.flush(), Flushed::Waiting);
    drain(&mut outbox);
    assert_eq!(outbox.flush(), Flushed::Safe);
}

/// What goes for a new record when the disk's quota is used up was told of, and its image went, long ago.
#[test]
fn older_records_that_go_are_none_of_those_asked_for() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    while outbox.status().dropped_total < 10 {
        outbox.append(&[0; 900]);
        assert_eq!(outbox.flush(), Flushed::Safe);
    }
    let before = outbox.status().dropped_total;
    (0..40).for_each(|_| _ = outbox.append(&[0; 900]));
    assert!(outbox.status().dropped_total > before + 20);
    assert_eq!(outbox.flush(), Flushed::Dropped, "more at once than there is room for");
}
