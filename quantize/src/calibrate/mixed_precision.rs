//! Mixed precision: layers that stay `f32` in a quantised network ("islands").
//!
//! An island dequantises its input, computes in `f32` and returns `f32`; a conversion after it quantises its output
//! for the layers that are not islands. Neighbouring islands exchange floats.

use super::dtypes;
use crate::error::Error;
use crate::graph::{Activation, Conv, ConvKind, DType, Graph, Node, Op, Tensor, TensorId, drop_dead};
use std::collections::BTreeSet;

/// Whether the engine can compute a node in floats amid bytes.
pub fn possible(graph: &Graph, node: &Node) -> bool {
    let Op::Conv(Conv { kind, act, post, .. }) = &node.op else { return false };
    // The engine's float convolutions have no affine step behind a curved activation, and answers stay as they are.
    *kind != ConvKind::Transposed
        && (post.is_none() || *act == Activation::Linear)
        && node.output != graph.output
        && dtypes::quantised(graph, &BTreeSet::new())[node.output.index()]
}

/// Adds the conversions behind the islands of a float graph.
///
/// # Errors
/// A name that is no node, or one that cannot be an island.
pub fn open(graph: &mut Graph, islands: &BTreeSet<String>) -> Result<(), Error> {
    for name in islands {
        let Some(node) = graph.nodes.iter().find(|n| n.name == *name) else {
            return Err(Error::Usage(format!(
                "there is no node {name} to leave float; `quantize show` lists the nodes"
            )));
        };
        if !possible(graph, node) {
            let sentence =
                "only convolutions among integer layers can, without an affine step behind a curved activation";
            return Err(Error::Usage(format!("node {name} ({}) cannot be left float: {sentence}", node.op.name())));
        }
    }
    let mut nodes = Vec::with_capacity(graph.nodes.len() + islands.len());
    // What a tensor is called by those who read bytes.
    let mut bytes_of: Vec<TensorId> = (0..graph.tensors.len() as u32).map(TensorId).collect();
    for mut node in std::mem::take(&mut graph.nodes) {
        if islands.contains(&node.name) {
            let from = node.output;
            let to = TensorId(graph.tensors.len() as u32);
            let Tensor { name, channels, .. } = &graph.tensors[from.index()];
            let tensor = Tensor { name: format!("{name}.bytes"), channels: *channels, dtype: DType::F32 };
            let convert =
                Node { name: format!("{}.bytes", node.name), op: Op::Convert, inputs: vec![from], output: to };
            graph.tensors.push(tensor);
            bytes_of[from.index()] = to;
            nodes.extend([node, convert]);
        } else {
            node.inputs.iter_mut().for_each(|id| *id = bytes_of[id.index()]);
            nodes.push(node);
        }
    }
    // A conversion that nobody reads is none.
    let read: BTreeSet<TensorId> = nodes.iter().flat_map(|n| n.inputs.iter().copied()).collect();
    nodes.retain(|n| n.op != Op::Convert || read.contains(&n.output));
    graph.nodes = nodes;
    *graph = drop_dead(graph.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::{Options, calibrate, loss, sensitivity};
    use crate::data::samples::Sample;
    use crate::graph::{Pad, Quant, Weights};
    use crate::interpreter::{Mode, run};

    /// Four convolutions in a row, the third with the first as a residual.
    fn graph() -> Graph {
        let mut tensors = vec![(3, DType::U8(Quant { scale: 1.0, zero: 128 }))];
        tensors.extend([(6, DType::F32); 3]);
        tensors.push((2, DType::F32));
        let conv = |i: u32, ic: u32, oc: u32, act| Conv {
            kind: ConvKind::Dense,
            in_channels: ic,
            out_channels: oc,
            kernel: [3, 3],
            stride: [1, 1],
            pad: Pad { top: 1, left: 1, bottom: 1, right: 1 },
            weights: Weights::F32((0..9 * ic * oc).map(|k| ((k * 37 + i * 11) % 23) as f32 * 0.02 - 0.2).collect()),
            bias: vec![0.1; oc as usize],
            act,
            post: None,
        };
        let (relu, linear) = (Activation::Relu, Activation::Linear);
        let node = |i: u32, ic, oc, act, inputs: &[u32]| Node {
            name: format!("n{i}"),
            op: Op::Conv(conv(i, ic, oc, act)),
            inputs: inputs.iter().map(|id| TensorId(*id)).collect(),
            output: TensorId(i + 1),
        };
        Graph {
            tensors: tensors
                .into_iter()
                .map(|(channels, dtype)| Tensor { name: String::new(), channels, dtype })
                .collect(),
            nodes: vec![
                node(0, 3, 6, relu, &[0]),
                node(1, 6, 6, relu, &[1]),
                node(2, 6, 6, linear, &[2, 1]),
                node(3, 6, 2, relu, &[3]),
            ],
            input: TensorId(0),
            output: TensorId(4),
        }
    }

    fn samples() -> Vec<Sample> {
        let pixel = |s: usize, i: usize| ((i * i * 31 + i * (7 + s)) % 251) as u8;
        let bytes = |s: usize| (0..16 * 16 * 3).map(|i| pixel(s, i)).collect();
        (0..4)
            .map(|s| Sample { name: String::new(), text: None, turned: false, h: 16, w: 16, bytes: bytes(s) })
            .collect()
    }

    fn named(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| n.to_string()).collect()
    }

    #[test]
    fn conversions_change_nothing_in_floats() {
        let pixels = &samples()[0].bytes;
        let answer = |g: &Graph| run(g, pixels, 16, 16, Mode::Float).unwrap().1;
        let mut opened = graph();
        open(&mut opened, &named(&["n0", "n1"])).unwrap();
        assert_eq!(answer(&opened), answer(&graph()));
        // n1 is read by n2; n0 by n1, which is an island, and by n2, which is none.
        let names: Vec<&str> = opened.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["n0", "n0.bytes", "n1", "n1.bytes", "n2", "n3"]);
        assert_eq!(opened.nodes[2].inputs, [opened.nodes[0].output]);
        assert_eq!(opened.nodes[4].inputs, [opened.nodes[3].output, opened.nodes[1].output]);
    }

    #[test]
    fn what_is_no_island_is_named() {
        let error = |name: &str| open(&mut graph(), &named(&[name])).unwrap_err().to_string();
        assert!(error("nowhere").contains("no node nowhere"));
        assert!(error("n3").contains("node n3 (conv)"));
    }

    #[test]
    fn the_more_is_float_the_less_is_lost() {
        let (samples, plain) = (samples(), Options { threads: 1, ..Options::default() });
        let some: Vec<&Sample> = samples.iter().collect();
        let with = |names: &[&str]| {
            let made = calibrate(&graph(), &samples, &Options { islands: named(names), ..plain.clone() }).unwrap();
            (loss(&made.float, &made.graph, &some, 1).unwrap(), made)
        };
        let (all_int, made) = with(&[]);
        let (most_float, _) = with(&["n0", "n1", "n2"]);
        assert!(all_int > 0.0 && most_float < all_int, "{all_int} {most_float}");
        let costs = sensitivity(&made, &some, 1).unwrap();
        let told: Vec<_> = costs.iter().map(|c| (c.node.as_str(), c.possible)).collect();
        assert_eq!(told, [("n0", true), ("n1", true), ("n2", true), ("n3", false)]);
        assert!(costs.iter().all(|c| c.loss > 0.0));
        // A budget that holds from the start costs nothing; one that cannot hold is reported.
        let (_, choice) = super::super::within(&graph(), &samples, &plain, 1e9).unwrap();
        assert!(choice.holds && choice.costs.is_empty() && choice.tried.len() == 1);
        let (_, choice) = super::super::within(&graph(), &samples, &plain, 0.0).unwrap();
        assert!(!choice.holds && choice.tried.len() == 3, "{choice:?}");
        assert!(choice.csv().lines().count() == 5);
    }
}
