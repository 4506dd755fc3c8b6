//! Multi-head self-attention.

use crate::error::{Error, check, check_len, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::AttentionArgs;
use crate::tensor::{View, ViewMut};
use core::ops::Range;

/// softmax(q k^T * scale) v for each head.
#[derive(Clone, Copy, Debug)]
pub struct AttentionParams {
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub d: usize,
    /// Factor of the scores, usually 1 / sqrt(d).
    pub scale: f32,
}

/// f32 numbers of scratch that [`attention`] needs for `t` tokens (per worker).
pub fn attention_scratch(p: &AttentionParams, t: usize) -> usize {
    p.d.saturating_add(1).saturating_mul(t.next_multiple_of(16))
}

/// Tokens `tokens` (pixels, counted row by row) of the output, heads * d channels. `qkv` has the same number of
/// pixels and channels (3, heads, d): queries, keys, values.
///
/// # Errors
/// [`Error`] when shapes, lengths or the range do not fit.
pub fn attention(
    kernels: &Kernels,
    p: &AttentionParams,
    qkv: View<'_, f32>,
    output: ViewMut<'_, f32>,
    tokens: Range<usize>,
    scratch: &mut [f32],
) -> Result<(), Error> {
    const OP: &str = "attention";
    let (si, so) = (qkv.shape(), output.shape());
    let t = si.h * si.w;
    let small = (1..=1 << 12).contains(&p.heads) && (1..=1 << 12).contains(&p.d);
    check(OP, "heads and d", small && so.c == p.heads * p.d && si.c == 3 * so.c)?;
    check(OP, "the numbers of tokens differ", so.h * so.w == t)?;
    check_rows(OP, &tokens, t)?;
    check_len(OP, "scratch", scratch.len(), attention_scratch(p, t))?;
    // SAFETY: the tokens exist in both tensors; scratch is long enough.
    unsafe {
        (kernels.attention)(&AttentionArgs {
            qkv: qkv.ptr(),
            stride: qkv.stride(),
            t,
            t0: tokens.start,
            t1: tokens.end,
            heads: p.heads,
            d: p.d,
            scale: p.scale,
            out: output.ptr(),
            out_stride: output.stride(),
            scratch: scratch.as_mut_ptr(),
        });
    }
    Ok(())
}
