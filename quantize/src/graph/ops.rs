//! The operators and their parameters.

/// The activation after a convolution's sum: the engine's own type, because the engine runs what a `.q8` file says.
pub use edge_ocr_engine::ops::Activation;
use serde::{Deserialize, Serialize};

/// An operator. Layouts are NHWC, weights as each field says. A `.q8` file stores it by the number of its variant: new
/// variants go to the end, or [`VERSION`](crate::q8::VERSION) rises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Inputs: x, and optionally a residual of the output's shape that is added after the activation (in `u8` only
    /// behind a linear one).
    Conv(Conv),
    /// Input: x.
    Pool(Pool),
    /// Mean over all pixels: h × w × c to 1 × 1 × c. Input: x.
    GlobalMean,
    /// Input: x. Output: x·s or x + x·s, s from x's mean.
    SqueezeExcite(SqueezeExcite),
    /// Inputs: a, b. Output: a + b, b being repeated `up` times along both axes (nearest up-sampling).
    Add {
        /// 1 for tensors of one size.
        up: u32,
    },
    /// Nearest up-sampling. Input: x.
    Upsample {
        /// Every pixel becomes `factor` × `factor`.
        factor: u32,
    },
    /// Along channels, in order of the inputs.
    Concat,
    /// Over channels. Input: x.
    LayerNorm {
        /// Factor per channel.
        gamma: Vec<f32>,
        /// Summand per channel.
        beta: Vec<f32>,
        /// Added to the variance.
        eps: f32,
    },
    /// Input: qkv with 3·heads·d channels (all q, then all k, then all v; within each head by head). Output: heads·d
    /// channels, softmax(q·kᵀ·scale)·v. Tokens are the pixels.
    Attention {
        /// Number of heads.
        heads: u32,
        /// Factor of the scores.
        scale: f32,
    },
    /// A stand-alone activation (a table of 256 bytes in `u8`). Input: x.
    Activation(Activation),
    /// x·scale + shift per channel (or one number for all). Only before [`fuse`](super::fuse); never in a `.q8`.
    Affine {
        /// Factors: one, or one per channel.
        scale: Vec<f32>,
        /// Summands: as many.
        shift: Vec<f32>,
    },
    /// Softmax over channels. Input: x.
    Softmax,
    /// Tokens to class probabilities. Input: tokens. Output: `classes` channels.
    CtcHead(CtcHead),
    /// Another element type or scale, same values. Input: x.
    Convert,
}

impl Op {
    /// Short name for messages and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv(conv) => match conv.kind {
                ConvKind::Dense if conv.kernel == [1, 1] => "conv1x1",
                ConvKind::Dense => "conv",
                ConvKind::Depthwise => "depthwise",
                ConvKind::Transposed => "transposed",
            },
            Op::Pool(Pool { kind: PoolKind::Max, .. }) => "maxpool",
            Op::Pool(_) => "avgpool",
            Op::GlobalMean => "globalmean",
            Op::SqueezeExcite(_) => "squeeze-excite",
            Op::Add { .. } => "add",
            Op::Upsample { .. } => "upsample",
            Op::Concat => "concat",
            Op::LayerNorm { .. } => "layernorm",
            Op::Attention { .. } => "attention",
            Op::Activation(_) => "activation",
            Op::Affine { .. } => "affine",
            Op::Softmax => "softmax",
            Op::CtcHead(_) => "ctc-head",
            Op::Convert => "convert",
        }
    }
}

/// Which convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConvKind {
    /// Every output channel reads every input channel.
    Dense,
    /// Channel by channel.
    Depthwise,
    /// 2×2, stride 2: a 1×1 convolution with 4·oc rows, of which row (dy, dx, oc) goes to pixel (2y+dy, 2x+dx).
    Transposed,
}

/// Rows and columns that are read as 0 around the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Pad {
    pub top: u32,
    pub left: u32,
    pub bottom: u32,
    pub right: u32,
}

/// Convolution weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Weights {
    /// Float.
    F32(Vec<f32>),
    /// Symmetric per row (output channel): `real = value * scales[row]`, values in −127..=127.
    I8 {
        /// Same layout as the float weights.
        values: Vec<i8>,
        /// One per row, positive.
        scales: Vec<f32>,
    },
}

impl Weights {
    /// Number of weights.
    pub fn len(&self) -> usize {
        match self {
            Weights::F32(values) => values.len(),
            Weights::I8 { values, .. } => values.len(),
        }
    }

    /// No weights at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Scalar factor and summand behind an activation (PP-OCRv4's learnable affine): `scale * act(x) + shift`.
///
/// In a quantised network the output tensor's scale divides `shift` without a rest, so that the summand is the integer
/// `shift / scale_out` added to the output's zero point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Post {
    /// Factor; not 0.
    pub scale: f32,
    /// Summand.
    pub shift: f32,
}

/// A convolution with what is fused behind it: `post(act(conv(x) + bias)) + residual`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv {
    /// Which.
    pub kind: ConvKind,
    /// Input channels.
    pub in_channels: u32,
    /// Output channels.
    pub out_channels: u32,
    /// Height, width; 1×1 for the transposed one.
    pub kernel: [u32; 2],
    /// Down, across; 1×1 for the transposed one.
    pub stride: [u32; 2],
    /// Zero padding.
    pub pad: Pad,
    /// Dense: `[oc][kh][kw][ic]`. Depthwise: `[kh][kw][c]`. Transposed: `[dy][dx][oc][ic]`.
    pub weights: Weights,
    /// Per row ([`Conv::rows`]), in real units.
    pub bias: Vec<f32>,
    /// Activation.
    pub act: Activation,
    /// Affine behind the activation.
    pub post: Option<Post>,
}

impl Conv {
    /// Rows of the weight matrix: output channels, four times as many for the transposed one.
    pub fn rows(&self) -> usize {
        self.out_channels as usize * if self.kind == ConvKind::Transposed { 4 } else { 1 }
    }

    /// Weights per row.
    pub fn row_len(&self) -> usize {
        let taps = self.kernel[0] as usize * self.kernel[1] as usize;
        if self.kind == ConvKind::Depthwise { taps } else { taps * self.in_channels as usize }
    }

    /// Position in the weights of element `k` of row `row`.
    pub fn position(&self, row: usize, k: usize) -> usize {
        match self.kind {
            ConvKind::Depthwise => k * self.out_channels as usize + row,
            _ => row * self.row_len() + k,
        }
    }
}

/// Which pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolKind {
    /// Largest of the pixels inside the image.
    Max,
    /// Mean of the pixels inside the image.
    Average,
}

/// A pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Which.
    pub kind: PoolKind,
    /// Height, width.
    pub kernel: [u32; 2],
    /// Down, across.
    pub stride: [u32; 2],
    /// Pixels around the image that count for nothing.
    pub pad: Pad,
}

/// Squeeze and excite: `s = hard_sigmoid(fc2·relu(fc1·mean(x) + bias1) + bias2)`, all in `f32`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SqueezeExcite {
    /// Width of the hidden layer.
    pub hidden: u32,
    /// `[hidden][c]`
    pub fc1: Vec<f32>,
    /// `[hidden]`
    pub bias1: Vec<f32>,
    /// `[c][hidden]`
    pub fc2: Vec<f32>,
    /// `[c]`
    pub bias2: Vec<f32>,
    /// Slope of the hard sigmoid.
    pub alpha: f32,
    /// Its value at 0.
    pub beta: f32,
    /// x + x·s instead of x·s.
    pub residual: bool,
}

/// The recogniser's last layer: probabilities `softmax(w·x + bias)` per token.
///
/// With `i8` weights each token is quantised on the fly: `scale = max|x| / 127`, `q = round_ties_even(x / scale) +
/// 128`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CtcHead {
    /// Number of classes, the blank (class 0) included.
    pub classes: u32,
    /// Numbers per token.
    pub in_channels: u32,
    /// `[classes][in_channels]`
    pub weights: Weights,
    /// `[classes]`
    pub bias: Vec<f32>,
}
