//! The text of a region → the characters that are the value, with their scores.

mod pieces;

use super::config::{RulesConfig, Select, Separator};
use super::reading::{CharGuess, Observation};
use super::sign::{Sign, is_minus, sign};
use pieces::{numbers, parted, pieces, trim};
use regex_lite::{Regex, RegexBuilder};
use std::ops::Range;

/// Most bytes of a value in UTF-8, several pages of print: what a message carries of a text.
pub(super) const MAX_VALUE_BYTES: usize = 16 << 10;
/// Characters of a text that are looked at; what comes after them is not, but is too much for a value anyway if
/// nothing is left out.
pub(super) const MAX_TEXT_CHARS: usize = MAX_VALUE_BYTES + 1;
/// Most bytes of a compiled expression: it bounds the time of a search too.
const MAX_REGEX_SIZE: usize = 256 << 10;

/// Characters of a value that an error names.
const MAX_SHOWN_CHARS: usize = 40;

/// Characters that are taken for digits when look-alikes are wanted.
const LOOK_ALIKES: [(&str, char); 7] =
    [("OoQD", '0'), ("Il|i!", '1'), ("Zz", '2'), ("Ss", '5'), ("Gb", '6'), ("B", '8'), ("gq", '9')];

/// Takes the value out of texts.
pub(super) struct Extractor {
    select: Select,
    strip: String,
    replace: Vec<(char, char)>,
    regex: Option<(Regex, usize)>,
    /// Whether values are numbers, whose sign must not be lost.
    numeric: bool,
    /// What may stand before decimals.
    marks: &'static str,
    /// Whether ℃ and ℉ are taken for °C and °F, which recognisers do not tell apart: `regex` has not the former.
    degrees: bool,
}

/// A value and where it stood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Its characters. Of a line break the score is 1.
    pub chars: Vec<CharGuess>,
    /// Whether the first of them is a minus from elsewhere in the text.
    signed: bool,
    /// What the expression matched before and after it.
    around: (String, String),
}

/// Where a value stands in a text.
struct Fit {
    /// What was looked at.
    piece: Range<usize>,
    value: Range<usize>,
    /// What the expression matched before and after the value.
    around: (String, String),
}

impl Extractor {
    pub(super) fn new(rules: &RulesConfig) -> Result<Extractor, String> {
        let search = rules.select == Select::FirstMatch;
        let regex = rules.regex.as_deref().map(|regex| compile(regex, search)).transpose()?;
        // First match wins, so the user's own come first.
        let mut replace: Vec<(char, char)> = rules.replace.iter().map(|(from, to)| (*from, *to)).collect();
        if rules.digits_look_alikes {
            replace.extend(LOOK_ALIKES.iter().flat_map(|(from, to)| from.chars().map(move |from| (from, *to))));
        }
        let marks = match rules.number.as_ref().map(|number| number.decimal_separator) {
            Some(Separator::Point) => ".",
            Some(Separator::Comma) => ",",
            Some(Separator::Auto) | None => ".,",
        };
        let numeric = rules.number.is_some() || rules.select == Select::LargestNumber;
        let degrees = rules.regex.as_ref().is_some_and(|regex| !regex.contains(['℃', '℉']));
        Ok(Extractor { select: rules.select, strip: rules.strip.clone(), replace, regex, numeric, marks, degrees })
    }

    /// The value in a text; `Ok(None)` if there is no text, `Err` if it has not the form.
    pub(super) fn extract(&self, observation: &Observation) -> Result<Option<Found>, String> {
        let text = self.clean(observation).join(&CharGuess { ch: '\n', score: 1.0, second: None });
        if text.is_empty() {
            return Ok(None);
        }
        let fit = match self.select {
            Select::Whole | Select::FirstMatch => self.fit(&text, 0..text.len()),
            Select::LongestLine => self.longest(&text, pieces(&text, |c| c == '\n')),
            Select::LongestWord => self.longest(&text, pieces(&text, char::is_whitespace)),
            Select::LargestNumber => self.longest(&text, numbers(&text)),
        };
        let Some(fit) = fit else {
            let reason =
                if self.regex.is_some() { "the text does not fit regex" } else { "there is no number in the text" };
            return Err(reason.into());
        };
        if fit.value.clone().map(|i| text[i].ch.len_utf8()).sum::<usize>() > MAX_VALUE_BYTES {
            return Err(format!(
                "the value has more than {MAX_VALUE_BYTES} bytes; take less of the image as the field's roi"
            ));
        }
        let minus = if self.numeric { self.minus(&text, &fit)? } else { None };
        let mut chars: Vec<CharGuess> = minus.into_iter().chain(fit.value.map(|i| text[i])).collect();
        if self.numeric && is_minus(chars[0].ch) {
            // One dash in all frames, or they would vote against each other.
            let second = chars[0].second.filter(|(other, _)| !is_minus(*other));
            chars[0] = CharGuess { ch: '-', second, ..chars[0] };
        }
        Ok(Some(Found { chars, signed: minus.is_some(), around: fit.around }))
    }

    /// Whether `text` in the place of the value found would have been taken out in the same way.
    pub(super) fn accepts(&self, found: &Found, text: &str) -> bool {
        let text = match found.signed {
            true => match text.strip_prefix('-') {
                Some(rest) => rest,
                None => return false,
            },
            false => text,
        };
        let Some((regex, group)) = &self.regex else { return true };
        let (before, after) = &found.around;
        let whole = format!("{before}{text}{after}");
        let value = regex.captures(&whole).and_then(|captures| captures.get(*group).map(|value| value.range()));
        value == Some(before.len()..before.len() + text.len())
    }

    /// The minus that stands apart from a number.
    ///
    /// # Errors
    /// The number's sign is not clear, or some of its digits are not in it.
    fn minus(&self, text: &[CharGuess], fit: &Fit) -> Result<Option<CharGuess>, String> {
        let chars: Vec<char> = text.iter().map(|guess| guess.ch).collect();
        let value: String = chars[fit.value.clone()].iter().take(MAX_SHOWN_CHARS).collect();
        if self.select == Select::LargestNumber
            && let Some(at) = parted(&chars, &fit.value, self.marks)
        {
            let mark = chars[at];
            return Err(format!(
                "{value:?} may be a part of a number because of the {mark:?} beside it; \
                 leave other numbers out of the roi"
            ));
        }
        match sign(&chars, fit.value.clone()) {
            Sign::None => Ok(None),
            Sign::Minus(at) if !self.names(text, fit, at) => Ok(Some(text[at])),
            Sign::Unclear(at) if self.names(text, fit, at) => Ok(None),
            Sign::Minus(at) => Err(format!(
                "regex leaves out the {:?} before {value:?}, which looks like a minus; \
                 take it into the group, or remove it with strip",
                chars[at]
            )),
            Sign::Unclear(at) => Err(format!(
                "the sign of {value:?} is unclear because of the {:?} beside it; \
                 if that is no sign match it in regex outside of the group, or remove it with strip",
                chars[at]
            )),
        }
    }

    /// Whether the expression asks for the very character at `at`: with any other or none in its place it does not find
    /// the value.
    fn names(&self, text: &[CharGuess], fit: &Fit, at: usize) -> bool {
        let Some((regex, group)) = self.regex.as_ref().filter(|_| fit.piece.contains(&at)) else { return false };
        let of = |range: Range<usize>| text[range].iter().map(|guess| guess.ch).collect::<String>();
        let value = of(fit.value.clone());
        ["", " ", "x", "#"].iter().all(|other| {
            let text = of(fit.piece.start..at) + other + &of(at + 1..fit.piece.end);
            let found = regex
                .captures(&text)
                .and_then(|captures| captures.get(*group).map(|found| found.as_str().trim().to_owned()));
            found.is_none_or(|found| found != value)
        })
    }

    /// Lines without what is stripped, with what is replaced, trimmed; empty ones left out.
    fn clean(&self, observation: &Observation) -> Vec<Vec<CharGuess>> {
        let score = probability(observation.score);
        let breaks = |c: char| matches!(c, '\n' | '\r');
        // Guesses that do not belong to this text (another length, other characters) say nothing.
        let text = || observation.text.chars().filter(|c| !breaks(*c));
        let known = text().take(MAX_TEXT_CHARS + 1).count() <= observation.chars.len()
            && text().take(MAX_TEXT_CHARS).zip(&observation.chars).all(|(ch, guess)| ch == guess.ch);
        let mut guesses = observation.chars.iter();
        let mut lines = vec![Vec::new()];
        for ch in observation.text.chars().take(MAX_TEXT_CHARS) {
            if breaks(ch) {
                lines.push(Vec::new());
                continue;
            }
            let guess = match guesses.next() {
                Some(guess) if known => *guess,
                _ => CharGuess { ch, score, second: None },
            };
            if self.strip.contains(ch) {
                continue;
            }
            let ch = self.replaced(ch);
            // A second guess that comes to the same after replacing is the same guess.
            let (mut score, mut second) = (probability(guess.score), None);
            if let Some((other, p)) = guess.second {
                match self.replaced(other) {
                    other if other == ch => score = (score + probability(p)).min(1.0),
                    other if breaks(other) || self.strip.contains(other) => {}
                    other => second = Some((other, probability(p))),
                }
            }
            let line = lines.last_mut().expect("never empty");
            match ch {
                '℃' | '℉' if self.degrees => {
                    let letter = if ch == '℃' { 'C' } else { 'F' };
                    line.extend(['°', letter].map(|ch| CharGuess { ch, score, second: None }));
                }
                _ => line.push(CharGuess { ch, score, second }),
            }
        }
        lines.iter().map(|line| line[trim(line, 0..line.len())].to_vec()).filter(|line| !line.is_empty()).collect()
    }

    fn replaced(&self, ch: char) -> char {
        self.replace.iter().find(|(from, _)| *from == ch).map_or(ch, |(_, to)| *to)
    }

    /// The longest piece that fits, the first of several.
    fn longest(&self, text: &[CharGuess], pieces: Vec<(usize, Range<usize>)>) -> Option<Fit> {
        let mut best: Option<(usize, Fit)> = None;
        for (length, piece) in pieces {
            if length > best.as_ref().map_or(0, |(longest, _)| *longest)
                && let Some(fit) = self.fit(text, piece)
            {
                best = Some((length, fit));
            }
        }
        best.map(|(_, fit)| fit)
    }

    /// The value in a piece of text.
    fn fit(&self, text: &[CharGuess], piece: Range<usize>) -> Option<Fit> {
        let Some((regex, group)) = &self.regex else {
            return Some(Fit { value: piece.clone(), piece, around: Default::default() });
        };
        let part: String = text[piece.clone()].iter().map(|c| c.ch).collect();
        let captures = regex.captures(&part)?;
        let (whole, value) = (captures.get(0)?.range(), captures.get(*group)?.range());
        let start = piece.start + part[..value.start].chars().count();
        let found = trim(text, start..start + part[value.clone()].chars().count());
        let around = (part[whole.start..value.start].to_owned(), part[value.end..whole.end].to_owned());
        (!found.is_empty()).then_some(Fit { piece, value: found, around })
    }
}

/// A user's expression and the group that holds the value.
pub(super) fn compile(regex: &str, search: bool) -> Result<(Regex, usize), String> {
    let build = |text: &str| {
        RegexBuilder::new(text).size_limit(MAX_REGEX_SIZE).build().map_err(|e| {
            let reason = e.to_string().replace(['\n', '\r'], " ");
            format!(
                "regex '{}' cannot be used because {}; correct it",
                regex.escape_debug(),
                reason.trim().trim_end_matches('.')
            )
        })
    };
    // By itself first: `a)(b` would be well-formed between the brackets of the other.
    let mut built = build(regex)?;
    if !search {
        built = build(&format!("^(?:{regex})$"))?;
    }
    let names: Vec<Option<&str>> = built.capture_names().collect();
    let group = names.iter().position(|name| *name == Some("value"));
    let group = group.or_else(|| names.iter().position(Option::is_some)).unwrap_or(usize::from(names.len() > 1));
    Ok((built, group))
}

/// A score as it should be.
pub(super) fn probability(score: f32) -> f32 {
    if score.is_nan() { 0.0 } else { score.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests;
