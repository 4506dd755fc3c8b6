//! Decoding, resizing and cutting, as far as calibration needs them. The pipeline's own versions are bit-equal to
//! OpenCV; these follow the same geometry in plain floats and differ from them by a grey level here and there.

use crate::error::Error;
use std::path::Path;

/// An RGB8 image without gaps.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Image {
    pub w: usize,
    pub h: usize,
    pub rgb: Vec<u8>,
}

/// Larger images are not used.
const MAX_SIDE: u32 = 12_000;

impl Image {
    /// Decodes a file.
    ///
    /// # Errors
    /// It is no image, or larger than 12,000 pixels on a side.
    pub fn load(path: &Path) -> Result<Image, Error> {
        let mut reader =
            image::ImageReader::open(path).and_then(|r| r.with_guessed_format()).map_err(|e| Error::file(path, e))?;
        let mut limits = image::Limits::default();
        (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
        reader.limits(limits);
        let rgb = reader.decode().map_err(|e| Error::file(path, e))?.into_rgb8();
        Ok(Image { w: rgb.width() as usize, h: rgb.height() as usize, rgb: rgb.into_raw() })
    }

    fn at(&self, x: usize, y: usize, c: usize) -> f32 {
        f32::from(self.rgb[(y * self.w + x) * 3 + c])
    }

    /// Bilinear value at a point; outside, the edge repeats.
    fn sample(&self, x: f32, y: f32) -> [u8; 3] {
        let (x, y) = (x.clamp(0.0, (self.w - 1) as f32), y.clamp(0.0, (self.h - 1) as f32));
        let (x0, y0) = (x as usize, y as usize);
        let (x1, y1) = ((x0 + 1).min(self.w - 1), (y0 + 1).min(self.h - 1));
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        std::array::from_fn(|c| {
            let top = self.at(x0, y0, c) * (1.0 - fx) + self.at(x1, y0, c) * fx;
            let bottom = self.at(x0, y1, c) * (1.0 - fx) + self.at(x1, y1, c) * fx;
            (top * (1.0 - fy) + bottom * fy).round() as u8
        })
    }

    /// Bilinear resize, centres aligned (cv2.INTER_LINEAR).
    pub fn resize(&self, w: usize, h: usize) -> Image {
        let mut rgb = Vec::with_capacity(w * h * 3);
        for y in 0..h {
            let sy = (y as f32 + 0.5) * self.h as f32 / h as f32 - 0.5;
            for x in 0..w {
                let sx = (x as f32 + 0.5) * self.w as f32 / w as f32 - 0.5;
                rgb.extend(self.sample(sx, sy));
            }
        }
        Image { w, h, rgb }
    }

    /// Cuts a quad (upper left, upper right, lower right, lower left) out, upright; a tall one is laid down.
    pub fn prune(&self, quad: &[[f32; 2]; 4]) -> Option<Image> {
        let side = |a: usize, b: usize| (quad[a][0] - quad[b][0]).hypot(quad[a][1] - quad[b][1]);
        let w = side(0, 1).max(side(3, 2)) as usize;
        let h = side(0, 3).max(side(1, 2)) as usize;
        if w < 2 || h < 2 || w > MAX_SIDE as usize || h > MAX_SIDE as usize {
            return None;
        }
        let m = homography([[0.0, 0.0], [w as f64, 0.0], [w as f64, h as f64], [0.0, h as f64]], quad)?;
        let mut rgb = Vec::with_capacity(w * h * 3);
        for y in 0..h {
            for x in 0..w {
                let (x, y) = (x as f64, y as f64);
                let d = m[6] * x + m[7] * y + 1.0;
                rgb.extend(
                    self.sample(((m[0] * x + m[1] * y + m[2]) / d) as f32, ((m[3] * x + m[4] * y + m[5]) / d) as f32),
                );
            }
        }
        let cut = Image { w, h, rgb };
        Some(if h as f32 / w as f32 >= 1.5 { cut.turned_left() } else { cut })
    }

    fn turned_left(&self) -> Image {
        let mut rgb = Vec::with_capacity(self.rgb.len());
        for x in (0..self.w).rev() {
            for y in 0..self.h {
                rgb.extend_from_slice(&self.rgb[(y * self.w + x) * 3..][..3]);
            }
        }
        Image { w: self.h, h: self.w, rgb }
    }

    /// On its head.
    pub fn turned_over(&self) -> Image {
        Image { rgb: self.rgb.chunks_exact(3).rev().flatten().copied().collect(), ..*self }
    }

    /// On a canvas of `w` × `h` whose rest is `fill`, at its upper left.
    pub fn on_canvas(&self, w: usize, h: usize, fill: u8) -> Image {
        let mut rgb = vec![fill; w * h * 3];
        let row = self.w.min(w) * 3;
        for (target, source) in rgb.chunks_exact_mut(w * 3).zip(self.rgb.chunks_exact(self.w * 3)) {
            target[..row].copy_from_slice(&source[..row]);
        }
        Image { w, h, rgb }
    }

    /// The bytes in the order in which the network reads channels.
    pub fn bytes(&self, bgr: bool) -> Vec<u8> {
        let mut bytes = self.rgb.clone();
        if bgr {
            bytes.chunks_exact_mut(3).for_each(|p| p.swap(0, 2));
        }
        bytes
    }
}

/// The projective map that takes `from` to `to`, last element 1.
fn homography(from: [[f64; 2]; 4], to: &[[f32; 2]; 4]) -> Option<[f64; 8]> {
    let mut a = [[0.0f64; 9]; 8];
    for (i, ([x, y], target)) in from.into_iter().zip(to).enumerate() {
        let [u, v] = target.map(f64::from);
        a[i] = [x, y, 1.0, 0.0, 0.0, 0.0, -x * u, -y * u, u];
        a[i + 4] = [0.0, 0.0, 0.0, x, y, 1.0, -x * v, -y * v, v];
    }
    for i in 0..8 {
        let pivot = (i..8).max_by(|p, q| a[*p][i].abs().total_cmp(&a[*q][i].abs()))?;
        if a[pivot][i].is_nan() || a[pivot][i].abs() < 1e-9 {
            return None;
        }
        a.swap(i, pivot);
        let row = a[i].map(|v| v / a[i][i]);
        a[i] = row;
        for (j, other) in a.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            debug_assert!(j != i);
            let factor = other[i];
            other.iter_mut().zip(&row).for_each(|(o, r)| *o -= factor * r);
        }
    }
    Some(std::array::from_fn(|i| a[i][8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upright_quad_is_a_copy() {
        let image = Image { w: 6, h: 4, rgb: (0..72).collect() };
        let cut = image.prune(&[[1., 1.], [4., 1.], [4., 3.], [1., 3.]]).unwrap();
        assert_eq!((cut.w, cut.h), (3, 2));
        assert_eq!(cut.rgb[..3], image.rgb[7 * 3..8 * 3]);
        assert_eq!(image.prune(&[[1., 1.]; 4]), None);
        assert_eq!(image.resize(6, 4), image);
        assert_eq!(image.turned_over().rgb[..3], image.rgb[69..]);
        assert_eq!(image.turned_over().turned_over(), image);
    }
}
