//! Cross-channel equalisation: a tensor has one scale for all channels, so a channel with small numbers is left with
//! few steps. Dividing channel c by d[c] where it is written and multiplying the weights that read it by d[c] changes
//! nothing in the float network and gives every channel more of the range.
//!
//! Weights that write a channel have a scale of their own, so the division costs nothing there. The product makes the
//! rows that read the channel less even; hence the square root instead of full equality. (After Nagel et al. 2019, over
//! whole residual streams: sums, gates and concatenations tie their channels together.)

use super::histogram::Histogram;
use crate::graph::{Activation, Conv, ConvKind, Graph, Op, TensorId, Weights};
use std::collections::BTreeMap;

/// No channel is enlarged more than this.
const MOST: f32 = 16.0;

/// Channels of all tensors, numbered through, and which of them must be divided alike.
struct Channels {
    /// Number of a tensor's first channel.
    first: Vec<usize>,
    /// A channel's parent in the forest of those that are divided alike; a root is its own.
    parent: Vec<usize>,
}

impl Channels {
    fn new(graph: &Graph) -> Channels {
        let (mut first, mut count) = (Vec::new(), 0);
        for tensor in &graph.tensors {
            first.push(count);
            count += tensor.channels as usize;
        }
        Channels { first, parent: (0..count).collect() }
    }

    fn root(&self, mut channel: usize) -> usize {
        while self.parent[channel] != channel {
            channel = self.parent[channel];
        }
        channel
    }

    /// Joins `count` channels of two tensors.
    fn join(&mut self, (a, from_a): (TensorId, usize), (b, from_b): (TensorId, usize), count: usize) {
        for c in 0..count {
            let a = self.root(self.first[a.index()] + from_a + c);
            let b = self.root(self.first[b.index()] + from_b + c);
            self.parent[a.max(b)] = a.min(b);
        }
    }
}

/// For each tensor and channel the root of those that must be divided alike; `None` where no division is possible.
fn groups(graph: &Graph, quantised: &[bool]) -> Vec<Vec<Option<usize>>> {
    let mut all = Channels::new(graph);
    let mut free: Vec<bool> = quantised.to_vec();
    // Read by something that does not take factors.
    let mut barred = vec![false; graph.tensors.len()];
    free[graph.input.index()] = false;
    free[graph.output.index()] = false;
    for node in &graph.nodes {
        let out = node.output;
        let channels = |id: TensorId| graph.tensor(id).channels as usize;
        match &node.op {
            Op::Conv(conv) => {
                // Behind a curved activation a division would need a factor per channel.
                let straight = matches!(conv.act, Activation::Linear | Activation::Relu) && conv.post.is_none();
                free[out.index()] &= straight && matches!(conv.weights, Weights::F32(_));
                if let Some(residual) = node.inputs.get(1) {
                    all.join((*residual, 0), (out, 0), channels(out));
                }
            }
            Op::SqueezeExcite(_) | Op::Pool(_) | Op::Upsample { .. } | Op::Add { .. } => {
                node.inputs.iter().for_each(|id| all.join((*id, 0), (out, 0), channels(out)));
            }
            Op::Concat => {
                let mut at = 0;
                for id in &node.inputs {
                    all.join((*id, 0), (out, at), channels(*id));
                    at += channels(*id);
                }
            }
            _ => node.inputs.iter().chain([&node.output]).for_each(|id| {
                free[id.index()] = false;
                barred[id.index()] = true;
            }),
        }
    }
    // A mean that leaves the bytes is read by float weights, which take any factor.
    let leaves = |i: usize| {
        graph.nodes.iter().any(|n| n.output.index() == i && matches!(n.op, Op::Pool(_))) && !quantised[i] && !barred[i]
    };
    let mut held = vec![false; all.parent.len()];
    for i in (0..graph.tensors.len()).filter(|i| !free[*i] && !leaves(*i)) {
        (0..graph.tensors[i].channels as usize).for_each(|c| held[all.root(all.first[i] + c)] = true);
    }
    let root = |i: usize, c: usize| Some(all.root(all.first[i] + c)).filter(|r| !held[*r]);
    let channels = |i: usize| graph.tensors[i].channels as usize;
    (0..graph.tensors.len()).map(|i| (0..channels(i)).map(|c| root(i, c)).collect()).collect()
}

/// Rewrites the float graph. `channels` has a histogram per tensor and channel; `strength` is 0 (nothing) to 1 (all
/// channels alike). Gives the number of tensors that changed.
pub fn equalise(graph: &mut Graph, channels: &[Vec<Histogram>], quantised: &[bool], strength: f32) -> usize {
    let groups = groups(graph, quantised);
    // The range that channels divided alike need, relative to the largest of each tensor.
    let mut need: BTreeMap<usize, f32> = BTreeMap::new();
    for (i, histograms) in channels.iter().enumerate().filter(|(i, _)| quantised[*i]) {
        let range = |h: &Histogram| {
            let (low, high) = h.percentiles(1e-4);
            high.max(-low)
        };
        let ranges: Vec<f32> = histograms.iter().map(range).collect();
        let largest = ranges.iter().copied().fold(1e-12, f32::max);
        for (range, root) in ranges.iter().zip(&groups[i]).filter_map(|(r, g)| Some((r, (*g)?))) {
            let n = need.entry(root).or_default();
            *n = n.max(range / largest);
        }
    }
    let factor = |root: usize| {
        let need = need.get(&root).copied().unwrap_or(1.0);
        need.clamp(1e-6, 1.0).powf(strength).max(1.0 / MOST)
    };
    let of_tensor = |g: &Vec<Option<usize>>| -> Option<Vec<f32>> {
        g.iter().any(Option::is_some).then(|| g.iter().map(|root| root.map_or(1.0, factor)).collect())
    };
    let factors: Vec<Option<Vec<f32>>> = groups.iter().map(of_tensor).collect();
    for node in &mut graph.nodes {
        let read = node.inputs.first().and_then(|id| factors[id.index()].clone());
        let written = factors[node.output.index()].clone();
        match &mut node.op {
            Op::Conv(conv) => rescale(conv, read.as_deref(), written.as_deref()),
            Op::SqueezeExcite(se) => {
                if let Some(d) = read {
                    se.fc1.chunks_exact_mut(d.len()).for_each(|row| row.iter_mut().zip(&d).for_each(|(w, d)| *w *= d));
                }
            }
            _ => {}
        }
    }
    factors.iter().flatten().count()
}

/// Multiplies what is read by `read`, divides what is written by `written`.
fn rescale(conv: &mut Conv, read: Option<&[f32]>, written: Option<&[f32]>) {
    let (rows, len, oc) = (conv.rows(), conv.row_len(), conv.out_channels as usize);
    let depthwise = conv.kind == ConvKind::Depthwise;
    let ic = conv.in_channels as usize;
    let positions: Vec<(usize, usize, usize)> =
        (0..rows).flat_map(|r| (0..len).map(move |k| (r, k))).map(|(r, k)| (r, k, conv.position(r, k))).collect();
    let Weights::F32(weights) = &mut conv.weights else { return };
    for (row, k, at) in positions {
        let channel = if depthwise { row } else { k % ic };
        let up = read.map_or(1.0, |d| d[channel]);
        let down = written.map_or(1.0, |d| d[row % oc]);
        weights[at] *= up / down;
    }
    if let Some(d) = written {
        conv.bias.iter_mut().enumerate().for_each(|(row, b)| *b /= d[row % oc]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Node, Pad, Quant, Tensor};
    use crate::interpreter::{Mode, run, run_node};

    fn conv(kind: ConvKind, ic: u32, oc: u32, kernel: u32) -> Op {
        let taps = (kernel * kernel) as usize;
        let len = taps * oc as usize * if kind == ConvKind::Depthwise { 1 } else { ic as usize };
        let side = kernel / 2;
        Op::Conv(Conv {
            kind,
            in_channels: ic,
            out_channels: oc,
            kernel: [kernel; 2],
            stride: [1, 1],
            pad: Pad { top: side, left: side, bottom: side, right: side },
            // Channels of very different size.
            weights: Weights::F32(
                (0..len).map(|i| ((i * 37 % 19) as f32 - 9.0) * 0.01 * (1.0 + (i % 5) as f32 * 3.0)).collect(),
            ),
            bias: (0..oc).map(|i| i as f32 * 0.1 - 0.2).collect(),
            act: Activation::Linear,
            post: None,
        })
    }

    #[test]
    fn the_network_stays_the_same_function() {
        let tensor = |channels, dtype| Tensor { name: String::new(), channels, dtype };
        let node = |op, inputs: &[u32], output| Node {
            name: format!("n{output}"),
            op,
            inputs: inputs.iter().map(|i| TensorId(*i)).collect(),
            output: TensorId(output),
        };
        let mut tensors = vec![tensor(3, DType::U8(Quant { scale: 1.0, zero: 128 }))];
        tensors.extend([4, 4, 4, 12, 2].map(|c| tensor(c, DType::F32)));
        let graph = Graph {
            tensors,
            nodes: vec![
                node(conv(ConvKind::Dense, 3, 4, 3), &[0], 1),
                node(conv(ConvKind::Depthwise, 4, 4, 3), &[1], 2),
                node(conv(ConvKind::Dense, 4, 4, 1), &[2, 1], 3),
                node(Op::Concat, &[3, 1, 3], 4),
                node(conv(ConvKind::Dense, 12, 2, 1), &[4], 5),
            ],
            input: TensorId(0),
            output: TensorId(5),
        };
        let pixels: Vec<u8> = (0..6 * 5 * 3).map(|i| (i * 73 % 251) as u8).collect();
        let before = run(&graph, &pixels, 6, 5, Mode::Float).unwrap().1;
        let mut live = vec![crate::interpreter::image(&graph, &pixels, 6, 5, Mode::Float).unwrap()];
        for (i, n) in graph.nodes.iter().enumerate() {
            let inputs: Vec<_> = n.inputs.iter().map(|id| &live[id.index()]).collect();
            let out = run_node(&graph, i, &inputs, Mode::Float).unwrap();
            live.push(out);
        }
        let channels: Vec<Vec<Histogram>> = live.iter().map(super::super::channel_histograms).collect();
        let mut changed = graph.clone();
        assert_eq!(equalise(&mut changed, &channels, &[true; 6], 1.0), 4);
        assert_ne!(changed, graph);
        let after = run(&changed, &pixels, 6, 5, Mode::Float).unwrap().1;
        let size = before.iter().fold(0.0f32, |a, v| a.max(v.abs()));
        assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-4 * size), "{before:?} {after:?}");
    }
}
