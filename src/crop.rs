//! Box to upright line image (PaddleOCR `get_rotate_crop_image`).

use crate::image::{ImageError, PixelView, turn, warp};

/// A crop at least this many times as high as wide holds vertical or turned text, and is turned to lie.
const TALL: f64 = 1.5;

/// Longest side of a crop; a box is never larger than the page, but a page may be large.
const MAX_SIDE_PX: f64 = 16_384.0;

/// A line image with its memory, to be used again for the next line.
#[derive(Default)]
pub struct Crop {
    pixels: Vec<u8>,
    turned: Vec<u8>,
    width: usize,
    height: usize,
    /// Quarter turns anticlockwise from the page to the line: 0, or 1 for a tall box; 2 more when it stood on its head.
    pub quarter_turns: u8,
}

impl Crop {
    /// Cuts the quad `[TL, TR, BR, BL]` (page pixels) out of the page: as wide as its longer horizontal edge, as high as
    /// its longer vertical one, rounded down. `false` when the quad holds no pixel.
    pub fn cut(&mut self, page: PixelView<'_>, quad: [[f32; 2]; 4]) -> Result<bool, ImageError> {
        let [w, h] = size(quad);
        if w == 0 || h == 0 {
            return Ok(false);
        }
        (self.width, self.height, self.quarter_turns) = (w, h, 0);
        let matrix = match warp::perspective_from_quad(quad, w, h) {
            Err(ImageError::FlatQuad { .. }) => return Ok(false),
            matrix => matrix?,
        };
        self.pixels.resize(w * h * 3, 0);
        warp::warp_cubic(page, &matrix, &mut self.pixels, w, h)?;
        if h as f64 / w as f64 >= TALL {
            self.turned.resize(w * h * 3, 0);
            turn::turn(&self.pixels, w, h, turn::Turn::Left, &mut self.turned)?;
            std::mem::swap(&mut self.pixels, &mut self.turned);
            (self.width, self.height, self.quarter_turns) = (h, w, 1);
        }
        Ok(true)
    }

    /// Takes a whole picture as the line, as it is.
    pub fn take_whole(&mut self, page: PixelView<'_>) {
        (self.width, self.height, self.quarter_turns) = (page.width(), page.height(), 0);
        self.pixels.clear();
        (0..page.height()).for_each(|y| self.pixels.extend_from_slice(page.row(y)));
    }

    /// The line image.
    pub fn view(&self) -> Result<PixelView<'_>, ImageError> {
        PixelView::new(&self.pixels, self.width, self.height, self.width * 3)
    }

    /// Turns the line by 180 degrees.
    pub fn turn_over(&mut self) {
        turn::half_in_place(&mut self.pixels);
        self.quarter_turns = (self.quarter_turns + 2) % 4;
    }
}

/// Width over height of the line image that a quad gives.
pub fn line_ratio(quad: [[f32; 2]; 4]) -> f64 {
    let [w, h] = size(quad);
    let (w, h) = (w.max(1) as f64, h.max(1) as f64);
    if h / w >= TALL { h / w } else { w / h }
}

/// Width and height of a quad's crop, in pixels.
fn size([tl, tr, br, bl]: [[f32; 2]; 4]) -> [usize; 2] {
    // As numpy: the norm in f32.
    let norm = |a: [f32; 2], b: [f32; 2]| {
        let (x, y) = (a[0] - b[0], a[1] - b[1]);
        f64::from((x * x + y * y).sqrt())
    };
    let side = |a: f64, b: f64| a.max(b).clamp(0.0, MAX_SIDE_PX) as usize;
    [side(norm(tl, tr), norm(br, bl)), side(norm(tl, bl), norm(tr, br))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Picture;

    fn page() -> Picture {
        let mut page = Picture::new(8, 8, [0, 0, 0]).unwrap();
        *page.pixel_mut(5, 1).unwrap() = [255, 0, 0];
        page
    }

    #[test]
    fn a_tall_box_is_turned_anticlockwise() {
        let page = page();
        let mut crop = Crop::default();
        // 2 wide, 6 high, the red pixel at its top right: it becomes the top left.
        assert!(crop.cut(page.view(), [[4., 1.], [6., 1.], [6., 7.], [4., 7.]]).unwrap());
        let line = crop.view().unwrap();
        assert_eq!((line.width(), line.height(), crop.quarter_turns), (6, 2, 1));
        assert_eq!(&line.row(0)[..3], [255, 0, 0]);
        crop.turn_over();
        assert_eq!(crop.quarter_turns, 3);
        assert_eq!(&crop.view().unwrap().row(1)[15..], [255, 0, 0]);
    }

    #[test]
    fn a_box_without_area_has_no_line() {
        let page = page();
        let mut crop = Crop::default();
        for quad in [[[3., 3.]; 4], [[0., 0.], [4., 0.], [4., 0.5], [0., 0.5]], [[f32::NAN; 2]; 4]] {
            assert!(!crop.cut(page.view(), quad).unwrap());
        }
        assert!(
            crop.cut(page.view(), [[-9., -9.], [99., -9.], [99., 99.], [-9., 99.]]).unwrap(),
            "beyond the page its edge repeats"
        );
    }
}
