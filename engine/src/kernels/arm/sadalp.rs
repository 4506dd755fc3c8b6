//! Integer matrix product without dot products: `smull`, `smlal`, `sadalp`.
//!
//! 16 bytes of weights are 4 channels x 4 k. A step of 4 k and the next are multiplied with a broadcast of their four
//! activations and added up in i16: |128 * 127 * 2| = 32512 fits, because weights are never -128. `sadalp` adds
//! neighbouring lanes into i32 (channel, pair of k); the two pairs of a channel are added once at the end. That is 3
//! instructions for 16 multiply-adds. Multiplying in i16 by lane (`smlal` .4s), which needs no `sadalp`, is 4 for 16.
//!
//! The three are assembler, a quad of channels at a time: the compiler hoists all multiplications to the top and then
//! moves accumulators to and fro for want of registers (89 instructions instead of 63 for 256 multiply-adds). The
//! four chains of a quad keep an in-order core busy while it waits for a product.

use crate::kernels::args::GemmArgs;
use crate::kernels::lanes::LANES;
use core::arch::aarch64::*;
use core::arch::asm;

/// Four activations, four times.
///
/// # Safety
/// Four bytes are readable at `a`; the CPU has NEON.
#[inline(always)]
unsafe fn broadcast(a: *const u8) -> int8x16_t {
    // SAFETY: four bytes are readable.
    unsafe { vreinterpretq_s8_s32(vdupq_n_s32(a.cast::<i32>().read_unaligned())) }
}

/// Adds four channels' products of two steps to the accumulators of two rows (or of two quads of channels): weights
/// `$w`, of this step and the next, activations `$x`.
macro_rules! quad {
    ($s0:expr, $s1:expr, $w0:expr, $x0:expr, $s2:expr, $s3:expr, $w1:expr, $x1:expr) => {
        asm!(
            "smull {a:v}.8h, {w00:v}.8b, {x00:v}.8b",
            "smull2 {b:v}.8h, {w00:v}.16b, {x00:v}.16b",
            "smull {c:v}.8h, {w10:v}.8b, {x10:v}.8b",
            "smull2 {d:v}.8h, {w10:v}.16b, {x10:v}.16b",
            "smlal {a:v}.8h, {w01:v}.8b, {x01:v}.8b",
            "smlal2 {b:v}.8h, {w01:v}.16b, {x01:v}.16b",
            "smlal {c:v}.8h, {w11:v}.8b, {x11:v}.8b",
            "smlal2 {d:v}.8h, {w11:v}.16b, {x11:v}.16b",
            "sadalp {s0:v}.4s, {a:v}.8h",
            "sadalp {s1:v}.4s, {b:v}.8h",
            "sadalp {s2:v}.4s, {c:v}.8h",
            "sadalp {s3:v}.4s, {d:v}.8h",
            s0 = inout(vreg) $s0, s1 = inout(vreg) $s1, s2 = inout(vreg) $s2, s3 = inout(vreg) $s3,
            w00 = in(vreg) $w0.0, w01 = in(vreg) $w0.1, w10 = in(vreg) $w1.0, w11 = in(vreg) $w1.1,
            x00 = in(vreg) $x0.0, x01 = in(vreg) $x0.1, x10 = in(vreg) $x1.0, x11 = in(vreg) $x1.1,
            a = out(vreg) _, b = out(vreg) _, c = out(vreg) _, d = out(vreg) _,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
}

/// `P` panel rows by 16 channels.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
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
                let mut x = [(vdupq_n_s8(0), vdupq_n_s8(0)); P];
                for (p, x) in x.iter_mut().enumerate() {
                    *x = (broadcast(a.add(p * g.stride)), broadcast(a.add(p * g.stride + 4)));
                }
                let quad_of = |q: usize| (vld1q_s8(w.add(q * 16)), vld1q_s8(w.add(64 + q * 16)));
                if let [s0, s1] = s.as_mut_slice() {
                    for q in 0..4 {
                        let w = quad_of(q);
                        quad!(s0[2 * q], s0[2 * q + 1], w, x[0], s1[2 * q], s1[2 * q + 1], w, x[1]);
                    }
                } else {
                    for s in &mut s {
                        quad!(s[0], s[1], quad_of(0), x[0], s[2], s[3], quad_of(1), x[0]);
                        quad!(s[4], s[5], quad_of(2), x[0], s[6], s[7], quad_of(3), x[0]);
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
                        s[2 * q] = vpadalq_s16(s[2 * q], vmull_s8(vget_low_s8(w0), vget_low_s8(x)));
                        s[2 * q + 1] = vpadalq_s16(s[2 * q + 1], vmull_high_s8(w0, x));
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

/// See [`GemmArgs`]. Two pixels at a time: 16 accumulators, each weight register used twice.
///
/// By LLVM's models this is also the best for the in-order Cortex-A53: 87 cycles for 256 multiply-adds where one
/// pixel at a time needs 102 (`benches/mca.py`).
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[target_feature(enable = "neon")]
pub unsafe fn gemm(g: &GemmArgs) {
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
