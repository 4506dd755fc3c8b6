//! Narrow gutters: columns so near each other that the detector takes lines of both for one.
//!
//! A gutter is a place where a gap stands above a gap through many lines: a space within a line, or the white between
//! two lines of one row. Spaces also meet by chance and form a river. Of simulated single columns of 45 lines one in
//! 300 has a river of [`MIN_ROWS`] lines in proportional type, and one in ten in type of one width; there
//! [`MIN_ROWS_OF_SPACES`] are asked for, which one in 300 has. What is on both sides must also be set as columns are:
//! long lines that fill their column.

use super::columns::{self, Values};
use super::geometry;
use super::layout::Node;
use super::line::{Char, Line, Span};
use std::ops::Range;

/// Most gutters of a page.
pub(super) const MAX_GUTTERS: usize = 8;
/// Places that are tried are this far apart, in heights of the text.
const STEP_HEIGHTS: f32 = 0.05;
/// A gap shows the gutter clearly if it reaches this far to both sides of the gutter's middle, in heights of the text …
const MARGIN_HEIGHTS: f32 = 0.08;
/// … and is in it if it is no further than this from its middle: the network's steps are a sixth of a height wide, more
/// where a line was squeezed.
const SLACK_HEIGHTS: f32 = 0.15;
/// The part of the gaps that must show it clearly.
const CLEAR_PART: f32 = 0.75;
/// A box may reach this far over the gutter's middle without being a line across it: the detector's boxes are larger
/// than the text.
const OVERHANG_HEIGHTS: f32 = 0.35;
/// Boxes are of one row if their middles are no further apart than this, and only boxes that share no more than this
/// are parted, in heights of the lower one.
const SAME_ROW_HEIGHTS: f32 = 0.4;
const MAX_SHARED_HEIGHTS: f32 = 1.5;
/// Rows that must show the gutter.
const MIN_ROWS: usize = 8;
/// The same where the gaps are not [`WIDE_GAP`] times as wide as the other spaces of their lines, or where all lines end at
/// the gutter: the detector cuts lines, too.
const MIN_ROWS_OF_SPACES: usize = 11;
const WIDE_GAP: f32 = 1.25;
/// A gutter across which no line has to be cut is at most this wide, in heights: a wider one is for [`columns`].
const FOUND_APART_HEIGHTS: f32 = 1.2;
/// A gap is at least this part of the white between the columns.
const GAP_PART: f32 = 0.6;
/// A line across the gutter differs in height from the usual one by at most this factor; a heading that has a space in
/// the same place by chance is no part of the columns.
const HEIGHT_RATIO: f32 = 1.4;
/// Lines of each side, their usual width in heights, and the usual one over that of the widest tenth.
const MIN_LINES: usize = 4;
const MIN_ASPECT: f32 = 7.0;
const MIN_FILL: f32 = 0.75;

/// A gutter in the frame of the text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gutter {
    /// Its middle.
    pub x: f32,
    /// Places of its first and last line, see [`Node::key_y`].
    pub top: f32,
    pub bottom: f32,
}

impl Gutter {
    /// True if two boxes of one row are on different sides.
    pub fn parts(&self, a: &Node, b: &Node) -> bool {
        let beside = |node: &Node| self.is_beside(node);
        beside(a) && beside(b) && (a.middle_x() < self.x) != (b.middle_x() < self.x)
    }

    /// True if a box stands at the height of the gutter.
    pub fn is_beside(&self, node: &Node) -> bool {
        let slack = OVERHANG_HEIGHTS * node.height;
        (self.top - slack..=self.bottom + slack).contains(&node.key_y)
    }
}

/// What a line is at a place.
enum At {
    Left,
    Right,
    /// Across it, with a gap there: the white from and to these places, and whether it shows the gutter clearly.
    Gap([f32; 2], bool),
    /// Across it.
    Blocked,
    /// Behind another gutter, or standing.
    Aside,
}

/// The lines of a page as they are looked at here.
pub(super) struct Text<'a> {
    pub nodes: &'a [Node],
    pub lines: &'a [Line],
    pub chars: &'a [Char],
    /// Usual height of the text.
    pub height: f32,
    /// Gutters at which lines were cut.
    pub known: &'a [Gutter],
}

impl Text<'_> {
    fn at(&self, node: &Node, x: f32) -> At {
        let behind = |gutter: &Gutter| gutter.is_beside(node) && (node.middle_x() < gutter.x) != (x < gutter.x);
        if node.standing || self.known.iter().any(behind) {
            return At::Aside;
        }
        let overhang = OVERHANG_HEIGHTS * self.height;
        if node.ends[1] <= x + overhang {
            return At::Left;
        }
        if node.ends[0] >= x - overhang {
            return At::Right;
        }
        let ratio = node.height / self.height;
        if !(1.0 / HEIGHT_RATIO..=HEIGHT_RATIO).contains(&ratio) {
            return At::Blocked;
        }
        let Some((_, white)) = self.space(node, x) else { return At::Blocked };
        let white = white.map(|t| node.left[0] + t * node.width());
        let margin = MARGIN_HEIGHTS * self.height;
        At::Gap(white, white[0] + margin <= x && x <= white[1] - margin)
    }

    /// The white space of a line at a place: which of its characters, and from where to where it reaches, as fractions of
    /// the line.
    fn space(&self, node: &Node, x: f32) -> Option<(Range<usize>, [f32; 2])> {
        let chars = self.lines.get(usize::from(node.head))?.chars.of(self.chars);
        let width = node.width();
        if !node.along || width <= 0.0 {
            return None;
        }
        let (place, slack) = ((x - node.left[0]) / width, SLACK_HEIGHTS * self.height / width);
        let here = chars.partition_point(|c| c.end <= place);
        // The character at the place is white, or else one of its neighbours may be near enough.
        let around = [Some(here), here.checked_sub(1), Some(here + 1)];
        let near = |c: &Char| c.ch.is_whitespace() && c.start - slack <= place && place <= c.end + slack;
        let at = around.into_iter().flatten().find(|at| chars.get(*at).is_some_and(near))?;
        let white = |c: &&Char| c.ch.is_whitespace();
        let first = at - chars[..at].iter().rev().take_while(white).count();
        let end = at + chars[at..].iter().take_while(white).count();
        (first > 0 && end < chars.len()).then(|| (first..end, [chars[first].start, chars[end - 1].end]))
    }

    /// From where to where a line reaches on one side of a place.
    fn side(&self, node: &Node, x: f32, right: bool) -> Option<[f32; 2]> {
        match (self.at(node, x), right) {
            (At::Left, false) | (At::Right, true) => Some(node.ends),
            (At::Gap([from, _], _), false) => Some([node.left[0], from]),
            (At::Gap([_, to], _), true) => Some([to, node.right[0]]),
            _ => None,
        }
    }

    /// The tallest gutter among the lines `order`, from top to bottom.
    pub fn find(&self, order: &[u16], values: &mut Values) -> Option<Gutter> {
        if order.len() < MIN_LINES || self.height <= 0.0 {
            return None;
        }
        let ends =
            |limit: fn(f32, f32) -> f32, none, end: fn(&Node) -> f32| self.nodes.iter().map(end).fold(none, limit);
        let left = ends(f32::min, f32::INFINITY, |n| n.left[0]);
        let right = ends(f32::max, f32::NEG_INFINITY, |n| n.right[0]);
        let step = STEP_HEIGHTS * self.height;
        let narrowest = MIN_ASPECT * self.height;
        // No column is narrower. The places are bounded, since a side is and a height is at least a pixel.
        let places = ((right - left - 2.0 * narrowest) / step).clamp(0.0, 8192.0) as usize;
        // The best band so far, the first place where it was found, and the last.
        let mut best: Option<(Band, [f32; 2])> = None;
        for x in (0..places).map(|i| left + narrowest + i as f32 * step) {
            self.bands(order, x, 0.0, |band| {
                if let Some((best, [_, last])) = &mut best
                    && *best == band
                    && x - *last < 1.5 * step
                {
                    *last = x;
                } else if best.as_ref().is_none_or(|(best, _)| band.is_better(best))
                    && self.are_columns(order, &band, x, values)
                {
                    best = Some((band, [x; 2]));
                }
            });
        }
        let (band, [from, to]) = best?;
        let x = (from + to) / 2.0;
        // Lines whose gap is much narrower than the white between the columns are across them by chance.
        let members = &order[band.first..band.end];
        let white = self.white(members, x, values);
        let mut tallest: Option<Band> = None;
        self.bands(members, x, GAP_PART * white, |band| {
            if tallest.is_none_or(|tallest| band.is_better(&tallest)) && self.are_columns(members, &band, x, values) {
                tallest = Some(band);
            }
        });
        let tallest = tallest?;
        let key_y = |at: usize| self.nodes[usize::from(members[at])].key_y;
        Some(Gutter { x, top: key_y(tallest.first), bottom: key_y(tallest.end - 1) })
    }

    /// Width of the white between the usual ends of what is left of a place and the usual beginnings of what is right
    /// of it.
    fn white(&self, members: &[u16], x: f32, values: &mut Values) -> f32 {
        let left = columns::quantile(values, self.nodes, members, 0.75, |n| Some(self.side(n, x, false)?[1]));
        let right = columns::quantile(values, self.nodes, members, 0.25, |n| Some(self.side(n, x, true)?[0]));
        right - left
    }

    /// Calls `found` with each run of lines none of which blocks a place; one with a gap narrower than `narrowest` does.
    fn bands(&self, order: &[u16], x: f32, narrowest: f32, mut found: impl FnMut(Band)) {
        let mut band = Band::default();
        for at in 0..=order.len() {
            let state = order.get(at).map(|&i| {
                let node = &self.nodes[usize::from(i)];
                (node, self.at(node, x))
            });
            match state {
                Some((_, At::Aside)) => {}
                Some((node, state @ (At::Left | At::Right))) => band.add(&state, node.height, at),
                Some((node, At::Gap(white, clear))) if white[1] - white[0] >= narrowest => {
                    band.add(&At::Gap(white, clear), node.height, at);
                }
                _ => {
                    if band.rows() >= MIN_ROWS {
                        found(band);
                    }
                    band = Band { first: at + 1, end: at + 1, ..Band::default() };
                }
            }
        }
    }

    /// True if most gaps of a band are clear and enough, and both its sides are blocks of long lines that fill their
    /// column.
    fn are_columns(&self, order: &[u16], band: &Band, x: f32, values: &mut Values) -> bool {
        let members = &order[band.first..band.end];
        if (band.clear as f32) < CLEAR_PART * band.gaps as f32
            || (band.rows() < MIN_ROWS_OF_SPACES && !self.are_wide(members, x))
        {
            return false;
        }
        if band.gaps == 0 && self.white(members, x, values) > FOUND_APART_HEIGHTS * self.height {
            return false;
        }
        [false, true].into_iter().all(|right| {
            let width = |node: &Node| self.side(node, x, right).map(|[from, to]| (to - from).max(0.0));
            // The parts of lines that would be cut, too, not only lines that stand further away on the same side.
            let cut = |node: &Node| matches!(self.at(node, x), At::Gap(..)).then(|| width(node)).flatten();
            let lines = members.iter().filter(|&&i| width(&self.nodes[usize::from(i)]).is_some()).count();
            let usual = columns::quantile(values, self.nodes, members, 0.5, width);
            let usual_cut = columns::quantile(values, self.nodes, members, 0.5, cut);
            let widest = columns::quantile(values, self.nodes, members, 0.9, width);
            let least = (MIN_ASPECT * self.height).max(MIN_FILL * widest);
            lines >= MIN_LINES && usual >= least && (band.gaps == 0 || usual_cut >= least)
        })
    }

    /// True if the gaps at a place are wide against the other spaces of their lines.
    fn are_wide(&self, members: &[u16], x: f32) -> bool {
        let (mut gaps, mut spaces) = ([0.0; 2], [0.0; 2]);
        for node in members.iter().map(|&i| &self.nodes[usize::from(i)]) {
            let (At::Gap([from, to], _), Some(line)) = (self.at(node, x), self.lines.get(usize::from(node.head)))
            else {
                continue;
            };
            let white = line.chars.of(self.chars).iter().filter(|c| c.ch.is_whitespace());
            spaces = white.fold(spaces, |[sum, count], c| [sum + (c.end - c.start) * node.width(), count + 1.0]);
            gaps = [gaps[0] + to - from, gaps[1] + 1.0];
        }
        let mean = |[sum, count]: [f32; 2]| sum / f32::max(count, 1.0);
        let others = [(spaces[0] - gaps[0]).max(0.0), spaces[1] - gaps[1]];
        gaps[1] > 0.0 && mean(gaps) >= WIDE_GAP * mean(others)
    }

    /// The characters that part a line at the gutter, and the white around them as fractions of the line.
    pub fn cut(&self, node: &Node, gutter: &Gutter) -> Option<(Range<usize>, [f32; 2])> {
        let across = gutter.is_beside(node) && matches!(self.at(node, gutter.x), At::Gap(..));
        across.then(|| self.space(node, gutter.x)).flatten()
    }
}

/// Lines one below the other of which none blocks the gutter: `first..end` of the order.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Band {
    first: usize,
    end: usize,
    gaps: usize,
    /// Gaps that show the gutter clearly.
    clear: usize,
    /// Changes from a line on one side to one on the other.
    changes: usize,
    last: Option<bool>,
    height: [f32; 2],
}

impl Band {
    /// Adds line number `at` of the order.
    fn add(&mut self, state: &At, height: f32, at: usize) {
        self.end = at + 1;
        let sides = match state {
            At::Gap(_, clear) => {
                self.gaps += 1;
                self.clear += usize::from(*clear);
                [true, true]
            }
            _ => {
                let right = matches!(state, At::Right);
                self.changes += usize::from(self.last.is_some_and(|last| last != right));
                self.last = Some(right);
                [!right, right]
            }
        };
        for (sum, _) in self.height.iter_mut().zip(sides).filter(|(_, there)| *there) {
            *sum += height;
        }
    }

    /// Rows that show the gutter: those with a gap, and those whose sides were found apart.
    fn rows(&self) -> usize {
        self.gaps + self.changes / 2
    }

    /// True if its lower side is higher, or as high with fewer gaps that are not clear, or else fewer lines to be cut.
    fn is_better(&self, other: &Band) -> bool {
        let height = |band: &Band| band.height[0].min(band.height[1]);
        let doubt = |band: &Band| (band.gaps - band.clear, band.gaps);
        height(self) > height(other) || (height(self) == height(other) && doubt(self) < doubt(other))
    }
}

/// Parts the [ends](Node::ends) of boxes of one row that overlap in the middle of what they share. Where a box reaches
/// over a gutter into the next column, the box there shows that the line is not across.
pub(super) fn part_overlapping(nodes: &mut [Node], order: &[u16]) {
    for (at, &first) in order.iter().enumerate() {
        let upper = nodes[usize::from(first)];
        for &second in &order[at + 1..] {
            let lower = nodes[usize::from(second)];
            let height = upper.height.min(lower.height);
            if lower.key_y - upper.key_y > SAME_ROW_HEIGHTS * height {
                break;
            }
            let (a, b) = if upper.middle_x() <= lower.middle_x() { (first, second) } else { (second, first) };
            let [left, right] = [a, b].map(|i| nodes[usize::from(i)]);
            let shared = left.right[0] - right.left[0];
            if (0.0..MAX_SHARED_HEIGHTS * height).contains(&shared) && left.along && right.along {
                let middle = left.right[0] - shared / 2.0;
                nodes[usize::from(a)].ends[1] = left.ends[1].min(middle);
                nodes[usize::from(b)].ends[0] = right.ends[0].max(middle);
            }
        }
    }
}

/// Cuts a line at some white space: gives its right part and leaves the left one. Both lose the outline.
pub(super) fn cut_line(line: &mut Line, chars: &mut [Char], space: Range<usize>, [from, to]: [f32; 2]) -> Line {
    let reading = line.reading_quad();
    let turns = usize::from(line.quarter_turns);
    let part = |start: f32, end: f32| {
        let quad = geometry::slice(&reading, start, end);
        std::array::from_fn(|i| quad[(i + 4 - turns) % 4])
    };
    let mut right = Line { quad: part(to, 1.0), ..line.clone() };
    (line.quad, line.polygon, right.polygon) = (part(0.0, from), Span::after(0, 0), Span::after(0, 0));
    let [first, second] = line.chars.parted(space);
    (line.chars, right.chars) = (first, second);
    for (line, [from, to]) in [(line, [0.0, from]), (&mut right, [to, 1.0])] {
        let chars = line.chars.of_mut(chars);
        let place = |t: f32| geometry::unit((t - from) / (to - from).max(f32::EPSILON));
        for c in chars.iter_mut() {
            (c.start, c.end) = (place(c.start), place(c.end));
        }
        line.score = geometry::unit(chars.iter().map(|c| c.score).sum::<f32>() / chars.len().max(1) as f32);
    }
    right
}
