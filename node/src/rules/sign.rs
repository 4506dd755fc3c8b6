//! The sign of a number that was taken out of a text.
//!
//! A minus may stand apart from its number (`- 12.5`), before a currency (`-€5`), behind the number (`12.5-`) or as
//! parentheses, and recognisers yield any kind of dash for it. A number is negative only where the dash can be nothing
//! but a minus. Where it may as well be a hyphen, a bullet or a range the number is refused, because a wrong sign is
//! worse than no reading:
//!
//! | text | number |
//! |---|---|
//! | `-12.5`, `- 12.5`, `T: - 12.5`, `T -12.5`, `-€12.5` | −12.5 |
//! | `+12.5`, `12.5 - 13`, `12-13` (the first) | positive |
//! | `T - 12.5`, `T-12.5`, `A-12`, `2026-11-30`, `5 - 12`, `5 -12` | refused: a minus or a hyphen |
//! | `12.5-`, `12.5 -`, `(12.5)`, `--12`, `±12`, `_12` | refused |
//! | `-` or `_` alone in the line before or after the number | refused: the detector parts sign and number |
//!
//! A dash for which `regex` asks outside of its group is a hyphen; one that `strip` removes does not count.

use std::ops::Range;

/// Most letters of a currency or unit beside a number.
const MAX_UNIT_CHARS: usize = 3;
/// Dashes from which a line counts as a rule.
const RULE_DASHES: usize = 3;

/// What stands beside a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// No sign, or none but the one that the number begins with.
    None,
    /// A minus at this place of the text, outside of the number.
    Minus(usize),
    /// The character at this place may change the sign.
    Unclear(usize),
}

/// Whether it is a dash that counts as a minus.
pub(super) fn is_minus(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2796}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}')
}

/// Whether it is a minus, or may be one.
fn may_be_minus(c: char) -> bool {
    is_minus(c) || resembles_minus(c)
}

/// Whether recognisers confuse it with a minus.
fn resembles_minus(c: char) -> bool {
    matches!(
        c,
        '_' | '~'
            | '¬'
            | '¯'
            | '\u{ad}'
            | '\u{2c9}'
            | '\u{2d7}'
            | '\u{203e}'
            | '\u{2043}'
            | '\u{207b}'
            | '\u{208b}'
            | '\u{223c}'
            | '\u{2500}'
            | '\u{2501}'
            | '\u{30fc}'
            | '\u{4e00}'
            | '\u{ff3f}'
            | '\u{ff5e}'
            | '\u{ff70}'
    )
}

fn is_currency(c: char) -> bool {
    matches!(c, '$' | '¢'..='¥' | '\u{20a0}'..='\u{20cf}' | '\u{ff04}' | '\u{ffe5}')
}

fn is_unit(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '°' | '%')
}

/// A space within a line.
fn is_blank(c: char) -> bool {
    c.is_whitespace() && c != '\n'
}

/// What stands beside the number at `value`; lines of `text` end with a line feed.
pub(super) fn sign(text: &[char], value: Range<usize>) -> Sign {
    if value.is_empty() || value.end > text.len() {
        return Sign::None;
    }
    match (leading(text, value.start), trailing(text, value.end)) {
        (Sign::None | Sign::Minus(_), Some(at)) => Sign::Unclear(at),
        (leading, _) => leading,
    }
}

/// The last character before `end` that is not skipped; a line feed is one.
fn last(text: &[char], end: usize, skip: impl Fn(char) -> bool) -> Option<usize> {
    text[..end].iter().rposition(|c| !skip(*c))
}

/// The first character from `start` on that is not skipped.
fn first(text: &[char], start: usize, skip: impl Fn(char) -> bool) -> Option<usize> {
    text[start..].iter().position(|c| !skip(*c)).map(|at| start + at)
}

fn leading(text: &[char], start: usize) -> Sign {
    if is_minus(text[start]) {
        let apart = text.get(start + 1).is_some_and(|c| is_blank(*c));
        return if is_sign(text, start, apart) { Sign::None } else { Sign::Unclear(start.saturating_sub(1)) };
    }
    // The value may be a part of a number only: the sign belongs to all of it.
    let digit = |at: Option<usize>| at.is_some_and(|at| text[at].is_ascii_digit());
    let mut number = start;
    while let Some(before) = number.checked_sub(1) {
        let mark = matches!(text[before], '.' | ',') && digit(before.checked_sub(1));
        if !digit(Some(before)) && !mark {
            break;
        }
        number = before;
    }
    let Some(at) = last(text, number, |c| is_blank(c) || is_currency(c)) else { return Sign::None };
    let apart = text[at..number].iter().any(|c| is_blank(*c));
    match text[at] {
        '\n' => match dash_before_line_end(text, at) {
            Some(dash) => Sign::Unclear(dash),
            None => Sign::None,
        },
        c if is_minus(c) && is_sign(text, at, apart) && number == start => Sign::Minus(at),
        c if is_minus(c) => Sign::Unclear(at),
        c if resembles_minus(c) && is_sign(text, at, apart) => Sign::Unclear(at),
        '±' | '∓' => Sign::Unclear(at),
        '+' if last(text, at, is_blank).is_some_and(|at| is_minus(text[at])) => Sign::Unclear(at),
        '(' | '\u{ff08}' if is_bracketed(text, start) => Sign::Unclear(at),
        c if c.is_alphabetic() || c == '.' => sign_of_unit(text, at),
        _ => Sign::None,
    }
}

/// Whether the dash at `at` can only be a minus of what follows; `apart` if spaces do.
fn is_sign(text: &[char], at: usize, apart: bool) -> bool {
    let attached = at.checked_sub(1).is_some_and(|before| !text[before].is_whitespace());
    match last(text, at, is_blank).map(|before| text[before]) {
        None | Some('\n' | ':' | '=') => true,
        Some(before) => !attached && !apart && !before.is_ascii_digit() && !is_minus(before),
    }
}

/// `-EUR 5`: a dash before a currency or unit of letters before the number.
fn sign_of_unit(text: &[char], end: usize) -> Sign {
    let dash = last(text, end + 1, |c| c.is_alphabetic() || is_currency(c) || c == '.');
    match dash {
        Some(at) if end - at <= MAX_UNIT_CHARS && is_minus(text[at]) && is_sign(text, at, false) => Sign::Unclear(at),
        _ => Sign::None,
    }
}

/// A dash that stands alone at the end of the line before: the detector took sign and number for two lines.
fn dash_before_line_end(text: &[char], line_end: usize) -> Option<usize> {
    let at = last(text, line_end, is_blank).filter(|at| may_be_minus(text[*at]))?;
    let before = last(text, at, may_be_minus);
    let alone = before.is_none_or(|before| text[before].is_whitespace());
    (alone && at - before.map_or(0, |before| before + 1) + 1 < RULE_DASHES).then_some(at)
}

/// A dash behind the number at `end` that may be its sign, as accountants write it.
fn trailing(text: &[char], end: usize) -> Option<usize> {
    let digit = |at: usize| text.get(at).is_some_and(char::is_ascii_digit);
    let mut number = end;
    while digit(number) || matches!(text.get(number), Some('.' | ',')) && digit(number + 1) {
        number += 1;
    }
    let at = first(text, number, |c| is_blank(c) || is_currency(c))?;
    let ends = |at: usize| text.get(at).is_none_or(|c| c.is_whitespace());
    let line_ends = |at: usize| first(text, at, is_blank).is_none_or(|at| text[at] == '\n');
    match text[at] {
        '\n' => {
            let next = first(text, at + 1, is_blank)?;
            let dashes = first(text, next, may_be_minus).unwrap_or(text.len()) - next;
            ((1..RULE_DASHES).contains(&dashes) && line_ends(next + dashes)).then_some(next)
        }
        c if is_minus(c) => {
            let apart = text[number..at].iter().any(|c| is_blank(*c));
            let may_be_sign = if apart { line_ends(at + 1) } else { !digit(at + 1) };
            may_be_sign.then_some(at)
        }
        // `5 EUR-`
        c if is_unit(c) => {
            let dash = first(text, at, is_unit)?;
            (dash - at <= MAX_UNIT_CHARS && is_minus(text[dash]) && ends(dash + 1)).then_some(dash)
        }
        _ => None,
    }
}

/// Whether a bracket closes, or the line ends, behind the number of which `start` is a part, and its unit.
fn is_bracketed(text: &[char], start: usize) -> bool {
    let number = first(text, start, |c| c.is_ascii_digit() || matches!(c, '.' | ',')).unwrap_or(text.len());
    let Some(at) = first(text, number, |c| is_blank(c) || is_currency(c)) else { return true };
    let unit = first(text, at, is_unit).unwrap_or(text.len());
    if unit - at > MAX_UNIT_CHARS {
        return false;
    }
    first(text, unit, is_blank).is_none_or(|at| matches!(text[at], ')' | '\u{ff09}' | '\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sign beside the last run of digits and points, or the first if `first`.
    fn beside(text: &str, first: bool) -> Sign {
        let chars: Vec<char> = text.chars().collect();
        let number = |c: &char| c.is_ascii_digit() || *c == '.';
        let (start, end) = if first {
            let start = chars.iter().position(number).unwrap();
            (start, start + chars[start..].iter().take_while(|c| number(c)).count())
        } else {
            let end = chars.iter().rposition(number).unwrap() + 1;
            (end - chars[..end].iter().rev().take_while(|c| number(c)).count(), end)
        };
        sign(&chars, start..end)
    }

    #[test]
    fn minus_apart_from_number_is_its_sign() {
        for text in [
            "-12.5",
            "- 12.5",
            "−12.5",
            "\u{2013} 12.5",
            "—\u{a0}12.5",
            "  -   12.5",
            "T: - 12.5",
            "T=-12.5",
            "T -12.5",
            "°C -12.5",
            "-€12.5",
            "- $ 12.5",
            "line\n- 12.5",
            "-----\n- 12.5 °C",
        ] {
            assert!(matches!(beside(text, false), Sign::Minus(_)), "{text:?}: {:?}", beside(text, false));
        }
    }

    #[test]
    fn dash_that_may_be_hyphen_is_unclear() {
        for text in [
            "T - 12.5",
            "T-12.5",
            "A-12",
            "2026-11-30",
            "5 - 12",
            "5 -12",
            "--12",
            "- -12",
            "x--12",
            "±12",
            "_12",
            "~ 12",
            "(12.5)",
            "( 12.5 )",
            "(12.5 °C)",
            "($12.50)",
            "(12.5 EUR)",
            "-EUR 12.50",
            "-Fr.12",
            "-\n12.5",
            "T -\n12.5",
            "- + 12",
            "12.5-",
            "12.5 -",
            "12.5\u{2013} C",
            "12.50€-",
            "12.50 EUR-",
            "-12.5-",
            "12.5\n-",
            "_\n12.5",
            "12.5\n_",
            "7\n_\n_",
            "¯ \n 7",
            "12-V",
        ] {
            assert!(matches!(beside(text, false), Sign::Unclear(_)), "{text:?}: {:?}", beside(text, false));
        }
    }

    #[test]
    fn number_without_minus_has_no_sign() {
        for text in [
            "12.5",
            "+12.5",
            "+ 12.5",
            "T 12.5",
            "Temp: 12.5",
            "Set-point 12.5",
            "- Total 12.5",
            "-----\n12.5",
            "Mess-\n12.5",
            "IMG_12",
            "A12",
            "x (out 12.5)",
            "12.5 °C",
            "12.5\n- next",
            "____\n12.5",
            "12.5\n_next",
            "MAX_\n12.5",
        ] {
            assert_eq!(beside(text, false), Sign::None, "{text:?}");
        }
        for text in ["12-13", "12.5 - 13", "12.5 -13", "2026-11-30", "230V-50Hz", "12.5 - inside"] {
            assert_eq!(beside(text, true), Sign::None, "{text:?}");
        }
    }

    #[test]
    fn part_of_negative_number_is_unclear() {
        let text: Vec<char> = "-12.5".chars().collect();
        assert_eq!(sign(&text, 2..5), Sign::Unclear(0));
        assert_eq!(sign(&text, 4..5), Sign::Unclear(0));
    }
}
