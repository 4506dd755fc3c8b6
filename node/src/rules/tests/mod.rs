//! Fields as users have them: what goes wrong on real meters, what must hold for any input, and a meter over 10,000
//! rounds.

mod properties;
mod scenarios;
mod signs;
mod water_meter;

use super::{CharGuess, Field, Moment, Observation, Reading, RulesConfig};

/// A field whose rules are written as a user would.
pub(super) fn field(toml: &str) -> Field {
    Field::new("test", &toml::from_str::<RulesConfig>(toml).unwrap()).unwrap()
}

/// A moment some seconds after the start of a run in November 2023.
pub(super) fn at(s: u64) -> Moment {
    Moment { unix_ms: 1_700_000_000_000 + s as i64 * 1000, monotonic_ms: s * 1000 }
}

/// A text with one score for all.
pub(super) fn seen(text: &str, score: f32) -> Observation {
    let chars = text.chars().filter(|c| *c != '\n').map(|ch| CharGuess { ch, score, second: None }).collect();
    Observation { text: text.into(), score: if text.is_empty() { 0.0 } else { score }, chars }
}

/// Shows texts at regular intervals from a moment on, read with a score of 0.95.
pub(super) fn show(field: &mut Field, start_s: u64, every_s: u64, texts: &[&str]) -> Vec<Reading> {
    let rounds = texts.iter().enumerate();
    rounds.map(|(i, text)| field.judge(&[seen(text, 0.95)], at(start_s + i as u64 * every_s))).collect()
}

/// Status codes, with the value where the status is ok and `!` where there is a new base.
pub(super) fn outcome(readings: &[Reading]) -> Vec<String> {
    let one = |r: &Reading| match (r.status, &r.value) {
        (super::Status::Ok, Some(super::Value::Number { value, decimals })) => {
            format!("{value:.*}{}", usize::from(*decimals), if r.rebased { "!" } else { "" })
        }
        (super::Status::Ok, Some(super::Value::Text(text))) => text.clone(),
        (status, _) => status.code().into(),
    };
    readings.iter().map(one).collect()
}
