//! The sixteen lanes as arrays: the specification of [`Lanes`].

use crate::kernels::lanes::{LANES, Lanes};

/// Arrays as vectors.
#[derive(Clone, Copy)]
pub struct Scalar;

#[inline(always)]
fn map<A: Copy, B: Copy + Default>(a: [A; LANES], f: impl Fn(A) -> B) -> [B; LANES] {
    let mut r = [B::default(); LANES];
    for i in 0..LANES {
        r[i] = f(a[i]);
    }
    r
}

#[inline(always)]
fn zip<A: Copy, B: Copy + Default>(a: [A; LANES], b: [A; LANES], f: impl Fn(A, A) -> B) -> [B; LANES] {
    let mut r = [B::default(); LANES];
    for i in 0..LANES {
        r[i] = f(a[i], b[i]);
    }
    r
}

// SAFETY (whole impl): pointer reads and writes cover the 16 elements that the caller grants.
impl Lanes for Scalar {
    type F = [f32; LANES];
    type I = [i32; LANES];
    type B = [u8; LANES];
    const UNROLL: usize = 1;

    #[inline(always)]
    unsafe fn load_b(p: *const u8) -> Self::B {
        // SAFETY: see above.
        unsafe { p.cast::<[u8; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn max_b(a: Self::B, b: Self::B) -> Self::B {
        zip(a, b, u8::max)
    }
    #[inline(always)]
    unsafe fn widen(b: Self::B) -> Self::I {
        map(b, i32::from)
    }
    #[inline(always)]
    unsafe fn narrow(v: Self::I) -> Self::B {
        map(v, |x| x as u8)
    }
    #[inline(always)]
    unsafe fn store_b(p: *mut u8, v: Self::B) {
        // SAFETY: see above.
        unsafe { p.cast::<[u8; LANES]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn splat_i(x: i32) -> Self::I {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        // SAFETY: see above.
        unsafe { p.cast::<[f32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_i(p: *const i32) -> Self::I {
        // SAFETY: see above.
        unsafe { p.cast::<[i32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::F) {
        // SAFETY: see above.
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_i(p: *mut i32, v: Self::I) {
        // SAFETY: see above.
        unsafe { p.cast::<[i32; LANES]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x - y)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x / y)
    }
    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn shl23(a: Self::I) -> Self::I {
        map(a, |x| x << 23)
    }
    #[inline(always)]
    unsafe fn to_f(a: Self::I) -> Self::F {
        map(a, |x| x as f32)
    }
    #[inline(always)]
    unsafe fn bits(a: Self::F) -> Self::I {
        map(a, |x| x.to_bits() as i32)
    }
    #[inline(always)]
    unsafe fn from_bits(a: Self::I) -> Self::F {
        map(a, |x| f32::from_bits(x as u32))
    }
    #[inline(always)]
    unsafe fn sqrt1(x: f32) -> f32 {
        sqrt_scalar(x)
    }
}

/// Correctly rounded square root without `std`.
#[inline(always)]
fn sqrt_scalar(x: f32) -> f32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of every x86-64.
    unsafe {
        use core::arch::x86_64::{_mm_cvtss_f32, _mm_set_ss, _mm_sqrt_ss};
        _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)))
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: NEON is part of every aarch64 Linux and bare-metal target with hard floats.
    unsafe {
        use core::arch::aarch64::{vdup_n_f32, vget_lane_f32, vsqrt_f32};
        vget_lane_f32::<0>(vsqrt_f32(vdup_n_f32(x)))
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        if x <= 0.0 {
            return if x == 0.0 { x } else { f32::NAN };
        }
        // Newton in f64 from a guess by halving the exponent: five steps give more than the 50 bits that make the final
        // rounding to f32 exact.
        let d = f64::from(x);
        let mut r = f64::from_bits((d.to_bits() >> 1) + (1023u64 << 51));
        for _ in 0..5 {
            r = 0.5 * (r + d / r);
        }
        r as f32
    }
}
