//! One threshold for a whole image: what is ink, and what is ground.

use super::grey_plane;
use crate::image::{CHANNELS, Image, ImageError};
use ::image::GrayImage;
use imageproc::contrast::otsu_level;

/// Which brightness is ink: of the dark and the bright pixels the rarer ones.
pub(super) struct Ink {
    /// Up to this brightness a pixel is dark.
    level: u8,
    is_dark: bool,
}

impl Ink {
    /// By the level that separates the image's dark pixels from its bright ones best (Otsu's method).
    pub fn of(grey: &GrayImage) -> Ink {
        let level = otsu_level(grey);
        let dark = grey.as_raw().iter().filter(|&&value| value <= level).count();
        Ink { level, is_dark: dark * 2 <= grey.as_raw().len() }
    }

    /// Whether a brightness is ink.
    pub fn has(&self, value: u8) -> bool {
        (value <= self.level) == self.is_dark
    }
}

/// Ink becomes black and all else white, whichever of the two was darker.
pub(super) fn threshold(mut image: Image) -> Result<Image, ImageError> {
    let (Ok(width), Ok(height)) = (u32::try_from(image.width()), u32::try_from(image.height())) else {
        return Ok(image);
    };
    let Some(grey) = GrayImage::from_raw(width, height, grey_plane(image.view())?) else { return Ok(image) };
    let ink = Ink::of(&grey);
    for (pixel, &value) in image.as_raw_mut().as_chunks_mut().0.iter_mut().zip(grey.as_raw()) {
        *pixel = [if ink.has(value) { 0 } else { 255 }; CHANNELS];
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A display of one colour with strokes of another, and unlit segments between.
    fn display(ground: [u8; 3], lit: [u8; 3], unlit: [u8; 3]) -> Image {
        let mut image = Image::new(200, 60, ground).unwrap();
        for x in (10..190).step_by(20) {
            for y in 10..50 {
                for dx in 0..4 {
                    *image.pixel_mut(x + dx, y).unwrap() = lit;
                    *image.pixel_mut(x + dx + 8, y).unwrap() = unlit;
                }
            }
        }
        image
    }

    #[test]
    fn otsu_either_polarity_black_on_white() {
        for (ground, lit, unlit) in [
            ([190, 200, 180], [30, 35, 30], [165, 175, 155]),
            ([20, 25, 20], [230, 240, 120], [55, 60, 50]),
            ([10, 0, 0], [255, 40, 30], [60, 5, 5]),
        ] {
            let after = threshold(display(ground, lit, unlit)).unwrap();
            for (x, ink) in [(10, true), (13, true), (18, false), (21, false), (5, false), (30, true)] {
                assert_eq!(after.pixel(x, 30), Some([if ink { 0 } else { 255 }; 3]), "{ground:?} at {x}");
            }
            assert_eq!(after.pixel(10, 5), Some([255; 3]));
        }
    }

    #[test]
    fn otsu_one_colour_white() {
        for fill in [[0; 3], [255; 3], [7, 200, 9]] {
            assert_eq!(threshold(Image::new(9, 7, fill).unwrap()).unwrap(), Image::new(9, 7, [255; 3]).unwrap());
        }
    }
}
