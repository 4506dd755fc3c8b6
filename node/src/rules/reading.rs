//! The words that cameras, rules and publishers share.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What the pipeline read in a field in one frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The text; empty if there was none. Lines of a region are joined by a line feed.
    pub text: String,
    /// Mean score of its characters, 0 to 1; 0 without text.
    pub score: f32,
    /// Each character's score and what it could be instead, in the order of `text` without line feeds.
    pub chars: Vec<CharGuess>,
}

/// One character and the next likely one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CharGuess {
    /// The character.
    pub ch: char,
    /// Its probability, 0 to 1.
    pub score: f32,
    /// The next likely character, if any.
    pub second: Option<(char, f32)>,
}

/// A text that the frames gave, with its weight in the vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The text.
    pub text: String,
    /// Its share of the votes, 0 to 1.
    pub share: f32,
}

/// What a field shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A number, with the digits after the decimal point that it was read with.
    Number {
        /// The number, in the field's unit.
        value: f64,
        /// Digits after the decimal point.
        decimals: u8,
    },
    /// Text.
    Text(String),
}

/// Why a reading is good or not. The codes are stable: consumers match on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Accepted.
    Ok,
    /// Text was found, but its score or its share of the votes is too low.
    LowConfidence,
    /// Nothing was found.
    NoText,
    /// The text does not have the form that was asked for.
    Pattern,
    /// The number is outside the field's range.
    Range,
    /// The number rose faster than allowed.
    Rate,
    /// The number fell though it must not.
    NegativeRate,
    /// The check digit is wrong.
    CheckDigit,
    /// There was no image.
    Camera,
    /// There has been no good reading for longer than allowed.
    Stale,
}

impl Status {
    /// All of them, in the order of their declaration.
    pub const ALL: [Status; 10] = [
        Status::Ok,
        Status::LowConfidence,
        Status::NoText,
        Status::Pattern,
        Status::Range,
        Status::Rate,
        Status::NegativeRate,
        Status::CheckDigit,
        Status::Camera,
        Status::Stale,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::LowConfidence => "low_confidence",
            Status::NoText => "no_text",
            Status::Pattern => "pattern",
            Status::Range => "range",
            Status::Rate => "rate",
            Status::NegativeRate => "negative_rate",
            Status::CheckDigit => "check_digit",
            Status::Camera => "camera",
            Status::Stale => "stale",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What the rules say of one round of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Name of the field.
    pub field: String,
    /// Whether it is good, and if not, why.
    pub status: Status,
    /// The value read if the status is ok, otherwise the last good one; `None` before the first. On a field that may
    /// only rise (or fall) a step back within the dead-band, or of one last digit, is the jitter of a rolling digit:
    /// the status is ok and the value stays.
    pub value: Option<Value>,
    /// The text as it was read, before any rule; empty if there was none.
    pub raw: String,
    /// 0 to 1: the score of the text, weighted by its share of the votes.
    pub confidence: f32,
    /// The other texts that the frames gave, best first; at most [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
    /// Whether this reading became the new base after several consistent ones that the rules had refused.
    pub rebased: bool,
    /// False if the value does not differ from the last published one by more than the dead-band.
    pub changed: bool,
    /// Change of the value for each second since the last good reading, if it is a number, there was one, the time
    /// between is known, and this one is ok and no new base.
    pub rate_per_s: Option<f64>,
    /// Why the status is what it is, or why there is a new base, in one sentence for people; empty if there is
    /// nothing to say.
    pub reason: String,
}

/// Most candidates of a reading.
pub const MAX_CANDIDATES: usize = 4;
