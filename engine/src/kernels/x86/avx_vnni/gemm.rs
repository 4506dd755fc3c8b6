//! Integer matrix product with 256-bit VNNI: u8 activations x i8 weights, four k a lane.

use crate::kernels::args::{GemmArgs, PanelArgs};
use crate::kernels::generic::panel::{Bytes, panel as generic_panel};
use crate::kernels::lanes::LANES;
use core::arch::x86_64::*;

/// Panel of bytes.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`PanelArgs`].
#[target_feature(enable = "avx2")]
pub unsafe fn panel(a: &PanelArgs) {
    // SAFETY: passed on.
    unsafe { generic_panel::<Bytes>(a) }
}

/// `P` panel rows by 16 channels.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn tile<const P: usize>(g: &GemmArgs, first: usize) {
    // SAFETY: see `gemm`.
    unsafe {
        let mut s = [[_mm256_setzero_si256(); 2]; P];
        let mut w = g.weights;
        for &segment in g.segments.iter().take(g.count) {
            let a = segment.add(first * g.stride);
            for k in 0..g.k4 {
                let w0 = _mm256_loadu_si256(w.cast());
                let w1 = _mm256_loadu_si256(w.add(32).cast());
                for (p, s) in s.iter_mut().enumerate() {
                    let x = _mm256_set1_epi32(a.add(p * g.stride + k * 4).cast::<i32>().read_unaligned());
                    s[0] = _mm256_dpbusd_avx_epi32(s[0], x, w0);
                    s[1] = _mm256_dpbusd_avx_epi32(s[1], x, w1);
                }
                w = w.add(64);
            }
        }
        for (p, s) in s.iter().enumerate() {
            let out = g.acc.add((first + p) * LANES);
            _mm256_storeu_si256(out.cast(), s[0]);
            _mm256_storeu_si256(out.add(8).cast(), s[1]);
        }
    }
}

/// See [`GemmArgs`].
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[target_feature(enable = "avx2,avxvnni")]
pub unsafe fn gemm(g: &GemmArgs) {
    const TILE: usize = 6;
    // SAFETY: panel segments hold 4 * k4 bytes, the block 64 weights a step, acc 16 numbers a row.
    unsafe {
        let mut p = 0;
        while p + TILE <= g.pixels {
            tile::<TILE>(g, p);
            p += TILE;
        }
        while p + 2 <= g.pixels {
            tile::<2>(g, p);
            p += 2;
        }
        if p < g.pixels {
            tile::<1>(g, p);
        }
    }
}
