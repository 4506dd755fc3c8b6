//! 16 lanes as one zmm register.

use crate::kernels::lanes::{LANES, Lanes, vector_functions};
use core::arch::x86_64::*;

/// AVX-512 F, BW and VL.
#[derive(Clone, Copy)]
pub struct Avx512;

/// The first `n` lanes.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    (u16::MAX as u32 >> (LANES - n.min(LANES))) as __mmask16
}

impl Lanes for Avx512 {
    type F = __m512;
    type I = __m512i;
    type B = __m128i;
    const UNROLL: usize = 4;

    vector_functions! {
        fn splat(x: f32) -> __m512 {
            _mm512_set1_ps(x)
        }
        fn splat_i(x: i32) -> __m512i {
            _mm512_set1_epi32(x)
        }
        fn load(p: *const f32) -> __m512 {
            _mm512_loadu_ps(p)
        }
        fn load_i(p: *const i32) -> __m512i {
            _mm512_loadu_si512(p.cast())
        }
        fn load_b(p: *const u8) -> __m128i {
            _mm_loadu_si128(p.cast())
        }
        fn max_b(a: __m128i, b: __m128i) -> __m128i {
            _mm_max_epu8(a, b)
        }
        fn widen(b: __m128i) -> __m512i {
            _mm512_cvtepu8_epi32(b)
        }
        fn narrow(v: __m512i) -> __m128i {
            let mut b = _mm512_cvtepi32_epi8(v);
            core::arch::asm!("/* {0} */", inout(xmm_reg) b, options(pure, nomem, nostack, preserves_flags));
            b
        }
        fn store_b(p: *mut u8, v: __m128i) {
            _mm_storeu_si128(p.cast(), v)
        }
        fn store_b_n(p: *mut u8, v: __m128i, n: usize) {
            if n == 8 {
                return _mm_storel_epi64(p.cast(), v);
            }
            if n >= LANES {
                return _mm_storeu_si128(p.cast(), v);
            }
            _mm_mask_storeu_epi8(p.cast(), first(n), v)
        }
        fn store(p: *mut f32, v: __m512) {
            _mm512_storeu_ps(p, v)
        }
        fn store_i(p: *mut i32, v: __m512i) {
            _mm512_storeu_si512(p.cast(), v)
        }
        fn store_n(p: *mut f32, v: __m512, n: usize) {
            _mm512_mask_storeu_ps(p, first(n), v)
        }
        fn load_b_n(p: *const u8, n: usize) -> __m128i {
            _mm_maskz_loadu_epi8(first(n), p.cast())
        }
        fn load_n(p: *const f32, n: usize) -> __m512 {
            _mm512_maskz_loadu_ps(first(n), p)
        }
        fn add(a: __m512, b: __m512) -> __m512 {
            _mm512_add_ps(a, b)
        }
        fn sub(a: __m512, b: __m512) -> __m512 {
            _mm512_sub_ps(a, b)
        }
        fn mul(a: __m512, b: __m512) -> __m512 {
            _mm512_mul_ps(a, b)
        }
        fn div(a: __m512, b: __m512) -> __m512 {
            _mm512_div_ps(a, b)
        }
        fn min(a: __m512, b: __m512) -> __m512 {
            _mm512_min_ps(a, b)
        }
        fn max(a: __m512, b: __m512) -> __m512 {
            _mm512_max_ps(a, b)
        }
        fn add_i(a: __m512i, b: __m512i) -> __m512i {
            _mm512_add_epi32(a, b)
        }
        fn shl23(a: __m512i) -> __m512i {
            _mm512_slli_epi32::<23>(a)
        }
        fn to_f(a: __m512i) -> __m512 {
            _mm512_cvtepi32_ps(a)
        }
        fn bits(a: __m512) -> __m512i {
            _mm512_castps_si512(a)
        }
        fn from_bits(a: __m512i) -> __m512 {
            _mm512_castsi512_ps(a)
        }
        fn sqrt1(x: f32) -> f32 {
            _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)))
        }
    }
}

crate::kernels::instantiate_all!(Avx512, "avx2,avx512f,avx512bw,avx512vl,avx512vnni");
