//! The integer interpreter against the sentence of the specification, term by term.

use edge_ocr_quantize::graph::{
    Activation, Conv, ConvKind, DType, Graph, Node, Op, Pad, Quant, Shape, Tensor, TensorId, Weights,
};
use edge_ocr_quantize::interpreter::{Data, Feature, run_int_node};

struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % below
    }
}

struct Case {
    kind: ConvKind,
    ic: usize,
    oc: usize,
    kernel: [u32; 2],
    stride: [u32; 2],
    pad: Pad,
    act: Activation,
    residual: bool,
}

fn graph(case: &Case, random: &mut Random) -> Graph {
    let taps = (case.kernel[0] * case.kernel[1]) as usize;
    let rows = case.oc * if case.kind == ConvKind::Transposed { 4 } else { 1 };
    let len = taps * if case.kind == ConvKind::Depthwise { 1 } else { case.ic };
    let conv = Conv {
        kind: case.kind,
        in_channels: case.ic as u32,
        out_channels: case.oc as u32,
        kernel: case.kernel,
        stride: case.stride,
        pad: case.pad,
        weights: Weights::I8 {
            values: (0..rows * len).map(|_| random.next(255) as i8 as i32 as i8).map(|v| v.max(-127)).collect(),
            scales: (0..rows).map(|_| 0.001 + random.next(1000) as f32 * 1e-6).collect(),
        },
        bias: (0..rows).map(|_| random.next(200) as f32 * 0.01 - 1.0).collect(),
        act: case.act,
        post: None,
    };
    let tensor = |channels: usize, scale, zero| Tensor {
        name: String::new(),
        channels: channels as u32,
        dtype: DType::U8(Quant { scale, zero }),
    };
    let mut inputs = vec![TensorId(0)];
    inputs.extend(case.residual.then_some(TensorId(1)));
    Graph {
        tensors: vec![tensor(case.ic, 0.02, 131), tensor(case.oc, 0.03, 90), tensor(case.oc, 0.11, 117)],
        nodes: vec![Node { name: "conv".into(), op: Op::Conv(conv), inputs, output: TensorId(2) }],
        input: TensorId(0),
        output: TensorId(2),
    }
}

/// One output element by the specification.
fn reference(
    case: &Case,
    graph: &Graph,
    x: &[u8],
    res: &[u8],
    [h, w]: [usize; 2],
    [y, ox, c]: [usize; 3],
    out_w: usize,
) -> u8 {
    let Op::Conv(conv) = &graph.nodes[0].op else { unreachable!() };
    let Weights::I8 { values, scales } = &conv.weights else { unreachable!() };
    let (in_scale, in_zero, out_scale, out_zero) = (0.02f32, 131i32, 0.11f32, 117i32);
    let transposed = case.kind == ConvKind::Transposed;
    let row = if transposed { ((y % 2) * 2 + ox % 2) * case.oc + c } else { c };
    let unit = f64::from(in_scale) * f64::from(scales[row]);
    let mut acc = (f64::from(conv.bias[row]) / unit).round_ties_even() as i32;
    let (by, bx) =
        if transposed { (y / 2, ox / 2) } else { (y * case.stride[0] as usize, ox * case.stride[1] as usize) };
    for dy in 0..case.kernel[0] as usize {
        for dx in 0..case.kernel[1] as usize {
            let iy = (by + dy) as i64 - i64::from(case.pad.top);
            let ix = (bx + dx) as i64 - i64::from(case.pad.left);
            if iy < 0 || ix < 0 || iy >= h as i64 || ix >= w as i64 {
                continue;
            }
            let tap = dy * case.kernel[1] as usize + dx;
            let channels = if case.kind == ConvKind::Depthwise { c..c + 1 } else { 0..case.ic };
            for i in channels {
                let weight = match case.kind {
                    ConvKind::Depthwise => values[tap * case.oc + c],
                    _ => values[(row * (case.kernel[0] * case.kernel[1]) as usize + tap) * case.ic + i],
                };
                acc += (i32::from(x[(iy as usize * w + ix as usize) * case.ic + i]) - in_zero) * i32::from(weight);
            }
        }
    }
    let mut real = acc as f32 * (unit / f64::from(out_scale)) as f32;
    if case.residual {
        let r = res[(y * out_w + ox) * case.oc + c];
        real += (f32::from(r) - 90.0) * (f64::from(0.03f32) / f64::from(out_scale)) as f32;
    }
    let low = if case.act == Activation::Relu { out_zero } else { 0 };
    (real.round_ties_even() as i32 + out_zero).clamp(low, 255) as u8
}

#[test]
fn every_kind_of_convolution_is_exact() {
    let pad = Pad { top: 1, left: 1, bottom: 1, right: 1 };
    let late = Pad { top: 0, left: 0, bottom: 1, right: 1 };
    let none = Pad::default();
    let (linear, relu) = (Activation::Linear, Activation::Relu);
    let cases = [
        Case {
            kind: ConvKind::Dense,
            ic: 700,
            oc: 19,
            kernel: [1, 1],
            stride: [1, 1],
            pad: none,
            act: linear,
            residual: true,
        },
        Case { kind: ConvKind::Dense, ic: 5, oc: 33, kernel: [3, 3], stride: [2, 2], pad, act: relu, residual: false },
        Case {
            kind: ConvKind::Dense,
            ic: 4,
            oc: 7,
            kernel: [2, 2],
            stride: [1, 1],
            pad: late,
            act: relu,
            residual: false,
        },
        Case {
            kind: ConvKind::Depthwise,
            ic: 17,
            oc: 17,
            kernel: [3, 3],
            stride: [2, 1],
            pad,
            act: linear,
            residual: false,
        },
        Case {
            kind: ConvKind::Transposed,
            ic: 24,
            oc: 3,
            kernel: [1, 1],
            stride: [1, 1],
            pad: none,
            act: relu,
            residual: false,
        },
    ];
    let mut random = Random(7);
    for (number, case) in cases.iter().enumerate() {
        let graph = graph(case, &mut random);
        graph.validate().unwrap_or_else(|_| assert!(case.residual, "case {number}"));
        let [h, w] = [6, 7];
        let shape = Shape { h, w, c: case.ic };
        let x = Feature { shape, data: Data::U8((0..shape.len()).map(|_| random.next(256) as u8).collect()) };
        let out = match case.kind {
            ConvKind::Transposed => Shape { h: 2 * h, w: 2 * w, c: case.oc },
            _ => {
                let side = |s: usize, a: u32, b: u32, k: u32, st: u32| (s + (a + b - k) as usize) / st as usize + 1;
                let side = |s, a: u32, b: u32, k: u32, st| {
                    if a + b >= k { side(s, a, b, k, st) } else { (s - (k - a - b) as usize) / st as usize + 1 }
                };
                Shape {
                    h: side(h, case.pad.top, case.pad.bottom, case.kernel[0], case.stride[0]),
                    w: side(w, case.pad.left, case.pad.right, case.kernel[1], case.stride[1]),
                    c: case.oc,
                }
            }
        };
        let res = Feature { shape: out, data: Data::U8((0..out.len()).map(|_| random.next(256) as u8).collect()) };
        let inputs: Vec<&Feature> = if case.residual { vec![&x, &res] } else { vec![&x] };
        let got = run_int_node(&graph, 0, &inputs).unwrap();
        assert_eq!(got.shape, out, "case {number}");
        for (i, byte) in got.u8().iter().enumerate() {
            let at = [i / out.c / out.w, i / out.c % out.w, i % out.c];
            assert_eq!(*byte, reference(case, &graph, x.u8(), res.u8(), [h, w], at, out.w), "case {number} at {at:?}");
        }
    }
}
