//! Float islands and the CTC head.

use super::conv::pack_rows;
use super::{Lowering, window};
use crate::graph::{Activation, Conv, ConvKind, CtcHead, Node, Pad, Weights};
use crate::plan::CompileError;
use edge_ocr_engine::pack;
use edge_ocr_engine::plan::{DType, Step, Tensor};

impl Lowering<'_, '_> {
    /// A convolution with f32 weights; bytes are converted before and after.
    pub fn float_conv(&mut self, node: &Node, conv: &Conv) -> Result<(), CompileError> {
        let wrong = |reason: &str| CompileError::node(node, reason);
        let Weights::F32(values) = &conv.weights else { return Err(wrong("its weights are not float")) };
        let scale = match conv.post {
            None => (1.0, 0.0),
            Some(p) if conv.act == Activation::Linear => (p.scale, p.shift),
            Some(_) => return Err(wrong("an affine step behind the activation of a float island")),
        };
        let (x, y) = (self.as_f32(node.inputs[0]), self.tensor(node.output.index()));
        let residual = node.inputs.get(1).map(|id| self.as_f32(*id));
        let (at, rows, len) = (self.at, conv.rows(), conv.row_len());
        let act = conv.act;
        let weight = |row: usize, k: usize| values[conv.position(row, k)] * scale.0;
        let bias = self.constants.f32(at, 1, || conv.bias.iter().map(|b| b * scale.0 + scale.1).collect());
        let plain = conv.kernel == [1, 1] && conv.stride == [1, 1] && conv.pad == Pad::default();
        match conv.kind {
            ConvKind::Dense if plain => {
                let weights = self.constants.matrix(at, 0, len, rows, |k, n| weight(n, k));
                self.push_f32(y, |y| Step::Matmul { x, y, residual, weights, bias, act });
            }
            ConvKind::Dense => {
                let (weights, w) = (
                    self.constants.matrix(at, 0, len, rows, |k, n| weight(n, k)),
                    window(conv.kernel, conv.stride, conv.pad),
                );
                self.with_residual(y, residual, |y| Step::ConvF32 { x, y, window: w, weights, bias, act });
            }
            ConvKind::Depthwise => {
                let weights = self.constants.f32(at, 0, || {
                    let row_major: Vec<f32> =
                        (0..rows).flat_map(|r| (0..len).map(move |k| (r, k))).map(|(r, k)| weight(r, k)).collect();
                    let mut packed = vec![0.0; pack::depthwise_len(rows, len).unwrap_or_default()];
                    let _ = pack::depthwise(&row_major, rows, len, &mut packed);
                    packed
                });
                let w = window(conv.kernel, conv.stride, conv.pad);
                self.with_residual(y, residual, |y| Step::DepthwiseF32 { x, y, window: w, weights, bias, act });
            }
            ConvKind::Transposed => return Err(wrong("the engine has no transposed convolution on floats")),
        }
        Ok(())
    }

    /// Pushes a float step and adds the residual, if there is one, in a step of its own.
    fn with_residual(&mut self, y: Tensor, residual: Option<Tensor>, step: impl FnOnce(Tensor) -> Step) {
        let Some(b) = residual else { return self.push_f32(y, step) };
        let a = self.temporary(&y, DType::F32);
        self.push(step(a));
        self.push_f32(y, |y| Step::AddF32 { a, b, y, act: Activation::Linear });
    }

    /// The recogniser's last layer.
    pub fn ctc(&mut self, node: &Node, head: &CtcHead, x: Tensor, y: Tensor) -> Result<(), CompileError> {
        if y.dtype != DType::F32 {
            return Err(CompileError::node(node, "its probabilities are quantised"));
        }
        let (at, k, n) = (self.at, x.shape.c, head.classes as usize);
        let bias = self.constants.f32(at, 3, || head.bias.clone());
        let (values, scales) = match &head.weights {
            Weights::I8 { values, scales } => (values, scales),
            Weights::F32(values) => {
                let weights = self.constants.matrix(at, 0, k, n, |k_at, class| values[class * k + k_at]);
                let logits = self.temporary(&y, DType::F32);
                let act = Activation::Linear;
                self.push(Step::Matmul { x, y: logits, residual: None, weights, bias, act });
                self.push(Step::Softmax { x: logits, y });
                return Ok(());
            }
        };
        let weights = self.constants.i8(at, 0, || pack_rows(values, n, k, false));
        let sums = || values.chunks_exact(k).map(|row| row.iter().map(|w| i32::from(*w)).sum()).collect();
        let sums = self.constants.i32(at, 1, sums);
        let mul = self.constants.f32(at, 2, || scales.clone());
        self.push(Step::Ctc { x, y, classes: n, weights, sums, mul, bias });
        Ok(())
    }
}
