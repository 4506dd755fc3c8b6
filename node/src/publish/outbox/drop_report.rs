//! Counts dropped records by the limit that dropped them, and decides when to log them.

use super::config::OutboxConfig;
use std::time::{Duration, Instant};

/// Shortest time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Records that have gone since the last report, other than for [`OutboxConfig::max_bytes`].
#[derive(Default)]
pub(super) struct DropReport {
    /// For [`OutboxConfig::memory_records`].
    pub records: u64,
    /// For [`OutboxConfig::memory_bytes`].
    pub bytes: u64,
    /// With the oldest segment, because the disk has no space.
    pub no_space: u64,
    /// Longer than [`OutboxConfig::max_record_bytes`]; reported at once.
    pub too_long: u64,
    /// Number of dropped records at the last report.
    reported: u64,
    at: Option<Instant>,
}

impl DropReport {
    /// Whether a report may be made.
    pub fn is_due(&self, now: Instant) -> bool {
        self.at.is_none_or(|at| now.saturating_duration_since(at) >= REPORT_INTERVAL)
    }

    /// When the next report is due, if new drops are unreported. `total` were dropped so far.
    pub fn next(&self, total: u64) -> Option<Instant> {
        self.at.filter(|_| total != self.reported).map(|at| at + REPORT_INTERVAL)
    }

    /// The report if `total` were dropped so far: a sentence for each limit, with the key that is the limit. `is_dir`
    /// says whether there is a directory for records.
    pub fn report(&mut self, total: u64, config: &OutboxConfig, is_dir: bool, now: Option<Instant>) -> Vec<String> {
        let DropReport { records, bytes, no_space, too_long, reported, .. } = *self;
        if total == reported {
            return Vec::new();
        }
        *self = DropReport { reported: total, at: now, ..DropReport::default() };
        let quota = (total - reported).saturating_sub(records + bytes + no_space + too_long);
        let memory = |key: &str, value: u64| {
            let remedy =
                if is_dir { "see to the outbox's disk and the broker" } else { "set a state_dir, see to the broker" };
            format!("no more than outbox.{key}, {value}, are kept in memory; {remedy}, or raise it")
        };
        let causes = [
            (quota, "the outbox is full; see to the broker, or raise outbox.max_bytes".to_owned()),
            (no_space, "the disk of the outbox is full; free space there".to_owned()),
            (records, memory("memory_records", config.memory_records as u64)),
            (bytes, memory("memory_bytes", config.memory_bytes)),
        ];
        let sentence =
            |(count, cause)| format!("{count} records that the broker has not had are dropped because {cause}");
        causes.into_iter().filter(|(count, _)| *count > 0).map(sentence).collect()
    }
}
