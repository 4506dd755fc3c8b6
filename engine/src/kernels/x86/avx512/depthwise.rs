//! Depthwise convolution with 512-bit VNNI: four rows as bytes, `vpdpbusd`; one register is 16 channels.

use super::lanes::epilogue;
use crate::kernels::args::{DepthwiseArgs, Window};
use crate::kernels::grouped::{Group, Line, pixels};
use core::arch::x86_64::*;

struct Quads;

/// 16 bytes of four rows to 16 times one byte of each row.
///
/// # Safety
/// 16 bytes are readable at each row and 64 writable at `dst`; the CPU has AVX-512.
#[inline(always)]
unsafe fn transpose(rows: [*const u8; 4], dst: *mut u8) {
    // SAFETY: 16 bytes are readable at each row, 64 are writable; the caller has AVX-512.
    unsafe {
        let row = |i: usize| _mm_loadu_si128(rows[i].cast());
        let x = _mm512_castsi128_si512(row(0));
        let x = _mm512_inserti32x4::<1>(x, row(1));
        let x = _mm512_inserti32x4::<2>(x, row(2));
        let x = _mm512_inserti32x4::<3>(x, row(3));
        // Four channels of all rows into each quarter, then the bytes of each channel side by side.
        let quarters = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let bytes = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let x = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(quarters, x), _mm512_broadcast_i32x4(bytes));
        _mm512_storeu_si512(dst.cast(), x);
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

    type Sums = __m512i;
    type Taps = __m512i;

    #[inline(always)]
    unsafe fn start(_: &Line) -> Self::Sums {
        // SAFETY: see the trait.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn taps(src: *const u8) -> Self::Taps {
        // SAFETY: see the trait.
        unsafe { _mm512_loadu_si512(src.cast()) }
    }

    #[inline(always)]
    unsafe fn add(sums: &mut Self::Sums, data: *const u8, taps: Self::Taps) {
        // SAFETY: see the trait.
        unsafe { *sums = _mm512_dpbusd_epi32(*sums, _mm512_loadu_si512(data.cast()), taps) }
    }

    #[inline(always)]
    unsafe fn store(sums: Self::Sums, dst: *mut i32) {
        // SAFETY: see the trait.
        unsafe { _mm512_storeu_si512(dst.cast(), sums) }
    }

    #[inline(always)]
    unsafe fn line(line: &Line, n: usize, acc: *mut i32) {
        // SAFETY: see the trait.
        unsafe {
            let start = Self::start(line);
            let mut p = 0;
            while p + 12 <= n {
                pixels::<Self, 12>(line, start, p, acc);
                p += 12;
            }
            while p + 4 <= n {
                pixels::<Self, 4>(line, start, p, acc);
                p += 4;
            }
            while p < n {
                pixels::<Self, 1>(line, start, p, acc);
                p += 1;
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
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn depthwise(a: &DepthwiseArgs) {
    // SAFETY: passed on.
    unsafe { crate::kernels::grouped::depthwise::<Quads>(a, epilogue) }
}
