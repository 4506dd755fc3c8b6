//! Steps on numbered slots: what lowering makes, before anything has a place in memory. In a drafted step, a tensor's
//! offset is the number of its slot.

use edge_ocr_engine::plan::{DType, Step, Tensor};

/// Index of a slot.
pub type SlotId = usize;

/// A tensor without a place.
#[derive(Clone, Debug)]
pub struct Slot {
    /// For memory maps.
    pub name: String,
    /// Dense, with the slot's number as offset.
    pub tensor: Tensor,
    /// The concatenation that it is a part of, and its first byte in each pixel.
    pub part_of: Option<(SlotId, usize)>,
}

impl Slot {
    /// Bytes when dense.
    pub fn bytes(&self) -> usize {
        let s = &self.tensor.shape;
        s.h * s.w * s.c * self.tensor.dtype.size()
    }
}

/// A step on slots.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The graph's node.
    pub node: usize,
    /// The step.
    pub step: Step,
}

/// A network on slots.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// All slots; the first are the graph's tensors.
    pub slots: Vec<Slot>,
    /// All steps.
    pub steps: Vec<Draft>,
    /// The image.
    pub input: SlotId,
    /// The answer.
    pub output: SlotId,
}

/// Calls `f` with each tensor of a step: those that are read first, the one that is written last.
pub fn for_tensors(step: &mut Step, f: &mut dyn FnMut(&mut Tensor)) {
    match step {
        Step::Conv(c) | Step::Depthwise(c) | Step::Transposed(c) => {
            f(&mut c.x);
            if let Some((r, _)) = &mut c.residual {
                f(r);
            }
            f(&mut c.y);
        }
        Step::SqueezeExcite(s) => {
            f(&mut s.x);
            f(&mut s.y);
        }
        Step::Add { a, b, y, .. } | Step::AddF32 { a, b, y, .. } => {
            f(a);
            f(b);
            f(y);
        }
        Step::Matmul { x, y, residual, .. } => {
            f(x);
            if let Some(r) = residual {
                f(r);
            }
            f(y);
        }
        Step::MaxPool { x, y, .. }
        | Step::AvgPool { x, y, .. }
        | Step::GlobalMean { x, y, .. }
        | Step::Requant { x, y, .. }
        | Step::Lut { x, y, .. }
        | Step::Dequantise { x, y }
        | Step::Quantise { x, y }
        | Step::ConvF32 { x, y, .. }
        | Step::DepthwiseF32 { x, y, .. }
        | Step::MapF32 { x, y, .. }
        | Step::LayerNorm { x, y, .. }
        | Step::Attention { x, y, .. }
        | Step::Softmax { x, y }
        | Step::Ctc { x, y, .. } => {
            f(x);
            f(y);
        }
    }
}

/// Slots that a drafted step reads and the one that it writes.
pub fn slots_of(step: &Step) -> (Vec<SlotId>, SlotId) {
    let (mut step, mut all) = (*step, Vec::new());
    for_tensors(&mut step, &mut |t| all.push(t.offset));
    let written = all.pop().unwrap_or(0);
    (all, written)
}

/// Slots whose memory the step may reuse for its output, best first.
pub fn in_place(step: &Step) -> Vec<SlotId> {
    match step {
        Step::SqueezeExcite(s) => vec![s.x.offset],
        Step::Add { a, .. } => vec![a.offset],
        Step::AddF32 { a, b, .. } => vec![a.offset, b.offset],
        Step::Matmul { residual: Some(r), .. } => vec![r.offset],
        Step::Lut { x, .. } | Step::MapF32 { x, .. } | Step::Softmax { x, .. } => vec![x.offset],
        Step::Requant { x, y, .. } if x.shape.same_extent(&y.shape) => vec![x.offset],
        _ => Vec::new(),
    }
}

/// A dense tensor of a slot.
pub fn dense(slot: SlotId, h: usize, w: usize, c: usize, dtype: DType) -> Tensor {
    Tensor { offset: slot, shape: edge_ocr_engine::Shape::dense(h, w, c, dtype.size()), dtype }
}
