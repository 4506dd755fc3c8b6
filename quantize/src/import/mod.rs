//! ONNX to [`Graph`]: every node is walked once, in order, with a symbolic value for each of its inputs.
//!
//! To teach it an operator, add an arm to [`node::step`]; to teach it a pattern of several nodes, add a [`Value`] for
//! what lies between them. Whatever is not known is refused with the name of the node.

mod attention;
mod elementwise;
mod node;
mod normalise;
pub mod raw;
mod spatial;
#[cfg(test)]
mod tests;

use crate::graph::{Conv, CtcHead, DType, Graph, GraphError, Node, Op, Quant, Tensor, TensorId};
use crate::graph::{drop_dead, fuse};
use attention::Qkv;
use raw::{Constant, RawModel, RawNode};
use std::collections::HashMap;

pub use normalise::Normalisation;

/// An ONNX graph that cannot be brought over.
#[derive(thiserror::Error, Debug)]
pub enum ImportError {
    /// An operator, or a use of it, that is not known.
    #[error(
        "node {node} ({op}) cannot be quantised: {reason}; use a network of the PP-OCR family or teach quantize/src/import"
    )]
    Node {
        /// ONNX name.
        node: String,
        /// ONNX operator.
        op: String,
        /// What is not known.
        reason: String,
    },
    /// The graph as a whole.
    #[error("the network cannot be quantised: {0}; use a network of the PP-OCR family")]
    Graph(String),
    /// What came out breaks a rule.
    #[error("the network cannot be quantised: {0}")]
    Invalid(#[from] GraphError),
}

/// How ONNX orders the axes of a value; in memory it is always NHWC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Nchw,
    Nhwc,
    /// Batch, channels, tokens.
    Nct,
    /// Batch, tokens, channels.
    Ntc,
    /// Batch, channels.
    Nc,
}

impl Layout {
    fn rank(self) -> usize {
        match self {
            Layout::Nchw | Layout::Nhwc => 4,
            Layout::Nct | Layout::Ntc => 3,
            Layout::Nc => 2,
        }
    }

    fn channel_axis(self) -> usize {
        match self {
            Layout::Nchw | Layout::Nct | Layout::Nc => 1,
            Layout::Nhwc => 3,
            Layout::Ntc => 2,
        }
    }
}

/// What an ONNX name stands for.
#[derive(Clone, Debug)]
enum Value {
    Const(Constant),
    Feature(TensorId, Layout),
    /// A feature map with one more axis in front, of length 1.
    Nested(TensorId, Layout),
    /// Elements of a shape; `None` depends on the input's size.
    Ints(Vec<Option<i64>>),
    /// erf(x/√2)
    Erf(TensorId),
    /// 1 + erf(x/√2)
    ErfPlusOne(TensorId),
    /// clip(x + 3, 0, 6)
    Clip6(TensorId),
    /// Pieces of a layer normalisation of a token sequence.
    Mean(TensorId),
    Centred(TensorId),
    Squared(TensorId),
    Variance(TensorId),
    VariancePlus(TensorId, f32),
    Deviation(TensorId, f32),
    /// Pieces of an attention.
    Attention(Qkv),
}

struct Importer {
    graph: Graph,
    values: HashMap<String, Value>,
    /// Tensor → (x, a, b) where it is a·x + b with scalars.
    affine_of: HashMap<TensorId, (TensorId, f32, f32)>,
    /// Tensor → x where it is sigmoid(x).
    sigmoid_of: HashMap<TensorId, TensorId>,
    /// Tensor → node.
    producer: HashMap<TensorId, usize>,
}

/// Brings an ONNX network over: folded, fused, with the normalisation in its first convolution. With `ctc`, the last
/// product and softmax become a [`CtcHead`].
///
/// # Errors
/// [`ImportError`], naming the ONNX node.
pub fn import(model: &RawModel, normalisation: &Normalisation, ctc: bool) -> Result<Graph, ImportError> {
    let ([input], [output]) = (&model.inputs[..], &model.outputs[..]) else {
        return Err(ImportError::Graph("it has not one input and one output".into()));
    };
    let image = DType::U8(Quant { scale: 1.0, zero: normalisation.outside() });
    let mut importer = Importer {
        graph: Graph {
            tensors: vec![Tensor { name: input.clone(), channels: 3, dtype: image }],
            nodes: Vec::new(),
            input: TensorId(0),
            output: TensorId(0),
        },
        values: HashMap::new(),
        affine_of: HashMap::new(),
        sigmoid_of: HashMap::new(),
        producer: HashMap::new(),
    };
    for (name, constant) in &model.constants {
        importer.values.insert(name.clone(), Value::Const(constant.clone()));
    }
    importer.values.insert(input.clone(), Value::Feature(TensorId(0), Layout::Nchw));
    for node in &model.nodes {
        let value = importer.step(node).map_err(|reason| ImportError::Node {
            node: node.name.clone(),
            op: node.op.clone(),
            reason,
        })?;
        if let Some(name) = node.outputs.first() {
            importer.values.insert(name.clone(), value);
        }
    }
    let Some(Value::Feature(id, _)) = importer.values.get(output) else {
        return Err(ImportError::Graph("its output is no result of a known operation".into()));
    };
    importer.graph.output = *id;
    let mut graph = fuse(drop_dead(importer.graph));
    normalisation.fold(&mut graph)?;
    if ctc {
        make_ctc_head(&mut graph)?;
    }
    graph.validate()?;
    Ok(graph)
}

/// The last matrix product and the softmax behind it.
fn make_ctc_head(graph: &mut Graph) -> Result<(), ImportError> {
    let wrong = || ImportError::Graph("it does not end in a matrix product and a softmax over classes".into());
    let (Some(softmax), Some(product)) = (graph.nodes.pop(), graph.nodes.pop()) else { return Err(wrong()) };
    match (product.op, softmax.op) {
        (Op::Conv(Conv { kernel: [1, 1], in_channels, out_channels, weights, bias, .. }), Op::Softmax)
            if product.inputs.len() == 1 && softmax.inputs == [product.output] =>
        {
            let op = Op::CtcHead(CtcHead { classes: out_channels, in_channels, weights, bias });
            graph.nodes.push(Node { name: product.name, op, inputs: product.inputs, output: softmax.output });
            *graph = drop_dead(graph.clone());
            Ok(())
        }
        _ => Err(wrong()),
    }
}

impl Importer {
    fn value(&self, node: &RawNode, at: usize) -> Result<&Value, String> {
        let name = node.inputs.get(at).ok_or_else(|| format!("it has no input {at}"))?;
        self.values.get(name).ok_or_else(|| format!("its input {name} comes from nowhere"))
    }

    /// A constant input; `None` if left out.
    fn constant(&self, node: &RawNode, at: usize) -> Result<Option<&Constant>, String> {
        match node.inputs.get(at).map(|name| name.is_empty()) {
            None | Some(true) => Ok(None),
            Some(false) => match self.value(node, at)? {
                Value::Const(constant) => Ok(Some(constant)),
                _ => Err(format!("its input {at} is not constant")),
            },
        }
    }

    fn floats(&self, node: &RawNode, at: usize) -> Result<&[f32], String> {
        let constant = self.constant(node, at)?.ok_or_else(|| format!("it has no input {at}"))?;
        constant.floats().ok_or_else(|| format!("its input {at} holds no floats"))
    }

    fn feature(&self, node: &RawNode, at: usize) -> Result<(TensorId, Layout), String> {
        match self.value(node, at)? {
            Value::Feature(id, layout) => Ok((*id, *layout)),
            other => Err(format!("its input {at} is {}, not a feature map", describe(other))),
        }
    }

    fn image(&self, node: &RawNode, at: usize) -> Result<TensorId, String> {
        match self.feature(node, at)? {
            (id, Layout::Nchw) => Ok(id),
            (_, layout) => Err(format!("its input {at} has axes {layout:?}, not NCHW")),
        }
    }

    fn channels(&self, id: TensorId) -> usize {
        self.graph.tensor(id).channels as usize
    }

    /// Appends an operator and gives the tensor it writes.
    fn emit(&mut self, node: &RawNode, op: Op, inputs: Vec<TensorId>, channels: usize) -> TensorId {
        let output = TensorId(self.graph.tensors.len() as u32);
        let name = node.outputs.first().unwrap_or(&node.name).clone();
        self.graph.tensors.push(Tensor { name, channels: channels as u32, dtype: DType::F32 });
        self.producer.insert(output, self.graph.nodes.len());
        self.graph.nodes.push(Node { name: node.name.clone(), op, inputs, output });
        output
    }

    fn producer(&self, id: TensorId) -> Option<&Node> {
        self.producer.get(&id).map(|i| &self.graph.nodes[*i])
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Const(_) => "a constant",
        Value::Feature(..) => "a feature map",
        Value::Nested(..) => "a feature map with one more axis",
        Value::Ints(_) => "a shape",
        Value::Erf(_) | Value::ErfPlusOne(_) => "half a GELU",
        Value::Clip6(_) => "half a hard-swish",
        Value::Attention(_) => "part of an attention",
        _ => "part of a layer normalisation",
    }
}
