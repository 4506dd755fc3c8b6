//! The result of one image: lines with box, text, scores, timings, in reading order.
//!
//! A [`Page`] has a fixed capacity and is built once: reading the next image into the same page
//! ([`Page::clear`], [`Page::push_line`], [`Page::sort_reading_order`]) allocates nothing. What does
//! not fit is refused with [`PageFull`] and counted in [`Page::truncated`].
//!
//! All coordinates are page pixels: x to the right, y down, the origin at the top left corner of the
//! image after its EXIF orientation is applied.

mod columns;
mod geometry;
mod gutters;
mod layout;
mod line;
mod notice;
mod owned;
mod reading_order;
pub(crate) mod rounded;
mod rows;
mod words;

#[cfg(test)]
mod gutter_tests;
#[cfg(test)]
mod tests;

pub use geometry::{Bounds, Quad, bounds};
pub use line::{Char, Line, LineRef, PlacedChar, Text};
pub use notice::Notice;
pub use owned::{OwnedChar, OwnedLine, OwnedPage, OwnedWord};
pub use rows::Piece;
pub use words::{WordRef, Words};

use crate::memory::{self, NoMemory};
use layout::Scratch;
use line::Span;
use serde::{Deserialize, Serialize};

/// Most lines of one page: RapidOCR's limit of 1000 candidates, rounded up.
pub const MAX_LINES: usize = 1024;
/// Most characters of one page, all lines together.
pub const MAX_CHARS: usize = 32_768;
/// Most points of all curved outlines of one page together.
pub const MAX_POLYGON_POINTS: usize = 8_192;

/// Where the time of one image went, in milliseconds; a stage that did not run is 0. Serialised, its keys have no unit:
/// `decode`, `prepare`, …
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timing {
    /// File bytes to pixels.
    #[serde(rename = "decode", serialize_with = "rounded::ms")]
    pub decode_ms: f32,
    /// Pixels to the detector's input.
    #[serde(rename = "prepare", serialize_with = "rounded::ms")]
    pub prepare_ms: f32,
    /// The detector and its boxes.
    #[serde(rename = "detect", serialize_with = "rounded::ms")]
    pub detect_ms: f32,
    /// The classifier that finds lines standing on their head.
    #[serde(rename = "classify", serialize_with = "rounded::ms")]
    pub classify_ms: f32,
    /// Cutting out the lines and reading them.
    #[serde(rename = "recognise", serialize_with = "rounded::ms")]
    pub recognise_ms: f32,
    /// From the first byte to the finished page; more than the sum of the stages.
    #[serde(rename = "total", serialize_with = "rounded::ms")]
    pub total_ms: f32,
}

/// Milliseconds since `start`, as [`Timing`] counts them.
pub fn ms(start: std::time::Instant) -> f32 {
    start.elapsed().as_secs_f32() * 1e3
}

/// A line on its way into a [`Page`].
#[derive(Debug, Clone, Copy)]
pub struct LineDraft<'a> {
    /// The box as detected: top left, top right, bottom right, bottom left, in page pixels.
    pub quad: Quad,
    /// How often the crop was turned 90° counter-clockwise to be read, 0..=3; see [`Line::quarter_turns`].
    pub quarter_turns: u8,
    /// Mean score of the characters, 0..=1.
    pub score: f32,
    /// Score of the detector, 0..=1.
    pub det_score: f32,
    /// Whether the second of two recognisers read it.
    pub second: bool,
    /// The curved outline in page pixels; empty where only the box is known.
    pub polygon: &'a [[f32; 2]],
    /// The characters in the order they are read.
    pub chars: &'a [Char],
}

/// A line was refused because the page is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the page has no room for another line: it holds {lines} of {MAX_LINES} lines and {chars} of {MAX_CHARS} characters; raise the score thresholds or read the image in parts"
)]
#[non_exhaustive]
pub struct PageFull {
    /// Lines on the page.
    pub lines: usize,
    /// Characters on the page.
    pub chars: usize,
}

/// The result of one image, of fixed capacity (about 1 MiB, of which 0.75 are [`MAX_CHARS`] characters); see the
/// [module](self).
#[derive(Debug)]
pub struct Page {
    /// Width of the image.
    pub width_px: u32,
    /// Height of the image.
    pub height_px: u32,
    /// Lines dropped for lack of room since the last [`Page::clear`].
    pub truncated: u32,
    /// At what part of its size the image was searched for text, or the most reduced of its regions; 1 if it was not
    /// reduced.
    pub searched_at: f32,
    /// Where the time went.
    pub timing: Timing,
    lines: Box<heapless::Vec<Line, MAX_LINES>>,
    chars: Box<heapless::Vec<Char, MAX_CHARS>>,
    points: Box<heapless::Vec<[f32; 2], MAX_POLYGON_POINTS>>,
    scratch: Box<Scratch>,
}

/// Boxes one part of a page. Never inlined, so that at most one part (0.75 MiB, twice in a build without
/// any optimisation) is on the stack at a time; an optimised build makes it in place on the heap.
#[inline(never)]
fn boxed_default<T: Default>() -> Box<T> {
    Box::default()
}

impl Page {
    /// An empty page of 0×0 pixels. The only place where a page allocates.
    pub fn boxed() -> Box<Page> {
        Box::new(Page {
            width_px: 0,
            height_px: 0,
            truncated: 0,
            searched_at: 1.0,
            timing: Timing::default(),
            lines: boxed_default(),
            chars: boxed_default(),
            points: boxed_default(),
            scratch: boxed_default(),
        })
    }

    /// [`boxed`](Self::boxed), unless the system has no memory for it.
    pub fn try_boxed() -> Result<Box<Page>, NoMemory> {
        let parts = [
            size_of::<heapless::Vec<Line, MAX_LINES>>(),
            size_of::<heapless::Vec<Char, MAX_CHARS>>(),
            size_of::<heapless::Vec<[f32; 2], MAX_POLYGON_POINTS>>(),
            size_of::<Scratch>(),
        ];
        // The allocator rounds each of them up to pages of its own.
        let rounding = parts.len() * (16 << 10);
        memory::probe_allocation(parts.iter().sum::<usize>() + rounding, "the page")?;
        Ok(Page::boxed())
    }

    /// Forgets everything, so that the page can take the next image.
    pub fn clear(&mut self) {
        self.width_px = 0;
        self.height_px = 0;
        self.truncated = 0;
        self.searched_at = 1.0;
        self.timing = Timing::default();
        self.lines.clear();
        self.chars.clear();
        self.points.clear();
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True if no line was found.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Appends a line.
    ///
    /// Numbers are made safe at this door, so that no writer meets a NaN: scores and extents are
    /// clamped to 0..=1 (NaN is 0), coordinates to ±10⁶ (NaN is 0), quarter turns taken modulo 4.
    /// An outline that no longer fits is left out and the line kept, since its box says nearly the same.
    ///
    /// # Errors
    /// [`PageFull`] if the lines or characters do not fit; the line is then counted in [`Page::truncated`].
    pub fn push_line(&mut self, draft: LineDraft<'_>) -> Result<(), PageFull> {
        let room = MAX_CHARS - self.chars.len();
        if self.lines.is_full() || draft.chars.len() > room {
            self.truncated = self.truncated.saturating_add(1);
            return Err(PageFull { lines: self.lines.len(), chars: self.chars.len() });
        }
        let chars = Span::after(self.chars.len(), draft.chars.len());
        self.chars.extend(draft.chars.iter().map(Char::made_safe));

        let fits = draft.polygon.len() <= MAX_POLYGON_POINTS - self.points.len();
        let outline = if fits { draft.polygon } else { &[] };
        let polygon = Span::after(self.points.len(), outline.len());
        self.points.extend(outline.iter().map(|&point| geometry::safe_point(point)));

        let line = Line::of(&draft, chars, polygon);
        // Cannot fail: `is_full` was asked above.
        let _ = self.lines.push(line);
        Ok(())
    }

    /// Takes some lines off the page; those behind them close up. Their characters keep their room until
    /// [`Page::clear`].
    pub fn discard(&mut self, lines: std::ops::Range<usize>) {
        let end = lines.end.min(self.lines.len());
        let start = lines.start.min(end);
        self.lines[start..].rotate_left(end - start);
        self.lines.truncate(self.lines.len() - (end - start));
    }

    /// The lines: as pushed, or as ordered by the last sort.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = LineRef<'_>> + Clone {
        self.lines.iter().map(|line| self.line_ref(line))
    }

    /// One line by its place in [`Page::lines`].
    pub fn line(&self, index: usize) -> Option<LineRef<'_>> {
        self.lines.get(index).map(|line| self.line_ref(line))
    }

    fn line_ref<'a>(&'a self, line: &'a Line) -> LineRef<'a> {
        LineRef::new(line, line.chars.of(&self.chars), line.polygon.of(&self.points))
    }
}
