//! What a field remembers, in a form that outlives the program.

use super::meter::MAX_RUNS;
use super::reading::Value;
use serde::{Deserialize, Serialize};

/// Version of [`FieldState`]. It rises when a field is added, removed or changes its meaning.
pub const STATE_VERSION: u8 = 1;
/// Times newer than this are not worth a write by themselves: an older time only allows the value more change.
const REFRESH_MS: i64 = 3600 * 1000;

/// A value and when it was read, by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedPoint {
    pub value: f64,
    pub decimals: u8,
    pub step: f64,
    pub unix_ms: i64,
}

/// Refused readings that fit each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedRun {
    pub last: SavedPoint,
    pub count: u32,
    pub points: u32,
}

/// What a field remembers: its base, what it refused since, what it published last. From
/// [`Field::state`](super::Field::state), for [`Field::restore`](super::Field::restore); its inside is the rules'
/// business.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldState {
    pub(super) version: u8,
    /// Checksum of the rules that decide what a value means.
    pub(super) meaning: u32,
    pub(super) base: Option<SavedPoint>,
    pub(super) runs: Vec<SavedRun>,
    pub(super) emitted: Option<Value>,
    pub(super) published: Option<Value>,
    pub(super) fresh_unix_ms: Option<i64>,
}

impl FieldState {
    /// Whether it says more than `saved`: anything but times, or times an hour newer.
    pub(super) fn is_news(&self, saved: &FieldState) -> bool {
        let times = |state: &FieldState| -> Vec<i64> {
            let points = state.base.iter().chain(state.runs.iter().map(|run| &run.last));
            points.map(|p| p.unix_ms).chain(state.fresh_unix_ms).collect()
        };
        let timeless = |state: &FieldState| {
            let mut state = state.clone();
            state.base.iter_mut().chain(state.runs.iter_mut().map(|run| &mut run.last)).for_each(|p| p.unix_ms = 0);
            state.fresh_unix_ms = state.fresh_unix_ms.map(|_| 0);
            state
        };
        let (now, then) = (times(self), times(saved));
        timeless(self) != timeless(saved) || now.iter().zip(&then).any(|(a, b)| a.abs_diff(*b) >= REFRESH_MS as u64)
    }

    /// Whether a field can go on from it, apart from what its rules say.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let points = || self.base.iter().chain(self.runs.iter().map(|run| &run.last));
        let values = || self.emitted.iter().chain(&self.published);
        // More decimals than any number is read with would only cost time and memory to print.
        let sane = |value: f64, decimals: u8| value.is_finite() && decimals <= 24;
        match self {
            _ if self.version != STATE_VERSION => Err("it is of another version of the program"),
            _ if self.runs.len() > MAX_RUNS => Err("it is damaged"),
            _ if !points().all(|p| sane(p.value, p.decimals) && p.step.is_finite() && p.step > 0.0) => {
                Err("it is damaged")
            }
            _ if !values().all(|v| match v {
                Value::Number { value, decimals } => sane(*value, *decimals),
                Value::Text(text) => text.len() <= super::extract::MAX_VALUE_BYTES,
            }) =>
            {
                Err("it is damaged")
            }
            _ => Ok(()),
        }
    }
}
