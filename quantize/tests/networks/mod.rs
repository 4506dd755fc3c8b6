//! Small networks with random weights that use every operator.

use edge_ocr_quantize::graph::*;
use edge_ocr_quantize::q8::{Input, Kind, Model, Provenance};

/// Input sizes for which they are compiled.
pub const SIZES: [[usize; 2]; 2] = [[32, 64], [64, 32]];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }
    fn unit(&mut self) -> f32 {
        self.next() as f32 / (1u32 << 30) as f32 - 1.0
    }
    fn floats(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| self.unit() * scale).collect()
    }
}

/// Builds a graph.
struct Net {
    graph: Graph,
    random: Random,
}

pub const F32: DType = DType::F32;

pub fn u8(scale: f32, zero: u8) -> DType {
    DType::U8(Quant { scale, zero })
}

impl Net {
    fn new() -> Net {
        let input = Tensor { name: "x".into(), channels: 3, dtype: u8(1.0, 127) };
        let graph = Graph { tensors: vec![input], nodes: Vec::new(), input: TensorId(0), output: TensorId(0) };
        Net { graph, random: Random(99) }
    }

    fn node(&mut self, op: Op, inputs: &[u32], channels: usize, dtype: DType) -> u32 {
        let id = self.graph.tensors.len() as u32;
        let name = format!("{}{id}", op.name());
        self.graph.tensors.push(Tensor { name: name.clone(), channels: channels as u32, dtype });
        let inputs = inputs.iter().map(|i| TensorId(*i)).collect();
        self.graph.nodes.push(Node { name, op, inputs, output: TensorId(id) });
        self.graph.output = TensorId(id);
        id
    }

    fn channels(&self, id: u32) -> usize {
        self.graph.tensor(TensorId(id)).channels as usize
    }

    #[allow(clippy::too_many_arguments)]
    fn conv(
        &mut self,
        kind: ConvKind,
        inputs: &[u32],
        oc: usize,
        kernel: [u32; 2],
        stride: [u32; 2],
        act: Activation,
        dtype: DType,
        float: bool,
    ) -> u32 {
        let ic = self.channels(inputs[0]);
        let pad = |k: u32| (k - 1) / 2;
        let (top, left) = (pad(kernel[0]), pad(kernel[1]));
        let pad = Pad { top, left, bottom: kernel[0] - 1 - top, right: kernel[1] - 1 - left };
        let mut conv = Conv {
            kind,
            in_channels: ic as u32,
            out_channels: oc as u32,
            kernel,
            stride,
            pad,
            weights: Weights::F32(Vec::new()),
            bias: Vec::new(),
            act,
            post: None,
        };
        let (rows, len) = (conv.rows(), conv.row_len());
        let spread = 1.0 / (len as f32).sqrt();
        conv.weights = if float {
            Weights::F32(self.random.floats(rows * len, 2.0 * spread))
        } else {
            let input = match self.graph.tensor(TensorId(inputs[0])).dtype {
                DType::U8(q) if q.scale < 1.0 => 1.0,
                _ => 1.0 / 64.0,
            };
            Weights::I8 {
                values: (0..rows * len)
                    .map(|_| (self.random.next() % 255) as i32 as u8 as i8)
                    .map(|w| w.max(-127))
                    .collect(),
                scales: (0..rows).map(|_| input * spread * (0.02 + 0.005 * self.random.unit())).collect(),
            }
        };
        conv.bias = self.random.floats(rows, 0.5);
        self.node(Op::Conv(conv), inputs, oc, dtype)
    }

    fn excite(&mut self, x: u32, residual: bool, dtype: DType) -> u32 {
        let (c, h) = (self.channels(x), (self.channels(x) / 4).max(1));
        let se = SqueezeExcite {
            hidden: h as u32,
            fc1: self.random.floats(c * h, 0.3),
            bias1: self.random.floats(h, 0.3),
            fc2: self.random.floats(c * h, 0.3),
            bias2: self.random.floats(c, 0.3),
            alpha: 0.2,
            beta: 0.5,
            residual,
        };
        self.node(Op::SqueezeExcite(se), &[x], c, dtype)
    }

    fn model(self, name: &str, kind: Kind, classes: Vec<String>) -> Model {
        let provenance = Provenance {
            source: "test".into(),
            sha256: String::new(),
            licence: "CC0".into(),
            tool: "0".into(),
            calibration: String::new(),
        };
        let input = Input { bgr: true, height_px: None, width_px: None, multiple_of_px: Some(32) };
        let model = Model { name: name.into(), kind, input, classes, provenance, graph: self.graph };
        model.validate().unwrap();
        model
    }
}

use Activation::{Gelu, HardSwish, Linear, Relu, Sigmoid, Silu};
use ConvKind::{Dense, Depthwise, Transposed};

/// Concatenations, up-samplings, squeeze-excites, transposed convolutions.
pub fn detector() -> Model {
    let mut n = Net::new();
    let pool = |kind, kernel, stride, pad| Op::Pool(Pool { kind, kernel, stride, pad });
    let stem = n.conv(Dense, &[0], 24, [3, 3], [2, 2], Relu, u8(0.03, 0), false);
    let left = n.conv(Dense, &[stem], 12, [2, 2], [1, 1], Relu, u8(0.03, 0), false);
    let left = n.conv(Dense, &[left], 20, [2, 2], [1, 1], Relu, u8(0.03, 0), false);
    let down = Pad { bottom: 1, right: 1, ..Pad::default() };
    let right = n.node(pool(PoolKind::Max, [2, 2], [1, 1], down), &[stem], 24, u8(0.03, 0));
    // One part in place, one with another scale, one that is already part of another.
    let other = n.node(Op::Convert, &[right], 24, u8(0.05, 3));
    let joined = n.node(Op::Concat, &[right, left, other], 68, u8(0.03, 0));
    let twice = n.node(Op::Concat, &[left, joined], 88, u8(0.03, 0));
    let a = n.conv(Dense, &[twice], 40, [3, 3], [2, 2], HardSwish, u8(0.04, 20), false);
    let b = n.conv(Depthwise, &[a], 40, [5, 5], [1, 1], Linear, u8(0.06, 120), false);
    let b = n.excite(b, false, u8(0.04, 128));
    let c = n.conv(Dense, &[b], 80, [1, 1], [1, 1], Gelu, u8(0.03, 9), false);
    let c = n.conv(Dense, &[c, b], 40, [1, 1], [1, 1], Linear, u8(0.07, 131), false);
    let d = n.conv(Depthwise, &[c], 40, [3, 3], [2, 2], Silu, u8(0.04, 15), false);
    let d = n.excite(d, true, u8(0.05, 60));
    let e = n.node(Op::Add { up: 2 }, &[c, d], 40, u8(0.08, 120));
    let up = n.node(Op::Upsample { factor: 2 }, &[d], 40, u8(0.05, 60));
    let mean = n.node(
        pool(PoolKind::Average, [3, 3], [1, 1], Pad { top: 1, left: 1, bottom: 1, right: 1 }),
        &[e],
        40,
        u8(0.07, 118),
    );
    let lut = n.node(Op::Activation(HardSwish), &[mean], 40, u8(0.05, 60));
    let all = n.node(Op::Concat, &[up, lut], 80, u8(0.05, 60));
    let f = n.conv(Dense, &[all], 24, [3, 3], [1, 1], Relu, u8(0.05, 0), false);
    let g = n.conv(Transposed, &[f], 24, [1, 1], [1, 1], Relu, u8(0.06, 0), false);
    n.conv(Transposed, &[g], 1, [1, 1], [1, 1], Sigmoid, u8(1.0 / 255.0, 0), false);
    n.model("det", Kind::Detector, Vec::new())
}

/// A float island with attention, and the CTC head.
pub fn recogniser() -> Model {
    let mut n = Net::new();
    let a = n.conv(Dense, &[0], 32, [3, 3], [2, 2], Relu, u8(0.03, 0), false);
    let a = n.conv(Depthwise, &[a], 32, [3, 3], [2, 1], Linear, u8(0.05, 128), false);
    let pool = Pool { kind: PoolKind::Average, kernel: [3, 2], stride: [3, 2], pad: Pad::default() };
    let x = n.node(Op::Pool(pool), &[a], 32, F32);
    let b = n.conv(Dense, &[x], 48, [1, 1], [1, 1], Silu, F32, true);
    let c = n.conv(Dense, &[x], 48, [1, 3], [1, 1], Silu, F32, true);
    let c = n.conv(Depthwise, &[c], 48, [1, 7], [1, 1], Silu, F32, true);
    let s = n.node(Op::Add { up: 1 }, &[b, c], 48, F32);
    let gamma = n.random.floats(48, 1.0);
    let norm = Op::LayerNorm { gamma: gamma.clone(), beta: gamma, eps: 1e-5 };
    let l = n.node(norm.clone(), &[s], 48, F32);
    let qkv = n.conv(Dense, &[l], 144, [1, 1], [1, 1], Linear, F32, true);
    let t = n.node(Op::Attention { heads: 4, scale: 0.288 }, &[qkv], 48, F32);
    let t = n.conv(Dense, &[t, s], 48, [1, 1], [1, 1], Linear, F32, true);
    let t = n.node(norm, &[t], 48, F32);
    let t = n.node(Op::Concat, &[t, b], 96, F32);
    let t = n.conv(Dense, &[t], 48, [1, 3], [1, 1], Silu, F32, true);
    let classes = 37;
    let head = CtcHead {
        classes,
        in_channels: 48,
        weights: Weights::I8 {
            values: (0..classes as usize * 48)
                .map(|_| (n.random.next() % 255) as u8 as i8)
                .map(|w| w.max(-127))
                .collect(),
            scales: (0..classes).map(|_| 0.01).collect(),
        },
        bias: n.random.floats(classes as usize, 0.5),
    };
    n.node(Op::CtcHead(head), &[t], classes as usize, F32);
    let texts = (0..classes).map(|c| if c == 0 { String::new() } else { format!("c{c}") }).collect();
    n.model("rec", Kind::Recogniser, texts)
}

/// A mean, a float layer and a softmax.
pub fn classifier() -> Model {
    let mut n = Net::new();
    let a = n.conv(Dense, &[0], 24, [3, 3], [2, 2], HardSwish, u8(0.03, 12), false);
    let b = n.conv(Dense, &[a, a], 24, [1, 1], [1, 1], Linear, u8(0.06, 100), false);
    let b = n.node(
        Op::Pool(Pool { kind: PoolKind::Max, kernel: [2, 2], stride: [2, 2], pad: Pad::default() }),
        &[b],
        24,
        u8(0.05, 100),
    );
    let b = n.node(Op::Add { up: 1 }, &[b, b], 24, u8(0.1, 100));
    let pool = Pool { kind: PoolKind::Average, kernel: [2, 2], stride: [2, 2], pad: Pad::default() };
    let b = n.node(Op::Pool(pool), &[b], 24, u8(0.1, 90));
    let f = n.node(Op::Convert, &[b], 24, F32);
    let f = n.node(Op::Activation(Silu), &[f], 24, F32);
    let q = n.node(Op::Convert, &[f], 24, u8(0.08, 5));
    let m = n.node(Op::GlobalMean, &[q], 24, F32);
    let m = n.conv(Dense, &[m], 3, [1, 1], [1, 1], Linear, F32, true);
    n.node(Op::Softmax, &[m], 3, F32);
    n.model("cls", Kind::Classifier, Vec::new())
}

/// Float convolutions among integer ones: on bytes, on floats, with a residual of either type.
pub fn islands() -> Model {
    let mut n = Net::new();
    let a = n.conv(Dense, &[0], 24, [3, 3], [2, 2], Relu, u8(0.03, 0), false);
    let b = n.conv(Dense, &[a, a], 24, [1, 1], [1, 1], Linear, F32, true);
    let c = n.conv(Depthwise, &[b], 24, [5, 5], [1, 1], HardSwish, F32, true);
    let d = n.conv(Dense, &[c, b], 24, [3, 3], [1, 1], Linear, F32, true);
    let e = n.node(Op::Convert, &[d], 24, u8(0.04, 128));
    let f = n.conv(Dense, &[e, a], 24, [1, 1], [1, 1], Linear, u8(0.06, 100), false);
    n.conv(Depthwise, &[f, a], 24, [3, 3], [1, 1], Linear, u8(0.06, 100), true);
    n.model("islands", Kind::Detector, Vec::new())
}

pub fn all() -> Vec<Model> {
    vec![detector(), recogniser(), classifier()]
}
