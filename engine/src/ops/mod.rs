//! Operators: one file each. Every operator checks its arguments, then runs kernels on the output rows it was given.
//!
//! Rows make the unit of work for a pool of threads: call the same operator with disjoint row ranges, each with its
//! own scratch, on [`ViewMut::duplicate`](crate::tensor::ViewMut::duplicate)s of the output.
//!
//! How to add one: `docs/engine.md`, "Adding an operator".

mod add;
mod attention;
mod channel_scale;
mod conv;
mod conv_f32;
mod convert;
mod ctc;
mod depthwise;
mod float;
mod lut;
mod matmul;
mod norm;
mod pool;
mod requant;
mod squeeze_excite;
mod transposed;

pub use crate::kernels::args::{Activation, Requant, Window};
pub use add::{AddParams, MulParams, add, mul};
pub use attention::{AttentionParams, attention, attention_scratch};
pub use channel_scale::{ChannelScaleParams, channel_scale};
pub use conv::{ConvParams, Residual, conv, conv_scratch, conv_scratch_any};
pub use conv_f32::{ConvF32Params, conv_f32, conv_f32_scratch};
pub use convert::{dequantise, quantise};
pub use ctc::{CtcParams, ctc_probabilities, ctc_scratch, ctc_scratch_any};
pub use depthwise::{DepthwiseParams, depthwise, depthwise_scratch, depthwise_scratch_any};
pub use float::{DepthwiseF32Params, add_f32, depthwise_f32, map_f32};
pub use lut::lut;
pub use matmul::{MatmulParams, matmul};
pub use norm::{LayerNormParams, layer_norm, softmax};
pub use pool::{avg_pool, global_avg, global_sum, max_pool};
pub use requant::{requant, upsample};
pub(crate) use squeeze_excite::squeeze_excite_scratch;
pub use squeeze_excite::{SqueezeExciteParams, squeeze_excite};
pub use transposed::{transposed2x2, transposed2x2_scratch, transposed2x2_scratch_any};

use crate::error::{Error, check, check_len};
use crate::kernels::args::{EpilogueArgs, EpilogueOut};
use crate::pack::padded;
use crate::tensor::{Shape, ViewMut};

/// Where a convolution writes.
#[derive(Debug)]
pub enum Output<'a> {
    /// Quantised, with this zero point; `mul` (or `post`) of the operator then contains 1 / scale.
    U8(ViewMut<'a, u8>, u8),
    /// Real values.
    F32(ViewMut<'a, f32>),
}

impl Output<'_> {
    /// The output's shape.
    pub fn shape(&self) -> Shape {
        match self {
            Output::U8(v, _) => v.shape(),
            Output::F32(v) => v.shape(),
        }
    }

    /// A second handle for another worker.
    ///
    /// # Safety
    /// As [`ViewMut::duplicate`].
    pub unsafe fn duplicate(&self) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Output::U8(v, z) => Output::U8(v.duplicate(), *z),
                Output::F32(v) => Output::F32(v.duplicate()),
            }
        }
    }

    fn epilogue(&self, act: Activation) -> (EpilogueOut, usize) {
        match self {
            Output::U8(v, zero) => {
                let lo = if act == Activation::Relu { *zero } else { 0 };
                (EpilogueOut::U8 { ptr: v.ptr(), zero: *zero, lo }, v.stride())
            }
            Output::F32(v) => (EpilogueOut::F32 { ptr: v.ptr() }, v.stride()),
        }
    }
}

/// Epilogue whose pointers address channel 0 of pixel (0, 0).
fn epilogue_template(
    out: &Output<'_>,
    bias: &[i32],
    mul: &[f32],
    act: Activation,
    post: f32,
    residual: Option<&Residual<'_>>,
) -> EpilogueArgs {
    let (target, out_stride) = out.epilogue(act);
    EpilogueArgs {
        acc: core::ptr::null(),
        pixels: 0,
        bias: bias.as_ptr(),
        mul: mul.as_ptr(),
        act,
        post,
        res: residual.map_or(core::ptr::null(), |r| r.view.ptr()),
        res_stride: residual.map_or(0, |r| r.view.stride()),
        res_zero: residual.map_or(0, |r| r.zero),
        res_mul: residual.map_or(0.0, |r| r.mul),
        out: target,
        out_stride,
        cols: 0,
    }
}

/// Largest kernel height or width.
const MAX_KERNEL: usize = 16;

/// Checks that a window slides over `input` to give `output`'s height and width.
fn check_window(op: &'static str, w: &Window, input: &Shape, output: &Shape) -> Result<(), Error> {
    let size =
        |k: usize, s: usize, pad: usize| (1..=MAX_KERNEL).contains(&k) && (1..=MAX_KERNEL).contains(&s) && pad < k;
    check(op, "kernel, stride or pad out of range", size(w.kh, w.sh, w.pad_top) && size(w.kw, w.sw, w.pad_left))?;
    // Every window touches the image; what it covers past the end is padding.
    let fits = |n: usize, o: usize, s: usize, pad: usize| (o - 1) * s < n + pad;
    let fits = fits(input.h, output.h, w.sh, w.pad_top) && fits(input.w, output.w, w.sw, w.pad_left);
    check(op, "output larger than the window's travel", fits)
}

/// Checks bias and multipliers of `c` channels.
fn check_channels(op: &'static str, bias: &[i32], mul: &[f32], c: usize) -> Result<(), Error> {
    check_len(op, "bias (padded to 16)", bias.len(), padded(c))?;
    check_len(op, "mul (padded to 16)", mul.len(), padded(c))
}

/// A residual belongs to the linear epilogue with u8 output and has the output's shape.
fn check_residual(op: &'static str, r: Option<&Residual<'_>>, act: Activation, out: &Output<'_>) -> Result<(), Error> {
    let Some(r) = r else { return Ok(()) };
    if !matches!(out, Output::U8(..)) || act != Activation::Linear {
        return Err(Error::Unsupported { op, what: "a residual with an activation or f32 output" });
    }
    check(op, "residual's shape is not the output's", r.view.shape().same_extent(&out.shape()))
}

/// The part of `scratch` that starts at a multiple of 64 bytes, if it holds `need` bytes.
fn aligned<'s>(op: &'static str, scratch: &'s mut [u8], need: usize) -> Result<&'s mut [u8], Error> {
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let have = scratch.len() - skip;
    let (_, s) = scratch.split_at_mut(skip);
    check_len(op, "scratch (after alignment)", have, need)?;
    Ok(s)
}

/// Added to scratch lengths, so that any start can be aligned.
const ALIGN_ROOM: usize = 64;

/// A row as (pixels, channels): one long pixel when all tensors are dense, which spares the channel tail of each pixel.
fn flatten(w: usize, c: usize, dense: bool) -> (usize, usize) {
    if dense { (1, w * c) } else { (w, c) }
}
