//! Integer convolutions.

use super::{Lowering, window};
use crate::graph::{Conv, ConvKind, DType as GraphElem, Node, Quant, Weights};
use crate::interpreter::{Epilogue, lower_conv};
use crate::plan::CompileError;
use edge_ocr_engine::ops::{Activation, Window};
use edge_ocr_engine::pack::{self, padded};
use edge_ocr_engine::plan::{ConvStep, DType, Span, Step, Tensor};

/// Parts of a convolution among the constants.
const WEIGHTS: u8 = 0;
const SUMS: u8 = 1;
const BIAS: u8 = 2;
const MUL: u8 = 3;

impl Lowering<'_, '_> {
    pub fn conv(&mut self, node: &Node, conv: &Conv) -> Result<(), CompileError> {
        let wrong = |reason: &str| CompileError::node(node, reason);
        let Weights::I8 { values, .. } = &conv.weights else { return self.float_conv(node, conv) };
        let (x, y) = (self.tensor(node.inputs[0].index()), self.tensor(node.output.index()));
        let dtype = |id| self.graph.tensor(id).dtype;
        let residual = node.inputs.get(1).map(|id| dtype(*id));
        let GraphElem::U8(quant) = dtype(node.inputs[0]) else { return Err(wrong("i8 weights on floats")) };
        let Some(e) = lower_conv(conv, dtype(node.inputs[0]), residual, dtype(node.output)) else {
            return Err(wrong("i8 weights on floats"));
        };
        let zero_out = u8::try_from(e.zero_out).map_err(|_| {
            wrong("the summand behind its activation is outside the range of its output; calibrate again")
        })?;
        if e.shift != 0.0 && y.dtype == DType::F32 {
            return Err(wrong("an affine step behind a float output"));
        }
        let residual = match (residual, node.inputs.get(1)) {
            (Some(GraphElem::U8(_)), Some(id)) if matches!(y.dtype, DType::U8 { .. }) => {
                Some((self.tensor(id.index()), e.res_mul))
            }
            (None, _) => None,
            _ => return Err(wrong("a float residual or output of an integer sum")),
        };
        let (rows, len) = (conv.rows(), conv.row_len());
        if len > pack::MAX_K {
            return Err(wrong("its sums are too long for 32 bits"));
        }
        let (at, depthwise) = (self.at, conv.kind == ConvKind::Depthwise);
        // Row by row, whatever the kind.
        let row_major = || -> Vec<i8> {
            (0..rows).flat_map(|r| (0..len).map(move |k| (r, k))).map(|(r, k)| values[conv.position(r, k)]).collect()
        };
        let sums = row_sums(&row_major(), len);
        let weights = self.constants.i8(at, WEIGHTS, || pack_rows(&row_major(), rows, len, depthwise));
        let step = ConvStep {
            x,
            y,
            residual,
            window: window(conv.kernel, conv.stride, conv.pad),
            weights,
            sums: if depthwise { Span::default() } else { self.constants.i32(at, SUMS, || sums.clone()) },
            bias: self.constants.i32(at, BIAS, || whole_bias(&e, &sums, quant)),
            mul: self.constants.f32(at, MUL, || e.mul.clone()),
            act: conv.act,
            post: e.post,
            zero_out,
        };
        self.push(match conv.kind {
            ConvKind::Dense => Step::Conv(step),
            ConvKind::Depthwise => Step::Depthwise(step),
            ConvKind::Transposed => Step::Transposed(step),
        });
        Ok(())
    }

    /// A depthwise convolution whose weights are all 1, times `mul`.
    pub fn unit_depthwise(&mut self, x: Tensor, y: Tensor, window: Window, from: Quant, mul: f32) {
        let (at, c, taps) = (self.at, x.shape.c, window.kh * window.kw);
        let step = ConvStep {
            x,
            y,
            residual: None,
            window,
            weights: self.constants.i8(at, WEIGHTS, || pack_rows(&vec![1; c * taps], c, taps, true)),
            sums: Span::default(),
            bias: self.constants.i32(at, BIAS, || vec![-(i32::from(from.zero) * taps as i32); c]),
            mul: self.constants.f32(at, MUL, || vec![mul; c]),
            act: Activation::Linear,
            post: 1.0,
            zero_out: y.zero(),
        };
        self.push(Step::Depthwise(step));
    }
}

fn row_sums(rows: &[i8], len: usize) -> Vec<i32> {
    rows.chunks_exact(len.max(1)).map(|row| row.iter().map(|w| i32::from(*w)).sum()).collect()
}

/// The bias that makes the zero point count as 0. |bias| <= 2^30 and |sum| <= 127 * 32768, so nothing is lost.
fn whole_bias(e: &Epilogue, sums: &[i32], quant: Quant) -> Vec<i32> {
    e.bias.iter().zip(sums).map(|(b, s)| b.saturating_sub(i32::from(quant.zero).saturating_mul(*s))).collect()
}

/// Packed weights; a validated graph's lengths fit.
pub(super) fn pack_rows(rows: &[i8], n: usize, len: usize, depthwise: bool) -> Vec<i8> {
    if depthwise {
        let mut packed = vec![0; pack::depthwise_len(n, len).unwrap_or_default()];
        let _ = pack::depthwise(rows, n, len, &mut packed);
        return packed;
    }
    let mut packed = vec![0; pack::conv_len(n, len).unwrap_or_default()];
    let mut sums = vec![0; padded(n)];
    let _ = pack::conv(rows, n, len, &mut packed, &mut sums);
    packed
}
