//! One line of text: what is stored, and the view that knows its characters.

use super::LineDraft;
use super::geometry::{self, Quad};
use super::words::Words;
use std::fmt::{self, Write};
use std::ops::Deref;

/// One character of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Char {
    /// The character.
    pub ch: char,
    /// Probability the recogniser gave it, 0..=1.
    pub score: f32,
    /// Where it begins along the reading direction, as a fraction 0..=1 of the line's length.
    pub start: f32,
    /// Where it ends, as `start`.
    pub end: f32,
    /// The character that would have come next, of those that were allowed, and its probability, 0..=1; none where no
    /// other has any, and of dictionary entries longer than a character.
    pub second: Option<(char, f32)>,
}

impl Char {
    /// The same character with all numbers in 0..=1 and the end not before the start.
    pub(super) fn made_safe(&self) -> Char {
        let start = geometry::unit(self.start);
        Char {
            ch: self.ch,
            score: geometry::unit(self.score),
            start,
            end: geometry::unit(self.end).max(start),
            second: self.second.map(|(ch, score)| (ch, geometry::unit(score))),
        }
    }
}

/// A run of entries in one of the page's tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    first: u32,
    len: u32,
}

impl Span {
    /// `len` entries appended to a table of `first` entries. Both are below the page's capacities, so fit.
    pub(super) fn after(first: usize, len: usize) -> Span {
        Span { first: first as u32, len: len as u32 }
    }

    /// Number of entries.
    pub(super) fn len(self) -> usize {
        self.len as usize
    }

    /// The entries before and after some of them, which are counted from the first.
    pub(super) fn parted(self, gap: std::ops::Range<usize>) -> [Span; 2] {
        let (start, end) = (gap.start.min(self.len()), gap.end.min(self.len()));
        [
            Span { first: self.first, len: start as u32 },
            Span { first: self.first + end as u32, len: self.len - end as u32 },
        ]
    }

    /// The entries, to be changed.
    pub(super) fn of_mut<T>(self, table: &mut [T]) -> &mut [T] {
        let first = self.first as usize;
        table.get_mut(first..first + self.len as usize).unwrap_or_default()
    }

    /// The entries.
    pub(super) fn of<T>(self, table: &[T]) -> &[T] {
        let first = self.first as usize;
        table.get(first..first + self.len as usize).unwrap_or(&[])
    }
}

/// A line as the page stores it; its text is reached through [`LineRef`].
#[derive(Debug, Clone)]
pub struct Line {
    /// The box as detected: top left, top right, bottom right, bottom left, in page pixels.
    pub quad: Quad,
    /// How often the crop was turned 90° counter-clockwise to be read, 0..=3: corner `i` of the reading
    /// box is `quad[(i + quarter_turns) % 4]`. A tall box is read with 1, a line on its head with 2.
    pub quarter_turns: u8,
    /// Mean score of the characters, 0..=1.
    pub score: f32,
    /// Score of the detector, 0..=1.
    pub det_score: f32,
    /// Whether the second of two recognisers read it, because the first was not certain.
    pub second: bool,
    pub(super) chars: Span,
    pub(super) polygon: Span,
    /// Place in the order being computed; the line itself is moved there.
    pub(super) rank: u16,
}

impl Line {
    /// A line with safe numbers: scores and extents in 0..=1 (NaN is 0), coordinates within ±10⁶ (NaN is 0), quarter
    /// turns modulo 4.
    pub(super) fn of(draft: &LineDraft<'_>, chars: Span, polygon: Span) -> Line {
        Line {
            quad: draft.quad.map(geometry::safe_point),
            quarter_turns: draft.quarter_turns % 4,
            score: geometry::unit(draft.score),
            det_score: geometry::unit(draft.det_score),
            second: draft.second,
            chars,
            polygon,
            rank: 0,
        }
    }

    /// The box as it is read: the first corner is where the top left of the text is.
    pub fn reading_quad(&self) -> Quad {
        let turns = usize::from(self.quarter_turns);
        std::array::from_fn(|i| self.quad[(i + turns) % 4])
    }
}

/// A line together with its characters and outline. Derefs to [`Line`].
#[derive(Debug, Clone, Copy)]
pub struct LineRef<'a> {
    line: &'a Line,
    chars: &'a [Char],
    polygon: &'a [[f32; 2]],
}

impl Deref for LineRef<'_> {
    type Target = Line;

    fn deref(&self) -> &Line {
        self.line
    }
}

impl<'a> LineRef<'a> {
    pub(super) fn new(line: &'a Line, chars: &'a [Char], polygon: &'a [[f32; 2]]) -> Self {
        LineRef { line, chars, polygon }
    }

    /// The text: to be displayed, collected by `to_string`, or walked by [`Text::chars`].
    pub fn text(&self) -> Text<'a> {
        Text { chars: self.chars }
    }

    /// The characters with their boxes on the page, in the order they are read.
    pub fn chars(&self) -> impl ExactSizeIterator<Item = PlacedChar> + Clone + use<'a> {
        let reading = self.line.reading_quad();
        self.chars.iter().map(move |c| PlacedChar {
            ch: c.ch,
            score: c.score,
            second: c.second,
            quad: geometry::slice(&reading, c.start, c.end),
        })
    }

    /// The words, by the rule told at [`Words`].
    pub fn words(&self) -> Words<'a> {
        Words::new(self.line, self.chars)
    }

    /// The curved outline in page pixels; empty where only the box is known.
    pub fn polygon(&self) -> &'a [[f32; 2]] {
        self.polygon
    }
}

/// A character with its box.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PlacedChar {
    /// The character.
    pub ch: char,
    /// Probability the recogniser gave it, 0..=1.
    pub score: f32,
    /// The next likely character, see [`Char::second`].
    pub second: Option<(char, f32)>,
    /// Its box in page pixels, first corner at the top left of the upright character.
    pub quad: Quad,
}

/// The text of a line or word, shown without being collected.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    pub(super) chars: &'a [Char],
}

impl<'a> Text<'a> {
    /// The characters.
    pub fn chars(&self) -> impl ExactSizeIterator<Item = char> + Clone + use<'a> {
        self.chars.iter().map(|c| c.ch)
    }

    /// True if there is no character.
    pub fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars.iter().try_for_each(|c| f.write_char(c.ch))
    }
}
