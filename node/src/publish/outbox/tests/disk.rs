//! A disk that loses what was not synced, fills up and fails on demand.

use super::super::files::{Files, Lock};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is written at once or not at all.
const SECTOR: usize = 512;

/// Marsaglia's xorshift: repeatable junk.
pub struct Junk(pub u64);

impl Junk {
    pub fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize
    }
}

#[derive(Clone, Default)]
pub struct Node {
    /// As the processes see it.
    pub bytes: Vec<u8>,
    /// As it is after a power cut at the latest.
    pub durable: Vec<u8>,
    /// After a failed fsync the system forgets that pages have to be written, and the next fsync says that all is well.
    pub forgotten: bool,
}

#[derive(Default)]
pub struct State {
    pub files: BTreeMap<u64, Node>,
    /// Names that a power cut does not take away.
    names: BTreeSet<u64>,
    /// Deleted, but not for good.
    deleted: BTreeMap<u64, Node>,
    open: Option<u64>,
    locked: bool,
    /// What all writes end with, after some bytes.
    pub fail_write: Option<(io::ErrorKind, usize)>,
    pub fail_sync: bool,
    pub fail_read: bool,
    /// Not mounted.
    pub fail_all: bool,
    pub capacity: Option<usize>,
    pub syncs: usize,
    pub writes: usize,
    /// Heads that were written over.
    pub patches: usize,
}

/// Shared by the test and the outboxes it opens.
#[derive(Clone, Default)]
pub struct FakeDisk(Arc<Mutex<State>>);

impl FakeDisk {
    pub fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed with it is to say so, and no more.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn files(&self) -> Box<dyn Files> {
        Box::new(Handle { disk: self.clone(), holds_lock: false })
    }

    /// Another disk with the same on it.
    pub fn copy(&self) -> FakeDisk {
        let (state, copy) = (self.state(), FakeDisk::default());
        copy.state().files = state.files.clone();
        copy.state().names = state.names.clone();
        copy
    }

    /// The power fails; `junk` decides what of the writes under way has reached the disk.
    pub fn cut_power(&self, junk: &mut Junk) {
        let mut state = self.state();
        let deleted = std::mem::take(&mut state.deleted);
        for (number, node) in deleted {
            if junk.next().is_multiple_of(2) {
                state.files.insert(number, node);
                state.names.insert(number);
            }
        }
        let names = state.names.clone();
        state.files.retain(|number, _| names.contains(number) || junk.next().is_multiple_of(2));
        for node in state.files.values_mut() {
            let length = if junk.next().is_multiple_of(2) { node.bytes.len() } else { node.durable.len() };
            let mut after = vec![0; length];
            for start in (0..length).step_by(SECTOR) {
                let from = if junk.next().is_multiple_of(2) { &node.bytes } else { &node.durable };
                let end = (start + SECTOR).min(length).min(from.len());
                if start < end {
                    after[start..end].copy_from_slice(&from[start..end]);
                }
            }
            *node = Node { bytes: after.clone(), durable: after, forgotten: false };
        }
        state.names = state.files.keys().copied().collect();
        state.open = None;
    }
}

struct Handle {
    disk: FakeDisk,
    holds_lock: bool,
}

fn error(kind: io::ErrorKind) -> io::Error {
    io::Error::from(kind)
}

impl State {
    fn check(&self) -> io::Result<()> {
        if self.fail_all { Err(error(io::ErrorKind::NotFound)) } else { Ok(()) }
    }

    /// A full disk has room for a name, and for cutting and deleting.
    fn check_writable(&self) -> io::Result<()> {
        self.check()?;
        match self.fail_write {
            Some((kind @ io::ErrorKind::ReadOnlyFilesystem, _)) => Err(error(kind)),
            _ => Ok(()),
        }
    }

    fn open(&mut self) -> io::Result<&mut Node> {
        let number = self.open.ok_or_else(|| io::Error::other("no segment is open"))?;
        self.files.get_mut(&number).ok_or_else(|| error(io::ErrorKind::NotFound))
    }
}

impl Files for Handle {
    fn dir(&self) -> &Path {
        Path::new("fake")
    }

    fn prepare(&mut self) -> io::Result<Lock> {
        let mut state = self.disk.state();
        state.check()?;
        if state.locked && !self.holds_lock {
            return Ok(Lock::InUse);
        }
        state.locked = true;
        self.holds_lock = true;
        Ok(Lock::Held)
    }

    fn list(&mut self) -> io::Result<Vec<u64>> {
        let state = self.disk.state();
        state.check()?;
        Ok(state.files.keys().copied().collect())
    }

    fn read(&mut self, number: u64, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let state = self.disk.state();
        state.check()?;
        if state.fail_read {
            return Err(io::Error::other("the disk has a scratch"));
        }
        let bytes = &state.files.get(&number).ok_or_else(|| error(io::ErrorKind::NotFound))?.bytes;
        let from = (offset as usize).min(bytes.len());
        Ok(bytes[from..from.saturating_add(len as usize).min(bytes.len())].to_vec())
    }

    fn create(&mut self, number: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check_writable()?;
        assert!(!state.files.contains_key(&number), "a segment's number is used again");
        state.files.insert(number, Node::default());
        state.open = Some(number);
        Ok(())
    }

    fn open(&mut self, number: u64, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check_writable()?;
        state.open = Some(number);
        state.open()?.bytes.truncate(len as usize);
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check()?;
        state.writes += 1;
        let used: usize = state.files.values().map(|node| node.bytes.len()).sum();
        let (fail, room) = (state.fail_write, state.capacity.map(|capacity| capacity.saturating_sub(used)));
        let node = state.open()?;
        let start = offset as usize;
        let (mut result, mut length) = (Ok(()), bytes.len());
        if let Some((kind, after)) = fail {
            (result, length) = (Err(error(kind)), after.min(length));
        } else if let Some(room) = room
            && start + length > node.bytes.len() + room
        {
            (result, length) =
                (Err(error(io::ErrorKind::StorageFull)), (node.bytes.len() + room).saturating_sub(start));
        }
        if node.bytes.len() < start + length {
            node.bytes.resize(start + length, 0);
        }
        node.bytes[start..start + length].copy_from_slice(&bytes[..length]);
        result
    }

    fn patch(&mut self, number: u64, patches: &[(u64, Vec<u8>)]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check_writable()?;
        let (fail_write, fail_sync) = (state.fail_write, state.fail_sync);
        let node = state.files.get_mut(&number).ok_or_else(|| error(io::ErrorKind::NotFound))?;
        for (offset, bytes) in patches {
            let start = *offset as usize;
            assert!(start + bytes.len() <= node.bytes.len(), "a patch lies within its file");
            if let Some((kind, _)) = fail_write {
                return Err(error(kind));
            }
            node.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        }
        state.patches += patches.len();
        state.syncs += 1;
        if fail_sync {
            return Err(io::Error::other("the disk has a scratch"));
        }
        if let Some(node) = state.files.get_mut(&number).filter(|node| !node.forgotten) {
            node.durable = node.bytes.clone();
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check()?;
        state.syncs += 1;
        let fail = state.fail_sync;
        let node = state.open()?;
        if fail {
            // Some of it may have been written.
            let half = (node.bytes.len() / 2 / SECTOR * SECTOR).min(node.durable.len());
            node.durable[half..].iter_mut().zip(&node.bytes[half..]).for_each(|(to, from)| *to = *from);
            node.forgotten = true;
            return Err(io::Error::other("the disk has a scratch"));
        }
        if node.forgotten {
            node.durable.truncate(node.bytes.len());
        } else {
            node.durable = node.bytes.clone();
        }
        Ok(())
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check()?;
        state.names = state.files.keys().copied().collect();
        state.deleted.clear();
        Ok(())
    }

    fn remove(&mut self, number: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check_writable()?;
        if let Some(node) = state.files.remove(&number)
            && state.names.remove(&number)
        {
            state.deleted.insert(number, node);
        }
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.holds_lock {
            self.disk.state().locked = false;
        }
    }
}
