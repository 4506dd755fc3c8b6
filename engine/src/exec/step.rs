//! One step: to each its operator.

use super::context::{Context, Share};
use crate::error::Error;
use crate::plan::Step;

impl Context<'_> {
    /// Runs a share of one phase of a step.
    ///
    /// # Safety
    /// The step is one of the checked plan whose arena this is. Calls that overlap in time are of one phase and have
    /// different shares of it and different workers; all calls of a phase have returned before one of the next
    /// begins; nobody else uses the arena meanwhile.
    pub unsafe fn run(&self, step: &Step, phase: usize, share: Share) -> Result<(), Error> {
        match step {
            Step::Conv(c) => self.conv(c, share),
            Step::Depthwise(c) => self.depthwise(c, share),
            Step::Transposed(c) => self.transposed(c, share),
            Step::MaxPool { x, y, window, requant } => self.max_pool(x, y, window, *requant, share),
            Step::AvgPool { x, y, window, requant, include_pad } => {
                self.avg_pool(x, y, window, *requant, *include_pad, share)
            }
            Step::GlobalMean { x, y, mul, add } => self.global_mean(x, y, *mul, *add, phase, share),
            Step::SqueezeExcite(s) => self.squeeze_excite(s, phase, share),
            Step::Add { a, b, y, a_mul, b_mul } => self.add(a, b, y, *a_mul, *b_mul, share),
            Step::Requant { x, y, requant } => self.requant(x, y, *requant, share),
            Step::Lut { x, y, table } => self.lut(x, y, *table, share),
            Step::Dequantise { x, y } => self.dequantise(x, y, share),
            Step::Quantise { x, y } => self.quantise(x, y, share),
            Step::Matmul { x, y, residual, weights, bias, act } => {
                self.matmul(x, y, residual.as_ref(), (*weights, *bias), *act, share)
            }
            Step::ConvF32 { x, y, window, weights, bias, act } => {
                self.conv_f32(x, y, *window, (*weights, *bias), *act, share)
            }
            Step::DepthwiseF32 { x, y, window, weights, bias, act } => {
                self.depthwise_f32(x, y, *window, (*weights, *bias), *act, share)
            }
            Step::AddF32 { a, b, y, act } => self.add_f32(a, b, y, *act, share),
            Step::MapF32 { x, y, act } => self.map_f32(x, y, *act, share),
            Step::LayerNorm { x, y, gamma, beta, eps } => self.layer_norm(x, y, (*gamma, *beta), *eps, share),
            Step::Attention { x, y, heads, scale } => self.attention(x, y, *heads, *scale, share),
            Step::Softmax { x, y } => self.softmax(x, y, share),
            Step::Ctc { .. } => self.ctc(step, share),
        }
    }
}
