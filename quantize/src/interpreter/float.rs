//! The float interpreter.

use super::common::{attention, concat, excite, layer_norm, mean, output_shape, pool, refuse, softmax, upsample};
use super::gemm::Packed;
use super::im2col::{Patches, depthwise_row};
use super::{Data, Feature, activate};
use crate::error::Error;
use crate::graph::{Activation, Conv, ConvKind, Graph, Op, Shape, Weights};

/// Runs one node on float inputs.
pub fn run_node(graph: &Graph, index: usize, inputs: &[&Feature]) -> Result<Feature, Error> {
    let node = &graph.nodes[index];
    let shape = output_shape(graph, node, inputs)?;
    let x = inputs[0];
    let (v, s) = (x.f32(), x.shape);
    if inputs.iter().any(|f| f.f32().len() != f.shape.len()) {
        return Err(refuse(node, "an input is not float"));
    }
    let values = match &node.op {
        Op::Conv(conv) => {
            let Weights::F32(weights) = &conv.weights else { return Err(refuse(node, "its weights are not float")) };
            let mut out = conv_sums(conv, weights, v, s, shape, &conv.bias);
            finish(conv, &mut out, inputs.get(1).map(|r| r.f32()));
            out
        }
        Op::Pool(p) => pool(p, v, s, shape),
        Op::GlobalMean => mean(v, s),
        Op::SqueezeExcite(se) => {
            let gates = excite(se, &mean(v, s));
            v.chunks_exact(s.c).flat_map(|pixel| pixel.iter().zip(&gates).map(|(a, g)| a * g)).collect()
        }
        Op::Add { up } => {
            let b = upsample(inputs[1].f32(), inputs[1].shape, *up as usize);
            v.iter().zip(&b).map(|(a, b)| a + b).collect()
        }
        Op::Upsample { factor } => upsample(v, s, *factor as usize),
        Op::Concat => {
            let parts: Vec<(&[f32], usize)> = inputs.iter().map(|f| (f.f32(), f.shape.c)).collect();
            concat(&parts, shape.pixels())
        }
        Op::LayerNorm { gamma, beta, eps } => layer_norm(v, gamma, beta, *eps),
        Op::Attention { heads, scale } => attention(v, s.pixels(), *heads as usize, *scale, shape.c),
        Op::Activation(act) => v.iter().map(|a| activate(*act, *a)).collect(),
        Op::Softmax => {
            let mut out = v.to_vec();
            softmax(&mut out, s.c);
            out
        }
        Op::CtcHead(head) => {
            let Weights::F32(weights) = &head.weights else { return Err(refuse(node, "its weights are not float")) };
            let (n, k) = (head.classes as usize, s.c);
            let mut out = vec![0.0; shape.len()];
            Packed::new(n, k, |row, i| weights[row * k + i]).multiply(v, 0, k, &mut out);
            for row in out.chunks_exact_mut(n) {
                row.iter_mut().zip(&head.bias).for_each(|(o, b)| *o += b);
            }
            softmax(&mut out, n);
            out
        }
        Op::Convert => v.to_vec(),
        Op::Affine { .. } => return Err(refuse(node, "an affine step was left unfused")),
    };
    Ok(Feature { shape, data: Data::F32(values) })
}

/// `conv(x) + bias` without what follows. `weights` may differ from the convolution's own, in the same layout.
pub fn conv_sums(conv: &Conv, weights: &[f32], x: &[f32], shape: Shape, out: Shape, bias: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; out.len()];
    match conv.kind {
        ConvKind::Depthwise => {
            for (y, row) in sums.chunks_exact_mut(out.w * out.c).enumerate() {
                depthwise_row(conv, x, shape, weights, y, row);
                row.chunks_exact_mut(out.c).for_each(|p| p.iter_mut().zip(bias).for_each(|(o, b)| *o += b));
            }
        }
        ConvKind::Dense | ConvKind::Transposed => {
            let (n, k) = (conv.rows(), conv.row_len());
            let packed = Packed::new(n, k, |row, i| weights[row * k + i]);
            let mut patches = Patches::new(conv, x, shape, out.w);
            let transposed = conv.kind == ConvKind::Transposed;
            let columns = if transposed { shape.w } else { out.w };
            let mut line = vec![0.0; columns * n];
            for y in 0..if transposed { shape.h } else { out.h } {
                packed.multiply(patches.row(y), 0, k, &mut line);
                line.chunks_exact_mut(n).for_each(|p| p.iter_mut().zip(bias).for_each(|(o, b)| *o += b));
                if transposed {
                    scatter(&line, y, shape.w, out, &mut sums);
                } else {
                    sums[y * out.w * n..(y + 1) * out.w * n].copy_from_slice(&line);
                }
            }
        }
    }
    sums
}

/// Row `y` of a transposed convolution's product to its two output rows.
pub(super) fn scatter<T: Copy>(line: &[T], y: usize, width: usize, out: Shape, target: &mut [T]) {
    let c = out.c;
    for x in 0..width {
        for dy in 0..2 {
            for dx in 0..2 {
                let from = (x * 4 + dy * 2 + dx) * c;
                let to = ((2 * y + dy) * out.w + 2 * x + dx) * c;
                target[to..to + c].copy_from_slice(&line[from..from + c]);
            }
        }
    }
}

/// Activation, affine and residual.
fn finish(conv: &Conv, out: &mut [f32], residual: Option<&[f32]>) {
    if conv.act != Activation::Linear {
        out.iter_mut().for_each(|v| *v = activate(conv.act, *v));
    }
    if let Some(post) = conv.post {
        out.iter_mut().for_each(|v| *v = *v * post.scale + post.shift);
    }
    if let Some(residual) = residual {
        out.iter_mut().zip(residual).for_each(|(v, r)| *v += r);
    }
}
