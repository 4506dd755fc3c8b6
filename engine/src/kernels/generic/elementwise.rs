//! Element-wise u8 kernels: one row at a time, a block of 16 channels over all pixels of the row, then the next block.
//!
//! Where the input may be the output, the last block is read no further than its channels reach: past them may lie a
//! row that another thread is writing.

use crate::kernels::args::{BinaryArgs, ConvertArgs, RequantArgs, ScaleArgs};
use crate::kernels::lanes::{LANES, Lanes};
use crate::kernels::math::ToU8;

/// out[x * step ..][..step] = requant(src[x]).
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`RequantArgs`].
#[inline(always)]
pub unsafe fn requant<L: Lanes>(a: &RequantArgs) {
    let mut c = 0;
    while c < a.c {
        let n = (a.c - c).min(LANES);
        // SAFETY: n lanes are read and written.
        unsafe {
            let mut out = a.out.add(c);
            if let Some(r) = a.requant {
                let (zero, mul) = (L::splat(f32::from(r.zero_in)), L::splat(r.mul));
                let round = ToU8::<L>::new(r.zero_out, r.lo);
                for x in 0..a.w {
                    let v = L::to_f(L::load_u8_n(a.src.add(x * a.src_stride + c), n));
                    let q = L::narrow(round.apply(L::mul(L::sub(v, zero), mul)));
                    for _ in 0..a.step {
                        L::store_b_n(out, q, n);
                        out = out.add(a.out_stride);
                    }
                }
            } else {
                for x in 0..a.w {
                    let q = L::load_b_n(a.src.add(x * a.src_stride + c), n);
                    for _ in 0..a.step {
                        L::store_b_n(out, q, n);
                        out = out.add(a.out_stride);
                    }
                }
            }
        }
        c += LANES;
    }
}

/// out = a * a_mul + b * b_mul in real numbers.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`BinaryArgs`].
#[inline(always)]
pub unsafe fn add<L: Lanes>(a: &BinaryArgs) {
    // SAFETY: b has slack for full blocks; of a, n lanes are read; n lanes are written.
    unsafe {
        let (za, ma) = (L::splat(f32::from(a.a_zero)), L::splat(a.a_mul));
        let (zb, mb) = (L::splat(f32::from(a.b_zero)), L::splat(a.b_mul));
        let round = ToU8::<L>::new(a.zero_out, a.lo);
        let mut c = 0;
        while c < a.c {
            let n = (a.c - c).min(LANES);
            let (mut x, mut bx) = (0, 0);
            while x < a.w {
                let vb = L::to_f(L::load_u8(a.b.add(bx * a.b_stride + c)));
                let vb = L::mul(L::sub(vb, zb), mb);
                let end = (x + a.b_step).min(a.w);
                while x < end {
                    let va = L::to_f(L::load_u8_n(a.a.add(x * a.a_stride + c), n));
                    let y = L::add(L::mul(L::sub(va, za), ma), vb);
                    L::store_u8_n(a.out.add(x * a.out_stride + c), round.apply(y), n);
                    x += 1;
                }
                bx += 1;
            }
            c += LANES;
        }
    }
}

/// out = (a - za) * (b - zb) * a_mul.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`BinaryArgs`].
#[inline(always)]
pub unsafe fn mul<L: Lanes>(a: &BinaryArgs) {
    // SAFETY: n lanes are read and written.
    unsafe {
        let (za, zb, m) = (L::splat(f32::from(a.a_zero)), L::splat(f32::from(a.b_zero)), L::splat(a.a_mul));
        let round = ToU8::<L>::new(a.zero_out, a.lo);
        let mut c = 0;
        while c < a.c {
            let n = (a.c - c).min(LANES);
            for x in 0..a.w {
                let va = L::sub(L::to_f(L::load_u8_n(a.a.add(x * a.a_stride + c), n)), za);
                let vb = L::sub(L::to_f(L::load_u8_n(a.b.add(x * a.b_stride + c), n)), zb);
                let y = L::mul(L::mul(va, vb), m);
                L::store_u8_n(a.out.add(x * a.out_stride + c), round.apply(y), n);
            }
            c += LANES;
        }
    }
}

/// out = (x - zero) * ((s + plus) * mul).
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`ScaleArgs`].
#[inline(always)]
pub unsafe fn channel_scale<L: Lanes>(a: &ScaleArgs) {
    // SAFETY: `scale` is padded to 16; n lanes of the input are read, n lanes are written.
    unsafe {
        let r = a.requant;
        let (zero, plus, mul) = (L::splat(f32::from(r.zero_in)), L::splat(a.plus), L::splat(r.mul));
        let round = ToU8::<L>::new(r.zero_out, r.lo);
        let mut c = 0;
        while c < a.c {
            let n = (a.c - c).min(LANES);
            let factor = L::mul(L::add(L::load(a.scale.add(c)), plus), mul);
            for x in 0..a.w {
                let v = L::sub(L::to_f(L::load_u8_n(a.src.add(x * a.src_stride + c), n)), zero);
                L::store_u8_n(a.out.add(x * a.out_stride + c), round.apply(L::mul(v, factor)), n);
            }
            c += LANES;
        }
    }
}

/// f = (q - zero) * mul.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`ConvertArgs`].
#[inline(always)]
pub unsafe fn dequantise<L: Lanes>(a: &ConvertArgs) {
    // SAFETY: q has slack for full blocks; n lanes are written.
    unsafe {
        let (zero, mul) = (L::splat(f32::from(a.zero)), L::splat(a.mul));
        let mut c = 0;
        while c < a.c {
            let n = (a.c - c).min(LANES);
            for x in 0..a.w {
                let v = L::sub(L::to_f(L::load_u8(a.q.add(x * a.q_stride + c))), zero);
                L::store_n(a.f.add(x * a.f_stride + c), L::mul(v, mul), n);
            }
            c += LANES;
        }
    }
}

/// q = clamp(round(f * mul) + zero, 0, 255).
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`ConvertArgs`].
#[inline(always)]
pub unsafe fn quantise<L: Lanes>(a: &ConvertArgs) {
    // SAFETY: f has slack for full blocks; n lanes are written.
    unsafe {
        let mul = L::splat(a.mul);
        let round = ToU8::<L>::new(a.zero, 0);
        let mut c = 0;
        while c < a.c {
            let n = (a.c - c).min(LANES);
            for x in 0..a.w {
                let v = L::mul(L::load(a.f.add(x * a.f_stride + c)), mul);
                L::store_u8_n(a.q.add(x * a.q_stride + c), round.apply(v), n);
            }
            c += LANES;
        }
    }
}
