//! Multi-head attention for a few hundred tokens.

use crate::kernels::args::AttentionArgs;
use crate::kernels::lanes::{LANES, Lanes};
use crate::kernels::math;

/// For each query: scores over all keys (16 keys a vector, sum over d in ascending order), softmax, weighted sum of the
/// values (sum over keys in ascending order), one division at the end.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`AttentionArgs`].
#[inline(always)]
pub unsafe fn attention<L: Lanes>(a: &AttentionArgs) {
    let t16 = a.t.next_multiple_of(LANES);
    let (keys, scores) = (a.scratch, a.scratch.wrapping_add(a.d * t16));
    for head in 0..a.heads {
        // SAFETY: qkv holds t tokens of 3 * heads * d numbers and slack; scratch holds (d + 1) * t16; d numbers a
        // token and head are written.
        unsafe {
            let q = a.qkv.add(head * a.d);
            let k = a.qkv.add((a.heads + head) * a.d);
            let v = a.qkv.add((2 * a.heads + head) * a.d);
            // Keys transposed to [d][t16], so that scores of 16 keys are one vector.
            for i in 0..a.d {
                for j in 0..t16 {
                    *keys.add(i * t16 + j) = if j < a.t { *k.add(j * a.stride + i) } else { 0.0 };
                }
            }
            for t in a.t0..a.t1 {
                let query = q.add(t * a.stride);
                let mut j = 0;
                while j < t16 {
                    let mut s = L::splat(0.0);
                    for i in 0..a.d {
                        s = L::add(s, L::mul(L::splat(*query.add(i)), L::load(keys.add(i * t16 + j))));
                    }
                    L::store(scores.add(j), L::mul(s, L::splat(a.scale)));
                    j += LANES;
                }
                let max = super::float::max_of::<L>(scores, a.t);
                let mut sum = L::splat(0.0);
                let mut j = 0;
                while j < t16 {
                    let e = math::exp::<L, 1>([L::sub(L::load(scores.add(j)), L::splat(max))])[0];
                    L::store(scores.add(j), e);
                    if j + LANES > a.t {
                        for dead in a.t..t16 {
                            *scores.add(dead) = 0.0;
                        }
                    }
                    sum = L::add(sum, L::load(scores.add(j)));
                    j += LANES;
                }
                let inv = L::splat(1.0 / L::sum(sum));
                let mut i = 0;
                while i < a.d {
                    let mut s = L::splat(0.0);
                    for j in 0..a.t {
                        s = L::add(s, L::mul(L::splat(*scores.add(j)), L::load(v.add(j * a.stride + i))));
                    }
                    let out = a.out.add(t * a.out_stride + head * a.d + i);
                    L::store_n(out, L::mul(s, inv), (a.d - i).min(LANES));
                    i += LANES;
                }
            }
        }
    }
}
