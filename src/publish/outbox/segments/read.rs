//! The beginning of the log, where records are taken.

use super::super::super::Entry;
use super::super::frame::{self, FRAME_BYTES, MAX_SEGMENT_BYTES, Slot};
use super::Log;
use std::collections::VecDeque;
use std::io;

impl Log {
    /// The oldest record.
    ///
    /// # Errors
    /// The disk cannot be read; [`give_up`](Self::give_up) must follow.
    pub fn peek(&mut self) -> io::Result<Option<Entry>> {
        while let Some((number, slot)) = self.front()? {
            if let Some(entry) = self.unsynced.front().filter(|entry| entry.id == slot.id) {
                return Ok(Some(entry.clone()));
            }
            let bytes = self.files.read(number, slot.at as u64, (FRAME_BYTES + slot.len) as u64)?;
            if let Some(bytes) = frame::payload(&bytes, number, slot.id) {
                return Ok(Some(Entry { id: slot.id, bytes: bytes.to_vec() }));
            }
            // It was good when the segment was read.
            self.counters.damaged += 1;
            self.forget(slot.id);
        }
        Ok(None)
    }

    /// Forgets the record `id` if it is the oldest; says whether it was.
    ///
    /// # Errors
    /// The disk cannot be read; [`give_up`](Self::give_up) must follow.
    pub fn remove(&mut self, id: u64) -> io::Result<bool> {
        match self.front()? {
            Some((_, slot)) if slot.id == id => self.forget(id),
            _ => return Ok(false),
        }
        self.delete_spent();
        Ok(true)
    }

    /// Takes note of the removal of a record that is not here but comes after all that were.
    pub fn note_removed(&mut self, id: u64) {
        self.removed = self.removed.max(id);
        self.removals_unmarked = self.removals_unmarked.saturating_add(1);
    }

    /// Drops the oldest record, whose id is `id`.
    fn forget(&mut self, id: u64) {
        self.head.as_mut().and_then(VecDeque::pop_front);
        if let Some(front) = self.segments.front_mut() {
            front.live = front.live.saturating_sub(1);
        }
        if let Some(entry) = self.unsynced.front().filter(|entry| entry.id == id) {
            self.unsynced_bytes = self.unsynced_bytes.saturating_sub(entry.bytes.len() as u64);
            self.unsynced.pop_front();
        }
        self.note_removed(id);
    }

    /// The oldest record's segment and place.
    pub(super) fn front(&mut self) -> io::Result<Option<(u64, Slot)>> {
        loop {
            self.delete_spent();
            let Some(front) = self.segments.front() else { return Ok(None) };
            let number = front.number;
            if self.head.is_none() {
                let (after, last_id) = (front.after.max(self.removed), front.last_id);
                let bytes = self.files.read(number, 0, MAX_SEGMENT_BYTES)?;
                let mut slots = VecDeque::from(frame::scan(&bytes, number, after).slots);
                slots.retain(|slot| slot.id <= last_id);
                let Some(front) = self.segments.front_mut() else { return Ok(None) };
                // Places that were damaged when the log was opened have been counted.
                self.counters.damaged += front.live.saturating_sub(slots.len()) as u64;
                front.live = slots.len();
                self.head = Some(slots);
            }
            match self.head.as_ref().and_then(|head| head.front()) {
                Some(slot) => return Ok(Some((number, *slot))),
                None if self.segments.len() == 1 => return Ok(None),
                // What was counted there is gone.
                None => self.segments.front_mut().into_iter().for_each(|front| front.live = 0),
            }
        }
    }

    /// Deletes segments in which nothing is left, but not the last one, which knows the ids. Durable or not: if such a file comes back,
    /// its records are sent again at worst.
    pub(super) fn delete_spent(&mut self) {
        while self.segments.len() > 1 && self.segments.front().is_some_and(|front| front.live == 0) {
            if let Some(front) = self.segments.pop_front() {
                let _ = self.files.remove(front.number);
                self.head = None;
            }
        }
    }

    /// Deletes the oldest segment with all that is left in it.
    pub fn drop_oldest(&mut self) -> io::Result<()> {
        let Some(front) = self.segments.front() else { return Err(io::Error::other("there is no segment")) };
        self.files.remove(front.number)?;
        if front.live > 0 {
            self.counters.drop(front.live as u64, front.last_id);
        }
        self.note_removed(front.last_id);
        self.segments.pop_front();
        self.head = None;
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
            ids.extend(slots.iter().map(|slot| slot.id).filter(|&id| id <= segment.last_id));
        }
        ids
    }
}
