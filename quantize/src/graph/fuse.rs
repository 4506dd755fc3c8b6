//! Joins what the front end leaves apart: affine steps and activations go into the convolution before them, sums into
//! the convolution that ends last, up-samplings into the sum that reads them.

use super::{Activation, Conv, ConvKind, Graph, Op, Post, TensorId, Weights};

/// Applies all fusions until nothing changes, then drops what nobody reads. Values stay the same but for rounding.
pub fn fuse(mut graph: Graph) -> Graph {
    while fuse_once(&mut graph) {}
    for node in &mut graph.nodes {
        if let Op::Conv(conv) = &mut node.op
            && conv.post.is_some_and(|p| is_identity(&[p.scale], &[p.shift]))
        {
            conv.post = None;
        }
    }
    drop_dead(graph)
}

fn fuse_once(graph: &mut Graph) -> bool {
    let (uses, producers) = (graph.uses(), graph.producers());
    for i in 0..graph.nodes.len() {
        let inputs = graph.nodes[i].inputs.clone();
        // The input written last is the one that a sum can be fused into: the other is ready by then.
        let mut candidates: Vec<(usize, usize)> =
            inputs.iter().enumerate().filter_map(|(at, id)| Some((producers[id.index()]?, at))).collect();
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        for (p, at) in candidates {
            if uses[inputs[at].index()] == 1 && join(graph, p, i, at) {
                return true;
            }
            if matches!(graph.nodes[i].op, Op::Add { .. }) && join_excite(graph, &uses, p, i, at) {
                return true;
            }
        }
    }
    false
}

/// Tries to put node `i` into node `p`, which writes `i`'s input number `at` and is read by nobody else.
fn join(graph: &mut Graph, p: usize, i: usize, at: usize) -> bool {
    let op = graph.nodes[i].op.clone();
    let (inputs, output) = (graph.nodes[i].inputs.clone(), graph.nodes[i].output);
    let alone = graph.nodes[p].inputs.len() == 1;
    let mut residual = None;
    let done = match (&mut graph.nodes[p].op, &op) {
        (Op::Conv(conv), Op::Affine { scale, shift }) if alone => affine(conv, scale, shift),
        (Op::Conv(conv), Op::Activation(act)) if conv.act == Activation::Linear && conv.post.is_none() && alone => {
            conv.act = *act;
            true
        }
        (Op::LayerNorm { gamma, beta, .. }, Op::Affine { scale, shift }) => {
            for (c, (g, b)) in gamma.iter_mut().zip(beta.iter_mut()).enumerate() {
                *g *= of(scale, c);
                *b = *b * of(scale, c) + of(shift, c);
            }
            true
        }
        (Op::Affine { scale: a, shift: b }, Op::Affine { scale, shift }) if a.len() == 1 && scale.len() == 1 => {
            b[0] = b[0] * scale[0] + shift[0];
            a[0] *= scale[0];
            true
        }
        // What is left of a spelt-out activation.
        (Op::Activation(_), Op::Affine { scale, shift }) if is_identity(scale, shift) => true,
        (Op::Upsample { factor }, Op::Add { up: 1 }) if inputs.len() == 2 && inputs[0] != inputs[1] => {
            let up = *factor;
            let small = graph.nodes[p].inputs[0];
            graph.nodes[i].inputs = vec![inputs[1 - at], small];
            graph.nodes[i].op = Op::Add { up };
            return true;
        }
        // In u8 only a linear convolution takes a residual; behind another activation the sum stays a sum.
        (Op::Conv(conv), Op::Add { up: 1 })
            if conv.kind != ConvKind::Transposed && conv.post.is_none() && conv.act == Activation::Linear && alone =>
        {
            residual = Some(inputs[1 - at]);
            true
        }
        _ => false,
    };
    if !done {
        return false;
    }
    // Node p now writes what node i wrote; it moves to i's place, where all its inputs are ready.
    let mut joined = graph.nodes[p].clone();
    joined.inputs.extend(residual);
    joined.output = output;
    graph.nodes[i] = joined;
    graph.nodes.remove(p);
    true
}

fn of(values: &[f32], channel: usize) -> f32 {
    if values.len() == 1 { values[0] } else { values[channel] }
}

fn is_identity(scale: &[f32], shift: &[f32]) -> bool {
    scale.iter().all(|s| (s - 1.0).abs() < 1e-6) && shift.iter().all(|s| *s == 0.0)
}

/// Conv followed by a·x + b.
fn affine(conv: &mut Conv, scale: &[f32], shift: &[f32]) -> bool {
    if conv.act == Activation::Linear && conv.post.is_none() {
        let oc = conv.out_channels as usize;
        let (rows, len) = (conv.rows(), conv.row_len());
        let positions: Vec<(usize, usize)> =
            (0..rows).flat_map(|r| (0..len).map(move |k| (r, k))).map(|(r, k)| (r, conv.position(r, k))).collect();
        let Weights::F32(values) = &mut conv.weights else { return false };
        for (row, at) in positions {
            values[at] *= of(scale, row % oc);
        }
        for (row, bias) in conv.bias.iter_mut().enumerate() {
            *bias = *bias * of(scale, row % oc) + of(shift, row % oc);
        }
        return true;
    }
    if scale.len() != 1 || shift.len() != 1 {
        return false;
    }
    let before = conv.post.unwrap_or(Post { scale: 1.0, shift: 0.0 });
    conv.post = Some(Post { scale: before.scale * scale[0], shift: before.shift * scale[0] + shift[0] });
    true
}

/// x + (x·s): a squeeze-excite whose input is also the other summand.
fn join_excite(graph: &mut Graph, uses: &[usize], p: usize, i: usize, at: usize) -> bool {
    let inputs = graph.nodes[i].inputs.clone();
    let output = graph.nodes[i].output;
    if uses[inputs[at].index()] != 1 || graph.nodes[i].op != (Op::Add { up: 1 }) {
        return false;
    }
    let x = graph.nodes[p].inputs[0];
    let Op::SqueezeExcite(se) = &mut graph.nodes[p].op else { return false };
    if se.residual || inputs[1 - at] != x {
        return false;
    }
    se.residual = true;
    let mut joined = graph.nodes[p].clone();
    joined.output = output;
    graph.nodes[i] = joined;
    graph.nodes.remove(p);
    true
}

/// Removes nodes whose output nobody reads and tensors that no node touches.
pub fn drop_dead(mut graph: Graph) -> Graph {
    loop {
        let uses = graph.uses();
        let before = graph.nodes.len();
        graph.nodes.retain(|n| uses[n.output.index()] > 0);
        if graph.nodes.len() == before {
            break;
        }
    }
    let mut kept = vec![false; graph.tensors.len()];
    for node in &graph.nodes {
        node.inputs.iter().chain([&node.output]).for_each(|id| kept[id.index()] = true);
    }
    kept[graph.input.index()] = true;
    kept[graph.output.index()] = true;
    let mut renamed = vec![TensorId(0); kept.len()];
    let mut tensors = Vec::new();
    for (i, tensor) in graph.tensors.into_iter().enumerate() {
        if kept[i] {
            renamed[i] = TensorId(tensors.len() as u32);
            tensors.push(tensor);
        }
    }
    graph.tensors = tensors;
    for node in &mut graph.nodes {
        node.inputs.iter_mut().for_each(|id| *id = renamed[id.index()]);
        node.output = renamed[node.output.index()];
    }
    (graph.input, graph.output) = (renamed[graph.input.index()], renamed[graph.output.index()]);
    graph
}
