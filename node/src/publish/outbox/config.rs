//! What a user can set.

use super::frame::{FRAME_BYTES, HEADER_BYTES, MAX_SEGMENT_BYTES};
use serde::{Deserialize, Serialize};

/// Shortest segment: some pages of a file system.
const MIN_SEGMENT_BYTES: u64 = 4096;

/// Bounds of the outbox and how often it is made durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboxConfig {
    /// Most bytes on disk, the lock file aside; the oldest segment goes when one more would exceed them.
    pub max_bytes: u64,
    /// Length of one file: what is given up at once when `max_bytes` is reached. At least 4096, at most 8 MiB.
    pub segment_bytes: u64,
    /// Longest record; longer ones are refused and counted as dropped.
    pub max_record_bytes: u64,
    /// How long a record may be on its way to the disk while the broker is away. A power cut loses no more than this;
    /// less means more wear of an SD card.
    pub sync_interval_ms: u64,
    /// Most records that are kept in memory while the disk cannot be used; then the oldest goes.
    pub memory_records: usize,
    /// Most bytes that these records may take.
    pub memory_bytes: u64,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        OutboxConfig {
            max_bytes: 16 << 20,
            segment_bytes: 256 << 10,
            max_record_bytes: 64 << 10,
            sync_interval_ms: 5000,
            memory_records: 1024,
            memory_bytes: 1 << 20,
        }
    }
}

impl OutboxConfig {
    /// Whether the values fit each other.
    ///
    /// # Errors
    /// One sentence naming the first key that does not.
    pub fn validate(&self) -> Result<(), String> {
        let OutboxConfig { max_bytes, segment_bytes, max_record_bytes, sync_interval_ms, memory_records, memory_bytes } =
            *self;
        if !(MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES).contains(&segment_bytes) {
            return Err(format!(
                "outbox.segment_bytes is {segment_bytes} but must be from {MIN_SEGMENT_BYTES} to {MAX_SEGMENT_BYTES}"
            ));
        }
        // One segment that is written and one that can be given up.
        if max_bytes < 2 * segment_bytes {
            return Err(format!(
                "outbox.max_bytes is {max_bytes} but must be at least twice outbox.segment_bytes, {}",
                2 * segment_bytes
            ));
        }
        let longest = segment_bytes - SEGMENT_OVERHEAD_BYTES;
        if !(1..=longest).contains(&max_record_bytes) {
            return Err(format!(
                "outbox.max_record_bytes is {max_record_bytes} but must be from 1 to {longest}, what a segment of outbox.segment_bytes holds"
            ));
        }
        if !(1..=MAX_SYNC_INTERVAL_MS).contains(&sync_interval_ms) {
            return Err(format!(
                "outbox.sync_interval_ms is {sync_interval_ms} but must be from 1 to {MAX_SYNC_INTERVAL_MS}, an hour"
            ));
        }
        if memory_records == 0 {
            return Err("outbox.memory_records is 0 but must be at least 1".to_owned());
        }
        if memory_bytes < max_record_bytes {
            return Err(format!(
                "outbox.memory_bytes is {memory_bytes} but must be at least outbox.max_record_bytes, {max_record_bytes}"
            ));
        }
        Ok(())
    }

    /// The nearest values that pass [`validate`](Self::validate): the outbox never fails for its configuration.
    pub(super) fn clamped(&self) -> OutboxConfig {
        let segment_bytes = self.segment_bytes.clamp(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES);
        let max_record_bytes = self.max_record_bytes.clamp(1, segment_bytes - SEGMENT_OVERHEAD_BYTES);
        OutboxConfig {
            max_bytes: self.max_bytes.max(2 * segment_bytes),
            segment_bytes,
            max_record_bytes,
            sync_interval_ms: self.sync_interval_ms.clamp(1, MAX_SYNC_INTERVAL_MS),
            memory_records: self.memory_records.max(1),
            memory_bytes: self.memory_bytes.max(max_record_bytes),
        }
    }
}

const MAX_SYNC_INTERVAL_MS: u64 = 3_600_000;

/// What a segment needs besides its one record at least: its header, the record's frame, a mark before it and one
/// after it.
pub(super) const SEGMENT_OVERHEAD_BYTES: u64 = (HEADER_BYTES + 3 * FRAME_BYTES) as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_readable() {
        assert_eq!(OutboxConfig::default().validate(), Ok(()));
        assert_eq!(toml::from_str::<OutboxConfig>("").unwrap(), OutboxConfig::default());
        assert!(toml::from_str::<OutboxConfig>("max_byte = 1").is_err());
    }

    #[test]
    fn wrong_values_name_their_key_and_can_be_clamped() {
        for (text, key) in [
            ("segment_bytes = 1", "outbox.segment_bytes"),
            ("segment_bytes = 9000000", "outbox.segment_bytes"),
            ("max_bytes = 300000", "outbox.max_bytes"),
            ("max_record_bytes = 0", "outbox.max_record_bytes"),
            ("max_record_bytes = 262144", "outbox.max_record_bytes"),
            ("sync_interval_ms = 0", "outbox.sync_interval_ms"),
            ("memory_records = 0", "outbox.memory_records"),
            ("memory_bytes = 1", "outbox.memory_bytes"),
        ] {
            let config: OutboxConfig = toml::from_str(text).unwrap();
            let error = config.validate().unwrap_err();
            assert!(error.starts_with(key) && !error.contains('\n'), "{text}: {error}");
            assert_eq!(config.clamped().validate(), Ok(()), "{text}");
        }
        assert_eq!(OutboxConfig::default().clamped(), OutboxConfig::default());
    }
}
