//! The order in which a person reads the lines of a page.
//!
//! 1. **Frame.** Everything is compared along the page's own reading direction: the median direction
//!    of its lines, weighted by their length. A slanting page, a page on its side or on its head, and
//!    vertical writing (columns from right to left) are thereby all the same case.
//! 2. **Segments.** Lines that nearly touch (gap below [`SEGMENT_GAP_HEIGHTS`]) in one row are one
//!    piece of text that the detector has cut.
//! 3. **Narrow gutters** ([`gutters`]). Lines that the detector has found across two columns are cut where gaps stand
//!    above each other through many lines.
//! 4. **Columns** ([`columns`]). A white strip divides a band of the page into two columns
//!    if both sides are blocks of several long lines beside each other; if the lines of both
//!    sides line up in rows, they must also fill their column, as set text does and the cells of a
//!    table do not. So an item and its price stay in one row. What is above and below the band (a header
//!    over two columns is wider than the strip, and ends the band) is ordered by itself, as is each column.
//! 5. **Rows.** In what is left, boxes that overlap vertically by half the lower one's height, where
//!    they face each other, and that are each other's nearest, form a row. Rows are read from top to
//!    bottom, each from left to right. All measures are relative to the height of the text.
//!
//! Time grows with the square of the number of lines; nothing is allocated.

use super::Page;
use super::columns::{self, Cut, Values};
use super::geometry::{between, distance};
use super::gutters::{self, Gutter, Text};
use super::layout::{self, Node, Scratch};
use super::line::Line;
use std::f32::consts::{FRAC_PI_2, PI};

/// Largest gap inside a segment, in heights of the text: below the narrowest gutter of columns.
const SEGMENT_GAP_HEIGHTS: f32 = 0.6;
/// Text is standing if its box is this much higher than wide in the frame of the page.
const STANDING_ASPECT: f32 = 1.5;
/// Columns within columns are looked for this deep; no page has that many.
const MAX_DEPTH: usize = 32;
/// Lines whose top left corners differ by less than this in y are one row for RapidOCR.
const RAPIDOCR_ROW_PX: f32 = 10.0;

impl Page {
    /// Puts the lines in reading order: rows from top to bottom, each from left to right, columns of
    /// text one after the other; lines across two columns are cut, as far as there is room for another line. See the
    /// source of this module for the rule; it does not depend on the order of the lines before.
    pub fn sort_reading_order(&mut self) {
        self.sort_reading_order_from(0);
    }

    /// As [`sort_reading_order`](Self::sort_reading_order) for the lines from number `first` on, which are those of one
    /// region: the lines before keep their places.
    pub fn sort_reading_order_from(&mut self, first: usize) {
        let Some(part) = self.lines.get(first..).filter(|part| part.len() > 1) else { return };
        let angle = reading_angle(part, &mut self.scratch.values);
        self.scratch.gutters.clear();
        while self.cut_at_gutter(first, angle) {}
        let Some(part) = self.lines.get_mut(first..) else { return };
        let Scratch { lines, segments, order, values, gutters } = &mut *self.scratch;
        let usual_height = columns::usual_height(lines, order, values);
        layout::chain(lines, order, SEGMENT_GAP_HEIGHTS, gutters);
        segments.clear();
        let heads = (0..lines.len() as u16).filter(|&i| layout::is_head(lines, i));
        segments.extend(heads.map(|head| segment(lines, head, usual_height)));
        segments.sort_unstable_by(|a, b| a.key_y.total_cmp(&b.key_y).then(a.left[0].total_cmp(&b.left[0])));

        order.clear();
        order.extend(0..segments.len() as u16);
        arrange(segments, order, values, gutters, MAX_DEPTH);

        let in_order = order.iter().flat_map(|&s| layout::walk(lines, segments[usize::from(s)].head));
        for (rank, line) in in_order.enumerate() {
            part[usize::from(line)].rank = rank as u16;
        }
        part.sort_unstable_by_key(|line| line.rank);
    }

    /// Cuts the lines from number `first` on at the tallest gutter that is left, and notes it. In any case the scratch
    /// memory then has the lines in the frame, in order from top to bottom.
    fn cut_at_gutter(&mut self, first: usize, angle: f32) -> bool {
        let Scratch { lines: nodes, order, values, gutters, .. } = &mut *self.scratch;
        let part = self.lines.get(first..).unwrap_or_default();
        nodes.clear();
        nodes.extend(part.iter().enumerate().map(|(i, line)| node(line, i as u16, angle)));
        order.clear();
        order.extend(0..nodes.len() as u16);
        let height = columns::usual_height(nodes, order, values);
        let key = |i: u16| (nodes[usize::from(i)].key_y, nodes[usize::from(i)].left[0]);
        order.sort_unstable_by(|&a, &b| key(a).0.total_cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)));
        if gutters.is_full() {
            return false;
        }
        gutters::part_overlapping(nodes, order);
        let text = Text { nodes, lines: part, chars: &self.chars, height, known: gutters };
        let Some(gutter) = text.find(order, values) else { return false };
        for at in 0..part.len() {
            let text = Text { nodes, lines: &self.lines[first..], chars: &self.chars, height, known: gutters };
            let Some((space, white)) = text.cut(&nodes[at], &gutter) else { continue };
            if self.lines.is_full() {
                break;
            }
            let right = gutters::cut_line(&mut self.lines[first + at], &mut self.chars, space, white);
            let _ = self.lines.push(right);
        }
        let _ = gutters.push(gutter);
        true
    }

    /// Puts the lines in RapidOCR's order, for comparison with it: by y of the top left corner, cut into
    /// rows where consecutive y differ by 10 pixels or more, each row by x. Ties keep their order.
    pub fn sort_like_rapidocr(&mut self) {
        self.sort_like_rapidocr_from(0);
    }

    /// As [`sort_like_rapidocr`](Self::sort_like_rapidocr) for the lines from number `first` on.
    pub fn sort_like_rapidocr_from(&mut self, first: usize) {
        let Some(part) = self.lines.get_mut(first..) else { return };
        let count = part.len();
        for (rank, line) in part.iter_mut().enumerate() {
            line.rank = rank as u16;
        }
        part.sort_unstable_by(|a, b| a.quad[0][1].total_cmp(&b.quad[0][1]).then(a.rank.cmp(&b.rank)));
        for (rank, line) in part.iter_mut().enumerate() {
            line.rank = rank as u16;
        }
        let mut first = 0;
        for end in 1..=count {
            let top = |i: usize| part[i].quad[0][1];
            if end == count || top(end) - top(end - 1) >= RAPIDOCR_ROW_PX {
                part[first..end]
                    .sort_unstable_by(|a, b| a.quad[0][0].total_cmp(&b.quad[0][0]).then(a.rank.cmp(&b.rank)));
                first = end;
            }
        }
    }
}

/// Orders the segments `order` (given from top to bottom), column by column and row by row.
fn arrange(segments: &mut [Node], order: &mut [u16], values: &mut Values, gutters: &[Gutter], depth: usize) {
    let cut = (depth > 0)
        .then(|| Cut::at_gutter(segments, order, gutters).or_else(|| columns::find_cut(segments, order, values)));
    let Some(cut) = cut.flatten() else {
        return arrange_rows(segments, order);
    };
    let (above, rest) = order.split_at_mut(cut.first);
    let (band, below) = rest.split_at_mut(cut.end - cut.first);
    // Indices grow from top to bottom, and shall do so in each column again.
    band.sort_unstable_by_key(|&i| (cut.is_right(&segments[usize::from(i)]), i));
    let left = band.partition_point(|&i| !cut.is_right(&segments[usize::from(i)]));
    let (left, right) = band.split_at_mut(left);
    for part in [above, left, right, below] {
        arrange(segments, part, values, gutters, depth - 1);
    }
}

/// Orders the segments `order` of one block by rows.
pub(super) fn arrange_rows(segments: &mut [Node], order: &mut [u16]) {
    layout::chain(segments, order, f32::INFINITY, &[]);
    for &head in order.iter() {
        if !layout::is_head(segments, head) {
            continue;
        }
        // The middle of the row, each box counting by its width.
        let (mut sum, mut weights) = (0.0, 0.0);
        for i in layout::walk(segments, head) {
            let node = &segments[usize::from(i)];
            let weight = node.width().max(1.0);
            sum += node.key_y * weight;
            weights += weight;
        }
        let row_y = sum / weights;
        let (mut at, mut place) = (Some(head), 0);
        while let Some(i) = at {
            segments[usize::from(i)].row_y = row_y;
            segments[usize::from(i)].row = (head, place);
            place += 1;
            at = layout::next(segments, i);
        }
    }
    order.sort_unstable_by(|&a, &b| {
        let (a, b) = (&segments[usize::from(a)], &segments[usize::from(b)]);
        a.row_y.total_cmp(&b.row_y).then(a.row.cmp(&b.row))
    });
}

/// Direction in which a line is read, in radians, clockwise on the page from "to the right".
fn direction(line: &Line) -> f32 {
    let [top_left, top_right, bottom_right, bottom_left] = line.reading_quad();
    let from = between(top_left, bottom_left, 0.5);
    let to = between(top_right, bottom_right, 0.5);
    (to[1] - from[1]).atan2(to[0] - from[0])
}

/// The page's reading direction in radians; 0 if no line tells.
///
/// First the slant, which all four directions share: a mean of four times the angle, to have a centre
/// to measure from, then the weighted median about it, which single odd lines do not move. Then the
/// quarter most of the text is read in. A line weighs by how much longer than high it is; a single
/// character has no direction, for a narrow one ("1") looks like vertical text.
pub(super) fn reading_angle(lines: &[Line], values: &mut Values) -> f32 {
    let weight = |line: &Line| {
        let [a, b, _, d] = line.quad;
        if line.chars.len() == 1 { 0.0 } else { (distance(a, b) - distance(a, d)).abs() }
    };
    let (mut sin, mut cos, mut total) = (0.0, 0.0, 0.0);
    for line in lines {
        let (s, c) = (4.0 * direction(line)).sin_cos();
        sin += s * weight(line);
        cos += c * weight(line);
        total += weight(line);
    }
    if total <= 0.0 {
        return 0.0;
    }
    let centre = sin.atan2(cos) / 4.0;

    values.clear();
    values.extend(lines.iter().map(|line| {
        let residual = (4.0 * (direction(line) - centre) + PI).rem_euclid(2.0 * PI) - PI;
        [residual / 4.0, weight(line)]
    }));
    values.sort_unstable_by(|a, b| a[0].total_cmp(&b[0]));
    let mut passed = 0.0;
    let median = values.iter().find(|[_, weight]| {
        passed += weight;
        passed >= total / 2.0
    });
    let slant = centre + median.map_or(0.0, |[residual, _]| *residual);

    let mut votes = [0.0_f32; 4];
    for line in lines {
        votes[quarters(direction(line) - slant)] += weight(line);
    }
    let most = (1..4).fold(0, |most, q| if votes[q] > votes[most] { q } else { most });
    slant + most as f32 * FRAC_PI_2
}

/// An angle in quarter turns, 0..=3.
fn quarters(angle: f32) -> usize {
    (angle / FRAC_PI_2).round().rem_euclid(4.0) as usize % 4
}

/// A line as a box in the frame turned by `angle`.
pub(super) fn node(line: &Line, index: u16, angle: f32) -> Node {
    let turned = quarters(direction(line) - angle);
    let reading = line.reading_quad();
    let (sin, cos) = angle.sin_cos();
    let in_frame = |[x, y]: [f32; 2]| [x * cos + y * sin, y * cos - x * sin];
    // The corners counted from the top left of the frame, not of the text.
    let corner = |i: usize| in_frame(reading[(i + 4 - turned) % 4]);
    let [top_left, top_right, bottom_right, bottom_left] = std::array::from_fn(corner);
    let left = between(top_left, bottom_left, 0.5);
    let right = between(top_right, bottom_right, 0.5);
    let height = (distance(top_left, bottom_left) + distance(top_right, bottom_right)) / 2.0;
    let (left, right) = if left[0] <= right[0] { (left, right) } else { (right, left) };
    let standing = turned % 2 == 1 && line.chars.len() != 1 && height > STANDING_ASPECT * (right[0] - left[0]);
    let mut node = Node::new(left, right, height.max(1.0), standing, index);
    node.along = turned == 0;
    node
}

/// The chain of lines that begins with `head`, as one box.
fn segment(lines: &[Node], head: u16, usual_height: f32) -> Node {
    let first = &lines[usize::from(head)];
    let (mut right, mut height, mut count) = (first.right, 0.0, 0.0_f32);
    for i in layout::walk(lines, head) {
        right = lines[usize::from(i)].right;
        height += lines[usize::from(i)].height;
        count += 1.0;
    }
    let mut segment = Node::new(first.left, right, height / count.max(1.0), first.standing, head);
    segment.place(usual_height);
    segment
}
