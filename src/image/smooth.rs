//! A smaller, smoothed copy of an image: each pixel is the mean of a square around it. Dots that are printed near each
//! other become strokes.

use super::{CHANNELS, ImageError, PixelView};

/// Bytes of memory that [`smoothed`] needs for the sums of an image's columns.
pub fn sums_bytes(width: usize) -> usize {
    width * CHANNELS * size_of::<u32>()
}

/// Writes `view` as an image of `width` × `height`, not larger than it, into `out` (tight RGB8). Each pixel is the
/// mean of what lies up to `radius` pixels of the new image around it. `sums` is of [`sums_bytes`] of the view's
/// width.
///
/// # Errors
/// [`ImageError::Shape`] if `out` or `sums` has another length, or a side is 0.
pub fn smoothed(
    view: PixelView<'_>,
    [width, height]: [usize; 2],
    radius: usize,
    sums: &mut [u8],
    out: &mut [u8],
) -> Result<(), ImageError> {
    let stride = width * CHANNELS;
    let sums = bytemuck::try_cast_slice_mut::<u8, u32>(sums).ok().filter(|sums| sums.len() == view.width() * CHANNELS);
    let (Some(sums), true) = (sums, stride > 0 && height > 0 && out.len() == stride * height) else {
        return Err(ImageError::Shape { width, height, stride, bytes: out.len() });
    };
    sums.fill(0);
    let window = |at: usize, side: usize, of: usize| {
        let edge = |at: usize| at * of / side;
        edge(at.saturating_sub(radius))..edge((at + radius + 1).min(side)).max(1)
    };
    let mut rows = 0..0;
    for (y, out) in out.chunks_exact_mut(stride).enumerate() {
        let wanted = window(y, height, view.height());
        for row in rows.end..wanted.end {
            sums.iter_mut().zip(view.row(row)).for_each(|(sum, v)| *sum += u32::from(*v));
        }
        for row in rows.start..wanted.start {
            sums.iter_mut().zip(view.row(row)).for_each(|(sum, v)| *sum -= u32::from(*v));
        }
        rows = wanted;
        let (mut columns, mut sum) = (0..0, [0_u64; CHANNELS]);
        for (x, pixel) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
            let wanted = window(x, width, view.width());
            let at = |column: usize| sums.get(column * CHANNELS..).unwrap_or_default().iter();
            for column in columns.end..wanted.end {
                sum.iter_mut().zip(at(column)).for_each(|(sum, v)| *sum += u64::from(*v));
            }
            for column in columns.start..wanted.start {
                sum.iter_mut().zip(at(column)).for_each(|(sum, v)| *sum -= u64::from(*v));
            }
            let count = (wanted.len() * rows.len()).max(1) as u64;
            *pixel = sum.map(|sum| (sum / count) as u8);
            columns = wanted;
        }
    }
    Ok(())
}

/// The largest difference of brightness, 0 to 255, within a square of `side` pixels, of all such squares side by side.
pub fn local_contrast(view: PixelView<'_>, side: usize) -> u8 {
    let side = side.max(1);
    let mut max = 0_u16;
    for top in (0..view.height()).step_by(side) {
        for left in (0..view.width()).step_by(side) {
            let (mut low, mut high) = (u16::MAX, 0_u16);
            for y in top..(top + side).min(view.height()) {
                let row = view.row(y).get(left * CHANNELS..).unwrap_or_default();
                for pixel in row.as_chunks::<CHANNELS>().0.iter().take(side) {
                    let sum: u16 = pixel.iter().map(|v| u16::from(*v)).sum();
                    (low, high) = (low.min(sum), high.max(sum));
                }
            }
            max = max.max(high.saturating_sub(low));
        }
    }
    (max / CHANNELS as u16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    fn smooth(image: &Image, size: [usize; 2], radius: usize) -> Vec<u8> {
        let mut sums = vec![0_u32; image.width() * CHANNELS];
        let mut out = vec![0; size[0] * size[1] * CHANNELS];
        smoothed(image.view(), size, radius, bytemuck::cast_slice_mut(&mut sums), &mut out).unwrap();
        out
    }

    #[test]
    fn each_pixel_is_the_mean_around_it() {
        let (w, h) = (23, 17);
        let mut image = Image::new(w, h, [0; 3]).unwrap();
        for (i, v) in image.as_raw_mut().iter_mut().enumerate() {
            *v = (i * 37 % 251) as u8;
        }
        let raw = image.as_raw();
        let out = smooth(&image, [w, h], 2);
        for y in 0..h {
            for x in 0..w {
                let (rows, columns) = (y.saturating_sub(2)..(y + 3).min(h), x.saturating_sub(2)..(x + 3).min(w));
                let count = rows.len() * columns.len();
                for c in 0..3 {
                    let at = |r: usize, k: usize| usize::from(raw[(r * w + k) * 3 + c]);
                    let sum: usize = rows.clone().flat_map(|r| columns.clone().map(move |k| at(r, k))).sum();
                    assert_eq!(usize::from(out[(y * w + x) * 3 + c]), sum / count, "{x} {y}");
                }
            }
        }
    }

    #[test]
    fn uniform_image_stays_and_any_size_is_taken() {
        for (w, h) in [(1, 1), (1, 50), (50, 1), (33, 20)] {
            let image = Image::new(w, h, [7, 80, 255]).unwrap();
            for size in [[1, 1], [w, h], [w.div_ceil(3), h.div_ceil(2)]] {
                assert!(smooth(&image, size, 3).as_chunks().0.iter().all(|pixel| *pixel == [7, 80, 255]));
            }
        }
        let image = Image::new(4, 4, [0; 3]).unwrap();
        assert!(smoothed(image.view(), [4, 4], 1, &mut [], &mut [0; 48]).is_err());
    }

    #[test]
    fn shade_has_no_local_contrast_but_a_dot_has() {
        let mut image = Image::new(200, 64, [0; 3]).unwrap();
        for x in 0..200 {
            for y in 0..64 {
                *image.pixel_mut(x, y).unwrap() = [x as u8; 3];
            }
        }
        assert_eq!(local_contrast(image.view(), 32), 31);
        *image.pixel_mut(100, 50).unwrap() = [255; 3];
        assert_eq!(local_contrast(image.view(), 32), 255 - 96);
    }
}
