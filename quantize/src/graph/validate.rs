//! What must hold of every graph before anything runs on it; a loaded file promises nothing.

use super::{Activation, Conv, ConvKind, CtcHead, DType, Graph, Node, Op, Pool, SqueezeExcite, Weights};

/// A graph that breaks a rule.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq)]
#[error("node {node} ({op}): {reason}")]
pub struct GraphError {
    /// Name of the node, or `graph`.
    pub node: String,
    /// Kind of operator.
    pub op: &'static str,
    /// What is wrong.
    pub reason: String,
}

/// Larger numbers than any network of the family has; they keep products within `usize`.
const MAX_CHANNELS: u32 = 1 << 16;
const MAX_CLASSES: u32 = 1 << 18;
const MAX_KERNEL: u32 = 64;
const MAX_NODES: usize = 10_000;

impl Graph {
    /// Checks ids, order, channel counts, lengths, finiteness and element types.
    pub fn validate(&self) -> Result<(), GraphError> {
        let graph = |reason: &str| GraphError { node: "graph".into(), op: "-", reason: reason.into() };
        if self.tensors.len() > MAX_NODES || self.nodes.len() > MAX_NODES {
            return Err(graph("it has too many tensors or nodes"));
        }
        let count = self.tensors.len();
        if self.input.index() >= count || self.output.index() >= count {
            return Err(graph("its input or output is no tensor"));
        }
        for tensor in &self.tensors {
            if tensor.channels == 0 || tensor.channels > MAX_CLASSES {
                return Err(graph("a tensor has no channels or too many"));
            }
            if let DType::U8(q) = tensor.dtype
                && !(q.scale.is_finite() && q.scale > 0.0)
            {
                return Err(graph("a tensor's scale is not a positive number"));
            }
        }
        let mut written = vec![false; count];
        written[self.input.index()] = true;
        for node in &self.nodes {
            let wrong = |reason: String| GraphError { node: node.name.clone(), op: node.op.name(), reason };
            if node.inputs.iter().any(|id| !written.get(id.index()).copied().unwrap_or(false)) {
                return Err(wrong("it reads what nothing before it wrote".into()));
            }
            match written.get_mut(node.output.index()) {
                Some(w) if !*w => *w = true,
                _ => return Err(wrong("it writes a tensor that does not exist or is already written".into())),
            }
            self.check(node).map_err(wrong)?;
        }
        if written[self.output.index()] { Ok(()) } else { Err(graph("nothing writes its output")) }
    }

    fn check(&self, node: &Node) -> Result<(), String> {
        let channels: Vec<u32> = node.inputs.iter().map(|id| self.tensor(*id).channels).collect();
        let out = self.tensor(node.output).channels;
        if channels.is_empty() {
            return Err("it has no input".into());
        }
        let inputs = |low: usize, high: usize| {
            if (low..=high).contains(&channels.len()) {
                Ok(())
            } else {
                Err(format!("it has {} inputs", channels.len()))
            }
        };
        let same = |want: u32| if out == want { Ok(()) } else { Err(format!("it gives {out} channels, not {want}")) };
        match &node.op {
            Op::Conv(conv) => {
                inputs(1, 2)?;
                same(conv.out_channels)?;
                if channels[0] != conv.in_channels || channels.get(1).is_some_and(|c| *c != out) {
                    return Err(format!("its inputs have {channels:?} channels"));
                }
                check_conv(conv)?;
                let quantised = matches!(conv.weights, Weights::I8 { .. });
                let elems: Vec<bool> = node.inputs.iter().map(|id| self.tensor(*id).dtype.quant().is_some()).collect();
                // The other way round it is a float island, which reads bytes as the numbers they stand for.
                if quantised && elems.contains(&false) {
                    return Err("weights and inputs differ in type".into());
                }
                if quantised && elems.len() == 2 && conv.act != Activation::Linear {
                    return Err("a residual in u8 goes with a linear activation only".into());
                }
                Ok(())
            }
            Op::Pool(pool) => inputs(1, 1).and(same(channels[0])).and(check_pool(pool)),
            Op::SqueezeExcite(se) => inputs(1, 1).and(same(channels[0])).and(check_se(se, out)),
            Op::Add { up } => {
                inputs(2, 2)?;
                same(channels[0])?;
                if channels[1] != out || !(1..=64).contains(up) {
                    return Err("its inputs do not match".into());
                }
                Ok(())
            }
            Op::Upsample { factor } => inputs(1, 1).and(same(channels[0])).and(if (1..=64).contains(factor) {
                Ok(())
            } else {
                Err(format!("it enlarges {factor} times"))
            }),
            Op::Concat => {
                inputs(1, 64)?;
                same(channels.iter().fold(0u32, |a, b| a.saturating_add(*b)))
            }
            Op::LayerNorm { gamma, beta, eps } => {
                inputs(1, 1)?;
                same(channels[0])?;
                lengths(&[(gamma.len(), out as usize), (beta.len(), out as usize)])?;
                finite(gamma.iter().chain(beta).chain([eps]))
            }
            Op::Attention { heads, scale } => {
                inputs(1, 1)?;
                if *heads == 0
                    || !out.is_multiple_of(*heads)
                    || out.checked_mul(3) != Some(channels[0])
                    || !scale.is_finite()
                {
                    return Err(format!("{heads} heads do not divide {} channels", channels[0]));
                }
                Ok(())
            }
            Op::Affine { .. } => Err("an affine step was left unfused".into()),
            Op::CtcHead(head) => inputs(1, 1).and(same(head.classes)).and(check_head(head, channels[0])),
            Op::GlobalMean | Op::Activation(_) | Op::Softmax | Op::Convert => inputs(1, 1).and(same(channels[0])),
        }
    }
}

fn lengths(pairs: &[(usize, usize)]) -> Result<(), String> {
    match pairs.iter().find(|(have, want)| have != want) {
        Some((have, want)) => Err(format!("it has {have} numbers where {want} belong")),
        None => Ok(()),
    }
}

fn finite<'a>(values: impl IntoIterator<Item = &'a f32>) -> Result<(), String> {
    if values.into_iter().all(|v| v.is_finite()) { Ok(()) } else { Err("a number is not finite".into()) }
}

fn check_weights(weights: &Weights, len: usize, rows: usize) -> Result<(), String> {
    match weights {
        Weights::F32(values) => lengths(&[(values.len(), len)]).and(finite(values)),
        Weights::I8 { values, scales } => {
            lengths(&[(values.len(), len), (scales.len(), rows)])?;
            if values.contains(&i8::MIN) || scales.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
                return Err("a weight is -128 or a scale not positive".into());
            }
            Ok(())
        }
    }
}

fn check_conv(conv: &Conv) -> Result<(), String> {
    let small = |v: u32, limit: u32| (1..=limit).contains(&v);
    let sizes = [conv.kernel[0], conv.kernel[1], conv.stride[0], conv.stride[1]];
    let pads = [conv.pad.top, conv.pad.left, conv.pad.bottom, conv.pad.right];
    if !small(conv.in_channels, MAX_CHANNELS)
        || !small(conv.out_channels, MAX_CHANNELS)
        || !sizes.iter().all(|s| small(*s, MAX_KERNEL))
        || !pads.iter().all(|p| *p < MAX_KERNEL)
    {
        return Err("channels, kernel, stride or padding is 0 or too large".into());
    }
    match conv.kind {
        ConvKind::Depthwise if conv.in_channels != conv.out_channels => {
            return Err("depthwise, but channels change".into());
        }
        ConvKind::Transposed if sizes != [1; 4] || pads != [0; 4] => {
            return Err("only 2x2 with stride 2 is known".into());
        }
        _ => {}
    }
    check_weights(&conv.weights, conv.rows() * conv.row_len(), conv.rows())?;
    lengths(&[(conv.bias.len(), conv.rows())])?;
    finite(&conv.bias)?;
    match conv.post {
        Some(post) if !(post.scale.is_finite() && post.shift.is_finite() && post.scale != 0.0) => {
            Err("its affine is not finite or 0".into())
        }
        _ => Ok(()),
    }
}

fn check_pool(pool: &Pool) -> Result<(), String> {
    let sizes = [pool.kernel[0], pool.kernel[1], pool.stride[0], pool.stride[1]];
    let inside = pool.pad.top < pool.kernel[0]
        && pool.pad.bottom < pool.kernel[0]
        && pool.pad.left < pool.kernel[1]
        && pool.pad.right < pool.kernel[1];
    if sizes.iter().all(|s| (1..=MAX_KERNEL).contains(s)) && inside {
        Ok(())
    } else {
        Err("kernel, stride or padding is 0 or too large".into())
    }
}

fn check_se(se: &SqueezeExcite, channels: u32) -> Result<(), String> {
    let (c, h) = (channels as usize, se.hidden as usize);
    if se.hidden == 0 || se.hidden > MAX_CHANNELS || channels > MAX_CHANNELS {
        return Err("its hidden layer is empty or too wide".into());
    }
    lengths(&[(se.fc1.len(), c * h), (se.bias1.len(), h), (se.fc2.len(), c * h), (se.bias2.len(), c)])?;
    finite(se.fc1.iter().chain(&se.bias1).chain(&se.fc2).chain(&se.bias2).chain([&se.alpha, &se.beta]))
}

fn check_head(head: &CtcHead, channels: u32) -> Result<(), String> {
    if head.in_channels != channels || head.in_channels > MAX_CHANNELS || !(2..=MAX_CLASSES).contains(&head.classes) {
        return Err("its classes or inputs do not match".into());
    }
    let rows = head.classes as usize;
    check_weights(&head.weights, rows * channels as usize, rows)?;
    lengths(&[(head.bias.len(), rows)])?;
    finite(&head.bias)
}
