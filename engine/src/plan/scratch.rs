//! Scratch that a step needs on whatever board it runs.

use super::{DType, Step};
use crate::ops::*;

impl Step {
    /// Bytes of scratch for each worker that are enough on every instruction set; a multiple of 64.
    pub fn scratch_bytes(&self) -> usize {
        let bytes = match self {
            Step::Conv(c) => {
                // 1x1 convolutions may be run with their pixels as one column; panels do not depend on the width.
                conv_scratch_any(&c.window, &c.x.shape, &c.y.shape)
            }
            Step::Depthwise(c) => depthwise_scratch_any(&c.window),
            Step::Transposed(c) => transposed2x2_scratch_any(c.x.shape.c, c.y.shape.c),
            Step::GlobalMean { x, .. } => 8 * x.shape.c,
            Step::SqueezeExcite(s) => squeeze_excite_scratch(s.x.shape.c, s.hidden),
            Step::ConvF32 { x, window, .. } => 4 * conv_f32_scratch(window, x.shape.c),
            Step::Attention { x, y, heads, scale } => {
                let d = y.shape.c / (*heads).max(1);
                4 * attention_scratch(&AttentionParams { heads: *heads, d, scale: *scale }, x.shape.h * x.shape.w)
            }
            Step::Ctc { x, .. } => ctc_scratch_any(x.shape.c),
            Step::MaxPool { .. } | Step::AvgPool { .. } | Step::Add { .. } | Step::Requant { .. } => 0,
            Step::Lut { .. } | Step::Dequantise { .. } | Step::Quantise { .. } => 0,
            Step::Matmul { .. } | Step::DepthwiseF32 { .. } | Step::AddF32 { .. } | Step::MapF32 { .. } => 0,
            Step::LayerNorm { .. } | Step::Softmax { .. } => 0,
        };
        bytes.next_multiple_of(64)
    }
}

impl DType {
    /// Name in memory maps.
    pub const fn name(&self) -> &'static str {
        match self {
            DType::U8 { .. } => "u8",
            DType::F32 => "f32",
        }
    }
}
