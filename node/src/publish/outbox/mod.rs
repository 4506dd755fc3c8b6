//! Records on disk until the broker has them: a bounded queue of bytes that outlives kill -9 and power cuts.
//!
//! ```text
//! <state_dir>/outbox/0000000000000001.log   segments, oldest first; `frame` says what is in them
//!                    lock                   held by the process that has the outbox
//! ```
//!
//! A record is in the file when [`Outbox::append`] returns, which the end of the process cannot change; it outlives a
//! power cut after [`sync`](Queue::sync), or after [`OutboxConfig::sync_interval_ms`] at the latest. What is removed,
//! in whatever order, may come back after a kill, with the same id: at least once. When [`OutboxConfig::max_bytes`] is
//! reached the oldest segment goes, and is counted. Where records of one topic wait and those of the others are
//! removed, that is always the waiting topic's loss: no record is dropped while an older one of any topic is there,
//! and segments in which nothing waits any more are deleted wherever they are.
//!
//! A disk that is full, read-only or gone ends nothing: records are kept in memory, also bounded, and written when the
//! disk works again.

mod config;
mod disk_failover;
mod drop_report;
mod error;
mod files;
mod frame;
mod memory;
mod segments;
mod shared;
mod status;
#[cfg(test)]
mod tests;

pub use config::OutboxConfig;
pub use error::OutboxError;
pub use shared::SharedOutbox;
pub use status::{Appended, Flushed, OutboxStatus};

use super::{Entry, Queue};
use crate::util::retry::Retry;
use disk_failover::{Problem, Store};
use drop_report::DropReport;
use files::{Disk, Files};
use memory::Memory;
use segments::{Counters, Log};
use std::path::Path;
use std::time::{Duration, Instant};

/// The queue; see the [module](self). It is used by one thread; [`SharedOutbox`] by several.
pub struct Outbox {
    config: OutboxConfig,
    store: Store,
    /// Younger than all that is in the store. Empty while the store can be written.
    memory: Memory,
    next_id: u64,
    /// The newest record that was added or found.
    newest: u64,
    /// Counters of earlier stores and of memory.
    counters: Counters,
    problem: Option<Problem>,
    /// Why the disk could not be written last.
    full: bool,
    /// Ids have changed since the publisher asked whether they have.
    renumbered: bool,
    /// For which time-based things are waited, once `tick` has seen them.
    dirty_since: Option<Instant>,
    /// Pause between attempts to use the disk.
    retry: Retry,
    /// A segment has been given up for this try already.
    made_room: bool,
    /// Nothing was added since the end was prepared for.
    closed: bool,
    drop_report: DropReport,
    /// The lowest id that may have been added since [`flush`](Self::flush) had its last answer.
    fresh_from: u64,
}

impl Outbox {
    /// Opens the outbox in `<state_dir>/outbox`, or one in memory only if there is no `state_dir`, or as long as that
    /// cannot be used; [`status`](Self::status) tells. Values of `config` that do not fit are replaced by the nearest
    /// that do.
    ///
    /// # Errors
    /// [`OutboxError::InUse`] if another process has it.
    pub fn open(state_dir: Option<&Path>, config: &OutboxConfig) -> Result<Outbox, OutboxError> {
        let disk = state_dir.map(|dir| Box::new(Disk::new(dir.join("outbox"))) as Box<dyn Files>);
        Outbox::with_files(disk, config)
    }

    fn with_files(files: Option<Box<dyn Files>>, config: &OutboxConfig) -> Result<Outbox, OutboxError> {
        let mut outbox = Outbox {
            config: config.clamped(),
            store: files.map_or(Store::None, |files| Store::Lost(files, 0)),
            memory: Memory::default(),
            next_id: 1,
            newest: 0,
            counters: Counters::default(),
            problem: None,
            full: false,
            renumbered: false,
            dirty_since: None,
            retry: disk_failover::retry(),
            made_room: false,
            closed: false,
            drop_report: DropReport::default(),
            fresh_from: 1,
        };
        if let Store::Lost(..) = outbox.store {
            outbox.reopen()?;
            outbox.renumbered = false;
            outbox.try_disk();
        } else {
            outbox.problem = Some(Problem::NoDir);
        }
        outbox.fresh_from = outbox.next_id;
        Ok(outbox)
    }

    /// Adds a record. Never fails: what cannot be written is kept in memory, and what has no room there goes, oldest
    /// first.
    pub fn append(&mut self, bytes: &[u8]) -> Appended {
        let before = self.dropped();
        let id = self.next_id;
        self.next_id += 1;
        self.closed = false;
        let durable = if bytes.len() as u64 > self.config.max_record_bytes {
            self.counters.drop(1, id);
            self.drop_report.too_long += 1;
            log::error!(
                "a record of {} bytes is dropped because it is longer than outbox.max_record_bytes, {}; raise it",
                bytes.len(),
                self.config.max_record_bytes
            );
            false
        } else {
            self.newest = id;
            self.add(Entry { id, bytes: bytes.to_vec() })
        };
        Appended { id, durable, dropped: self.dropped() - before }
    }

    fn add(&mut self, entry: Entry) -> bool {
        let mut result = Ok(());
        if let Some(log) = self.writable() {
            // A failed write must not cost the record, hence the copy.
            match log.append(entry.clone()) {
                Ok(()) => {
                    if log.wants_sync() {
                        result = log.sync();
                    }
                    if let Err(e) = result {
                        self.write_failed(&e);
                    }
                    return self.writable().is_some();
                }
                Err(e) => self.write_failed(&e),
            }
        }
        self.memory.push_back(entry);
        self.trim();
        self.writable().is_some()
    }

    /// Holds the memory's bounds.
    fn trim(&mut self) {
        while self.memory.exceeds(self.config.memory_records, self.config.memory_bytes) {
            if self.full && !self.made_room {
                // The oldest record is on the disk, and without its segment there may be room.
                self.made_room = true;
                let before = self.dropped();
                if let Store::Log(log) = &mut self.store
                    && log.drop_oldest().is_ok()
                {
                    self.drop_report.no_space += self.dropped() - before;
                    self.try_disk();
                    continue;
                }
            }
            match self.memory.len() > self.config.memory_records {
                true => self.drop_report.records += 1,
                false => self.drop_report.bytes += 1,
            }
            if let Some(entry) = self.memory.pop_front() {
                self.counters.drop(1, entry.id);
            }
        }
    }

    /// What depends on time: making records durable, trying the disk again, reporting what was dropped. To be called
    /// when [`next_tick`](Self::next_tick) says so; `now` must not go back. True if the disk was tried, so that records
    /// may have other ids now.
    pub fn tick(&mut self, now: Instant) -> bool {
        let mut tried = false;
        if matches!(&self.store, Store::Log(log) if log.is_dirty()) {
            let since = *self.dirty_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= Duration::from_millis(self.config.sync_interval_ms) {
                self.sync();
                self.dirty_since = None;
            }
        } else {
            self.dirty_since = None;
        }
        if self.writable().is_none() && !matches!(self.store, Store::None) {
            if self.retry.until().is_none() {
                self.retry.failed(now);
            } else if self.retry.is_due(now) {
                tried = true;
                self.made_room = false;
                self.try_disk();
                if self.problem.is_some() {
                    self.retry.failed(now);
                }
            }
        } else {
            self.retry.succeeded();
        }
        if self.drop_report.is_due(now) {
            self.report_dropped(Some(now));
        }
        tried
    }

    /// When [`tick`](Self::tick) has something to do next, if nothing is added or removed before.
    pub fn next_tick(&self) -> Option<Instant> {
        let sync = self.dirty_since.map(|since| since + Duration::from_millis(self.config.sync_interval_ms));
        let report = self.drop_report.next(self.totals().dropped);
        sync.into_iter().chain(self.retry.until()).chain(report).min()
    }

    fn report_dropped(&mut self, now: Option<Instant>) {
        for sentence in self.drops(now) {
            log::warn!("{sentence}");
        }
    }

    fn drops(&mut self, now: Option<Instant>) -> Vec<String> {
        let is_dir = !matches!(self.store, Store::None);
        self.drop_report.report(self.totals().dropped, &self.config, is_dir, now)
    }

    fn writable(&mut self) -> Option<&mut Log> {
        match &mut self.store {
            Store::Log(log) if log.is_writable() => Some(log),
            _ => None,
        }
    }

    fn dropped(&self) -> u64 {
        self.totals().dropped
    }

    fn totals(&self) -> Counters {
        let mut totals = self.counters;
        if let Store::Log(log) = &self.store {
            totals.add(log.counters());
        }
        totals
    }

    /// [`sync`](Queue::sync), and what became of all that was added since the last answer other than
    /// [`Flushed::Waiting`]. An empty memory alone says nothing: what was dropped is not there either.
    fn flush(&mut self) -> Flushed {
        self.sync();
        if self.memory.len() > 0 {
            return Flushed::Waiting;
        }
        // Ids only rise, also when records in memory get new ones.
        let fresh_from = std::mem::replace(&mut self.fresh_from, self.next_id);
        if self.totals().dropped_to >= fresh_from { Flushed::Dropped } else { Flushed::Safe }
    }

    /// How it is.
    pub fn status(&self) -> OutboxStatus {
        let totals = self.totals();
        let (log_bytes, on_disk) = match &self.store {
            Store::Log(log) => (log.bytes(), log.is_writable()),
            _ => (0, false),
        };
        OutboxStatus {
            waiting: self.len(),
            newest: self.newest,
            bytes: log_bytes + self.memory.bytes(),
            dropped_total: totals.dropped,
            damaged_total: totals.damaged,
            on_disk,
            problem: self.problem.as_ref().map(Problem::sentence),
            written_bytes_total: totals.written_bytes,
            fsyncs_total: totals.fsyncs,
        }
    }

    /// Writes down what has been removed and makes everything durable; tries a disk that failed once more, and tells
    /// how many records are lost because they are in memory only. Dropping does the same, if it was not done since the
    /// last record was added.
    pub fn close(&mut self) {
        if let Some(lost) = self.end() {
            log::warn!("{lost}");
        }
    }

    /// [`close`](Self::close); what is lost, the first time that it is called.
    fn end(&mut self) -> Option<String> {
        let again = std::mem::replace(&mut self.closed, true);
        if let Some(log) = self.writable()
            && let Err(e) = log.mark_if_due(true).and_then(|()| log.sync())
        {
            self.write_failed(&e);
        }
        self.report_dropped(None);
        if again { None } else { self.final_flush() }
    }
}

impl Queue for Outbox {
    fn next(&mut self, after: u64) -> Option<Entry> {
        if let Store::Log(log) = &mut self.store {
            match log.next(after) {
                Ok(Some(entry)) => return Some(entry),
                Ok(None) => {}
                Err(e) => self.read_failed(&e),
            }
        }
        self.memory.next(after).cloned()
    }

    fn remove(&mut self, id: u64) {
        if self.renumbered {
            return;
        }
        let was_first = self.memory.remove(id);
        let Store::Log(log) = &mut self.store else { return };
        match was_first {
            // It comes after all that were in the log.
            Some(true) if log.live() == 0 => log.note_removed(id),
            Some(_) => {}
            None => match log.remove(id) {
                Ok(true) => {
                    if let Err(e) = log.mark_if_due(false) {
                        self.write_failed(&e);
                    }
                }
                Ok(false) => {}
                Err(e) => self.read_failed(&e),
            },
        }
    }

    fn renumbered(&mut self) -> bool {
        std::mem::take(&mut self.renumbered)
    }

    fn sync(&mut self) {
        self.dirty_since = None;
        if let Some(log) = self.writable()
            && let Err(e) = log.sync()
        {
            self.write_failed(&e);
        }
    }

    fn len(&self) -> usize {
        let in_log = if let Store::Log(log) = &self.store { log.live() } else { 0 };
        in_log + self.memory.len()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.close();
    }
}
