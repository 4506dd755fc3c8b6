//! Convex hull by Sklansky's scan, as `cv2.convexHull(clockwise=False)` computes it.
//!
//! Any hull algorithm finds the same corners. This one also finds the same *first* corner, on which the rotating calipers
//! depend when rectangles tie: an upright box can come out as one of 0° or one of 90°, whose corners differ in the last bit.

use super::{FOR, Point};
use crate::memory::{NoMemory, try_vec_with_capacity};

/// Buffers of [`convex_hull`], and its result.
#[derive(Debug, Default)]
pub(super) struct Hull {
    /// Corners of the hull, strictly convex unless all points lie on a line; positions in the input.
    corners: Vec<u32>,
    sorted: Vec<u32>,
    chain: [Vec<u32>; 2],
}

impl Hull {
    /// Room for the hull of `points` points.
    pub(super) fn for_points(points: usize) -> Result<Hull, NoMemory> {
        let empty = || try_vec_with_capacity(points, FOR);
        Ok(Hull { corners: empty()?, sorted: empty()?, chain: [empty()?, empty()?] })
    }

    /// Positions in the input of the corners found last, in order around the hull.
    pub(super) fn corners(&self) -> &[u32] {
        &self.corners
    }

    /// Computes the hull of `points`. No corners if there are no points.
    pub(super) fn compute(&mut self, points: &[Point]) {
        let Self { corners, sorted, chain: [left, right] } = self;
        corners.clear();
        sorted.clear();
        if points.is_empty() {
            return;
        }
        sorted.extend(0..points.len() as u32);
        sorted.sort_unstable_by_key(|&i| (points[i as usize], i));
        let at = |rank: u32| points[sorted[rank as usize] as usize];
        let end = points.len() as u32 - 1;
        if at(0) == at(end) {
            corners.push(0);
            return;
        }
        let (mut top, mut bottom) = (0, 0);
        for rank in 1..=end {
            if at(bottom)[1] > at(rank)[1] {
                bottom = rank;
            }
            if at(top)[1] < at(rank)[1] {
                top = rank;
            }
        }

        // The half with the larger y, from the rightmost point over the topmost to the leftmost.
        scan(&at, 0, top, -1, 1, left);
        scan(&at, end, top, -1, -1, right);
        corners.extend(&right[..right.len() - 1]);
        corners.extend(left[1..].iter().rev());
        let stop = if left.len() > 2 {
            Some(left[1])
        } else if right.len() > 2 {
            Some(right[right.len() - 2])
        } else {
            None
        };

        // The other half, back to the rightmost point.
        scan(&at, 0, bottom, 1, -1, left);
        scan(&at, end, bottom, 1, 1, right);
        let check = if left.len() > 2 {
            Some(left[1])
        } else if left.len() + right.len() > 2 {
            right.get(2 - left.len()).copied()
        } else {
            None
        };
        if let (Some(stop), Some(check)) = (stop, check)
            && at(check) == at(stop)
        {
            // All points lie on one line: the second half would only repeat the first.
            left.truncate(2);
            right.truncate(2);
        }
        corners.extend(&left[..left.len() - 1]);
        corners.extend(right[1..].iter().rev());
        for corner in corners.iter_mut() {
            *corner = sorted[*corner as usize];
        }
        start_in_input_order(corners);
    }
}

/// One quarter of the hull: from rank `start` to rank `end` of the points sorted by x, keeping turns of sign `turn` and leaving
/// out points that step in y direction `back`. Puts the ranks into `stack`, at least one.
fn scan(at: &impl Fn(u32) -> Point, start: u32, end: u32, back: i64, turn: i64, stack: &mut Vec<u32>) {
    stack.clear();
    stack.push(start);
    if start == end || at(start) == at(end) {
        return;
    }
    let step = |rank: u32| if end > start { rank + 1 } else { rank.wrapping_sub(1) };
    let after = step(end);
    stack.push(step(start));
    let mut next = step(step(start));
    while next != after {
        let n = stack.len();
        let (previous, current) = (stack[n - 2], stack[n - 1]);
        let ([px, py], [cx, cy], [nx, ny]) = (at(previous), at(current), at(next));
        let by = i64::from(ny) - i64::from(cy);
        if by.signum() == back {
            // Steps back: cannot be on this quarter.
            next = step(next);
            continue;
        }
        let (ax, ay) = (i64::from(cx) - i64::from(px), i64::from(cy) - i64::from(py));
        let bx = i64::from(nx) - i64::from(cx);
        if (ay * bx - ax * by).signum() == turn && (ax != 0 || ay != 0) {
            stack.push(next);
            next = step(next);
        } else if previous == start {
            stack[n - 1] = next;
            next = step(next);
        } else {
            stack.pop();
        }
    }
}

/// Turns the ring of `corners` so that the positions ascend, or descend, from the first corner, if they can.
fn start_in_input_order(corners: &mut [u32]) {
    let n = corners.len();
    if n < 3 {
        return;
    }
    let (mut min, mut max, mut rises) = (0, 0, 0);
    for i in 1..n {
        rises += usize::from(corners[i - 1] < corners[i]);
        if rises > 1 && rises + 2 <= i {
            break;
        }
        if corners[i] < corners[min] {
            min = i;
        }
        if corners[i] > corners[max] {
            max = i;
        }
    }
    let distance = max.abs_diff(min);
    if (distance != 1 && distance != n - 1) || (rises > 1 && rises + 2 < n) {
        return;
    }
    let ascending = (max + 1) % n == min;
    let first = if ascending { min } else { max };
    let in_order = (0..n - 1).all(|i| ascending == (corners[(first + i) % n] < corners[(first + i + 1) % n]));
    if in_order {
        corners.rotate_left(first);
    }
}
