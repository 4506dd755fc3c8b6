//! The text of a region → the characters that are the value, with their scores.

use super::config::{RulesConfig, Select};
use super::reading::{CharGuess, Observation};
use regex_lite::{Regex, RegexBuilder};
use std::ops::Range;

/// Most bytes of a value in UTF-8, several pages of print: what a message carries of a text.
pub(super) const MAX_VALUE_BYTES: usize = 16 << 10;
/// Characters of a text that are looked at; what comes after them is not, but is too much for a value anyway if nothing is left out.
pub(super) const MAX_TEXT_CHARS: usize = MAX_VALUE_BYTES + 1;
/// Most bytes of a compiled expression: it bounds the time of a search too.
const MAX_REGEX_SIZE: usize = 256 << 10;

/// Characters that are taken for digits when look-alikes are wanted.
const LOOK_ALIKES: [(&str, char); 7] =
    [("OoQD", '0'), ("Il|i!", '1'), ("Zz", '2'), ("Ss", '5'), ("Gb", '6'), ("B", '8'), ("gq", '9')];

/// Takes the value out of texts.
pub(super) struct Extractor {
    select: Select,
    strip: String,
    replace: Vec<(char, char)>,
    regex: Option<(Regex, usize)>,
}

/// A value and where it stood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Its characters. Of a line break the score is 1.
    pub chars: Vec<CharGuess>,
    /// What the expression matched before and after it.
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
        Ok(Extractor { select: rules.select, strip: rules.strip.clone(), replace, regex })
    }

    /// The value in a text; `Ok(None)` if there is no text, `Err` if it has not the form.
    pub(super) fn extract(&self, observation: &Observation) -> Result<Option<Found>, String> {
        let lines = self.clean(observation);
        if lines.is_empty() {
            return Ok(None);
        }
        let found = match self.select {
            Select::Whole | Select::FirstMatch => self.fit(&join(&lines)),
            Select::LongestLine => self.longest(lines.iter().map(|line| (line.len(), line.as_slice()))),
            Select::LongestWord => {
                let words = lines.iter().flat_map(|line| line.split(|c| c.ch.is_whitespace()));
                self.longest(words.map(|word| (word.len(), word)))
            }
            Select::LargestNumber => {
                let numbers = lines.iter().flat_map(|line| numbers(line).into_iter().map(|range| &line[range]));
                self.longest(numbers.map(|n| (n.iter().filter(|c| c.ch.is_ascii_digit()).count(), n)))
            }
        };
        match found {
            Some(found) if found.chars.iter().map(|guess| guess.ch.len_utf8()).sum::<usize>() > MAX_VALUE_BYTES => Err(
                format!("the value has more than {MAX_VALUE_BYTES} bytes; take less of the picture as the field's roi"),
            ),
            Some(found) => Ok(Some(found)),
            None if self.regex.is_some() => Err("the text does not fit regex".into()),
            None => Err("there is no number in the text".into()),
        }
    }

    /// Whether `text` in the place of the value found would have been taken out in the same way.
    pub(super) fn accepts(&self, found: &Found, text: &str) -> bool {
        let Some((regex, group)) = &self.regex else { return true };
        let (before, after) = &found.around;
        let whole = format!("{before}{text}{after}");
        let value = regex.captures(&whole).and_then(|captures| captures.get(*group).map(|value| value.range()));
        value == Some(before.len()..before.len() + text.len())
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
            lines.last_mut().expect("never empty").push(CharGuess { ch, score, second });
        }
        lines.iter().map(|line| trim(line).to_vec()).filter(|line| !line.is_empty()).collect()
    }

    fn replaced(&self, ch: char) -> char {
        self.replace.iter().find(|(from, _)| *from == ch).map_or(ch, |(_, to)| *to)
    }

    /// The longest piece that fits, the first of several.
    fn longest<'a>(&self, pieces: impl Iterator<Item = (usize, &'a [CharGuess])>) -> Option<Found> {
        let mut best: Option<(usize, Found)> = None;
        for (length, piece) in pieces {
            if length > best.as_ref().map_or(0, |(longest, _)| *longest)
                && let Some(found) = self.fit(piece)
            {
                best = Some((length, found));
            }
        }
        best.map(|(_, found)| found)
    }

    /// The value in a piece of text.
    fn fit(&self, piece: &[CharGuess]) -> Option<Found> {
        let Some((regex, group)) = &self.regex else {
            return Some(Found { chars: piece.to_vec(), around: Default::default() });
        };
        let text: String = piece.iter().map(|c| c.ch).collect();
        let captures = regex.captures(&text)?;
        let (whole, value) = (captures.get(0)?.range(), captures.get(*group)?.range());
        let start = text[..value.start].chars().count();
        let chars = trim(&piece[start..start + text[value.clone()].chars().count()]);
        let around = (text[whole.start..value.start].to_owned(), text[value.end..whole.end].to_owned());
        (!chars.is_empty()).then(|| Found { chars: chars.to_vec(), around })
    }
}

/// A user's expression and the group that holds the value.
pub(super) fn compile(regex: &str, search: bool) -> Result<(Regex, usize), String> {
    let build = |text: &str| {
        RegexBuilder::new(text).size_limit(MAX_REGEX_SIZE).build().map_err(|e| {
            let reason = e.to_string().replace(['\n', '\r'], " ");
            format!(
                "regex '{}' cannot be used because {}; mend it",
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

fn join(lines: &[Vec<CharGuess>]) -> Vec<CharGuess> {
    lines.join(&CharGuess { ch: '\n', score: 1.0, second: None })
}

fn trim(line: &[CharGuess]) -> &[CharGuess] {
    let text = |c: &CharGuess| !c.ch.is_whitespace();
    match (line.iter().position(text), line.iter().rposition(text)) {
        (Some(first), Some(last)) => &line[first..=last],
        _ => &[],
    }
}

/// Runs of digits with single points or commas between them, and a minus before that follows nothing or a space.
fn numbers(line: &[CharGuess]) -> Vec<Range<usize>> {
    let ch = |i: usize| line.get(i).map(|c| c.ch);
    let digit = |i: usize| ch(i).is_some_and(|c| c.is_ascii_digit());
    let mut found = Vec::new();
    let mut i = 0;
    while i < line.len() {
        if !digit(i) {
            i += 1;
            continue;
        }
        let mut start = i;
        while digit(i) || (matches!(ch(i), Some('.' | ',')) && digit(i + 1)) {
            i += 1;
        }
        let minus = start.checked_sub(1).filter(|at| matches!(ch(*at), Some('-' | '\u{2212}')));
        if let Some(at) = minus
            && at.checked_sub(1).is_none_or(|before| ch(before).is_some_and(char::is_whitespace))
        {
            start = at;
        }
        found.push(start..i);
    }
    found
}

/// A score as it should be.
pub(super) fn probability(score: f32) -> f32 {
    if score.is_nan() { 0.0 } else { score.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(toml: &str, text: &str) -> Result<Option<String>, String> {
        let extractor = Extractor::new(&toml::from_str(toml).unwrap()).unwrap();
        let observation = Observation { text: text.into(), score: 0.9, chars: Vec::new() };
        extractor.extract(&observation).map(|found| found.map(|f| f.chars.iter().map(|c| c.ch).collect()))
    }

    fn ok(text: &str) -> Result<Option<String>, String> {
        Ok(Some(text.into()))
    }

    #[test]
    fn which_part_of_the_text() {
        let text = "  Water \nm³ 12\n00123,5 No 7";
        assert_eq!(value("", text), ok("Water\nm³ 12\n00123,5 No 7"));
        assert_eq!(value("select = 'longest-line'", text), ok("00123,5 No 7"));
        assert_eq!(value("select = 'longest-word'", text), ok("00123,5"));
        assert_eq!(value("select = 'largest-number'", text), ok("00123,5"));
        assert_eq!(value("select = 'longest-word'\nregex = '[A-Za-z]+'", text), ok("Water"));
        assert_eq!(value("select = 'first-match'\nregex = '\\d+'", text), ok("12"));
        assert_eq!(value("select = 'first-match'\nregex = 'No (\\d)'", text), ok("7"));
        assert!(value("select = 'largest-number'", "none").is_err());
    }

    #[test]
    fn a_minus_belongs_to_a_number_only_where_nothing_is_before_it() {
        assert_eq!(value("select = 'largest-number'", "t -12.5 C"), ok("-12.5"));
        assert_eq!(value("select = 'largest-number'", "A-123"), ok("123"));
        assert_eq!(value("select = 'largest-number'", "1..2 3,"), ok("1"));
    }

    /// A page of print was refused when a value had 1024 characters at most.
    #[test]
    fn a_page_is_a_value_and_a_book_is_not() {
        let page = "This is a line of a page in print.\n".repeat(200);
        assert_eq!(value("", &page), ok(page.trim_end()));
        for ch in ["x", "é", "語"] {
            let text = ch.repeat(MAX_VALUE_BYTES / ch.len());
            assert_eq!(value("", &text), ok(&text));
            assert!(value("", &(text + "xxx")).unwrap_err().contains("16384 bytes"));
        }
    }

    #[test]
    fn the_expression_is_for_the_whole_text() {
        assert_eq!(value(r"regex = '\d+'", "123"), ok("123"));
        assert!(value(r"regex = '\d+'", "a123").is_err());
        assert_eq!(value(r"regex = '.*?(\d+).*'", "a123b"), ok("123"));
        assert_eq!(value(r"regex = '(\w)(?P<n>\d+)(\w)'", "a123b"), ok("123"));
        assert_eq!(value(r"regex = '(?P<n>\w)(?P<value>\d+)(\w)'", "a123b"), ok("123"));
        assert_eq!(value(r"regex = 'a|b'", "b"), ok("b"), "alternatives are bracketed");
        assert!(value(r"regex = 'x(\d+)?'", "x").is_err(), "the group took no part");
    }

    #[test]
    fn strip_replace_and_look_alikes_come_first() {
        assert_eq!(value("strip = ' -'", "AB-1 2"), ok("AB12"));
        assert_eq!(value("digits_look_alikes = true\nregex = '\\d+'", "OI2SB"), ok("01258"));
        assert_eq!(
            value("digits_look_alikes = true\nreplace = { O = \"9\" }", "O"),
            ok("9"),
            "the user's own come first"
        );
        assert_eq!(value("strip = '.'", "..\n "), Ok(None), "nothing is left");
        assert_eq!(value("", ""), Ok(None));
    }

    #[test]
    fn guesses_stay_with_their_characters() {
        let chars: Vec<_> = "a1O2".chars().map(|ch| CharGuess { ch, score: 0.5, second: Some(('0', 0.25)) }).collect();
        let observation = Observation { text: "a1\nO2".into(), score: 0.9, chars };
        let rules: RulesConfig = toml::from_str("strip = 'a'\ndigits_look_alikes = true").unwrap();
        let found = Extractor::new(&rules).unwrap().extract(&observation).unwrap().unwrap();
        assert_eq!(found.chars[0], CharGuess { ch: '1', score: 0.5, second: Some(('0', 0.25)) });
        assert_eq!(found.chars[1].ch, '\n');
        assert_eq!(found.chars[2], CharGuess { ch: '0', score: 0.75, second: None }, "O and 0 are the same now");
        // Guesses of another text are not believed.
        let other = Observation { text: "12".into(), ..observation };
        let found = Extractor::new(&rules).unwrap().extract(&other).unwrap().unwrap();
        assert_eq!(found.chars[0], CharGuess { ch: '1', score: 0.9, second: None });
    }

    #[test]
    fn another_text_in_the_same_place() {
        let rules: RulesConfig = toml::from_str(r"regex = 'No ([0-9]{3}) .*'").unwrap();
        let extractor = Extractor::new(&rules).unwrap();
        let observation = Observation { text: "No 123 x".into(), score: 1.0, chars: Vec::new() };
        let found = extractor.extract(&observation).unwrap().unwrap();
        assert!(extractor.accepts(&found, "128"));
        assert!(!extractor.accepts(&found, "12B"));
        assert!(!extractor.accepts(&found, "1234"));
    }

    proptest! {
        #[test]
        fn any_text_and_any_guesses(
            text in "(?s).{0,40}",
            guesses in "(?s).{0,40}",
            score: f32,
            select in prop::sample::select(vec!["whole", "longest-line", "longest-word", "largest-number", "first-match"]),
        ) {
            let toml = format!("select = '{select}'\nregex = '.?([^x]+)'\ndigits_look_alikes = true\nstrip = ' '");
            let extractor = Extractor::new(&toml::from_str(&toml).unwrap()).unwrap();
            let chars = guesses.chars().map(|ch| CharGuess { ch, score, second: Some((ch, score)) }).collect();
            if let Ok(Some(found)) = extractor.extract(&Observation { text, score, chars }) {
                prop_assert!(!found.chars.is_empty());
                prop_assert!(found.chars.iter().all(|c| (0.0..=1.0).contains(&c.score)));
            }
        }
    }
}
