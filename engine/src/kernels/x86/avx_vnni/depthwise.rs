//! Depthwise convolution with 256-bit VNNI: four rows as bytes, `vpdpbusd`.

use crate::kernels::args::{DepthwiseArgs, Window};
use crate::kernels::grouped::{Group, Line, pixels};
use crate::kernels::x86::avx2::lanes::epilogue;
use core::arch::x86_64::*;

struct Quads;

/// 16 bytes of four rows to 16 times one byte of each row.
///
/// # Safety
/// 16 bytes are readable at each row and 64 writable at `dst`; the CPU has AVX2.
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

    type Sums = [__m256i; 2];
    type Taps = [__m256i; 2];

    #[inline(always)]
    unsafe fn start(_: &Line) -> Self::Sums {
        // SAFETY: see the trait.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    unsafe fn taps(src: *const u8) -> Self::Taps {
        // SAFETY: see the trait.
        unsafe { [_mm256_loadu_si256(src.cast()), _mm256_loadu_si256(src.add(32).cast())] }
    }

    #[inline(always)]
    unsafe fn add(sums: &mut Self::Sums, data: *const u8, taps: Self::Taps) {
        // SAFETY: see the trait.
        unsafe {
            sums[0] = _mm256_dpbusd_avx_epi32(sums[0], _mm256_loadu_si256(data.cast()), taps[0]);
            sums[1] = _mm256_dpbusd_avx_epi32(sums[1], _mm256_loadu_si256(data.add(32).cast()), taps[1]);
        }
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, dst: *mut i32) {
        // SAFETY: see the trait.
        unsafe {
            _mm256_storeu_si256(dst.cast(), sums[0]);
            _mm256_storeu_si256(dst.add(8).cast(), sums[1]);
        }
    }

    #[inline(always)]
    unsafe fn line(line: &Line, n: usize, acc: *mut i32) {
        // SAFETY: see the trait.
        unsafe {
            let start = Self::start(line);
            let mut p = 0;
            while p + 6 <= n {
                pixels::<Self, 6>(line, start, p, acc);
                p += 6;
            }
            while p + 2 <= n {
                pixels::<Self, 2>(line, start, p, acc);
                p += 2;
            }
            if p < n {
                pixels::<Self, 1>(line, start, p, acc);
            }
        }
    }
}

/// Bytes of scratch.
pub fn scratch(w: &Window) -> usize {
    crate::kernels::grouped::scratch::<Quads>(w)
}

/// See [`DepthwiseArgs`].
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`DepthwiseArgs`].
#[target_feature(enable = "avx2,avxvnni")]
pub unsafe fn depthwise(a: &DepthwiseArgs) {
    // SAFETY: passed on.
    unsafe { crate::kernels::grouped::depthwise::<Quads>(a, epilogue) }
}
