//! The recogniser's last layer: quantised tokens and logits.

use crate::kernels::args::{LogitsArgs, TokenArgs};
use crate::kernels::lanes::{LANES, Lanes};
use crate::kernels::math::ToU8;

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

/// logit = (acc + correction) * mul * token_scale + bias, for a block of 16 classes of all tokens.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`LogitsArgs`].
#[inline(always)]
pub unsafe fn logits<L: Lanes>(a: &LogitsArgs) {
    // SAFETY: acc and token_scale hold `tokens` entries, the block's parameters 16; `cols` numbers are written for
    // each token.
    unsafe {
        let (correction, mul, bias) = (L::load_i(a.correction), L::load(a.mul), L::load(a.bias));
        for t in 0..a.tokens {
            let acc = L::to_f(L::add_i(L::load_i(a.acc.add(t * LANES)), correction));
            let logit = L::add(L::mul(L::mul(acc, mul), L::splat(*a.token_scale.add(t))), bias);
            L::store_n(a.out.add(t * a.out_stride), logit, a.cols);
        }
    }
}
