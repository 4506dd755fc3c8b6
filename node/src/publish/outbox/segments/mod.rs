//! Segments on a disk as a queue of records.
//!
//! Only the last segment, the tail, is written. It grows by `STEP_BYTES` of zeros at a time, so that the usual fsync
//! finds the file's length unchanged and writes nothing but the page that a record is in. Measured with ext4 on 4 KiB
//! pages, records of 200 bytes and an fsync for each: 2.0 writes and 4.9 KB to the device for each record; 3.0 writes
//! and 17.4 KB if the file grows by each record, because the new length goes through the journal.
//!
//! What has been removed is a frame too (a mark), written with the next record: the page is written anyway. Without a
//! next record a mark is written after `REMOVALS_PER_MARK` removals and when the outbox is closed. A file beside the
//! log, replaced and synced now and then, would cost several pages each time for the same effect.
//!
//! A mark says that all records up to an id have been removed. Those that are removed while older ones wait are marked
//! in their places, `REMOVALS_PER_MARK` at a time, and those that were written later than the last mark when the
//! outbox is closed (`removed`).

mod read;
mod removed;
mod write;

use super::super::Entry;
use super::config::OutboxConfig;
use super::files::Files;
use super::frame::{self, HEADER_BYTES, MAX_ID, MAX_SEGMENT_BYTES, Slot};
use removed::Removed;
use std::collections::VecDeque;
use std::io;
#[cfg(test)]
pub(super) use write::REMOVALS_PER_MARK;

/// How far ids jump at each start: further than a segment has records, so that no id is given twice even if the tail
/// that had it is damaged.
const ID_GAP: u64 = 1 << 20;

/// Larger numbers of segments are not believed without a header that has them too: those given after them could leave
/// no room. Numbers follow the ids, which take some 2^32 starts to come so far.
const MAX_NUMBER: u64 = 1 << 52;

/// What was written, and what was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub dropped: u64,
    /// The highest id among them.
    pub dropped_to: u64,
    pub damaged: u64,
    pub written_bytes: u64,
    pub fsyncs: u64,
}

impl Counters {
    /// Notes that so many records were dropped, with ids up to `id`.
    pub fn drop(&mut self, count: u64, id: u64) {
        self.dropped += count;
        self.dropped_to = self.dropped_to.max(id);
    }

    pub fn add(&mut self, other: Counters) {
        self.drop(other.dropped, other.dropped_to);
        self.damaged += other.damaged;
        self.written_bytes += other.written_bytes;
        self.fsyncs += other.fsyncs;
    }
}

struct Segment {
    number: u64,
    /// Records that have not been removed.
    live: usize,
    /// Its records have ids above this one, up to `last_id`; others are copies of records elsewhere.
    after: u64,
    last_id: u64,
    /// Length of the file.
    bytes: u64,
}

/// The records of a segment that have not been removed, oldest first.
struct Live {
    number: u64,
    slots: VecDeque<Slot>,
}

#[derive(Clone, Copy)]
struct Tail {
    /// Where the next frame goes.
    end: u64,
    /// Up to where it is durable, as far as this process knows.
    synced: u64,
    /// Where the last frame begins if it is a mark, which may be written over.
    mark: Option<u64>,
}

pub(super) struct Log {
    files: Box<dyn Files>,
    config: OutboxConfig,
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// What waits in the segment that was asked for last.
    loaded: Option<Live>,
    /// End of the last segment; `None` while nothing can be written.
    tail: Option<Tail>,
    /// What the tail would be if the last segment is gone on with.
    resume: Option<Tail>,
    /// Records that have been written but may not survive a power cut. If the fsync fails nobody knows whether they are
    /// on disk, so they are written once more, elsewhere.
    unsynced: VecDeque<Entry>,
    unsynced_bytes: u64,
    dirty: bool,
    sync_failed: bool,
    /// A segment that was given up, and where it has to end before another one is begun.
    cut: Option<(u64, u64)>,
    /// All ids up to here have been removed.
    removed: u64,
    removals_unmarked: u32,
    /// Removed records above that, which are not marked in their places yet.
    unmarked: Removed,
    next_number: u64,
    next_id: u64,
    /// The newest record that was added or found.
    newest: u64,
    counters: Counters,
}

impl Log {
    /// Finds what is on the disk; writes nothing. Ids below `next_id` are not given either.
    pub fn open(
        mut files: Box<dyn Files>,
        config: &OutboxConfig,
        next_id: u64,
    ) -> Result<Log, (Box<dyn Files>, io::Error)> {
        let mut numbers = match files.list() {
            Ok(numbers) => numbers,
            Err(e) => return Err((files, e)),
        };
        numbers.sort_unstable();
        let strays = numbers.split_off(numbers.partition_point(|&number| number <= MAX_NUMBER));
        let (ours, strays): (Vec<u64>, Vec<u64>) = strays.into_iter().partition(|&number| {
            let head = files.read(number, 0, HEADER_BYTES as u64);
            number <= MAX_ID && head.is_ok_and(|head| frame::is_header(&head, number))
        });
        for number in &strays {
            log::warn!(
                "segment {number} of the outbox {} is left out because no node comes to such a number; remove it if it is not yours",
                files.dir().display()
            );
        }
        numbers.extend(ours);
        let mut log = Log {
            files,
            config: config.clone(),
            segments: VecDeque::new(),
            loaded: None,
            tail: None,
            resume: None,
            unsynced: VecDeque::new(),
            unsynced_bytes: 0,
            dirty: false,
            sync_failed: false,
            cut: None,
            removed: 0,
            removals_unmarked: 0,
            unmarked: Removed::default(),
            next_number: numbers.last().map_or(1, |last| last + 1),
            next_id,
            newest: 0,
            counters: Counters { damaged: strays.len() as u64, ..Counters::default() },
        };
        let mut ids = Vec::with_capacity(numbers.len());
        for &number in &numbers {
            log.find(number, &mut ids);
        }
        // Only now is it known what has been removed.
        for (segment, ids) in log.segments.iter_mut().zip(ids) {
            segment.live = ids.iter().filter(|&&id| id > log.removed).count();
            log.newest = ids.last().copied().filter(|&id| id > log.removed).unwrap_or(log.newest);
        }
        if !numbers.is_empty() {
            log.next_id = log.next_id.max(log.next_number).max(log.removed + 1) + ID_GAP;
        }
        log.delete_spent();
        Ok(log)
    }

    fn find(&mut self, number: u64, ids: &mut Vec<Vec<u64>>) {
        let bytes = match self.files.read(number, 0, MAX_SEGMENT_BYTES) {
            Ok(bytes) => bytes,
            // Left where it is: another try, or another computer, may read it.
            Err(e) => {
                log::warn!("segment {number} of the outbox {} is left out because {e}", self.files.dir().display());
                self.counters.damaged += 1;
                // Ids in it are above all known ones, so nothing may be added before it.
                self.resume = None;
                return;
            }
        };
        if let Some(version) = frame::later_version(&bytes) {
            log::warn!(
                "segment {number} of the outbox {} is left out because a later version of this program wrote it \
                 (format {version}); install that version again to have its records sent",
                self.files.dir().display()
            );
            self.counters.damaged += 1;
            self.resume = None;
            return;
        }
        let after = self.segments.back().map_or(0, |segment| segment.last_id);
        let found = frame::scan(&bytes, number, after);
        if found.damaged > 0 {
            log::warn!(
                "segment {number} of the outbox {} is damaged in {} place(s), the rest of it is used",
                self.files.dir().display(),
                found.damaged
            );
        }
        self.counters.damaged += found.damaged;
        self.removed = self.removed.max(found.removed);
        self.next_id = self.next_id.max(found.next_id);
        let (end, length) = (found.end as u64, bytes.len() as u64);
        // The tail, if no other segment comes after this one.
        let usable = found.header.is_some() && length <= self.config.segment_bytes;
        self.resume = usable.then_some(Tail { end, synced: end, mark: found.last_mark.map(|at| at as u64) });
        let bytes = if found.torn { end } else { length };
        self.segments.push_back(Segment { number, live: 0, after, last_id: found.last_id, bytes });
        ids.push(found.slots.into_iter().map(|slot| slot.id).collect());
    }

    /// Records that have not been removed.
    pub fn live(&self) -> usize {
        self.segments.iter().map(|segment| segment.live).sum()
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The lowest id that can be given.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// The newest record that was added or found; 0 if there was none.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub fn files(&mut self) -> &mut dyn Files {
        &mut *self.files
    }
}
