//! Failover to memory when the disk of the outbox fails, and back when it works again.

use super::files::{Files, Lock};
use super::segments::Log;
use super::{Outbox, OutboxError};
use crate::util::retry::Retry;
use std::io;
use std::time::Duration;

/// Pauses between tries to use the disk again.
pub(super) const fn retry() -> Retry {
    Retry::new(Duration::from_secs(1), Duration::from_secs(60))
}

/// Where records are besides the memory.
pub(super) enum Store {
    None,
    /// A directory that cannot be read, and how many records are missed since.
    Lost(Box<dyn Files>, usize),
    Log(Box<Log>),
}

/// Why records are in memory only.
pub(super) enum Problem {
    NoDir,
    Disk { cause: String, remedy: &'static str },
}

impl Problem {
    /// While the node runs.
    pub fn sentence(&self) -> String {
        match self {
            Problem::NoDir => {
                "readings that wait for the broker are lost when the node ends because there is no state_dir; set one"
                    .to_owned()
            }
            Problem::Disk { cause, remedy } => format!("{cause}, so readings are kept in memory only; {remedy}"),
        }
    }

    /// The sentence for the end of the node, when `records` unsent records are in memory only.
    fn loss_sentence(&self, records: usize) -> String {
        let (cause, remedy) = match self {
            Problem::NoDir => ("there is no state_dir", "set node.state_dir"),
            Problem::Disk { cause, remedy } => (cause.as_str(), *remedy),
        };
        format!(
            "{cause}: {records} unsent reading(s) are held in memory only and will be lost when the node exits; {remedy}"
        )
    }
}

impl Outbox {
    /// Tries the disk once more, without waiting for the next retry. Returns a sentence if records are lost.
    pub(super) fn final_flush(&mut self) -> Option<String> {
        if self.memory.len() > 0 && !matches!(self.store, Store::None) {
            self.try_disk();
        }
        let lost = self.memory.len();
        self.problem.as_ref().filter(|_| lost > 0).map(|problem| problem.loss_sentence(lost))
    }

    /// Makes the disk the place where records go, if it works, and moves there what is in memory.
    pub(super) fn try_disk(&mut self) {
        // Another process is a reason not to use the disk like any other now.
        let _ = self.reopen();
        let Store::Log(log) = &mut self.store else { return };
        let mut result = if log.is_writable() { Ok(()) } else { log.start() };
        while result.is_ok()
            && let Some(entry) = self.memory.front()
        {
            result = log.append(entry.clone());
            if result.is_ok() {
                self.memory.pop_front();
                if log.wants_sync() {
                    result = log.sync();
                }
            }
        }
        match result.and_then(|()| if log.is_dirty() { log.sync() } else { Ok(()) }) {
            Err(e) => self.write_failed(&e),
            Ok(()) => {
                if self.problem.take().is_some() {
                    log::info!("the outbox {} is written again", log.files().dir().display());
                }
                (self.full, self.made_room) = (false, false);
                self.retry.succeeded();
            }
        }
    }

    /// Reads a directory that is not open, as if the process had begun now.
    pub(super) fn reopen(&mut self) -> Result<(), OutboxError> {
        let (mut files, missing) = match std::mem::replace(&mut self.store, Store::None) {
            Store::Lost(files, missing) => (files, missing),
            other => {
                self.store = other;
                return Ok(());
            }
        };
        let prepared = files.prepare();
        if let Ok(Lock::InUse) = prepared {
            self.failed(&*files, "used", &io::Error::other("another process uses it"));
            let error = OutboxError::InUse { dir: files.dir().to_owned() };
            self.store = Store::Lost(files, missing);
            return Err(error);
        }
        let unusable = match prepared {
            Ok(Lock::NoFile) => Some(io::Error::other("the file 'lock' in it is not a regular file")),
            Ok(Lock::OtherDisk) => Some(io::Error::new(io::ErrorKind::CrossesDevices, "its disk is not mounted")),
            _ => None,
        };
        if let Some(error) = unusable {
            self.failed(&*files, "used", &error);
            self.store = Store::Lost(files, missing);
            return Ok(());
        }
        // What cannot be prepared can perhaps be read.
        match Log::open(files, &self.config, self.next_id) {
            Ok(log) => {
                self.counters.damaged += missing.saturating_sub(log.live()) as u64;
                // What is on the disk is older. An id that both have must not remove the wrong record.
                if self.memory.front().is_some_and(|entry| entry.id < log.next_id()) {
                    self.next_id = self.memory.renumber(log.next_id());
                    self.renumbered = true;
                }
                // Those on the disk may lie before where the publisher is.
                self.renumbered |= log.live() > 0;
                self.next_id = self.next_id.max(log.next_id());
                self.newest = self.memory.last_id().unwrap_or(self.newest.max(log.newest()));
                self.store = Store::Log(Box::new(log));
            }
            Err((files, e)) => {
                self.failed(&*files, "used", prepared.as_ref().err().unwrap_or(&e));
                self.store = Store::Lost(files, missing);
            }
        }
        Ok(())
    }

    pub(super) fn write_failed(&mut self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::CrossesDevices) {
            // The directory itself is gone: deleted, or on a disk that was pulled out.
            return self.read_failed(error);
        }
        let Store::Log(log) = &mut self.store else { return };
        let unsynced = log.abandon();
        self.memory.prepend(unsynced);
        self.full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if let Store::Log(mut log) = std::mem::replace(&mut self.store, Store::None) {
            self.failed(log.files(), "written", error);
            self.store = Store::Log(log);
        }
    }

    pub(super) fn read_failed(&mut self, error: &io::Error) {
        if let Store::Log(log) = std::mem::replace(&mut self.store, Store::None) {
            let (files, unsynced, missing, counters) = log.give_up();
            self.counters.add(counters);
            self.memory.prepend(unsynced);
            self.failed(&*files, "read", error);
            self.store = Store::Lost(files, missing);
        }
    }

    fn failed(&mut self, files: &dyn Files, what: &str, error: &io::Error) {
        let remedy = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space there",
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => "make it writable for the node",
            io::ErrorKind::CrossesDevices => {
                "mount it again, or restart the node if the state_dir is meant to be on another disk now"
            }
            io::ErrorKind::FileTooLarge => "raise the limit on the length of the node's files",
            _ => "see to that disk",
        };
        let dir = files.dir().display();
        let problem = Problem::Disk { cause: format!("the outbox {dir} cannot be {what} because {error}"), remedy };
        // At the end the sentence about lost readings replaces this one.
        if self.problem.is_none() && !self.closed {
            log::warn!("{}", problem.sentence());
        }
        self.problem = Some(problem);
    }
}
