//! Segments that are not what they were: junk is never taken for a record, and never ends the program.

use super::disk::{Junk, Node};
use super::*;
use crate::fuzz::repeat;
use std::time::{Duration, Instant};

/// A disk with records in several segments, some removed, and the records that wait.
fn filled() -> (FakeDisk, Vec<Entry>) {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    for i in 0..60 {
        outbox.append(format!("record {i:0100}").as_bytes());
        if i % 5 == 0 {
            let id = outbox.peek().unwrap().id;
            outbox.remove(id);
        }
    }
    kill(outbox, &disk);
    let waiting = drain(&mut open(&disk.copy()));
    assert!(disk.state().files.len() > 1 && waiting.len() > 40);
    (disk, waiting)
}

fn with(files: &std::collections::BTreeMap<u64, Node>) -> FakeDisk {
    let disk = FakeDisk::default();
    disk.state().files = files.clone();
    disk
}

#[test]
fn flipped_bit_costs_at_most_one_record() {
    let (disk, waiting) = filled();
    let files = disk.state().files.clone();
    for (&number, node) in &files {
        for at in (0..node.bytes.len()).step_by(3) {
            let damaged = with(&files);
            damaged.state().files.get_mut(&number).unwrap().bytes[at] ^= 1 << (at % 8);
            let mut outbox = open(&damaged);
            let found = drain(&mut outbox);
            assert_eq!(outbox.status().damaged_total, 1, "bit in byte {at} of {number}");
            // A mark that cannot be read brings back what was removed.
            let found: Vec<_> = found.into_iter().filter(|entry| entry.id >= waiting[0].id).collect();
            assert!(found.len() + 1 >= waiting.len(), "byte {at} of {number}: {} of {}", found.len(), waiting.len());
            assert!(found.iter().all(|entry| waiting.contains(entry)));
        }
    }
}

#[test]
fn damage_after_start_detected_on_read() {
    let (disk, waiting) = filled();
    let mut outbox = open(&disk);
    assert_eq!(outbox.peek().as_ref(), waiting.first());
    for node in disk.state().files.values_mut() {
        let at = node.bytes.windows(4).rposition(|w| w == b"0000").unwrap();
        node.bytes[at] ^= 1;
    }
    let found = drain(&mut outbox);
    assert!(found.iter().all(|entry| waiting.contains(entry)));
    let damaged = outbox.status().damaged_total as usize;
    assert!(damaged > 0 && found.len() + damaged == waiting.len());
}

#[test]
fn a_segment_that_someone_deletes_is_counted() {
    let (disk, waiting) = filled();
    let mut outbox = open(&disk);
    let second = *disk.state().files.keys().nth(1).unwrap();
    disk.state().files.remove(&second);
    let mut found = Vec::new();
    let mut now = Instant::now();
    for _ in 0..300 {
        now += Duration::from_secs(70);
        outbox.tick(now);
        if let Some(entry) = outbox.peek() {
            outbox.remove(entry.id);
            found.push(entry);
        }
    }
    found.dedup();
    let status = outbox.status();
    assert!(status.on_disk && status.waiting == 0 && status.damaged_total > 0, "{status:?}");
    assert_eq!(found.len() + status.damaged_total as usize, waiting.len());
}

#[test]
fn any_bytes_are_a_segment() {
    let (disk, waiting) = filled();
    let files = disk.state().files.clone();
    let mut junk = Junk(0x9e37_79b9_7f4a_7c15);
    repeat(300, || {
        let damaged = with(&files);
        for node in damaged.state().files.values_mut() {
            match junk.next() % 8 {
                0 => node.bytes = (0..junk.next() % 5000).map(|_| junk.next() as u8).collect(),
                1 => node.bytes.truncate(junk.next() % 4097),
                2 => {
                    // A part is written twice, or in another place.
                    let (from, to, len) = (junk.next() % 3000, junk.next() % 3000, junk.next() % 1000);
                    if node.bytes.len() >= 4000 {
                        node.bytes.copy_within(from..from + len, to);
                    }
                }
                3 => {
                    let from = junk.next() % (node.bytes.len() + 1);
                    node.bytes[from..].fill_with(|| junk.next() as u8);
                }
                _ => {
                    for _ in 0..junk.next() % 20 {
                        let at = junk.next() % node.bytes.len();
                        node.bytes[at] ^= 1 << (junk.next() % 8);
                    }
                }
            }
        }
        if junk.next().is_multiple_of(4) {
            // Segments change their names.
            let all = std::mem::take(&mut damaged.state().files);
            for (_, node) in all {
                damaged.state().files.insert(junk.next() as u64 % 100, node);
            }
        }
        let mut outbox = open(&damaged);
        let appended = outbox.append(b"new");
        assert!(appended.durable);
        outbox.sync();
        let found = drain(&mut outbox);
        assert_eq!(found.last().map(|entry| entry.id), Some(appended.id), "what is new is kept, and last");
        for entry in &found[..found.len() - 1] {
            let text = String::from_utf8_lossy(&entry.bytes);
            assert!(waiting.contains(entry) || text.starts_with("record 0000"), "invented: {text}");
        }
        drop(outbox);
        assert_eq!(open(&damaged).len(), 0);
    });
}

/// What was added after it had ids that are taken for damage.
#[test]
fn a_stray_file_with_a_huge_number_costs_nothing() {
    for number in [u64::MAX, 1 << 62, (1 << 62) - 1, 1 << 60] {
        for bytes in [vec![], vec![0; 4096], vec![b'x'; 4096]] {
            let (disk, mut waiting) = filled();
            disk.state().files.insert(number, Node { durable: bytes.clone(), bytes, forgotten: false });
            for round in 0..3 {
                let mut outbox = open(&disk);
                assert_eq!(outbox.status().damaged_total, 1, "told");
                let appended = outbox.append(format!("later {round}").as_bytes());
                assert!(appended.durable && appended.id < 1 << 40, "{}", appended.id);
                waiting.push(Entry { id: appended.id, bytes: format!("later {round}").into_bytes() });
                outbox.sync();
                kill(outbox, &disk);
            }
            assert!(disk.state().files.contains_key(&number), "it is left where it is");
            assert_eq!(drain(&mut open(&disk)), waiting, "{number}");
        }
    }
}
