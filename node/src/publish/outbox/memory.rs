//! Records that cannot be on a disk now.

use super::super::Entry;
use std::collections::VecDeque;

/// A queue that knows how many bytes are in it.
#[derive(Default)]
pub(super) struct Memory {
    entries: VecDeque<Entry>,
    bytes: u64,
}

impl Memory {
    pub fn push_back(&mut self, entry: Entry) {
        self.bytes += entry.bytes.len() as u64;
        self.entries.push_back(entry);
    }

    /// Puts older records before the others.
    pub fn prepend(&mut self, older: VecDeque<Entry>) {
        for entry in older.into_iter().rev() {
            self.bytes += entry.bytes.len() as u64;
            self.entries.push_front(entry);
        }
    }

    pub fn front(&self) -> Option<&Entry> {
        self.entries.front()
    }

    pub fn pop_front(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.bytes.len() as u64;
        Some(entry)
    }

    /// The oldest whose id is above `after`.
    pub fn next(&self, after: u64) -> Option<&Entry> {
        self.entries.get(self.entries.partition_point(|entry| entry.id <= after))
    }

    /// Removes the record `id`; says whether it was the oldest, if it was there.
    pub fn remove(&mut self, id: u64) -> Option<bool> {
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        let entry = self.entries.remove(at)?;
        self.bytes -= entry.bytes.len() as u64;
        Some(at == 0)
    }

    /// The newest id.
    pub fn last_id(&self) -> Option<u64> {
        self.entries.back().map(|entry| entry.id)
    }

    #[cfg(test)]
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(|entry| entry.id)
    }

    /// Gives new ids from `next` on, and the one after the last.
    pub fn renumber(&mut self, next: u64) -> u64 {
        let mut ids = next..;
        for (entry, id) in self.entries.iter_mut().zip(&mut ids) {
            entry.id = id;
        }
        ids.start
    }

    /// Whether it holds more than these.
    pub fn exceeds(&self, records: usize, bytes: u64) -> bool {
        self.entries.len() > records || self.bytes > bytes
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
