//! The networks as this tool sees them: a list of fused operators over tensors of batch 1 in NHWC.
//!
//! The graph is shape-neutral: it holds channels, kernels and strides, and [`Graph::shapes`] gives heights and widths
//! for any input size. A sequence of `t` tokens with `k` numbers each is an image of height 1, width `t` and `k`
//! channels: the bytes lie the same way, so a matrix product is a 1×1 convolution.
//!
//! The same types hold the float network and the quantised one: a tensor's [`DType`] says whether it is `f32` or
//! `u8`, a convolution's [`Weights`] whether they are `f32` or `i8`.

mod fuse;
mod ops;
mod shape;
mod validate;

pub use fuse::{drop_dead, fuse};
pub use ops::{Activation, Conv, ConvKind, CtcHead, Op, Pad, Pool, PoolKind, Post, SqueezeExcite, Weights};
pub use shape::{Shape, ShapeError, output_size};
pub use validate::GraphError;

use serde::{Deserialize, Serialize};

/// Index of a tensor in [`Graph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TensorId(pub u32);

impl TensorId {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How a tensor's `u8` stand for real numbers: `real = (q - zero) * scale`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quant {
    /// Step between neighbouring values; positive and finite.
    pub scale: f32,
    /// The `u8` that stands for 0; also what a convolution reads outside the image.
    pub zero: u8,
}

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// Asymmetric 8-bit, one scale for the whole tensor.
    U8(Quant),
}

impl DType {
    /// The quantisation, if there is one.
    pub fn quant(&self) -> Option<Quant> {
        match self {
            DType::F32 => None,
            DType::U8(quant) => Some(*quant),
        }
    }
}

/// A value that flows between operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// Name of the ONNX value it came from, for reports.
    pub name: String,
    /// Channels (innermost axis).
    pub channels: u32,
    /// Element type.
    pub dtype: DType,
}

/// One fused operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Name of the first ONNX node that went into it.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// What it reads; [`Op`] says what each means.
    pub inputs: Vec<TensorId>,
    /// What it writes.
    pub output: TensorId,
}

/// A network: nodes in an order in which they can be run.
///
/// The input tensor is the image as bytes: 3 channels, `scale` 1, `zero` the byte that stands for "outside". The
/// normalisation is folded into the first convolution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// All tensors; an index is a [`TensorId`].
    pub tensors: Vec<Tensor>,
    /// All operators, producers before consumers.
    pub nodes: Vec<Node>,
    /// The image.
    pub input: TensorId,
    /// The answer.
    pub output: TensorId,
}

impl Graph {
    /// The tensor of an id. Ids of a validated graph are always in range.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.index()]
    }

    /// How often each tensor is read; the network's output counts as one reading.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.tensors.len()];
        self.nodes.iter().flat_map(|n| &n.inputs).for_each(|id| uses[id.index()] += 1);
        uses[self.output.index()] += 1;
        uses
    }

    /// Index of the node that writes each tensor.
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.tensors.len()];
        self.nodes.iter().enumerate().for_each(|(i, n)| producers[n.output.index()] = Some(i));
        producers
    }

    /// Index of the last node that reads each tensor; `nodes.len()` for the output.
    pub fn last_uses(&self) -> Vec<usize> {
        let mut last = vec![0; self.tensors.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|id| last[id.index()] = i);
        }
        last[self.output.index()] = self.nodes.len();
        last
    }
}
