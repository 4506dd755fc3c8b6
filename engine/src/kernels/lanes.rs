//! Sixteen lanes: the vector on which all kernels but the integer inner loops are written once.
//!
//! A channel block is always 16 channels wide, so one `F` (16 x f32) or `I` (16 x i32) is two ymm registers with
//! AVX2, four q registers with NEON, and an array in the scalar implementation, which is the specification: the
//! vector implementations do exactly these IEEE operations, one rounding each, and never fuse a multiplication with
//! an addition.

/// Lanes of a vector.
pub const LANES: usize = 16;

/// Operations on 16 lanes.
///
/// # Safety
/// All functions are unsafe because vector implementations need their CPU features; functions that take a pointer also
/// need the stated number of elements to be readable or writable there (no alignment is needed).
pub trait Lanes: Copy {
    /// 16 x f32.
    type F: Copy;
    /// 16 x i32.
    type I: Copy;
    /// 16 x u8.
    type B: Copy;
    /// Vectors that are taken through a long function together: 4, 2 or 1, as the registers allow.
    const UNROLL: usize;

    /// All lanes `x`.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn splat(x: f32) -> Self::F;
    /// All lanes `x`.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn splat_i(x: i32) -> Self::I;
    /// Reads 16 elements.
    ///
    /// # Safety
    /// 16 elements are readable at `p`; the caller has the CPU features of this implementation.
    unsafe fn load(p: *const f32) -> Self::F;
    /// Reads 16 elements.
    ///
    /// # Safety
    /// 16 elements are readable at `p`; the caller has the CPU features of this implementation.
    unsafe fn load_i(p: *const i32) -> Self::I;
    /// Reads 16 bytes as they are.
    ///
    /// # Safety
    /// 16 elements are readable at `p`; the caller has the CPU features of this implementation.
    unsafe fn load_b(p: *const u8) -> Self::B;
    /// Lane maximum.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn max_b(a: Self::B, b: Self::B) -> Self::B;
    /// Zero-extends.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn widen(b: Self::B) -> Self::I;
    /// Low bytes; lanes must be in 0..=255.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn narrow(v: Self::I) -> Self::B;
    /// Writes 16 bytes.
    ///
    /// # Safety
    /// 16 elements are writable at `p`; the caller has the CPU features of this implementation.
    unsafe fn store_b(p: *mut u8, v: Self::B);
    /// Writes 16 elements.
    ///
    /// # Safety
    /// 16 elements are writable at `p`; the caller has the CPU features of this implementation.
    unsafe fn store(p: *mut f32, v: Self::F);
    /// Writes 16 elements.
    ///
    /// # Safety
    /// 16 elements are writable at `p`; the caller has the CPU features of this implementation.
    unsafe fn store_i(p: *mut i32, v: Self::I);
    /// Lane sum.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    /// Lane difference.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    /// Lane product.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// Lane quotient.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// Lane minimum (no NaN).
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// Lane maximum (no NaN).
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    /// Wrapping lane sum.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I;
    /// Shift left by 23, into the exponent of an f32.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn shl23(a: Self::I) -> Self::I;
    /// i32 to f32, to nearest.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn to_f(a: Self::I) -> Self::F;
    /// Bits as integers.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn bits(a: Self::F) -> Self::I;
    /// Integers as bits.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn from_bits(a: Self::I) -> Self::F;
    /// Square root of one number, correctly rounded.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    unsafe fn sqrt1(x: f32) -> f32;

    /// Reads 16 bytes, zero-extended.
    ///
    /// # Safety
    /// 16 elements are readable at `p`; the caller has the CPU features of this implementation.
    #[inline(always)]
    unsafe fn load_u8(p: *const u8) -> Self::I {
        // SAFETY: the caller grants 16 readable bytes at p.
        unsafe { Self::widen(Self::load_b(p)) }
    }

    /// Reads the first `n` (1..=16) bytes and nothing past them; other lanes are 0. For tensors that are changed in
    /// place: what lies past the row may be written by another thread.
    ///
    /// # Safety
    /// `n` elements are readable at `p`; the caller has the CPU features of this implementation.
    #[inline(always)]
    unsafe fn load_b_n(p: *const u8, n: usize) -> Self::B {
        // SAFETY: the caller grants n readable bytes at p.
        unsafe {
            if n >= LANES {
                return Self::load_b(p);
            }
            let mut t = [0u8; LANES];
            copy_small(p, t.as_mut_ptr(), n);
            Self::load_b(t.as_ptr())
        }
    }

    /// [`load_b_n`](Self::load_b_n), zero-extended.
    ///
    /// # Safety
    /// `n` elements are readable at `p`; the caller has the CPU features of this implementation.
    #[inline(always)]
    unsafe fn load_u8_n(p: *const u8, n: usize) -> Self::I {
        // SAFETY: the caller grants n readable bytes at p.
        unsafe { Self::widen(Self::load_b_n(p, n)) }
    }

    /// Writes the first `n` (1..=16) bytes.
    ///
    /// # Safety
    /// `n` elements are writable at `p`; the caller has the CPU features of this implementation.
    #[inline(always)]
    unsafe fn store_b_n(p: *mut u8, v: Self::B, n: usize) {
        // SAFETY: the caller grants n writable bytes at p.
        unsafe {
            if n >= LANES {
                return Self::store_b(p, v);
            }
            let mut t = [0u8; LANES];
            Self::store_b(t.as_mut_ptr(), v);
            copy_small(t.as_ptr(), p, n);
        }
    }

    /// Writes the first `n` (1..=16) lanes as bytes; lanes must be in 0..=255.
    ///
    /// # Safety
    /// `n` elements are writable at `p`; the caller has the CPU features of this implementation.
    #[inline(always)]
    unsafe fn store_u8_n(p: *mut u8, v: Self::I, n: usize) {
        // SAFETY: the caller grants n writable bytes at p.
        unsafe { Self::store_b_n(p, Self::narrow(v), n) }
    }

    /// Writes the first `n` (1..=16) lanes.
    ///
    /// # Safety
    /// `n` elements are writable at `p`; the caller has the CPU features of this implementation.
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, v: Self::F, n: usize) {
        // SAFETY: the caller grants n writable elements at p.
        unsafe {
            if n >= LANES {
                return Self::store(p, v);
            }
            let mut t = [0f32; LANES];
            Self::store(t.as_mut_ptr(), v);
            for (i, x) in t.iter().enumerate().take(n) {
                *p.add(i) = *x;
            }
        }
    }

    /// Reads the first `n` (1..=16) elements and nothing past them; other lanes are 0.
    ///
    /// # Safety
    /// `n` elements are readable at `p`; the caller has the CPU features of this implementation.
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> Self::F {
        // SAFETY: the caller grants n readable elements at p.
        unsafe {
            if n >= LANES {
                return Self::load(p);
            }
            let mut t = [0f32; LANES];
            for (i, t) in t.iter_mut().enumerate().take(n) {
                *t = *p.add(i);
            }
            Self::load(t.as_ptr())
        }
    }

    /// Sum of the lanes as a tree: lane i with i+8, then i+4, i+2, i+1.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    #[inline(always)]
    unsafe fn sum(v: Self::F) -> f32 {
        let mut t = [0f32; LANES];
        // SAFETY: t holds 16 elements.
        unsafe { Self::store(t.as_mut_ptr(), v) };
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                t[i] += t[i + half];
            }
            half /= 2;
        }
        t[0]
    }

    /// Largest lane.
    ///
    /// # Safety
    /// The caller has the CPU features of this implementation.
    #[inline(always)]
    unsafe fn max1(v: Self::F) -> f32 {
        let mut t = [0f32; LANES];
        // SAFETY: t holds 16 elements.
        unsafe { Self::store(t.as_mut_ptr(), v) };
        t.iter().fold(t[0], |m, &x| if x > m { x } else { m })
    }
}

/// Copies `n` < 16 bytes without a call.
///
/// # Safety
/// `n` bytes are readable at `s` and writable at `d`.
#[inline(always)]
unsafe fn copy_small(s: *const u8, d: *mut u8, n: usize) {
    // SAFETY: each step copies within n bytes.
    unsafe {
        let mut i = 0;
        if n & 8 != 0 {
            core::ptr::copy_nonoverlapping(s, d, 8);
            i = 8;
        }
        if n & 4 != 0 {
            core::ptr::copy_nonoverlapping(s.add(i), d.add(i), 4);
            i += 4;
        }
        while i < n {
            *d.add(i) = *s.add(i);
            i += 1;
        }
    }
}

/// The functions of a vector implementation of [`Lanes`], without what is the same for each.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! vector_functions {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? { $($body:tt)* })*) => {$(
        #[inline(always)]
        #[allow(unused_unsafe)] // some bodies need no more than safe intrinsics
        unsafe fn $name($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the caller has the CPU features of the implementation, and its pointers reach as many elements
            // as the trait asks for; nothing past them is touched.
            unsafe { $($body)* }
        }
    )*};
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use vector_functions;
