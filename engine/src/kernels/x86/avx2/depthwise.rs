//! Depthwise convolution with AVX2: pairs of rows as i16, `vpmaddwd`.

use super::lanes::epilogue;
use crate::kernels::args::{DepthwiseArgs, Window};
use crate::kernels::grouped::{Group, Line, pixels};
use core::arch::x86_64::*;

struct Pairs;

/// Interleaves 16 elements of two rows: channels 0-3 and 8-11 in the first register, 4-7 and 12-15 in the second.
///
/// # Safety
/// 64 bytes are writable at `dst`; the CPU has AVX2.
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
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_loadu_si256(data.cast()), taps[0]));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_loadu_si256(data.add(32).cast()), taps[1]));
        }
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, dst: *mut i32) {
        // SAFETY: see the trait.
        unsafe {
            _mm256_storeu_si256(dst.cast(), _mm256_permute2x128_si256::<0x20>(sums[0], sums[1]));
            _mm256_storeu_si256(dst.add(8).cast(), _mm256_permute2x128_si256::<0x31>(sums[0], sums[1]));
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
            match n - p {
                5 => pixels::<Self, 5>(line, start, p, acc),
                4 => pixels::<Self, 4>(line, start, p, acc),
                3 => pixels::<Self, 3>(line, start, p, acc),
                2 => pixels::<Self, 2>(line, start, p, acc),
                1 => pixels::<Self, 1>(line, start, p, acc),
                _ => {}
            }
        }
    }
}

/// Bytes of scratch.
pub fn scratch(w: &Window) -> usize {
    crate::kernels::grouped::scratch::<Pairs>(w)
}

/// See [`DepthwiseArgs`].
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`DepthwiseArgs`].
#[target_feature(enable = "avx2")]
pub unsafe fn depthwise(a: &DepthwiseArgs) {
    // SAFETY: passed on.
    unsafe { crate::kernels::grouped::depthwise::<Pairs>(a, epilogue) }
}
