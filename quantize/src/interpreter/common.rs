//! Operators that are the same in both arithmetics: those on floats, and those that only move numbers.

use super::Feature;
use crate::error::Error;
use crate::graph::{Graph, Node, Pool, PoolKind, Shape, SqueezeExcite, output_size};

/// An interpreter's error at a node.
pub(super) fn refuse(node: &Node, reason: impl Into<String>) -> Error {
    Error::Exec { node: node.name.clone(), reason: reason.into() }
}

/// The shape of a node's output.
pub(super) fn output_shape(graph: &Graph, node: &Node, inputs: &[&Feature]) -> Result<Shape, Error> {
    let shapes: Vec<Shape> = inputs.iter().map(|f| f.shape).collect();
    let [h, w] = output_size(node, &shapes).map_err(|reason| refuse(node, reason))?;
    Ok(Shape { h, w, c: graph.tensor(node.output).channels as usize })
}

/// Calls `each(out_index, the input pixels of the window)` for every output pixel; pixels outside are left out.
pub(super) fn windows(pool: &Pool, x: Shape, out: Shape, mut each: impl FnMut(usize, &[usize])) {
    let mut pixels = Vec::new();
    let span = |o: usize, stride: u32, pad: u32, kernel: u32, side: usize| {
        let from = o * stride as usize;
        let (low, high) = (from.saturating_sub(pad as usize), (from + kernel as usize).saturating_sub(pad as usize));
        low..high.min(side)
    };
    for oy in 0..out.h {
        for ox in 0..out.w {
            pixels.clear();
            for iy in span(oy, pool.stride[0], pool.pad.top, pool.kernel[0], x.h) {
                let columns = span(ox, pool.stride[1], pool.pad.left, pool.kernel[1], x.w);
                pixels.extend(columns.map(|ix| iy * x.w + ix));
            }
            each(oy * out.w + ox, &pixels);
        }
    }
}

/// Float pooling.
pub(super) fn pool(pool: &Pool, x: &[f32], shape: Shape, out: Shape) -> Vec<f32> {
    let c = shape.c;
    let mut values = vec![0.0; out.len()];
    windows(pool, shape, out, |at, pixels| {
        let target = &mut values[at * c..(at + 1) * c];
        if pool.kind == PoolKind::Max {
            target.fill(f32::NEG_INFINITY);
        }
        for p in pixels {
            for (t, v) in target.iter_mut().zip(&x[p * c..(p + 1) * c]) {
                match pool.kind {
                    PoolKind::Max => *t = t.max(*v),
                    PoolKind::Average => *t += v,
                }
            }
        }
        if pool.kind == PoolKind::Average {
            target.iter_mut().for_each(|t| *t /= pixels.len().max(1) as f32);
        }
    });
    values
}

/// Mean per channel, summed in `f64` in order of pixels.
pub(super) fn mean(x: &[f32], shape: Shape) -> Vec<f32> {
    let mut sums = vec![0.0f64; shape.c];
    for pixel in x.chunks_exact(shape.c) {
        sums.iter_mut().zip(pixel).for_each(|(s, v)| *s += f64::from(*v));
    }
    sums.iter().map(|s| (s / shape.pixels().max(1) as f64) as f32).collect()
}

/// The factors of a squeeze-excite from the means.
pub(super) fn excite(se: &SqueezeExcite, mean: &[f32]) -> Vec<f32> {
    let layer = |weights: &[f32], bias: &[f32], x: &[f32]| -> Vec<f32> {
        let rows = weights.chunks_exact(x.len().max(1));
        bias.iter().zip(rows).map(|(b, row)| b + row.iter().zip(x).map(|(w, v)| w * v).sum::<f32>()).collect()
    };
    let hidden: Vec<f32> = layer(&se.fc1, &se.bias1, mean).into_iter().map(|v| v.max(0.0)).collect();
    let gate = |v: f32| (se.alpha * v + se.beta).clamp(0.0, 1.0) + if se.residual { 1.0 } else { 0.0 };
    layer(&se.fc2, &se.bias2, &hidden).into_iter().map(gate).collect()
}

/// Nearest up-sampling of anything.
pub(super) fn upsample<T: Copy + Default>(x: &[T], shape: Shape, factor: usize) -> Vec<T> {
    let c = shape.c;
    let mut out = Vec::with_capacity(x.len() * factor * factor);
    for row in x.chunks_exact(shape.w * c) {
        let start = out.len();
        for pixel in row.chunks_exact(c) {
            (0..factor).for_each(|_| out.extend_from_slice(pixel));
        }
        let end = out.len();
        (1..factor).for_each(|_| out.extend_from_within(start..end));
    }
    out
}

/// Joins along channels.
pub(super) fn concat<T: Copy>(parts: &[(&[T], usize)], pixels: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(parts.iter().map(|(x, _)| x.len()).sum());
    for p in 0..pixels {
        parts.iter().for_each(|(x, c)| out.extend_from_slice(&x[p * c..(p + 1) * c]));
    }
    out
}

/// Layer normalisation over channels, moments in `f64`.
pub(super) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32) -> Vec<f32> {
    let c = gamma.len().max(1);
    let mut out = Vec::with_capacity(x.len());
    for token in x.chunks_exact(c) {
        let mean = token.iter().map(|v| f64::from(*v)).sum::<f64>() / c as f64;
        let variance = token.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / c as f64;
        let factor = 1.0 / (variance + f64::from(eps)).sqrt();
        out.extend(
            token
                .iter()
                .zip(gamma.iter().zip(beta))
                .map(|(v, (g, b))| ((f64::from(*v) - mean) * factor) as f32 * g + b),
        );
    }
    out
}

/// Softmax over rows of `c`.
pub(super) fn softmax(x: &mut [f32], c: usize) {
    for row in x.chunks_exact_mut(c.max(1)) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|v| *v = (*v - max).exp());
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|v| *v /= sum);
    }
}

/// softmax(q·kᵀ·scale)·v over all tokens, head by head.
pub(super) fn attention(qkv: &[f32], tokens: usize, heads: usize, scale: f32, channels: usize) -> Vec<f32> {
    let d = channels / heads.max(1);
    let mut out = vec![0.0; tokens * channels];
    let mut scores = vec![0.0; tokens];
    let part = |t: usize, which: usize, head: usize| {
        let at = t * 3 * channels + which * channels + head * d;
        &qkv[at..at + d]
    };
    for head in 0..heads {
        for t in 0..tokens {
            let q = part(t, 0, head);
            for (u, score) in scores.iter_mut().enumerate() {
                *score = q.iter().zip(part(u, 1, head)).map(|(a, b)| a * b).sum::<f32>() * scale;
            }
            softmax(&mut scores, tokens);
            let target = &mut out[t * channels + head * d..t * channels + (head + 1) * d];
            for (u, p) in scores.iter().enumerate() {
                target.iter_mut().zip(part(u, 2, head)).for_each(|(o, v)| *o += p * v);
            }
        }
    }
    out
}
