//! Long candidates whose rectangle is loose: lines with a raised mark, and curves.
//!
//! The mean probability over a rectangle is low where much of the rectangle is not text. For a line with raised
//! reference marks that is no reason to drop it, and its rectangle can be read. Of a curve the rectangle is hardly
//! text: it is cut across, where the network is least sure that there is text (between words), into parts that are
//! nearly straight.

use super::Point;
use super::contour::MAX_CORNERS;

/// A candidate is long when it is this many times as long as thick.
const LONG: f64 = 5.0;
/// Least mean probability inside the border; below [`DbParams::box_thresh`](super::DbParams::box_thresh) only that
/// counts. The network is sure of a line whose rectangle is loose because of marks or a bend (0.87 to 0.88 on drawn ones); what
/// it is less sure of is texture at least as often as text (0.62 to 0.64 on street scenes).
pub(super) const MIN_SCORE: f64 = 0.75;
/// Most that a line may bend, over its thickness, and still be read as one straight line.
const MAX_BEND: f64 = 0.8;
/// A part is at least this many times as long as thick.
const PART_LENGTH: f64 = 3.0;
/// Most parts of a curve.
const MAX_PARTS: usize = 8;
/// Most slices of a candidate.
const MAX_SLICES: usize = 240;
/// The middle thirds of the outer and the inner third of an arc lie this part of its height apart (of a parabola).
const THIRDS_APART: f64 = 0.42;

/// Thickness and length of a candidate, as if it were a straight band, in map pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    pub(super) thickness: f64,
    pub(super) length: f64,
}

/// The extent of what a border surrounds; `None` if it surrounds a hole in text, or nothing.
pub(super) fn extent(border: &[Point]) -> Option<Extent> {
    let wide = |p: &Point| p.map(f64::from);
    let (mut twice_area, mut perimeter) = (0.0, 0.0);
    for ([ax, ay], [bx, by]) in border.iter().map(wide).zip(border.iter().map(wide).cycle().skip(1)) {
        twice_area += bx * ay - ax * by;
        perimeter += (bx - ax).hypot(by - ay);
    }
    // Borders of text go anticlockwise on the screen, those of holes clockwise.
    (twice_area > 0.0).then(|| Extent { thickness: twice_area / perimeter, length: perimeter / 2.0 })
}

impl Extent {
    /// Whether the candidate is long enough to be a line of text.
    pub(super) fn is_long(self) -> bool {
        self.length >= LONG * self.thickness
    }
}

/// The pixels of a candidate, summed over slices across its rectangle.
#[derive(Debug)]
pub(super) struct Slices {
    origin: [f64; 2],
    /// Unit vector along the longer side of the rectangle.
    axis: [f64; 2],
    length: f64,
    slices: heapless::Vec<Slice, MAX_SLICES>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    pixels: f64,
    /// Sum of the places across the rectangle.
    across: f64,
    /// Sum of the probabilities.
    text: f64,
}

impl Slices {
    /// Slices a candidate with this rectangle and these pixels and probabilities.
    pub(super) fn new([tl, tr, _, bl]: [[f32; 2]; 4], pixels: impl Iterator<Item = (Point, f32)>) -> Slices {
        let to = |corner: [f32; 2]| [f64::from(corner[0] - tl[0]), f64::from(corner[1] - tl[1])];
        let side = [to(tr), to(bl)].into_iter().max_by(|a, b| a[0].hypot(a[1]).total_cmp(&b[0].hypot(b[1])));
        let side = side.unwrap_or([1.0, 0.0]);
        let length = side[0].hypot(side[1]).max(1.0);
        let mut sliced =
            Slices { origin: tl.map(f64::from), axis: side.map(|v| v / length), length, slices: heapless::Vec::new() };
        // At least two pixels wide.
        let count = ((length / 2.0) as usize).clamp(1, MAX_SLICES);
        let _ = sliced.slices.resize_default(count);
        for (point, probability) in pixels {
            let [along, across] = sliced.place(point);
            let at = (along / length * count as f64).clamp(0.0, count as f64 - 1.0) as usize;
            let slice = &mut sliced.slices[at];
            slice.pixels += 1.0;
            slice.across += across;
            slice.text += f64::from(probability);
        }
        sliced
    }

    /// Where a point is along the rectangle and across it.
    fn place(&self, point: Point) -> [f64; 2] {
        let [x, y] = [f64::from(point[0]) - self.origin[0], f64::from(point[1]) - self.origin[1]];
        [x * self.axis[0] + y * self.axis[1], y * self.axis[0] - x * self.axis[1]]
    }

    /// By how much the middle of the candidate bends, in pixels. Raised marks and letters do not count: of each third
    /// it is the median.
    fn bend(&self) -> f64 {
        let mut middles = heapless::Vec::<f64, MAX_SLICES>::new();
        let third = self.slices.len().div_ceil(3);
        let mut thirds = self.slices.chunks(third).map(|slices| {
            middles.clear();
            middles.extend(slices.iter().filter(|slice| slice.pixels > 0.0).map(|slice| slice.across / slice.pixels));
            middles.sort_unstable_by(f64::total_cmp);
            middles.get(middles.len() / 2).copied()
        });
        match [thirds.next().flatten(), thirds.next().flatten(), thirds.next().flatten()] {
            [Some(first), Some(middle), Some(last)] => (middle - (first + last) / 2.0).abs() / THIRDS_APART,
            _ => 0.0,
        }
    }

    /// The nearly straight parts of the candidate, each from one place along it to another: the whole if it does not
    /// bend.
    ///
    /// A part that is cut off ends `margin` before the cut, by which it is widened again.
    pub(super) fn parts(&self, extent: Extent, margin: f64) -> heapless::Vec<[f64; 2], MAX_PARTS> {
        // A part of one nth of an arc bends by one nth squared of it.
        let needed = (self.bend() / (MAX_BEND * extent.thickness)).sqrt().ceil();
        let room = extent.length / (PART_LENGTH * extent.thickness + 2.0 * margin);
        let count = needed.min(room).clamp(1.0, MAX_PARTS as f64) as usize;
        let mut parts = heapless::Vec::new();
        let mut from = 0.0;
        for part in 1..=count {
            let to = if part == count { self.length } else { self.gap(part, count) };
            let last = if part == count { to } else { to - margin };
            let _ = parts.push([from, last]);
            from = to + margin;
        }
        parts
    }

    /// The place near the end of part `part` of `count` where there is least text.
    fn gap(&self, part: usize, count: usize) -> f64 {
        let n = self.slices.len();
        let (middle, reach) = (part * n / count, n / (4 * count));
        let text = |at: usize| self.slices[at.saturating_sub(1)..n.min(at + 2)].iter().map(|s| s.text).sum::<f64>();
        let near = middle - reach..(middle + reach + 1).min(n);
        let least = near.min_by(|a, b| text(*a).total_cmp(&text(*b))).unwrap_or(middle);
        (least as f64 + 0.5) / n as f64 * self.length
    }

    /// Puts the corners of the part of `border` that lies between two places along the candidate into `out`, at
    /// most [`MAX_CORNERS`].
    pub(super) fn clip(&self, border: &[Point], [from, to]: [f64; 2], out: &mut Vec<Point>) {
        out.clear();
        let mut push = |point: Point| {
            if out.len() < MAX_CORNERS {
                out.push(point);
            }
        };
        for (&a, &b) in border.iter().zip(border.iter().cycle().skip(1)) {
            let ([start, _], [end, _]) = (self.place(a), self.place(b));
            if (from..=to).contains(&start) {
                push(a);
            }
            // Where the edge enters and leaves, in its direction.
            let mut crossings = [from, to];
            if end < start {
                crossings.reverse();
            }
            for crossing in crossings {
                if (crossing - start) * (crossing - end) < 0.0 {
                    let share = (crossing - start) / (end - start);
                    push([0, 1].map(|axis| {
                        (f64::from(a[axis]) + share * f64::from(b[axis] - a[axis])).round_ties_even() as i32
                    }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DbParams, DbScratch, MapView, ScoreMode, TextBox, boxes_from_map};
    use super::*;

    const WIDTH: usize = 600;
    const HEIGHT: usize = 200;

    /// The boxes on a map of text 12 pixels high whose middle is at `middle(x)`, with `probability(x)`, for x from 20
    /// to 580.
    fn boxes(middle: impl Fn(f32) -> f32, probability: impl Fn(f32) -> f32, score_mode: ScoreMode) -> Vec<TextBox> {
        let mut map = vec![0.0; WIDTH * HEIGHT];
        for (x, y) in (20..580).flat_map(|x| (0..HEIGHT).map(move |y| (x, y))) {
            if (y as f32 - middle(x as f32)).abs() < 6.0 {
                map[y * WIDTH + x] = probability(x as f32);
            }
        }
        let mut boxes = Vec::new();
        let params = DbParams { score_mode, ..DbParams::default() };
        let map = MapView::new(&map, WIDTH, HEIGHT).unwrap();
        boxes_from_map(map, WIDTH as u32, HEIGHT as u32, &params, &mut DbScratch::default(), &mut boxes);
        boxes.sort_by(|a, b| a.quad[0][0].total_cmp(&b.quad[0][0]));
        boxes
    }

    fn height(found: &TextBox) -> f32 {
        let [width, height] = super::super::cover::sides(&found.quad);
        width.min(height)
    }

    /// A mark that rises by most of the line's height, near the line's left end.
    fn raised(x: f32) -> f32 {
        if (80.0..140.0).contains(&x) { 88.0 } else { 100.0 }
    }

    /// An arc, 140 pixels high.
    fn arc(x: f32) -> f32 {
        160.0 - 140.0 * (1.0 - ((x - 300.0) / 280.0).powi(2))
    }

    #[test]
    fn line_with_raised_mark_is_one_box() {
        assert!(boxes(raised, |_| 0.9, ScoreMode::Fast).is_empty());
        let found = boxes(raised, |_| 0.9, ScoreMode::Adaptive);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].quad[0][0] < 15.0 && found[0].quad[1][0] > 585.0, "{found:?}");
        assert!(found[0].score > 0.8, "{found:?}");
    }

    #[test]
    fn curve_is_cut_into_straighter_parts() {
        // Two words' gaps.
        let words = |x: f32| if (185.0..197.0).contains(&x) || (330.0..342.0).contains(&x) { 0.4 } else { 0.9 };
        assert!(boxes(arc, words, ScoreMode::Fast).is_empty());
        let found = boxes(arc, words, ScoreMode::Adaptive);
        assert!(found.len() >= 3, "{found:?}");
        assert!(found.iter().all(|part| height(part) < 60.0), "{found:?}");
        // All of it lies in the parts, but for the gaps.
        for x in (22..578).step_by(4).filter(|x| words(*x as f32) > 0.5) {
            let point = [x as f32, arc(x as f32)];
            let inside = found.iter().any(|part| super::super::cover::contains(&part.quad, point));
            assert!(inside, "{point:?} of {found:?}");
        }
    }

    #[test]
    fn faint_loose_candidate_stays_dropped() {
        assert!(boxes(arc, |_| 0.55, ScoreMode::Adaptive).is_empty());
        assert!(boxes(raised, |_| 0.55, ScoreMode::Adaptive).is_empty());
    }

    #[test]
    fn hole_in_text_has_no_extent() {
        let hole = [[0, 0], [40, 0], [40, 6], [0, 6]];
        assert_eq!(extent(&hole), None);
        let mut text = hole;
        text.reverse();
        assert_eq!(extent(&text), Some(Extent { thickness: 480.0 / 92.0, length: 46.0 }));
        assert_eq!(extent(&[]), None);
        assert_eq!(extent(&[[3, 3]]), None);
    }
}
