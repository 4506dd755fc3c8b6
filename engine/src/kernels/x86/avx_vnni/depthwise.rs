//! Depthwise convolution with 256-bit VNNI: four rows as bytes, `vpdpbusd`.

use crate::kernels::args::{DepthwiseArgs, Window};
use crate::kernels::lanes::LANES;
use crate::kernels::x86::avx2::lanes::epilogue;
use crate::kernels::x86::depthwise::{COLUMN, Group, Line};
use core::arch::x86_64::*;

struct Quads;

/// 16 bytes of four rows to 16 times one byte of each row.
#[inline(always)]
unsafe fn transpose(rows: [*const u8; 4], dst: *mut u8) {
    // SAFETY: 16 bytes are readable at each row, 64 are writable; the caller has AVX2.
    unsafe {
        let row = |i: usize| _mm_loadu_si128(rows[i].cast());
        let (a, b, c, d) = (row(0), row(1), row(2), row(3));
        let (ab, cd) = (_mm_unpacklo_epi8(a, b), _mm_unpacklo_epi8(c, d));
        _mm_storeu_si128(dst.cast(), _mm_unpacklo_epi16(ab, cd));
        _mm_storeu_si128(dst.add(16).cast(), _mm_unpackhi_epi16(ab, cd));
        let (ab, cd) = (_mm_unpackhi_epi8(a, b), _mm_unpackhi_epi8(c, d));
        _mm_storeu_si128(dst.add(32).cast(), _mm_unpacklo_epi16(ab, cd));
        _mm_storeu_si128(dst.add(48).cast(), _mm_unpackhi_epi16(ab, cd));
    }
}

impl Group for Quads {
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn data(rows: [*const u8; 4], dst: *mut u8) {
        // SAFETY: see the trait.
        unsafe { transpose(rows, dst) }
    }

    #[inline(always)]
    unsafe fn weights(rows: [*const i8; 4], dst: *mut u8) {
        // SAFETY: see the trait.
        unsafe { transpose(rows.map(|r| r.cast()), dst) }
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
            while p + 2 <= n {
                pixels::<2>(line, p, acc.add(p * LANES));
                p += 2;
            }
            if p < n {
                pixels::<1>(line, p, acc.add(p * LANES));
            }
        }
    }
}

/// `P` output pixels from column `p` of the tile on.
#[inline(always)]
unsafe fn pixels<const P: usize>(line: &Line, p: usize, acc: *mut i32) {
    // SAFETY: rows and weights were filled for this line; acc holds 16 numbers for each pixel; the caller has AVX-VNNI.
    unsafe {
        let mut s = [[_mm256_setzero_si256(); 2]; P];
        let mut w = line.weights;
        for row in line.rows.iter().take(line.groups) {
            let mut row = row.add(p * line.sw * COLUMN);
            for _ in 0..line.kw {
                let (w0, w1) = (_mm256_loadu_si256(w.cast()), _mm256_loadu_si256(w.add(32).cast()));
                for (i, s) in s.iter_mut().enumerate() {
                    let x = row.add(i * line.sw * COLUMN);
                    s[0] = _mm256_dpbusd_avx_epi32(s[0], _mm256_loadu_si256(x.cast()), w0);
                    s[1] = _mm256_dpbusd_avx_epi32(s[1], _mm256_loadu_si256(x.add(32).cast()), w1);
                }
                w = w.add(COLUMN);
                row = row.add(COLUMN);
            }
        }
        for (i, s) in s.iter().enumerate() {
            let out = acc.add(i * LANES);
            _mm256_storeu_si256(out.cast(), s[0]);
            _mm256_storeu_si256(out.add(8).cast(), s[1]);
        }
    }
}

/// Bytes of scratch.
pub fn scratch(w: &Window) -> usize {
    crate::kernels::x86::depthwise::scratch::<Quads>(w)
}

/// See [`DepthwiseArgs`].
#[target_feature(enable = "avx2,avxvnni")]
pub unsafe fn depthwise(a: &DepthwiseArgs) {
    // SAFETY: passed on.
    unsafe { crate::kernels::x86::depthwise::depthwise::<Quads>(a, epilogue) }
}
