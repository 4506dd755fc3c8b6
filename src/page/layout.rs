//! Boxes in the frame of the text, and how they are chained to rows.

use super::MAX_LINES;
use super::gutters::{Gutter, MAX_GUTTERS};

/// Marks the end of a chain.
const NONE: u16 = u16::MAX;
/// Two boxes are of one row only if they overlap vertically by this part of the lower one's height.
const ROW_OVERLAP: f32 = 0.5;
/// Boxes of one row may overlap horizontally by this part of the narrower one.
const SIDE_OVERLAP: f32 = 0.5;
/// Boxes of one row differ in height by at most this factor.
const HEIGHT_RATIO: f32 = 2.5;
/// How much a vertical offset counts against a horizontal gap when the nearest box of a row is sought.
const OFFSET_COST: f32 = 4.0;

/// Working memory for ordering a page; part of the page so that ordering allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The lines, in the order of the page.
    pub lines: heapless::Vec<Node, MAX_LINES>,
    /// Runs of lines that nearly touch, from top to bottom.
    pub segments: heapless::Vec<Node, MAX_LINES>,
    /// Indices of segments, being put in order.
    pub order: heapless::Vec<u16, MAX_LINES>,
    /// Values whose median is sought, with their weights.
    pub values: heapless::Vec<[f32; 2], MAX_LINES>,
    /// Gutters at which lines were cut.
    pub gutters: heapless::Vec<Gutter, MAX_GUTTERS>,
}

/// A box in the frame of the text: x along the reading direction, y from line to line, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// Middle of the left edge.
    pub left: [f32; 2],
    /// Middle of the right edge, not left of `left`.
    pub right: [f32; 2],
    /// Where it begins and ends without what a box of the same row has, too; see [`Gutter`].
    pub ends: [f32; 2],
    /// Height of the text.
    pub height: f32,
    /// Text that runs across the page's reading direction; never part of a row.
    pub standing: bool,
    /// Read from left to right in the frame.
    pub along: bool,
    /// For a segment, the line it begins with.
    pub head: u16,
    /// Where the box stands among others from top to bottom: see [`Node::place`].
    pub key_y: f32,
    /// Vertical place of the row the box is in.
    pub row_y: f32,
    /// First box of that row, and the place in it.
    pub row: (u16, u16),
    nearest_left: Nearest,
    nearest_right: Nearest,
}

/// The best neighbour found so far.
#[derive(Debug, Clone, Copy)]
struct Nearest {
    index: u16,
    cost: f32,
}

impl Nearest {
    const NOBODY: Nearest = Nearest { index: NONE, cost: f32::INFINITY };

    fn offer(&mut self, index: u16, cost: f32) {
        if cost < self.cost {
            *self = Nearest { index, cost };
        }
    }
}

impl Node {
    pub fn new(left: [f32; 2], right: [f32; 2], height: f32, standing: bool, head: u16) -> Node {
        Node {
            left,
            right,
            ends: [left[0], right[0]],
            height,
            standing,
            along: false,
            head,
            key_y: (left[1] + right[1]) / 2.0,
            row_y: 0.0,
            row: (0, 0),
            nearest_left: Nearest::NOBODY,
            nearest_right: Nearest::NOBODY,
        }
    }

    pub fn width(&self) -> f32 {
        (self.right[0] - self.left[0]).max(0.0)
    }

    pub fn middle_y(&self) -> f32 {
        (self.left[1] + self.right[1]) / 2.0
    }

    /// Sets the place of the box among others from top to bottom, given the usual height of text: its
    /// middle. Of standing text, and text too large to form a row with the usual, it is where a usual
    /// line would have its middle if it began at the same height: it is read before what is beside it.
    pub fn place(&mut self, usual_height: f32) {
        let large = self.standing || self.height > HEIGHT_RATIO * usual_height;
        let first_line = self.middle_y() - self.height / 2.0 + usual_height / 2.0;
        self.key_y = if large { first_line } else { self.middle_y() };
    }

    pub fn middle_x(&self) -> f32 {
        (self.left[0] + self.right[0]) / 2.0
    }
}

/// Vertical distance of two boxes, `a` left of `b`, where they face each other.
///
/// Both boxes' slope is carried across the gap, the less the wider the gap is against the boxes: a
/// short box says little about its slope.
pub(super) fn facing_offset(a: &Node, b: &Node) -> f32 {
    let gap = b.left[0] - a.right[0];
    let rise = (a.right[1] - a.left[1]) + (b.right[1] - b.left[1]);
    let run = a.width() + b.width() + gap.abs();
    let slope = if run > 0.0 { rise / run } else { 0.0 };
    b.left[1] - a.right[1] - slope * gap
}

/// What it costs to read `b` right after `a`; none if they are not of one row.
fn row_cost(a: &Node, b: &Node, max_gap_heights: f32) -> Option<f32> {
    let low = a.height.min(b.height);
    let high = a.height.max(b.height);
    let gap = b.left[0] - a.right[0];
    if a.standing || b.standing || high > HEIGHT_RATIO * low || gap > max_gap_heights * low {
        return None;
    }
    if -gap > SIDE_OVERLAP * a.width().min(b.width()) {
        return None;
    }
    let offset = facing_offset(a, b).abs();
    let overlap = ((a.height + b.height) / 2.0 - offset).min(low);
    (overlap >= ROW_OVERLAP * low).then(|| gap.max(0.0) + OFFSET_COST * offset)
}

/// Chains the boxes `members` of `nodes` to rows: two boxes are neighbours if each is the other's
/// nearest on that side. Gaps are limited to `max_gap_heights` times the height of the text, and no gutter may be
/// between.
pub(super) fn chain(nodes: &mut [Node], members: &[u16], max_gap_heights: f32, gutters: &[Gutter]) {
    for &i in members {
        nodes[usize::from(i)].nearest_left = Nearest::NOBODY;
        nodes[usize::from(i)].nearest_right = Nearest::NOBODY;
    }
    for (at, &i) in members.iter().enumerate() {
        for &j in &members[at + 1..] {
            // The order by middle and index has no ties, so chains have no loops.
            let (x, y) = (nodes[usize::from(i)].middle_x(), nodes[usize::from(j)].middle_x());
            let (a, b) = if x <= y { (i, j) } else { (j, i) };
            let [left, right] = [a, b].map(|i| &nodes[usize::from(i)]);
            let parted = || gutters.iter().any(|gutter| gutter.parts(left, right));
            if let Some(cost) = row_cost(left, right, max_gap_heights).filter(|_| !parted()) {
                nodes[usize::from(a)].nearest_right.offer(b, cost);
                nodes[usize::from(b)].nearest_left.offer(a, cost);
            }
        }
    }
}

/// The box that follows `i` in its chain.
pub(super) fn next(nodes: &[Node], i: u16) -> Option<u16> {
    let right = nodes[usize::from(i)].nearest_right.index;
    let mutual = right != NONE && nodes[usize::from(right)].nearest_left.index == i;
    mutual.then_some(right)
}

/// True if `i` begins its chain.
pub(super) fn is_head(nodes: &[Node], i: u16) -> bool {
    let left = nodes[usize::from(i)].nearest_left.index;
    left == NONE || nodes[usize::from(left)].nearest_right.index != i
}

/// The chain that begins with `head`.
pub(super) fn walk(nodes: &[Node], head: u16) -> impl Iterator<Item = u16> + '_ {
    std::iter::successors(Some(head), move |&i| next(nodes, i))
}
