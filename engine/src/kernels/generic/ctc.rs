//! The recogniser's last layer: quantised tokens, logits, best class and its probability without storing all classes.

use crate::kernels::args::{LogitsArgs, NEVER, TokenArgs};
use crate::kernels::lanes::{LANES, Lanes};
use crate::kernels::math::{self, ToU8};

/// q = round(x * 127 / max|x|) + 128; scale = max|x| / 127 (1 for a token of zeros).
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`TokenArgs`].
#[inline(always)]
pub unsafe fn quantise_token<L: Lanes>(a: &TokenArgs) {
    // SAFETY: src holds k numbers and slack; k bytes and the scale are written.
    unsafe {
        let mut largest = 0f32;
        for i in 0..a.k {
            let x = (*a.src.add(i)).abs();
            if x > largest {
                largest = x;
            }
        }
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        *a.scale = scale;
        let inv = L::splat(1.0 / scale);
        let round = ToU8::<L>::new(128, 1);
        let mut i = 0;
        while i < a.k {
            let q = round.apply(L::mul(L::load(a.src.add(i)), inv));
            L::store_u8_n(a.out.add(i), q, (a.k - i).min(LANES));
            i += LANES;
        }
    }
}

/// logit = (acc + correction) * mul * token_scale + bias, for 16 classes of all tokens; then the running softmax
/// or, when `out` is set, the logits as they are.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`LogitsArgs`].
#[inline(always)]
pub unsafe fn logits<L: Lanes>(a: &LogitsArgs) {
    // SAFETY: acc, state and token_scale hold `tokens` entries; the block's parameters hold 16.
    unsafe {
        let mut t = 0;
        if a.out.is_null() {
            let b = Block::<L>::new(a);
            while L::TOGETHER == 4 && t + 4 <= a.tokens {
                b.tokens::<4>(a, t);
                t += 4;
            }
            while L::TOGETHER == 2 && t + 2 <= a.tokens {
                b.tokens::<2>(a, t);
                t += 2;
            }
            while t < a.tokens {
                b.tokens::<1>(a, t);
                t += 1;
            }
            return;
        }
        let n = (a.exists.count_ones() as usize).min(LANES);
        let b = Block::<L>::new(a);
        while t < a.tokens {
            L::store_n(a.out.add(t * a.out_stride + a.class), b.logit(a, t), n);
            t += 1;
        }
    }
}

/// What a block's tokens share.
struct Block<L: Lanes> {
    correction: L::I,
    mul: L::F,
    bias: L::F,
    /// Infinity where a class exists, else [`NEVER`].
    exists_cap: L::F,
    /// The same for classes that may be chosen.
    allowed_cap: L::F,
    class: L::I,
}

impl<L: Lanes> Block<L> {
    /// # Safety
    /// The contract of [`crate::kernels::args`] for [`LogitsArgs`].
    #[inline(always)]
    unsafe fn new(a: &LogitsArgs) -> Self {
        let (mut exists, mut allowed, mut class) = ([NEVER; LANES], [NEVER; LANES], [0i32; LANES]);
        for i in 0..LANES {
            if a.exists >> i & 1 == 1 {
                exists[i] = f32::INFINITY;
            }
            if (a.exists & a.allowed) >> i & 1 == 1 {
                allowed[i] = f32::INFINITY;
            }
            class[i] = (a.class + i) as i32;
        }
        // SAFETY: the block's parameters hold 16.
        unsafe {
            Block {
                correction: L::load_i(a.correction),
                mul: L::load(a.mul),
                bias: L::load(a.bias),
                exists_cap: L::load(exists.as_ptr()),
                allowed_cap: L::load(allowed.as_ptr()),
                class: L::load_i(class.as_ptr()),
            }
        }
    }

    /// # Safety
    /// The contract of [`crate::kernels::args`] for [`LogitsArgs`].
    #[inline(always)]
    unsafe fn logit(&self, a: &LogitsArgs, t: usize) -> L::F {
        // SAFETY: token t exists.
        unsafe {
            let acc = L::to_f(L::add_i(L::load_i(a.acc.add(t * LANES)), self.correction));
            L::add(L::mul(L::mul(acc, self.mul), L::splat(*a.token_scale.add(t))), self.bias)
        }
    }

    /// Running softmax of `N` tokens from `t` on.
    ///
    /// # Safety
    /// The contract of [`crate::kernels::args`] for [`LogitsArgs`].
    #[inline(always)]
    unsafe fn tokens<const N: usize>(&self, a: &LogitsArgs, t: usize) {
        // SAFETY: these tokens exist.
        unsafe {
            let mut difference = [self.mul; N];
            for (i, difference) in difference.iter_mut().enumerate() {
                let x = self.logit(a, t + i);
                let s = &mut *a.state.add(t + i);
                let x_all = L::min(x, self.exists_cap);
                let mut max = L::load(s.max.as_ptr());
                if L::any_gt(x_all, max) {
                    let grown = L::max(max, x_all);
                    let sum = L::mul(L::load(s.sum.as_ptr()), math::exp::<L, 1>([L::sub(max, grown)])[0]);
                    L::store(s.sum.as_mut_ptr(), sum);
                    max = grown;
                    L::store(s.max.as_mut_ptr(), max);
                }
                *difference = L::sub(x_all, max);
                let x = L::min(x, self.allowed_cap);
                let best = L::load(s.best.as_ptr());
                if L::any_gt(x, best) {
                    L::store_i(s.class.as_mut_ptr(), L::select_gt(x, best, self.class, L::load_i(s.class.as_ptr())));
                    L::store(s.best.as_mut_ptr(), L::max(best, x));
                }
            }
            for (i, e) in math::exp::<L, N>(difference).into_iter().enumerate() {
                let sum = &mut (*a.state.add(t + i)).sum;
                L::store(sum.as_mut_ptr(), L::add(L::load(sum.as_ptr()), e));
            }
        }
    }
}
