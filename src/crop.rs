//! Box to upright line image (PaddleOCR `get_rotate_crop_image`).

use crate::image::{CHANNELS, ImageError, PixelView, turn, warp};
use crate::target;

/// A crop at least this many times as high as wide holds vertical or turned text, and is turned to lie.
const TALL: f64 = 1.5;

/// Longest side of a crop before it is reduced to [`MAX_CROP_PX`]. It is never reached on pages within the default
/// limits, and the product of two such sides fits into 32 bits.
const MAX_SIDE_PX: f64 = 65_535.0;

/// Pixels of the largest crop: of a longer or higher line a smaller image is cut, which is still far larger than what
/// the recogniser sees.
pub const MAX_CROP_PX: usize = target::MAX_CROP_PX;

/// A line image, in memory that the caller lends.
#[derive(Debug)]
pub struct Crop<'a> {
    pixels: &'a mut [u8],
    width: usize,
    height: usize,
    /// Quarter turns anticlockwise from the page to the line: 0, or 1 for a tall box; 2 more when it stood on its head.
    pub quarter_turns: u8,
}

impl<'a> Crop<'a> {
    /// Cuts the quad `[TL, TR, BR, BL]` (page pixels) out of the page: as wide as its longer horizontal edge, as high
    /// as its longer vertical one, rounded down, and reduced to [`MAX_CROP_PX`]. A tall one is turned to lie. `None`
    /// when the quad holds no pixel. Of `memory`, two parts of [`bytes`] each, one becomes the line image.
    ///
    /// # Errors
    /// [`ImageError::Shape`] if a part of the memory is too small.
    pub fn cut(
        page: PixelView<'_>,
        quad: [[f32; 2]; 4],
        memory: [&'a mut [u8]; 2],
    ) -> Result<Option<Crop<'a>>, ImageError> {
        let [w, h] = cut_size(quad);
        if w == 0 || h == 0 {
            return Ok(None);
        }
        let matrix = match warp::perspective_from_quad(quad, w, h) {
            Err(ImageError::FlatQuad { .. }) => return Ok(None),
            matrix => matrix?,
        };
        let short = |bytes| ImageError::Shape { width: w, height: h, stride: w * CHANNELS, bytes };
        let [upright, turned] = memory.map(|part| {
            let bytes = part.len();
            part.get_mut(..w * h * CHANNELS).ok_or(short(bytes))
        });
        let upright = upright?;
        warp::warp_cubic(page, &matrix, upright, w, h)?;
        if !is_tall(w, h) {
            return Ok(Some(Crop { pixels: upright, width: w, height: h, quarter_turns: 0 }));
        }
        let turned = turned?;
        turn::turn(upright, w, h, turn::Turn::Left, turned)?;
        Ok(Some(Crop { pixels: turned, width: h, height: w, quarter_turns: 1 }))
    }

    /// The line image.
    pub fn view(&self) -> Result<PixelView<'_>, ImageError> {
        PixelView::new(self.pixels, self.width, self.height, self.width * CHANNELS)
    }

    /// Turns the line by 180 degrees.
    pub fn turn_over(&mut self) {
        turn::half_in_place(self.pixels);
        self.quarter_turns = (self.quarter_turns + 2) % 4;
    }
}

/// Bytes of each of the two parts of memory that cutting a quad needs.
pub fn bytes(quad: [[f32; 2]; 4]) -> usize {
    let [w, h] = cut_size(quad);
    w * h * CHANNELS
}

/// Width and height of the line image that a quad gives: lying, both at least 1.
pub fn line_size(quad: [[f32; 2]; 4]) -> [usize; 2] {
    let [w, h] = cut_size(quad).map(|side| side.max(1));
    if is_tall(w, h) { [h, w] } else { [w, h] }
}

fn is_tall(width: usize, height: usize) -> bool {
    height as f64 / width as f64 >= TALL
}

/// Width and height of a quad's crop, in pixels.
fn cut_size([tl, tr, br, bl]: [[f32; 2]; 4]) -> [usize; 2] {
    // As numpy: the norm in f32.
    let norm = |a: [f32; 2], b: [f32; 2]| {
        let (x, y) = (a[0] - b[0], a[1] - b[1]);
        f64::from((x * x + y * y).sqrt())
    };
    let side = |a: f64, b: f64| a.max(b).clamp(0.0, MAX_SIDE_PX) as usize;
    let [w, h] = [side(norm(tl, tr), norm(br, bl)), side(norm(tl, bl), norm(tr, br))];
    if w * h <= MAX_CROP_PX {
        return [w, h];
    }
    let factor = (MAX_CROP_PX as f64 / (w * h) as f64).sqrt();
    let long = |side: usize| ((side as f64 * factor) as usize).max(1);
    // Rounding a side of less than a pixel up must not make the other too long.
    [long(w).min(MAX_CROP_PX / long(h)), long(h)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    fn page() -> Image {
        let mut page = Image::new(8, 8, [0, 0, 0]).unwrap();
        *page.pixel_mut(5, 1).unwrap() = [255, 0, 0];
        page
    }

    fn cut<'a>(page: &Image, quad: [[f32; 2]; 4], memory: &'a mut [Vec<u8>; 2]) -> Option<Crop<'a>> {
        *memory = [vec![0; bytes(quad)], vec![0; bytes(quad)]];
        let crop = Crop::cut(page.view(), quad, memory.each_mut().map(Vec::as_mut_slice)).unwrap();
        if let Some(crop) = &crop {
            assert_eq!([crop.width, crop.height], line_size(quad));
        }
        crop
    }

    #[test]
    fn a_tall_box_is_turned_anticlockwise() {
        let mut memory = Default::default();
        // 2 wide, 6 high, the red pixel at its top right: it becomes the top left.
        let mut crop = cut(&page(), [[4., 1.], [6., 1.], [6., 7.], [4., 7.]], &mut memory).unwrap();
        let line = crop.view().unwrap();
        assert_eq!((line.width(), line.height(), crop.quarter_turns), (6, 2, 1));
        assert_eq!(&line.row(0)[..3], [255, 0, 0]);
        crop.turn_over();
        assert_eq!(crop.quarter_turns, 3);
        assert_eq!(&crop.view().unwrap().row(1)[15..], [255, 0, 0]);
    }

    #[test]
    fn a_box_without_area_has_no_line() {
        let mut memory = Default::default();
        for quad in [[[3., 3.]; 4], [[0., 0.], [4., 0.], [4., 0.5], [0., 0.5]], [[f32::NAN; 2]; 4]] {
            assert!(cut(&page(), quad, &mut memory).is_none());
        }
        let beyond = cut(&page(), [[-9., -9.], [99., -9.], [99., 99.], [-9., 99.]], &mut memory);
        assert!(beyond.is_some(), "beyond the page its edge repeats");
    }

    /// Its width was cut to 16,384 pixels and its height was not, so letters of long lines became too narrow to be read.
    #[test]
    fn long_line_keeps_its_ratio() {
        for [w, h] in [[17_000f32, 60.], [32_000., 57.], [60., 40_000.]] {
            let [width, height] = line_size([[0., 0.], [w, 0.], [w, h], [0., h]]).map(|side| side as f32);
            assert!((width / height / w.max(h) * w.min(h) - 1.0).abs() < 0.05, "{w} x {h}: {width} x {height}");
        }
    }

    #[test]
    fn huge_box_cropped_smaller_or_memory_error() {
        let mut memory = Default::default();
        for [w, h] in [[9000., 400.], [16384., 65.], [16384., 16384.], [3e9, 3e9]] {
            let crop = cut(&page(), [[0., 0.], [w, 0.], [w, h], [0., h]], &mut memory).unwrap();
            assert!(crop.pixels.len() <= MAX_CROP_PX * CHANNELS && crop.pixels.len() > MAX_CROP_PX, "{w} x {h}");
        }
        let quad = [[0., 0.], [4., 0.], [4., 4.], [0., 4.]];
        assert!(Crop::cut(page().view(), quad, [&mut [0; 47], &mut [0; 48]]).is_err());
    }
}
