//! Integer matrix product with 512-bit VNNI: one register is a whole step of 16 channels x 4 k.

use crate::kernels::args::GemmArgs;
use crate::kernels::lanes::LANES;
use core::arch::x86_64::*;

/// `P` panel rows by `B` blocks of 16 channels.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tile<const P: usize, const B: usize>(g: &GemmArgs, first: usize) {
    // SAFETY: see `gemm`.
    unsafe {
        let mut s = [[_mm512_setzero_si512(); B]; P];
        let mut w = g.weights;
        let block = g.count * g.k4 * 64;
        for &segment in g.segments.iter().take(g.count) {
            let mut a = segment.add(first * g.stride);
            for _ in 0..g.k4 {
                let mut wk = [_mm512_setzero_si512(); B];
                for (b, wk) in wk.iter_mut().enumerate() {
                    *wk = _mm512_loadu_si512(w.add(b * block).cast());
                }
                for (p, s) in s.iter_mut().enumerate() {
                    let x = _mm512_set1_epi32(a.add(p * g.stride).cast::<i32>().read_unaligned());
                    for b in 0..B {
                        s[b] = _mm512_dpbusd_epi32(s[b], x, wk[b]);
                    }
                }
                a = a.add(4);
                w = w.add(64);
            }
        }
        for (p, s) in s.iter().enumerate() {
            for (b, s) in s.iter().enumerate() {
                _mm512_storeu_si512(g.acc.add((b * g.pixels + first + p) * LANES).cast(), *s);
            }
        }
    }
}

/// All panel rows by `B` blocks.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn blocks<const B: usize>(g: &GemmArgs) {
    // Twelve chains hide the five cycles of a dot product; with two blocks there are enough registers for as many rows.
    const TILE: usize = 12;
    // SAFETY: see `gemm`.
    unsafe {
        let mut p = 0;
        while p + TILE <= g.pixels {
            tile::<TILE, B>(g, p);
            p += TILE;
        }
        while p + 4 <= g.pixels {
            tile::<4, B>(g, p);
            p += 4;
        }
        while p < g.pixels {
            tile::<1, B>(g, p);
            p += 1;
        }
    }
}

/// See [`GemmArgs`].
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn gemm(g: &GemmArgs) {
    // SAFETY: panel segments hold 4 * k4 bytes, each block 64 weights a step, acc 16 numbers a row and block.
    unsafe {
        if g.blocks == 2 {
            blocks::<2>(g);
        } else {
            blocks::<1>(g);
        }
    }
}
