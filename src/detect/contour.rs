//! Border following (Suzuki and Abe 1985): every border of a bitmap, outer and hole, as `cv2.findContours` lists them with
//! `RETR_LIST` and `CHAIN_APPROX_SIMPLE`.
//!
//! A border is known by the pixel it was found at, from which it can be walked again at any time. So no contour is stored:
//! [`find_starts`] keeps the starts, and [`trace`] walks one border into a buffer when it is needed.

use super::bitmap::{BACKGROUND, Bitmap, TEXT};
use super::{FOR, Point};
use crate::memory::{NoMemory, try_vec_with_capacity};

/// A cell that a border has passed.
const PASSED: u8 = 0x02;
/// A cell that a border has passed with background on its right: no hole border can start there any more.
const PASSED_RIGHT: u8 = 0x82;

/// Steps to the eight neighbours, counter-clockwise on the screen from "right".
const STEPS: [Point; 8] = [[1, 0], [1, -1], [0, -1], [-1, -1], [-1, 0], [-1, 1], [0, 1], [1, 1]];

/// Where a border begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// Index into the bitmap's cells.
    cell: usize,
    /// Whether it surrounds background.
    is_hole: bool,
}

/// The starts of the last `capacity` borders in scan order. A ring, so that memory stays bounded on noisy maps.
#[derive(Debug, Default)]
pub(super) struct Starts {
    ring: Vec<Start>,
    /// Where the next start goes once the ring is full; until then 0.
    next: usize,
    /// Starts that the ring lost.
    lost: usize,
}

/// Most corners of a border that is looked at; what has more is noise, and the rest of it is left out.
pub(super) const MAX_CORNERS: usize = 1 << 16;

impl Starts {
    /// Room for `capacity` starts.
    pub(super) fn with_capacity(capacity: usize) -> Result<Starts, NoMemory> {
        Ok(Starts { ring: try_vec_with_capacity(capacity, FOR)?, next: 0, lost: 0 })
    }

    fn clear(&mut self) {
        self.ring.clear();
        self.next = 0;
        self.lost = 0;
    }

    fn push(&mut self, start: Start, capacity: usize) {
        if self.ring.len() < capacity {
            self.ring.push(start);
            return;
        }
        self.lost += 1;
        if capacity > 0 {
            self.ring[self.next] = start;
            self.next = (self.next + 1) % capacity;
        }
    }

    /// How many more there were, before them in scan order.
    pub(super) fn lost(&self) -> usize {
        self.lost
    }

    /// How many starts there are.
    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// The `index`-th start in OpenCV's list order, which is the reverse of the scan order.
    pub(super) fn get(&self, index: usize) -> Start {
        let n = self.ring.len();
        self.ring[(self.next + n - 1 - index) % n]
    }
}

/// Scans `bitmap` row by row for borders, marks the cells they pass, and keeps the last `capacity` of them in `starts`. Those
/// less than `min_side_px` wide and high, which no later step would keep, are left out: on flat images the network is
/// undecided, and thousands of specks would take the room of what is text.
pub(super) fn find_starts(bitmap: &mut Bitmap, capacity: usize, min_side_px: f32, starts: &mut Starts) {
    starts.clear();
    let stride = bitmap.stride();
    for y in 1..=bitmap.height {
        let (begin, end) = (y * stride + 1, y * stride + 1 + bitmap.width);
        let mut cell = begin;
        let mut previous = BACKGROUND;
        loop {
            cell = next_change(&bitmap.cells, cell, end, previous);
            if cell == end {
                break;
            }
            let value = bitmap.cells[cell];
            let start = if previous == BACKGROUND && value == TEXT {
                Some(Start { cell, is_hole: false })
            } else if value == BACKGROUND && previous != PASSED_RIGHT {
                Some(Start { cell: cell - 1, is_hole: true })
            } else {
                None
            };
            if let Some(start) = start {
                let (mut min, mut max) = ([i32::MAX; 2], [i32::MIN; 2]);
                walk(
                    bitmap,
                    start,
                    |cells, cell, at_right| {
                        if at_right {
                            cells[cell] = PASSED_RIGHT;
                        } else if cells[cell] == TEXT {
                            cells[cell] = PASSED;
                        }
                    },
                    |point| {
                        min = [min[0].min(point[0]), min[1].min(point[1])];
                        max = [max[0].max(point[0]), max[1].max(point[1])];
                    },
                );
                if (0..2).any(|axis| (max[axis] - min[axis]) as f32 >= min_side_px) {
                    starts.push(start, capacity);
                }
            }
            previous = bitmap.cells[cell];
            cell += 1;
        }
    }
}

/// Index of the first cell in `from..end` that differs from `previous`, or `end`.
fn next_change(cells: &[u8], from: usize, end: usize, previous: u8) -> usize {
    // Eight cells at a time: most of a map is background.
    let (mut at, same) = (from, [previous; 8]);
    while at + 8 <= end && cells[at..at + 8] == same {
        at += 8;
    }
    while at < end && cells[at] == previous {
        at += 1;
    }
    at
}

/// Walks the border that begins at `start` and puts its corner points into `points`, in map pixels and in OpenCV's order:
/// the points at which the direction changes, at most [`MAX_CORNERS`]. At least one point; the walk never marks anything.
pub(super) fn trace(bitmap: &mut Bitmap, start: Start, points: &mut Vec<Point>) {
    points.clear();
    walk(
        bitmap,
        start,
        |_, _, _| {},
        |point| {
            if points.len() < MAX_CORNERS {
                points.push(point);
            }
        },
    );
}

/// The walk itself. `mark(cells, cell, at_right)` is called for every step, `corner` for every change of direction.
fn walk(
    bitmap: &mut Bitmap,
    start: Start,
    mut mark: impl FnMut(&mut [u8], usize, bool),
    mut corner: impl FnMut(Point),
) {
    let stride = bitmap.stride();
    let neighbour = |cell: usize, direction: usize| {
        let [dx, dy] = STEPS[direction];
        // The border of background keeps this inside the buffer: only text cells have their neighbours looked at.
        cell.wrapping_add_signed(dy as isize * stride as isize + dx as isize)
    };
    let cells = bitmap.cells.as_mut_slice();
    let first = start.cell;
    let mut point = [(first % stride) as i32 - 1, (first / stride) as i32 - 1];

    // Clockwise from the background that the border was found at, for the last cell of the walk.
    let from = if start.is_hole { 0 } else { 4 };
    let last = (1..8).map(|turn| (from + 8 - turn) & 7).find(|&d| cells[neighbour(first, d)] != BACKGROUND);
    let Some(mut direction) = last else {
        mark(cells, first, true);
        corner(point);
        return;
    };
    let last = neighbour(first, direction);

    let mut current = first;
    let mut previous_direction = direction ^ 4;
    loop {
        // Counter-clockwise from the cell the walk came from, for the next cell. It ends there at the latest.
        let came_from = direction;
        let mut next;
        loop {
            direction += 1;
            next = neighbour(current, direction & 7);
            if cells[next] != BACKGROUND {
                break;
            }
        }
        direction &= 7;
        // The search swept over direction 0, so the right neighbour is background.
        let at_right = direction != 0 && direction <= came_from;
        mark(cells, current, at_right);
        if direction != previous_direction {
            corner(point);
        }
        previous_direction = direction;
        point = [point[0] + STEPS[direction][0], point[1] + STEPS[direction][1]];
        if next == first && current == last {
            return;
        }
        current = next;
        direction = (direction + 4) & 7;
    }
}

#[cfg(test)]
mod tests {
    use super::super::map::MapView;
    use super::*;

    fn contours(rows: &[&str], capacity: usize) -> Vec<Vec<Point>> {
        let data: Vec<f32> = rows.iter().flat_map(|row| row.bytes().map(|b| f32::from(b == b'#'))).collect();
        let mut bitmap = Bitmap::default();
        bitmap.binarise(MapView::new(&data, rows[0].len(), rows.len()).unwrap(), 0.5, false);
        let mut starts = Starts::default();
        find_starts(&mut bitmap, capacity, 0.0, &mut starts);
        let mut points = Vec::new();
        (0..starts.len())
            .map(|i| {
                trace(&mut bitmap, starts.get(i), &mut points);
                points.clone()
            })
            .collect()
    }

    /// From `cv2.findContours` 5.0 on the same image.
    #[test]
    fn order_and_points_as_opencv() {
        let rows = ["......", ".####.", ".#..#.", ".####.", "......", "#...##"];
        let expected: [&[Point]; 4] = [
            &[[4, 5], [5, 5]],
            &[[0, 5]],
            &[[1, 2], [2, 1], [3, 1], [4, 2], [3, 3], [2, 3]],
            &[[1, 1], [1, 3], [4, 3], [4, 1]],
        ];
        assert_eq!(contours(&rows, 1000), expected);
        assert_eq!(contours(&rows, 2), expected[..2]);
        assert!(contours(&rows, 0).is_empty());
    }

    #[test]
    fn specks_do_not_take_the_room_of_text() {
        let rows = ["####.", "####.", "####.", "####.", ".....", "#.#.#"];
        let data: Vec<f32> = rows.iter().flat_map(|row| row.bytes().map(|b| f32::from(b == b'#'))).collect();
        let mut bitmap = Bitmap::default();
        bitmap.binarise(MapView::new(&data, 5, rows.len()).unwrap(), 0.5, false);
        let mut starts = Starts::default();
        find_starts(&mut bitmap, 1, 3.0, &mut starts);
        assert_eq!((starts.len(), starts.lost()), (1, 0));
        let mut points = Vec::new();
        trace(&mut bitmap, starts.get(0), &mut points);
        assert!(points.contains(&[3, 3]), "the square: {points:?}");
    }

    #[test]
    fn text_may_touch_every_edge() {
        assert_eq!(contours(&["##", "##"], 9), [[[0, 0], [0, 1], [1, 1], [1, 0]]]);
        assert_eq!(contours(&["#"], 9), [[[0, 0]]]);
    }
}
