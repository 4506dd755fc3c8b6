//! Kernels of the f32 islands.

use super::epilogue::{Act, with_act};
use crate::kernels::args::{Activation, DepthwiseF32Args, MapF32Args, MatmulArgs, NormArgs};
use crate::kernels::lanes::{LANES, Lanes};
use crate::kernels::math;

/// out = act(a + b), or act(a) when b is null.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`MapF32Args`].
#[inline(always)]
pub unsafe fn map_f32<L: Lanes>(a: &MapF32Args) {
    // SAFETY: passed on.
    unsafe { with_act!(a.act, 1.0, map_run::<L>(a)) }
}

/// # Safety
/// The contract of [`crate::kernels::args`] for [`MapF32Args`].
#[inline(always)]
unsafe fn map_run<L: Lanes, A: Act<L>>(a: &MapF32Args, act: A) {
    let mut c = 0;
    while c < a.c {
        let n = (a.c - c).min(LANES);
        for x in 0..a.w {
            // SAFETY: n lanes are read and written: either input may be the output, and past its row another thread
            // may write.
            unsafe {
                let mut v = L::load_n(a.a.add(x * a.a_stride + c), n);
                if !a.b.is_null() {
                    v = L::add(v, L::load_n(a.b.add(x * a.b_stride + c), n));
                }
                L::store_n(a.out.add(x * a.out_stride + c), act.one(v), n);
            }
        }
        c += LANES;
    }
}

/// out = act(a b + bias) + res; each sum runs over k in ascending order, starting from the bias.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`MatmulArgs`].
#[inline(always)]
pub unsafe fn matmul<L: Lanes>(a: &MatmulArgs) {
    // SAFETY: passed on.
    unsafe { with_act!(a.act, 1.0, matmul_run::<L>(a)) }
}

/// # Safety
/// The contract of [`crate::kernels::args`] for [`MatmulArgs`].
#[inline(always)]
unsafe fn matmul_run<L: Lanes, A: Act<L>>(a: &MatmulArgs, act: A) {
    let mut t = 0;
    // SAFETY: rows t..t+ROWS exist; see `matmul_rows`.
    unsafe {
        // As many chains of additions as there are registers for.
        while L::UNROLL == 4 && t + 8 <= a.t {
            matmul_rows::<L, A, 8>(a, act, t);
            t += 8;
        }
        while t + 4 <= a.t {
            matmul_rows::<L, A, 4>(a, act, t);
            t += 4;
        }
        while t < a.t {
            matmul_rows::<L, A, 1>(a, act, t);
            t += 1;
        }
    }
}

/// # Safety
/// The contract of [`crate::kernels::args`] for [`MatmulArgs`].
#[inline(always)]
unsafe fn matmul_rows<L: Lanes, A: Act<L>, const ROWS: usize>(a: &MatmulArgs, act: A, t: usize) {
    let mut n0 = 0;
    while n0 < a.n {
        let n = (a.n - n0).min(LANES);
        // SAFETY: b holds k vectors for each started block of 16 columns, bias is padded to 16, and n lanes of
        // residuals (which may be the output) are read and of the output written.
        unsafe {
            let b = a.b.add(n0 * a.k);
            let row = a.a.add(t * a.a_stride);
            let mut s = [L::load(a.bias.add(n0)); ROWS];
            for k in 0..a.k {
                let w = L::load(b.add(k * LANES));
                for (i, s) in s.iter_mut().enumerate() {
                    *s = L::add(*s, L::mul(L::splat(*row.add(i * a.a_stride + k)), w));
                }
            }
            for (i, s) in s.iter().enumerate() {
                let mut y = act.one(*s);
                if !a.res.is_null() {
                    y = L::add(y, L::load_n(a.res.add((t + i) * a.res_stride + n0), n));
                }
                L::store_n(a.out.add((t + i) * a.out_stride + n0), y, n);
            }
        }
        n0 += LANES;
    }
}

/// Sum of f(x[i]) over c elements: 16 partial sums (element i goes to lane i mod 16), then a tree.
///
/// # Safety
/// `c` numbers are readable at `p`; the caller has the CPU features of `L`.
#[inline(always)]
unsafe fn sum_by<L: Lanes>(p: *const f32, c: usize, f: impl Fn(L::F) -> L::F) -> f32 {
    // SAFETY: full blocks are read inside c elements; the rest through a copy.
    unsafe {
        let mut s = L::splat(0.0);
        let mut i = 0;
        while i + LANES <= c {
            s = L::add(s, f(L::load(p.add(i))));
            i += LANES;
        }
        let mut total = [0f32; LANES];
        L::store(total.as_mut_ptr(), s);
        if i < c {
            let mut m = [0f32; LANES];
            L::store(m.as_mut_ptr(), f(L::load_n(p.add(i), c - i)));
            for j in 0..c - i {
                total[j] += m[j];
            }
        }
        L::sum(L::load(total.as_ptr()))
    }
}

/// (x - mean) / sqrt(variance + eps) * gamma + beta.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`NormArgs`].
#[inline(always)]
pub unsafe fn layer_norm<L: Lanes>(a: &NormArgs) {
    // SAFETY: src holds c elements and slack, gamma and beta are padded to 16, n lanes are written.
    unsafe {
        let n = a.c as f32;
        let mean = sum_by::<L>(a.src, a.c, |x| x) / n;
        let m = L::splat(mean);
        let variance = sum_by::<L>(a.src, a.c, |x| {
            let d = L::sub(x, m);
            L::mul(d, d)
        }) / n;
        let inv = L::splat(1.0 / L::sqrt1(variance + a.eps));
        let mut c = 0;
        while c < a.c {
            let d = L::mul(L::sub(L::load(a.src.add(c)), m), inv);
            let y = L::add(L::mul(d, L::load(a.gamma.add(c))), L::load(a.beta.add(c)));
            L::store_n(a.out.add(c), y, (a.c - c).min(LANES));
            c += LANES;
        }
    }
}

/// Largest of c elements.
///
/// # Safety
/// `c` >= 1 numbers are readable at `p`; the caller has the CPU features of `L`.
#[inline(always)]
pub unsafe fn max_of<L: Lanes>(p: *const f32, c: usize) -> f32 {
    // SAFETY: reads stay inside c elements.
    unsafe {
        let mut i = 0;
        let mut m = *p;
        if c >= LANES {
            let mut v = L::load(p);
            while i + LANES <= c {
                v = L::max(v, L::load(p.add(i)));
                i += LANES;
            }
            m = L::max1(v);
        }
        while i < c {
            if *p.add(i) > m {
                m = *p.add(i);
            }
            i += 1;
        }
        m
    }
}

/// out = e^(x - max) / sum, possibly in place, without reading past c elements (gamma, beta and eps are not used).
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`NormArgs`].
#[inline(always)]
pub unsafe fn softmax<L: Lanes>(a: &NormArgs) {
    // SAFETY: src holds c elements and slack, n lanes are written.
    unsafe {
        let max = L::splat(max_of::<L>(a.src, a.c));
        let mut c = 0;
        while c < a.c {
            let n = (a.c - c).min(LANES);
            let e = math::exp::<L, 1>([L::sub(L::load_n(a.src.add(c), n), max)])[0];
            L::store_n(a.out.add(c), e, n);
            c += LANES;
        }
        let inv = L::splat(1.0 / sum_by::<L>(a.out, a.c, |x| x));
        let mut c = 0;
        while c < a.c {
            let n = (a.c - c).min(LANES);
            L::store_n(a.out.add(c), L::mul(L::load_n(a.out.add(c), n), inv), n);
            c += LANES;
        }
    }
}

/// Depthwise convolution: sums run over the taps inside the image in ascending order, starting from the bias.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`DepthwiseF32Args`].
#[inline(always)]
pub unsafe fn depthwise_f32<L: Lanes>(a: &DepthwiseF32Args) {
    // SAFETY: passed on.
    unsafe { with_act!(a.act, 1.0, depthwise_run::<L>(a)) }
}

/// # Safety
/// The contract of [`crate::kernels::args`] for [`DepthwiseF32Args`].
#[inline(always)]
unsafe fn depthwise_run<L: Lanes, A: Act<L>>(a: &DepthwiseF32Args, act: A) {
    let w = a.window;
    let mut c = 0;
    while c < a.c {
        let n = (a.c - c).min(LANES);
        for x in 0..a.ow {
            // SAFETY: only pixels inside the input are read (it has slack); weights and bias are padded to 16; n
            // lanes are written.
            unsafe {
                let weights = a.weights.add(c * w.kh * w.kw);
                let mut s = L::load(a.bias.add(c));
                for ky in 0..w.kh {
                    let iy = (a.y * w.sh + ky).wrapping_sub(w.pad_top);
                    for kx in 0..w.kw {
                        let ix = (x * w.sw + kx).wrapping_sub(w.pad_left);
                        if iy < a.h && ix < a.w {
                            let v = L::load(a.src.add((iy * a.w + ix) * a.stride + c));
                            s = L::add(s, L::mul(v, L::load(weights.add((ky * w.kw + kx) * LANES))));
                        }
                    }
                }
                L::store_n(a.out.add(x * a.out_stride + c), act.one(s), n);
            }
        }
        c += LANES;
    }
}
