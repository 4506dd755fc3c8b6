//! Lines to words.

use super::geometry::{self, Quad};
use super::line::{Char, Line, Text};

/// The words of a line.
///
/// A word ends at white space, and each Chinese character is a word of its own, as in RapidOCR
/// (`CTCLabelDecode.get_word_info`). Wider than there, all Han blocks and kana count, not only
/// U+4E00–U+9FFF: Japanese writes no spaces either. Hangul does, and is split at them.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    reading: Quad,
    rest: &'a [Char],
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &Line, chars: &'a [Char]) -> Self {
        Words { reading: line.reading_quad(), rest: chars }
    }
}

/// Characters of scripts written without spaces between words.
fn stands_alone(ch: char) -> bool {
    matches!(ch,
        '\u{3040}'..='\u{30ff}'     // hiragana, katakana
        | '\u{3400}'..='\u{4dbf}'   // Han extension A
        | '\u{4e00}'..='\u{9fff}'   // Han
        | '\u{f900}'..='\u{faff}'   // Han compatibility
        | '\u{20000}'..='\u{3ffff}' // Han extensions B and on
    )
}

impl<'a> Iterator for Words<'a> {
    type Item = WordRef<'a>;

    fn next(&mut self) -> Option<WordRef<'a>> {
        let begin = self.rest.iter().position(|c| !c.ch.is_whitespace())?;
        let rest = &self.rest[begin..];
        let len = if stands_alone(rest[0].ch) {
            1
        } else {
            let ends = |c: &Char| c.ch.is_whitespace() || stands_alone(c.ch);
            rest.iter().position(ends).unwrap_or(rest.len())
        };
        let (chars, rest) = rest.split_at(len);
        self.rest = rest;
        Some(WordRef { chars, reading: self.reading })
    }
}

/// One word of a line; never empty.
#[derive(Debug, Clone, Copy)]
pub struct WordRef<'a> {
    chars: &'a [Char],
    reading: Quad,
}

impl<'a> WordRef<'a> {
    /// The text, without white space.
    pub fn text(&self) -> Text<'a> {
        Text { chars: self.chars }
    }

    /// Mean score of the characters, 0..=1.
    pub fn score(&self) -> f32 {
        let sum: f32 = self.chars.iter().map(|c| c.score).sum();
        sum / self.chars.len().max(1) as f32
    }

    /// The box in page pixels, first corner at the top left of the upright word.
    pub fn quad(&self) -> Quad {
        let start = self.chars.iter().fold(1.0, |least: f32, c| least.min(c.start));
        let end = self.chars.iter().fold(0.0, |most: f32, c| most.max(c.end));
        geometry::slice(&self.reading, start, end)
    }
}
