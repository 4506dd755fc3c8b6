//! Perspective cut-outs, as OpenCV's `getPerspectiveTransform` and
//! `warpPerspective(flags=INTER_CUBIC, borderMode=BORDER_REPLICATE)` on RGB8.
//!
//! The rule is that of OpenCV 5.0: what is constant along a target row is computed in `f64`, the rest of the
//! coordinates and the cubic weights (a = −0.75) in `f32`, without the tables for 1/32 pixel that OpenCV 4 used.
//! Which of several equal sums OpenCV takes depends on the processor; cuts of text lines differ from it by 1 in less
//! than one byte in a thousand, whole-pixel cuts not at all.

use super::{CHANNELS, ImageError, PixelView};

/// A projective map of the plane, by rows: `(x, y)` goes to `(m0·p / m2·p, m1·p / m2·p)` with `p = (x, y, 1)`.
pub type Matrix3 = [[f64; 3]; 3];

/// Taps along one axis.
const TAPS: usize = 4;

/// The map that takes the corners `quad` (upper left, upper right, lower right, lower left; pixels of the source) to
/// (0, 0), (w, 0), (w, h), (0, h), like `cv2.getPerspectiveTransform` with corners in `f32`.
///
/// # Errors
/// [`ImageError::FlatQuad`] if no such map exists: three corners on a line, a corner not finite, or `w` or `h` 0.
pub fn perspective_from_quad(quad: [[f32; 2]; 4], w: usize, h: usize) -> Result<Matrix3, ImageError> {
    let (w, h) = (w as f32, h as f32);
    let target = [[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]];
    // Unknowns: the first eight elements, the ninth being 1. Last column: right-hand side.
    let mut system = [[0.0f64; 9]; 8];
    for (i, ([x, y], [u, v])) in quad.into_iter().zip(target).enumerate() {
        // OpenCV multiplies source and target as `f32`.
        system[i] = [x, y, 1.0, 0.0, 0.0, 0.0, -x * u, -y * u, u].map(f64::from);
        system[i + 4] = [0.0, 0.0, 0.0, x, y, 1.0, -x * v, -y * v, v].map(f64::from);
    }
    let flat = ImageError::FlatQuad { quad };
    let m = solve(system).ok_or(flat.clone())?;
    let matrix = [[m[0], m[1], m[2]], [m[3], m[4], m[5]], [m[6], m[7], 1.0]];
    // A map that cannot be inverted is of no use to a warp.
    if invert(&matrix).is_some_and(|m| m.iter().flatten().all(|v| v.is_finite())) { Ok(matrix) } else { Err(flat) }
}

/// Solves eight linear equations by elimination with row pivoting, in OpenCV's order of operations (`hal::LU64f`).
/// `None` if they have no single finite solution.
fn solve(mut a: [[f64; 9]; 8]) -> Option<[f64; 8]> {
    for i in 0..8 {
        let mut pivot = i;
        for j in i + 1..8 {
            if a[j][i].abs() > a[pivot][i].abs() {
                pivot = j;
            }
        }
        if a[pivot][i].is_nan() || a[pivot][i].abs() < f64::EPSILON * 100.0 {
            return None;
        }
        a.swap(i, pivot);
        let reciprocal = -1.0 / a[i][i];
        let upper = a[i];
        for row in &mut a[i + 1..] {
            let alpha = row[i] * reciprocal;
            for k in i + 1..9 {
                row[k] += alpha * upper[k];
            }
        }
    }
    let mut x = [0.0; 8];
    for i in (0..8).rev() {
        let mut sum = a[i][8];
        for k in i + 1..8 {
            sum -= a[i][k] * x[k];
        }
        x[i] = sum / a[i][i];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}

/// The inverse by cofactors, in OpenCV's order of operations; `None` for a singular matrix.
fn invert(m: &Matrix3) -> Option<Matrix3> {
    let minor = |r0: usize, c0: usize, r1: usize, c1: usize| m[r0][c0] * m[r1][c1] - m[r0][c1] * m[r1][c0];
    let det = m[0][0] * minor(1, 1, 2, 2) - m[0][1] * minor(1, 0, 2, 2) + m[0][2] * minor(1, 0, 2, 1);
    if det == 0.0 || !det.is_finite() {
        return None;
    }
    let d = 1.0 / det;
    Some([
        [minor(1, 1, 2, 2) * d, (m[0][2] * m[2][1] - m[0][1] * m[2][2]) * d, minor(0, 1, 1, 2) * d],
        [
            (m[1][2] * m[2][0] - m[1][0] * m[2][2]) * d,
            minor(0, 0, 2, 2) * d,
            (m[0][2] * m[1][0] - m[0][0] * m[1][2]) * d,
        ],
        [minor(1, 0, 2, 1) * d, (m[0][1] * m[2][0] - m[0][0] * m[2][1]) * d, minor(0, 0, 1, 1) * d],
    ])
}

/// Cuts `dst_w`×`dst_h` pixels out of `src` into `dst` (exactly `3 * dst_w * dst_h` bytes, tight RGB8).
///
/// `src_to_dst` maps source to target, as `cv2.warpPerspective` takes it and [`perspective_from_quad`] makes it.
/// Outside the source its edge repeats. Nothing is allocated after the first call in the process (the table of
/// weights, 32 KiB).
///
/// # Errors
/// [`ImageError::Shape`] if a side of the target is 0 or `dst` has another length. A singular matrix is no error:
/// the target then is all of one colour, that of the upper left corner.
pub fn warp_cubic(
    src: PixelView<'_>,
    src_to_dst: &Matrix3,
    dst: &mut [u8],
    dst_w: usize,
    dst_h: usize,
) -> Result<(), ImageError> {
    let stride = dst_w.saturating_mul(CHANNELS);
    if super::needed_bytes(dst_w, dst_h, stride) != Some(dst.len()) {
        return Err(ImageError::Shape { width: dst_w, height: dst_h, stride, bytes: dst.len() });
    }
    let back = invert(src_to_dst).unwrap_or_default();
    if let Some((x, y)) = whole_pixel_shift(&back, dst_w, dst_h)
        && let Ok(part) = src.crop(x, y, dst_w, dst_h)
    {
        for (y, out) in dst.chunks_exact_mut(stride).enumerate() {
            out.copy_from_slice(part.row(y));
        }
        return Ok(());
    }
    for (y, row) in dst.chunks_exact_mut(stride).enumerate() {
        // What is the same along a row is summed in `f64`, then all goes on in `f32`.
        let [start_x, start_y, start_w] = back.map(|m| (y as f64 * m[1] + m[2]) as f32);
        let [step_x, step_y, step_w] = back.map(|m| m[0] as f32);
        for (x, pixel) in row.as_chunks_mut().0.iter_mut().enumerate() {
            let x = x as f32;
            let w = multiply_add(step_w, x, start_w);
            *pixel = sample(src, multiply_add(step_x, x, start_x) / w, multiply_add(step_y, x, start_y) / w);
        }
    }
    Ok(())
}

/// `a * b + c` rounded once, as OpenCV's vector code does it (the product of two `f32` is exact in `f64`).
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    (f64::from(a) * f64::from(b) + f64::from(c)) as f32
}

/// The offset of a map back to the source that moves every target pixel by the same whole pixels; the cubic kernel then
/// has a single weight, and copying gives the same bytes.
fn whole_pixel_shift(back: &Matrix3, w: usize, h: usize) -> Option<(usize, usize)> {
    /// So near to a whole pixel that the neighbours cannot change a byte: the kernel's slope there is 0.75, so they
    /// weigh less than 255 * 4 * 0.75 * NEAR < 0.5 grey levels together.
    const NEAR: f64 = 1e-4;
    let corner = |x: f64, y: f64| {
        let [u, v, w] = back.map(|m| m[0] * x + m[1] * y + m[2]);
        [u / w - x, v / w - y]
    };
    let (right, bottom) = (w as f64 - 1.0, h as f64 - 1.0);
    let [dx, dy] = corner(0.0, 0.0).map(f64::round);
    let same = [(0.0, 0.0), (right, 0.0), (0.0, bottom), (right, bottom)].into_iter().all(|(x, y)| {
        let [u, v] = corner(x, y);
        (u - dx).abs() < NEAR && (v - dy).abs() < NEAR
    });
    // With next to no perspective the deviation is greatest at a corner.
    let affine = back[2][0].abs() * right + back[2][1].abs() * bottom < 1e-6 * back[2][2].abs();
    (same && affine && dx >= 0.0 && dy >= 0.0).then_some((dx as usize, dy as usize))
}

/// The source at (`x`, `y`).
fn sample(src: PixelView<'_>, x: f32, y: f32) -> [u8; CHANNELS] {
    let (x, y) = (near(x, src.width()), near(y, src.height()));
    let (left, top) = (floor(x), floor(y));
    let (across, down) = (cubic(x - left as f32), cubic(y - top as f32));
    // Down first: twelve sums side by side suit vector units.
    let mut sums = [0.0f32; TAPS * CHANNELS];
    for (pixels, weight) in around(src, i64::from(left) - 1, i64::from(top) - 1).iter().zip(down) {
        for (sum, &pixel) in sums.iter_mut().zip(pixels) {
            *sum += f32::from(pixel) * weight;
        }
    }
    let [a, b, c, d] = [0, 1, 2, 3].map(|tap| [0, 1, 2].map(|channel| sums[tap * CHANNELS + channel] * across[tap]));
    std::array::from_fn(|channel| to_byte((a[channel] + b[channel]) + (c[channel] + d[channel])))
}

/// A coordinate moved to within a few pixels of the image, beyond which only the repeated edge lies; NaN (a point at
/// infinity) goes there too, which `clamp` would let through.
#[allow(clippy::manual_clamp)]
fn near(value: f32, side: usize) -> f32 {
    value.max(-8.0).min(side as f32 + 8.0)
}

/// The whole number at or below `value`, which is far from the bounds of `i32`. `f32::floor` is a call into the
/// mathematics library where the processor's base instruction set has no such instruction.
fn floor(value: f32) -> i32 {
    let towards_zero = value as i32;
    towards_zero - i32::from(towards_zero as f32 > value)
}

/// To the nearest byte, half to even: after this sum the last bits of the `f32` count in ones.
fn to_byte(value: f32) -> u8 {
    const ONES: f32 = 12_582_912.0; // 1.5 * 2^23
    (value.clamp(0.0, 255.0) + ONES).to_bits() as u8
}

/// The 4×4 pixels whose upper left one is (`left`, `top`), by rows; the edge of the source repeats.
fn around(src: PixelView<'_>, left: i64, top: i64) -> [[u8; TAPS * CHANNELS]; TAPS] {
    if let (Ok(x), Ok(y)) = (usize::try_from(left), usize::try_from(top))
        && x + TAPS <= src.width()
        && y + TAPS <= src.height()
        && let Some(start) = src.data.get(y * src.stride + x * CHANNELS..)
    {
        let row = |k: usize| start.get(k * src.stride..).and_then(|row| row.first_chunk()).copied();
        if let (Some(a), Some(b), Some(c), Some(d)) = (row(0), row(1), row(2), row(3)) {
            return [a, b, c, d];
        }
    }
    let last = src.height() as i64 - 1;
    std::array::from_fn(|k| edge_pixels(src.row((top + k as i64).clamp(0, last) as usize), left))
}

/// Four pixels of a row from column `left` on, the edge repeating to both sides.
fn edge_pixels(row: &[u8], left: i64) -> [u8; TAPS * CHANNELS] {
    let (row, _) = row.as_chunks::<CHANNELS>();
    let last = row.len().saturating_sub(1) as i64;
    let mut pixels = [0; TAPS * CHANNELS];
    for (i, pixel) in pixels.as_chunks_mut().0.iter_mut().enumerate() {
        *pixel = row.get((left + i as i64).clamp(0, last) as usize).copied().unwrap_or_default();
    }
    pixels
}

/// Cubic weights of the four pixels around a place `x` (0..1) right of the second one, as OpenCV's `interpolateCubic`.
fn cubic(x: f32) -> [f32; TAPS] {
    const A: f32 = -0.75;
    let w0 = ((A * (x + 1.0) - 5.0 * A) * (x + 1.0) + 8.0 * A) * (x + 1.0) - 4.0 * A;
    let w1 = ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let w2 = ((A + 2.0) * (1.0 - x) - (A + 3.0)) * (1.0 - x) * (1.0 - x) + 1.0;
    [w0, w1, w2, 1.0 - w0 - w1 - w2]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbered(w: usize, h: usize) -> Vec<u8> {
        (0..w * h * CHANNELS).map(|i| (i * 37 + i / 11) as u8).collect()
    }

    fn warp(src: &[u8], w: usize, h: usize, quad: [[f32; 2]; 4], dst_w: usize, dst_h: usize) -> Vec<u8> {
        let matrix = perspective_from_quad(quad, dst_w, dst_h).unwrap();
        let mut dst = vec![0; dst_w * dst_h * CHANNELS];
        warp_cubic(PixelView::new(src, w, h, w * CHANNELS).unwrap(), &matrix, &mut dst, dst_w, dst_h).unwrap();
        dst
    }

    /// Values by cv2 5.0 (`getPerspectiveTransform`, bit for bit).
    #[test]
    fn matrix_agrees_with_opencv() {
        let quad = [[10.5, 20.25], [110.0, 24.5], [108.0, 61.0], [9.0, 55.5]];
        assert_eq!(
            perspective_from_quad(quad, 100, 36).unwrap(),
            [
                [1.0412468613789438, 0.044308377079955115, -11.830336680348003],
                [-0.04342847801282785, 1.0167373087709102, -20.132931483476238],
                [0.000368651466071176, -0.00010726237428090066, 1.0]
            ]
        );
    }

    /// Values by cv2 5.0: the red channel of a 6×3 cut out of an 8×8 image.
    #[test]
    fn pixels_agree_with_opencv() {
        let src: Vec<u8> = (0..64u32).flat_map(|i| [(i * i % 251) as u8; CHANNELS]).collect();
        let out = warp(&src, 8, 8, [[1.3, 1.1], [7.2, 1.9], [6.9, 5.2], [0.8, 4.6]], 6, 3);
        let red: Vec<u8> = out.iter().step_by(CHANNELS).copied().collect();
        assert_eq!(red, [89, 110, 138, 185, 226, 198, 60, 119, 156, 70, 124, 165, 107, 189, 234, 15, 127, 185]);
    }

    #[test]
    fn whole_pixel_cut_is_a_copy() {
        let src = numbered(20, 12);
        let out = warp(&src, 20, 12, [[3.0, 2.0], [13.0, 2.0], [13.0, 9.0], [3.0, 9.0]], 10, 7);
        let part = PixelView::new(&src, 20, 12, 60).unwrap().crop(3, 2, 10, 7).unwrap();
        assert_eq!(out, part.to_image().unwrap().into_raw());
    }

    #[test]
    fn flat_corners_are_refused() {
        for quad in [[[0.0; 2]; 4], [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], [[f32::NAN; 2]; 4]] {
            assert!(matches!(perspective_from_quad(quad, 10, 10), Err(ImageError::FlatQuad { .. })), "{quad:?}");
        }
        assert!(perspective_from_quad([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], 0, 1).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_corners_are_refused_or_warped(
            quad: [[f32; 2]; 4], w in 1usize..9, h in 1usize..9, to_w in 1usize..40, to_h in 1usize..40,
        ) {
            if let Ok(matrix) = perspective_from_quad(quad, to_w, to_h) {
                let (src, mut dst) = (numbered(w, h), vec![0; to_w * to_h * CHANNELS]);
                warp_cubic(PixelView::new(&src, w, h, w * CHANNELS).unwrap(), &matrix, &mut dst, to_w, to_h).unwrap();
            }
        }

        #[test]
        fn any_matrix_keeps_one_colour(m: [[f64; 3]; 3], w in 1usize..9, h in 1usize..9, v: u8) {
            let (src, mut dst) = (vec![v; w * h * CHANNELS], vec![0; 5 * 4 * CHANNELS]);
            warp_cubic(PixelView::new(&src, w, h, w * CHANNELS).unwrap(), &m, &mut dst, 5, 4).unwrap();
            prop_assert!(dst.iter().all(|&d| d == v), "{v} became {dst:?}");
        }
    }
}
