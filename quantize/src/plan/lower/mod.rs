//! The graph's operators as steps of the engine, on slots.

mod conv;
mod float;

use super::CompileError;
use super::constants::Constants;
use super::slots::{Draft, Lowered, Slot, SlotId, dense};
use crate::graph::{self, Graph, Node, Op, Pool, PoolKind, Quant, Shape, SqueezeExcite, TensorId};
use crate::interpreter;
use edge_ocr_engine::ops::{Activation, Requant, Window};
use edge_ocr_engine::plan::{DType, ExciteStep, Step, Tensor};

/// Lowers a graph whose tensors have `shapes`.
pub fn lower(graph: &Graph, shapes: &[Shape], constants: &mut Constants) -> Result<Lowered, CompileError> {
    let slot = |(i, (t, s)): (usize, (&graph::Tensor, &Shape))| Slot {
        name: t.name.clone(),
        tensor: dense(i, s.h, s.w, s.c, dtype(t.dtype)),
        part_of: None,
    };
    let slots = graph.tensors.iter().zip(shapes).enumerate().map(slot).collect();
    let net = Lowered { slots, steps: Vec::new(), input: graph.input.index(), output: graph.output.index() };
    let mut lowering = Lowering { graph, constants, net, at: 0 };
    for i in 0..graph.nodes.len() {
        lowering.at = i;
        lowering.node(&graph.nodes[i])?;
    }
    Ok(lowering.net)
}

fn dtype(dtype: graph::DType) -> DType {
    match dtype {
        graph::DType::F32 => DType::F32,
        graph::DType::U8(q) => DType::U8 { zero: q.zero, scale: q.scale },
    }
}

/// The change from one scale to another, if they differ.
fn requant_between(from: Quant, to: Quant) -> Option<Requant> {
    (from != to).then(|| requant(from, to))
}

fn requant(from: Quant, to: Quant) -> Requant {
    Requant { zero_in: from.zero, mul: from.scale / to.scale, zero_out: to.zero, lo: 0 }
}

struct Lowering<'g, 'c> {
    graph: &'g Graph,
    constants: &'c mut Constants,
    net: Lowered,
    /// Index of the node that is being lowered.
    at: usize,
}

impl Lowering<'_, '_> {
    fn tensor(&self, slot: SlotId) -> Tensor {
        self.net.slots[slot].tensor
    }

    fn quant(&self, id: TensorId) -> Option<Quant> {
        self.graph.tensor(id).dtype.quant()
    }

    fn push(&mut self, step: Step) {
        self.net.steps.push(Draft { node: self.at, step });
    }

    /// A new slot with the shape of `like`.
    fn temporary(&mut self, like: &Tensor, dtype: DType) -> Tensor {
        let (slot, s) = (self.net.slots.len(), like.shape);
        let tensor = dense(slot, s.h, s.w, s.c, dtype);
        let name = format!("{}.{slot}", self.graph.nodes[self.at].name);
        self.net.slots.push(Slot { name, tensor, part_of: None });
        tensor
    }

    /// The input as f32, converted if need be.
    fn as_f32(&mut self, id: TensorId) -> Tensor {
        let x = self.tensor(id.index());
        if x.dtype == DType::F32 {
            return x;
        }
        let y = self.temporary(&x, DType::F32);
        self.push(Step::Dequantise { x, y });
        y
    }

    /// Pushes a step that writes f32; converts when the output is u8.
    fn push_f32(&mut self, y: Tensor, step: impl FnOnce(Tensor) -> Step) {
        if y.dtype == DType::F32 {
            return self.push(step(y));
        }
        let real = self.temporary(&y, DType::F32);
        self.push(step(real));
        self.push(Step::Quantise { x: real, y });
    }

    fn node(&mut self, node: &Node) -> Result<(), CompileError> {
        let wrong = |reason: &str| CompileError::node(node, reason);
        let types = || wrong("the engine has no form of it for these element types");
        let (x_id, y_id) = (node.inputs[0], node.output);
        let (x, y) = (self.tensor(x_id.index()), self.tensor(y_id.index()));
        let quants = (self.quant(x_id), self.quant(y_id));
        match &node.op {
            Op::Conv(conv) => return self.conv(node, conv),
            Op::Pool(pool) => return self.pool(node, pool),
            Op::GlobalMean => {
                let (Some(q), DType::F32) = (quants.0, y.dtype) else { return Err(types()) };
                let mul = q.scale / (x.shape.h * x.shape.w).max(1) as f32;
                self.push(Step::GlobalMean { x, y, mul, add: -f32::from(q.zero) * q.scale });
            }
            Op::SqueezeExcite(se) => {
                let (Some(from), Some(to)) = quants else { return Err(types()) };
                self.squeeze_excite(se, x, y, from, to);
            }
            Op::Add { up } => {
                let b = self.tensor(node.inputs[1].index());
                match (quants, self.quant(node.inputs[1])) {
                    ((Some(qa), Some(to)), Some(qb)) => {
                        let (a_mul, b_mul) = (qa.scale / to.scale, qb.scale / to.scale);
                        self.push(Step::Add { a: x, b, y, a_mul, b_mul });
                    }
                    ((None, _), None) if *up == 1 => {
                        self.push_f32(y, |y| Step::AddF32 { a: x, b, y, act: Activation::Linear });
                    }
                    _ => return Err(types()),
                }
            }
            Op::Upsample { .. } => {
                let (Some(from), Some(to)) = quants else { return Err(types()) };
                self.push(Step::Requant { x, y, requant: requant_between(from, to) });
            }
            Op::Concat => return self.concat(node),
            Op::Convert => match quants {
                (Some(from), Some(to)) => self.push(Step::Requant { x, y, requant: requant_between(from, to) }),
                (Some(_), None) => self.push(Step::Dequantise { x, y }),
                (None, Some(_)) => self.push(Step::Quantise { x, y }),
                (None, None) => self.push(Step::MapF32 { x, y, act: Activation::Linear }),
            },
            Op::Activation(act) => match quants {
                (Some(from), Some(to)) => {
                    let real = |b: u8| (f32::from(b) - f32::from(from.zero)) * from.scale;
                    let table =
                        || (0..=255).map(|b| interpreter::quantise(interpreter::activate(*act, real(b)), to)).collect();
                    let table = self.constants.raw(self.at, 0, table);
                    self.push(Step::Lut { x, y, table });
                }
                (None, _) => self.push_f32(y, |y| Step::MapF32 { x, y, act: *act }),
                _ => return Err(types()),
            },
            Op::LayerNorm { .. } | Op::Attention { .. } | Op::Softmax | Op::CtcHead(_) if quants.0.is_some() => {
                return Err(types());
            }
            Op::LayerNorm { gamma, beta, eps } => {
                let gamma = self.constants.f32(self.at, 0, || gamma.clone());
                let beta = self.constants.f32(self.at, 1, || beta.clone());
                self.push_f32(y, |y| Step::LayerNorm { x, y, gamma, beta, eps: *eps });
            }
            Op::Attention { heads, scale } => {
                self.push_f32(y, |y| Step::Attention { x, y, heads: *heads as usize, scale: *scale });
            }
            Op::Softmax => self.push_f32(y, |y| Step::Softmax { x, y }),
            Op::CtcHead(head) => return self.ctc(node, head, x, y),
            Op::Affine { .. } => return Err(wrong("an affine step was left unfused")),
        }
        Ok(())
    }

    fn squeeze_excite(&mut self, se: &SqueezeExcite, x: Tensor, y: Tensor, from: Quant, to: Quant) {
        let (c, mid) = (x.shape.c, se.hidden as usize);
        let at = self.at;
        let step = ExciteStep {
            x,
            y,
            hidden: mid,
            w1: self.constants.matrix(at, 0, c, mid, |k, n| se.fc1[n * c + k]),
            b1: self.constants.f32(at, 1, || se.bias1.clone()),
            w2: self.constants.matrix(at, 2, mid, c, |k, n| se.fc2[n * mid + k]),
            b2: self.constants.f32(at, 3, || se.bias2.clone()),
            act: Activation::HardSigmoid { alpha: se.alpha, beta: se.beta },
            mean_mul: from.scale / (x.shape.h * x.shape.w).max(1) as f32,
            mean_add: -f32::from(from.zero) * from.scale,
            plus: if se.residual { 1.0 } else { 0.0 },
            requant: requant(from, to),
        };
        self.push(Step::SqueezeExcite(step));
    }

    fn pool(&mut self, node: &Node, pool: &Pool) -> Result<(), CompileError> {
        let (x, y) = (self.tensor(node.inputs[0].index()), self.tensor(node.output.index()));
        let (from, to) = (self.quant(node.inputs[0]), self.quant(node.output));
        let window = window(pool.kernel, pool.stride, pool.pad);
        match (pool.kind, from, to) {
            (PoolKind::Max, Some(from), Some(to)) => {
                self.push(Step::MaxPool { x, y, window, requant: requant_between(from, to) });
            }
            // Windows that never leave the image: a depthwise convolution with weights of 1, which also gives f32.
            (PoolKind::Average, Some(from), to)
                if pool.pad == graph::Pad::default() && window.kh <= 16 && window.kw <= 16 =>
            {
                let taps = window.kh * window.kw;
                let mul = from.scale / (taps as f32 * to.map_or(1.0, |to| to.scale));
                self.unit_depthwise(x, y, window, from, mul);
            }
            (PoolKind::Average, Some(from), Some(to)) => {
                self.push(Step::AvgPool { x, y, window, requant: requant(from, to), include_pad: false });
            }
            _ => return Err(CompileError::node(node, "the engine has no form of it for these element types")),
        }
        Ok(())
    }

    /// A concatenation costs nothing where its parts can be written into it; others are copied.
    fn concat(&mut self, node: &Node) -> Result<(), CompileError> {
        let whole = node.output.index();
        let y = self.tensor(whole);
        let mut channel = 0;
        for (i, id) in node.inputs.iter().enumerate() {
            let part = id.index();
            let x = self.tensor(part);
            let place = Some((whole, channel * y.dtype.size()));
            channel += x.shape.c;
            let free = self.net.slots[part].part_of.is_none()
                && part != self.net.input
                && part != self.net.output
                && !node.inputs[..i].contains(id)
                && !self.holds(part, whole);
            if x.dtype == y.dtype && free {
                self.net.slots[part].part_of = place;
                continue;
            }
            let copy = self.temporary(&x, y.dtype);
            self.net.slots[copy.offset].part_of = place;
            match (self.quant(*id), self.quant(node.output)) {
                (Some(from), Some(to)) => self.push(Step::Requant { x, y: copy, requant: requant_between(from, to) }),
                (None, None) => self.push(Step::MapF32 { x, y: copy, act: Activation::Linear }),
                _ => return Err(CompileError::node(node, "it joins floats and bytes")),
            }
        }
        Ok(())
    }

    /// Whether `whole` is a part of `slot`.
    fn holds(&self, slot: SlotId, whole: SlotId) -> bool {
        let mut at = whole;
        while let Some((up, _)) = self.net.slots[at].part_of {
            if up == slot {
                return true;
            }
            at = up;
        }
        false
    }
}

pub(super) fn window(kernel: [u32; 2], stride: [u32; 2], pad: graph::Pad) -> Window {
    let [kh, kw] = kernel.map(|k| k as usize);
    let [sh, sw] = stride.map(|s| s as usize);
    Window { kh, kw, sh, sw, pad_top: pad.top as usize, pad_left: pad.left as usize }
}
