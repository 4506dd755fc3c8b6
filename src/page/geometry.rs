//! Boxes on the page: four corners, their bounds, and numbers made safe.

/// A box in page pixels: top left, top right, bottom right, bottom left corner of the box as detected.
pub type Quad = [[f32; 2]; 4];

/// Largest coordinate kept, in pixels: far beyond any image, and small enough that sums stay exact.
const MAX_COORDINATE: f32 = 1e6;

/// A number as a fraction 0..=1; NaN is 0.
pub(super) fn unit(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

/// A point with finite coordinates of at most a million; NaN is 0.
pub(super) fn safe_point(point: [f32; 2]) -> [f32; 2] {
    point.map(|v| if v.is_nan() { 0.0 } else { v.clamp(-MAX_COORDINATE, MAX_COORDINATE) })
}

/// The point at fraction `t` of the way from `a` to `b`.
pub(super) fn between(a: [f32; 2], b: [f32; 2], t: f32) -> [f32; 2] {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]
}

/// Distance of two points in pixels.
pub(super) fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (b[0] - a[0]).hypot(b[1] - a[1])
}

/// The part of an upright line box between the fractions `start` and `end` of its length.
///
/// Straight interpolation along the upper and the lower edge: exact for parallelograms, and within a
/// pixel for the perspective a line box can have.
pub(super) fn slice(reading: &Quad, start: f32, end: f32) -> Quad {
    let [top_left, top_right, bottom_right, bottom_left] = *reading;
    [
        between(top_left, top_right, start),
        between(top_left, top_right, end),
        between(bottom_left, bottom_right, end),
        between(bottom_left, bottom_right, start),
    ]
}

/// An upright rectangle in whole page pixels; `right` and `bottom` are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Column after the last, at least `left`.
    pub right: u32,
    /// Row after the last, at least `top`.
    pub bottom: u32,
}

impl Bounds {
    /// Columns covered.
    pub fn width(&self) -> u32 {
        self.right - self.left
    }

    /// Rows covered.
    pub fn height(&self) -> u32 {
        self.bottom - self.top
    }

    /// The smallest rectangle around both.
    pub fn union(&self, other: &Bounds) -> Bounds {
        Bounds {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// The smallest rectangle of whole pixels around a quad, cut to a page of `width_px`×`height_px`.
pub fn bounds(quad: &Quad, width_px: u32, height_px: u32) -> Bounds {
    let min = |axis: usize| quad.iter().fold(f32::INFINITY, |m, p| m.min(p[axis])).floor();
    let max = |axis: usize| quad.iter().fold(f32::NEG_INFINITY, |m, p| m.max(p[axis])).ceil();
    // `as` clamps below at 0 and turns NaN into 0.
    let (left, top) = ((min(0) as u32).min(width_px), (min(1) as u32).min(height_px));
    Bounds { left, top, right: (max(0) as u32).clamp(left, width_px), bottom: (max(1) as u32).clamp(top, height_px) }
}
