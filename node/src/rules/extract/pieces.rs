//! The parts of a text among which a value is looked for.

use crate::rules::reading::CharGuess;
use std::ops::Range;

/// A range without the spaces at its ends.
pub(super) fn trim(text: &[CharGuess], range: Range<usize>) -> Range<usize> {
    let seen = |c: &CharGuess| !c.ch.is_whitespace();
    let part = &text[range.clone()];
    match (part.iter().position(seen), part.iter().rposition(seen)) {
        (Some(first), Some(last)) => range.start + first..range.start + last + 1,
        _ => range.start..range.start,
    }
}

/// The pieces between characters that divide, each with its length.
pub(super) fn pieces(text: &[CharGuess], divides: impl Fn(char) -> bool) -> Vec<(usize, Range<usize>)> {
    let mut start = 0;
    let parts = text.split(|guess| divides(guess.ch)).map(|part| {
        let piece = start..start + part.len();
        start = piece.end + 1;
        (piece.len(), piece)
    });
    parts.collect()
}

/// Runs of digits with single points or commas between them, each with the number of its digits.
pub(super) fn numbers(text: &[CharGuess]) -> Vec<(usize, Range<usize>)> {
    let ch = |i: usize| text.get(i).map(|c| c.ch);
    let digit = |i: usize| ch(i).is_some_and(|c| c.is_ascii_digit());
    let mut found = Vec::new();
    let mut i = 0;
    while i < text.len() {
        let start = i;
        while digit(i) || i > start && matches!(ch(i), Some('.' | ',')) && digit(i + 1) {
            i += 1;
        }
        if i > start {
            found.push(((start..i).filter(|i| digit(*i)).count(), start..i));
        }
        i += 1;
    }
    found
}

/// A decimal mark of which one side only is in the number, as in `12. 5`, `12 .5`, `.5` and `1..2`.
pub(super) fn parted(text: &[char], number: &Range<usize>, marks: &str) -> Option<usize> {
    let mark = |c: &char| marks.contains(*c);
    let gap = |c: &&char| mark(c) || c.is_whitespace() && **c != '\n';
    if text[number.clone()].iter().any(mark) {
        return None;
    }
    let (before, after) = (&text[..number.start], &text[number.end..]);
    let start = number.start - before.iter().rev().take_while(gap).count();
    let at = (start..number.start).rev().find(|at| mark(&text[*at]));
    // Another number with decimals of its own has no part in this one.
    let whole = |c: &char| c.is_ascii_digit() || mark(c);
    let (mut other, last) = (text[..start].iter().rev().take_while(|c| whole(c)), text[..start].last());
    let parted = match last {
        Some(c) if c.is_ascii_digit() => !other.any(mark),
        // As in `No.5`.
        Some(c) if c.is_alphabetic() => false,
        _ => at == number.start.checked_sub(1),
    };
    if let Some(at) = at.filter(|_| parted) {
        return Some(at);
    }
    let end = number.end + after.iter().take_while(gap).count();
    let at = (number.end..end).find(|at| mark(&text[*at]))?;
    text.get(end).is_some_and(char::is_ascii_digit).then_some(at)
}
