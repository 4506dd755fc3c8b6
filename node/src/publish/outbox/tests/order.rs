//! Records that are removed while older ones wait.

use super::super::frame::{HEADER_BYTES, Slot, scan};
use super::super::segments::REMOVALS_PER_MARK;
use super::disk::Junk;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

fn waiting(outbox: &mut Outbox) -> Vec<u64> {
    let (mut found, mut after) = (Vec::new(), 0);
    while let Some(entry) = outbox.next(after) {
        assert!(entry.id > after);
        after = entry.id;
        found.push(after);
    }
    assert_eq!((found.len(), found.as_slice()), (outbox.len(), ids(outbox).as_slice()));
    found
}

fn fill(outbox: &mut Outbox, count: usize) -> Vec<u64> {
    (0..count).map(|i| outbox.append(format!("{i:0100}").as_bytes()).id).collect()
}

#[test]
fn removal_out_of_order_survives_close_and_kill() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let all = fill(&mut outbox, 60);
    let (odd, even): (Vec<u64>, Vec<u64>) = all.iter().partition(|id| *id % 2 == 1);
    for &id in even.iter().rev() {
        outbox.remove(id);
        outbox.remove(id);
    }
    assert_eq!(waiting(&mut outbox), odd);
    assert_eq!(outbox.next(odd[3]).map(|entry| entry.id), Some(odd[4]));
    drop(outbox);
    assert_eq!(disk.state().patches, even.len(), "each is marked once");
    for _ in 0..2 {
        let mut outbox = open(&disk);
        assert_eq!((waiting(&mut outbox), outbox.status().damaged_total), (odd.clone(), 0));
        kill(outbox, &disk);
    }
    let mut outbox = open(&disk);
    for &id in &odd {
        outbox.remove(id);
    }
    kill(outbox, &disk);
    let again = open(&disk).len();
    assert!(again < REMOVALS_PER_MARK as usize, "{again} of those that were removed in order come again");
}

#[test]
fn power_cut_brings_back_few_that_were_removed() {
    for seed in 1..40 {
        let disk = FakeDisk::default();
        let mut outbox =
            Outbox::with_files(Some(disk.files()), &OutboxConfig { max_bytes: 1 << 20, ..small() }).unwrap();
        let all = fill(&mut outbox, 301);
        outbox.sync();
        for &id in &all[1..] {
            outbox.remove(id);
        }
        kill(outbox, &disk);
        disk.cut_power(&mut Junk(seed * 77));
        let mut outbox =
            Outbox::with_files(Some(disk.files()), &OutboxConfig { max_bytes: 1 << 20, ..small() }).unwrap();
        let found = waiting(&mut outbox);
        // Deleted segments may come back, all of whose records are marked.
        assert!(found.len() <= 1 + REMOVALS_PER_MARK as usize && found[0] == all[0], "seed {seed}: {}", found.len());
    }
}

/// One record that waits kept all segments after its own.
#[test]
fn spent_segments_are_deleted_wherever_they_are() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let first = outbox.append(b"waits").id;
    for i in 0..2000 {
        let id = outbox.append(format!("{i:0100}").as_bytes()).id;
        outbox.remove(id);
    }
    let status = outbox.status();
    assert_eq!((status.waiting, status.dropped_total), (1, 0));
    assert!(disk.state().files.len() <= 3, "{} segments", disk.state().files.len());
    drop(outbox);
    let mut outbox = open(&disk);
    assert_eq!(waiting(&mut outbox), [first]);
    assert_eq!(outbox.peek().unwrap().bytes, b"waits");
}

#[test]
fn full_outbox_drops_what_waits_before_what_is_newer() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let (mut blocked, mut dropped) = (Vec::new(), 0);
    // The broker takes every second one, and then none.
    for i in 0..400 {
        let appended = outbox.append(format!("{i:0100}").as_bytes());
        dropped += appended.dropped as usize;
        match i % 2 {
            0 => blocked.push(appended.id),
            _ => outbox.remove(appended.id),
        }
    }
    assert!(dropped > 0);
    assert_eq!(waiting(&mut outbox), blocked[dropped..], "only what waits was dropped, the oldest of it");
    let others = fill(&mut outbox, 30);
    let left = waiting(&mut outbox);
    assert!(left.ends_with(&others), "none of these as long as older ones are there: {left:?}");
}

#[test]
fn removal_in_memory_may_be_out_of_order() {
    let mut outbox = Outbox::open(None, &small()).unwrap();
    let all: Vec<u64> = (0..6).map(|_| outbox.append(b"x").id).collect();
    for at in [3, 1, 3] {
        outbox.remove(all[at]);
    }
    assert_eq!(outbox.status().bytes, 4);
    assert_eq!(drain(&mut outbox).iter().map(|entry| entry.id).collect::<Vec<_>>(), [all[0], all[2], all[4], all[5]]);
}

#[test]
fn read_only_disk_keeps_removals_in_memory() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let all = fill(&mut outbox, 100);
    outbox.sync();
    disk.state().fail_write = Some((ErrorKind::ReadOnlyFilesystem, 0));
    for &id in &all[1..] {
        outbox.remove(id);
    }
    assert_eq!(waiting(&mut outbox), all[..1]);
    disk.state().fail_write = None;
    let mut now = Instant::now();
    for _ in 0..3 {
        now += Duration::from_secs(61);
        outbox.tick(now);
    }
    drop(outbox);
    assert_eq!(waiting(&mut open(&disk)), all[..1], "written down when that is possible again");
}

/// As the version before this one wrote it.
fn set_version(disk: &FakeDisk, version: u8) {
    for node in disk.state().files.values_mut() {
        node.bytes[7] = version;
        let crc = crc32fast::hash(&node.bytes[..32]);
        node.bytes[32..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        node.durable = node.bytes.clone();
    }
}

#[test]
fn segments_of_version_1_are_read_and_continued() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let all = fill(&mut outbox, 60);
    drop(outbox);
    set_version(&disk, b'1');
    let mut outbox = open(&disk);
    assert_eq!((waiting(&mut outbox), outbox.status().damaged_total), (all.clone(), 0));
    outbox.remove(all[1]);
    let last = outbox.append(b"new").id;
    drop(outbox);
    let mut outbox = open(&disk);
    let mut expected = [all, vec![last]].concat();
    expected.remove(1);
    assert_eq!((waiting(&mut outbox), outbox.status().damaged_total), (expected, 0));
}

#[test]
fn segments_of_later_version_are_left_alone() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    fill(&mut outbox, 60);
    drop(outbox);
    set_version(&disk, b'3');
    let before: Vec<u64> = disk.state().files.keys().copied().collect();
    let mut outbox = open(&disk);
    assert_eq!((outbox.len(), outbox.status().damaged_total), (0, before.len() as u64), "counted");
    let id = outbox.append(b"new").id;
    assert_eq!(waiting(&mut outbox), [id]);
    drop(outbox);
    assert!(before.iter().all(|number| disk.state().files.contains_key(number)), "and not deleted");
    set_version(&disk, b'2');
    assert_eq!(open(&disk).len(), 61, "the version that knows them has them all");
}

/// A marked head that was written by half is damage to a record that nobody wants any more.
#[test]
fn torn_mark_costs_no_other_record() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let all = fill(&mut outbox, 10);
    drop(outbox);
    let (number, whole) = disk.state().files.iter().next().map(|(&n, node)| (n, node.bytes.clone())).unwrap();
    let Slot { at, .. } = scan(&whole, number, 0).slots[4];
    let mut outbox = open(&disk);
    outbox.remove(all[4]);
    drop(outbox);
    let marked = disk.state().files[&number].bytes.clone();
    for half in 1..24 {
        let torn = disk.copy();
        torn.state().files.get_mut(&number).unwrap().bytes[at..at + half].copy_from_slice(&whole[at..at + half]);
        let found = waiting(&mut open(&torn));
        assert!(all.iter().all(|id| *id == all[4] || found.contains(id)), "{half}: {found:?}");
    }
    assert_ne!(marked[at..at + 24], whole[at..at + 24]);
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Remove(usize),
    Sync,
    Close,
    Kill,
    PowerCut(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (0usize..300).prop_map(Step::Append),
        10 => any::<usize>().prop_map(Step::Remove),
        2 => Just(Step::Sync),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerCut),
    ];
    prop::collection::vec(step, 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(400)))]
    /// Whatever is removed, in whatever order: what waits is there, in its order, after an orderly end nothing else,
    /// and after a kill few others.
    #[test]
    fn waiting_records_survive_any_order_of_removal(steps in steps()) {
        let disk = FakeDisk::default();
        let mut outbox = open(&disk);
        // What waits, and whether it is durable.
        let mut known: BTreeMap<u64, (Vec<u8>, bool)> = BTreeMap::new();
        let mut cut = false;
        for (i, step) in steps.into_iter().enumerate() {
            let mut lossy = None;
            match step {
                Step::Append(len) => {
                    let mut bytes = format!("{i}:").into_bytes();
                    bytes.resize(bytes.len() + len, b'x');
                    let appended = outbox.append(&bytes);
                    prop_assert!(known.last_key_value().is_none_or(|(last, _)| *last < appended.id));
                    for _ in 0..appended.dropped {
                        known.pop_first();
                    }
                    known.insert(appended.id, (bytes, false));
                }
                Step::Remove(at) if !known.is_empty() => {
                    let id = *known.keys().nth(at % known.len()).unwrap();
                    outbox.remove(id);
                    known.remove(&id);
                }
                Step::Remove(_) => {}
                Step::Sync => {
                    outbox.sync();
                    known.values_mut().for_each(|(_, durable)| *durable = true);
                }
                Step::Close => {
                    drop(outbox);
                    outbox = open(&disk);
                    prop_assert_eq!(outbox.len(), known.len());
                    lossy = Some(false);
                }
                Step::Kill => {
                    kill(outbox, &disk);
                    outbox = open(&disk);
                    prop_assert!(outbox.len() <= known.len() + 2 * REMOVALS_PER_MARK as usize);
                    lossy = Some(false);
                }
                Step::PowerCut(seed) => {
                    kill(outbox, &disk);
                    disk.cut_power(&mut Junk(seed | 1));
                    cut = true;
                    outbox = open(&disk);
                    lossy = Some(true);
                }
            }
            if let Some(lossy) = lossy {
                prop_assert!(cut || outbox.status().damaged_total == 0);
                let found = waiting(&mut outbox);
                prop_assert!(known.iter().all(|(id, (_, durable))| found.contains(id) || lossy && !durable));
                known.retain(|id, _| found.contains(id));
                known.values_mut().for_each(|(_, durable)| *durable = true);
                // The others are sent again.
                found.iter().filter(|id| !known.contains_key(id)).for_each(|id| outbox.remove(*id));
            }
            prop_assert!(waiting(&mut outbox).iter().eq(known.keys()));
            prop_assert!(outbox.status().on_disk && outbox.status().bytes <= small().max_bytes);
        }
        let all = drain(&mut outbox);
        prop_assert!(all.iter().map(|entry| (&entry.id, &entry.bytes)).eq(known.iter().map(|(id, (bytes, _))| (id, bytes))));
    }
}
