//! Integer matrix product with AVX2.
//!
//! Panel rows hold activations as i16. 16 bytes of weights are 4 channels x 4 k; sign-extended to i16 they meet a
//! broadcast of four activations in `vpmaddwd`, whose lanes are (channel, pair of k): exact, since |255 * 127 * 2|
//! fits i32. The two pairs of a channel are added once at the end.

use crate::kernels::args::{GemmArgs, PanelArgs};
use crate::kernels::generic::panel::{PanelFormat, panel as generic_panel};
use crate::kernels::lanes::LANES;
use core::arch::asm;
use core::arch::x86_64::*;

struct Words;

impl PanelFormat for Words {
    const ELEM: usize = 2;
    #[inline(always)]
    unsafe fn copy(dst: *mut u8, src: *const u8, n: usize) {
        let mut i = 0;
        while i < n {
            // SAFETY: see the trait; the caller has AVX2.
            unsafe {
                let x = _mm256_cvtepu8_epi16(_mm_loadu_si128(src.add(i).cast()));
                _mm256_storeu_si256(dst.add(2 * i).cast(), x);
            }
            i += 16;
        }
    }
    #[inline(always)]
    unsafe fn fill(dst: *mut u8, x: u8, n: usize) {
        let mut i = 0;
        while i < n {
            // SAFETY: see the trait; the caller has AVX2.
            unsafe { _mm256_storeu_si256(dst.add(2 * i).cast(), _mm256_set1_epi16(i16::from(x))) };
            i += 16;
        }
    }
}

/// Panel of i16.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`PanelArgs`].
#[target_feature(enable = "avx2")]
pub unsafe fn panel(a: &PanelArgs) {
    // SAFETY: passed on.
    unsafe { generic_panel::<Words>(a) }
}

/// Pixels of a full tile: 6 x 2 accumulators, two weight registers, one broadcast and one product fill the 16
/// registers.
const TILE: usize = 6;

/// `P` panel rows from `first` on by `Q` groups of four channels from `quad` on.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[inline(always)]
unsafe fn tile<const P: usize, const Q: usize>(g: &GemmArgs, first: usize, quad: usize) {
    // SAFETY: see `gemm`.
    unsafe {
        let mut s = [[_mm256_setzero_si256(); Q]; P];
        let mut w = g.wide.add(quad * 32);
        for &segment in g.segments.iter().take(g.count) {
            let mut a = segment.add(first * g.stride);
            for _ in 0..g.k4 {
                let mut wq = [_mm256_setzero_si256(); Q];
                for (q, wq) in wq.iter_mut().enumerate() {
                    *wq = _mm256_loadu_si256(w.add(q * 32).cast());
                }
                for (p, s) in s.iter_mut().enumerate() {
                    let x = _mm256_set1_epi64x(a.add(p * g.stride).cast::<i64>().read_unaligned());
                    for q in 0..Q {
                        s[q] = _mm256_add_epi32(s[q], _mm256_madd_epi16(x, wq[q]));
                    }
                }
                a = a.add(8);
                w = w.add(128);
            }
        }
        for (p, s) in s.iter().enumerate() {
            let out = g.acc.add((first + p) * LANES + quad * 4);
            if Q == 2 {
                let h = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(s[0], s[Q - 1]));
                _mm256_storeu_si256(out.cast(), h);
            } else {
                let h = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(s[0], s[0]));
                _mm_storeu_si128(out.cast(), _mm256_castsi256_si128(h));
            }
        }
    }
}

/// The full tile: 6 panel rows by 8 channels. In assembler, because compilers add address arithmetic or spill, and
/// the loop (24 vector operations in 6 cycles) has room for neither.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn full_tile(g: &GemmArgs, first: usize, quad: usize) {
    // SAFETY: see `gemm`; the assembler reads the panel and `wide` only, `k4` steps of each.
    unsafe {
        let zero = _mm256_setzero_si256();
        let mut s = [[zero; 2]; TILE];
        let mut w = g.wide.add(quad * 32);
        for &segment in g.segments.iter().take(g.count) {
            let a = segment.add(first * g.stride);
            let [[s00, s01], [s10, s11], [s20, s21], [s30, s31], [s40, s41], [s50, s51]] = &mut s;
            asm!(
                "2:",
                "vmovdqu {w0}, [{w}]",
                "vmovdqu {w1}, [{w} + 32]",
                "vpbroadcastq {x}, [{a}]",
                "vpmaddwd {t}, {x}, {w0}",
                "vpmaddwd {x}, {x}, {w1}",
                "vpaddd {s00}, {s00}, {t}",
                "vpaddd {s01}, {s01}, {x}",
                "vpbroadcastq {x}, [{a} + {stride}]",
                "vpmaddwd {t}, {x}, {w0}",
                "vpmaddwd {x}, {x}, {w1}",
                "vpaddd {s10}, {s10}, {t}",
                "vpaddd {s11}, {s11}, {x}",
                "vpbroadcastq {x}, [{a} + 2*{stride}]",
                "vpmaddwd {t}, {x}, {w0}",
                "vpmaddwd {x}, {x}, {w1}",
                "vpaddd {s20}, {s20}, {t}",
                "vpaddd {s21}, {s21}, {x}",
                "vpbroadcastq {x}, [{a3}]",
                "vpmaddwd {t}, {x}, {w0}",
                "vpmaddwd {x}, {x}, {w1}",
                "vpaddd {s30}, {s30}, {t}",
                "vpaddd {s31}, {s31}, {x}",
                "vpbroadcastq {x}, [{a3} + {stride}]",
                "vpmaddwd {t}, {x}, {w0}",
                "vpmaddwd {x}, {x}, {w1}",
                "vpaddd {s40}, {s40}, {t}",
                "vpaddd {s41}, {s41}, {x}",
                "vpbroadcastq {x}, [{a3} + 2*{stride}]",
                "vpmaddwd {t}, {x}, {w0}",
                "vpmaddwd {x}, {x}, {w1}",
                "vpaddd {s50}, {s50}, {t}",
                "vpaddd {s51}, {s51}, {x}",
                "add {a}, 8",
                "add {a3}, 8",
                "sub {w}, -128",
                "dec {k}",
                "jnz 2b",
                a = inout(reg) a => _,
                a3 = inout(reg) a.wrapping_add(3 * g.stride) => _,
                stride = in(reg) g.stride,
                w = inout(reg) w,
                k = inout(reg) g.k4 => _,
                s00 = inout(ymm_reg) *s00, s01 = inout(ymm_reg) *s01,
                s10 = inout(ymm_reg) *s10, s11 = inout(ymm_reg) *s11,
                s20 = inout(ymm_reg) *s20, s21 = inout(ymm_reg) *s21,
                s30 = inout(ymm_reg) *s30, s31 = inout(ymm_reg) *s31,
                s40 = inout(ymm_reg) *s40, s41 = inout(ymm_reg) *s41,
                s50 = inout(ymm_reg) *s50, s51 = inout(ymm_reg) *s51,
                w0 = out(ymm_reg) _, w1 = out(ymm_reg) _, x = out(ymm_reg) _, t = out(ymm_reg) _,
                options(readonly, nostack)
            );
        }
        for (p, s) in s.iter().enumerate() {
            let h = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(s[0], s[1]));
            _mm256_storeu_si256(g.acc.add((first + p) * LANES + quad * 4).cast(), h);
        }
    }
}

/// All panel rows by `Q` groups of four channels.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn columns<const Q: usize>(g: &GemmArgs, quad: usize) {
    // SAFETY: see `gemm`.
    unsafe {
        let mut p = 0;
        while p + TILE <= g.pixels {
            if Q == 2 {
                full_tile(g, p, quad);
            } else {
                tile::<TILE, Q>(g, p, quad);
            }
            p += TILE;
        }
        match g.pixels - p {
            1 => tile::<1, Q>(g, p, quad),
            2 => tile::<2, Q>(g, p, quad),
            3 => tile::<3, Q>(g, p, quad),
            4 => tile::<4, Q>(g, p, quad),
            5 => tile::<5, Q>(g, p, quad),
            _ => {}
        }
    }
}

/// See [`GemmArgs`].
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
#[target_feature(enable = "avx2")]
pub unsafe fn gemm(g: &GemmArgs) {
    if g.k4 == 0 {
        return;
    }
    // SAFETY: panel segments hold 4 * k4 i16, the block 64 weights a step, `wide` 128 bytes a step, acc 16 numbers a
    // row.
    unsafe {
        for i in 0..g.count * g.k4 * 4 {
            let w = _mm256_cvtepi8_epi16(_mm_loadu_si128(g.weights.add(i * 16).cast()));
            _mm256_storeu_si256(g.wide.add(i * 32).cast(), w);
        }
        let mut quad = 0;
        while quad + 2 <= g.quads {
            columns::<2>(g, quad);
            quad += 2;
        }
        if quad < g.quads {
            columns::<1>(g, quad);
        }
    }
}
