//! Records that were removed while older ones wait.

use super::super::frame::{self, FRAME_BYTES};
use super::Log;
use super::write::REMOVALS_PER_MARK;
use std::collections::BTreeMap;
use std::io;

/// Where they lie, by id.
#[derive(Default)]
pub(super) struct Removed(BTreeMap<u64, Place>);

#[derive(Clone, Copy)]
struct Place {
    segment: u64,
    at: u64,
}

impl Removed {
    pub fn insert(&mut self, id: u64, segment: u64, at: u64) {
        self.0.insert(id, Place { segment, at });
    }

    pub fn contains(&self, id: u64) -> bool {
        self.0.contains_key(&id)
    }

    /// Everything up to `id` is known to be removed otherwise.
    pub fn forget_to(&mut self, id: u64) {
        self.0 = self.0.split_off(&(id + 1));
    }

    /// What lies in a segment from `at` on is not there any more.
    pub fn forget_in(&mut self, segment: u64, at: u64) {
        self.0.retain(|_, place| place.segment != segment || place.at < at);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Log {
    /// Marks them in their places if there are many, or if `now` says so.
    ///
    /// # Errors
    /// As of [`append`](Self::append). What was not marked may be sent again by a later run.
    pub(super) fn mark_removed(&mut self, now: bool) -> io::Result<()> {
        if self.tail.is_none() || self.unmarked.len() < if now { 1 } else { REMOVALS_PER_MARK as usize } {
            return Ok(());
        }
        let mut places: Vec<(u64, Place)> = self.unmarked.0.iter().map(|(id, place)| (*id, *place)).collect();
        places.sort_by_key(|(_, place)| place.segment);
        for group in places.chunk_by(|(_, a), (_, b)| a.segment == b.segment) {
            let segment = group[0].1.segment;
            let mut patches = Vec::with_capacity(group.len());
            for (id, place) in group {
                let head = self.files.read(segment, place.at, FRAME_BYTES as u64)?;
                patches.extend(frame::removed_head(&head, segment, *id).map(|head| (place.at, head.to_vec())));
            }
            self.files.patch(segment, &patches)?;
            self.counters.written_bytes += (patches.len() * FRAME_BYTES) as u64;
            self.counters.fsyncs += 1;
        }
        self.unmarked = Removed::default();
        Ok(())
    }
}
