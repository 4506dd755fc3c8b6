//! Depthwise convolution with AVX2: pairs of rows as i16, `vpmaddwd`.

use super::lanes::epilogue;
use crate::kernels::args::{DepthwiseArgs, Window};
use crate::kernels::lanes::LANES;
use crate::kernels::x86::depthwise::{COLUMN, Group, Line};
use core::arch::x86_64::*;

struct Pairs;

/// Interleaves 16 elements of two rows: channels 0-3 and 8-11 in the first register, 4-7 and 12-15 in the second.
#[inline(always)]
unsafe fn interleave(a: __m256i, b: __m256i, dst: *mut u8) {
    // SAFETY: 64 bytes are writable; the caller has AVX2.
    unsafe {
        _mm256_storeu_si256(dst.cast(), _mm256_unpacklo_epi16(a, b));
        _mm256_storeu_si256(dst.add(32).cast(), _mm256_unpackhi_epi16(a, b));
    }
}

impl Group for Pairs {
    const ROWS: usize = 2;

    #[inline(always)]
    unsafe fn data(rows: [*const u8; 4], dst: *mut u8) {
        // SAFETY: see the trait.
        unsafe {
            let row = |i: usize| _mm256_cvtepu8_epi16(_mm_loadu_si128(rows[i].cast()));
            interleave(row(0), row(1), dst);
        }
    }

    #[inline(always)]
    unsafe fn weights(rows: [*const i8; 4], dst: *mut u8) {
        // SAFETY: see the trait.
        unsafe {
            let row = |i: usize| _mm256_cvtepi8_epi16(_mm_loadu_si128(rows[i].cast()));
            interleave(row(0), row(1), dst);
        }
    }

    #[inline(always)]
    unsafe fn line(line: &Line, n: usize, acc: *mut i32) {
        // SAFETY: see the trait.
        unsafe {
            let mut p = 0;
            while p + 6 <= n {
                pixels::<6>(line, p, acc.add(p * LANES));
                p += 6;
            }
            match n - p {
                5 => pixels::<5>(line, p, acc.add(p * LANES)),
                4 => pixels::<4>(line, p, acc.add(p * LANES)),
                3 => pixels::<3>(line, p, acc.add(p * LANES)),
                2 => pixels::<2>(line, p, acc.add(p * LANES)),
                1 => pixels::<1>(line, p, acc.add(p * LANES)),
                _ => {}
            }
        }
    }
}

/// `P` output pixels from column `p` of the tile on.
#[inline(always)]
unsafe fn pixels<const P: usize>(line: &Line, p: usize, acc: *mut i32) {
    // SAFETY: rows and weights were filled for this line; acc holds 16 numbers for each pixel; the caller has AVX2.
    unsafe {
        let mut s = [[_mm256_setzero_si256(); 2]; P];
        let mut w = line.weights;
        for row in line.rows.iter().take(line.groups) {
            let mut row = row.add(p * line.sw * COLUMN);
            for _ in 0..line.kw {
                let (w0, w1) = (_mm256_loadu_si256(w.cast()), _mm256_loadu_si256(w.add(32).cast()));
                for (i, s) in s.iter_mut().enumerate() {
                    let x = row.add(i * line.sw * COLUMN);
                    s[0] = _mm256_add_epi32(s[0], _mm256_madd_epi16(_mm256_loadu_si256(x.cast()), w0));
                    s[1] = _mm256_add_epi32(s[1], _mm256_madd_epi16(_mm256_loadu_si256(x.add(32).cast()), w1));
                }
                w = w.add(COLUMN);
                row = row.add(COLUMN);
            }
        }
        for (i, s) in s.iter().enumerate() {
            let out = acc.add(i * LANES);
            _mm256_storeu_si256(out.cast(), _mm256_permute2x128_si256::<0x20>(s[0], s[1]));
            _mm256_storeu_si256(out.add(8).cast(), _mm256_permute2x128_si256::<0x31>(s[0], s[1]));
        }
    }
}

/// Bytes of scratch.
pub fn scratch(w: &Window) -> usize {
    crate::kernels::x86::depthwise::scratch::<Pairs>(w)
}

/// See [`DepthwiseArgs`].
#[target_feature(enable = "avx2")]
pub unsafe fn depthwise(a: &DepthwiseArgs) {
    // SAFETY: passed on.
    unsafe { crate::kernels::x86::depthwise::depthwise::<Pairs>(a, epilogue) }
}
