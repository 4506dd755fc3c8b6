//! The steps of a plan: one for each call of an operator, with everything that the call needs.

use crate::kernels::args::{Activation, Requant, Window};
use crate::tensor::Shape;
use serde::{Deserialize, Serialize};

/// What a tensor's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum DType {
    /// real = (q - zero) * scale.
    U8 {
        /// Zero point.
        zero: u8,
        /// Scale, positive.
        scale: f32,
    },
    /// Real numbers.
    F32,
}

impl DType {
    /// Bytes of an element.
    pub const fn size(&self) -> usize {
        match self {
            DType::U8 { .. } => 1,
            DType::F32 => 4,
        }
    }
}

/// A tensor in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// Byte of the arena at which channel 0 of pixel (0, 0) stands.
    pub offset: usize,
    /// Height, width, channels, bytes between pixels.
    pub shape: Shape,
    /// Elements.
    pub dtype: DType,
}

impl Tensor {
    /// Bytes from the first to past the last element.
    pub fn span_bytes(&self) -> Option<usize> {
        self.shape.span_bytes(self.dtype.size())
    }

    /// No gaps between pixels.
    pub fn is_dense(&self) -> bool {
        self.shape.pixel_stride == self.shape.c * self.dtype.size()
    }

    /// The zero point; 0 for floats.
    pub fn zero(&self) -> u8 {
        if let DType::U8 { zero, .. } = self.dtype { zero } else { 0 }
    }

    /// The scale; 1 for floats.
    pub fn scale(&self) -> f32 {
        if let DType::U8 { scale, .. } = self.dtype { scale } else { 1.0 }
    }
}

/// Bytes of a plan's constants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
}

/// An integer convolution; see [`crate::ops::ConvParams`] and [`crate::ops::DepthwiseParams`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvStep {
    /// Input, u8.
    pub x: Tensor,
    /// Output, u8 or f32.
    pub y: Tensor,
    /// Added to the output, with its scale over the output's.
    pub residual: Option<(Tensor, f32)>,
    /// Kernel, strides, leading pads.
    pub window: Window,
    /// i8, packed.
    pub weights: Span,
    /// i32; unused by the depthwise convolution.
    pub sums: Span,
    /// i32.
    pub bias: Span,
    /// f32.
    pub mul: Span,
    /// Activation.
    pub act: Activation,
    /// Factor after it.
    pub post: f32,
    /// Added after rounding; the output's zero point, or that and the summand of an affine step.
    pub zero_out: u8,
}

/// A squeeze-and-excitation; see [`crate::ops::SqueezeExciteParams`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExciteStep {
    /// Input, u8.
    pub x: Tensor,
    /// Output, u8; may be the input.
    pub y: Tensor,
    /// Channels of the hidden layer.
    pub hidden: usize,
    /// f32 `[c][hidden]`, packed.
    pub w1: Span,
    /// f32.
    pub b1: Span,
    /// f32 `[hidden][c]`, packed.
    pub w2: Span,
    /// f32.
    pub b2: Span,
    /// Last activation.
    pub act: Activation,
    /// mean = sum * mean_mul + mean_add.
    pub mean_mul: f32,
    /// See `mean_mul`.
    pub mean_add: f32,
    /// Added to the factors: 0, or 1 for x + x * s.
    pub plus: f32,
    /// Input to output scale.
    pub requant: Requant,
}

/// What to do next. A plan stores a step by the number of its variant: new variants go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // fields are named as in `crate::ops`
pub enum Step {
    Conv(ConvStep),
    Depthwise(ConvStep),
    Transposed(ConvStep),
    MaxPool {
        x: Tensor,
        y: Tensor,
        window: Window,
        requant: Option<Requant>,
    },
    AvgPool {
        x: Tensor,
        y: Tensor,
        window: Window,
        requant: Requant,
        include_pad: bool,
    },
    /// u8 to one f32 pixel: sum * mul + add.
    GlobalMean {
        x: Tensor,
        y: Tensor,
        mul: f32,
        add: f32,
    },
    SqueezeExcite(ExciteStep),
    /// `b` may be smaller by a whole factor.
    Add {
        a: Tensor,
        b: Tensor,
        y: Tensor,
        a_mul: f32,
        b_mul: f32,
    },
    /// Copy, change of scale, nearest up-sampling, or copy into a concatenation.
    Requant {
        x: Tensor,
        y: Tensor,
        requant: Option<Requant>,
    },
    Lut {
        x: Tensor,
        y: Tensor,
        table: Span,
    },
    Dequantise {
        x: Tensor,
        y: Tensor,
    },
    Quantise {
        x: Tensor,
        y: Tensor,
    },
    Matmul {
        x: Tensor,
        y: Tensor,
        residual: Option<Tensor>,
        weights: Span,
        bias: Span,
        act: Activation,
    },
    ConvF32 {
        x: Tensor,
        y: Tensor,
        window: Window,
        weights: Span,
        bias: Span,
        act: Activation,
    },
    DepthwiseF32 {
        x: Tensor,
        y: Tensor,
        window: Window,
        weights: Span,
        bias: Span,
        act: Activation,
    },
    AddF32 {
        a: Tensor,
        b: Tensor,
        y: Tensor,
        act: Activation,
    },
    MapF32 {
        x: Tensor,
        y: Tensor,
        act: Activation,
    },
    LayerNorm {
        x: Tensor,
        y: Tensor,
        gamma: Span,
        beta: Span,
        eps: f32,
    },
    Attention {
        x: Tensor,
        y: Tensor,
        heads: usize,
        scale: f32,
    },
    Softmax {
        x: Tensor,
        y: Tensor,
    },
    /// Tokens to the probabilities of all classes, dense.
    Ctc {
        x: Tensor,
        y: Tensor,
        classes: usize,
        weights: Span,
        sums: Span,
        mul: Span,
        bias: Span,
    },
}

/// What an operand has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    U8,
    F32,
    /// u8 or f32.
    Number,
    /// f32 without gaps between pixels.
    Dense,
}

/// A tensor that a step reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub tensor: Tensor,
    pub kind: Kind,
    /// May be the very tensor that is written.
    pub in_place: bool,
}

impl Step {
    /// Short name for profiles and messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Step::Conv(c) if c.window.kh * c.window.kw == 1 => "conv 1x1",
            Step::Conv(_) => "conv",
            Step::Depthwise(_) => "depthwise",
            Step::Transposed(_) => "transposed",
            Step::MaxPool { .. } => "max-pool",
            Step::AvgPool { .. } => "avg-pool",
            Step::GlobalMean { .. } => "global mean",
            Step::SqueezeExcite(_) => "squeeze-excite",
            Step::Add { .. } => "add",
            Step::Requant { x, y, .. } if x.shape.same_extent(&y.shape) => "requant",
            Step::Requant { .. } => "upsample",
            Step::Lut { .. } => "lut",
            Step::Dequantise { .. } => "dequantise",
            Step::Quantise { .. } => "quantise",
            Step::Matmul { .. } => "matmul",
            Step::ConvF32 { .. } => "conv f32",
            Step::DepthwiseF32 { .. } => "depthwise f32",
            Step::AddF32 { .. } => "add f32",
            Step::MapF32 { .. } => "map f32",
            Step::LayerNorm { .. } => "layer norm",
            Step::Attention { .. } => "attention",
            Step::Softmax { .. } => "softmax",
            Step::Ctc { .. } => "ctc",
        }
    }

    /// The tensor that is written.
    pub fn output(&self) -> &Tensor {
        self.written().0
    }

    pub(crate) fn written(&self) -> (&Tensor, Kind) {
        match self {
            Step::Conv(c) | Step::Depthwise(c) | Step::Transposed(c) => (&c.y, Kind::Number),
            Step::SqueezeExcite(s) => (&s.y, Kind::U8),
            Step::MaxPool { y, .. }
            | Step::AvgPool { y, .. }
            | Step::Add { y, .. }
            | Step::Requant { y, .. }
            | Step::Lut { y, .. }
            | Step::Quantise { y, .. } => (y, Kind::U8),
            Step::GlobalMean { y, .. }
            | Step::Dequantise { y, .. }
            | Step::Matmul { y, .. }
            | Step::ConvF32 { y, .. }
            | Step::DepthwiseF32 { y, .. }
            | Step::AddF32 { y, .. }
            | Step::MapF32 { y, .. }
            | Step::LayerNorm { y, .. }
            | Step::Attention { y, .. }
            | Step::Softmax { y, .. } => (y, Kind::F32),
            Step::Ctc { y, .. } => (y, Kind::Dense),
        }
    }

    /// The tensors that are read.
    pub(crate) fn read(&self) -> [Option<Operand>; 2] {
        let op = |tensor: &Tensor, kind, in_place| Some(Operand { tensor: *tensor, kind, in_place });
        let one = |tensor, kind, in_place| [op(tensor, kind, in_place), None];
        match self {
            Step::Conv(c) | Step::Depthwise(c) | Step::Transposed(c) => {
                let residual = c.residual.and_then(|(r, _)| op(&r, Kind::U8, false));
                [op(&c.x, Kind::U8, false), residual]
            }
            Step::MaxPool { x, .. } | Step::AvgPool { x, .. } | Step::GlobalMean { x, .. } => one(x, Kind::U8, false),
            Step::SqueezeExcite(s) => one(&s.x, Kind::U8, true),
            Step::Add { a, b, .. } => [op(a, Kind::U8, true), op(b, Kind::U8, false)],
            Step::Requant { x, y, .. } => one(x, Kind::U8, x.shape.same_extent(&y.shape)),
            Step::Lut { x, .. } => one(x, Kind::U8, true),
            Step::Dequantise { x, .. } => one(x, Kind::U8, false),
            Step::Quantise { x, .. } => one(x, Kind::F32, false),
            Step::Matmul { x, residual, .. } => {
                [op(x, Kind::F32, false), residual.as_ref().and_then(|r| op(r, Kind::F32, true))]
            }
            Step::ConvF32 { x, .. } | Step::DepthwiseF32 { x, .. } | Step::Attention { x, .. } => {
                one(x, Kind::F32, false)
            }
            Step::AddF32 { a, b, .. } => [op(a, Kind::F32, true), op(b, Kind::F32, true)],
            Step::MapF32 { x, .. } | Step::Softmax { x, .. } => one(x, Kind::F32, true),
            // In place would be right for most channel counts, but kernels read a block twice.
            Step::LayerNorm { x, .. } => one(x, Kind::F32, false),
            Step::Ctc { x, .. } => one(x, Kind::F32, false),
        }
    }

    /// The constants that are read, with the size of their elements.
    pub(crate) fn spans(&self) -> [(Span, usize); 4] {
        let none = (Span::default(), 1);
        match *self {
            Step::Conv(c) | Step::Depthwise(c) | Step::Transposed(c) => {
                [(c.weights, 1), (c.sums, 4), (c.bias, 4), (c.mul, 4)]
            }
            Step::SqueezeExcite(s) => [(s.w1, 4), (s.b1, 4), (s.w2, 4), (s.b2, 4)],
            Step::Lut { table, .. } => [(table, 1), none, none, none],
            Step::Matmul { weights, bias, .. }
            | Step::ConvF32 { weights, bias, .. }
            | Step::DepthwiseF32 { weights, bias, .. } => [(weights, 4), (bias, 4), none, none],
            Step::LayerNorm { gamma, beta, .. } => [(gamma, 4), (beta, 4), none, none],
            Step::Ctc { weights, sums, mul, bias, .. } => [(weights, 1), (sums, 4), (mul, 4), (bias, 4)],
            Step::MaxPool { .. } | Step::AvgPool { .. } | Step::GlobalMean { .. } => [none; 4],
            Step::Add { .. } | Step::Requant { .. } | Step::Dequantise { .. } | Step::Quantise { .. } => [none; 4],
            Step::AddF32 { .. } | Step::MapF32 { .. } | Step::Attention { .. } | Step::Softmax { .. } => [none; 4],
        }
    }

    /// Phases of the step: each needs all of the one before it.
    pub(crate) fn phases(&self) -> usize {
        if matches!(self, Step::SqueezeExcite(_) | Step::GlobalMean { .. }) { 2 } else { 1 }
    }
}
