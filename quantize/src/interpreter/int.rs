//! The integer interpreter: the arithmetic of the INT8 engine, one operator after the other, without its speed.
//!
//! Integer sums are taken in `f32` where they are exact (products of at most 255·127, 512 of them at a time) and joined
//! in `i32`: the result is the integer one, and the compiler makes it as fast as the float interpreter.

use super::common::{attention, concat, excite, layer_norm, output_shape, refuse, softmax, upsample, windows};
use super::float::scatter;
use super::gemm::Packed;
use super::im2col::{Patches, depthwise_row};
use super::lower::{Epilogue, lower_conv, quantise};
use super::{Data, Feature, activate};
use crate::error::Error;
use crate::graph::{Activation, Conv, ConvKind, CtcHead, DType, Graph, Op, PoolKind, Quant, Shape, Weights};

/// Terms whose sum of products is exact in `f32`.
const EXACT_TERMS: usize = 512;

/// Runs one node as the element types of its tensors say.
pub fn run_node(graph: &Graph, index: usize, inputs: &[&Feature]) -> Result<Feature, Error> {
    let node = &graph.nodes[index];
    let shape = output_shape(graph, node, inputs)?;
    let dtype = |at: usize| graph.tensor(node.inputs[at]).dtype;
    let out_elem = graph.tensor(node.output).dtype;
    let quants: Option<Vec<Quant>> = (0..inputs.len()).map(|at| dtype(at).quant()).collect();
    let x = inputs[0];
    if matches!(&node.op, Op::Conv(Conv { weights: Weights::F32(_), .. })) {
        let real: Vec<Feature> = (0..inputs.len())
            .map(|at| Feature { shape: inputs[at].shape, data: Data::F32(inputs[at].real(dtype(at))) })
            .collect();
        return float_node(graph, index, &real.iter().collect::<Vec<_>>(), shape, out_elem);
    }
    let Some(quants) = quants else {
        return float_node(graph, index, inputs, shape, out_elem);
    };
    if inputs.iter().any(|f| f.u8().len() != f.shape.len()) {
        return Err(refuse(node, "an input is not quantised"));
    }
    let (v, s, q) = (x.u8(), x.shape, quants[0]);
    let data = match (&node.op, out_elem) {
        (Op::Conv(conv), _) => {
            return conv_node(conv, inputs, &quants, shape, out_elem, || refuse(node, "types differ"));
        }
        (Op::Pool(p), DType::U8(to)) if p.kind == PoolKind::Max => {
            let mut out = vec![0u8; shape.len()];
            windows(p, s, shape, |at, pixels| {
                let target = &mut out[at * s.c..(at + 1) * s.c];
                for p in pixels {
                    target.iter_mut().zip(&v[p * s.c..(p + 1) * s.c]).for_each(|(t, b)| *t = (*t).max(*b));
                }
            });
            Data::U8(requantise(out, q, to))
        }
        (Op::Pool(p), _) if p.kind == PoolKind::Average => average(p, v, s, q, shape, out_elem),
        (Op::GlobalMean, DType::F32) => Data::F32(mean(v, s, q)),
        (Op::SqueezeExcite(se), DType::U8(to)) => {
            let mul = q.scale / to.scale;
            let factors: Vec<f32> = excite(se, &mean(v, s, q)).iter().map(|g| g * mul).collect();
            let zero = f32::from(q.zero);
            let scale = |(b, f): (&u8, &f32)| store((f32::from(*b) - zero) * f, i32::from(to.zero), 0);
            Data::U8(v.chunks_exact(s.c).flat_map(|pixel| pixel.iter().zip(&factors).map(scale)).collect())
        }
        (Op::Add { up }, DType::U8(to)) => {
            let b = upsample(inputs[1].u8(), inputs[1].shape, *up as usize);
            let (ma, mb) = (q.scale / to.scale, quants[1].scale / to.scale);
            let (za, zb) = (f32::from(q.zero), f32::from(quants[1].zero));
            let sum = |(a, b): (&u8, &u8)| {
                store((f32::from(*a) - za) * ma + (f32::from(*b) - zb) * mb, i32::from(to.zero), 0)
            };
            Data::U8(v.iter().zip(&b).map(sum).collect())
        }
        (Op::Upsample { factor }, DType::U8(to)) => Data::U8(requantise(upsample(v, s, *factor as usize), q, to)),
        (Op::Concat, DType::U8(to)) => {
            let parts: Vec<Vec<u8>> =
                inputs.iter().zip(&quants).map(|(f, q)| requantise(f.u8().to_vec(), *q, to)).collect();
            let parts: Vec<(&[u8], usize)> = parts.iter().zip(inputs).map(|(p, f)| (&p[..], f.shape.c)).collect();
            Data::U8(concat(&parts, shape.pixels()))
        }
        (Op::Activation(act), DType::U8(to)) => {
            let real = |b: u8| (f32::from(b) - f32::from(q.zero)) * q.scale;
            let table: Vec<u8> = (0..=255).map(|b| quantise(activate(*act, real(b)), to)).collect();
            Data::U8(v.iter().map(|b| table[usize::from(*b)]).collect())
        }
        (Op::Convert, DType::U8(to)) => Data::U8(requantise(v.to_vec(), q, to)),
        (Op::Convert, DType::F32) => Data::F32(x.real(dtype(0))),
        (op, _) => return Err(refuse(node, format!("{} has no form for these element types", op.name()))),
    };
    Ok(Feature { shape, data })
}

/// Nodes that compute on floats; a quantised output is rounded at the end.
fn float_node(graph: &Graph, index: usize, inputs: &[&Feature], shape: Shape, out: DType) -> Result<Feature, Error> {
    let node = &graph.nodes[index];
    let x = inputs[0];
    let values = match &node.op {
        Op::Conv(Conv { weights: Weights::I8 { .. }, .. }) => return Err(refuse(node, "i8 weights on floats")),
        Op::CtcHead(head) if matches!(head.weights, Weights::I8 { .. }) => ctc(head, x.f32(), x.shape.c),
        Op::LayerNorm { gamma, beta, eps } => layer_norm(x.f32(), gamma, beta, *eps),
        Op::Attention { heads, scale } => attention(x.f32(), x.shape.pixels(), *heads as usize, *scale, shape.c),
        _ => super::float::run_node(graph, index, inputs)?.f32().to_vec(),
    };
    let data = match out {
        DType::F32 => Data::F32(values),
        DType::U8(q) => Data::U8(values.iter().map(|v| quantise(*v, q)).collect()),
    };
    Ok(Feature { shape, data })
}

/// Round half to even, zero point, clamp.
fn store(y: f32, zero: i32, low: i32) -> u8 {
    (y.round_ties_even() as i32).saturating_add(zero).clamp(low, 255) as u8
}

fn requantise(mut bytes: Vec<u8>, from: Quant, to: Quant) -> Vec<u8> {
    if from != to {
        let mul = from.scale / to.scale;
        let table: Vec<u8> =
            (0..=255u8).map(|b| store((f32::from(b) - f32::from(from.zero)) * mul, i32::from(to.zero), 0)).collect();
        bytes.iter_mut().for_each(|b| *b = table[usize::from(*b)]);
    }
    bytes
}

/// Real mean per channel: exact sum, then `sum * mul + add`.
fn mean(v: &[u8], s: Shape, q: Quant) -> Vec<f32> {
    let mut sums = vec![0u64; s.c];
    v.chunks_exact(s.c).for_each(|pixel| sums.iter_mut().zip(pixel).for_each(|(t, b)| *t += u64::from(*b)));
    let (mul, add) = (q.scale / s.pixels().max(1) as f32, -f32::from(q.zero) * q.scale);
    sums.iter().map(|t| *t as f32 * mul + add).collect()
}

fn average(p: &crate::graph::Pool, v: &[u8], s: Shape, q: Quant, shape: Shape, out: DType) -> Data {
    let mut values = vec![0.0f32; shape.len()];
    let to = out.quant().map_or(1.0, |to| to.scale);
    windows(p, s, shape, |at, pixels| {
        let count = pixels.len().max(1);
        let mul = q.scale / (count as f32 * to);
        for c in 0..s.c {
            let sum: i32 = pixels.iter().map(|p| i32::from(v[p * s.c + c]) - i32::from(q.zero)).sum();
            values[at * s.c + c] = sum as f32 * mul;
        }
    });
    match out {
        DType::F32 => Data::F32(values),
        DType::U8(to) => Data::U8(values.iter().map(|y| store(*y, i32::from(to.zero), 0)).collect()),
    }
}

fn conv_node(
    conv: &Conv,
    inputs: &[&Feature],
    quants: &[Quant],
    shape: Shape,
    out: DType,
    wrong: impl Fn() -> Error,
) -> Result<Feature, Error> {
    let x = inputs[0];
    let zero = f32::from(quants[0].zero);
    let Weights::I8 { values: weights, .. } = &conv.weights else { return Err(wrong()) };
    let residual = inputs.get(1).map(|_| DType::U8(quants[1]));
    let epilogue = lower_conv(conv, DType::U8(quants[0]), residual, out).ok_or_else(&wrong)?;
    let centred: Vec<f32> = x.u8().iter().map(|b| f32::from(*b) - zero).collect();
    let weights: Vec<f32> = weights.iter().map(|w| f32::from(*w)).collect();
    let acc = accumulate(conv, &weights, &centred, x.shape, shape, &epilogue.bias);
    let res = inputs.get(1).map(|r| (r.u8(), f32::from(quants[1].zero)));
    Ok(Feature { shape, data: finish(conv, &epilogue, &acc, res, shape, out) })
}

/// The exact integer sums, bias included; layout of the output.
fn accumulate(conv: &Conv, weights: &[f32], x: &[f32], shape: Shape, out: Shape, bias: &[i32]) -> Vec<i32> {
    let mut acc = vec![0i32; out.len()];
    let n = conv.rows();
    if conv.kind == ConvKind::Depthwise {
        let mut line = vec![0.0; out.w * n];
        for (y, target) in acc.chunks_exact_mut(out.w * n).enumerate() {
            depthwise_row(conv, x, shape, weights, y, &mut line);
            target.iter_mut().zip(&line).for_each(|(t, v)| *t = *v as i32);
        }
        acc.chunks_exact_mut(n).for_each(|p| p.iter_mut().zip(bias).for_each(|(t, b)| *t += b));
        return acc;
    }
    let k = conv.row_len();
    let packed = Packed::new(n, k, |row, i| weights[row * k + i]);
    let transposed = conv.kind == ConvKind::Transposed;
    let columns = if transposed { shape.w } else { out.w };
    let mut patches = Patches::new(conv, x, shape, out.w);
    let (mut line, mut sums) = (vec![0.0; columns * n], vec![0i32; columns * n]);
    for y in 0..if transposed { shape.h } else { out.h } {
        let rows = patches.row(y);
        sums.chunks_exact_mut(n).for_each(|p| p.copy_from_slice(bias));
        for from in (0..k).step_by(EXACT_TERMS) {
            packed.multiply(rows, from, (from + EXACT_TERMS).min(k), &mut line);
            sums.iter_mut().zip(&line).for_each(|(t, v)| *t += *v as i32);
        }
        if transposed {
            scatter(&sums, y, shape.w, out, &mut acc);
        } else {
            acc[y * columns * n..(y + 1) * columns * n].copy_from_slice(&sums);
        }
    }
    acc
}

fn finish(conv: &Conv, e: &Epilogue, acc: &[i32], res: Option<(&[u8], f32)>, shape: Shape, out: DType) -> Data {
    let c = shape.c;
    let nonlinear = !matches!(conv.act, Activation::Linear | Activation::Relu);
    // The transposed convolution's rows repeat the channels; scales differ per row, so its row is found by position.
    let row = |i: usize| match conv.kind {
        ConvKind::Transposed => {
            let pixel = i / c;
            ((pixel / shape.w % 2) * 2 + pixel % shape.w % 2) * c + i % c
        }
        _ => i % c,
    };
    let y = |i: usize| {
        let x = acc[i] as f32 * e.mul[row(i)];
        let y = if nonlinear { activate(conv.act, x) * e.post } else { x };
        match res {
            Some((bytes, zero)) => y + (f32::from(bytes[i]) - zero) * e.res_mul,
            None => y,
        }
    };
    match out {
        DType::U8(_) => Data::U8((0..acc.len()).map(|i| store(y(i), e.zero_out, e.low)).collect()),
        DType::F32 if conv.act == Activation::Relu => {
            Data::F32((0..acc.len()).map(|i| y(i).max(0.0) + e.shift).collect())
        }
        DType::F32 => Data::F32((0..acc.len()).map(|i| y(i) + e.shift).collect()),
    }
}

/// Tokens quantised one by one, i8 weights, probabilities.
fn ctc(head: &CtcHead, x: &[f32], k: usize) -> Vec<f32> {
    let Weights::I8 { values, scales } = &head.weights else { return Vec::new() };
    let n = head.classes as usize;
    let packed = Packed::new(n, k, |row, i| f32::from(values[row * k + i]));
    let mut out = Vec::with_capacity(x.len() / k.max(1) * n);
    let mut sums = vec![0.0; n];
    for token in x.chunks_exact(k) {
        let largest = token.iter().fold(0.0f32, |a, v| a.max(v.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        let steps: Vec<f32> = token.iter().map(|v| (v / scale).round_ties_even().clamp(-127.0, 127.0)).collect();
        // At most 65536 terms of 127·127 would not be exact in f32; the family has 120.
        let mut total = vec![0i64; n];
        for from in (0..k).step_by(EXACT_TERMS) {
            packed.multiply(&steps, from, (from + EXACT_TERMS).min(k), &mut sums);
            total.iter_mut().zip(&sums).for_each(|(t, v)| *t += *v as i64);
        }
        out.extend(total.iter().zip(scales.iter().zip(&head.bias)).map(|(t, (s, b))| *t as f32 * (s * scale) + b));
    }
    softmax(&mut out, n);
    out
}
