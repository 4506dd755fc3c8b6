//! Poolings of u8 tensors.

use crate::kernels::args::{PoolArgs, SumArgs};
use crate::kernels::lanes::{LANES, Lanes};
use crate::kernels::math::ToU8;

/// Part of the window `k` at position `o * s - pad` that lies inside `0..n`.
#[inline(always)]
fn clip(o: usize, s: usize, pad: usize, k: usize, n: usize) -> (usize, usize) {
    let start = (o * s).saturating_sub(pad);
    let end = (o * s + k).saturating_sub(pad).min(n);
    (start.min(end), end)
}

/// Maximum over the pixels inside the image.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`PoolArgs`].
#[inline(always)]
pub unsafe fn max_pool<L: Lanes>(a: &PoolArgs) {
    let w = a.window;
    let (y0, y1) = clip(a.y, w.sh, w.pad_top, w.kh, a.h);
    // SAFETY: the clipped window lies inside the input, which has slack; n lanes are written.
    unsafe {
        let mut c = 0;
        while c < a.c {
            let n = (a.c - c).min(LANES);
            let mut done = 0;
            if a.requant.is_none() && (y1 - y0, w.kw, w.sw, w.pad_left) == (2, 2, 1, 0) {
                done = a.ow.min(a.w - 1);
                max_2x2::<L>(a, a.src.add(y0 * a.w * a.stride + c), done, c, n);
            }
            for x in done..a.ow {
                let (x0, x1) = clip(x, w.sw, w.pad_left, w.kw, a.w);
                let first = a.src.add((y0 * a.w + x0) * a.stride + c);
                let mut m = L::load_b(first);
                for iy in 0..y1 - y0 {
                    for ix in 0..x1 - x0 {
                        m = L::max_b(m, L::load_b(first.add((iy * a.w + ix) * a.stride)));
                    }
                }
                if let Some(r) = a.requant {
                    let v = L::sub(L::to_f(L::widen(m)), L::splat(f32::from(r.zero_in)));
                    m = L::narrow(ToU8::<L>::new(r.zero_out, r.lo).apply(L::mul(v, L::splat(r.mul))));
                }
                L::store_b_n(a.out.add(x * a.out_stride + c), m, n);
            }
            c += LANES;
        }
    }
}

/// The first `done` pixels when windows are 2x2 and whole and each is one column further: the right column is the
/// next one's left.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`PoolArgs`].
#[inline(always)]
unsafe fn max_2x2<L: Lanes>(a: &PoolArgs, mut src: *const u8, done: usize, c: usize, n: usize) {
    // SAFETY: as in `max_pool`; columns 0..=done exist.
    unsafe {
        let below = a.w * a.stride;
        let mut left = L::max_b(L::load_b(src), L::load_b(src.add(below)));
        let mut out = a.out.add(c);
        for _ in 0..done {
            src = src.add(a.stride);
            let right = L::max_b(L::load_b(src), L::load_b(src.add(below)));
            L::store_b_n(out, L::max_b(left, right), n);
            left = right;
            out = out.wrapping_add(a.out_stride);
        }
    }
}

/// Mean: `(sum - pixels * zero) * (mul / divisor)`, where pixels are those inside the image.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`PoolArgs`].
#[inline(always)]
pub unsafe fn avg_pool<L: Lanes>(a: &PoolArgs) {
    let w = a.window;
    let Some(r) = a.requant else { return };
    let (y0, y1) = clip(a.y, w.sh, w.pad_top, w.kh, a.h);
    // SAFETY: the clipped window lies inside the input, which has slack; n lanes are written.
    unsafe {
        let round = ToU8::<L>::new(r.zero_out, r.lo);
        let mut c = 0;
        while c < a.c {
            let n = (a.c - c).min(LANES);
            for x in 0..a.ow {
                let (x0, x1) = clip(x, w.sw, w.pad_left, w.kw, a.w);
                let pixels = (y1 - y0) * (x1 - x0);
                let mut s = L::splat_i(-((pixels * usize::from(r.zero_in)) as i32));
                for iy in y0..y1 {
                    for ix in x0..x1 {
                        s = L::add_i(s, L::load_u8(a.src.add((iy * a.w + ix) * a.stride + c)));
                    }
                }
                let divisor = if a.include_pad { w.kh * w.kw } else { pixels.max(1) };
                let y = L::mul(L::to_f(s), L::splat(r.mul / divisor as f32));
                L::store_u8_n(a.out.add(x * a.out_stride + c), round.apply(y), n);
            }
            c += LANES;
        }
    }
}

/// Sums over pixels.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`SumArgs`].
#[inline(always)]
pub unsafe fn global_sum<L: Lanes>(a: &SumArgs) {
    // Pixels in chunks that stay in the first cache while all channel blocks pass over them.
    const CHUNK: usize = 64;
    let mut first = 0;
    while first < a.pixels {
        let count = (a.pixels - first).min(CHUNK);
        let mut c = 0;
        while c < a.c {
            let n = (a.c - c).min(LANES);
            // SAFETY: the input has slack for full blocks; n sums are written.
            unsafe {
                let src = a.src.add(first * a.stride + c);
                let mut s = L::splat_i(0);
                for p in 0..count {
                    s = L::add_i(s, L::load_u8(src.add(p * a.stride)));
                }
                let mut t = [0i32; LANES];
                L::store_i(t.as_mut_ptr(), s);
                for (i, &v) in t.iter().enumerate().take(n) {
                    let old = if first == 0 { 0 } else { *a.sums.add(c + i) };
                    *a.sums.add(c + i) = old.wrapping_add(v as u32);
                }
            }
            c += LANES;
        }
        first += CHUNK;
    }
}
