//! Random data, buffers with guards, and the list of instruction sets to test.
#![allow(dead_code)]

pub mod plans;

use edge_ocr_engine::ops::{Activation, Output, Window};
use edge_ocr_engine::{Isa, Kernels, Shape, View, ViewMut};

/// xorshift: the same numbers on every machine.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }
    /// Uniform in -1..1.
    pub fn unit(&mut self) -> f32 {
        self.next() as f32 / 2_147_483_648.0 - 1.0
    }
    pub fn bytes(&mut self, n: usize, extreme: bool) -> Vec<u8> {
        (0..n).map(|_| if extreme { if self.next() & 1 == 0 { 0 } else { 255 } } else { self.next() as u8 }).collect()
    }
    pub fn weights(&mut self, n: usize, extreme: bool) -> Vec<i8> {
        let f = |r: u32| if extreme { if r & 1 == 0 { 127 } else { -127 } } else { (r % 255) as i32 - 127 };
        (0..n).map(|_| f(self.next()) as i8).collect()
    }
    pub fn floats(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| self.unit() * scale).collect()
    }
}

/// Every instruction set of this CPU but the scalar one; says what it leaves out.
pub fn vector_kernels() -> Vec<&'static Kernels> {
    let mut found = Vec::new();
    for isa in Isa::ALL {
        match Kernels::for_isa(isa) {
            Ok(k) if isa != Isa::Scalar => found.push(k),
            Ok(_) => {}
            Err(_) => eprintln!("skipped: {isa} (this CPU does not have it)"),
        }
    }
    found
}

pub fn scalar() -> &'static Kernels {
    Kernels::for_isa(Isa::Scalar).unwrap()
}

pub fn window(k: (usize, usize), s: (usize, usize), pad: (usize, usize)) -> Window {
    Window { kh: k.0, kw: k.1, sh: s.0, sw: s.1, pad_top: pad.0, pad_left: pad.1 }
}

/// An input: `extra` more channels in a pixel than the view has, `offset` of them before it.
pub struct In<T> {
    data: Vec<T>,
    pub shape: Shape,
    offset: usize,
}

impl In<u8> {
    pub fn random(r: &mut Rng, h: usize, w: usize, c: usize, slice: (usize, usize), extreme: bool) -> Self {
        let shape = Shape { h, w, c, pixel_stride: c + slice.1 };
        In { data: r.bytes(h * w * shape.pixel_stride + slice.0 + 64, extreme), shape, offset: slice.0 }
    }
}

impl In<f32> {
    pub fn random_f32(r: &mut Rng, h: usize, w: usize, c: usize, slice: (usize, usize), scale: f32) -> Self {
        let shape = Shape { h, w, c, pixel_stride: (c + slice.1) * 4 };
        In { data: r.floats(h * w * (c + slice.1) + slice.0 + 16, scale), shape, offset: slice.0 }
    }
}

impl<T: edge_ocr_engine::tensor::Element> In<T> {
    pub fn view(&self) -> View<'_, T> {
        View::new(&self.data[self.offset..], self.shape).unwrap()
    }
    pub fn at(&self, y: usize, x: usize, c: usize) -> T {
        let stride = self.shape.pixel_stride / size_of::<T>();
        self.data[self.offset + (y * self.shape.w + x) * stride + c]
    }
}

/// An output in a buffer of canaries.
pub struct Out<T> {
    data: Vec<T>,
    pub shape: Shape,
    offset: usize,
    canary: T,
}

const GUARD: usize = 128;

impl<T: edge_ocr_engine::tensor::Element + PartialEq + std::fmt::Debug> Out<T> {
    pub fn new(canary: T, h: usize, w: usize, c: usize, slice: (usize, usize)) -> Self {
        let stride = c + slice.1;
        let shape = Shape { h, w, c, pixel_stride: stride * size_of::<T>() };
        Out { data: vec![canary; h * w * stride + slice.0 + 2 * GUARD], shape, offset: GUARD + slice.0, canary }
    }
    pub fn view(&mut self) -> ViewMut<'_, T> {
        ViewMut::new(&mut self.data[self.offset..], self.shape).unwrap()
    }
    pub fn at(&self, y: usize, x: usize, c: usize) -> T {
        self.data[self.offset + (y * self.shape.w + x) * self.shape.pixel_stride / size_of::<T>() + c]
    }
    /// The view's elements; panics when anything else was written.
    pub fn values(&self, what: &str) -> Vec<T> {
        let stride = self.shape.pixel_stride / size_of::<T>();
        let mut values = Vec::new();
        let n = self.shape.h * self.shape.w;
        for (i, &x) in self.data.iter().enumerate() {
            let j = i.wrapping_sub(self.offset);
            if i >= self.offset && j / stride < n && j % stride < self.shape.c {
                values.push(x);
            } else {
                assert_eq!(x, self.canary, "{what}: wrote outside its tensor, at {j} of {:?}", self.shape);
            }
        }
        values
    }
}

/// Either kind of output, compared as bits.
pub enum AnyOut {
    U8(Out<u8>, u8),
    F32(Out<f32>),
}

impl AnyOut {
    pub fn new(f32_out: bool, zero: u8, h: usize, w: usize, c: usize, slice: (usize, usize)) -> Self {
        if f32_out {
            AnyOut::F32(Out::new(-7777.0, h, w, c, slice))
        } else {
            AnyOut::U8(Out::new(0xA5, h, w, c, slice), zero)
        }
    }
    pub fn output(&mut self) -> Output<'_> {
        match self {
            AnyOut::U8(o, zero) => Output::U8(o.view(), *zero),
            AnyOut::F32(o) => Output::F32(o.view()),
        }
    }
    pub fn bits(&self, what: &str) -> Vec<u32> {
        match self {
            AnyOut::U8(o, _) => o.values(what).into_iter().map(u32::from).collect(),
            AnyOut::F32(o) => o.values(what).into_iter().map(f32::to_bits).collect(),
        }
    }
}

pub fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|x| x.to_bits()).collect()
}

pub fn erf(x: f64) -> f64 {
    // Series: enough for |x| < 6.
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 {
        n += 1.0;
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    if x.abs() > 5.0 { x.signum() } else { sum * 2.0 / std::f64::consts::PI.sqrt() }
}

/// The activation in f64.
pub fn exact(act: Activation, x: f64) -> f64 {
    match act {
        Activation::Linear => x,
        Activation::Relu => x.max(0.0),
        Activation::Gelu => x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
    }
}

pub const ACTS: [Activation; 7] = [
    Activation::Linear,
    Activation::Relu,
    Activation::Gelu,
    Activation::HardSwish,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
];

/// Shapes: dense and sliced, whole and broken channel blocks.
pub const SHAPES: [(usize, usize, usize, (usize, usize)); 6] = [
    (1, 1, 1, (0, 0)),
    (4, 6, 16, (0, 0)),
    (3, 5, 24, (0, 0)),
    (3, 7, 33, (5, 7)),
    (5, 4, 96, (16, 48)),
    (2, 9, 7, (1, 2)),
];

/// Runs `f` with the scalar kernels, then with all others, and compares.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, f: impl Fn(&'static Kernels) -> Vec<T>) -> Vec<T> {
    let want = f(scalar());
    for k in vector_kernels() {
        let got = f(k);
        let first = got.iter().zip(&want).position(|(a, b)| a != b);
        assert_eq!((first, got.len()), (None, want.len()), "{what}: {} differs from scalar", k.isa());
    }
    want
}

/// Calls `at(y, x, c)` in the order of `Out::values`.
pub fn each(h: usize, w: usize, c: usize, mut at: impl FnMut(usize, usize, usize)) {
    for y in 0..h {
        for x in 0..w {
            for c in 0..c {
                at(y, x, c);
            }
        }
    }
}
