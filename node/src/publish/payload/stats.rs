//! How the node is doing.

use crate::rules::Status;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name and version of the statistics.
pub(super) const STATS_SCHEMA: &str = "edge-ocr.stats/1";

/// Counters since the start of the node and values of the moment. What is not known on a machine is `None`, in JSON
/// `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Seconds since the node started.
    pub uptime_s: u64,
    /// Images that the source gave.
    pub frames: u64,
    /// Attempts that gave none.
    pub frames_failed: u64,
    /// Lines of text that were read.
    pub lines: u64,
    /// Lines among these that the second of two recognisers read, because the first was not certain.
    pub second_lines: u64,
    /// Readings by status, in the order of [`Status::ALL`]; written as an object with the codes as keys.
    #[serde(serialize_with = "by_code")]
    pub readings: [u64; Status::ALL.len()],
    /// Times of the stages; `round` is the whole from the trigger to the outbox.
    pub latency_ms: BTreeMap<String, Latency>,
    /// Resident memory of the process, bytes.
    pub rss_bytes: Option<u64>,
    /// Temperature of the processor, °C.
    pub temperature_c: Option<f32>,
    /// Whether the processor runs slower than it could, for heat or lack of power.
    pub throttled: Option<bool>,
    /// The outbox.
    pub outbox: OutboxStats,
    /// The connection.
    pub mqtt: MqttStats,
}

/// Times of a stage over the last readings, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50: f32,
    /// 95 of 100 took no longer.
    pub p95: f32,
}

/// The outbox in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxStats {
    /// Records that wait.
    pub waiting: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records dropped because it was full, since the start.
    pub dropped: u64,
    /// Records found damaged, since the start.
    pub damaged: u64,
    /// Whether it is on disk; in memory otherwise.
    pub on_disk: bool,
}

/// The connection in numbers, since the start of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttStats {
    /// Messages sent, repetitions too.
    pub sent: u64,
    /// Messages that the broker has.
    pub acked: u64,
    /// Messages that the broker refused.
    pub refused: u64,
    /// Connections after the first one.
    pub reconnects: u64,
}

impl Stats {
    /// Counts a reading.
    pub fn count(&mut self, status: Status) {
        if let Some(at) = Status::ALL.iter().position(|known| *known == status) {
            self.readings[at] += 1;
        }
    }
}

fn by_code<S: Serializer>(counts: &[u64; Status::ALL.len()], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(counts.len()))?;
    for (status, count) in Status::ALL.iter().zip(counts) {
        map.serialize_entry(status.code(), count)?;
    }
    map.end()
}
