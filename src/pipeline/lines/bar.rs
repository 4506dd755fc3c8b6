//! A bar to the left of a box, which may be a minus.
//!
//! All lengths are in cells of a grid of samples: the height of the box has [`ROWS`].

use crate::image::PixelView;
use crate::page::Quad;

/// Rows of the grid of samples, over the height of the box.
const ROWS: usize = 32;
/// Columns to the left of the box: 1.5 of its heights.
const OUTSIDE: usize = 48;
/// Columns in all; the others are within the box, because it may cut the bar.
const COLUMNS: usize = 64;

/// The share of samples in the box, at the dark and at the bright end, of which one is the brightness of its strokes.
const STROKES: usize = 33;
/// Levels of brightness between ground and strokes below which nothing can be told apart.
const MIN_CONTRAST: u8 = 24;

/// A bar has so many columns …
const WIDTH: std::ops::RangeInclusive<usize> = 4..=34;
/// … at most so many rows …
const MAX_HEIGHT: usize = 8;
/// … its middle at most so far, in half rows, from the middle of the box …
const MAX_OFFSET: usize = 12;
/// … and it ends at most so far from the box: a digit 1 of a display stands at the right of its place.
const MAX_GAP: usize = 19;
/// What remains between the edge of the wider box and the bar.
const MARGIN: usize = 5;

/// The box with the bar to its left, if there is one.
pub(super) fn with_bar(page: PixelView<'_>, quad: Quad) -> Option<Quad> {
    let [tl, tr, br, bl] = quad;
    let along = |from: [f32; 2], to: [f32; 2], share: f32| {
        [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share]
    };
    let height = (bl[0] - tl[0]).hypot(bl[1] - tl[1]);
    let cell = height / ROWS as f32;
    let [upper, lower] = [(tl, tr), (bl, br)].map(|(left, right)| {
        let length = (right[0] - left[0]).hypot(right[1] - left[1]);
        [(right[0] - left[0]) / length * cell, (right[1] - left[1]) / length * cell]
    });
    // Also false for edges without length, whose direction is not a number.
    let finite = [tl, bl, upper, lower].iter().flatten().all(|v| v.is_finite());
    if !finite || cell <= 0.0 {
        return None;
    }
    let inside = |x: f32, y: f32| brightness(page, along(along(tl, tr, x), along(bl, br, x), y));
    let beside = |column: usize, row: usize| {
        let y = (row as f32 + 0.5) / ROWS as f32;
        let (left, step) = (along(tl, bl, y), along(upper, lower, y));
        let x = column as f32 + 0.5 - OUTSIDE as f32;
        brightness(page, [left[0] + step[0] * x, left[1] + step[1] * x])
    };

    let mut outer = [0; 256];
    let mut inner = [0; 256];
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            inner[usize::from(inside((column as f32 + 0.5) / COLUMNS as f32, (row as f32 + 0.5) / ROWS as f32))] += 1;
            if column < OUTSIDE {
                outer[usize::from(beside(column, row))] += 1;
            }
        }
    }
    let ground = nth(&outer, OUTSIDE * ROWS / 2);
    let few = COLUMNS * ROWS / STROKES;
    let (dark, bright) = (nth(&inner, few), nth(&inner, COLUMNS * ROWS - 1 - few));
    let strokes = if ground.abs_diff(dark) > ground.abs_diff(bright) { dark } else { bright };
    if ground.abs_diff(strokes) < MIN_CONTRAST {
        return None;
    }
    let mut ink = [0u64; ROWS];
    for (row, bits) in ink.iter_mut().enumerate() {
        for column in 0..COLUMNS {
            let sample = beside(column, row);
            *bits |= u64::from(sample.abs_diff(strokes) < sample.abs_diff(ground)) << column;
        }
    }
    let bar = find_bar(ink)?;
    let wider = (OUTSIDE + MARGIN - bar) as f32;
    let shifted = |p: [f32; 2], step: [f32; 2]| [p[0] - step[0] * wider, p[1] - step[1] * wider];
    Some([shifted(tl, upper), tr, br, shifted(bl, lower)])
}

/// The first column of a bar among the marks of a grid, of which bit `c` of a row is column `c`.
fn find_bar(mut ink: [u64; ROWS]) -> Option<usize> {
    for row in (ROWS - MAX_OFFSET) / 2..(ROWS + MAX_OFFSET) / 2 {
        while ink[row] & ((1 << OUTSIDE) - 1) != 0 {
            let column = ink[row].trailing_zeros();
            let mark = take_mark(&mut ink, row, column);
            if let Some(left) = bar_column(&mark) {
                return Some(left);
            }
        }
    }
    None
}

/// Takes the mark to which a place belongs, all that is connected with it, out of the grid.
fn take_mark(ink: &mut [u64; ROWS], row: usize, column: u32) -> [u64; ROWS] {
    let mut mark = [0; ROWS];
    mark[row] = 1 << column;
    loop {
        let mut grown = mark;
        for (row, bits) in grown.iter_mut().enumerate() {
            let above = if row == 0 { 0 } else { mark[row - 1] };
            let below = mark.get(row + 1).unwrap_or(&0);
            let near = mark[row] | above | below;
            *bits = (near | near << 1 | near >> 1) & ink[row];
        }
        if grown == mark {
            break;
        }
        mark = grown;
    }
    for (bits, taken) in ink.iter_mut().zip(mark) {
        *bits &= !taken;
    }
    mark
}

/// The first column of a mark that looks like a minus.
fn bar_column(mark: &[u64; ROWS]) -> Option<usize> {
    let columns = mark.iter().fold(0, |all, bits| all | bits);
    let left = columns.trailing_zeros() as usize;
    let right = COLUMNS - columns.leading_zeros() as usize;
    let top = mark.iter().position(|bits| *bits != 0)?;
    let bottom = mark.iter().rposition(|bits| *bits != 0)? + 1;
    let (width, height) = (right - left, bottom - top);
    let area = mark.iter().map(|bits| bits.count_ones() as usize).sum::<usize>();
    // What begins beyond the grid is a rule or a frame; of what is within the box the recogniser has seen enough.
    let is_bar = left > 0
        && left + 2 < OUTSIDE
        && right + MAX_GAP >= OUTSIDE
        && WIDTH.contains(&width)
        && height <= MAX_HEIGHT
        && 2 * width >= 3 * height
        && (top + bottom).abs_diff(ROWS) <= MAX_OFFSET
        && 5 * area >= 3 * width * height;
    is_bar.then_some(left)
}

/// The value of the sample that has `n` others before it in order of brightness.
fn nth(histogram: &[usize; 256], n: usize) -> u8 {
    let mut before = 0;
    let at = histogram.iter().position(|count| {
        before += count;
        before > n
    });
    at.map_or(u8::MAX, |at| at as u8)
}

/// Mean of the three colours at a place; beyond the page its edge repeats.
fn brightness(page: PixelView<'_>, [x, y]: [f32; 2]) -> u8 {
    let (x, y) = ((x.max(0.0) as usize).min(page.width() - 1), (y.max(0.0) as usize).min(page.height() - 1));
    let pixel = &page.row(y)[x * 3..x * 3 + 3];
    (pixel.iter().map(|c| u16::from(*c)).sum::<u16>() / 3) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    const GROUND: [u8; 3] = [200, 205, 190];
    const INK: [u8; 3] = [30, 40, 35];
    const BOX: Quad = [[100., 20.], [180., 20.], [180., 60.], [100., 60.]];

    /// Draws rectangles, left, top, right, bottom.
    fn drawn([ground, ink]: [[u8; 3]; 2], rects: &[[usize; 4]]) -> Image {
        let mut image = Image::new(200, 80, ground).unwrap();
        for [left, top, right, bottom] in rects {
            for y in *top..*bottom {
                for x in *left..*right {
                    *image.pixel_mut(x, y).unwrap() = ink;
                }
            }
        }
        image
    }

    /// Two strokes of a digit within the box.
    const DIGIT: [[usize; 4]; 2] = [[110, 25, 116, 55], [140, 25, 146, 55]];

    fn widened_by(mark: [usize; 4]) -> Option<f32> {
        let image = drawn([GROUND, INK], &[DIGIT[0], DIGIT[1], mark]);
        with_bar(image.view(), BOX).map(|quad| {
            assert_eq!((quad[1], quad[2], quad[0][0]), (BOX[1], BOX[2], quad[3][0]));
            BOX[0][0] - quad[0][0]
        })
    }

    #[test]
    fn bar_beside_number_widens_box() {
        let by = widened_by([70, 38, 92, 42]).unwrap();
        assert!((30.0..45.0).contains(&by), "{by}");
        assert!(widened_by([85, 38, 104, 43]).is_some(), "cut by the box");
        assert!(widened_by([60, 37, 80, 41]).is_some(), "a wide gap");
    }

    #[test]
    fn other_marks_leave_box_as_it_is() {
        for (mark, what) in [
            ([0, 38, 92, 42], "a rule"),
            ([70, 20, 92, 24], "too high"),
            ([70, 55, 92, 59], "too low: an underscore"),
            ([86, 34, 94, 42], "a bullet"),
            ([88, 22, 93, 58], "a letter"),
            ([45, 38, 65, 42], "far away"),
            ([101, 38, 106, 42], "within the box"),
        ] {
            assert_eq!(widened_by(mark), None, "{what}");
        }
        let blank = drawn([GROUND, GROUND], &[]);
        assert_eq!(with_bar(blank.view(), BOX), None);
    }

    #[test]
    fn bright_bar_on_dark_ground_is_found() {
        let image = drawn([INK, GROUND], &[DIGIT[0], DIGIT[1], [70, 38, 92, 42]]);
        assert!(with_bar(image.view(), BOX).is_some());
        let other_way = drawn([[120; 3], INK], &[DIGIT[0], DIGIT[1]]);
        let mut bright = other_way;
        for y in 38..42 {
            for x in 70..92 {
                *bright.pixel_mut(x, y).unwrap() = [255; 3];
            }
        }
        assert_eq!(with_bar(bright.view(), BOX), None, "not of the strokes' brightness");
    }

    #[test]
    fn impossible_boxes_have_no_bar() {
        let image = drawn([GROUND, INK], &[DIGIT[0]]);
        for quad in [
            [[3., 3.]; 4],
            [[f32::NAN; 2]; 4],
            [[f32::INFINITY; 2]; 4],
            [[-9e9, 3.], [9e9, 3.], [9e9, 9e9], [-9e9, 9e9]],
        ] {
            assert_eq!(with_bar(image.view(), quad), None);
        }
    }
}
