//! Widening: the offset of a polygon with round joins, as Clipper 6's `ClipperOffset` does it for `pyclipper`
//! (whole-number coordinates, arc tolerance 0.25).

use super::{FOR, Point};
use crate::memory::{NoMemory, try_vec_with_capacity};
use i_overlay::core::fill_rule::FillRule;
use i_overlay::core::overlay::Overlay;
use i_overlay::core::overlay_rule::OverlayRule;
use i_overlay::i_float::int::point::IntPoint;
use std::f64::consts::{PI, TAU};

/// Farthest offset in map pixels: leads off any map, and keeps the number of arc steps small.
const MAX_DISTANCE: f64 = 1e5;

/// DB's offset for a polygon: `area * ratio / perimeter`, computed as Shapely does. Not a number for a polygon without extent.
pub(super) fn distance(polygon: &[[f64; 2]], ratio: f64) -> f64 {
    let n = polygon.len();
    let (mut twice_area, mut perimeter) = (0.0, 0.0);
    for i in 0..n {
        let (before, [x, y], after) = (polygon[(i + n - 1) % n], polygon[i], polygon[(i + 1) % n]);
        // x relative to the first corner, which therefore adds nothing.
        twice_area += (x - polygon[0][0]) * (before[1] - after[1]);
        let (dx, dy) = (after[0] - x, after[1] - y);
        perimeter += (dx * dx + dy * dy).sqrt();
    }
    (twice_area / 2.0).abs() * ratio / perimeter
}

/// Buffers of [`offset`].
#[derive(Debug, Default)]
pub(super) struct OffsetScratch {
    path: Vec<[f64; 2]>,
    normals: Vec<[f64; 2]>,
}

impl OffsetScratch {
    /// Room for polygons of `corners` corners.
    pub(super) fn with_capacity(corners: usize) -> Result<OffsetScratch, NoMemory> {
        Ok(OffsetScratch { path: try_vec_with_capacity(corners, FOR)?, normals: try_vec_with_capacity(corners, FOR)? })
    }
}

/// Puts the outline of `polygon` (corners truncated to whole pixels) widened by `distance` into `outline`.
///
/// The outline of a convex polygon is convex up to rounding; of others it may cross itself, and [`union`] makes a polygon of it.
/// Empty if the polygon has fewer than three different corners or the distance is not a number.
pub(super) fn offset(
    polygon: impl Iterator<Item = [f64; 2]>,
    distance: f64,
    scratch: &mut OffsetScratch,
    outline: &mut Vec<Point>,
) {
    outline.clear();
    let OffsetScratch { path, normals } = scratch;
    path.clear();
    for point in polygon.map(|point| point.map(f64::trunc)) {
        if path.last() != Some(&point) {
            path.push(point);
        }
    }
    while path.len() > 1 && path.first() == path.last() {
        path.pop();
    }
    let n = path.len();
    if n < 3 || distance.is_nan() {
        return;
    }
    if signed_area(path) < 0.0 {
        path.reverse();
    }
    // Below Clipper's limit nothing is offset; negative distances, which DB does not know, count as none.
    if distance < 1e-20 {
        outline.extend(path.iter().map(|&point| rounded(point)));
        return;
    }
    let delta = distance.min(MAX_DISTANCE);
    let tolerance = 0.25 * delta.min(1.0);
    let steps = (PI / (1.0 - tolerance / delta).acos()).min(delta * PI);
    let (sin, cos) = (TAU / steps).sin_cos();
    let arc = Arc { delta, sin, cos, steps_per_radian: steps / TAU };
    normals.clear();
    normals.extend((0..n).map(|i| unit_normal(path[i], path[(i + 1) % n])));
    let mut before = normals[n - 1];
    for (&point, &after) in path.iter().zip(normals.iter()) {
        // As in Clipper, a corner that hardly turns leaves the normal before it in force for the next corner.
        if arc.join(point, before, after, outline) {
            before = after;
        }
    }
}

/// Twice the area; positive for a polygon that turns right on the screen.
fn signed_area(path: &[[f64; 2]]) -> f64 {
    let n = path.len();
    (0..n).map(|i| path[i][0] * path[(i + 1) % n][1] - path[(i + 1) % n][0] * path[i][1]).sum()
}

/// Normal of an edge, of length 1, to its left on the screen.
fn unit_normal(from: [f64; 2], to: [f64; 2]) -> [f64; 2] {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let inverse = 1.0 / (dx * dx + dy * dy).sqrt();
    [dy * inverse, -(dx * inverse)]
}

/// How a round join is drawn.
struct Arc {
    delta: f64,
    sin: f64,
    cos: f64,
    steps_per_radian: f64,
}

impl Arc {
    /// Adds the offset of the corner `point` between the edges with normals `k` (before) and `j` (after). Returns
    /// whether it is a turn worth a join.
    fn join(&self, point: [f64; 2], k: [f64; 2], j: [f64; 2], outline: &mut Vec<Point>) -> bool {
        let at = |normal: [f64; 2]| rounded([point[0] + normal[0] * self.delta, point[1] + normal[1] * self.delta]);
        let (sin, cos) = (k[0] * j[1] - j[0] * k[1], k[0] * j[0] + j[1] * k[1]);
        if (sin * self.delta).abs() < 1.0 {
            // The two ends of the join are less than a pixel apart; only a hairpin still needs its arc.
            if cos > 0.0 {
                outline.push(at(k));
                return false;
            }
        }
        let sin = sin.clamp(-1.0, 1.0);
        if sin * self.delta < 0.0 {
            // An inner corner: the outline crosses itself here, and the union removes the loop.
            outline.extend([at(k), rounded(point), at(j)]);
            return true;
        }
        let steps = round_away(self.steps_per_radian * sin.atan2(cos).abs()).max(1.0) as usize;
        let [mut x, mut y] = k;
        for _ in 0..steps {
            outline.push(at([x, y]));
            (x, y) = (x * self.cos - self.sin * y, x * self.sin + y * self.cos);
        }
        outline.push(at(j));
        true
    }
}

/// Clipper's rounding: to the nearest whole number, halves away from zero.
fn round_away(value: f64) -> f64 {
    if value < 0.0 { (value - 0.5).trunc() } else { (value + 0.5).trunc() }
}

fn rounded(point: [f64; 2]) -> Point {
    point.map(|v| round_away(v) as i32)
}

/// Turns a convex outline so that it begins where Clipper's result does: after its topmost point (of several, the last).
///
/// The corners are the same either way, but the rectangle around them is sensitive to where they start (see `hull`).
pub(super) fn start_as_clipper(outline: &mut [Point]) {
    if let Some(top) = outline.iter().map(|point| (point[1], -point[0])).min() {
        let last = outline.iter().rposition(|point| (point[1], -point[0]) == top);
        outline.rotate_left(last.map_or(0, |i| (i + 1) % outline.len()));
    }
}

/// The polygon that an outline encloses (winding number greater than 0), in place. Returns whether it is one polygon
/// without holes; if not, `outline` is of no use. Allocates.
pub(super) fn union(outline: &mut Vec<Point>) -> bool {
    let mut overlay = Overlay::<i32>::new(outline.len());
    let path: Vec<_> = outline.iter().map(|&[x, y]| IntPoint::new(x, y)).collect();
    overlay.add_contour(&path, i_overlay::core::overlay::ShapeType::Subject);
    let shapes = overlay.overlay(OverlayRule::Subject, FillRule::Positive);
    let [shape] = shapes.as_slice() else { return false };
    let [polygon] = shape.as_slice() else { return false };
    outline.clear();
    outline.extend(polygon.iter().map(|point| [point.x, point.y]));
    true
}
