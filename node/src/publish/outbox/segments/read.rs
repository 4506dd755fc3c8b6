//! Where records are taken from the log.

use super::super::super::Entry;
use super::super::frame::{self, FRAME_BYTES, MAX_SEGMENT_BYTES, Slot};
use super::{Live, Log};
use std::collections::VecDeque;
use std::io;

impl Log {
    /// The oldest record whose id is above `after`.
    ///
    /// # Errors
    /// The disk cannot be read; [`give_up`](Self::give_up) must follow.
    pub fn next(&mut self, mut after: u64) -> io::Result<Option<Entry>> {
        loop {
            self.delete_spent();
            let first = self.segments.partition_point(|segment| segment.last_id <= after);
            let Some(index) = (first..self.segments.len()).find(|&index| self.segments[index].live > 0) else {
                return Ok(None);
            };
            let (number, last_id) = (self.segments[index].number, self.segments[index].last_id);
            let slots = self.load(index)?;
            let at = slots.partition_point(|slot| slot.id <= after);
            let Some(&slot) = slots.get(at) else {
                after = last_id;
                continue;
            };
            if let Ok(at) = self.unsynced.binary_search_by_key(&slot.id, |entry| entry.id) {
                return Ok(Some(self.unsynced[at].clone()));
            }
            let bytes = self.files.read(number, slot.at as u64, (FRAME_BYTES + slot.len) as u64)?;
            if let Some(bytes) = frame::payload(&bytes, number, slot.id) {
                return Ok(Some(Entry { id: slot.id, bytes: bytes.to_vec() }));
            }
            // It was good when the segment was read.
            self.counters.damaged += 1;
            self.forget(index, at);
        }
    }

    /// Forgets the record `id`; says whether it was there.
    ///
    /// # Errors
    /// The disk cannot be read; [`give_up`](Self::give_up) must follow.
    pub fn remove(&mut self, id: u64) -> io::Result<bool> {
        let index = self.segments.partition_point(|segment| segment.last_id < id);
        if id <= self.removed || self.unmarked.contains(id) || self.segments.get(index).is_none_or(|s| s.live == 0) {
            return Ok(false);
        }
        let Ok(at) = self.load(index)?.binary_search_by_key(&id, |slot| slot.id) else { return Ok(false) };
        self.forget(index, at);
        self.delete_spent();
        Ok(true)
    }

    /// Takes note that everything up to `id` has been removed.
    pub fn note_removed(&mut self, id: u64) {
        self.removed = self.removed.max(id);
        let before = self.unmarked.len();
        self.unmarked.forget_to(self.removed);
        let included = (before - self.unmarked.len()) as u32;
        self.removals_unmarked = self.removals_unmarked.saturating_add(1 + included);
    }

    /// Drops a record of a segment that is loaded.
    fn forget(&mut self, index: usize, at: usize) {
        let Some(live) = &mut self.loaded else { return };
        let Some(slot) = live.slots.remove(at) else { return };
        let next = live.slots.front().map(|slot| slot.id);
        if let Ok(at) = self.unsynced.binary_search_by_key(&slot.id, |entry| entry.id)
            && let Some(entry) = self.unsynced.remove(at)
        {
            self.unsynced_bytes = self.unsynced_bytes.saturating_sub(entry.bytes.len() as u64);
        }
        let segment = &mut self.segments[index];
        segment.live = segment.live.saturating_sub(1);
        let (number, last_id) = (segment.number, segment.last_id);
        if at == 0 && self.segments.iter().take(index).all(|segment| segment.live == 0) {
            // Those behind it that went before it are included.
            self.note_removed(next.map_or(last_id, |next| next - 1));
        } else {
            self.unmarked.insert(slot.id, number, slot.at as u64);
        }
    }

    /// What waits in a segment.
    fn load(&mut self, index: usize) -> io::Result<&mut VecDeque<Slot>> {
        let Some(segment) = self.segments.get_mut(index) else { return Err(io::Error::other("there is no segment")) };
        if self.loaded.as_ref().is_none_or(|live| live.number != segment.number) {
            self.loaded = None;
            let bytes = self.files.read(segment.number, 0, MAX_SEGMENT_BYTES)?;
            let after = segment.after.max(self.removed);
            let mut slots = VecDeque::from(frame::scan(&bytes, segment.number, after).slots);
            slots.retain(|slot| slot.id <= segment.last_id && !self.unmarked.contains(slot.id));
            // Places that were damaged when the log was opened have been counted.
            self.counters.damaged += segment.live.saturating_sub(slots.len()) as u64;
            segment.live = slots.len();
            self.loaded = Some(Live { number: segment.number, slots });
        }
        match &mut self.loaded {
            Some(live) => Ok(&mut live.slots),
            None => Err(io::Error::other("there is no segment")),
        }
    }

    /// Deletes segments in which nothing is left, but not the last one, which knows the ids. One that cannot be deleted
    /// now is kept and tried again later. If such a file comes back after a power cut, its records are sent again at
    /// worst; of the oldest ones a mark says that they have been removed, of others only their absence does.
    pub(super) fn delete_spent(&mut self) {
        let mut index = 0;
        while index + 1 < self.segments.len() {
            let (number, live) = (self.segments[index].number, self.segments[index].live);
            if live > 0 || self.files.remove(number).is_err() {
                index += 1;
                continue;
            }
            self.segments.remove(index);
            if index > 0 && self.files.sync_dir().is_ok() {
                self.counters.fsyncs += 1;
            }
            self.forget_segment(number);
        }
    }

    fn forget_segment(&mut self, number: u64) {
        self.unmarked.forget_in(number, 0);
        self.loaded.take_if(|live| live.number == number);
    }

    /// Deletes the oldest segment with all that is left in it.
    pub fn drop_oldest(&mut self) -> io::Result<()> {
        let Some(front) = self.segments.front() else { return Err(io::Error::other("there is no segment")) };
        self.files.remove(front.number)?;
        let (number, last_id) = (front.number, front.last_id);
        if front.live > 0 {
            self.counters.drop(front.live as u64, last_id);
        }
        self.segments.pop_front();
        self.forget_segment(number);
        self.note_removed(last_id);
        self.resume = self.resume.filter(|_| !self.segments.is_empty());
        Ok(())
    }

    /// All that wait, by what is on the disk.
    #[cfg(test)]
    pub fn ids(&mut self) -> Vec<u64> {
        let mut ids = Vec::new();
        for segment in &self.segments {
            let Ok(bytes) = self.files.read(segment.number, 0, MAX_SEGMENT_BYTES) else { continue };
            let slots = frame::scan(&bytes, segment.number, segment.after.max(self.removed)).slots;
            let waits = |id: &u64| *id <= segment.last_id && !self.unmarked.contains(*id);
            ids.extend(slots.iter().map(|slot| slot.id).filter(waits));
        }
        ids
    }
}
