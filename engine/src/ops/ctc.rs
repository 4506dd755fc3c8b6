//! The recogniser's last layer. Tokens are quantised one by one (symmetric, each with its own scale); weights are i8.

use super::conv::{PANEL_ELEMS, ScratchLayout, scratch_layout};
use super::{ALIGN_ROOM, Window, aligned};
use crate::error::{Error, check, check_len, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::{GemmArgs, LogitsArgs, NormArgs, PanelArgs, TokenArgs};
use crate::pack::{BLOCK, PackedConv, padded};
use crate::tensor::View;
use core::ops::Range;

/// Parameters of the CTC head: logit = (sum over q * w) * mul * token_scale + bias.
#[derive(Clone, Copy, Debug)]
pub struct CtcParams<'a> {
    /// `[classes][k]`, packed by [`crate::pack::conv`].
    pub weights: PackedConv<'a>,
    /// Scale of each class's weights, padded to 16.
    pub mul: &'a [f32],
    /// Padded to 16.
    pub bias: &'a [f32],
    /// Classes.
    pub classes: usize,
}

/// Offsets in the scratch of what follows the panel and the accumulators.
struct CtcScratch {
    tokens: usize,
    scales: usize,
    end: usize,
}

fn divide_scratch(l: &ScratchLayout, k: usize) -> CtcScratch {
    let tokens = l.end;
    let scales = (tokens + l.group * padded(k) + 64).next_multiple_of(64);
    CtcScratch { tokens, scales, end: scales + l.group * 4 }
}

/// Bytes of scratch that [`ctc_probabilities`] needs for tokens of k numbers (per worker).
pub fn ctc_scratch(kernels: &Kernels, k: usize) -> usize {
    let k = k.min(crate::pack::MAX_K);
    divide_scratch(&scratch_layout(kernels.panel_elem, k), k).end + ALIGN_ROOM
}

/// Bytes of scratch that are enough for [`ctc_probabilities`] on every ISA.
pub fn ctc_scratch_any(k: usize) -> usize {
    let k = k.min(crate::pack::MAX_K);
    PANEL_ELEMS.into_iter().map(|elem| divide_scratch(&scratch_layout(elem, k), k).end + ALIGN_ROOM).max().unwrap_or(0)
}

/// Probabilities of all classes for tokens `range`: `out` receives `[range.len()][classes]`.
///
/// # Errors
/// [`Error`] when shapes, lengths or the range do not fit.
pub fn ctc_probabilities(
    kernels: &Kernels,
    p: &CtcParams<'_>,
    tokens: View<'_, f32>,
    range: Range<usize>,
    out: &mut [f32],
    scratch: &mut [u8],
) -> Result<(), Error> {
    const OP: &str = "ctc probabilities";
    check_params(OP, p, &tokens, &range)?;
    check_len(OP, "out", out.len(), range.len().saturating_mul(p.classes))?;
    let k = tokens.shape().c;
    let l = scratch_layout(kernels.panel_elem, k);
    let scratch = aligned(OP, scratch, divide_scratch(&l, k).end)?;
    let starts = range.clone().step_by(l.group);
    for (first, out) in starts.zip(out[..range.len() * p.classes].chunks_mut(l.group * p.classes)) {
        // SAFETY: parameters, tokens and scratch were checked; out holds `classes` numbers for each token of the group.
        unsafe { group(kernels, p, &tokens, first, out.len() / p.classes, &l, scratch, out.as_mut_ptr()) };
        for token in out.chunks_exact_mut(p.classes) {
            // One borrow: a second one would end the first.
            let out = token.as_mut_ptr();
            let src = out.cast_const();
            let (gamma, beta) = (core::ptr::null(), core::ptr::null());
            // SAFETY: the softmax kernel works in place and inside c numbers.
            unsafe { (kernels.softmax)(&NormArgs { src, out, c: p.classes, gamma, beta, eps: 0.0 }) };
        }
    }
    Ok(())
}

fn check_params(
    op: &'static str,
    p: &CtcParams<'_>,
    tokens: &View<'_, f32>,
    range: &Range<usize>,
) -> Result<(), Error> {
    let s = tokens.shape();
    p.weights.check(op, p.classes, s.c)?;
    check_len(op, "mul (padded to 16)", p.mul.len(), padded(p.classes))?;
    check_len(op, "bias (padded to 16)", p.bias.len(), padded(p.classes))?;
    check(op, "K too large", s.c <= crate::pack::MAX_K)?;
    check_rows(op, range, s.h * s.w)
}

/// Logits of all classes for `count` tokens.
///
/// # Safety
/// Parameters, tokens and scratch were checked; `out` holds `classes` numbers for each token.
#[allow(clippy::too_many_arguments)] // one call's worth of loop state
unsafe fn group(
    kernels: &Kernels,
    p: &CtcParams<'_>,
    tokens: &View<'_, f32>,
    first: usize,
    count: usize,
    l: &ScratchLayout,
    scratch: &mut [u8],
    out: *mut f32,
) {
    let k = tokens.shape().c;
    let r = divide_scratch(l, k);
    let base = scratch.as_mut_ptr();
    // SAFETY: the caller has checked all lengths; scratch is aligned to 64 and divided by `room`.
    unsafe {
        let (quantised, scales) = (base.add(r.tokens), base.add(r.scales).cast::<f32>());
        for i in 0..count {
            let src = tokens.ptr().add((first + i) * tokens.stride());
            let out = quantised.add(i * padded(k));
            (kernels.quantise_token)(&TokenArgs { src, k, out, scale: scales.add(i) });
        }
        (kernels.panel)(&PanelArgs {
            src: quantised,
            stride: padded(k),
            h: 1,
            w: count,
            c: k,
            window: Window { kh: 1, kw: 1, sh: 1, sw: 1, pad_top: 0, pad_left: 0 },
            ow: count,
            first: 0,
            count,
            zero: 0,
            dst: base,
            dst_stride: l.stride,
        });
        let acc = base.add(l.acc).cast::<i32>();
        // The accumulators hold one block of all tokens, or more blocks when there are few tokens.
        let together = kernels.blocks.min(l.group / count);
        for class in (0..p.classes).step_by(BLOCK) {
            let block = class / BLOCK % together;
            if block == 0 {
                (kernels.gemm)(&GemmArgs {
                    segments: GemmArgs::one(base),
                    count: 1,
                    stride: l.stride,
                    pixels: count,
                    k4: k.div_ceil(4),
                    blocks: (p.classes - class).div_ceil(BLOCK).min(together),
                    weights: p.weights.weights.as_ptr().add(class * k.next_multiple_of(4)),
                    quads: 4,
                    acc,
                    wide: base.add(l.wide),
                });
            }
            let acc = acc.add(block * count * BLOCK);
            let cols = (p.classes - class).min(BLOCK);
            // The zero point is 128: kernels with signed activations have taken it off already.
            let mut correction = [0i32; BLOCK];
            if !kernels.signed {
                for (c, sum) in correction.iter_mut().zip(&p.weights.sums[class..]) {
                    *c = sum.wrapping_mul(-128);
                }
            }
            (kernels.logits)(&LogitsArgs {
                acc,
                tokens: count,
                correction: correction.as_ptr(),
                mul: p.mul.as_ptr().add(class),
                bias: p.bias.as_ptr().add(class),
                token_scale: scales,
                out: out.add(class),
                out_stride: p.classes,
                cols,
            });
        }
    }
}
