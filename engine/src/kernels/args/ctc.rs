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
    /// First class of the block.
    pub class: usize,
    /// Bit i: class + i exists.
    pub exists: u32,
    /// Bit i: class + i may be chosen.
    pub allowed: u32,
    /// Running state, one per token.
    pub state: *mut CtcState,
    /// Instead of the state: `[tokens][n]` logits, or null.
    pub out: *mut f32,
    /// Elements between tokens of out.
    pub out_stride: usize,
}

/// Online softmax of one token, per lane (lane i sees the classes i, i + 16, ...).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct CtcState {
    /// Largest logit.
    pub max: [f32; 16],
    /// Sum of e^(logit - max).
    pub sum: [f32; 16],
    /// Largest allowed logit.
    pub best: [f32; 16],
    /// Its class.
    pub class: [i32; 16],
}

/// Logit of a class that must not be chosen: finite, so that differences stay numbers.
pub const NEVER: f32 = -1e30;

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
