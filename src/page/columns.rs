//! Columns of text, told from the columns of tables and receipts.

use super::MAX_LINES;
use super::gutters::Gutter;
use super::layout::{Node, facing_offset};

/// Width of the white gutter between columns, in heights of the text. Boxes grown by the detector's
/// unclipping leave about this much of a newspaper's gutter.
const GUTTER_HEIGHTS: f32 = 0.8;
/// Columns whose rows do not line up need this many lines, of this width in heights.
const FREE_MIN_LINES: usize = 3;
const FREE_MIN_ASPECT: f32 = 5.0;
/// Columns whose rows line up could be a table: they need more lines, wider ones, and lines that
/// fill their column: a median width of this part of the widest tenth.
const ALIGNED_MIN_LINES: usize = 4;
const ALIGNED_MIN_ASPECT: f32 = 7.0;
const ALIGNED_MIN_FILL: f32 = 0.75;
/// Rows line up if this part of the shorter side's lines has a partner on the other side …
const ALIGNED_PART: f32 = 0.7;
/// … whose middle is within this part of the text's height.
const ALIGNED_OFFSET: f32 = 0.35;
/// Columns stand beside each other over at least this part of the shorter one.
const BESIDE_PART: f32 = 0.5;
/// Lines each side needs if a line that sticks out of its column ends the band. Between two long cells
/// of a ragged table, a few short ones look like a column by chance.
const RAGGED_MIN_LINES: usize = 8;

/// Two columns side by side: entries `first..end` of the boxes, divided at the white strip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub first: usize,
    pub end: usize,
    /// Left edge of the strip in the frame of the text.
    pub strip_left: f32,
}

impl Cut {
    /// True if the box belongs to the right column.
    pub fn is_right(&self, node: &Node) -> bool {
        node.middle_x() > self.strip_left
    }

    /// Two columns with a narrow gutter, if some of `members` are on both sides of one: the tallest.
    pub fn at_gutter(nodes: &[Node], members: &[u16], gutters: &[Gutter]) -> Option<Cut> {
        let cut = |gutter: &Gutter| {
            let beside = |&&i: &&u16| gutter.is_beside(&nodes[usize::from(i)]);
            let first = members.iter().position(|i| beside(&i))?;
            let end = first + members[first..].iter().take_while(beside).count();
            let cut = Cut { first, end, strip_left: gutter.x };
            let right = members[first..end].iter().filter(|&&i| cut.is_right(&nodes[usize::from(i)])).count();
            (0 < right && right < end - first).then_some(cut)
        };
        gutters.iter().filter_map(cut).max_by_key(|cut| cut.end - cut.first)
    }
}

/// Values whose median is sought.
pub(super) type Values = heapless::Vec<[f32; 2], MAX_LINES>;

/// Finds the tallest pair of text columns among `members` (indices into `nodes`, from top to bottom).
///
/// Each right edge of a box is tried as the left edge of a white strip; boxes across the strip divide
/// the page into bands, and a band counts if [`are_columns`]. The band whose lower side is highest wins.
pub(super) fn find_cut(nodes: &[Node], members: &[u16], values: &mut Values) -> Option<Cut> {
    let strip_width = GUTTER_HEIGHTS * usual_height(nodes, members, values);
    let mut best: Option<(Cut, f32)> = None;
    for &candidate in members {
        let strip_left = nodes[usize::from(candidate)].right[0];
        let mut first = 0;
        let (mut left_height, mut right_height) = (0.0_f32, 0.0_f32);
        for at in 0..=members.len() {
            let node = members.get(at).map(|&i| &nodes[usize::from(i)]);
            match node {
                Some(n) if n.right[0] <= strip_left => left_height += n.height,
                Some(n) if n.left[0] > strip_left + strip_width => right_height += n.height,
                // A box across the strip, or the end of the page: the band ends here.
                _ => {
                    let score = left_height.min(right_height);
                    let cut = Cut { first, end: at, strip_left };
                    if score > best.map_or(0.0, |(_, score)| score) && are_columns(nodes, members, cut, values) {
                        best = Some((cut, score));
                    }
                    first = at + 1;
                    (left_height, right_height) = (0.0, 0.0);
                }
            }
        }
    }
    best.map(|(cut, _)| cut)
}

/// What is measured of one side of a cut.
struct Side {
    lines: usize,
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
    /// Median width over height of a line.
    aspect: f32,
    /// Median width over that of the widest tenth.
    fill: f32,
}

impl Side {
    fn measure(nodes: &[Node], band: &[u16], cut: Cut, right: bool, values: &mut Values) -> Side {
        let of_side = |n: &Node| cut.is_right(n) == right;
        let (none, all) = (f32::INFINITY, f32::NEG_INFINITY);
        let mut side = Side { lines: 0, left: none, right: all, top: none, bottom: all, aspect: 0.0, fill: 0.0 };
        for node in band.iter().map(|&i| &nodes[usize::from(i)]).filter(|n| of_side(n)) {
            side.lines += 1;
            side.left = side.left.min(node.left[0]);
            side.right = side.right.max(node.right[0]);
            side.top = side.top.min(node.middle_y() - node.height / 2.0);
            side.bottom = side.bottom.max(node.middle_y() + node.height / 2.0);
        }
        let width = |n: &Node| of_side(n).then(|| n.width());
        let aspect = |n: &Node| of_side(n).then(|| n.width() / n.height.max(1.0));
        side.aspect = quantile(values, nodes, band, 0.5, aspect);
        side.fill = quantile(values, nodes, band, 0.5, width) / quantile(values, nodes, band, 0.9, width).max(1.0);
        side
    }

    fn has(&self, lines: usize, aspect: f32, fill: f32) -> bool {
        self.lines >= lines && self.aspect >= aspect && self.fill >= fill
    }
}

/// True if both sides are blocks of several long lines, and not the cells of a table.
fn are_columns(nodes: &[Node], members: &[u16], cut: Cut, values: &mut Values) -> bool {
    let band = &members[cut.first..cut.end];
    if band.len() < 2 * FREE_MIN_LINES {
        return false;
    }
    let left = Side::measure(nodes, band, cut, false, values);
    let right = Side::measure(nodes, band, cut, true, values);
    let beside = left.bottom.min(right.bottom) - left.top.max(right.top);
    let shorter = (left.bottom - left.top).min(right.bottom - right.top);
    if beside < BESIDE_PART * shorter {
        return false;
    }
    // The boxes that end the band, above and below: across the gutter or in it, but not rather a line
    // of one column that the strip has cut off.
    let before = cut.first.checked_sub(1).and_then(|at| members.get(at));
    let sticks_out = |&i: &u16| {
        let node = &nodes[usize::from(i)];
        let from_left = node.left[0] < left.right && node.right[0] <= right.left;
        let from_right = node.left[0] >= left.right && node.right[0] > right.left;
        from_left || from_right
    };
    let ragged = before.into_iter().chain(members.get(cut.end)).any(sticks_out);
    if ragged && left.lines.min(right.lines) < RAGGED_MIN_LINES {
        return false;
    }
    let fits = |lines, aspect, fill| left.has(lines, aspect, fill) && right.has(lines, aspect, fill);
    fits(ALIGNED_MIN_LINES, ALIGNED_MIN_ASPECT, ALIGNED_MIN_FILL)
        || (fits(FREE_MIN_LINES, FREE_MIN_ASPECT, 0.0) && !rows_line_up(nodes, band, cut))
}

/// True if most lines of the shorter side have a partner on the other side.
fn rows_line_up(nodes: &[Node], band: &[u16], cut: Cut) -> bool {
    let (mut lines, mut partners) = ([0_usize; 2], [0_usize; 2]);
    for (at, &i) in band.iter().enumerate() {
        let node = &nodes[usize::from(i)];
        let right = cut.is_right(node);
        lines[usize::from(right)] += 1;
        let reach = 2.0 * node.height;
        let near = |&&j: &&u16| (nodes[usize::from(j)].key_y - node.key_y).abs() <= reach;
        let above = band[..at].iter().rev().take_while(near);
        let below = band[at + 1..].iter().take_while(near);
        let paired = above.chain(below).map(|&j| &nodes[usize::from(j)]).any(|other| {
            let (a, b) = if right { (other, node) } else { (node, other) };
            let limit = ALIGNED_OFFSET * a.height.min(b.height);
            cut.is_right(other) != right && facing_offset(a, b).abs() <= limit
        });
        partners[usize::from(right)] += usize::from(paired);
    }
    let shorter = usize::from(lines[1] < lines[0]);
    partners[shorter] as f32 >= ALIGNED_PART * lines[shorter] as f32
}

/// The usual height of the text: the median.
pub(super) fn usual_height(nodes: &[Node], members: &[u16], values: &mut Values) -> f32 {
    quantile(values, nodes, members, 0.5, |n| Some(n.height))
}

/// The value below which the part `q` of all values lies; 0 if there are none.
pub(super) fn quantile(
    values: &mut Values,
    nodes: &[Node],
    members: &[u16],
    q: f32,
    value: impl Fn(&Node) -> Option<f32>,
) -> f32 {
    values.clear();
    let found = members.iter().filter_map(|&i| value(&nodes[usize::from(i)]));
    values.extend(found.map(|v| [v, 1.0]));
    if values.is_empty() {
        return 0.0;
    }
    let at = ((values.len() - 1) as f32 * q).round() as usize;
    values.select_nth_unstable_by(at, |a, b| a[0].total_cmp(&b[0])).1[0]
}
