//! The operators besides 1x1 and depthwise convolutions (`kernels.rs`), at the shapes of the networks, with the
//! instruction set that the program would use (`EDGE_OCR_ISA` picks another).
//!
//! `cargo bench --bench ops [-- FILTER]`. Each row is held against the scalar kernels first.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use edge_ocr_engine::ops::*;
use edge_ocr_engine::pack::{self, PackedConv, padded};
use edge_ocr_engine::{Error, Isa, Kernels, Shape, View, ViewMut};
use std::fmt::Debug;
use support::Rng;

/// Inputs may be read this far past their end.
const SLACK: usize = 64;

/// Runs an operator with `run(kernels, output, scratch)`, scalar and as detected, and times the latter.
fn bench<T: Copy + Default + PartialEq + Debug>(
    c: &mut Criterion,
    name: &str,
    count: usize,
    scratch_bytes: usize,
    run: impl Fn(&Kernels, &mut [T], &mut [u8]) -> Result<(), Error>,
) {
    let kernels = Kernels::detect().expect("kernels");
    let scalar = Kernels::for_isa(Isa::Scalar).expect("scalar kernels");
    // Of u64, so that it is aligned for floats too.
    let mut scratch = vec![0u64; scratch_bytes.div_ceil(8)];
    let scratch: &mut [u8] = bytemuck::cast_slice_mut(&mut scratch);
    let [mut out, want] = [kernels, scalar].map(|kernels| {
        let mut out = vec![T::default(); count];
        run(kernels, &mut out, scratch).expect(name);
        out
    });
    assert!(out == want, "{name}: {} differs from scalar", kernels.isa());
    let mut group = support::group(c, "ops");
    group.bench_function(format!("{name}/{}", kernels.isa()), |b| b.iter(|| run(kernels, &mut out, scratch)));
    group.finish();
}

/// Dense convolutions with larger windows, and transposed ones: size, channels in and out, side of the window, stride.
fn convolutions(c: &mut Criterion) {
    for [n, ic, oc, side, stride] in [[640, 3, 24, 3, 2], [320, 24, 12, 2, 1], [320, 48, 24, 3, 2], [160, 96, 24, 3, 1]]
    {
        let (o, k, pad) = (n / stride, side * side * ic, (side - 1) / 2);
        let window = Window { kh: side, kw: side, sh: stride, sw: stride, pad_top: pad, pad_left: pad };
        let (input, output) = (Shape::dense(n, n, ic, 1), Shape::dense(o, o, oc, 1));
        let mut rng = Rng::new();
        let (pixels, raw) = (rng.bytes(n * n * ic + SLACK), rng.weights(oc * k));
        let (mut weights, mut sums) = (vec![0; pack::conv_len(oc, k).expect("size")], vec![0; padded(oc)]);
        pack::conv(&raw, oc, k, &mut weights, &mut sums).expect("packed");
        let (bias, mul) = (vec![5; padded(oc)], vec![0.001; padded(oc)]);
        bench(
            c,
            &format!("conv {n} {ic}to{oc} {side}x{side} stride {stride}"),
            o * o * oc,
            conv_scratch_any(&window, &input, &output),
            |kernels, out, scratch| {
                let weights = PackedConv { weights: &weights, sums: &sums };
                let p = ConvParams {
                    weights,
                    bias: &bias,
                    mul: &mul,
                    window,
                    zero_in: 7,
                    act: Activation::Relu,
                    post: 1.0,
                    residual: None,
                };
                conv(kernels, &p, View::new(&pixels, input)?, Output::U8(ViewMut::new(out, output)?, 0), 0..o, scratch)
            },
        );
    }
    for (n, ic, oc, act) in [(160, 24, 24, Activation::Relu), (320, 24, 1, Activation::Sigmoid)] {
        let mut rng = Rng::new();
        let (pixels, raw) = (rng.bytes(n * n * ic + SLACK), rng.weights(4 * oc * ic));
        let (mut weights, mut sums) = (vec![0; pack::conv_len(4 * oc, ic).expect("size")], vec![0; padded(4 * oc)]);
        pack::conv(&raw, 4 * oc, ic, &mut weights, &mut sums).expect("packed");
        let (bias, mul) = (vec![5; padded(4 * oc)], vec![0.001; padded(4 * oc)]);
        bench(
            c,
            &format!("transposed {n} {ic}to{oc} {act:?}"),
            4 * n * n * oc,
            transposed2x2_scratch_any(ic, oc),
            |kernels, out, scratch| {
                let window = Window { kh: 1, kw: 1, sh: 1, sw: 1, pad_top: 0, pad_left: 0 };
                let weights = PackedConv { weights: &weights, sums: &sums };
                let p = ConvParams {
                    weights,
                    bias: &bias,
                    mul: &mul,
                    window,
                    zero_in: 7,
                    act,
                    post: 255.0,
                    residual: None,
                };
                let out = Output::U8(ViewMut::new(out, Shape::dense(2 * n, 2 * n, oc, 1))?, 0);
                transposed2x2(kernels, &p, View::new(&pixels, Shape::dense(n, n, ic, 1))?, out, 0..2 * n, scratch)
            },
        );
    }
}

/// What works pixel by pixel on bytes.
fn bytes(c: &mut Criterion) {
    let mut rng = Rng::new();
    let change = Requant { zero_in: 3, mul: 0.7, zero_out: 9, lo: 0 };
    let (n, channels) = (160, 96);
    let (large, small) = (rng.bytes(n * n * channels + SLACK), rng.bytes(n * n / 4 * channels + SLACK));
    let shape = Shape::dense(n, n, channels, 1);
    let half = Shape::dense(n / 2, n / 2, channels, 1);
    let count = n * n * channels;
    bench(c, "add 160x160 96, one side enlarged", count, 0, |kernels, out, _| {
        let p = AddParams { a_zero: 3, a_mul: 0.5, b_zero: 8, b_mul: 0.6, zero_out: 90, lo: 0 };
        add(kernels, &p, View::new(&large, shape)?, View::new(&small, half)?, ViewMut::new(out, shape)?, 0..n)
    });
    let scale = rng.floats(padded(channels));
    bench(c, "channel scale 160x160 96", count, 0, |kernels, out, _| {
        let p = ChannelScaleParams { scale: &scale, plus: 1.0, requant: change };
        channel_scale(kernels, &p, View::new(&large, shape)?, ViewMut::new(out, shape)?, 0..n)
    });
    bench(c, "upsample 80x80 96 to 160x160", count, 0, |kernels, out, _| {
        upsample(kernels, Some(change), View::new(&small, half)?, ViewMut::new(out, shape)?, 0..n)
    });
    bench(c, "global sum 160x160 96", channels, 0, |kernels, out, _| {
        global_sum(kernels, View::new(&large, shape)?, 0..n, out)
    });
    let (side, few) = (320, Shape::dense(320, 320, 24, 1));
    bench(c, "max pool 320x320 24", side * side * 24, 0, |kernels, out, _| {
        let window = Window { kh: 2, kw: 2, sh: 1, sw: 1, pad_top: 0, pad_left: 0 };
        max_pool(kernels, &window, None, View::new(&large, few)?, ViewMut::new(out, few)?, 0..side)
    });
}

/// The recogniser's last part, on floats: 40 tokens of 120 channels, and all 18,710 classes.
fn floats(c: &mut Criterion) {
    let mut rng = Rng::new();
    let (tokens, width) = (40, 120);
    let shape = |channels| Shape::dense(tokens, 1, channels, size_of::<f32>());
    let x = rng.floats(tokens * 3 * width + SLACK);
    for n in [240, 360] {
        let raw = rng.floats(width * n);
        let mut b = vec![0.0; pack::matrix_len(width, n).expect("size")];
        pack::matrix(&raw, width, n, &mut b).expect("packed");
        let bias = rng.floats(padded(n));
        bench(c, &format!("matmul 40x120x{n}"), tokens * n, 0, |kernels, out, _| {
            let p = MatmulParams { b: &b, bias: &bias, act: Activation::Silu, residual: None };
            matmul(kernels, &p, View::new(&x, shape(width))?, ViewMut::new(out, shape(n))?, 0..tokens)
        });
    }
    let heads = AttentionParams { heads: 8, d: width / 8, scale: 0.258 };
    bench(c, "attention 40x120", tokens * width, attention_scratch(&heads, tokens) * 4, |kernels, out, scratch| {
        let (x, out) = (View::new(&x, shape(3 * width))?, ViewMut::new(out, shape(width))?);
        attention(kernels, &heads, x, out, 0..tokens, bytemuck::cast_slice_mut(scratch))
    });
    let (gamma, beta) = (rng.floats(padded(width)), rng.floats(padded(width)));
    bench(c, "layer norm 40x120", tokens * width, 0, |kernels, out, _| {
        let p = LayerNormParams { gamma: &gamma, beta: &beta, eps: 1e-6 };
        layer_norm(kernels, &p, View::new(&x, shape(width))?, ViewMut::new(out, shape(width))?, 0..tokens)
    });
    let classes = 18_710;
    let raw = rng.weights(classes * width);
    let (mut weights, mut sums) = (vec![0; pack::conv_len(classes, width).expect("size")], vec![0; padded(classes)]);
    pack::conv(&raw, classes, width, &mut weights, &mut sums).expect("packed");
    let (mul, bias) = (vec![0.001; padded(classes)], rng.floats(padded(classes)));
    bench(c, "ctc head 40x120x18710", tokens * classes, ctc_scratch_any(width), |kernels, out, scratch| {
        let weights = PackedConv { weights: &weights, sums: &sums };
        let p = CtcParams { weights, mul: &mul, bias: &bias, classes };
        ctc_probabilities(kernels, &p, View::new(&x, shape(width))?, 0..tokens, out, scratch)
    });
}

criterion_group!(benches, convolutions, bytes, floats);
criterion_main!(benches);
