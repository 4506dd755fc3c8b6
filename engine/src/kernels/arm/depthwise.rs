//! Depthwise convolution with NEON: i16 products of widened bytes, added into i32 at once (`smlal`).
//!
//! Rows are taken in pairs, widened once for all taps and output rows that use them; four output pixels share the
//! weights.

use super::lanes::epilogue;
use crate::kernels::args::{DepthwiseArgs, Window};
use crate::kernels::grouped::{self, Group, Line};
use core::arch::aarch64::*;

struct Pairs;

impl Group for Pairs {
    const ROWS: usize = 2;

    #[inline(always)]
    unsafe fn data(rows: [*const u8; 4], dst: *mut u8) {
        // SAFETY: see the trait; aarch64 has NEON.
        unsafe {
            let dst = dst.cast::<u16>();
            for (i, row) in rows.into_iter().enumerate().take(2) {
                let q = vld1q_u8(row);
                vst1q_u16(dst.add(i * 16), vmovl_u8(vget_low_u8(q)));
                vst1q_u16(dst.add(i * 16 + 8), vmovl_high_u8(q));
            }
        }
    }

    #[inline(always)]
    unsafe fn weights(rows: [*const i8; 4], dst: *mut u8) {
        // SAFETY: see the trait.
        unsafe {
            let dst = dst.cast::<i16>();
            for (i, row) in rows.into_iter().enumerate().take(2) {
                let q = vld1q_s8(row);
                vst1q_s16(dst.add(i * 16), vmovl_s8(vget_low_s8(q)));
                vst1q_s16(dst.add(i * 16 + 8), vmovl_high_s8(q));
            }
        }
    }

    type Sums = [int32x4_t; 4];
    type Taps = [int16x8_t; 4];

    #[inline(always)]
    unsafe fn start(_: &Line) -> Self::Sums {
        // SAFETY: see the trait.
        unsafe { [vdupq_n_s32(0); 4] }
    }

    #[inline(always)]
    unsafe fn taps(src: *const u8) -> Self::Taps {
        // SAFETY: see the trait.
        unsafe {
            let src = src.cast();
            [vld1q_s16(src), vld1q_s16(src.add(8)), vld1q_s16(src.add(16)), vld1q_s16(src.add(24))]
        }
    }

    #[inline(always)]
    unsafe fn add(sums: &mut Self::Sums, data: *const u8, taps: Self::Taps) {
        // SAFETY: see the trait.
        unsafe {
            let data = Self::taps(data);
            for row in [0, 2] {
                for half in 0..2 {
                    let (d, t) = (data[row + half], taps[row + half]);
                    sums[2 * half] = vmlal_s16(sums[2 * half], vget_low_s16(d), vget_low_s16(t));
                    sums[2 * half + 1] = vmlal_high_s16(sums[2 * half + 1], d, t);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, dst: *mut i32) {
        // SAFETY: see the trait.
        unsafe {
            for (i, s) in sums.iter().enumerate() {
                vst1q_s32(dst.add(i * 4), *s);
            }
        }
    }

    #[inline(always)]
    unsafe fn line(line: &Line, n: usize, acc: *mut i32) {
        // SAFETY: see the trait.
        unsafe { grouped::four_at_a_time::<Self>(line, n, acc) }
    }
}

/// Bytes of scratch.
pub fn scratch(w: &Window) -> usize {
    grouped::scratch::<Pairs>(w)
}

/// See [`DepthwiseArgs`].
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`DepthwiseArgs`].
#[target_feature(enable = "neon")]
pub unsafe fn depthwise(a: &DepthwiseArgs) {
    // SAFETY: passed on.
    unsafe { grouped::depthwise::<Pairs>(a, epilogue) }
}
