//! The float islands.

use super::{Activation, Window};

/// One row of out = act(a + b) (b may be null).
#[derive(Clone, Copy, Debug)]
pub struct MapF32Args {
    /// First input.
    pub a: *const f32,
    /// Elements between its pixels.
    pub a_stride: usize,
    /// Second input or null.
    pub b: *const f32,
    /// Elements between its pixels.
    pub b_stride: usize,
    /// Output.
    pub out: *mut f32,
    /// Elements between its pixels.
    pub out_stride: usize,
    /// Pixels.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Activation.
    pub act: Activation,
}

/// Rows of a matrix product.
#[derive(Clone, Copy, Debug)]
pub struct MatmulArgs {
    /// `[t][k]`.
    pub a: *const f32,
    /// Elements between rows of a.
    pub a_stride: usize,
    /// Rows.
    pub t: usize,
    /// Inner size.
    pub k: usize,
    /// `[n/16][k][16]`.
    pub b: *const f32,
    /// Columns.
    pub n: usize,
    /// Padded to 16.
    pub bias: *const f32,
    /// Activation.
    pub act: Activation,
    /// `[t][n]` added after the activation, or null.
    pub res: *const f32,
    /// Elements between its rows.
    pub res_stride: usize,
    /// `[t][n]`.
    pub out: *mut f32,
    /// Elements between its rows.
    pub out_stride: usize,
}

/// One vector of a normalisation over channels.
#[derive(Clone, Copy, Debug)]
pub struct NormArgs {
    /// Input.
    pub src: *const f32,
    /// Output.
    pub out: *mut f32,
    /// Channels.
    pub c: usize,
    /// Padded to 16.
    pub gamma: *const f32,
    /// Padded to 16.
    pub beta: *const f32,
    /// Added to the variance.
    pub eps: f32,
}

/// Attention of all heads for a range of queries.
#[derive(Clone, Copy, Debug)]
pub struct AttentionArgs {
    /// `[t][3][heads][d]`: queries, keys, values.
    pub qkv: *const f32,
    /// Elements between tokens.
    pub stride: usize,
    /// Tokens.
    pub t: usize,
    /// First query.
    pub t0: usize,
    /// Past the last query.
    pub t1: usize,
    /// Heads.
    pub heads: usize,
    /// Size of a head.
    pub d: usize,
    /// Factor of the scores.
    pub scale: f32,
    /// `[t][heads][d]`.
    pub out: *mut f32,
    /// Elements between tokens.
    pub out_stride: usize,
    /// (d + 1) * round_up(t, 16) elements.
    pub scratch: *mut f32,
}

/// Depthwise f32 convolution, one output row.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseF32Args {
    /// Channel 0 of input pixel (0, 0).
    pub src: *const f32,
    /// Elements between pixels.
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
    /// `[c/16][tap][16]`.
    pub weights: *const f32,
    /// Padded to 16.
    pub bias: *const f32,
    /// Activation.
    pub act: Activation,
    /// Output row.
    pub out: *mut f32,
    /// Elements between its pixels.
    pub out_stride: usize,
}
