//! What may come out of a recogniser: some characters only, or a pattern. One recogniser reads under any number of
//! them.

use super::RecogniserError;
use super::ctc::{self, Probabilities, Spaces, Symbol};
use super::pattern::Pattern;
use crate::models::Charset;
use crate::param::{Param, ParamError};

/// What may come out of the recogniser that made it. The default allows everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restriction {
    /// Classes that may come out, ascending; `None`: all.
    allowed: Option<Vec<usize>>,
    pattern: Option<Pattern>,
}

impl Restriction {
    /// See [`Recogniser::restriction`](super::Recogniser::restriction).
    pub(super) fn new(
        charset: &Charset,
        allowed_chars: Option<&str>,
        pattern: Option<&str>,
    ) -> Result<Restriction, RecogniserError> {
        let allowed = allowed_chars.map(|chars| allowed_classes(charset, chars)).transpose()?;
        let pattern =
            pattern.map(|text| Pattern::parse(text, charset, allowed.as_deref())).transpose().map_err(|reason| {
                let sentence = format!(
                    "the pattern cannot be used: {reason}; a pattern is like A99-[XY]*, see `edge-ocr read --help`"
                );
                ParamError::new(Param::Pattern, pattern.unwrap_or_default(), "like A99-[XY]*").saying(sentence)
            })?;
        Ok(Restriction { allowed, pattern })
    }

    /// Whether what may come out depends on the place in the line.
    pub(super) fn has_pattern(&self) -> bool {
        self.pattern.is_some()
    }

    /// Whether all characters may come out in any order.
    pub(super) fn allows_all(&self) -> bool {
        self.allowed.is_none() && self.pattern.is_none()
    }

    /// The symbols with their second best, and how certain the least certain gap is, as [`ctc::greedy`] gives it; with a
    /// pattern 1. Allocates nothing in `symbols` of sufficient capacity, unless there is a pattern.
    pub(super) fn decode(
        &self,
        probabilities: Probabilities<'_>,
        charset: &Charset,
        spaces: Option<Spaces>,
        symbols: &mut Vec<Symbol>,
    ) -> f32 {
        let same = |a: usize, b: usize| charset.text(a) == charset.text(b);
        match (&self.pattern, &self.allowed) {
            (Some(pattern), _) => {
                pattern.decode(probabilities, symbols);
                for (position, symbol) in symbols.iter_mut().enumerate() {
                    symbol.second = pattern.second(position, symbol, probabilities, same);
                }
                1.0
            }
            (None, Some(allowed)) => {
                let least = ctc::greedy_masked(probabilities, allowed, spaces, symbols);
                for symbol in symbols {
                    symbol.second = ctc::second_masked(probabilities.row(symbol.start), symbol.class, allowed, same);
                }
                least
            }
            (None, None) => {
                let least = ctc::greedy(probabilities, spaces, symbols);
                for symbol in symbols {
                    let row = probabilities.row(symbol.start);
                    symbol.second = ctc::second(row, symbol.class, 1..row.len(), same);
                }
                least
            }
        }
    }
}

/// The classes of the characters of `chars`, ascending; every character must be known, or a typing error would
/// silently forbid what it was to allow.
fn allowed_classes(charset: &Charset, chars: &str) -> Result<Vec<usize>, ParamError> {
    let table = charset.by_char();
    let mut classes = Vec::new();
    for ch in chars.chars() {
        match table.get(&ch) {
            Some(found) => classes.extend(found),
            None => {
                let param = Param::AllowedChars;
                let sentence = format!(
                    "the character {ch:?} cannot be allowed: the model does not know it; leave it out of {param}"
                );
                return Err(ParamError::new(param, chars, "characters of the model").saying(sentence));
            }
        }
    }
    if classes.is_empty() {
        let sentence = format!("no characters are allowed; give {} at least one", Param::AllowedChars);
        return Err(ParamError::new(Param::AllowedChars, chars, "at least one character").saying(sentence));
    }
    classes.sort_unstable();
    classes.dedup();
    Ok(classes)
}
