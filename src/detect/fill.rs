//! Polygons as pixels: which pixels `cv2.fillPoly` paints (8-connected outline plus even-odd inside), and the mean of the map
//! over them.

use super::map::MapView;
use super::{FOR, Point};
use crate::memory::{NoMemory, try_vec_with_capacity};

/// Fraction bits of x coordinates while an edge is followed.
const SHIFT: u32 = 16;
const ONE: i64 = 1 << SHIFT;

/// An edge that is not horizontal, from the row `top` up to but without the row `bottom`.
#[derive(Debug, Clone, Copy)]
struct Edge {
    top: i64,
    bottom: i64,
    /// x at the row `top`, with [`SHIFT`] fraction bits.
    x: i64,
    /// Change of x per row, rounded towards zero.
    slope: i64,
}

impl Edge {
    fn x_at(&self, y: i64) -> i64 {
        self.x + (y - self.top) * self.slope
    }
}

/// Two ends, x and y.
type Line = ([i64; 2], [i64; 2]);

/// Buffers of [`Mask::mean`].
#[derive(Debug, Default)]
pub(super) struct Mask {
    /// `[height][width]`: 1 where the polygon covers the pixel.
    pub(super) cells: Vec<u8>,
    edges: Vec<Edge>,
    active: Vec<Edge>,
    width: i64,
    height: i64,
}

/// A box of pixels with both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelBox {
    pub(super) x: (i32, i32),
    pub(super) y: (i32, i32),
}

impl PixelBox {
    /// The box with corners `min` and `max`, each clipped to a map of `width × height` (not empty).
    pub(super) fn clipped(min: Point, max: Point, width: usize, height: usize) -> Self {
        let (right, bottom) = (width as i32 - 1, height as i32 - 1);
        Self {
            x: (min[0].clamp(0, right), max[0].clamp(0, right)),
            y: (min[1].clamp(0, bottom), max[1].clamp(0, bottom)),
        }
    }
}

impl Mask {
    /// Room for polygons of `corners` corners in areas of `pixels`.
    pub(super) fn with_capacity(pixels: usize, corners: usize) -> Result<Mask, NoMemory> {
        let edges = || try_vec_with_capacity(corners, FOR);
        Ok(Mask { cells: try_vec_with_capacity(pixels, FOR)?, edges: edges()?, active: edges()?, width: 0, height: 0 })
    }

    /// Mean of `map` over the pixels that `polygon` covers, 0 to 1; values are clamped to that range first, NaN is 0.
    ///
    /// `polygon` is relative to the upper left corner of `area`, and only the pixels of `area` count. 0 if there are none.
    pub(super) fn mean(
        &mut self,
        map: MapView<'_>,
        area: PixelBox,
        polygon: impl Iterator<Item = Point> + Clone,
    ) -> f64 {
        self.paint(area, polygon);
        let (mut sum, mut count) = ([0.0f64; 8], 0u64);
        for (cells, y) in self.cells.chunks_exact(self.width as usize).zip(area.y.0..) {
            let values = &map.row(y as usize)[area.x.0 as usize..=area.x.1 as usize];
            count += cells.iter().map(|&cell| u64::from(cell)).sum::<u64>();
            // Eight sums, so that additions need not wait for each other.
            let (mut cells, mut values) = (cells.chunks_exact(8), values.chunks_exact(8));
            for (cells, values) in cells.by_ref().zip(values.by_ref()) {
                for ((sum, &cell), &value) in sum.iter_mut().zip(cells).zip(values) {
                    *sum += f64::from(probability(value) * f32::from(cell));
                }
            }
            for (&cell, &value) in cells.remainder().iter().zip(values.remainder()) {
                sum[0] += f64::from(probability(value) * f32::from(cell));
            }
        }
        if count == 0 { 0.0 } else { sum.iter().sum::<f64>() / count as f64 }
    }

    /// The pixels that were painted last, in `area`, and their probabilities, 0 to 1.
    pub(super) fn painted<'a>(&'a self, map: MapView<'a>, area: PixelBox) -> impl Iterator<Item = (Point, f32)> + 'a {
        self.cells.chunks_exact(self.width as usize).zip(area.y.0..).flat_map(move |(cells, y)| {
            let values = &map.row(y as usize)[area.x.0 as usize..=area.x.1 as usize];
            let row = cells.iter().zip(values).zip(area.x.0..);
            row.filter(|((cell, _), _)| **cell == 1).map(move |((_, value), x)| ([x, y], probability(*value)))
        })
    }

    /// Sets the cells of `area` that `polygon` covers to 1 and the others to 0.
    pub(super) fn paint(&mut self, area: PixelBox, polygon: impl Iterator<Item = Point> + Clone) {
        self.width = i64::from(area.x.1 - area.x.0) + 1;
        self.height = i64::from(area.y.1 - area.y.0) + 1;
        self.cells.clear();
        self.cells.resize((self.width * self.height) as usize, 0);
        self.edges.clear();
        let wide = |point: Point| point.map(i64::from);
        let Some(mut from) = polygon.clone().last().map(wide) else { return };
        for to in polygon.map(wide) {
            self.add_edge(from, to);
            from = to;
        }
        self.fill();
    }

    /// Draws the outline from `from` to `to`, and notes the edge for the filling.
    fn add_edge(&mut self, from: [i64; 2], to: [i64; 2]) {
        let (inside, (mut a, mut b)) = self.clip_line(from, to);
        if inside {
            self.line(a, b);
        }
        if from[1] == to[1] {
            return;
        }
        // Filling follows the line as it was clipped, unless that made it horizontal: then x is clipped, and y is not.
        if a[1] == b[1] {
            (a[1], b[1]) = (from[1], to[1]);
        }
        let slope = ((b[0] - a[0]) << SHIFT) / (b[1] - a[1]);
        let ((top, bottom), at) = if from[1] < to[1] { ((from[1], to[1]), a) } else { ((to[1], from[1]), b) };
        self.edges.push(Edge { top, bottom, x: (at[0] << SHIFT) + (top - at[1]) * slope, slope });
    }

    /// Cohen-Sutherland clipping in whole numbers: whether anything is inside the mask, and the ends as far as they were moved.
    fn clip_line(&self, from: [i64; 2], to: [i64; 2]) -> (bool, Line) {
        let (right, bottom) = (self.width - 1, self.height - 1);
        let side = |x: i64| u8::from(x < 0) | u8::from(x > right) << 1;
        let code = |p: [i64; 2]| side(p[0]) | u8::from(p[1] < 0) << 2 | u8::from(p[1] > bottom) << 3;
        let ([mut x1, mut y1], [mut x2, mut y2]) = (from, to);
        let (mut c1, mut c2) = (code(from), code(to));
        if c1 & c2 == 0 && c1 | c2 != 0 {
            if c1 & 12 != 0 {
                let a = if c1 < 8 { 0 } else { bottom };
                x1 += scaled(a - y1, x2 - x1, y2 - y1);
                y1 = a;
                c1 = side(x1);
            }
            if c2 & 12 != 0 {
                let a = if c2 < 8 { 0 } else { bottom };
                x2 += scaled(a - y2, x2 - x1, y2 - y1);
                y2 = a;
                c2 = side(x2);
            }
            if c1 & c2 == 0 && c1 | c2 != 0 {
                if c1 != 0 {
                    let a = if c1 == 1 { 0 } else { right };
                    y1 += scaled(a - x1, y2 - y1, x2 - x1);
                    x1 = a;
                    c1 = 0;
                }
                if c2 != 0 {
                    let a = if c2 == 1 { 0 } else { right };
                    y2 += scaled(a - x2, y2 - y1, x2 - x1);
                    x2 = a;
                    c2 = 0;
                }
            }
        }
        let ends = ([x1, y1], [x2, y2]);
        let inside = c1 | c2 == 0 && code(ends.0) | code(ends.1) == 0;
        (inside, ends)
    }

    /// Bresenham's line between two cells inside the mask, drawn from left to right.
    fn line(&mut self, from: [i64; 2], to: [i64; 2]) {
        let (from, to) = if to[0] < from[0] { (to, from) } else { (from, to) };
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let row = if dy < 0 { -self.width } else { self.width };
        let (long, short, along, aside) = if dy.abs() > dx { (dy.abs(), dx, row, 1) } else { (dx, dy.abs(), 1, row) };
        let mut error = long - 2 * short;
        let mut cell = from[1] * self.width + from[0];
        for _ in 0..=long {
            self.cells[cell as usize] = 1;
            cell += along;
            if error < 0 {
                error += 2 * long;
                cell += aside;
            }
            error -= 2 * short;
        }
    }

    /// Fills between pairs of edges, row by row.
    fn fill(&mut self) {
        self.edges.sort_unstable_by_key(|edge| edge.top);
        self.active.clear();
        let (Some(first), Some(end)) = (self.edges.first(), self.edges.iter().map(|edge| edge.bottom).max()) else {
            return;
        };
        let mut waiting = 0;
        for y in first.top.max(0)..end.min(self.height) {
            while let Some(edge) = self.edges.get(waiting).filter(|edge| edge.top <= y) {
                self.active.push(*edge);
                waiting += 1;
            }
            self.active.retain(|edge| edge.bottom > y);
            self.active.sort_unstable_by_key(|edge| edge.x_at(y));
            for pair in self.active.chunks_exact(2) {
                // Pixels whose centres lie between the edges; those that the edges cross are drawn with the outline.
                let left = ((pair[0].x_at(y) + ONE - 1) >> SHIFT).max(0);
                let right = (pair[1].x_at(y) >> SHIFT).min(self.width - 1);
                if left <= right {
                    let row = y * self.width;
                    self.cells[(row + left) as usize..=(row + right) as usize].fill(1);
                }
            }
        }
    }
}

/// `a * b / divisor` rounded towards zero; 0 for a divisor of 0, which clipping never asks for.
fn scaled(a: i64, b: i64, divisor: i64) -> i64 {
    (a * b).checked_div(divisor).unwrap_or(0)
}

fn probability(value: f32) -> f32 {
    // Not `clamp`, which keeps NaN.
    if value > 0.0 { value.min(1.0) } else { 0.0 }
}
