//! acc[p][c] = sum over taps of a[p + tap][c] * w[tap][c].

use super::lanes::Scalar;
use crate::kernels::args::{DepthwiseArgs, EpilogueArgs};
use crate::kernels::generic::epilogue::epilogue;
use crate::kernels::lanes::LANES;

/// One output pixel and channel block at a time.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`DepthwiseArgs`].
pub unsafe fn depthwise(a: &DepthwiseArgs) {
    let w = a.window;
    for y in a.y0..a.y1 {
        for x in 0..a.ow {
            for c in (0..a.c).step_by(LANES) {
                let mut acc = [0i32; LANES];
                for ky in 0..w.kh {
                    for kx in 0..w.kw {
                        let iy = (y * w.sh + ky).wrapping_sub(w.pad_top);
                        let ix = (x * w.sw + kx).wrapping_sub(w.pad_left);
                        for (i, acc) in acc.iter_mut().enumerate() {
                            // SAFETY: the pixel is inside the input, which has slack for a full block; weights are
                            // padded to 16.
                            unsafe {
                                let q = if iy < a.h && ix < a.w {
                                    *a.src.add((iy * a.w + ix) * a.stride + c + i)
                                } else {
                                    a.zero
                                };
                                let tap = *a.weights.add((c * w.kh * w.kw) + (ky * w.kw + kx) * LANES + i);
                                *acc += i32::from(q) * i32::from(tap);
                            }
                        }
                    }
                }
                // SAFETY: acc holds one pixel; the epilogue's pointers are valid at pixel (y, x).
                unsafe { epilogue::<Scalar>(&epilogue_at(a, acc.as_ptr(), y * a.ow + x, c, 1)) };
            }
        }
    }
}

/// The epilogue of `pixels` pixels from `first` on, channels from `c` on, with accumulators `acc`.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`DepthwiseArgs`].
#[inline(always)]
pub unsafe fn epilogue_at(a: &DepthwiseArgs, acc: *const i32, first: usize, c: usize, pixels: usize) -> EpilogueArgs {
    let mut e = a.epilogue;
    e.acc = acc;
    e.pixels = pixels;
    e.cols = (a.c - c).min(LANES);
    // SAFETY: the template's pointers address channel 0 of pixel (0, 0) of tensors that hold this pixel and channel.
    unsafe { e.advance(first, c) };
    e
}
