//! Rows of u8 tensors: scales, sums, pools, conversion.

use super::Window;
use serde::{Deserialize, Serialize};

/// A changed scale: q' = clamp(round((q - zero_in) * mul) + zero_out, lo, 255).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requant {
    /// Zero point of the input.
    pub zero_in: u8,
    /// Input scale over output scale.
    pub mul: f32,
    /// Zero point of the output.
    pub zero_out: u8,
    /// Lower clamp (0, or `zero_out` for a ReLU).
    pub lo: u8,
}

/// One row of `out[x] = requant(src[x / step])`.
#[derive(Clone, Copy, Debug)]
pub struct RequantArgs {
    /// Input row.
    pub src: *const u8,
    /// Bytes between input pixels.
    pub src_stride: usize,
    /// Output row.
    pub out: *mut u8,
    /// Bytes between output pixels.
    pub out_stride: usize,
    /// Input pixels.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Output pixels per input pixel.
    pub step: usize,
    /// Scale change, or a plain copy.
    pub requant: Option<Requant>,
}

/// One row of an operator on two u8 tensors.
#[derive(Clone, Copy, Debug)]
pub struct BinaryArgs {
    /// First input row.
    pub a: *const u8,
    /// Bytes between its pixels.
    pub a_stride: usize,
    /// Second input row.
    pub b: *const u8,
    /// Bytes between its pixels.
    pub b_stride: usize,
    /// Output pixels per pixel of `b`.
    pub b_step: usize,
    /// Output row.
    pub out: *mut u8,
    /// Bytes between its pixels.
    pub out_stride: usize,
    /// Output pixels.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Zero point of a.
    pub a_zero: u8,
    /// Add: scale of a over the output's. Mul: product of the scales over the output's.
    pub a_mul: f32,
    /// Zero point of b.
    pub b_zero: u8,
    /// Add: scale of b over the output's.
    pub b_mul: f32,
    /// Zero point of the output.
    pub zero_out: u8,
    /// Lower clamp.
    pub lo: u8,
}

/// One row of a multiplication with a factor per channel.
#[derive(Clone, Copy, Debug)]
pub struct ScaleArgs {
    /// Input row.
    pub src: *const u8,
    /// Bytes between its pixels.
    pub src_stride: usize,
    /// Output row.
    pub out: *mut u8,
    /// Bytes between its pixels.
    pub out_stride: usize,
    /// Pixels.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Factor per channel, padded to 16.
    pub scale: *const f32,
    /// Added to each factor (0, or 1 for x + x*s).
    pub plus: f32,
    /// Scale change.
    pub requant: Requant,
}

/// One output row of a pooling.
#[derive(Clone, Copy, Debug)]
pub struct PoolArgs {
    /// Channel 0 of input pixel (0, 0).
    pub src: *const u8,
    /// Bytes between its pixels.
    pub stride: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Window.
    pub window: Window,
    /// Output row index.
    pub y: usize,
    /// Output width.
    pub ow: usize,
    /// Output row.
    pub out: *mut u8,
    /// Bytes between its pixels.
    pub out_stride: usize,
    /// Scale change (for maxima: none is a plain maximum).
    pub requant: Option<Requant>,
    /// Average: divide by kh*kw instead of by the pixels inside the image (which then count as real zero).
    pub include_pad: bool,
}

/// Sums over pixels, per channel.
#[derive(Clone, Copy, Debug)]
pub struct SumArgs {
    /// First pixel.
    pub src: *const u8,
    /// Bytes between pixels.
    pub stride: usize,
    /// Pixels.
    pub pixels: usize,
    /// Channels.
    pub c: usize,
    /// Sum per channel, `c` elements, overwritten.
    pub sums: *mut u32,
}

/// One row of u8 to f32 or back.
#[derive(Clone, Copy, Debug)]
pub struct ConvertArgs {
    /// u8 row.
    pub q: *mut u8,
    /// Elements between its pixels.
    pub q_stride: usize,
    /// f32 row.
    pub f: *mut f32,
    /// Elements between its pixels.
    pub f_stride: usize,
    /// Pixels.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Zero point of the u8 side.
    pub zero: u8,
    /// To f32: scale. To u8: 1 / scale.
    pub mul: f32,
}
