//! Depthwise convolution with `sdot`: four rows as bytes.

use super::sdot;
use crate::kernels::args::{DepthwiseArgs, Window};
use crate::kernels::arm::lanes::epilogue;
use crate::kernels::grouped::{self, COLUMN, Group, Line};
use core::arch::aarch64::*;

struct Quads;

/// 16 bytes of four rows, each exclusive-or `flip`, to 16 times one byte of each row.
///
/// # Safety
/// 16 bytes are readable at each row and 64 writable at `dst`; the CPU has NEON.
#[inline(always)]
unsafe fn transpose(rows: [*const u8; 4], flip: u8, dst: *mut u8) {
    // SAFETY: 16 bytes are readable at each row, 64 are writable; aarch64 has NEON.
    unsafe {
        let flip = vdupq_n_u8(flip);
        let row = |i: usize| veorq_u8(vld1q_u8(rows[i]), flip);
        // A store that interleaves four registers does what is wanted.
        vst4q_u8(dst, uint8x16x4_t(row(0), row(1), row(2), row(3)));
    }
}

impl Group for Quads {
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn data(rows: [*const u8; 4], dst: *mut u8) {
        // SAFETY: see the trait.
        unsafe { transpose(rows, 0x80, dst) }
    }

    #[inline(always)]
    unsafe fn weights(rows: [*const i8; 4], dst: *mut u8) {
        // SAFETY: see the trait.
        unsafe { transpose(rows.map(|r| r.cast()), 0, dst) }
    }

    type Sums = [int32x4_t; 4];
    type Taps = [int8x16_t; 4];

    /// 128 times the sum of the weights, because activations are less by 128: minus the product with -128.
    #[inline(always)]
    unsafe fn start(line: &Line) -> Self::Sums {
        // SAFETY: see the trait; the line has a column of weights for each group and tap.
        unsafe {
            let mut sums = [vdupq_n_s32(0); 4];
            for column in 0..line.groups * line.kw {
                let taps = Self::taps(line.weights.add(column * COLUMN));
                for (s, t) in sums.iter_mut().zip(taps) {
                    sdot(s, t, vdupq_n_s8(-128));
                }
            }
            sums.map(|s| vnegq_s32(s))
        }
    }

    #[inline(always)]
    unsafe fn taps(src: *const u8) -> Self::Taps {
        // SAFETY: see the trait.
        unsafe {
            let src = src.cast();
            [vld1q_s8(src), vld1q_s8(src.add(16)), vld1q_s8(src.add(32)), vld1q_s8(src.add(48))]
        }
    }

    #[inline(always)]
    unsafe fn add(sums: &mut Self::Sums, data: *const u8, taps: Self::Taps) {
        // SAFETY: see the trait.
        unsafe {
            let data = Self::taps(data);
            for ((s, d), t) in sums.iter_mut().zip(data).zip(taps) {
                sdot(s, t, d);
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
    grouped::scratch::<Quads>(w)
}

/// See [`DepthwiseArgs`].
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`DepthwiseArgs`].
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn depthwise(a: &DepthwiseArgs) {
    // SAFETY: passed on.
    unsafe { grouped::depthwise::<Quads>(a, epilogue) }
}
