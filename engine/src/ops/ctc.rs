//! The recogniser's last layer. Tokens are quantised one by one (symmetric, each with its own scale); weights are i8.

use super::conv::{Layout, PANEL_ELEMS, layout};
use super::{ALIGN_ROOM, Window, aligned};
use crate::error::{Error, check, check_len, check_rows};
use crate::kernels::args::{CtcState, GemmArgs, LogitsArgs, NEVER, NormArgs, PanelArgs, TokenArgs};
use crate::kernels::lanes::{LANES, Lanes, Scalar};
use crate::kernels::{Kernels, math};
use crate::pack::{BLOCK, PackedConv, padded};
use crate::tensor::View;
use core::ops::Range;

/// Over which classes the probability of the best allowed class is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbabilityOver {
    /// All classes: a token that wanted a forbidden class gets a low probability.
    AllClasses,
    /// The allowed ones only: as if the head had no others.
    Allowed,
}

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
    /// Bit c % 32 of word c / 32: class c may be chosen. Remember the blank.
    pub allowed: Option<&'a [u32]>,
    /// Meaning of the probability when `allowed` is given.
    pub over: ProbabilityOver,
}

/// A token's best class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct CtcBest {
    /// Class; the lowest of equals. 0 when none is allowed.
    pub class: u32,
    /// Its probability; 0 when no class is allowed.
    pub probability: f32,
}

/// Division of the scratch after the panel and accumulators.
struct Room {
    tokens: usize,
    scales: usize,
    state: usize,
    end: usize,
}

fn room(l: &Layout, k: usize) -> Room {
    let tokens = l.end;
    let scales = (tokens + l.group * padded(k) + 64).next_multiple_of(64);
    let state = (scales + l.group * 4).next_multiple_of(64);
    Room { tokens, scales, state, end: state + l.group * size_of::<CtcState>() }
}

/// Bytes of scratch that [`ctc_best`] and [`ctc_probabilities`] need for tokens of k numbers (per worker).
pub fn ctc_scratch(kernels: &Kernels, k: usize) -> usize {
    let k = k.min(crate::pack::MAX_K);
    room(&layout(kernels.panel_elem, k), k).end + ALIGN_ROOM
}

/// Bytes of scratch that are enough for [`ctc_best`] and [`ctc_probabilities`] on every ISA.
pub fn ctc_scratch_any(k: usize) -> usize {
    let k = k.min(crate::pack::MAX_K);
    PANEL_ELEMS.into_iter().map(|elem| room(&layout(elem, k), k).end + ALIGN_ROOM).max().unwrap_or(0)
}

/// Best class and probability of tokens `range` (pixels of `tokens`, counted row by row); `out[0]` is the first of them.
///
/// # Errors
/// [`Error`] when shapes, lengths or the range do not fit.
pub fn ctc_best(
    kernels: &Kernels,
    p: &CtcParams<'_>,
    tokens: View<'_, f32>,
    range: Range<usize>,
    out: &mut [CtcBest],
    scratch: &mut [u8],
) -> Result<(), Error> {
    const OP: &str = "ctc best";
    check_params(OP, p, &tokens, &range)?;
    check_len(OP, "out", out.len(), range.len())?;
    let k = tokens.shape().c;
    let l = layout(kernels.panel_elem, k);
    let scratch = aligned(OP, scratch, room(&l, k).end)?;
    for (first, out) in range.clone().step_by(l.group).zip(out[..range.len()].chunks_mut(l.group)) {
        // SAFETY: parameters, tokens and scratch were checked; no logits are written.
        let state = unsafe { group(kernels, p, &tokens, first, out.len(), &l, scratch, core::ptr::null_mut()) };
        for (out, state) in out.iter_mut().zip(state) {
            *out = finish(state);
        }
    }
    Ok(())
}

/// Probabilities of all classes for tokens `range`: `out` receives `[range.len()][classes]`. Of `p`, the mask is not used.
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
    let l = layout(kernels.panel_elem, k);
    let scratch = aligned(OP, scratch, room(&l, k).end)?;
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
    if let Some(mask) = p.allowed {
        check_len(op, "mask", mask.len(), p.classes.div_ceil(32))?;
    }
    check(op, "K too large", s.c <= crate::pack::MAX_K)?;
    check_rows(op, range, s.h * s.w)
}

/// Runs `count` tokens through all classes. Returns their states.
///
/// # Safety
/// Parameters, tokens and scratch were checked; `out`, where it is not null, holds `classes` numbers for each token.
#[allow(clippy::too_many_arguments)] // one call's worth of loop state
unsafe fn group<'s>(
    kernels: &Kernels,
    p: &CtcParams<'_>,
    tokens: &View<'_, f32>,
    first: usize,
    count: usize,
    l: &Layout,
    scratch: &'s mut [u8],
    out: *mut f32,
) -> &'s [CtcState] {
    let k = tokens.shape().c;
    let r = room(l, k);
    let base = scratch.as_mut_ptr();
    // SAFETY: the caller has checked all lengths; scratch is aligned to 64 and divided by `room`.
    unsafe {
        let (quantised, scales) = (base.add(r.tokens), base.add(r.scales).cast::<f32>());
        let states = base.add(r.state).cast::<CtcState>();
        for i in 0..count {
            let src = tokens.ptr().add((first + i) * tokens.stride());
            let out = quantised.add(i * padded(k));
            (kernels.quantise_token)(&TokenArgs { src, k, out, scale: scales.add(i) });
            let never = [NEVER; LANES];
            states.add(i).write(CtcState { max: never, sum: [0.0; LANES], best: never, class: [0; LANES] });
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
            let mut exists = (1u32 << cols) - 1;
            let allowed = p.allowed.map_or(u32::MAX, |m| m[class / 32] >> (class % 32));
            if p.over == ProbabilityOver::Allowed {
                exists &= allowed;
            }
            (kernels.logits)(&LogitsArgs {
                acc,
                tokens: count,
                correction: correction.as_ptr(),
                mul: p.mul.as_ptr().add(class),
                bias: p.bias.as_ptr().add(class),
                token_scale: scales,
                class,
                exists: if out.is_null() { exists } else { (1u32 << cols) - 1 },
                allowed,
                state: states,
                out,
                out_stride: p.classes,
            });
        }
        core::slice::from_raw_parts(states, count)
    }
}

/// Merges the sixteen lanes of a token.
fn finish(s: &CtcState) -> CtcBest {
    let max = s.max.iter().fold(NEVER, |m, &x| if x > m { x } else { m });
    let mut best = CtcBest::default();
    let mut logit = NEVER;
    for (&x, &class) in s.best.iter().zip(&s.class) {
        if x > logit || (x == logit && x > NEVER && (class as u32) < best.class) {
            logit = x;
            best.class = class as u32;
        }
    }
    if logit <= NEVER {
        return CtcBest::default();
    }
    let mut difference = s.max;
    for d in &mut difference {
        *d -= max;
    }
    // SAFETY: the scalar lanes need no CPU feature.
    let (lanes, own) = unsafe { math::exp::<Scalar, 2>([difference, Scalar::splat(logit - max)]).into() };
    let sum: f32 = s.sum.iter().zip(&lanes).fold(0.0, |t, (a, b)| t + a * b);
    best.probability = own[0] / sum;
    best
}
