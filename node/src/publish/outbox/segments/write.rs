//! The end of the log, where records are added.

use super::super::super::Entry;
use super::super::files::Files;
use super::super::frame::{self, FRAME_BYTES, HEADER_BYTES, Header, Slot};
use super::{Counters, Log, Segment, Tail};
use std::collections::VecDeque;
use std::io;

/// By how much a segment grows.
const STEP_BYTES: u64 = 16 << 10;
/// More bytes than this are not left without an fsync, however recent they are: a copy of them is in memory.
const MAX_UNSYNCED_BYTES: u64 = 64 << 10;
/// After a kill, no more records than this are sent again.
pub(in super::super) const REMOVALS_PER_MARK: u32 = 64;

impl Log {
    /// Makes the log writable: goes on with the last segment if that is possible, or begins a new one.
    pub fn start(&mut self) -> io::Result<()> {
        let (Some(tail), Some(last)) = (self.resume.take(), self.segments.back()) else { return self.begin() };
        self.files.open(last.number, last.bytes)?;
        self.tail = Some(tail);
        let end = tail.end + FRAME_BYTES as u64;
        // Without room for it a new segment is begun with the next record, which says the same.
        if end + FRAME_BYTES as u64 <= self.config.segment_bytes {
            let mut frames = Vec::with_capacity(FRAME_BYTES);
            frame::write_next(&mut frames, last.number, self.next_id - 1);
            self.put(tail.end, frames)?;
            self.tail = Some(Tail { end, mark: None, ..tail });
        }
        // After a kill, what is in the file may still be in the system's memory only.
        self.dirty = true;
        Ok(())
    }

    /// Begins a new segment, which becomes the tail.
    fn begin(&mut self) -> io::Result<()> {
        // So that only the tail is ever not durable.
        self.sync()?;
        self.tail = None;
        self.cut_off()?;
        // What could not be deleted before must not cost a record that waits.
        self.delete_spent();
        while !self.segments.is_empty() && self.bytes() + self.config.segment_bytes > self.config.max_bytes {
            self.drop_oldest()?;
        }
        let number = self.next_number.max(self.next_id);
        self.next_number = number + 1;
        self.files.create(number)?;
        let mut bytes = Vec::new();
        frame::write_header(&mut bytes, Header { number, next_id: self.next_id, removed: self.removed });
        bytes.resize(STEP_BYTES.min(self.config.segment_bytes) as usize, 0);
        let written = self.files.write(0, &bytes).and_then(|()| self.files.sync()).and_then(|()| self.files.sync_dir());
        if let Err(e) = written {
            let _ = self.files.remove(number);
            return Err(e);
        }
        self.counters.written_bytes += bytes.len() as u64;
        self.counters.fsyncs += 2;
        let after = self.segments.back().map_or(self.removed, |segment| segment.last_id);
        self.segments.push_back(Segment { number, live: 0, after, last_id: after, bytes: bytes.len() as u64 });
        let end = HEADER_BYTES as u64;
        self.tail = Some(Tail { end, synced: end, mark: None });
        self.removals_unmarked = 0;
        self.delete_spent();
        Ok(())
    }

    /// Adds a record, whose id is above all others; it is durable after [`sync`](Self::sync).
    ///
    /// # Errors
    /// The record was not taken, and [`abandon`](Self::abandon) must follow.
    pub fn append(&mut self, entry: Entry) -> io::Result<()> {
        self.next_id = self.next_id.max(entry.id + 1);
        let needed = (2 * FRAME_BYTES + entry.bytes.len()) as u64;
        let tail = self.tail.ok_or_else(|| io::Error::other("nothing can be written"))?;
        // With room for a mark at the end.
        if tail.end + needed + FRAME_BYTES as u64 > self.config.segment_bytes {
            self.begin()?;
        }
        let (mut tail, Some(last)) = (self.tail.unwrap_or(tail), self.segments.back()) else {
            return Err(io::Error::other("there is no segment"));
        };
        let mut frames = Vec::with_capacity(needed as usize);
        let mut start = tail.end;
        if self.removals_unmarked > 0 {
            start = tail.mark.unwrap_or(tail.end);
            frame::write_mark(&mut frames, last.number, self.removed);
        }
        let (at, number) = (start + frames.len() as u64, last.number);
        frame::write_record(&mut frames, number, entry.id, &entry.bytes);
        tail = Tail { end: start + frames.len() as u64, mark: None, ..tail };
        self.put(start, frames)?;
        self.tail = Some(tail);
        self.removals_unmarked = 0;
        self.dirty = true;
        if let Some(last) = self.segments.back_mut() {
            last.live += 1;
            last.last_id = entry.id;
        }
        self.newest = entry.id;
        if let Some(live) = self.loaded.as_mut().filter(|live| live.number == number) {
            live.slots.push_back(Slot { id: entry.id, at: at as usize, len: entry.bytes.len() });
        }
        self.unsynced_bytes += entry.bytes.len() as u64;
        self.unsynced.push_back(entry);
        Ok(())
    }

    /// Whether enough was added to be made durable without waiting.
    pub fn wants_sync(&self) -> bool {
        self.unsynced_bytes > MAX_UNSYNCED_BYTES
    }

    /// Writes to the tail, and zeros behind it if it has to grow.
    fn put(&mut self, start: u64, mut frames: Vec<u8>) -> io::Result<()> {
        let Some(last) = self.segments.back_mut() else { return Ok(()) };
        let end = start + frames.len() as u64;
        if end > last.bytes {
            last.bytes = end.next_multiple_of(STEP_BYTES).min(self.config.segment_bytes).max(end);
            frames.resize((last.bytes - start) as usize, 0);
        }
        self.files.write(start, &frames)?;
        self.counters.written_bytes += frames.len() as u64;
        Ok(())
    }

    /// Writes down what has been removed. Not synced: a lost mark costs duplicates only.
    fn mark(&mut self) -> io::Result<()> {
        let (Some(tail), Some(last)) = (self.tail, self.segments.back()) else { return Ok(()) };
        let start = tail.mark.unwrap_or(tail.end);
        let end = start + FRAME_BYTES as u64;
        if end > self.config.segment_bytes {
            return Ok(());
        }
        let mut frames = Vec::with_capacity(FRAME_BYTES);
        frame::write_mark(&mut frames, last.number, self.removed);
        self.put(start, frames)?;
        self.tail = Some(Tail { end, mark: Some(start), ..tail });
        self.removals_unmarked = 0;
        Ok(())
    }

    /// Writes a mark if it is time, or if `now` says so.
    ///
    /// # Errors
    /// As of [`append`](Self::append).
    pub fn mark_if_due(&mut self, now: bool) -> io::Result<()> {
        if self.removals_unmarked >= if now { 1 } else { REMOVALS_PER_MARK } {
            self.mark()?;
        }
        self.mark_removed(now)
    }

    /// Makes everything added so far durable.
    ///
    /// # Errors
    /// Nothing is known of what was added since the last time, and [`abandon`](Self::abandon) must follow.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.dirty {
            if let Err(e) = self.files.sync() {
                self.sync_failed = true;
                return Err(e);
            }
            self.counters.fsyncs += 1;
            self.dirty = false;
            if let Some(tail) = &mut self.tail {
                tail.synced = tail.end;
            }
            self.unsynced.clear();
            self.unsynced_bytes = 0;
        }
        Ok(())
    }

    /// Whether [`sync`](Self::sync) has something to do.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether records can be added.
    pub fn is_writable(&self) -> bool {
        self.tail.is_some()
    }

    /// Gives up the tail after an error and gives back the records in it that may not be durable. What is durable can
    /// still be read.
    pub fn abandon(&mut self) -> VecDeque<Entry> {
        // A full disk usually has room for what has been taken already. After a failed fsync another one proves
        // nothing.
        if !self.sync_failed {
            let _ = self.sync();
        }
        let unsynced = std::mem::take(&mut self.unsynced);
        (self.unsynced_bytes, self.dirty, self.sync_failed) = (0, false, false);
        if let (Some(tail), Some(last)) = (self.tail.take(), self.segments.back_mut()) {
            last.live = last.live.saturating_sub(unsynced.len());
            if let Some(first) = unsynced.front() {
                last.last_id = last.last_id.min(first.id - 1);
            }
            let (number, last_id) = (last.number, last.last_id);
            self.cut = Some((number, tail.synced));
            self.unmarked.forget_in(number, tail.synced);
            if let Some(live) = self.loaded.as_mut().filter(|live| live.number == number) {
                live.slots.retain(|slot| slot.id <= last_id);
            }
            let _ = self.cut_off();
        }
        unsynced
    }

    /// Cuts off what may be durable of a tail that was given up. Part of it could come back beside the copies of its
    /// records that are written elsewhere, with the last ids but not all of them, and ids must rise. Besides, it may
    /// end with half a frame.
    fn cut_off(&mut self) -> io::Result<()> {
        let Some((number, end)) = self.cut else { return Ok(()) };
        match self.segments.iter_mut().find(|segment| segment.number == number) {
            Some(segment) => {
                self.files.open(number, end)?;
                self.files.sync()?;
                self.counters.fsyncs += 1;
                segment.bytes = segment.bytes.min(end);
            }
            // It was to be deleted, which may have failed.
            None => self.files.remove(number)?,
        }
        self.cut = None;
        Ok(())
    }

    /// Ends with this disk, which cannot be read any more. Gives back the records that may not be durable, and the
    /// number of the others.
    pub fn give_up(mut self) -> (Box<dyn Files>, VecDeque<Entry>, usize, Counters) {
        let unsynced = self.abandon();
        let live = self.live();
        (self.files, unsynced, live, self.counters)
    }
}
