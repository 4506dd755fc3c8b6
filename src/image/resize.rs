//! Bilinear resizing, bit-equal to OpenCV's `cv2.resize(…, interpolation=INTER_LINEAR)` on RGB8.
//!
//! The rule is OpenCV's `resize.cpp` (4.x and 5.0): the centre of target pixel `d` lies at `(d + 0.5) * scale - 0.5` of
//! the source, computed in `f32`; the two weights of an axis are rounded (half to even) to 11 bits; a row is first
//! interpolated across, kept with 7 fractional bits, and two such rows are then blended as
//! `((b0*r0 >> 16) + (b1*r1 >> 16) + 2) >> 2`. Outside the image its edge repeats. A target of exactly half the width
//! and half the height is the mean of 2×2 pixels instead, `(a+b+c+d+2) >> 2`, because OpenCV passes that case to
//! `INTER_AREA`.

use super::{CHANNELS, ImageError, PixelView};
use crate::memory::{NoMemory, try_vec_with_capacity};

/// 1.0 as an 11-bit fixed-point weight.
const ONE: f32 = 2048.0;

/// Where one target column or row takes its two neighbouring source samples from, and how much of each.
#[derive(Clone, Copy, Debug, Default)]
struct Tap {
    /// First of the two samples: a byte offset for columns, a row number (−1 above the image) for rows.
    first: i64,
    /// Weights of the two in units of 1/2048.
    weights: [i16; 2],
}

/// Memory that [`linear`] keeps between calls; it grows to the largest target seen and is then allocated no more.
#[derive(Debug, Default)]
pub struct ResizeScratch {
    columns: Vec<Tap>,
    rows: [Vec<i16>; 2],
}

impl ResizeScratch {
    /// Scratch memory that need not grow for targets of up to `width` pixels.
    pub fn for_width(width: usize) -> Result<Self, NoMemory> {
        let row = || try_vec_with_capacity(width * CHANNELS, "scaling");
        Ok(ResizeScratch { columns: try_vec_with_capacity(width, "scaling")?, rows: [row()?, row()?] })
    }

    /// Empty scratch memory.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Resizes `src` to `dst_w`×`dst_h` pixels into `dst` (exactly `3 * dst_w * dst_h` bytes, tight RGB8).
///
/// # Errors
/// [`ImageError::Shape`] if a side of the target is 0 or `dst` has another length; [`ImageError::OutOfMemory`] if the
/// scratch cannot grow.
pub fn linear(
    src: PixelView<'_>,
    dst: &mut [u8],
    dst_w: usize,
    dst_h: usize,
    scratch: &mut ResizeScratch,
) -> Result<(), ImageError> {
    let stride = dst_w.saturating_mul(CHANNELS);
    if super::needed_bytes(dst_w, dst_h, stride) != Some(dst.len()) {
        return Err(ImageError::Shape { width: dst_w, height: dst_h, stride, bytes: dst.len() });
    }
    if (src.width(), src.height()) == (dst_w, dst_h) {
        for (y, out) in dst.chunks_exact_mut(stride).enumerate() {
            out.copy_from_slice(src.row(y));
        }
    } else if (src.width(), src.height()) == (dst_w.saturating_mul(2), dst_h.saturating_mul(2)) {
        for (y, out) in dst.chunks_exact_mut(stride).enumerate() {
            halve_rows(src.row(2 * y), src.row(2 * y + 1), out);
        }
    } else {
        interpolate(src, dst, dst_w, dst_h, scratch)?;
    }
    Ok(())
}

/// Mean of 2×2 pixels, rounded half up.
fn halve_rows(upper: &[u8], lower: &[u8], out: &mut [u8]) {
    let pairs = upper.as_chunks::<{ 2 * CHANNELS }>().0.iter().zip(lower.as_chunks::<{ 2 * CHANNELS }>().0);
    for (out, (a, b)) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(pairs) {
        for c in 0..CHANNELS {
            let sum = u16::from(a[c]) + u16::from(a[c + CHANNELS]) + u16::from(b[c]) + u16::from(b[c + CHANNELS]);
            out[c] = ((sum + 2) >> 2) as u8;
        }
    }
}

/// The general case: every target row blends two source rows, each interpolated across once and kept while needed.
fn interpolate(
    src: PixelView<'_>,
    dst: &mut [u8],
    dst_w: usize,
    dst_h: usize,
    scratch: &mut ResizeScratch,
) -> Result<(), ImageError> {
    let row = dst_w * CHANNELS;
    grow(&mut scratch.columns, dst_w, Tap::default())?;
    for (x, tap) in scratch.columns.iter_mut().enumerate() {
        *tap = column_tap(x, src.width(), dst_w);
    }
    for kept in &mut scratch.rows {
        grow(kept, row, 0)?;
    }
    let [upper, lower] = &mut scratch.rows;
    let (mut upper_y, mut lower_y) = (None, None);
    let last = src.height() as i64 - 1;
    for (y, out) in dst.chunks_exact_mut(row).enumerate() {
        let tap = row_tap(y, src.height(), dst_h);
        // Above and below the image its edge row is blended with itself.
        let [first, second] = [tap.first, tap.first + 1].map(|y| y.clamp(0, last) as usize);
        // Going down, the lower row of before is often the upper row of now.
        if upper_y != Some(first) && lower_y == Some(first) {
            std::mem::swap(upper, lower);
            std::mem::swap(&mut upper_y, &mut lower_y);
        }
        if upper_y != Some(first) {
            across(src.row(first), &scratch.columns, upper);
            upper_y = Some(first);
        }
        if second == first {
            down(upper, upper, tap.weights, out);
            continue;
        }
        if lower_y != Some(second) {
            across(src.row(second), &scratch.columns, lower);
            lower_y = Some(second);
        }
        down(upper, lower, tap.weights, out);
    }
    Ok(())
}

/// Makes `buffer` exactly `len` long, allocating only beyond its capacity.
fn grow<T: Clone>(buffer: &mut Vec<T>, len: usize, value: T) -> Result<(), ImageError> {
    buffer
        .try_reserve_exact(len.saturating_sub(buffer.len()))
        .map_err(|_| ImageError::OutOfMemory { bytes: len.saturating_mul(size_of::<T>()) })?;
    buffer.resize(len, value);
    Ok(())
}

/// Source position of target sample `d` as its whole part and its fraction in 0..1, in the arithmetic of OpenCV.
fn position(d: usize, src_len: usize, dst_len: usize) -> (i64, f32) {
    // OpenCV inverts the ratio target/source; dividing source by target directly can differ in the last bit.
    let scale = 1.0 / (dst_len as f64 / src_len as f64);
    let centre = ((d as f64 + 0.5) * scale - 0.5) as f32;
    (centre.floor() as i64, centre - centre.floor())
}

/// The two weights for a fraction in 0..1.
fn weights(fraction: f32) -> [i16; 2] {
    [((1.0 - fraction) * ONE).round_ties_even() as i16, (fraction * ONE).round_ties_even() as i16]
}

/// Samples of target column `x`. Left and right of the image its edge pixel counts in full; at the right edge that is
/// the second one of the last two.
fn column_tap(x: usize, src_w: usize, dst_w: usize) -> Tap {
    let last = src_w as i64 - 1;
    let (left, fraction) = position(x, src_w, dst_w);
    let (left, fraction) = if left < 0 {
        (0, 0.0)
    } else if left >= last {
        (last - 1, 1.0)
    } else {
        (left, fraction)
    };
    Tap { first: left.max(0) * CHANNELS as i64, weights: weights(fraction) }
}

/// Samples of target row `y`. Unlike a column, a row outside the image keeps both its weights: with truncation that
/// is not quite the same as counting the edge row in full.
fn row_tap(y: usize, src_h: usize, dst_h: usize) -> Tap {
    let (first, fraction) = position(y, src_h, dst_h);
    Tap { first, weights: weights(fraction) }
}

/// One source row interpolated across. Values are pixel × 128: OpenCV's 11 fractional bits less the 4 that its vertical
/// step drops first, so that they fit `i16`.
fn across(src: &[u8], columns: &[Tap], out: &mut [i16]) {
    let out = out.as_chunks_mut::<CHANNELS>().0;
    if let ([only], _) = src.as_chunks::<CHANNELS>() {
        out.fill(only.map(|value| i16::from(value) << 7));
        return;
    }
    for (out, tap) in out.iter_mut().zip(columns) {
        // The taps are made from the width of `src`, so the two pixels are there; the pattern spares a panic path.
        if let Some(pair) = src.get(tap.first as usize..).and_then(|s| s.first_chunk::<{ 2 * CHANNELS }>()) {
            let [w0, w1] = tap.weights.map(i32::from);
            for c in 0..CHANNELS {
                out[c] = ((i32::from(pair[c]) * w0 + i32::from(pair[c + CHANNELS]) * w1) >> 4) as i16;
            }
        }
    }
}

/// Two rows blended down to bytes.
fn down(upper: &[i16], lower: &[i16], [b0, b1]: [i16; 2], out: &mut [u8]) {
    let (b0, b1) = (i32::from(b0), i32::from(b1));
    for ((out, &s0), &s1) in out.iter_mut().zip(upper).zip(lower) {
        // Both products have 18 fractional bits. The sum cannot exceed (2 * 510 + 2) >> 2 = 255.
        let high = ((b0 * i32::from(s0)) >> 16) as i16 + ((b1 * i32::from(s1)) >> 16) as i16;
        *out = ((high + 2) >> 2) as u8;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resize(src: &[u8], w: usize, h: usize, dst_w: usize, dst_h: usize) -> Vec<u8> {
        let mut dst = vec![0xAA; dst_w * dst_h * CHANNELS];
        let view = PixelView::new(src, w, h, w * CHANNELS).unwrap();
        linear(view, &mut dst, dst_w, dst_h, &mut ResizeScratch::new()).unwrap();
        dst
    }

    fn grey(values: &[u8]) -> Vec<u8> {
        values.iter().flat_map(|&v| [v; CHANNELS]).collect()
    }

    /// Values by cv2 5.0: `cv2.resize(np.uint8([[10, 200, 30], [40, 50, 255]]), (5, 3),
    /// interpolation=cv2.INTER_LINEAR)`.
    #[test]
    fn agrees_with_opencv() {
        let out = resize(&grey(&[10, 200, 30, 40, 50, 255]), 3, 2, 5, 3);
        assert_eq!(out, grey(&[10, 86, 200, 98, 30, 25, 65, 125, 135, 143, 40, 44, 50, 173, 255]));
    }

    #[test]
    fn half_size_is_the_mean_of_four() {
        assert_eq!(resize(&grey(&[1, 2, 3, 4]), 2, 2, 1, 1), grey(&[3]));
    }

    #[test]
    fn a_target_of_another_length_is_refused() {
        let view = PixelView::new(&[0; 3], 1, 1, 3).unwrap();
        let error = linear(view, &mut [0; 5], 2, 1, &mut ResizeScratch::new()).unwrap_err();
        assert!(matches!(error, ImageError::Shape { width: 2, height: 1, .. }), "{error}");
        assert!(linear(view, &mut [], 0, usize::MAX, &mut ResizeScratch::new()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_ratio_keeps_one_colour(w in 1usize..300, h in 1usize..40, to_w in 1usize..40, to_h in 1usize..300, v: u8) {
            let out = resize(&vec![v; w * h * CHANNELS], w, h, to_w, to_h);
            // The truncation of OpenCV's rule costs nothing on an even area.
            prop_assert!(out.iter().all(|&o| o == v), "{v} became {out:?}");
        }
    }
}
