//! Integer matrix product with 512-bit VNNI: one register is a whole step of 16 channels x 4 k.

use crate::kernels::args::GemmArgs;
use crate::kernels::lanes::LANES;
use core::arch::x86_64::*;

/// `P` panel rows by 16 channels.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
unsafe fn tile<const P: usize>(g: &GemmArgs, first: usize) {
    // SAFETY: see `gemm`.
    unsafe {
        let mut s = [_mm512_setzero_si512(); P];
        let mut w = g.weights;
        for &segment in g.segments.iter().take(g.count) {
            let a = segment.add(first * g.stride);
            for k in 0..g.k4 {
                let wk = _mm512_loadu_si512(w.cast());
                for (p, s) in s.iter_mut().enumerate() {
                    let x = _mm512_set1_epi32(a.add(p * g.stride + k * 4).cast::<i32>().read_unaligned());
                    *s = _mm512_dpbusd_epi32(*s, x, wk);
                }
                w = w.add(64);
            }
        }
        for (p, s) in s.iter().enumerate() {
            _mm512_storeu_si512(g.acc.add((first + p) * LANES).cast(), *s);
        }
    }
}

/// See [`GemmArgs`].
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vnni")]
pub unsafe fn gemm(g: &GemmArgs) {
    // Twelve chains hide the five cycles of a dot product.
    const TILE: usize = 12;
    // SAFETY: panel segments hold 4 * k4 bytes, the block 64 weights a step, acc 16 numbers a row.
    unsafe {
        let mut p = 0;
        while p + TILE <= g.pixels {
            tile::<TILE>(g, p);
            p += TILE;
        }
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
