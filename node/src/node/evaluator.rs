//! Evaluates the observations of one cycle by the fields' rules, and makes numbered records of the readings.

use super::clock::{self, Clock};
use super::config::{FieldSection, Which};
use crate::publish::{RECORD_VERSION, Record};
use crate::rules::{Field, FieldState, Moment, Observation, Reading, StateFile, Status};
use std::time::SystemTime;

/// The observations of a field in one cycle.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// One for each frame.
    pub observations: Vec<Observation>,
    /// What may be missing in them, each sentence once.
    pub warnings: Vec<String>,
}

impl Seen {
    /// Notes what may be missing in a frame.
    pub fn warn(&mut self, warning: impl ToString) {
        let warning = warning.to_string();
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// A reading with where it went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The reading as it is kept and sent.
    pub record: Record,
    /// Whether it has to arrive: it is accepted, and changed if only changes are published.
    pub accepted: bool,
}

/// Evaluates the fields of a node by their rules.
pub struct Evaluator {
    fields: Vec<(Field, Which)>,
    clock: Clock,
    /// Whether rates are by the times at which images were taken instead of the time at which they are read.
    by_capture: bool,
    next_seq: u64,
}

impl Evaluator {
    /// An evaluator for these fields; `states` holds their states of an earlier run. With `by_capture` (files) a rate
    /// is computed over the time between two captures, otherwise over the time between two readings, which no clock
    /// jump disturbs.
    ///
    /// # Errors
    /// One sentence about a rule that cannot be used.
    pub fn new(
        sections: &[FieldSection],
        clock: Clock,
        by_capture: bool,
        states: Option<&StateFile>,
    ) -> Result<Evaluator, String> {
        let mut fields = Vec::with_capacity(sections.len());
        for section in sections {
            let name = &section.read.name;
            let mut field = Field::new(name, &section.rules)?;
            if let Some(state) = states.and_then(|states| states.get(name))
                && let Err(e) = field.restore(state.clone())
            {
                log::warn!("field {name} starts afresh: {e}");
            }
            fields.push((field, section.publish));
        }
        Ok(Evaluator { fields, clock, by_capture, next_seq: 0 })
    }

    /// Evaluates one cycle: `seen[i]` are the observations of field `i`. `at` is when the last frame was taken.
    pub fn judge(&mut self, seen: Vec<Seen>, at: SystemTime) -> Vec<Outcome> {
        let moment = self.moment(at);
        let readings: Vec<(Reading, Which, Vec<String>)> = self
            .fields
            .iter_mut()
            .zip(seen)
            .map(|((field, which), seen)| (field.judge(&seen.observations, moment), *which, seen.warnings))
            .collect();
        readings.into_iter().map(|(reading, which, warnings)| self.outcome(reading, which, warnings, at)).collect()
    }

    /// Evaluates a cycle without a frame.
    pub fn no_frame(&mut self, at: SystemTime) -> Vec<Outcome> {
        let moment = self.moment(at);
        let readings: Vec<Reading> = self.fields.iter_mut().map(|(field, _)| field.camera_failed(moment)).collect();
        readings.into_iter().map(|reading| self.outcome(reading, Which::All, Vec::new(), at)).collect()
    }

    /// Gives a field a new base.
    ///
    /// # Errors
    /// One sentence if there is no such field or the value cannot be one of its.
    pub fn set_value(&mut self, name: &str, value: f64, at: SystemTime) -> Result<(), String> {
        let moment = self.moment(at);
        match self.fields.iter_mut().find(|(field, _)| field.name() == name) {
            Some((field, _)) => field.set_value(value, moment),
            None => Err(format!("there is no field {name}; see the node's info topic for those there are")),
        }
    }

    /// The state of each field, for the next run.
    pub fn states(&self) -> impl Iterator<Item = (&str, FieldState)> {
        self.fields.iter().map(|(field, _)| (field.name(), field.state()))
    }

    /// The time of a reading, as the rules use it.
    pub fn moment(&self, at: SystemTime) -> Moment {
        let unix_ms = clock::unix_ms(at);
        let monotonic_ms = match self.by_capture {
            true => u64::try_from(unix_ms).unwrap_or(0),
            false => self.clock.monotonic_ms(),
        };
        Moment { unix_ms, monotonic_ms }
    }

    fn outcome(&mut self, reading: Reading, which: Which, warnings: Vec<String>, at: SystemTime) -> Outcome {
        let accepted = reading.status == Status::Ok && (which == Which::All || reading.changed || reading.rebased);
        let seq = self.next_seq;
        self.next_seq += 1;
        let record = Record {
            version: RECORD_VERSION,
            boot_id: self.clock.boot_id().to_string(),
            seq,
            captured_at_ms: clock::unix_ms(at),
            // An image may have been taken before the clock was set and recorded after. The dates of stored images
            // are another clock's, and may be of any year.
            time_synced: clock::is_synced(self.clock.now()) && (self.by_capture || clock::is_plausible(at)),
            reading,
            warnings,
        };
        Outcome { record, accepted }
    }
}
