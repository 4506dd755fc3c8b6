//! Dense, depthwise and transposed convolution: the scalar kernels against direct loops, every other ISA against
//! scalar.

mod common;

use common::*;
use edge_ocr_engine::ops::*;
use edge_ocr_engine::pack::{self, PackedConv, padded};
use edge_ocr_engine::{Isa, Kernels};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Dense,
    Depthwise,
    Transposed,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    kind: Kind,
    /// Input height, width, channels.
    input: (usize, usize, usize),
    oc: usize,
    k: (usize, usize),
    s: (usize, usize),
    /// Top, left, bottom, right.
    pad: (usize, usize, usize, usize),
    act: Activation,
    residual: bool,
    f32_out: bool,
    extreme: bool,
    /// Channel offset and extra channels of input and output pixels.
    slice: (usize, usize),
    seed: u64,
}

const BASE: Row = Row {
    kind: Kind::Dense,
    input: (5, 7, 16),
    oc: 16,
    k: (1, 1),
    s: (1, 1),
    pad: (0, 0, 0, 0),
    act: Activation::Linear,
    residual: false,
    f32_out: false,
    extreme: false,
    slice: (0, 0),
    seed: 1,
};

/// Everything that a run needs.
struct Setup {
    row: Row,
    input: In<u8>,
    weights: Vec<i8>,
    packed: Vec<i8>,
    sums: Vec<i32>,
    bias: Vec<i32>,
    mul: Vec<f32>,
    residual: In<u8>,
    out: (usize, usize),
    zero_in: u8,
    zero_out: u8,
    post: f32,
}

impl Setup {
    fn new(row: Row) -> Setup {
        let mut r = Rng::new(row.seed + 77);
        let (h, w, ic) = row.input;
        let input = In::random(&mut r, h, w, ic, row.slice, row.extreme);
        let (oh, ow) = match row.kind {
            Kind::Transposed => (2 * h, 2 * w),
            _ => (
                (h + row.pad.0 + row.pad.2 - row.k.0) / row.s.0 + 1,
                (w + row.pad.1 + row.pad.3 - row.k.1) / row.s.1 + 1,
            ),
        };
        let taps = row.k.0 * row.k.1;
        let (channels, k) = match row.kind {
            Kind::Dense => (row.oc, taps * ic),
            Kind::Depthwise => (row.oc, taps),
            Kind::Transposed => (4 * row.oc, ic),
        };
        let weights = r.weights(channels * k, row.extreme);
        let mut sums = vec![0; padded(channels)];
        let packed = if let Kind::Depthwise = row.kind {
            let mut packed = vec![99; pack::depthwise_len(channels, k).unwrap()];
            pack::depthwise(&weights, channels, k, &mut packed).unwrap();
            pack::depthwise_sums(&weights, channels, k, &mut sums).unwrap();
            packed
        } else {
            let mut packed = vec![99; pack::conv_len(channels, k).unwrap()];
            pack::conv(&weights, channels, k, &mut packed, &mut sums).unwrap();
            packed
        };
        let zero_in = r.next() as u8;
        let bias: Vec<i32> =
            (0..padded(channels)).map(|i| r.next() as i32 % 2000 - sums[i] * i32::from(zero_in)).collect();
        // Sums of K products have a spread of about sqrt(K) * 74 * 128: spread the outputs over the range and past
        // its ends.
        let spread = (k as f32).sqrt() * 74.0 * 90.0;
        let target = if matches!(row.act, Activation::Linear | Activation::Relu) && !row.f32_out { 80.0 } else { 3.0 };
        let mul = (0..padded(channels)).map(|_| (1.0 + 0.3 * r.unit()) * target / spread).collect();
        let residual = In::random(&mut r, oh, ow, row.oc, (3, 5), row.extreme);
        let post = if row.f32_out { 1.0 } else { 40.0 };
        Setup { row, input, weights, packed, sums, bias, mul, residual, out: (oh, ow), zero_in, zero_out: 77, post }
    }

    fn window(&self) -> Window {
        let row = &self.row;
        window(row.k, row.s, (row.pad.0, row.pad.1))
    }

    fn run(&self, kernels: &Kernels) -> AnyOut {
        let (oh, ow) = self.out;
        let row = &self.row;
        let mut out = AnyOut::new(row.f32_out, self.zero_out, oh, ow, row.oc, row.slice);
        let residual = row.residual.then(|| Residual { view: self.residual.view(), zero: 31, mul: 0.43 });
        // Two row ranges in the wrong order: what two workers might do. Odd on purpose.
        let cut = (oh / 2) | 1;
        for rows in [cut.min(oh)..oh, 0..cut.min(oh)] {
            if let Kind::Depthwise = row.kind {
                let p = DepthwiseParams {
                    weights: &self.packed,
                    bias: &self.bias,
                    mul: &self.mul,
                    window: self.window(),
                    zero_in: self.zero_in,
                    act: row.act,
                    post: self.post,
                    residual,
                };
                let mut scratch = vec![0x5A; depthwise_scratch(kernels, &p.window)];
                depthwise(kernels, &p, self.input.view(), out.output(), rows, &mut scratch).unwrap();
                continue;
            }
            let p = ConvParams {
                weights: PackedConv { weights: &self.packed, sums: &self.sums },
                bias: &self.bias,
                mul: &self.mul,
                window: self.window(),
                zero_in: self.zero_in,
                act: row.act,
                post: self.post,
                residual,
            };
            let ic = row.input.2;
            if let Kind::Dense = row.kind {
                let shape = out.output().shape();
                let mut scratch = vec![0x5A; conv_scratch(kernels, &p.window, &self.input.shape, &shape)];
                conv(kernels, &p, self.input.view(), out.output(), rows, &mut scratch).unwrap();
            } else {
                let mut scratch = vec![0x5A; transposed2x2_scratch(kernels, ic, row.oc)];
                transposed2x2(kernels, &p, self.input.view(), out.output(), rows, &mut scratch).unwrap();
            }
        }
        out
    }

    /// The accumulator of one output by direct loops, and the channel of its parameters.
    fn accumulator(&self, y: usize, x: usize, o: usize) -> (i64, usize) {
        let row = &self.row;
        let (h, w, ic) = row.input;
        if let Kind::Transposed = row.kind {
            let channel = (y % 2 * 2 + x % 2) * row.oc + o;
            let dot =
                (0..ic).map(|i| i64::from(self.input.at(y / 2, x / 2, i)) * i64::from(self.weights[channel * ic + i]));
            return (dot.sum::<i64>() + i64::from(self.bias[channel]), channel);
        }
        let mut acc = i64::from(self.bias[o]);
        for ky in 0..row.k.0 {
            for kx in 0..row.k.1 {
                let iy = (y * row.s.0 + ky) as i64 - row.pad.0 as i64;
                let ix = (x * row.s.1 + kx) as i64 - row.pad.1 as i64;
                let inside = iy >= 0 && ix >= 0 && (iy as usize) < h && (ix as usize) < w;
                let at = |c: usize| {
                    i64::from(if inside { self.input.at(iy as usize, ix as usize, c) } else { self.zero_in })
                };
                let tap = ky * row.k.1 + kx;
                if let Kind::Depthwise = row.kind {
                    acc += at(o) * i64::from(self.weights[o * row.k.0 * row.k.1 + tap]);
                } else {
                    let base = (o * row.k.0 * row.k.1 + tap) * ic;
                    acc += (0..ic).map(|c| at(c) * i64::from(self.weights[base + c])).sum::<i64>();
                }
            }
        }
        (acc, o)
    }

    /// Scalar results against direct loops: exact for Linear and ReLU, within one step otherwise.
    fn check_scalar(&self, out: &AnyOut) {
        for y in 0..self.out.0 {
            for x in 0..self.out.1 {
                for o in 0..self.row.oc {
                    let (acc, channel) = self.accumulator(y, x, o);
                    let v = acc as i32 as f32 * self.mul[channel];
                    let mut real = v;
                    if self.row.residual {
                        real += (f32::from(self.residual.at(y, x, o)) - 31.0) * 0.43;
                    }
                    let linear = matches!(self.row.act, Activation::Linear | Activation::Relu);
                    let what = format!("{:?} at {y},{x},{o}", self.row);
                    match out {
                        AnyOut::U8(out, zero) if linear => {
                            let lo = if self.row.act == Activation::Relu { i64::from(*zero) } else { 0 };
                            let q = (real.round_ties_even() as i64 + i64::from(*zero)).clamp(lo, 255);
                            assert_eq!(i64::from(out.at(y, x, o)), q, "{what}");
                        }
                        AnyOut::U8(out, zero) => {
                            let f = exact(self.row.act, f64::from(v)) * f64::from(self.post);
                            let q = (f + f64::from(*zero)).clamp(0.0, 255.0);
                            assert!(
                                (f64::from(out.at(y, x, o)) - q).abs() < 0.51,
                                "{what}: {} for {q}",
                                out.at(y, x, o)
                            );
                        }
                        AnyOut::F32(out) => {
                            let f = exact(self.row.act, f64::from(v));
                            assert!((f64::from(out.at(y, x, o)) - f).abs() < 1e-4 * f.abs().max(1.0), "{what}");
                        }
                    }
                }
            }
        }
    }
}

fn check(row: Row) {
    let setup = Setup::new(row);
    let want = setup.run(Kernels::for_isa(Isa::Scalar).unwrap());
    setup.check_scalar(&want);
    let want = want.bits("scalar");
    for kernels in vector_kernels() {
        let got = setup.run(kernels).bits(kernels.isa().name());
        let first = got.iter().zip(&want).position(|(a, b)| a != b);
        assert_eq!(first, None, "{} differs from scalar: {row:?}", kernels.isa());
    }
}

#[test]
fn dense_shapes() {
    let mut seed = 0;
    for (input, oc) in [
        ((1, 1, 1), 1),
        ((3, 5, 3), 7),
        ((7, 9, 4), 16),
        ((5, 31, 24), 24),
        ((4, 13, 12), 40),
        ((9, 11, 17), 33),
        ((11, 10, 48), 12),
        ((2, 101, 20), 96),
        ((6, 6, 100), 4),
    ] {
        for (k, s, pad) in [
            ((1, 1), (1, 1), (0, 0, 0, 0)),
            ((1, 1), (2, 2), (0, 0, 0, 0)),
            ((2, 2), (1, 1), (0, 0, 1, 1)),
            ((3, 3), (1, 1), (1, 1, 1, 1)),
            ((3, 3), (2, 2), (1, 1, 1, 1)),
            ((3, 3), (2, 1), (1, 1, 1, 1)),
            ((1, 5), (1, 2), (0, 2, 0, 2)),
        ] {
            for slice in [(0, 0), (5, 9)] {
                seed += 1;
                check(Row { input, oc, k, s, pad, slice, seed, extreme: seed % 5 == 0, ..BASE });
            }
        }
    }
}

#[test]
fn dense_large_k_and_extremes() {
    for ic in [96, 768, 3072] {
        for extreme in [false, true] {
            check(Row { input: (1, 29, ic), oc: 18, extreme, seed: ic as u64, ..BASE });
        }
    }
    check(Row { input: (12, 12, 96), oc: 24, k: (3, 3), pad: (1, 1, 1, 1), extreme: true, ..BASE });
}

/// Every remainder of the tiles of pixels and of the groups of blocks.
#[test]
fn dense_tiles() {
    for pixels in (1..=25).chain([47, 48, 49, 61, 95, 96, 97, 193]) {
        for oc in [16, 32, 48, 72] {
            let act = if pixels % 2 == 0 { Activation::Gelu } else { Activation::Linear };
            check(Row { input: (1, pixels, 20), oc, act, seed: pixels as u64, ..BASE });
        }
    }
}

#[test]
fn dense_epilogues() {
    for (i, act) in ACTS.into_iter().enumerate() {
        for f32_out in [false, true] {
            for (oc, slice) in [(16, (0, 0)), (37, (0, 0)), (21, (2, 11))] {
                check(Row { input: (3, 20, 40), oc, act, f32_out, slice, seed: i as u64, ..BASE });
            }
        }
    }
    for oc in [16, 48, 13] {
        check(Row { input: (4, 30, 32), oc, residual: true, slice: (1, 3), ..BASE });
    }
}

#[test]
fn depthwise_shapes() {
    let mut seed = 0;
    for (h, w, c) in [(1, 1, 1), (6, 7, 16), (13, 60, 24), (9, 9, 50), (40, 101, 3), (5, 130, 33)] {
        for (k, pad) in [((3, 3), 1), ((5, 5), 2), ((7, 7), 3), ((9, 9), 4), ((1, 7), 3), ((2, 2), 0), ((4, 3), 1)] {
            for s in [(1, 1), (2, 2), (2, 1), (1, 2), (3, 3)] {
                let pad = (pad.min(k.0 - 1), pad.min(k.1 - 1), pad, pad);
                if h + pad.0 + pad.2 < k.0 || w + pad.1 + pad.3 < k.1 {
                    continue;
                }
                seed += 1;
                let slice = if seed % 2 == 0 { (3, 6) } else { (0, 0) };
                let (kind, extreme) = (Kind::Depthwise, seed % 5 == 0);
                let row = Row { kind, input: (h, w, c), oc: c, k, s, pad, slice, seed, extreme, ..BASE };
                // Bottom pads that leave a last window outside the image are not a convolution anybody writes.
                let (oh, ow) = ((h + pad.0 + pad.2 - k.0) / s.0, (w + pad.1 + pad.3 - k.1) / s.1);
                if oh * s.0 < h + pad.0 && ow * s.1 < w + pad.1 {
                    check(row);
                }
            }
        }
    }
}

/// Kernels take rows in groups of two or four: more than one group, strides that are and are not whole groups.
#[test]
fn depthwise_groups_of_rows() {
    let mut seed = 100;
    for k in [(4, 2), (5, 1), (8, 3), (13, 2), (16, 16)] {
        for s in [(1, 1), (2, 3), (3, 1), (4, 4), (8, 2), (16, 16)] {
            seed += 1;
            let pad = (k.0 / 2, k.1 / 2, k.0 / 2, k.1 / 2);
            let kind = Kind::Depthwise;
            check(Row { kind, input: (35, 57, 21), oc: 21, k, s, pad, seed, extreme: seed % 3 == 0, ..BASE });
        }
    }
}

#[test]
fn scratch_for_any_instruction_set_is_enough_for_each() {
    for isa in Isa::ALL {
        let Ok(kernels) = Kernels::for_isa(isa) else { continue };
        for k in 1..=16 {
            for s in 1..=16 {
                for (kw, sw) in [(1, 1), (3, 2), (k, s), (16, 16)] {
                    let w = window((k, kw), (s, sw), (0, 0));
                    assert!(depthwise_scratch(kernels, &w) <= depthwise_scratch_any(&w), "{isa} {w:?}");
                }
            }
        }
        for k in [1, 3, 24, 120, 960, 3000] {
            assert!(ctc_scratch(kernels, k) <= ctc_scratch_any(k));
            assert!(transposed2x2_scratch(kernels, k, 9) <= transposed2x2_scratch_any(k, 9));
        }
    }
}

#[test]
fn depthwise_epilogues() {
    for (i, act) in ACTS.into_iter().enumerate() {
        for f32_out in [false, true] {
            let (kind, seed) = (Kind::Depthwise, i as u64);
            let pad = (1, 1, 1, 1);
            check(Row { kind, input: (7, 12, 20), oc: 20, k: (3, 3), pad, act, f32_out, seed, ..BASE });
        }
    }
    let pad = (2, 2, 2, 2);
    check(Row { kind: Kind::Depthwise, input: (30, 50, 32), oc: 32, k: (5, 5), pad, residual: true, ..BASE });
}

#[test]
fn transposed_shapes() {
    for (i, (input, oc)) in
        [((3, 5, 24), 24), ((4, 30, 24), 1), ((1, 1, 3), 5), ((7, 40, 16), 17)].into_iter().enumerate()
    {
        for slice in [(0, 0), (4, 7)] {
            for act in [Activation::Linear, Activation::Relu, Activation::Sigmoid] {
                for f32_out in [false, true] {
                    let (kind, seed) = (Kind::Transposed, i as u64);
                    check(Row { kind, input, oc, slice, act, f32_out, seed, extreme: i == 3, ..BASE });
                }
            }
        }
    }
}
