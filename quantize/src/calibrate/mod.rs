//! Float graph and images to a quantised graph.
//!
//! Two passes over the calibration images. The first runs the float network and counts values, from which every
//! tensor's range follows. The second goes node by node, with all images side by side in the float and in the
//! quantised network: a convolution's weights are rounded for the inputs that the quantised network really gives it, so
//! that each layer makes up for what those before it lost, and its bias takes over the rest of the mean error.

mod dtypes;
mod equalise;
mod histogram;
mod layerwise;
mod mixed_precision;
mod moments;
mod report;
mod rounding;
mod sensitivity;

pub use report::{LayerReport, Report};
pub use rounding::Rounding;
pub use sensitivity::{Choice, Cost, loss, sensitivity, within};

use crate::data::samples::Sample;
use crate::error::Error;
use crate::graph::{Activation, Conv, DType, Graph, Op, Quant, TensorId};
use crate::interpreter::{self, Feature, Mode, parallel};
use histogram::Histogram;
use std::collections::{BTreeSet, HashMap};

/// How a tensor's range is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ranges {
    /// All that was seen.
    MinMax,
    /// Without this share of values at each end.
    Percentile(f64),
    /// Least mean squared error.
    Mse,
}

/// Decisions that calibration can take or leave.
#[derive(Clone, Debug)]
pub struct Options {
    /// Ranges of activations.
    pub ranges: Ranges,
    /// Strength of the equalisation of channels, 0 to 1.
    pub equalise: f32,
    /// Weights.
    pub rounding: Rounding,
    /// Let biases take over the mean error.
    pub correct_bias: bool,
    /// Nodes that give floats although they could give bytes.
    pub islands: BTreeSet<String>,
    /// Patches of all images together that weights are rounded for.
    pub patches: usize,
    /// Threads; they do not change the result.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            ranges: Ranges::Mse,
            equalise: 1.0,
            rounding: Rounding { compensate: true, absorb: true, search_scale: true },
            correct_bias: true,
            islands: BTreeSet::new(),
            patches: 24_000,
            threads: 2,
        }
    }
}

/// A calibrated network.
pub struct Calibrated {
    /// The float network with what was rewritten in it: computes the same as the original.
    pub float: Graph,
    /// The quantised one, with the same nodes.
    pub graph: Graph,
    /// What was decided.
    pub report: Report,
}

/// Quantises a float graph.
///
/// # Errors
/// An image does not fit the network, there is none, or an island is not possible.
pub fn calibrate(graph: &Graph, samples: &[Sample], options: &Options) -> Result<Calibrated, Error> {
    if samples.is_empty() {
        return Err(Error::Usage("there is no calibration image; check the list and the data folder".into()));
    }
    let mut float = graph.clone();
    if options.equalise > 0.0 {
        // Channels are counted on some of the images: only their extent is wanted.
        let some = spread(samples, EQUALISE_IMAGES);
        let channels = count(&float, &some, options.threads, channel_histograms)?;
        let is = dtypes::quantised(&float, &BTreeSet::new());
        equalise::equalise(&mut float, &channels, &is, options.equalise);
    }
    mixed_precision::open(&mut float, &options.islands)?;
    let all: Vec<&Sample> = samples.iter().collect();
    let histograms = count(&float, &all, options.threads, |out| vec![histogram(out.f32())])?;
    let mut graph = float.clone();
    assign(&mut graph, &histograms.iter().map(|h| h.first().cloned().unwrap_or_default()).collect::<Vec<_>>(), options);
    let report = layerwise::run(&float, &mut graph, samples, options)?;
    graph.validate()?;
    Ok(Calibrated { float, graph, report })
}

/// At most `count` of the samples, evenly spread.
pub fn spread(samples: &[Sample], count: usize) -> Vec<&Sample> {
    samples.iter().step_by(samples.len().div_ceil(count.max(1)).max(1)).collect()
}

/// Images for the ranges of single channels.
const EQUALISE_IMAGES: usize = 32;

fn histogram(values: &[f32]) -> Histogram {
    let mut histogram = Histogram::default();
    histogram.add(values);
    histogram
}

fn channel_histograms(out: &Feature) -> Vec<Histogram> {
    let mut column = Vec::with_capacity(out.shape.pixels());
    let channel = |c: usize| {
        column.clear();
        column.extend(out.f32().iter().skip(c).step_by(out.shape.c));
        let mut histogram = Histogram::of_channel();
        histogram.add(&column);
        histogram
    };
    (0..out.shape.c).map(channel).collect()
}

/// First pass: histograms for each tensor of the float network, joined over the images.
fn count(
    graph: &Graph,
    samples: &[&Sample],
    threads: usize,
    of: impl Fn(&Feature) -> Vec<Histogram> + Sync,
) -> Result<Vec<Vec<Histogram>>, Error> {
    let mut all: Vec<Vec<Histogram>> = vec![Vec::new(); graph.tensors.len()];
    // Small lots, so that only few histograms are alive; joined in order.
    for lot in samples.chunks(4) {
        for one in parallel(lot.len(), threads, |i| count_one(graph, lot[i], &of)) {
            for (sum, part) in all.iter_mut().zip(one?) {
                if sum.is_empty() {
                    *sum = part;
                } else {
                    sum.iter_mut().zip(part).for_each(|(s, p)| s.merge(p));
                }
            }
        }
    }
    Ok(all)
}

fn count_one(
    graph: &Graph,
    sample: &Sample,
    of: impl Fn(&Feature) -> Vec<Histogram>,
) -> Result<Vec<Vec<Histogram>>, Error> {
    let mut histograms = vec![Vec::new(); graph.tensors.len()];
    let last = graph.last_uses();
    let mut live: HashMap<TensorId, Feature> = HashMap::new();
    live.insert(graph.input, interpreter::image(graph, &sample.bytes, sample.h, sample.w, Mode::Float)?);
    for (i, node) in graph.nodes.iter().enumerate() {
        let inputs: Vec<&Feature> = node.inputs.iter().filter_map(|id| live.get(id)).collect();
        // The head's classes are many and stay float.
        if matches!(node.op, Op::CtcHead(_)) {
            continue;
        }
        let out = interpreter::run_node(graph, i, &inputs, Mode::Float)?;
        histograms[node.output.index()] = of(&out);
        live.insert(node.output, out);
        node.inputs.iter().filter(|id| last[id.index()] == i).for_each(|id| drop(live.remove(id)));
    }
    Ok(histograms)
}

/// Element types, scales and zero points of all tensors.
fn assign(graph: &mut Graph, histograms: &[Histogram], options: &Options) {
    let is = dtypes::quantised(graph, &options.islands);
    let group = dtypes::shared(graph);
    let mut shifts = vec![0.0f32; graph.tensors.len()];
    for node in &graph.nodes {
        let shift = dtypes::shift(&node.op);
        if shift != 0.0 {
            shifts[group[node.output.index()]] = shift;
        }
    }
    let mut joined: HashMap<usize, Histogram> = HashMap::new();
    for (i, histogram) in histograms.iter().enumerate().filter(|(i, _)| is[*i]) {
        joined.entry(group[i]).or_default().merge(histogram.clone());
    }
    for i in 0..graph.tensors.len() {
        if i == graph.input.index() {
            continue;
        }
        graph.tensors[i].dtype = match joined.get(&group[i]).filter(|_| is[i]) {
            None => DType::F32,
            Some(histogram) => {
                let (low, high) = match options.ranges {
                    Ranges::MinMax => histogram.bounds(),
                    Ranges::Percentile(share) => histogram.percentiles(share),
                    Ranges::Mse => histogram.best_range(),
                };
                DType::U8(histogram::quant(low, high, shifts[group[i]]))
            }
        };
    }
    // Probabilities have a range of their own.
    let output = graph.output;
    let sigmoid =
        |op: &Op| matches!(op, Op::Conv(Conv { act: Activation::Sigmoid, .. }) | Op::Activation(Activation::Sigmoid));
    if graph.nodes.iter().any(|n| n.output == output && sigmoid(&n.op)) && is[output.index()] {
        graph.tensors[output.index()].dtype = DType::U8(Quant { scale: 1.0 / 255.0, zero: 0 });
    }
}
