//! Polygon simplification after Ramer, Douglas and Peucker, as `cv2.approxPolyDP(closed=True)` (OpenCV 5) does it.

use super::Point;

/// Length of the closed line through `points`: each piece in `f32`, their sum in `f64`, as `cv2.arcLength`.
pub(super) fn arc_length(points: &[Point]) -> f64 {
    let Some(&(mut from)) = points.last() else { return 0.0 };
    let mut length = 0.0;
    for &to in points {
        let (dx, dy) = ((to[0] - from[0]) as f32, (to[1] - from[1]) as f32);
        length += f64::from((dx * dx + dy * dy).sqrt());
        from = to;
    }
    length
}

/// Difference of two points, and the scalar and vector products of differences.
fn minus(a: Point, b: Point) -> [f64; 2] {
    [f64::from(a[0]) - f64::from(b[0]), f64::from(a[1]) - f64::from(b[1])]
}
fn dot(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}
fn cross(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[1] - a[1] * b[0]
}

/// Puts the corners of `contour` that are needed to stay within `epsilon` pixels of it into `corners`. `stack` is a buffer.
pub(super) fn approx_polygon(
    contour: &[Point],
    epsilon: f64,
    stack: &mut Vec<(usize, usize)>,
    corners: &mut Vec<Point>,
) {
    corners.clear();
    stack.clear();
    let n = contour.len();
    if n == 0 {
        return;
    }
    let limit = epsilon * epsilon;

    // Two points far from each other: three times the farthest from the last one.
    let (mut start, mut far, mut farthest) = (0, 0, 0.0);
    for _ in 0..3 {
        start = (start + far) % n;
        (far, farthest) = (far, 0.0);
        for step in 1..n {
            let d = minus(contour[(start + step) % n], contour[start]);
            let distance = dot(d, d);
            if distance > farthest {
                (far, farthest) = (step, distance);
            }
        }
    }
    if farthest <= limit {
        corners.push(contour[start]);
    } else {
        let opposite = (start + far) % n;
        stack.extend([(opposite, start), (start, opposite)]);
    }

    // Split every piece at its farthest point until none is farther than epsilon.
    while let Some((begin, end)) = stack.pop() {
        let (from, to) = (contour[begin], contour[end]);
        let chord = minus(to, from);
        let chord_squared = dot(chord, chord);
        let (mut at, mut farthest) = (begin, 0.0);
        let mut i = (begin + 1) % n;
        while i != end {
            let offset = minus(contour[i], from);
            let along = dot(offset, chord);
            // Distances times the squared length of the chord.
            let distance = if along < 0.0 {
                dot(offset, offset) * chord_squared
            } else if along > chord_squared {
                let offset = minus(contour[i], to);
                dot(offset, offset) * chord_squared
            } else {
                let across = cross(chord, offset);
                across * across
            };
            if distance > farthest {
                (at, farthest) = (i, distance);
            }
            i = (i + 1) % n;
        }
        if farthest <= limit * chord_squared {
            corners.push(from);
        } else {
            stack.extend([(at, end), (begin, at)]);
        }
    }
    drop_straight_corners(corners, limit);
}

/// Removes corners that lie on an almost straight (but not upright) line between their neighbours.
fn drop_straight_corners(corners: &mut Vec<Point>, limit: f64) {
    let n = corners.len();
    let mut left = n;
    let next = |i: usize| (i + 1) % n;
    // Reading starts one before the end and writing follows it, so the kept corners end up at the front.
    let mut read = n - 1;
    let mut start = corners[read];
    read = next(read);
    let mut write = read;
    let mut corner = corners[read];
    read = next(read);
    let mut i = 0;
    while i < n && left > 2 {
        let end = corners[read];
        read = next(read);
        let chord = minus(end, start);
        let distance = cross(minus(corner, start), chord);
        let ahead = dot(minus(corner, start), minus(end, corner)) >= 0.0;
        let straight = distance * distance <= 0.5 * limit * dot(chord, chord);
        if straight && chord[0] != 0.0 && chord[1] != 0.0 && ahead {
            left -= 1;
            start = end;
            corners[write] = end;
            write = next(write);
            corner = corners[read];
            read = next(read);
            i += 2;
            continue;
        }
        start = corner;
        corners[write] = corner;
        write = next(write);
        corner = end;
        i += 1;
    }
    corners.truncate(left);
}
