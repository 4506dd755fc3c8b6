//! Integer matrix product without dot products: `smull`, `smlal`, `sadalp`.
//!
//! 16 bytes of weights are 4 channels x 4 k. The low half (2 channels x 4 k) of two steps is multiplied with a broadcast of
//! each step's four activations and added up in i16: |128 * 127 * 2| = 32512 fits, because weights are never -128. `sadalp`
//! adds neighbouring lanes into i32 (channel, pair of k); the two pairs of a channel are added once at the end.

use crate::kernels::args::GemmArgs;
use crate::kernels::lanes::LANES;
use core::arch::aarch64::*;

/// Four activations, twice.
#[inline(always)]
unsafe fn broadcast(a: *const u8) -> int8x8_t {
    // SAFETY: four bytes are readable.
    unsafe { vreinterpret_s8_s32(vdup_n_s32(a.cast::<i32>().read_unaligned())) }
}

/// `P` panel rows by 16 channels.
#[inline(always)]
unsafe fn tile<const P: usize>(g: &GemmArgs, first: usize) {
    // SAFETY: panel segments hold 4 * k4 bytes, the block 64 weights a step, acc 16 numbers a row; aarch64 has NEON.
    unsafe {
        let mut s = [[vdupq_n_s32(0); 8]; P];
        let mut w = g.weights;
        for &segment in g.segments.iter().take(g.count) {
            let mut a = segment.add(first * g.stride);
            let mut k = g.k4;
            while k >= 2 {
                let mut x = [(vdup_n_s8(0), vdup_n_s8(0)); P];
                for (p, x) in x.iter_mut().enumerate() {
                    *x = (broadcast(a.add(p * g.stride)), broadcast(a.add(p * g.stride + 4)));
                }
                for q in 0..4 {
                    let (w0, w1) = (vld1q_s8(w.add(q * 16)), vld1q_s8(w.add(64 + q * 16)));
                    for (x, s) in x.iter().zip(&mut s) {
                        let lo = vmlal_s8(vmull_s8(vget_low_s8(w0), x.0), vget_low_s8(w1), x.1);
                        let hi = vmlal_s8(vmull_s8(vget_high_s8(w0), x.0), vget_high_s8(w1), x.1);
                        s[2 * q] = vpadalq_s16(s[2 * q], lo);
                        s[2 * q + 1] = vpadalq_s16(s[2 * q + 1], hi);
                    }
                }
                a = a.add(8);
                w = w.add(128);
                k -= 2;
            }
            if k == 1 {
                for (p, s) in s.iter_mut().enumerate() {
                    let x = broadcast(a.add(p * g.stride));
                    for q in 0..4 {
                        let w0 = vld1q_s8(w.add(q * 16));
                        s[2 * q] = vpadalq_s16(s[2 * q], vmull_s8(vget_low_s8(w0), x));
                        s[2 * q + 1] = vpadalq_s16(s[2 * q + 1], vmull_s8(vget_high_s8(w0), x));
                    }
                }
                w = w.add(64);
            }
        }
        for (p, s) in s.iter().enumerate() {
            for q in 0..4 {
                vst1q_s32(g.acc.add((first + p) * LANES + q * 4), vpaddq_s32(s[2 * q], s[2 * q + 1]));
            }
        }
    }
}

/// One pixel at a time: 8 accumulators.
#[target_feature(enable = "neon")]
pub unsafe fn gemm_one(g: &GemmArgs) {
    for p in 0..g.pixels {
        // SAFETY: see `tile`.
        unsafe { tile::<1>(g, p) };
    }
}

/// Two pixels at a time: 16 accumulators, each weight register used twice.
#[target_feature(enable = "neon")]
pub unsafe fn gemm_two(g: &GemmArgs) {
    // SAFETY: see `tile`.
    unsafe {
        let mut p = 0;
        while p + 2 <= g.pixels {
            tile::<2>(g, p);
            p += 2;
        }
        if p < g.pixels {
            tile::<1>(g, p);
        }
    }
}
