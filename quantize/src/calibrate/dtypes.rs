//! The data type of each tensor: which become `u8`, and which of those share a scale.

use crate::graph::{Conv, Graph, Op, PoolKind, Weights};
use std::collections::BTreeSet;

/// `true` per tensor that is to be quantised.
///
/// Bytes stay bytes until a mean over many pixels (the recogniser's neck, the classifier's end) makes them floats; from
/// there on everything is float. Nodes named in `islands` give floats, too, and the conversions behind them bytes.
pub fn quantised(graph: &Graph, islands: &BTreeSet<String>) -> Vec<bool> {
    let mut is = vec![false; graph.tensors.len()];
    is[graph.input.index()] = true;
    for node in &graph.nodes {
        let bytes = node.inputs.iter().all(|id| is[id.index()]);
        let ends = match &node.op {
            Op::GlobalMean | Op::Softmax | Op::CtcHead(_) | Op::LayerNorm { .. } | Op::Attention { .. } => true,
            Op::Pool(pool) => pool.kind == PoolKind::Average,
            _ => false,
        };
        is[node.output.index()] = node.op == Op::Convert || bytes && !ends && !islands.contains(&node.name);
    }
    is
}

/// For each tensor the first of those that share its scale: what an operator only moves, and what lies in one buffer.
pub fn shared(graph: &Graph) -> Vec<usize> {
    let mut group: Vec<usize> = (0..graph.tensors.len()).collect();
    for node in &graph.nodes {
        let moves = match &node.op {
            Op::Concat | Op::Upsample { .. } => true,
            Op::Pool(pool) => pool.kind == PoolKind::Max,
            _ => false,
        };
        if moves {
            for id in &node.inputs {
                let (a, b) = (group[id.index()], group[node.output.index()]);
                let (low, high) = (a.min(b), a.max(b));
                group.iter_mut().filter(|g| **g == high).for_each(|g| *g = low);
            }
        }
    }
    group
}

/// The shift behind a tensor's producer, 0 for most.
pub fn shift(op: &Op) -> f32 {
    match op {
        Op::Conv(Conv { post: Some(post), .. }) => post.shift,
        _ => 0.0,
    }
}

/// Whether a node has weights to quantise when it reads bytes.
pub fn float_weights(op: &Op) -> Option<&Vec<f32>> {
    match op {
        Op::Conv(Conv { weights: Weights::F32(values), .. }) => Some(values),
        _ => None,
    }
}
