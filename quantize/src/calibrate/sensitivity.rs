//! What single layers cost, and float islands where a stated loss demands them.

use super::{Calibrated, Options, Sample, calibrate, mixed_precision, spread};
use crate::error::Error;
use crate::graph::{Conv, Graph, Op, Weights};
use crate::interpreter::{self, Data, Feature, Mode, parallel};
use std::fmt::Write;

/// What one layer costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// ONNX name.
    pub node: String,
    /// Kind.
    pub op: &'static str,
    /// [`loss`] when only this layer is quantised: its inputs, its weights and its output.
    pub loss: f64,
    /// The engine could compute it in floats.
    pub possible: bool,
}

/// Distance of two answers: total variation (half the sum of differences) of each step's probabilities, or the
/// difference of each pixel's, averaged. 0: the same; 1: nothing in common.
fn distance(a: &[f32], b: &[f32], channels: usize) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum();
    let steps = (a.len() / channels.max(1)).max(1) as f64;
    sum / steps * if channels > 1 { 0.5 } else { 1.0 }
}

/// Mean distance between the answers of the float and of the quantised network: total variation of the probabilities
/// of a step, or difference of a pixel's probability.
///
/// # Errors
/// An image does not fit.
pub fn loss(float: &Graph, quantised: &Graph, samples: &[&Sample], threads: usize) -> Result<f64, Error> {
    let one = |i: usize| -> Result<f64, Error> {
        let run = |graph, mode| interpreter::run(graph, &samples[i].bytes, samples[i].h, samples[i].w, mode);
        let ((shape, f), (_, q)) = (run(float, Mode::Float)?, run(quantised, Mode::Int)?);
        Ok(distance(&f, &q, shape.c))
    };
    mean(parallel(samples.len(), threads, one))
}

fn mean(values: Vec<Result<f64, Error>>) -> Result<f64, Error> {
    let count = values.len().max(1) as f64;
    Ok(values.into_iter().sum::<Result<f64, Error>>()? / count)
}

/// What each quantised layer costs by itself, in order of the graph.
///
/// # Errors
/// An image does not fit.
pub fn sensitivity(of: &Calibrated, samples: &[&Sample], threads: usize) -> Result<Vec<Cost>, Error> {
    let (float, quantised) = (&of.float, &of.graph);
    let is_layer = |i: usize| matches!(&quantised.nodes[i].op, Op::Conv(Conv { weights: Weights::I8 { .. }, .. }));
    let layers: Vec<usize> = (0..quantised.nodes.len()).filter(|i| is_layer(*i)).collect();
    let one = |i: usize| -> Result<Vec<f64>, Error> {
        let values = all_values(float, samples[i])?;
        let want = values[float.output.index()].as_ref();
        let costs = layers.iter().map(|layer| {
            let got = with_one_quantised(float, quantised, *layer, &values)?;
            let want = want.ok_or(Error::Usage("the network has no output".into()))?;
            Ok(distance(want.f32(), got.f32(), want.shape.c))
        });
        costs.collect()
    };
    let mut sums = vec![0.0; layers.len()];
    for costs in parallel(samples.len(), threads, one) {
        sums.iter_mut().zip(costs?).for_each(|(s, c)| *s += c);
    }
    let cost = |(layer, sum): (&usize, f64)| {
        let node = &float.nodes[*layer];
        let loss = sum / samples.len().max(1) as f64;
        Cost { node: node.name.clone(), op: node.op.name(), loss, possible: mixed_precision::possible(float, node) }
    };
    Ok(layers.iter().zip(sums).map(cost).collect())
}

/// Every tensor of the float network.
fn all_values(float: &Graph, sample: &Sample) -> Result<Vec<Option<Feature>>, Error> {
    let mut values: Vec<Option<Feature>> = vec![None; float.tensors.len()];
    values[float.input.index()] = Some(interpreter::image(float, &sample.bytes, sample.h, sample.w, Mode::Float)?);
    for (i, node) in float.nodes.iter().enumerate() {
        let inputs: Vec<&Feature> = node.inputs.iter().filter_map(|id| values[id.index()].as_ref()).collect();
        values[node.output.index()] = Some(interpreter::run_node(float, i, &inputs, Mode::Float)?);
    }
    Ok(values)
}

/// The answer of the float network in which one layer is quantised.
fn with_one_quantised(
    float: &Graph,
    quantised: &Graph,
    layer: usize,
    values: &[Option<Feature>],
) -> Result<Feature, Error> {
    let mut changed: Vec<Option<Feature>> = vec![None; values.len()];
    let node = &quantised.nodes[layer];
    let bytes: Vec<Feature> = node
        .inputs
        .iter()
        .filter_map(|id| Some((values[id.index()].as_ref()?, quantised.tensor(*id).dtype.quant()?)))
        .map(|(f, q)| Feature {
            shape: f.shape,
            data: Data::U8(f.f32().iter().map(|v| interpreter::quantise(*v, q)).collect()),
        })
        .collect();
    let out = interpreter::run_node(quantised, layer, &bytes.iter().collect::<Vec<_>>(), Mode::Int)?;
    let real = out.real(quantised.tensor(node.output).dtype);
    changed[node.output.index()] = Some(Feature { shape: out.shape, data: Data::F32(real) });
    // Only what depends on it.
    let last = float.last_uses();
    for (i, node) in float.nodes.iter().enumerate().skip(layer + 1) {
        if node.inputs.iter().any(|id| changed[id.index()].is_some()) {
            let now = |id: &crate::graph::TensorId| changed[id.index()].as_ref().or(values[id.index()].as_ref());
            let inputs: Vec<&Feature> = node.inputs.iter().filter_map(now).collect();
            let out = interpreter::run_node(float, i, &inputs, Mode::Float)?;
            changed[node.output.index()] = Some(out);
            node.inputs.iter().filter(|id| last[id.index()] == i).for_each(|id| changed[id.index()] = None);
        }
    }
    changed[float.output.index()].take().ok_or(Error::Usage("a layer does not reach the output".into()))
}

/// How mixed precision was chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What each layer costs by itself, dearest first; empty if nothing had to be chosen.
    pub costs: Vec<Cost>,
    /// Number of float islands tried and the network's loss with them.
    pub tried: Vec<(usize, f64)>,
    /// Whether the last one holds the budget.
    pub holds: bool,
}

impl Choice {
    /// `node,operation,loss,possible`, dearest first.
    pub fn csv(&self) -> String {
        let mut out = String::from("node,operation,loss,possible\n");
        for c in &self.costs {
            let _ = writeln!(out, "{},{},{:.6},{}", c.node, c.op, c.loss, c.possible);
        }
        out
    }
}

/// Images whose answers are compared.
pub const IMAGES: usize = 24;
/// Numbers of islands tried, one after the other.
const STEPS: [usize; 5] = [1, 2, 4, 8, 16];

/// Calibrates, then leaves the dearest layers float, as few of them as hold [`loss`] below `budget` on some of the
/// images. Without any that do, the choice with the least loss.
///
/// # Errors
/// As of [`calibrate`].
pub fn within(
    graph: &Graph,
    samples: &[Sample],
    options: &Options,
    budget: f64,
) -> Result<(Calibrated, Choice), Error> {
    let some = spread(samples, IMAGES);
    let mut best = calibrate(graph, samples, options)?;
    let mut least = loss(&best.float, &best.graph, &some, options.threads)?;
    let mut choice = Choice { tried: vec![(options.islands.len(), least)], ..Choice::default() };
    if least > budget {
        choice.costs = sensitivity(&best, &some, options.threads)?;
        choice.costs.sort_by(|a, b| b.loss.total_cmp(&a.loss));
        let possible: Vec<&Cost> = choice.costs.iter().filter(|c| c.possible).collect();
        for count in STEPS.into_iter().filter(|n| *n <= possible.len()) {
            let mut options = options.clone();
            options.islands.extend(possible[..count].iter().map(|c| c.node.clone()));
            let next = calibrate(graph, samples, &options)?;
            let now = loss(&next.float, &next.graph, &some, options.threads)?;
            choice.tried.push((options.islands.len(), now));
            if now < least {
                (best, least) = (next, now);
            }
            if least <= budget {
                break;
            }
        }
    }
    choice.holds = least <= budget;
    Ok((best, choice))
}
