//! 16 lanes as two ymm registers.

use crate::kernels::lanes::{LANES, Lanes, vector_functions};
use core::arch::x86_64::*;

/// AVX2.
#[derive(Clone, Copy)]
pub struct Avx2;

/// Two registers.
type F = [__m256; 2];
type I = [__m256i; 2];

macro_rules! both {
    ($f:ident($a:expr $(, $b:expr)*)) => {[$f($a[0] $(, $b[0])*), $f($a[1] $(, $b[1])*)]};
}

impl Lanes for Avx2 {
    type F = F;
    type I = I;
    type B = __m128i;
    const UNROLL: usize = 2;

    vector_functions! {
        fn splat(x: f32) -> F {
            [_mm256_set1_ps(x); 2]
        }
        fn splat_i(x: i32) -> I {
            [_mm256_set1_epi32(x); 2]
        }
        fn load(p: *const f32) -> F {
            [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))]
        }
        fn load_i(p: *const i32) -> I {
            [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(8).cast())]
        }
        fn load_b(p: *const u8) -> __m128i {
            _mm_loadu_si128(p.cast())
        }
        fn max_b(a: __m128i, b: __m128i) -> __m128i {
            _mm_max_epu8(a, b)
        }
        fn widen(b: __m128i) -> I {
            [_mm256_cvtepu8_epi32(b), _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(b, b))]
        }
        fn narrow(v: I) -> __m128i {
            // In each half: four of v[0], four of v[1].
            let p = _mm256_packs_epi32(v[0], v[1]);
            let b = _mm_packus_epi16(_mm256_castsi256_si128(p), _mm256_extracti128_si256::<1>(p));
            _mm_shuffle_epi32::<0b11_01_10_00>(b)
        }
        fn store_b(p: *mut u8, v: __m128i) {
            _mm_storeu_si128(p.cast(), v)
        }
        fn store_b_n(p: *mut u8, v: __m128i, n: usize) {
            if n >= LANES {
                return _mm_storeu_si128(p.cast(), v);
            }
            let (mut x, mut p) = (v, p);
            if n & 8 != 0 {
                _mm_storel_epi64(p.cast(), x);
                x = _mm_unpackhi_epi64(x, x);
                p = p.add(8);
            }
            if n & 4 != 0 {
                p.cast::<i32>().write_unaligned(_mm_cvtsi128_si32(x));
                x = _mm_srli_epi64::<32>(x);
                p = p.add(4);
            }
            let mut rest = _mm_cvtsi128_si32(x);
            for i in 0..n & 3 {
                *p.add(i) = rest as u8;
                rest >>= 8;
            }
        }
        fn store(p: *mut f32, v: F) {
            _mm256_storeu_ps(p, v[0]);
            _mm256_storeu_ps(p.add(8), v[1]);
        }
        fn store_i(p: *mut i32, v: I) {
            _mm256_storeu_si256(p.cast(), v[0]);
            _mm256_storeu_si256(p.add(8).cast(), v[1]);
        }
        fn add(a: F, b: F) -> F {
            both!(_mm256_add_ps(a, b))
        }
        fn sub(a: F, b: F) -> F {
            both!(_mm256_sub_ps(a, b))
        }
        fn mul(a: F, b: F) -> F {
            both!(_mm256_mul_ps(a, b))
        }
        fn div(a: F, b: F) -> F {
            both!(_mm256_div_ps(a, b))
        }
        fn min(a: F, b: F) -> F {
            both!(_mm256_min_ps(a, b))
        }
        fn max(a: F, b: F) -> F {
            both!(_mm256_max_ps(a, b))
        }
        fn add_i(a: I, b: I) -> I {
            both!(_mm256_add_epi32(a, b))
        }
        fn shl23(a: I) -> I {
            [_mm256_slli_epi32::<23>(a[0]), _mm256_slli_epi32::<23>(a[1])]
        }
        fn to_f(a: I) -> F {
            both!(_mm256_cvtepi32_ps(a))
        }
        fn bits(a: F) -> I {
            both!(_mm256_castps_si256(a))
        }
        fn from_bits(a: I) -> F {
            both!(_mm256_castsi256_ps(a))
        }
        fn sqrt1(x: f32) -> f32 {
            _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)))
        }
    }
}

crate::kernels::instantiate_all!(Avx2, "avx2");
