//! The outbox as a whole: on disks that fail, across kills and power cuts.

mod absent;
mod behaviour;
mod crash;
mod damage;
mod disk;
mod faults;
mod order;
mod process;

use super::super::{Entry, Queue};
use super::{Outbox, OutboxConfig, Store};
use disk::FakeDisk;

/// Small enough for everything to happen soon.
fn small() -> OutboxConfig {
    OutboxConfig {
        max_bytes: 16 << 10,
        segment_bytes: 4 << 10,
        max_record_bytes: 1000,
        sync_interval_ms: 5000,
        memory_records: 10,
        memory_bytes: 4000,
    }
}

fn open(disk: &FakeDisk) -> Outbox {
    Outbox::with_files(Some(disk.files()), &small()).unwrap()
}

/// The process is killed: nothing is written at the end.
fn kill(outbox: Outbox, disk: &FakeDisk) {
    disk.state().fail_all = true;
    drop(outbox);
    disk.state().fail_all = false;
}

/// Takes out all records.
fn drain(outbox: &mut Outbox) -> Vec<Entry> {
    let mut all = Vec::new();
    while let Some(entry) = outbox.peek() {
        assert!(all.last().is_none_or(|last: &Entry| last.id < entry.id), "ids rise");
        outbox.remove(entry.id);
        all.push(entry);
    }
    assert_eq!(outbox.len(), 0);
    all
}

/// Numbers of all that wait, by looking instead of counting.
fn ids(outbox: &mut Outbox) -> Vec<u64> {
    let mut ids = if let Store::Log(log) = &mut outbox.store { log.ids() } else { Vec::new() };
    ids.extend(outbox.memory.ids());
    ids
}

fn texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned()).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| format!("record {i}")).collect()
}
