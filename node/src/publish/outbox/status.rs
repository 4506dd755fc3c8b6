//! What the outbox says of a record, and of itself.

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its number. It may get another one while it is in memory only.
    pub id: u64,
    /// Whether it is in a file. Otherwise it is in memory only, or was too long and is dropped.
    pub durable: bool,
    /// Records that were dropped to make room, or this one.
    pub dropped: u64,
}

/// Whether what was added is safe: on disk, or with the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// All of it.
    Safe,
    /// Some of it is in memory only, and still waits for the broker.
    Waiting,
    /// Some of it was dropped, and will never come to the broker. What is left of it is safe.
    Dropped,
}

/// How the outbox is. Totals are of this process, except that damage from before is found by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Records that have not been removed.
    pub waiting: usize,
    /// Id of the newest record that was added, or found at the start; 0 if there was none.
    pub newest: u64,
    /// Bytes on disk, and of records in memory.
    pub bytes: u64,
    /// Records that were given up because there was no room, or because they were too long.
    pub dropped_total: u64,
    /// Records, or places with one or more, that could not be read again.
    pub damaged_total: u64,
    /// Whether records are written to a disk now.
    pub on_disk: bool,
    /// Why not, in one sentence.
    pub problem: Option<String>,
    /// Bytes written to files, zeros that make room included. A file system writes whole pages and a journal besides.
    pub written_bytes_total: u64,
    /// Times that files or the directory were made durable.
    pub fsyncs_total: u64,
}
