//! Integer matrix product with `sdot`.
//!
//! A tile is four panel rows by 16 channels: 16 accumulators, 4 registers of weights and 4 of activations. Sixteen
//! activations of a row are loaded at once and multiplied by lane, so that a step of 4 k is 4 loads and 16 products,
//! and the rows' loads are shared by four steps.

use super::{sdot, sdot_lane};
use crate::kernels::args::GemmArgs;
use crate::kernels::lanes::LANES;
use core::arch::aarch64::*;

/// Accumulators of `P` panel rows by 16 channels.
type Sums<const P: usize> = [[int32x4_t; 4]; P];

/// One step of 4 k with activations of lane `LANE`; `w` moves on.
///
/// # Safety
/// 64 weights are readable at `w`; the CPU has the dot product.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn step<const P: usize, const LANE: u8>(s: &mut Sums<P>, w: &mut *const i8, x: &[int8x16_t; P]) {
    // SAFETY: see `gemm`.
    unsafe {
        let q = [vld1q_s8(*w), vld1q_s8(w.add(16)), vld1q_s8(w.add(32)), vld1q_s8(w.add(48))];
        for (s, x) in s.iter_mut().zip(x) {
            for (s, q) in s.iter_mut().zip(q) {
                sdot_lane::<LANE>(s, q, *x);
            }
        }
        *w = w.add(64);
    }
}

/// `P` panel rows by 16 channels.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn tile<const P: usize>(g: &GemmArgs, first: usize) {
    // SAFETY: see `gemm`.
    unsafe {
        let mut s: Sums<P> = [[vdupq_n_s32(0); 4]; P];
        let mut w = g.weights;
        for &segment in g.segments.iter().take(g.count) {
            let mut a = segment.add(first * g.stride);
            for _ in 0..g.k4 / 4 {
                let mut x = [vdupq_n_s8(0); P];
                for (p, x) in x.iter_mut().enumerate() {
                    *x = vld1q_s8(a.add(p * g.stride).cast());
                }
                step::<P, 0>(&mut s, &mut w, &x);
                step::<P, 1>(&mut s, &mut w, &x);
                step::<P, 2>(&mut s, &mut w, &x);
                step::<P, 3>(&mut s, &mut w, &x);
                a = a.add(16);
            }
            for _ in 0..g.k4 % 4 {
                let q = [vld1q_s8(w), vld1q_s8(w.add(16)), vld1q_s8(w.add(32)), vld1q_s8(w.add(48))];
                for (p, s) in s.iter_mut().enumerate() {
                    let x = a.add(p * g.stride).cast::<i32>().read_unaligned();
                    let x = vreinterpretq_s8_s32(vdupq_n_s32(x));
                    for (s, q) in s.iter_mut().zip(q) {
                        sdot(s, q, x);
                    }
                }
                a = a.add(4);
                w = w.add(64);
            }
        }
        for (p, s) in s.iter().enumerate() {
            for (q, s) in s.iter().enumerate() {
                vst1q_s32(g.acc.add((first + p) * LANES + q * 4), *s);
            }
        }
    }
}

/// See [`GemmArgs`].
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn gemm(g: &GemmArgs) {
    // SAFETY: panel segments hold 4 * k4 bytes, the block 64 weights a step, acc 16 numbers a row.
    unsafe {
        let mut p = 0;
        while p + 4 <= g.pixels {
            tile::<4>(g, p);
            p += 4;
        }
        while p < g.pixels {
            tile::<1>(g, p);
            p += 1;
        }
    }
}
