//! Integer matrix product with `sdot`, which stable Rust has only as assembler.

use crate::kernels::args::GemmArgs;
use crate::kernels::lanes::LANES;
use core::arch::aarch64::*;
use core::arch::asm;

/// s += dot products of four weights with four activations, in each of four channels.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn sdot(s: &mut int32x4_t, w: int8x16_t, x: int8x16_t) {
    // SAFETY: the caller has the dot product extension.
    unsafe {
        asm!(
            "sdot {s:v}.4s, {w:v}.16b, {x:v}.16b",
            s = inout(vreg) *s,
            w = in(vreg) w,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
}

/// `P` panel rows by 16 channels.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn tile<const P: usize>(g: &GemmArgs, first: usize) {
    // SAFETY: see `gemm`.
    unsafe {
        let mut s = [[vdupq_n_s32(0); 4]; P];
        let mut w = g.weights;
        for &segment in g.segments.iter().take(g.count) {
            let a = segment.add(first * g.stride);
            for k in 0..g.k4 {
                let wq = [vld1q_s8(w), vld1q_s8(w.add(16)), vld1q_s8(w.add(32)), vld1q_s8(w.add(48))];
                for (p, s) in s.iter_mut().enumerate() {
                    let x = a.add(p * g.stride + k * 4).cast::<i32>().read_unaligned();
                    let x = vreinterpretq_s8_s32(vdupq_n_s32(x));
                    sdot(&mut s[0], wq[0], x);
                    sdot(&mut s[1], wq[1], x);
                    sdot(&mut s[2], wq[2], x);
                    sdot(&mut s[3], wq[3], x);
                }
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
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn gemm(g: &GemmArgs) {
    // SAFETY: panel segments hold 4 * k4 bytes, the block 64 weights a step, acc 16 numbers a row.
    unsafe {
        let mut p = 0;
        // 4 x 4 accumulators, 4 weight registers and the broadcasts leave room for the loads to run ahead.
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
