//! Real-valued quantisation parameters to the numbers that the integer engine computes with. The plan compiler and the
//! simulation both use these, so that they cannot disagree.

use crate::graph::{Activation, Conv, DType, Quant, Weights};

/// The numbers of a convolution's epilogue:
///
/// ```text
/// acc = bias[row] + Σ (q - zero_in)·w           i32, exact
/// x   = acc as f32 * mul[row]
/// y   = x                                        Linear, Relu
/// y   = act(x) * post                            any other activation
/// y   = y + (res as f32 - res_zero) * res_mul    with a residual
/// q   = clamp(round_ties_even(y) + zero_out, low, 255)
/// ```
/// With a float output `post` is 1 (or the affine's factor), nothing is rounded, `shift` is added, and Relu clamps at
/// 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Epilogue {
    /// Per row, without `-zero_in * sum(w)`.
    pub bias: Vec<i32>,
    /// Per row.
    pub mul: Vec<f32>,
    /// Behind the activation.
    pub post: f32,
    /// Added after rounding. Differs from the output tensor's zero point where the convolution has a `post.shift`, and
    /// may then lie outside 0..=255.
    pub zero_out: i32,
    /// Lower clamp: `zero_out` for Relu, else 0.
    pub low: i32,
    /// Factor of the residual, 0 without one.
    pub res_mul: f32,
    /// Float outputs only: added last.
    pub shift: f32,
}

/// The epilogue of a quantised convolution; `None` if it is not quantised.
pub fn lower_conv(conv: &Conv, input: DType, residual: Option<DType>, output: DType) -> Option<Epilogue> {
    let (DType::U8(input), Weights::I8 { scales, .. }) = (input, &conv.weights) else { return None };
    let out_scale = output.quant().map_or(1.0, |q| f64::from(q.scale));
    let linear = matches!(conv.act, Activation::Linear | Activation::Relu);
    let post = conv.post.map_or((1.0, 0.0), |p| (f64::from(p.scale), f64::from(p.shift)));
    let unit = |row: usize| f64::from(input.scale) * f64::from(scales[row]);
    let bias = |row: usize| {
        (f64::from(conv.bias[row]) / unit(row)).round_ties_even().clamp(-f64::from(1 << 30), f64::from(1 << 30)) as i32
    };
    let mul = |row: usize| (if linear { unit(row) / out_scale } else { unit(row) }) as f32;
    let zero = output.quant().map_or(0, |q| i32::from(q.zero));
    let zero_out = if output.quant().is_some() { zero + (post.1 / out_scale).round_ties_even() as i32 } else { 0 };
    Some(Epilogue {
        bias: (0..scales.len()).map(bias).collect(),
        mul: (0..scales.len()).map(mul).collect(),
        post: (post.0 / out_scale) as f32,
        zero_out,
        low: if conv.act == Activation::Relu { zero_out.max(0) } else { 0 },
        res_mul: match residual {
            Some(DType::U8(r)) => (f64::from(r.scale) / out_scale) as f32,
            _ => 0.0,
        },
        shift: post.1 as f32,
    })
}

/// `real` in steps of a tensor.
pub fn quantise(real: f32, q: Quant) -> u8 {
    (real * (1.0 / q.scale)).round_ties_even().clamp(-512.0, 512.0).mul_add(1.0, f32::from(q.zero)).clamp(0.0, 255.0)
        as u8
}
