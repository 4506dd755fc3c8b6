//! Interpreters of a graph: float, and bit-exact integer. Single-threaded and deterministic: sums run in a fixed order,
//! so that calibration gives the same bytes on every machine. Threads belong around whole images ([`parallel`]).

mod act;
mod common;
mod float;
mod gemm;
mod im2col;
mod int;
mod lower;

pub use act::apply as activate;
pub use float::run_node as run_float_node;
pub use gemm::Packed as PackedWeights;
pub use im2col::Patches;
pub use int::run_node as run_int_node;
pub use lower::{Epilogue, lower_conv, quantise};

use crate::error::Error;
use crate::graph::{DType, Graph, Shape, TensorId};
use std::collections::HashMap;

/// Numbers of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Float.
    F32(Vec<f32>),
    /// Quantised.
    U8(Vec<u8>),
}

/// A tensor with its shape; NHWC without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Shape.
    pub shape: Shape,
    /// Numbers.
    pub data: Data,
}

impl Feature {
    /// The floats; empty for a quantised one.
    pub fn f32(&self) -> &[f32] {
        match &self.data {
            Data::F32(values) => values,
            Data::U8(_) => &[],
        }
    }

    /// The bytes; empty for a float one.
    pub fn u8(&self) -> &[u8] {
        match &self.data {
            Data::U8(values) => values,
            Data::F32(_) => &[],
        }
    }

    /// Real numbers, whatever the type.
    pub fn real(&self, dtype: DType) -> Vec<f32> {
        match (&self.data, dtype) {
            (Data::U8(bytes), DType::U8(q)) => {
                bytes.iter().map(|b| (f32::from(*b) - f32::from(q.zero)) * q.scale).collect()
            }
            (Data::U8(bytes), DType::F32) => bytes.iter().map(|b| f32::from(*b)).collect(),
            (Data::F32(values), _) => values.clone(),
        }
    }
}

/// Which arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Float, whatever the tensors' element types say; the graph must have float weights.
    Float,
    /// As the elements and weights say.
    Int,
}

/// Runs one node on its inputs, in order.
pub fn run_node(graph: &Graph, node: usize, inputs: &[&Feature], mode: Mode) -> Result<Feature, Error> {
    match mode {
        Mode::Float => float::run_node(graph, node, inputs),
        Mode::Int => int::run_node(graph, node, inputs),
    }
}

/// The image (tight bytes, 3 channels in the order the network reads) as the network's input tensor.
pub fn image(graph: &Graph, pixels: &[u8], h: usize, w: usize, mode: Mode) -> Result<Feature, Error> {
    let shape = Shape { h, w, c: graph.tensor(graph.input).channels as usize };
    if pixels.len() != shape.len() {
        return Err(Error::Usage(format!("an image of {h}x{w} has {} bytes, not {}", shape.len(), pixels.len())));
    }
    let input = Feature { shape, data: Data::U8(pixels.to_vec()) };
    Ok(match mode {
        Mode::Int => input,
        Mode::Float => Feature { shape, data: Data::F32(input.real(graph.tensor(graph.input).dtype)) },
    })
}

/// Runs the whole network on an image and gives the output's numbers as real ones.
pub fn run(graph: &Graph, pixels: &[u8], h: usize, w: usize, mode: Mode) -> Result<(Shape, Vec<f32>), Error> {
    graph.shapes(h, w)?;
    let last = graph.last_uses();
    let mut live: HashMap<TensorId, Feature> = HashMap::new();
    live.insert(graph.input, image(graph, pixels, h, w, mode)?);
    for (i, node) in graph.nodes.iter().enumerate() {
        let missing = || Error::Exec { node: node.name.clone(), reason: "an input is missing".into() };
        let inputs = node.inputs.iter().map(|id| live.get(id).ok_or_else(missing)).collect::<Result<Vec<_>, _>>()?;
        let out = run_node(graph, i, &inputs, mode)?;
        live.insert(node.output, out);
        node.inputs.iter().filter(|id| last[id.index()] == i).for_each(|id| drop(live.remove(id)));
    }
    let out = live.remove(&graph.output).ok_or(Error::Usage("the network has no output".into()))?;
    let dtype = if mode == Mode::Float { DType::F32 } else { graph.tensor(graph.output).dtype };
    Ok((out.shape, out.real(dtype)))
}

/// Calls `work` for 0..count on a few threads and gives the results in order.
pub fn parallel<T: Send>(count: usize, threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if i >= count || sender.send((i, work(i))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (i, result) in receiver {
            results[i] = Some(result);
        }
    });
    results.into_iter().flatten().collect()
}
