//! The recogniser's last layer: quantised tokens, logits, best class and its probability without storing all classes.

use crate::kernels::args::{LogitsArgs, NEVER, TokenArgs};
use crate::kernels::lanes::{LANES, Lanes};
use crate::kernels::math::{self, ToU8};

/// q = round(x * 127 / max|x|) + 128; scale = max|x| / 127 (1 for a token of zeros).
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
#[inline(always)]
pub unsafe fn logits<L: Lanes>(a: &LogitsArgs) {
    // SAFETY: acc, state and token_scale hold `tokens` entries; the block's parameters hold 16.
    unsafe {
        let (correction, mul, bias) = (L::load_i(a.correction), L::load(a.mul), L::load(a.bias));
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
        let (exists_cap, allowed_cap) = (L::load(exists.as_ptr()), L::load(allowed.as_ptr()));
        let class = L::load_i(class.as_ptr());
        for t in 0..a.tokens {
            let acc = L::to_f(L::add_i(L::load_i(a.acc.add(t * LANES)), correction));
            let x = L::add(L::mul(L::mul(acc, mul), L::splat(*a.token_scale.add(t))), bias);
            if !a.out.is_null() {
                let n = (a.exists.count_ones() as usize).min(LANES);
                L::store_n(a.out.add(t * a.out_stride + a.class), x, n);
                continue;
            }
            let s = &mut *a.state.add(t);
            let x_all = L::min(x, exists_cap);
            let (mut max, mut sum) = (L::load(s.max.as_ptr()), L::load(s.sum.as_ptr()));
            if L::any_gt(x_all, max) {
                let grown = L::max(max, x_all);
                sum = L::mul(sum, math::exp::<L>(L::sub(max, grown)));
                max = grown;
                L::store(s.max.as_mut_ptr(), max);
            }
            sum = L::add(sum, math::exp::<L>(L::sub(x_all, max)));
            L::store(s.sum.as_mut_ptr(), sum);
            let x = L::min(x, allowed_cap);
            let best = L::load(s.best.as_ptr());
            if L::any_gt(x, best) {
                L::store_i(s.class.as_mut_ptr(), L::select_gt(x, best, class, L::load_i(s.class.as_ptr())));
                L::store(s.best.as_mut_ptr(), L::max(best, x));
            }
        }
    }
}
