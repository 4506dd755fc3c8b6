//! What kernels are called with. Plain pointers and counts: the operations have checked everything before.

use crate::kernels::math::ROUND_MAGIC_BITS;
use serde::{Deserialize, Serialize};

/// Function applied to a real value x at the end of a convolution, matrix product or element-wise step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Activation {
    /// y = x.
    Linear,
    /// y = max(x, 0); for u8 outputs the lower clamp becomes the output's zero point.
    Relu,
    /// y = x * Phi(x), |error| < 9e-5 for |x| < 1000.
    Gelu,
    /// y = x * clamp(x / 6 + 0.5, 0, 1).
    HardSwish,
    /// y = x / (1 + e^-x).
    Silu,
    /// y = 1 / (1 + e^-x).
    Sigmoid,
    /// y = clamp(alpha x + beta, 0, 1).
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
}

/// Fills a panel: for each output pixel, its kh*kw*ic inputs in one row of the ISA's panel format.
#[derive(Clone, Copy, Debug)]
pub struct PanelArgs {
    /// Channel 0 of input pixel (0, 0).
    pub src: *const u8,
    /// Bytes between input pixels.
    pub stride: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Input channels.
    pub c: usize,
    /// Window.
    pub window: Window,
    /// Output width.
    pub ow: usize,
    /// First output pixel, counted row by row.
    pub first: usize,
    /// Output pixels.
    pub count: usize,
    /// Value outside the picture.
    pub zero: u8,
    /// Panel.
    pub dst: *mut u8,
    /// Bytes between panel rows.
    pub dst_stride: usize,
}

/// Kernel size, strides and leading pads of a sliding window. Trailing pads follow from the output's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Kernel height.
    pub kh: usize,
    /// Kernel width.
    pub kw: usize,
    /// Vertical stride.
    pub sh: usize,
    /// Horizontal stride.
    pub sw: usize,
    /// Rows above the picture.
    pub pad_top: usize,
    /// Columns left of the picture.
    pub pad_left: usize,
}

/// Most segments of a panel row.
pub const MAX_SEGMENTS: usize = 16;

/// Multiplies panel rows with one block of 16 output channels. A panel row is one segment of all K (im2col) or one segment for
/// each kernel row, each in its own buffer.
#[derive(Clone, Copy, Debug)]
pub struct GemmArgs {
    /// Start of each segment of the first panel row.
    pub segments: [*const u8; MAX_SEGMENTS],
    /// Segments used.
    pub count: usize,
    /// Bytes from a panel row to the next, in every segment.
    pub stride: usize,
    /// Panel rows.
    pub pixels: usize,
    /// Steps of four k in a segment.
    pub k4: usize,
    /// `[count * k4][16 oc][4 k]`.
    pub weights: *const i8,
    /// Groups of four output channels that matter (1..=4); lanes of the others are left undefined.
    pub quads: usize,
    /// `[pixels][16]`, written.
    pub acc: *mut i32,
    /// `count * k4 * 128` bytes, for kernels that widen the weights first.
    pub wide: *mut u8,
}

impl GemmArgs {
    /// Segments of a panel whose rows are whole.
    pub(crate) fn one(panel: *const u8) -> [*const u8; MAX_SEGMENTS] {
        let mut s = [core::ptr::null(); MAX_SEGMENTS];
        s[0] = panel;
        s
    }
}

/// Where the epilogue writes.
#[derive(Clone, Copy, Debug)]
pub enum EpilogueOut {
    /// Quantised.
    U8 {
        /// First channel of the block at the first pixel.
        ptr: *mut u8,
        /// Zero point.
        zero: u8,
        /// Lower clamp.
        lo: u8,
    },
    /// Real values.
    F32 {
        /// First channel of the block at the first pixel.
        ptr: *mut f32,
    },
}

/// Turns accumulators of one block of 16 channels into outputs.
#[derive(Clone, Copy, Debug)]
pub struct EpilogueArgs {
    /// `[pixels][16]`.
    pub acc: *const i32,
    /// Pixels.
    pub pixels: usize,
    /// 16 biases.
    pub bias: *const i32,
    /// 16 multipliers.
    pub mul: *const f32,
    /// Activation.
    pub act: Activation,
    /// Factor after the activation (not for Linear and Relu).
    pub post: f32,
    /// Residual tensor at the block's first channel and pixel, or null.
    pub res: *const u8,
    /// Bytes between residual pixels.
    pub res_stride: usize,
    /// Zero point of the residual.
    pub res_zero: u8,
    /// Its scale over the output's.
    pub res_mul: f32,
    /// Output.
    pub out: EpilogueOut,
    /// Elements between output pixels.
    pub out_stride: usize,
    /// Channels to write (1..=16).
    pub cols: usize,
}

impl EpilogueArgs {
    /// Moves the pointers from channel 0 of pixel 0 to channel `c` of pixel `first`.
    ///
    /// # Safety
    /// The tensors and parameters must hold that pixel and channel.
    #[inline(always)]
    pub(crate) unsafe fn advance(&mut self, first: usize, c: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            self.bias = self.bias.add(c);
            self.mul = self.mul.add(c);
            if !self.res.is_null() {
                self.res = self.res.add(first * self.res_stride + c);
            }
            match &mut self.out {
                EpilogueOut::U8 { ptr, .. } => *ptr = ptr.add(first * self.out_stride + c),
                EpilogueOut::F32 { ptr } => *ptr = ptr.add(first * self.out_stride + c),
            }
        }
    }
}

/// Depthwise convolution of a row range.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseArgs {
    /// Channel 0 of input pixel (0, 0).
    pub src: *const u8,
    /// Bytes between input pixels.
    pub stride: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Window.
    pub window: Window,
    /// Output width.
    pub ow: usize,
    /// First output row.
    pub y0: usize,
    /// Past the last output row.
    pub y1: usize,
    /// Value outside the picture.
    pub zero: u8,
    /// `[c/16][tap][16]`.
    pub weights: *const i8,
    /// Template: `bias`, `mul`, `res`, `out` point to channel 0 (of pixel (0, 0)); `acc`, `pixels`, `cols` are set by the kernel.
    pub epilogue: EpilogueArgs,
    /// At least `Kernels::depthwise_scratch` bytes, 64-byte aligned.
    pub scratch: *mut u8,
}

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

/// One row of an operation on two u8 tensors.
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
    /// Average: divide by kh*kw instead of by the pixels inside the picture (which then count as real zero).
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

// The rounding trick and this file agree on the magic number's low byte being zero.
const _: () = assert!(ROUND_MAGIC_BITS & 0xff == 0);
