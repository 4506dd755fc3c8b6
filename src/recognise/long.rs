//! Lines longer than the network's widest input: read in overlapping windows, whose texts are joined.
//!
//! Squeezed into one input such a line loses letters. Windows of equal width cover it; neighbours share
//! [`OVERLAP_HEIGHTS`], and the text changes from one to the next at a letter that both have read at the same place, as
//! far from the windows' edges (where letters are cut) as there is one. So no letter is lost and none comes twice.

use crate::page::Char;
use std::ops::Range;

/// A line is squeezed into the widest input up to this much; the widths of a target are up to 1.5 apart, so lines that
/// fit are squeezed by as much.
const MAX_SQUEEZE: f64 = 1.25;
/// What two neighbouring windows share, in heights of the line: some eight letters.
const OVERLAP_HEIGHTS: f64 = 4.0;
/// Most windows of a line. Its windows are squeezed if it is longer still.
const MAX_WINDOWS: usize = 64;
/// The same letter is read at places that differ by less than this, in heights of the line: the network's steps are a
/// sixth of a height wide.
const SAME_PLACE_HEIGHTS: f64 = 0.25;
/// What neighbours that differ cost against a distance from the middle of the overlap, in heights of the line. Of a
/// double letter it keeps the first from being taken for the second.
const OTHER_NEIGHBOUR_HEIGHTS: f64 = 1.0;
/// What a difference of places costs against a distance from the middle of the overlap.
const OFFSET_COST: f64 = 4.0;

/// The windows of one line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    /// Width and height of the line image in pixels.
    size: [usize; 2],
    count: usize,
    /// Width of a window and what it shares with the next, in pixels of the line image.
    width: f64,
    overlap: f64,
}

impl Windows {
    /// The windows of a line image of `size` (width and height in pixels), if it is longer than an input of `widest` ×
    /// `height` can take.
    pub(super) fn of([w, h]: [usize; 2], widest: usize, height: usize) -> Option<Windows> {
        let natural = height as f64 * super::aspect_ratio(w, h);
        let (widest, overlap) = (widest as f64, OVERLAP_HEIGHTS * height as f64);
        if natural <= MAX_SQUEEZE * widest || widest < 2.0 * overlap {
            return None;
        }
        let count = (((natural - overlap) / (widest - overlap)).ceil() as usize).clamp(2, MAX_WINDOWS);
        let width = (natural + (count - 1) as f64 * overlap) / count as f64;
        let pixels = w as f64 / natural;
        Some(Windows { size: [w, h], count, width: width * pixels, overlap: overlap * pixels })
    }

    /// The columns of each window, from left to right.
    pub fn columns(self) -> impl Iterator<Item = Range<usize>> {
        let line = self.size[0];
        (0..self.count).map(move |i| {
            let start = i as f64 * (self.width - self.overlap);
            let end = if i + 1 == self.count { line } else { ((start + self.width).ceil() as usize).min(line) };
            (start as usize).min(line.saturating_sub(1))..end.max(1)
        })
    }

    /// Joins the text of a window, `chars[second..]` with places in it, to that of the windows before,
    /// `chars[first..second]` with places in the line. Then all have places in the line.
    pub fn join(self, chars: &mut Vec<Char>, first: usize, second: usize, columns: Range<usize>) {
        let line = self.size[0].max(1) as f32;
        let (from, width) = (columns.start as f32 / line, columns.len() as f32 / line);
        for c in chars.iter_mut().skip(second) {
            (c.start, c.end) = (from + c.start * width, from + c.end * width);
        }
        if columns.start == 0 || first >= second {
            return;
        }
        let (left, right) = self.seam(&chars[first..second], &chars[second..], columns.start);
        chars.drain(first + left..second + right);
    }

    /// How many characters of `left` are kept, and how many of `right` left out; the window of `right` begins at
    /// `start`.
    fn seam(self, left: &[Char], right: &[Char], start: usize) -> (usize, usize) {
        let [line, height] = self.size.map(|side| side.max(1) as f64);
        let place = |c: &Char| f64::from(c.start + c.end) / 2.0 * line;
        let middle = start as f64 + self.overlap / 2.0;
        let letter = |c: &Char| !c.ch.is_whitespace();
        let neighbour = |text: &[Char], at: usize, step: isize| text.get(at.wrapping_add_signed(step)).map(|c| c.ch);
        let mut best = (f64::INFINITY, 0, 0);
        let first = left.partition_point(|c| place(c) < start as f64);
        for (i, a) in left.iter().enumerate().skip(first).filter(|(_, c)| letter(c)) {
            let near = |c: &Char| (place(c) - place(a)).abs();
            let same = |c: &Char| c.ch == a.ch && near(c) <= SAME_PLACE_HEIGHTS * height;
            for (j, b) in right.iter().enumerate().take_while(|(_, b)| place(b) <= place(a) + height) {
                if !same(b) {
                    continue;
                }
                let differ = [-1, 1].into_iter().filter(|step| neighbour(left, i, *step) != neighbour(right, j, *step));
                let cost = (place(a) - middle).abs()
                    + OFFSET_COST * near(b)
                    + OTHER_NEIGHBOUR_HEIGHTS * height * differ.count() as f64;
                if cost < best.0 {
                    best = (cost, i + 1, j + 1);
                }
            }
        }
        if best.0.is_finite() {
            return (best.1, best.2);
        }
        // Nothing was read alike: what is left of the middle comes from the left, with a space if one follows.
        let mut kept = left.partition_point(|c| place(c) < middle);
        let mut dropped = right.partition_point(|c| place(c) < middle);
        kept += usize::from(left.get(kept).is_some_and(|c| !letter(c)));
        let ends_in_space = kept.checked_sub(1).and_then(|at| left.get(at)).is_some_and(|c| !letter(c));
        dropped += usize::from(ends_in_space && right.get(dropped).is_some_and(|c| !letter(c)));
        (kept, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is read of the columns `window` of a line of `line` pixels whose characters are `pitch` wide: those that
    /// are inside by at least half, at places that are up to `shake` wrong. Half letters at the edges come out as `#`.
    fn read(text: &[char], pitch: f32, window: &Range<usize>, shake: impl Fn(usize) -> f32) -> Vec<Char> {
        let mut chars = Vec::new();
        for (i, ch) in text.iter().enumerate() {
            let (from, to) = (i as f32 * pitch, (i + 1) as f32 * pitch);
            let (start, end) = (window.start as f32, window.end as f32);
            if to <= start || from >= end || (*ch == ' ' && (from < start || to > end)) {
                continue;
            }
            let whole = from >= start && to <= end;
            let place = |x: f32| ((x + shake(i) - start) / (end - start)).clamp(0.0, 1.0);
            let ch = if whole { *ch } else { '#' };
            chars.push(Char { ch, score: 0.9, start: place(from), end: place(to), second: None });
        }
        chars
    }

    #[test]
    fn short_line_has_no_windows_long_one_is_covered() {
        assert_eq!(Windows::of([3999, 48], 3200, 48), None);
        for w in [4001, 5000, 9000, 100_000, 400_000] {
            let windows = Windows::of([w, 48], 3200, 48).unwrap();
            let columns: Vec<Range<usize>> = windows.columns().collect();
            assert_eq!((columns[0].start, columns[columns.len() - 1].end), (0, w));
            assert!(columns.len() <= MAX_WINDOWS);
            assert!(w > 100_000 || columns.iter().all(|c| c.len() <= 3202), "{columns:?}");
            assert!(columns.windows(2).all(|c| c[0].end >= c[1].start + 190), "{columns:?}");
        }
        for size in [[1, 1], [32_768, 1], [usize::MAX >> 20, 1]] {
            assert!(Windows::of(size, 3200, 48).is_none_or(|w| w.columns().all(|c| c.start < c.end)));
        }
    }

    proptest! {
        /// Whatever stands in a line, no letter comes twice, and none is lost.
        #[test]
        fn joined_windows_give_the_whole_line(
            text in "[a-z0-9l. ]{180,400}",
            pitch in 12.0f32..30.0,
            shakes in prop::collection::vec(-2.5f32..2.5, 32),
        ) {
            let want: Vec<char> = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
            let width = (want.len() as f32 * pitch) as usize + 1;
            if let Some(windows) = Windows::of([width, 48], 1600, 48) {
                let mut chars = Vec::new();
                for (n, columns) in windows.columns().enumerate() {
                    let second = chars.len();
                    chars.extend(read(&want, pitch, &columns, |i| shakes[(i * 7 + n * 13) % 32]));
                    windows.join(&mut chars, 0, second, columns);
                }
                let got: String = chars.iter().map(|c| c.ch).collect();
                prop_assert_eq!(got, want.iter().collect::<String>());
                prop_assert!(chars.windows(2).all(|c| c[0].start <= c[1].start + 0.01));
            }
        }

        /// Readings that have nothing to do with each other are joined without a panic.
        #[test]
        fn any_readings_are_joined(
            places in prop::collection::vec((0.0f32..=1.0, 0.0f32..=1.0, any::<char>()), 0..80),
            cut in 0..80usize,
            start in 0..5000usize,
        ) {
            let mut chars: Vec<Char> =
                places.iter().map(|(a, b, ch)| Char { ch: *ch, score: 0.5, start: *a, end: *b, second: None }).collect();
            let second = cut.min(chars.len());
            let windows = Windows::of([6000, 48], 1600, 48).unwrap();
            windows.join(&mut chars, 0, second, start..6000);
            prop_assert!(chars.len() <= places.len());
        }
    }
}
