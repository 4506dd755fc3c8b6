//! The rules that every step must keep before it may touch memory: all operands inside the arena and of the right
//! type, no output over an input, all constants inside the plan. What is left - whether shapes fit the operator -
//! the operators check themselves, once when a network is made and again at each call.

use super::step::{DType, Kind, Span, Step, Tensor};
use super::{Activation, VariantHeader};
use crate::pack::padded;
use crate::tensor::SLACK_BYTES;

/// Checks a step of a variant whose plan has `constants` bytes of constants.
pub(super) fn check_step(step: &Step, header: &VariantHeader, constants: usize) -> Result<(), &'static str> {
    let (y, kind) = step.written();
    check_tensor(y, header.tensor_bytes)?;
    check_kind(y, kind)?;
    for operand in step.read().iter().flatten() {
        let x = &operand.tensor;
        check_tensor(x, header.tensor_bytes)?;
        check_kind(x, operand.kind)?;
        let same = x.offset == y.offset && x.shape == y.shape && x.dtype.size() == y.dtype.size();
        if overlap(x, y) && !(operand.in_place && same) {
            return Err("the output lies over an input or the slack after it");
        }
    }
    if !step.spans().iter().all(|(span, dtype)| check_span(span, *dtype, constants)) {
        return Err("constants lie outside the plan or are not aligned");
    }
    if !numbers(step).iter().all(|x| x.is_finite()) {
        return Err("a number is not finite");
    }
    Ok(())
}

/// Inside the arena's tensors, aligned, with a shape that is possible.
pub(super) fn check_tensor(t: &Tensor, tensor_bytes: usize) -> Result<(), &'static str> {
    let size = t.dtype.size();
    let span = t.span_bytes().ok_or("a tensor has an impossible shape or pixel stride")?;
    if t.offset.checked_add(span).is_none_or(|end| end > tensor_bytes) {
        return Err("a tensor does not lie inside the arena");
    }
    let align = size.min(4);
    if !t.offset.is_multiple_of(align) || !t.shape.pixel_stride.is_multiple_of(size) {
        return Err("a tensor is not aligned");
    }
    match t.dtype {
        DType::U8 { scale, .. } if !(scale.is_finite() && scale > 0.0) => Err("a scale is not a positive number"),
        _ => Ok(()),
    }
}

fn check_kind(t: &Tensor, kind: Kind) -> Result<(), &'static str> {
    let fits = match (kind, t.dtype) {
        (Kind::U8 | Kind::Number, DType::U8 { .. }) | (Kind::F32 | Kind::Number, DType::F32) => true,
        (Kind::Dense, DType::F32) => t.is_dense(),
        _ => false,
    };
    if fits { Ok(()) } else { Err("an operand has the wrong element type") }
}

fn check_span(span: &Span, dtype: usize, constants: usize) -> bool {
    span.offset.checked_add(span.len).is_some_and(|end| end <= constants)
        && span.offset.is_multiple_of(16)
        && span.len.is_multiple_of(dtype)
}

/// Whether kernels that read `x` may read a byte of `y`, which other threads may be writing: channels are read in
/// blocks of 16, and [`SLACK_BYTES`] after the last pixel. Views of one concatenation have the same pixel stride;
/// they are apart when their channels are.
fn overlap(x: &Tensor, y: &Tensor) -> bool {
    let (Some(sx), Some(sy)) = (x.span_bytes(), y.span_bytes()) else { return true };
    if x.offset + sx + SLACK_BYTES <= y.offset || y.offset + sy <= x.offset {
        return false;
    }
    let stride = x.shape.pixel_stride;
    if stride != y.shape.pixel_stride {
        return true;
    }
    let (lx, ly) = (padded(x.shape.c) * x.dtype.size(), y.shape.c * y.dtype.size());
    let d = if y.offset >= x.offset {
        (y.offset - x.offset) % stride
    } else {
        (stride - (x.offset - y.offset) % stride) % stride
    };
    d < lx || d + ly > stride
}

/// The numbers of a step that are not constants.
fn numbers(step: &Step) -> [f32; 6] {
    let of = |act: &Activation| match *act {
        Activation::HardSigmoid { alpha, beta } => (alpha, beta),
        _ => (0.0, 0.0),
    };
    match step {
        Step::Conv(c) | Step::Depthwise(c) | Step::Transposed(c) => {
            let (alpha, beta) = of(&c.act);
            [c.post, c.residual.map_or(0.0, |r| r.1), alpha, beta, 0.0, 0.0]
        }
        Step::SqueezeExcite(s) => {
            let (alpha, beta) = of(&s.act);
            [s.mean_mul, s.mean_add, s.plus, s.requant.mul, alpha, beta]
        }
        Step::MaxPool { requant, .. } | Step::Requant { requant, .. } => [requant.map_or(0.0, |c| c.mul); 6],
        Step::AvgPool { requant, .. } => [requant.mul; 6],
        Step::GlobalMean { mul, add, .. } => [*mul, *add, 0.0, 0.0, 0.0, 0.0],
        Step::Add { a_mul, b_mul, .. } => [*a_mul, *b_mul, 0.0, 0.0, 0.0, 0.0],
        Step::Matmul { act, .. }
        | Step::ConvF32 { act, .. }
        | Step::DepthwiseF32 { act, .. }
        | Step::AddF32 { act, .. }
        | Step::MapF32 { act, .. } => {
            let (alpha, beta) = of(act);
            [alpha, beta, 0.0, 0.0, 0.0, 0.0]
        }
        Step::LayerNorm { eps, .. } => [*eps; 6],
        Step::Attention { scale, .. } => [*scale; 6],
        Step::Lut { .. } | Step::Dequantise { .. } | Step::Quantise { .. } => [0.0; 6],
        Step::Softmax { .. } | Step::Ctc { .. } => [0.0; 6],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    fn view(offset: usize, c: usize, pixel_stride: usize) -> Tensor {
        Tensor { offset, shape: Shape { h: 4, w: 4, c, pixel_stride }, dtype: DType::U8 { zero: 0, scale: 1.0 } }
    }

    #[test]
    fn views_of_one_concatenation_may_be_apart() {
        let view = |offset, c| view(offset, c, 64);
        assert!(!overlap(&view(64, 32), &view(96, 32)));
        assert!(!overlap(&view(96, 32), &view(64, 32)));
        assert!(overlap(&view(64, 33), &view(96, 24)));
        assert!(overlap(&view(64, 32), &view(96, 33)));
        assert!(overlap(&view(64, 32), &view(64 + 64, 32)));
    }

    #[test]
    fn output_in_a_started_block_of_an_input_overlaps() {
        // Channels 24 to 31 are read with the block that begins at 16.
        assert!(overlap(&view(64, 24, 48), &view(88, 24, 48)));
        assert!(!overlap(&view(64, 24, 56), &view(96, 24, 56)));
        // Bytes before the channels of a pixel are not read.
        assert!(!overlap(&view(88, 16, 48), &view(64, 24, 48)));
    }

    #[test]
    fn output_in_the_slack_of_an_input_overlaps() {
        let end = 64 + 16 * 48;
        assert!(overlap(&view(64, 48, 48), &view(end, 32, 32)));
        assert!(overlap(&view(64, 48, 48), &view(end + SLACK_BYTES - 1, 32, 32)));
        assert!(!overlap(&view(64, 48, 48), &view(end + SLACK_BYTES, 32, 32)));
        // What is read may follow what is written at once.
        assert!(!overlap(&view(64 + 16 * 32, 48, 48), &view(64, 32, 32)));
    }
}
