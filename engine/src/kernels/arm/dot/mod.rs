//! NEON with dot products, `sdot`, which stable Rust has only as assembler. What is not a sum of products is NEON's.

mod depthwise;
mod gemm;

use super::{lanes, panel};
use crate::kernels::{Isa, Kernels, table};
use core::arch::aarch64::*;
use core::arch::asm;

/// The table.
pub static KERNELS: Kernels = table!(Isa::NeonDot, 1, true, 1, panel::panel, gemm::gemm);

/// s += dot products of four weights with four activations, in each of four channels.
///
/// # Safety
/// The CPU has the dot product.
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

/// The same with activations `LANE * 4 .. LANE * 4 + 4` of `x` for all channels.
///
/// # Safety
/// The CPU has the dot product.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn sdot_lane<const LANE: u8>(s: &mut int32x4_t, w: int8x16_t, x: int8x16_t) {
    // SAFETY: the caller has the dot product extension.
    unsafe {
        asm!(
            "sdot {s:v}.4s, {w:v}.16b, {x:v}.4b[{lane}]",
            s = inout(vreg) *s,
            w = in(vreg) w,
            x = in(vreg) x,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
}
