//! Depthwise convolution with NEON: i16 products of widened bytes, added into i32 at once (`smlal`).

use super::lanes::epilogue;
use crate::kernels::args::{DepthwiseArgs, Window};
use crate::kernels::lanes::LANES;
use crate::kernels::scalar::epilogue_at;
use core::arch::aarch64::*;

/// Output pixels for which accumulators are kept.
const TILE_COLUMNS: usize = 64;

/// Bytes of scratch: accumulators.
pub fn scratch(_: &Window) -> usize {
    TILE_COLUMNS * LANES * 4
}

/// See [`DepthwiseArgs`].
#[target_feature(enable = "neon")]
pub unsafe fn depthwise(a: &DepthwiseArgs) {
    let acc = a.scratch.cast::<i32>();
    for y in a.y0..a.y1 {
        for x0 in (0..a.ow).step_by(TILE_COLUMNS) {
            let n = (a.ow - x0).min(TILE_COLUMNS);
            for c in (0..a.c).step_by(LANES) {
                // SAFETY: the operation has checked shapes and scratch.
                unsafe {
                    for x in 0..n {
                        pixel(a, y, x0 + x, c, acc.add(x * LANES));
                    }
                    epilogue(&epilogue_at(a, acc, y * a.ow + x0, c, n));
                }
            }
        }
    }
}

/// One output pixel, 16 channels from `c` on.
#[inline(always)]
unsafe fn pixel(a: &DepthwiseArgs, y: usize, x: usize, c: usize, acc: *mut i32) {
    let w = a.window;
    // SAFETY: pixels inside the picture have 16 readable bytes (slack); weights are padded to 16; aarch64 has NEON.
    unsafe {
        let zero = vdupq_n_u8(a.zero);
        let mut s = [vdupq_n_s32(0); 4];
        let mut weights = a.weights.add(c * w.kh * w.kw);
        for ky in 0..w.kh {
            let iy = (y * w.sh + ky).wrapping_sub(w.pad_top);
            for kx in 0..w.kw {
                let ix = (x * w.sw + kx).wrapping_sub(w.pad_left);
                let q = if iy < a.h && ix < a.w { vld1q_u8(a.src.add((iy * a.w + ix) * a.stride + c)) } else { zero };
                let (lo, hi) =
                    (vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(q))), vreinterpretq_s16_u16(vmovl_high_u8(q)));
                let tap = vld1q_s8(weights);
                let (wlo, whi) = (vmovl_s8(vget_low_s8(tap)), vmovl_high_s8(tap));
                s[0] = vmlal_s16(s[0], vget_low_s16(lo), vget_low_s16(wlo));
                s[1] = vmlal_high_s16(s[1], lo, wlo);
                s[2] = vmlal_s16(s[2], vget_low_s16(hi), vget_low_s16(whi));
                s[3] = vmlal_high_s16(s[3], hi, whi);
                weights = weights.add(LANES);
            }
        }
        for (i, s) in s.iter().enumerate() {
            vst1q_s32(acc.add(i * 4), *s);
        }
    }
}
