//! The CTC head.

/// One block of 16 classes of the CTC head.
#[derive(Clone, Copy, Debug)]
pub struct LogitsArgs {
    /// `[tokens][16]`.
    pub acc: *const i32,
    /// Tokens.
    pub tokens: usize,
    /// 16 integer corrections (minus the zero point times the weights' sum).
    pub correction: *const i32,
    /// 16 weight scales.
    pub mul: *const f32,
    /// 16 biases.
    pub bias: *const f32,
    /// Scale of each token.
    pub token_scale: *const f32,
    /// `[tokens][cols]` logits, written.
    pub out: *mut f32,
    /// Elements between tokens of out.
    pub out_stride: usize,
    /// Classes of the block, 1 to 16.
    pub cols: usize,
}

/// Quantises one token for the CTC head.
#[derive(Clone, Copy, Debug)]
pub struct TokenArgs {
    /// `k` numbers.
    pub src: *const f32,
    /// Inner size.
    pub k: usize,
    /// `k` bytes, zero point 128.
    pub out: *mut u8,
    /// The token's scale, written.
    pub scale: *mut f32,
}
