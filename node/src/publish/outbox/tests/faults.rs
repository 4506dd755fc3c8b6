//! Disks that are full, read-only or broken for a while.

use super::disk::Junk;
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// Ticks until the disk must have been tried.
pub(super) fn heal(outbox: &mut Outbox, now: &mut Instant) {
    for _ in 0..3 {
        *now += Duration::from_secs(61);
        outbox.tick(*now);
    }
}

#[test]
fn a_full_disk_is_told_and_used_again() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let mut now = Instant::now();
    assert!(outbox.append(b"record 0").durable);
    disk.state().fail_write = Some((ErrorKind::StorageFull, 7));
    assert!(!outbox.append(b"record 1").durable);
    let status = outbox.status();
    assert!(!status.on_disk);
    let problem = status.problem.unwrap();
    assert!(problem.contains("fake") && problem.contains("free space") && !problem.contains('\n'), "{problem}");
    outbox.append(b"record 2");
    assert_eq!(outbox.peek().unwrap().bytes, b"record 0");
    heal(&mut outbox, &mut now);
    assert!(!outbox.status().on_disk);
    disk.state().fail_write = None;
    heal(&mut outbox, &mut now);
    let status = outbox.status();
    assert_eq!((status.on_disk, status.problem, status.dropped_total), (true, None, 0));
    disk.cut_power(&mut Junk(5));
    kill(outbox, &disk);
    let mut outbox = open(&disk);
    assert_eq!(texts(&drain(&mut outbox)), numbers(0..3), "what was in memory is durable at once");
    assert_eq!(outbox.status().damaged_total, 0, "the half-written frame has been cut off");
}

#[test]
fn tries_become_rare() {
    let disk = FakeDisk::default();
    disk.state().fail_write = Some((ErrorKind::StorageFull, 0));
    let mut outbox = open(&disk);
    let start = Instant::now();
    let before = disk.state().writes;
    for second in 0..600 {
        outbox.tick(start + Duration::from_secs(second));
    }
    let tries = disk.state().writes - before;
    assert!((10..20).contains(&tries), "{tries} tries in ten minutes");
}

#[test]
fn a_full_disk_and_a_full_memory_cost_the_oldest() {
    let disk = FakeDisk::default();
    // Room for two segments and a half, while the quota is four.
    disk.state().capacity = Some(10 << 10);
    let mut outbox = open(&disk);
    let mut dropped = 0;
    for i in 0..300 {
        dropped += outbox.append(format!("{i:0100}").as_bytes()).dropped;
    }
    assert_eq!(dropped, outbox.status().dropped_total);
    let expected: Vec<_> = (dropped..300).map(|i| format!("{i:0100}")).collect();
    assert!(expected.len() > 30, "the disk is used as far as it goes");
    assert_eq!(texts(&drain(&mut outbox)), expected);
}

#[test]
fn a_read_only_disk_is_read() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    for text in numbers(0..3) {
        outbox.append(text.as_bytes());
    }
    kill(outbox, &disk);
    disk.state().fail_write = Some((ErrorKind::ReadOnlyFilesystem, 0));
    let mut outbox = open(&disk);
    assert!(outbox.status().problem.unwrap().contains("make it writable"));
    assert!(!outbox.append(b"record 3").durable);
    assert_eq!(texts(&drain(&mut outbox)), numbers(0..4));
    // What was removed cannot be written down; it comes again.
    kill(outbox, &disk);
    assert_eq!(open(&disk).len(), 3);
}

#[test]
fn a_failed_fsync_is_not_believed_the_second_time() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let mut now = Instant::now();
    outbox.append(b"record 0");
    outbox.sync();
    outbox.append(b"record 1");
    disk.state().fail_sync = true;
    outbox.sync();
    assert!(!outbox.status().on_disk);
    disk.state().fail_sync = false;
    heal(&mut outbox, &mut now);
    assert!(outbox.status().on_disk);
    kill(outbox, &disk);
    for seed in 1..20 {
        let copy = disk.copy();
        copy.cut_power(&mut Junk(seed * 77));
        assert_eq!(texts(&drain(&mut open(&copy))).last().map(String::as_str), Some("record 1"));
    }
    assert_eq!(texts(&drain(&mut open(&disk))), numbers(0..2), "not twice");
}

/// Part of what a failed fsync left behind came back after a power cut and hid the copies that had been written
/// elsewhere.
#[test]
fn what_a_failed_fsync_leaves_hides_nothing() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    let mut now = Instant::now();
    outbox.append(format!("{:0300}", 0).as_bytes());
    outbox.sync();
    for i in 1..9 {
        outbox.append(format!("{i:0300}").as_bytes());
    }
    disk.state().fail_sync = true;
    outbox.sync();
    assert_eq!(outbox.memory.len(), 8);
    heal(&mut outbox, &mut now);
    disk.state().fail_sync = false;
    heal(&mut outbox, &mut now);
    assert!(outbox.status().on_disk);
    kill(outbox, &disk);
    let expected: Vec<_> = (0..9).map(|i| format!("{i:0300}")).collect();
    for seed in 1..100 {
        let copy = disk.copy();
        copy.cut_power(&mut Junk(seed * 77));
        assert_eq!(texts(&drain(&mut open(&copy))), expected, "seed {seed}");
    }
}

/// All were told to raise `max_bytes`.
#[test]
fn what_is_dropped_names_the_limit() {
    let told = |outbox: &mut Outbox, key: &str, count: u64| {
        let said = outbox.drops(None);
        let expected = format!("{count} records");
        assert!(said.len() == 1 && said[0].contains(key) && said[0].starts_with(&expected), "{key}: {said:?}");
        assert_eq!(said[0].contains("max_bytes"), key == "outbox.max_bytes", "{said:?}");
        assert_eq!(outbox.drops(None), [""; 0], "once");
    };
    let mut without = Outbox::open(None, &small()).unwrap();
    (0..13).for_each(|_| _ = without.append(b"x"));
    told(&mut without, "outbox.memory_records, 10,", 3);
    (0..4).for_each(|_| _ = without.append(&[0; 900]));
    told(&mut without, "outbox.memory_records, 10,", 4);
    let mut without = Outbox::open(None, &small()).unwrap();
    (0..5).for_each(|_| _ = without.append(&[0; 900]));
    told(&mut without, "outbox.memory_bytes, 4000,", 1);

    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    while outbox.status().dropped_total == 0 {
        outbox.append(&[0; 900]);
    }
    let dropped = outbox.status().dropped_total;
    told(&mut outbox, "outbox.max_bytes", dropped);
    outbox.append(&[0; 1001]);
    assert_eq!(outbox.drops(None), [""; 0], "told when it came");
    // The oldest segment makes room for what is in memory, once; then that is the limit.
    disk.state().fail_write = Some((ErrorKind::StorageFull, 0));
    let before = outbox.status().dropped_total;
    while outbox.status().dropped_total == before {
        outbox.append(&[0; 900]);
    }
    let said = outbox.drops(None);
    assert!(said.len() == 2 && said[0].contains("the disk of the outbox is full"), "{said:?}");
    assert!(said[1].contains("outbox.memory_bytes, 4000,") && said[1].contains("disk and the broker"), "{said:?}");
}

/// The node ends, and the next try of the disk would come a minute later.
#[test]
fn the_end_tries_the_disk_once_more() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    outbox.append(b"record 0");
    disk.state().fail_write = Some((ErrorKind::StorageFull, 0));
    outbox.append(b"record 1");
    outbox.append(b"record 2");
    assert!(!outbox.status().on_disk);
    disk.state().fail_write = None;
    assert_eq!(outbox.end(), None, "nothing is lost");
    kill(outbox, &disk);
    disk.cut_power(&mut Junk(9));
    assert_eq!(texts(&drain(&mut open(&disk))), numbers(0..3));

    // One that could not be opened at all.
    disk.state().fail_all = true;
    let mut outbox = open(&disk);
    outbox.append(b"record 0");
    disk.state().fail_all = false;
    drop(outbox);
    assert_eq!(open(&disk).len(), 1, "dropping is an end too");
}

#[test]
fn the_end_tells_once_what_is_lost() {
    let disk = FakeDisk::default();
    let mut outbox = open(&disk);
    outbox.append(b"record 0");
    outbox.sync();
    disk.state().fail_write = Some((ErrorKind::StorageFull, 0));
    outbox.append(b"record 1");
    outbox.append(b"record 2");
    let said = outbox.end().unwrap();
    assert!(
        said.contains("2 unsent reading(s)") && said.contains("cannot be written") && said.contains("free space"),
        "{said}"
    );
    let tries = disk.state().writes;
    assert_eq!((outbox.end(), disk.state().writes), (None, tries), "once");
    outbox.append(b"record 3");
    assert!(outbox.end().unwrap().contains("3 unsent reading(s)"), "it was not the end");

    let mut without = Outbox::open(None, &small()).unwrap();
    assert_eq!(without.end(), None, "nothing waits");
    without.append(b"record 0");
    let said = without.end().unwrap();
    assert!(
        said.contains("1 unsent reading(s)") && said.contains("no state_dir") && said.ends_with("set node.state_dir"),
        "{said}"
    );
    let mut sent = Outbox::open(None, &small()).unwrap();
    let id = sent.append(b"record 0").id;
    sent.remove(id);
    assert_eq!(sent.end(), None, "the broker has it");
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Send,
    Sync,
    Tick,
    /// What begins, or ends if it is 0.
    Fault(u8, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (0usize..300).prop_map(Step::Append),
        6 => Just(Step::Send),
        2 => Just(Step::Sync),
        3 => Just(Step::Tick),
        2 => (0u8..4, 0usize..400).prop_map(|(fault, after)| Step::Fault(fault, after)),
    ];
    prop::collection::vec(step, 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(400)))]
    /// While the process lives, what cannot be written is kept or counted; when the disk works again, everything is
    /// on it.
    #[test]
    fn nothing_is_lost_without_being_counted(steps in steps(), seed: u64) {
        let disk = FakeDisk::default();
        let mut outbox = open(&disk);
        let mut now = Instant::now();
        let (mut all, mut waiting) = (Vec::new(), VecDeque::new());
        for (i, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append(len) => {
                    let mut bytes = format!("{i}:").into_bytes();
                    bytes.resize(bytes.len() + len, b'x');
                    let before = outbox.status().dropped_total;
                    let appended = outbox.append(&bytes);
                    prop_assert_eq!(outbox.status().dropped_total - before, appended.dropped);
                    all.push((appended.id, bytes.clone()));
                    waiting.push_back((appended.id, bytes));
                    let ids = ids(&mut outbox);
                    let gone = waiting.len() - ids.len();
                    prop_assert_eq!(gone as u64, appended.dropped);
                    if outbox.status().on_disk {
                        waiting.drain(..gone);
                    } else {
                        // What is on a disk that cannot be written stays; the oldest in memory goes.
                        waiting.retain(|(id, _)| ids.contains(id));
                    }
                    prop_assert!(waiting.iter().map(|(id, _)| id).eq(&ids));
                }
                Step::Send => {
                    let entry = outbox.peek();
                    outbox.sync();
                    prop_assert_eq!(entry.as_ref().map(|entry| (entry.id, &entry.bytes)), waiting.front().map(|(id, bytes)| (*id, bytes)));
                    if let Some(entry) = entry {
                        outbox.remove(entry.id);
                        waiting.pop_front();
                    }
                }
                Step::Sync => outbox.sync(),
                Step::Tick => {
                    now += Duration::from_secs(20);
                    outbox.tick(now);
                }
                Step::Fault(fault, after) => {
                    let mut state = disk.state();
                    (state.fail_write, state.fail_sync) = (None, false);
                    match fault {
                        1 => state.fail_write = Some((ErrorKind::StorageFull, after)),
                        2 => state.fail_write = Some((ErrorKind::ReadOnlyFilesystem, after)),
                        3 => state.fail_sync = true,
                        _ => {}
                    }
                }
            }
            prop_assert_eq!(outbox.len(), waiting.len());
            prop_assert!(!outbox.memory.exceeds(small().memory_records, small().memory_bytes) || !outbox.status().on_disk);
        }
        {
            let mut state = disk.state();
            (state.fail_write, state.fail_sync) = (None, false);
        }
        heal(&mut outbox, &mut now);
        outbox.sync();
        prop_assert!(outbox.status().on_disk);
        kill(outbox, &disk);
        disk.cut_power(&mut Junk(seed | 1));
        let found: Vec<_> = drain(&mut open(&disk)).into_iter().map(|entry| (entry.id, entry.bytes)).collect();
        // What was dropped or removed may be there too, where it was.
        let mut rest = all.iter();
        prop_assert!(found.iter().all(|record| rest.any(|known| known == record)), "in the order of adding, none invented");
        let mut rest = found.iter();
        prop_assert!(waiting.iter().all(|record| rest.any(|found| found == record)), "{} of {}", found.len(), waiting.len());
    }
}
