//! Times every operator of the PP-OCRv6 small detector at 640x640 on one thread, with random numbers.
//!
//! `cargo bench --bench detector [-- FILTER]`. Each row is checked against the scalar kernels (on a few output rows)
//! before it is timed. `EDGE_OCR_ISA` picks the instruction set. `PASSES` says how often the whole table is run; the
//! best time of each row is printed.

use edge_ocr_engine::ops::*;
use edge_ocr_engine::pack::{self, PackedConv, padded};
use edge_ocr_engine::{Isa, Kernels, Shape, View, ViewMut};

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Op {
    Conv,
    Depthwise,
    Transposed,
    AddUp(usize),
    Scale,
    Up(usize),
    MaxPool,
    Sum,
}
use Op::*;

/// (times, operator, input h = w, ic, oc, kernel, stride, leading pad, activation, residual)
type Row = (usize, Op, usize, usize, usize, usize, usize, usize, Activation, bool);

const N: Activation = Activation::Linear;
const R: Activation = Activation::Relu;
const G: Activation = Activation::Gelu;

/// The detector's layers; squeeze-excitation layers on vectors take microseconds and are left out.
const DETECTOR: &[Row] = &[
    (1, Conv, 640, 3, 24, 3, 2, 1, R, false),
    (1, Conv, 320, 24, 12, 2, 1, 0, R, false),
    (1, Conv, 320, 12, 24, 2, 1, 0, R, false),
    (1, MaxPool, 320, 24, 24, 2, 1, 0, N, false),
    (1, Conv, 320, 48, 24, 3, 2, 1, R, false),
    (1, Conv, 160, 24, 48, 1, 1, 0, R, false),
    (2, Depthwise, 160, 48, 48, 3, 1, 1, N, false),
    (1, Sum, 160, 48, 48, 1, 1, 0, N, false),
    (1, Scale, 160, 48, 48, 1, 1, 0, N, false),
    (2, Conv, 160, 48, 96, 1, 1, 0, G, false),
    (2, Conv, 160, 96, 48, 1, 1, 0, N, true),
    (1, Depthwise, 160, 48, 48, 3, 2, 1, N, false),
    (1, Conv, 80, 48, 96, 1, 1, 0, G, false),
    (2, Conv, 80, 96, 96, 1, 1, 0, N, false),
    (2, Depthwise, 80, 96, 96, 3, 1, 1, N, false),
    (1, Sum, 80, 96, 96, 1, 1, 0, N, false),
    (1, Scale, 80, 96, 96, 1, 1, 0, N, false),
    (2, Conv, 80, 96, 192, 1, 1, 0, G, false),
    (2, Conv, 80, 192, 96, 1, 1, 0, N, true),
    (1, Depthwise, 80, 96, 96, 3, 2, 1, N, false),
    (1, Conv, 40, 96, 192, 1, 1, 0, G, false),
    (1, Conv, 40, 192, 192, 1, 1, 0, N, false),
    (4, Depthwise, 40, 192, 192, 3, 1, 1, N, false),
    (2, Sum, 40, 192, 192, 1, 1, 0, N, false),
    (2, Scale, 40, 192, 192, 1, 1, 0, N, false),
    (4, Conv, 40, 192, 384, 1, 1, 0, G, false),
    (4, Conv, 40, 384, 192, 1, 1, 0, N, true),
    (1, Depthwise, 40, 192, 192, 3, 2, 1, N, false),
    (1, Conv, 20, 192, 384, 1, 1, 0, G, false),
    (1, Conv, 20, 384, 384, 1, 1, 0, N, false),
    (2, Depthwise, 20, 384, 384, 3, 1, 1, N, false),
    (1, Sum, 20, 384, 384, 1, 1, 0, N, false),
    (1, Scale, 20, 384, 384, 1, 1, 0, N, false),
    (2, Conv, 20, 384, 768, 1, 1, 0, G, false),
    (2, Conv, 20, 768, 384, 1, 1, 0, N, true),
    (1, Conv, 20, 384, 96, 1, 1, 0, N, false),
    (1, Conv, 40, 192, 96, 1, 1, 0, N, false),
    (1, Conv, 160, 48, 96, 1, 1, 0, N, false),
    (1, Sum, 20, 96, 96, 1, 1, 0, N, false),
    (1, Sum, 40, 96, 96, 1, 1, 0, N, false),
    (1, Sum, 80, 96, 96, 1, 1, 0, N, false),
    (1, Sum, 160, 96, 96, 1, 1, 0, N, false),
    (1, Scale, 20, 96, 96, 1, 1, 0, N, false),
    (1, Scale, 40, 96, 96, 1, 1, 0, N, false),
    (1, Scale, 80, 96, 96, 1, 1, 0, N, false),
    (1, Scale, 160, 96, 96, 1, 1, 0, N, false),
    (1, AddUp(2), 40, 96, 96, 1, 1, 0, N, false),
    (1, AddUp(2), 80, 96, 96, 1, 1, 0, N, false),
    (1, AddUp(2), 160, 96, 96, 1, 1, 0, N, false),
    (1, Depthwise, 20, 96, 96, 7, 1, 3, N, false),
    (1, Depthwise, 40, 96, 96, 7, 1, 3, N, false),
    (1, Depthwise, 80, 96, 96, 7, 1, 3, N, false),
    (1, Depthwise, 160, 96, 96, 7, 1, 3, N, false),
    (1, Conv, 20, 96, 24, 1, 1, 0, N, false),
    (1, Conv, 40, 96, 24, 1, 1, 0, N, false),
    (1, Conv, 80, 96, 24, 1, 1, 0, N, false),
    (1, Conv, 160, 96, 24, 1, 1, 0, N, false),
    (1, Sum, 160, 24, 24, 1, 1, 0, N, false),
    (1, Scale, 160, 24, 24, 1, 1, 0, N, false),
    (1, Up(8), 20, 24, 24, 1, 1, 0, N, false),
    (1, Up(4), 40, 24, 24, 1, 1, 0, N, false),
    (1, Up(2), 80, 24, 24, 1, 1, 0, N, false),
    (1, Conv, 160, 96, 24, 3, 1, 1, R, false),
    (1, Transposed, 160, 24, 24, 1, 1, 0, R, false),
    (1, Transposed, 320, 24, 1, 1, 1, 0, Activation::Sigmoid, false),
];

/// Buffers of one row of the table.
struct Bench {
    row: Row,
    o: usize,
    input: Vec<u8>,
    second: Vec<u8>,
    weights: Vec<i8>,
    sums: Vec<i32>,
    bias: Vec<i32>,
    mul: Vec<f32>,
}

impl Bench {
    fn new(row: Row) -> Bench {
        let (_, op, n, ic, oc, k, s, _, _, _) = row;
        let mut r = Rng(88_172_645_463_325_252);
        let o = match op {
            Transposed => 2 * n,
            Up(f) => n * f,
            _ => n.div_ceil(s),
        };
        let channels = if op == Transposed { 4 * oc } else { oc };
        let kk = if op == Depthwise { k * k } else { k * k * ic };
        let raw: Vec<i8> = (0..channels * kk).map(|_| (r.next() % 255) as i32 as i8).map(|w| w.max(-127)).collect();
        let mut sums = vec![0; padded(channels)];
        let mut weights;
        if op == Depthwise {
            weights = vec![0; pack::depthwise_len(channels, kk).expect("size")];
            pack::depthwise(&raw, channels, kk, &mut weights).unwrap();
        } else {
            weights = vec![0; pack::conv_len(channels, kk).expect("size")];
            pack::conv(&raw, channels, kk, &mut weights, &mut sums).unwrap();
        }
        Bench {
            row,
            o,
            input: r.bytes(n * n * ic + 64),
            second: r.bytes(o * o * oc + 64),
            weights,
            sums,
            bias: vec![5; padded(channels)],
            mul: vec![0.001; padded(channels)],
        }
    }

    fn macs(&self) -> usize {
        let (_, op, _, ic, oc, k, ..) = self.row;
        match op {
            Conv => self.o * self.o * ic * oc * k * k,
            Depthwise => self.o * self.o * oc * k * k,
            Transposed => self.o * self.o * ic * oc,
            _ => 0,
        }
    }

    fn run(&self, kernels: &Kernels, out: &mut [u8], rows: usize, scratch: &mut [u8]) {
        let (_, op, n, ic, oc, k, s, pad, act, res) = self.row;
        let o = self.o;
        let window = Window { kh: k, kw: k, sh: s, sw: s, pad_top: pad, pad_left: pad };
        let input = View::new(&self.input, Shape::dense(n, n, ic, 1)).unwrap();
        let second = View::new(&self.second, Shape::dense(o, o, oc, 1)).unwrap();
        let view = ViewMut::new(out, Shape::dense(o, o, oc, 1)).unwrap();
        let residual = res.then_some(Residual { view: second, zero: 12, mul: 0.9 });
        let packed = PackedConv { weights: &self.weights, sums: &self.sums };
        let (bias, mul, zero_in, post) = (&self.bias[..], &self.mul[..], 7, 20.0);
        let change = Requant { zero_in: 3, mul: 0.7, zero_out: 9, lo: 0 };
        let p = ConvParams { weights: packed, bias, mul, window, zero_in, act, post, residual };
        match op {
            Conv => conv(kernels, &p, input, Output::U8(view, 100), 0..rows, scratch),
            Transposed => transposed2x2(kernels, &p, input, Output::U8(view, 100), 0..rows, scratch),
            Depthwise => {
                let p = DepthwiseParams { weights: &self.weights, bias, mul, window, zero_in, act, post, residual };
                depthwise(kernels, &p, input, Output::U8(view, 100), 0..rows, scratch)
            }
            AddUp(f) => {
                let small = View::new(&self.second, Shape::dense(o / f, o / f, oc, 1)).unwrap();
                let p = AddParams { a_zero: 3, a_mul: 0.5, b_zero: 8, b_mul: 0.6, zero_out: 90, lo: 0 };
                add(kernels, &p, input, small, view, 0..rows)
            }
            Scale => {
                let p = ChannelScaleParams { scale: &self.mul, plus: 1.0, requant: change };
                channel_scale(kernels, &p, input, view, 0..rows)
            }
            Up(_) => upsample(kernels, Some(change), input, view, 0..rows),
            MaxPool => max_pool(kernels, &window, None, input, view, 0..rows),
            Sum => {
                let mut sums = vec![0u32; ic];
                global_sum(kernels, input, 0..rows, &mut sums).map(|()| {
                    for (o, s) in out.iter_mut().zip(&sums) {
                        *o = *s as u8;
                    }
                })
            }
        }
        .unwrap();
    }

    fn name(&self) -> String {
        let (times, op, n, ic, oc, k, s, _, act, res) = self.row;
        let op = match op {
            Conv => "conv",
            Depthwise => "depthwise",
            Transposed => "transposed",
            AddUp(_) => "add-up",
            Scale => "scale",
            Up(_) => "upsample",
            MaxPool => "max-pool",
            Sum => "sum",
        };
        let act = if act == N { String::new() } else { format!(" {act:?}") };
        format!("{times} x {op} {n}x{n} {ic}->{oc} k{k}s{s}{act}{}", if res { " +residual" } else { "" })
    }
}

/// Seconds this thread has run, so that other programs on the machine count as little as possible.
fn cpu_seconds() -> f64 {
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    }
    const THREAD_CPUTIME: i32 = 3;
    let mut t = [0i64; 2];
    // SAFETY: 64-bit Linux: a timespec is two i64.
    unsafe { clock_gettime(THREAD_CPUTIME, &mut t) };
    t[0] as f64 + t[1] as f64 * 1e-9
}

fn main() {
    let filter: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let passes = std::env::var("PASSES").ok().and_then(|p| p.parse().ok()).unwrap_or(10);
    let kernels = Kernels::detect().unwrap();
    let scalar = Kernels::for_isa(Isa::Scalar).unwrap();
    println!("{} on one thread", kernels.isa());
    let mut rows = Vec::new();
    for &row in DETECTOR {
        let b = Bench::new(row);
        let name = b.name();
        if !filter.iter().all(|f| name.contains(f.as_str())) {
            continue;
        }
        let (_, _, n, ic, oc, k, s, pad, ..) = row;
        let window = Window { kh: k, kw: k, sh: s, sw: s, pad_top: pad, pad_left: pad };
        let (is, os) = (Shape::dense(n, n, ic, 1), Shape::dense(b.o, b.o, oc, 1));
        let mut scratch = [0, 0];
        for (need, kernels) in scratch.iter_mut().zip([scalar, kernels]) {
            *need = transposed2x2_scratch(kernels, ic, oc)
                .max(conv_scratch(kernels, &window, &is, &os))
                .max(depthwise_scratch(kernels, &window));
        }
        let mut scratch = vec![0; scratch[0].max(scratch[1])];
        let mut out = vec![0; b.o * b.o * oc];
        let mut want = out.clone();
        b.run(scalar, &mut want, 2, &mut scratch);
        b.run(kernels, &mut out, 2, &mut scratch);
        assert!(out == want, "{name}: {} differs from scalar", kernels.isa());
        rows.push((b, name, f64::INFINITY, scratch, out));
    }
    // Many short passes: another program on the sibling thread halves the speed for a while, rarely for the whole time.
    for _ in 0..passes {
        for (b, _, best, scratch, out) in &mut rows {
            for _ in 0..3 {
                let t = cpu_seconds();
                b.run(kernels, out, b.o, scratch);
                *best = best.min(cpu_seconds() - t);
            }
        }
    }
    let (mut total, mut dense, mut macs) = (0.0, 0.0, 0);
    for (b, name, best, ..) in &rows {
        let ms = best * 1e3 * b.row.0 as f64;
        total += ms;
        if matches!(b.row.1, Conv | Transposed) {
            dense += ms;
        }
        macs += b.macs() * b.row.0;
        println!("{name:52} {ms:8.3} ms {:7.1} GMAC/s", b.macs() as f64 / best / 1e9);
    }
    println!("sum {total:.2} ms, of which dense {dense:.2} ms; {:.2} GMAC", macs as f64 / 1e9);
}
