//! The rotated rectangle of smallest area around points, as `cv2.minAreaRect` and `cv2.boxPoints` compute it (OpenCV 5),
//! in `f32` where they do.

use super::hull::Hull;
use super::{FOR, Point};
use crate::memory::{NoMemory, try_vec_with_capacity};

/// A rotated rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RotatedRect {
    /// Centre, x and y.
    pub(super) centre: [f32; 2],
    /// Side along the angle, and side across it.
    pub(super) size: [f32; 2],
    /// Degrees, clockwise on the screen.
    pub(super) angle: f32,
}

/// Buffers of [`min_area_rect`].
#[derive(Debug, Default)]
pub(super) struct RectScratch {
    hull: Hull,
    corners: Vec<[f32; 2]>,
    /// Edge from each corner to the next, and the inverse of its length.
    edges: Vec<([f32; 2], f32)>,
}

impl RectScratch {
    /// Room for the rectangle around `points` points.
    pub(super) fn for_points(points: usize) -> Result<RectScratch, NoMemory> {
        Ok(RectScratch {
            hull: Hull::for_points(points)?,
            corners: try_vec_with_capacity(points, FOR)?,
            edges: try_vec_with_capacity(points, FOR)?,
        })
    }
}

/// The rotated rectangle of smallest area around `points`; `None` if there are no points.
pub(super) fn min_area_rect(points: &[Point], scratch: &mut RectScratch) -> Option<RotatedRect> {
    let RectScratch { hull, corners, edges } = scratch;
    hull.compute(points);
    corners.clear();
    corners.extend(hull.corners().iter().map(|&i| points[i as usize].map(|v| v as f32)));
    match corners.as_slice() {
        [] => None,
        [point] => Some(RotatedRect::from_sides(*point, [0.0; 2], [0.0; 2])),
        [a, b] => {
            let centre = [(a[0] + b[0]) * 0.5, (a[1] + b[1]) * 0.5];
            Some(RotatedRect::from_sides(centre, [b[0] - a[0], b[1] - a[1]], [0.0; 2]))
        }
        corners => Some(rotating_calipers(corners, edges)),
    }
}

/// Turns four calipers around the hull `corners` (three or more), one edge at a time, and keeps the smallest rectangle.
fn rotating_calipers(corners: &[[f32; 2]], edges: &mut Vec<([f32; 2], f32)>) -> RotatedRect {
    let n = corners.len();
    edges.clear();
    // Touched by the calipers: lowest y, highest x, highest y, lowest x. The first of equals, as the reference takes it.
    let mut touch = [0; 4];
    for (i, corner) in corners.iter().enumerate() {
        let next = corners[(i + 1) % n];
        let edge = [next[0] - corner[0], next[1] - corner[1]];
        let (dx, dy) = (f64::from(edge[0]), f64::from(edge[1]));
        edges.push((edge, (1.0 / (dx * dx + dy * dy).sqrt()) as f32));
        let better = [
            corner[1] < corners[touch[0]][1],
            corner[0] > corners[touch[1]][0],
            corner[1] > corners[touch[2]][1],
            corner[0] < corners[touch[3]][0],
        ];
        for (side, better) in touch.iter_mut().zip(better) {
            if better {
                *side = i;
            }
        }
    }

    let mut smallest = f32::MAX;
    // Direction of the calipers, width, height, and the corners that the left and the bottom calipers touch.
    let mut best = ([1.0f32, 0.0f32], 0.0, 0.0, 0, 0);
    for _ in 0..n {
        // The caliper that meets its next edge first: compare the edges as if all calipers lay along the first.
        let turned = |side: usize| {
            let [x, y] = edges[touch[side]].0;
            match side {
                0 => [x, y],
                1 => [y, -x],
                2 => [-x, -y],
                _ => [-y, x],
            }
        };
        let mut side = 0;
        for other in 1..4 {
            let (a, b) = (turned(other), turned(side));
            if a[1] * b[0] - a[0] * b[1] < 0.0 {
                side = other;
            }
        }
        let inverse_length = edges[touch[side]].1;
        let [a, b] = turned(side).map(|v| v * inverse_length);
        touch[side] = (touch[side] + 1) % n;

        let [bottom, right, top, left] = touch.map(|i| corners[i]);
        let width = (right[0] - left[0]) * a + (right[1] - left[1]) * b;
        let height = -(top[0] - bottom[0]) * b + (top[1] - bottom[1]) * a;
        let area = width * height;
        if area <= smallest {
            smallest = area;
            best = ([a, b], width, height, touch[3], touch[0]);
        }
    }

    let ([a, b], width, height, left, bottom) = best;
    let (left, bottom) = (corners[left], corners[bottom]);
    // Where the left caliper and the bottom caliper cross.
    let (c1, c2) = (a * left[0] + left[1] * b, -b * bottom[0] + bottom[1] * a);
    let inverse = 1.0 / (a * a - -b * b);
    let corner = [(c1 * a - c2 * b) * inverse, (a * c2 - -b * c1) * inverse];
    let (along, across) = ([a * width, b * width], [-b * height, a * height]);
    let centre = [corner[0] + (along[0] + across[0]) * 0.5, corner[1] + (along[1] + across[1]) * 0.5];
    RotatedRect::from_sides(centre, along, across)
}

impl RotatedRect {
    /// From the centre and two sides as vectors; the angle is that of `along`.
    fn from_sides(centre: [f32; 2], along: [f32; 2], across: [f32; 2]) -> Self {
        let wide = |v: [f32; 2]| v.map(f64::from);
        let length = |[x, y]: [f64; 2]| (x * x + y * y).sqrt() as f32;
        let mut size = [length(wide(along)), length(wide(across))];
        let [x, y] = wide(along);
        let mut angle = y.atan2(x) * 180.0 / std::f64::consts::PI;
        // OpenCV 5 brings the angle into [-90, 0), and every quarter turn swaps the sides.
        while angle >= 0.0 {
            angle -= 90.0;
            size.reverse();
        }
        while angle < -90.0 {
            angle += 90.0;
            size.reverse();
        }
        Self { centre, size, angle: angle as f32 }
    }

    /// Length of the shorter side.
    pub(super) fn short_side(&self) -> f32 {
        self.size[0].min(self.size[1])
    }

    /// The corners in DB's order: of the two with lower x, the upper is top left and the lower bottom left; of the two with
    /// higher x, likewise top right and bottom right. Returned as TL, TR, BR, BL.
    pub(super) fn corners(&self) -> [[f32; 2]; 4] {
        let radians = f64::from(self.angle) * std::f64::consts::PI / 180.0;
        let (a, b) = (radians.sin() as f32 * 0.5, radians.cos() as f32 * 0.5);
        let ([x, y], [width, height]) = (self.centre, self.size);
        // Each corner from the sides, not mirrored at the centre as OpenCV 4 does it: the last bit differs.
        let mut points = [
            [x - a * height - b * width, y + b * height - a * width],
            [x + a * height - b * width, y - b * height - a * width],
            [x + a * height + b * width, y - b * height + a * width],
            [x - a * height + b * width, y + b * height + a * width],
        ];
        // Stable, as Python's: corners with the same x stay in this order.
        points.sort_by(|p, q| p[0].total_cmp(&q[0]));
        let [l0, l1, r0, r1] = points;
        let (tl, bl) = if l1[1] > l0[1] { (l0, l1) } else { (l1, l0) };
        let (tr, br) = if r1[1] > r0[1] { (r0, r1) } else { (r1, r0) };
        [tl, tr, br, bl]
    }
}
