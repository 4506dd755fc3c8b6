//! The convolutions in which nearly all of the time goes, at the shapes of the networks, with every instruction set
//! that this processor has. The unit of `elem/s` is one multiplication and addition.
//!
//! `cargo bench --bench kernels [-- FILTER]`. Each row is held against the scalar kernels first.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use edge_ocr_engine::ops::{Activation, ConvParams, DepthwiseParams, Output, Residual, Window};
use edge_ocr_engine::ops::{conv, conv_scratch, depthwise, depthwise_scratch};
use edge_ocr_engine::pack::{self, PackedConv, padded};
use edge_ocr_engine::{Isa, Kernels, Shape, View, ViewMut};
use std::ops::Range;
use support::Rng;

/// Height, width, channels in, channels out, activation; a linear one also adds a residual, as in the networks.
type Dense = (usize, usize, usize, usize, Activation);

/// 1x1 convolutions of the detector at 640x640, then of the recogniser at 320x48.
const DENSE: [Dense; 7] = [
    (160, 160, 48, 96, Activation::Gelu),
    (80, 80, 192, 96, Activation::Linear),
    (40, 40, 192, 384, Activation::Gelu),
    (20, 20, 768, 384, Activation::Linear),
    (12, 80, 96, 192, Activation::Gelu),
    (6, 80, 384, 192, Activation::Linear),
    (3, 80, 384, 768, Activation::Gelu),
];

/// Height, width, channels, side of the window; likewise.
const DEPTHWISE: [[usize; 4]; 6] =
    [[160, 160, 48, 3], [80, 80, 96, 3], [40, 40, 192, 3], [160, 160, 96, 7], [20, 20, 96, 7], [6, 80, 192, 3]];

/// Buffers of one convolution; depthwise if `side` is more than 1.
struct Case {
    shape: [usize; 2],
    ic: usize,
    oc: usize,
    side: usize,
    act: Activation,
    input: Vec<u8>,
    residual: Vec<u8>,
    weights: Vec<i8>,
    sums: Vec<i32>,
    bias: Vec<i32>,
    mul: Vec<f32>,
}

impl Case {
    fn new([h, w]: [usize; 2], ic: usize, oc: usize, side: usize, act: Activation) -> Case {
        let mut rng = Rng::new();
        let depthwise = side > 1;
        let k = if depthwise { side * side } else { ic };
        let raw = rng.weights(oc * k);
        let mut sums = vec![0; padded(oc)];
        let len = if depthwise { pack::depthwise_len(oc, k) } else { pack::conv_len(oc, k) };
        let mut weights = vec![0; len.expect("size")];
        match depthwise {
            true => pack::depthwise(&raw, oc, k, &mut weights),
            false => pack::conv(&raw, oc, k, &mut weights, &mut sums),
        }
        .expect("packed");
        let slack = 64;
        Case {
            shape: [h, w],
            ic,
            oc,
            side,
            act,
            input: rng.bytes(h * w * ic + slack),
            residual: rng.bytes(h * w * oc + slack),
            weights,
            sums,
            bias: vec![5; padded(oc)],
            mul: vec![0.001; padded(oc)],
        }
    }

    fn window(&self) -> Window {
        let pad = self.side / 2;
        Window { kh: self.side, kw: self.side, sh: 1, sw: 1, pad_top: pad, pad_left: pad }
    }

    fn shapes(&self) -> [Shape; 2] {
        let [h, w] = self.shape;
        [self.ic, self.oc].map(|channels| Shape::dense(h, w, channels, 1))
    }

    fn scratch(&self, kernels: &Kernels) -> Vec<u8> {
        let [input, output] = self.shapes();
        vec![0; conv_scratch(kernels, &self.window(), &input, &output).max(depthwise_scratch(kernels, &self.window()))]
    }

    fn run(&self, kernels: &Kernels, out: &mut [u8], rows: Range<usize>, scratch: &mut [u8]) {
        let [input, output] = self.shapes();
        let residual = View::new(&self.residual, output).expect("a residual");
        let view = View::new(&self.input, input).expect("an input");
        let out = Output::U8(ViewMut::new(out, output).expect("an output"), 100);
        let residual = (self.act == Activation::Linear && self.side == 1).then_some(Residual {
            view: residual,
            zero: 12,
            mul: 0.9,
        });
        let (bias, mul, window, zero_in, act) = (&self.bias[..], &self.mul[..], self.window(), 7, self.act);
        let post = 20.0;
        match self.side {
            1 => {
                let weights = PackedConv { weights: &self.weights, sums: &self.sums };
                let p = ConvParams { weights, bias, mul, window, zero_in, act, post, residual };
                conv(kernels, &p, view, out, rows, scratch)
            }
            _ => {
                let p = DepthwiseParams { weights: &self.weights, bias, mul, window, zero_in, act, post, residual };
                depthwise(kernels, &p, view, out, rows, scratch)
            }
        }
        .expect("a convolution");
    }

    /// The first and last rows, where the borders are.
    fn check(&self, kernels: &Kernels) {
        let scalar = Kernels::for_isa(Isa::Scalar).expect("scalar kernels");
        let [h, w] = self.shape;
        let answers = [scalar, kernels].map(|kernels| {
            let mut out = vec![0; h * w * self.oc];
            let mut scratch = self.scratch(kernels);
            self.run(kernels, &mut out, 0..2, &mut scratch);
            self.run(kernels, &mut out, h - 1..h, &mut scratch);
            out
        });
        assert!(answers[0] == answers[1], "{} differs from scalar at {h}x{w} {}->{}", kernels.isa(), self.ic, self.oc);
    }

    fn bench(&self, c: &mut Criterion, group: &str, name: &str) {
        let [h, w] = self.shape;
        let k = if self.side > 1 { self.side * self.side } else { self.ic };
        let mut group = support::group(c, group);
        group.throughput(Throughput::Elements((h * w * self.oc * k) as u64));
        for kernels in Isa::ALL.into_iter().filter_map(|isa| Kernels::for_isa(isa).ok()) {
            self.check(kernels);
            let (mut out, mut scratch) = (vec![0; h * w * self.oc], self.scratch(kernels));
            group.bench_function(BenchmarkId::new(name, kernels.isa()), |b| {
                b.iter(|| self.run(kernels, &mut out, 0..h, &mut scratch));
            });
        }
        group.finish();
    }
}

fn dense(c: &mut Criterion) {
    for (h, w, ic, oc, act) in DENSE {
        Case::new([h, w], ic, oc, 1, act).bench(c, "conv1x1", &format!("{h}x{w} {ic}to{oc} {act:?}"));
    }
}

fn by_channel(c: &mut Criterion) {
    for [h, w, channels, side] in DEPTHWISE {
        let case = Case::new([h, w], channels, channels, side, Activation::Linear);
        case.bench(c, "depthwise", &format!("{h}x{w} {channels} {side}x{side}"));
    }
}

criterion_group!(benches, dense, by_channel);
criterion_main!(benches);
