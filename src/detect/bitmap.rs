//! The thresholded map, with a border of one background pixel so that border following needs no bounds.

use super::FOR;
use super::map::MapView;
use crate::memory::{NoMemory, try_vec_with_capacity};

/// Cell values. Border following marks the cells it passes (see `contour`); all non-zero values are text.
pub(super) const BACKGROUND: u8 = 0;
pub(super) const TEXT: u8 = 1;

/// Binary image of `width × height` cells inside a one-cell border of background. Reusable: grows, never shrinks.
#[derive(Debug, Default)]
pub(super) struct Bitmap {
    pub(super) cells: Vec<u8>,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Bitmap {
    /// Room for a map of `width × height`.
    pub(super) fn with_capacity(width: usize, height: usize) -> Result<Bitmap, NoMemory> {
        Ok(Bitmap { cells: try_vec_with_capacity((width + 2) * (height + 2), FOR)?, width: 0, height: 0 })
    }

    /// Cells from one row to the next, border included.
    pub(super) fn stride(&self) -> usize {
        self.width + 2
    }

    /// Fills the bitmap: text where the probability is greater than `thresh` (NaN is not).
    ///
    /// With `dilate`, a cell is also text if its left, upper or upper-left neighbour is: `cv2.dilate` with a 2×2 kernel of
    /// ones has its anchor at the kernel's lower right cell, so that text grows to the right and downwards only.
    pub(super) fn binarise(&mut self, map: MapView<'_>, thresh: f32, dilate: bool) {
        (self.width, self.height) = (map.width(), map.height());
        let stride = self.stride();
        self.cells.clear();
        self.cells.resize(stride * (self.height + 2), BACKGROUND);
        if self.width == 0 {
            return;
        }
        let rows = self.cells[stride..].chunks_exact_mut(stride).take(self.height);
        for (y, cells) in rows.enumerate() {
            let row = map.row(y);
            let cells = &mut cells[1..=self.width];
            for (cell, &p) in cells.iter_mut().zip(row) {
                *cell = u8::from(p > thresh);
            }
            if dilate {
                // From the probabilities, not from the cells just written: no dependency, so this is vectorised.
                for (cell, &left) in cells[1..].iter_mut().zip(row) {
                    *cell |= u8::from(left > thresh);
                }
            }
        }
        if dilate {
            // From the bottom up, so that every row still sees its undilated upper neighbour.
            for y in (2..=self.height).rev() {
                let (above, row) = self.cells[(y - 1) * stride..(y + 1) * stride].split_at_mut(stride);
                for (cell, &up) in row.iter_mut().zip(above.iter()) {
                    *cell |= up;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(data: &[f32], width: usize, dilate: bool) -> Vec<String> {
        let mut bitmap = Bitmap::default();
        bitmap.binarise(MapView::new(data, width, data.len() / width).unwrap(), 0.5, dilate);
        let text = |row: &[u8]| row.iter().map(|&c| if c == TEXT { '#' } else { '.' }).collect();
        bitmap.cells.chunks(width + 2).map(text).collect()
    }

    #[test]
    fn threshold_is_strict_and_nan_is_background() {
        assert_eq!(rows(&[0.5, 0.51, f32::NAN, f32::INFINITY], 2, false), ["....", "..#.", "..#.", "...."]);
    }

    #[test]
    fn dilation_grows_right_and_down() {
        let mut data = [0.0; 16];
        data[5] = 1.0;
        data[15] = 1.0;
        assert_eq!(rows(&data, 4, true), ["......", "......", "..##..", "..##..", "....#.", "......"]);
    }
}
