//! The layer-wise pass: both networks, float and quantised, run node by node, and each layer is corrected.

use super::Options;
use super::dtypes::float_weights;
use super::moments::{Moments, Seen, collect};
use super::report::{LayerReport, Report, sqnr_db};
use super::rounding::{Rounding, Rows, solve};
use crate::data::samples::Sample;
use crate::error::Error;
use crate::graph::{Conv, ConvKind, CtcHead, DType, Graph, Node, Op, TensorId, Weights};
use crate::interpreter::{self, Feature, Mode, parallel};
use std::collections::HashMap;

/// One image in both networks.
#[derive(Default)]
struct State {
    float: HashMap<TensorId, Feature>,
    quantised: HashMap<TensorId, Feature>,
}

/// Quantises weights of `quantised`, whose element types are set, in order of nodes.
pub(super) fn run(
    float: &Graph,
    quantised: &mut Graph,
    samples: &[Sample],
    options: &Options,
) -> Result<Report, Error> {
    let mut states = Vec::new();
    for sample in samples {
        let mut state = State::default();
        let put = |graph: &Graph, mode| interpreter::image(graph, &sample.bytes, sample.h, sample.w, mode);
        state.float.insert(float.input, put(float, Mode::Float)?);
        state.quantised.insert(float.input, put(quantised, Mode::Int)?);
        states.push(state);
    }
    let last = float.last_uses();
    let mut report = Report::default();
    for index in 0..float.nodes.len() {
        let node = &float.nodes[index];
        if matches!(node.op, Op::CtcHead(_)) {
            head(quantised, index, &states, options);
            continue;
        }
        let floats = both(&states, options.threads, |state| {
            let inputs: Vec<&Feature> = node.inputs.iter().filter_map(|id| state.float.get(id)).collect();
            interpreter::run_node(float, index, &inputs, Mode::Float)
        })?;
        round(float, quantised, index, &states, &floats, options);
        let ints = both(&states, options.threads, |state| {
            let inputs: Vec<&Feature> = node.inputs.iter().filter_map(|id| state.quantised.get(id)).collect();
            interpreter::run_node(quantised, index, &inputs, Mode::Int)
        })?;
        let dtype = quantised.tensor(node.output).dtype;
        report.layers.push(LayerReport {
            node: node.name.clone(),
            op: node.op.name(),
            dtype,
            sqnr_db: sqnr_db(floats.iter().zip(&ints).map(|(f, q)| (f.f32(), q.real(dtype)))),
            weight_sqnr_db: weight_sqnr(float, quantised, index),
        });
        for ((state, f), q) in states.iter_mut().zip(floats).zip(ints) {
            state.float.insert(node.output, f);
            state.quantised.insert(node.output, q);
            for id in node.inputs.iter().filter(|id| last[id.index()] == index) {
                state.float.remove(id);
                state.quantised.remove(id);
            }
        }
    }
    Ok(report)
}

fn both(
    states: &[State],
    threads: usize,
    run: impl Fn(&State) -> Result<Feature, Error> + Sync,
) -> Result<Vec<Feature>, Error> {
    parallel(states.len(), threads, |i| run(&states[i])).into_iter().collect()
}

/// Sums over all images, joined in their order.
fn gather(
    conv: &Conv,
    node: &Node,
    quantised: &Graph,
    states: &[State],
    out: &[Feature],
    options: &Options,
) -> Vec<Moments> {
    let limit = options.patches / states.len().max(1) + 1;
    let mut total: Vec<Moments> = Vec::new();
    for lot in (0..states.len()).collect::<Vec<_>>().chunks(8) {
        let parts = parallel(lot.len(), options.threads, |i| {
            let state = &states[lot[i]];
            let pair = |at: usize| {
                let id = node.inputs.get(at)?;
                Some((state.float.get(id)?, state.quantised.get(id)?, quantised.tensor(*id).dtype))
            };
            let Some((f, q, dtype)) = pair(0) else { return Vec::new() };
            let residual = pair(1).map(|(f, q, dtype)| f.f32().iter().zip(q.real(dtype)).map(|(f, q)| f - q).collect());
            let shape = out[lot[i]].shape;
            collect(conv, &Seen { float: f, quantised: (q, dtype), residual, out: [shape.h, shape.w] }, limit)
        });
        for part in parts {
            if total.is_empty() {
                total = part;
            } else {
                total.iter_mut().zip(&part).for_each(|(t, p)| t.merge(p));
            }
        }
    }
    total
}

/// Rounds the weights of one node, if it has any and reads bytes.
fn round(float: &Graph, quantised: &mut Graph, index: usize, states: &[State], out: &[Feature], options: &Options) {
    let node = &float.nodes[index];
    let (Op::Conv(conv), Some(weights)) = (&node.op, float_weights(&node.op)) else { return };
    let island = options.islands.contains(&node.name);
    let bytes = !island && node.inputs.iter().all(|id| quantised.tensor(*id).dtype.quant().is_some());
    // Floats that are bytes, or were so one step before: their mean error goes into the bias, the weights stay.
    let producers = float.producers();
    let edge = || {
        let from = node.inputs.first().and_then(|id| producers[id.index()]);
        from.is_some_and(|p| float.nodes[p].inputs.iter().all(|id| quantised.tensor(*id).dtype.quant().is_some()))
    };
    let corrected = bytes || (options.correct_bias && (island || edge()));
    if !corrected {
        return;
    }
    let moments = gather(conv, node, quantised, states, out, options);
    let Op::Conv(target) = &mut quantised.nodes[index].op else { return };
    if !bytes {
        if let Some(m) = moments.first().filter(|_| conv.kind == ConvKind::Dense) {
            target.bias.iter_mut().zip(&m.sum_e).for_each(|(b, e)| *b += (e / m.count.max(1.0)) as f32);
        }
        return;
    }
    let rows = if conv.kind == ConvKind::Depthwise {
        depthwise(conv, weights, moments, options)
    } else {
        match moments.into_iter().next() {
            Some(m) => solve_rows(m, weights, options),
            None => return,
        }
    };
    if options.correct_bias {
        target.bias.iter_mut().zip(&rows.bias).for_each(|(b, add)| *b += *add as f32);
    }
    // A bias beyond what i32 can hold in steps of a tiny scale would be lost.
    let input = quantised.tensor(node.inputs[0]).dtype.quant().map_or(1.0, |q| q.scale);
    let Op::Conv(target) = &mut quantised.nodes[index].op else { return };
    let largest = |b: f32| b.abs() / (input * (1u32 << 29) as f32);
    let scales = rows.scales.iter().zip(&target.bias).map(|(s, b)| s.max(largest(*b))).collect();
    target.weights = Weights::I8 { values: rows.values, scales };
}

fn solve_rows(moments: Moments, weights: &[f32], options: &Options) -> Rows {
    // Rows are independent: split them over the threads.
    let (k, rows) = (moments.k, moments.rows);
    let lot = rows.div_ceil(options.threads.max(1)).max(1);
    let parts = parallel(rows.div_ceil(lot), options.threads, |i| {
        let range = i * lot..((i + 1) * lot).min(rows);
        let part = Moments {
            rows: range.len(),
            sum_e: moments.sum_e[range.clone()].to_vec(),
            cross: moments.cross[range.start * k..range.end * k].to_vec(),
            ..moments.clone()
        };
        solve(part, &weights[range.start * k..range.end * k], options.rounding)
    });
    let mut all = Rows { values: Vec::new(), scales: Vec::new(), bias: Vec::new() };
    for part in parts {
        all.values.extend(part.values);
        all.scales.extend(part.scales);
        all.bias.extend(part.bias);
    }
    all
}

fn depthwise(conv: &Conv, weights: &[f32], moments: Vec<Moments>, options: &Options) -> Rows {
    let (c, taps) = (conv.rows(), conv.row_len());
    let mut all = Rows { values: vec![0; c * taps], scales: Vec::new(), bias: Vec::new() };
    for (channel, m) in moments.into_iter().enumerate() {
        let row: Vec<f32> = (0..taps).map(|t| weights[conv.position(channel, t)]).collect();
        let rows = solve(m, &row, options.rounding);
        rows.values.iter().enumerate().for_each(|(t, v)| all.values[conv.position(channel, t)] = *v);
        all.scales.extend(rows.scales);
        all.bias.extend(rows.bias);
    }
    all
}

/// The CTC head: rounded for the tokens it will see. Blank or not is decided by small differences between classes, so
/// errors of earlier layers are not absorbed into it.
fn head(quantised: &mut Graph, index: usize, states: &[State], options: &Options) {
    let node = &quantised.nodes[index];
    let Op::CtcHead(CtcHead { weights: Weights::F32(weights), in_channels, classes, .. }) = &node.op else { return };
    let (weights, k, rows) = (weights.clone(), *in_channels as usize, *classes as usize);
    let mut m = Moments {
        k,
        rows: 0,
        count: 0.0,
        sum_x: vec![0.0; k],
        sum_e: Vec::new(),
        gram: vec![0.0; k * k],
        cross: Vec::new(),
    };
    for tokens in states.iter().filter_map(|s| s.quantised.get(&node.inputs[0])) {
        for x in tokens.f32().chunks_exact(k) {
            m.count += 1.0;
            for i in 0..k {
                m.sum_x[i] += f64::from(x[i]);
                (0..k).for_each(|j| m.gram[i * k + j] += f64::from(x[i]) * f64::from(x[j]));
            }
        }
    }
    m.rows = rows;
    m.sum_e = vec![0.0; rows];
    m.cross = vec![0.0; rows * k];
    let how = Rounding { absorb: false, ..options.rounding };
    let solved = solve_rows(m, &weights, &Options { rounding: how, ..options.clone() });
    if let Op::CtcHead(head) = &mut quantised.nodes[index].op {
        if options.correct_bias {
            head.bias.iter_mut().zip(&solved.bias).for_each(|(b, add)| *b += *add as f32);
        }
        head.weights = Weights::I8 { values: solved.values, scales: solved.scales };
    }
}

fn weight_sqnr(float: &Graph, quantised: &Graph, index: usize) -> Option<f64> {
    let (Op::Conv(f), Op::Conv(q)) = (&float.nodes[index].op, &quantised.nodes[index].op) else { return None };
    let (Weights::F32(real), Weights::I8 { values, scales }) = (&f.weights, &q.weights) else { return None };
    let mut back = vec![0.0; values.len()];
    for (row, scale) in scales.iter().enumerate() {
        (0..q.row_len()).map(|k| q.position(row, k)).for_each(|at| back[at] = f32::from(values[at]) * scale);
    }
    Some(sqnr_db(std::iter::once((&real[..], back))))
}

/// Whether a tensor is quantised; for reports.
pub(super) fn dtype_name(dtype: DType) -> String {
    match dtype {
        DType::F32 => "f32".into(),
        DType::U8(q) => format!("u8 scale {:.6} zero {}", q.scale, q.zero),
    }
}
