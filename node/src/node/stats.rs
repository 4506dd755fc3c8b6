//! What the node counts, for `stats`, Prometheus and the journal.

use crate::rules::Status;
use std::collections::BTreeMap;

/// Times of the last rounds that percentiles are taken of.
const KEPT: usize = 256;

/// The steps of a round that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Waiting for the camera and decoding.
    Capture,
    /// Alignment, networks, decoding of characters: all fields.
    Read,
    /// From the trigger to the record in the outbox.
    Round,
}

impl Step {
    /// All of them.
    pub const ALL: [Step; 3] = [Step::Capture, Step::Read, Step::Round];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Step::Capture => "capture",
            Step::Read => "read",
            Step::Round => "round",
        }
    }
}

/// The last times of one step, milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Times {
    last: Vec<f32>,
    next: usize,
}

impl Times {
    /// Counts one.
    pub fn push(&mut self, ms: f32) {
        match self.last.get_mut(self.next) {
            Some(place) => *place = ms,
            None => self.last.push(ms),
        }
        self.next = (self.next + 1) % KEPT;
    }

    /// The time that a share `q` (0 to 1) of them does not exceed; `None` without any. Nearest rank.
    pub fn percentile(&self, q: f64) -> Option<f32> {
        let mut sorted = self.last.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let rank = (q * sorted.len() as f64).ceil().max(1.0) as usize;
        sorted.get(rank - 1).copied()
    }
}

/// Counters of one run of the node.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Frames that were read.
    pub frames: u64,
    /// Rounds in which the camera gave none.
    pub camera_failures: u64,
    /// Frames in which the reference mark was not found.
    pub not_aligned: u64,
    /// Lines of text that were read in them.
    pub lines: u64,
    /// Lines among these that the second of two recognisers read.
    pub second_lines: u64,
    /// Readings of each field, by [`Status`] in the order of [`Status::ALL`].
    pub readings: BTreeMap<String, [u64; Status::ALL.len()]>,
    /// When the last good reading was made, milliseconds since 1970.
    pub last_ok_ms: Option<i64>,
    times: [Times; Step::ALL.len()],
}

impl Counters {
    /// Counts a reading.
    pub fn reading(&mut self, field: &str, status: Status, at_ms: i64) {
        if !self.readings.contains_key(field) {
            self.readings.insert(field.to_string(), Default::default());
        }
        if let Some(counts) = self.readings.get_mut(field) {
            counts[status as usize] += 1;
        }
        if status == Status::Ok {
            self.last_ok_ms = Some(at_ms);
        }
    }

    /// Counts the time of a step.
    pub fn time(&mut self, step: Step, ms: f32) {
        self.times[step as usize].push(ms);
    }

    /// The last times of a step.
    pub fn times(&self, step: Step) -> &Times {
        &self.times[step as usize]
    }

    /// Readings of all fields with this status.
    pub fn total(&self, status: Status) -> u64 {
        self.readings.values().map(|counts| counts[status as usize]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_last_times() {
        let mut times = Times::default();
        assert_eq!(times.percentile(0.5), None);
        for i in 0..1000 {
            times.push(i as f32);
        }
        assert_eq!(times.percentile(0.0), Some(744.0), "the oldest were forgotten");
        assert_eq!((times.percentile(0.5), times.percentile(1.0)), (Some(871.0), Some(999.0)));
    }

    #[test]
    fn readings_are_counted_by_status() {
        assert!(Status::ALL.iter().enumerate().all(|(i, status)| *status as usize == i), "the order of the table");
        let mut counters = Counters::default();
        counters.reading("main", Status::Ok, 7);
        counters.reading("main", Status::Rate, 8);
        counters.reading("other", Status::Ok, 9);
        assert_eq!((counters.total(Status::Ok), counters.total(Status::Rate), counters.last_ok_ms), (2, 1, Some(9)));
    }
}
