//! Accumulators to outputs: bias, scale, activation, residual, rounding.

use crate::kernels::args::{Activation, EpilogueArgs, EpilogueOut};
use crate::kernels::lanes::{LANES, Lanes};
use crate::kernels::math::{self, ToU8};

/// An activation as a type, so that each gets its own straight loop.
pub trait Act<L: Lanes>: Copy {
    /// f(x).
    unsafe fn f(&self, x: L::F) -> L::F;
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident $fields:tt $self:ident, $x:ident => $body:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name $fields;
        impl<L: Lanes> Act<L> for $name {
            #[inline(always)]
            #[allow(unused_unsafe)]
            unsafe fn f(&$self, $x: L::F) -> L::F {
                // SAFETY: the caller has L's CPU features.
                unsafe { $body }
            }
        }
    )*};
}

acts! {
    /// y = x.
    Linear() self, x => x;
    /// y = max(x, 0).
    Relu() self, x => L::max(x, L::splat(0.0));
    /// See [`math::gelu`]; the field is the factor after it.
    Gelu(pub f32) self, x => L::mul(math::gelu::<L>(x), L::splat(self.0));
    /// See [`math::silu`].
    Silu(pub f32) self, x => L::mul(math::silu::<L>(x), L::splat(self.0));
    /// See [`math::sigmoid`].
    Sigmoid(pub f32) self, x => L::mul(math::sigmoid::<L>(x), L::splat(self.0));
    /// x * clamp(x / 6 + 0.5, 0, 1).
    HardSwish(pub f32) self, x => L::mul(L::mul(x, math::hard_sigmoid::<L>(x, 1.0 / 6.0, 0.5)), L::splat(self.0));
    /// clamp(alpha x + beta, 0, 1).
    HardSigmoid(pub f32, pub f32, pub f32) self, x =>
        L::mul(math::hard_sigmoid::<L>(x, self.1, self.2), L::splat(self.0));
}

/// Calls `$f::<L, _>($a, activation)` with the activation's type.
macro_rules! with_act {
    ($act:expr, $post:expr, $f:ident::<$l:ident>($a:expr)) => {
        match $act {
            Activation::Linear => $f::<$l, _>($a, $crate::kernels::generic::epilogue::Linear()),
            Activation::Relu => $f::<$l, _>($a, $crate::kernels::generic::epilogue::Relu()),
            Activation::Gelu => $f::<$l, _>($a, $crate::kernels::generic::epilogue::Gelu($post)),
            Activation::Silu => $f::<$l, _>($a, $crate::kernels::generic::epilogue::Silu($post)),
            Activation::Sigmoid => $f::<$l, _>($a, $crate::kernels::generic::epilogue::Sigmoid($post)),
            Activation::HardSwish => $f::<$l, _>($a, $crate::kernels::generic::epilogue::HardSwish($post)),
            Activation::HardSigmoid { alpha, beta } => {
                $f::<$l, _>($a, $crate::kernels::generic::epilogue::HardSigmoid($post, alpha, beta))
            }
        }
    };
}
pub(crate) use with_act;

/// The epilogue of one block of 16 channels.
#[inline(always)]
pub unsafe fn epilogue<L: Lanes>(a: &EpilogueArgs) {
    // SAFETY: passed on.
    unsafe {
        match (a.act, a.out) {
            // The lower clamp already is the zero point, so the rounding does the ReLU.
            (Activation::Linear | Activation::Relu, EpilogueOut::U8 { .. }) => {
                if a.res.is_null() {
                    run::<L, _>(a, Linear());
                } else {
                    run_residual::<L>(a);
                }
            }
            (act, _) => with_act!(act, a.post, run::<L>(a)),
        }
    }
}

/// Four pixels of four dense channels as one vector: the last layer of a detector has one channel (four outputs, once
/// transposed) and the most expensive activation.
#[inline(always)]
unsafe fn run_quads<L: Lanes, A: Act<L>>(a: &EpilogueArgs, act: A, ptr: *mut u8, round: ToU8<L>) {
    const PIXELS: usize = LANES / 4;
    // SAFETY: as in `run`; four pixels of four channels are 16 bytes in a row.
    unsafe {
        let (mut bias, mut mul) = ([0i32; LANES], [0f32; LANES]);
        for i in 0..LANES {
            (bias[i], mul[i]) = (*a.bias.add(i % 4), *a.mul.add(i % 4));
        }
        let (bias, mul) = (L::load_i(bias.as_ptr()), L::load(mul.as_ptr()));
        for p in (0..a.pixels).step_by(PIXELS) {
            let n = (a.pixels - p).min(PIXELS);
            let mut acc = [[0i32; 4]; PIXELS];
            for (i, acc) in acc.iter_mut().enumerate().take(n) {
                *acc = a.acc.add((p + i) * LANES).cast::<[i32; 4]>().read_unaligned();
            }
            let x = L::mul(L::to_f(L::add_i(L::load_i(acc.as_ptr().cast()), bias)), mul);
            L::store_u8_n(ptr.add(p * 4), round.apply(act.f(x)), 4 * n);
        }
    }
}

#[inline(always)]
unsafe fn run<L: Lanes, A: Act<L>>(a: &EpilogueArgs, act: A) {
    // SAFETY: acc, bias and mul hold 16 lanes per pixel or block; out is written `cols` wide.
    unsafe {
        if let (EpilogueOut::U8 { ptr, zero, lo }, 4, 4) = (a.out, a.cols, a.out_stride) {
            return run_quads(a, act, ptr, ToU8::<L>::new(zero, lo));
        }
        let (bias, mul) = (L::load_i(a.bias), L::load(a.mul));
        match a.out {
            EpilogueOut::U8 { ptr, zero, lo } => {
                let round = ToU8::<L>::new(zero, lo);
                if a.cols == LANES {
                    for p in 0..a.pixels {
                        let x = L::mul(L::to_f(L::add_i(L::load_i(a.acc.add(p * LANES)), bias)), mul);
                        L::store_b(ptr.add(p * a.out_stride), L::narrow(round.apply(act.f(x))));
                    }
                } else {
                    for p in 0..a.pixels {
                        let x = L::mul(L::to_f(L::add_i(L::load_i(a.acc.add(p * LANES)), bias)), mul);
                        L::store_u8_n(ptr.add(p * a.out_stride), round.apply(act.f(x)), a.cols);
                    }
                }
            }
            EpilogueOut::F32 { ptr } => {
                for p in 0..a.pixels {
                    let x = L::mul(L::to_f(L::add_i(L::load_i(a.acc.add(p * LANES)), bias)), mul);
                    L::store_n(ptr.add(p * a.out_stride), act.f(x), a.cols);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn run_residual<L: Lanes>(a: &EpilogueArgs) {
    // SAFETY: as in `run`; the residual may be read 15 bytes past its end (slack).
    unsafe {
        let EpilogueOut::U8 { ptr, zero, lo } = a.out else { return };
        let (bias, mul) = (L::load_i(a.bias), L::load(a.mul));
        let (res_zero, res_mul) = (L::splat(f32::from(a.res_zero)), L::splat(a.res_mul));
        let round = ToU8::<L>::new(zero, lo);
        for p in 0..a.pixels {
            let x = L::mul(L::to_f(L::add_i(L::load_i(a.acc.add(p * LANES)), bias)), mul);
            let r = L::sub(L::to_f(L::load_u8(a.res.add(p * a.res_stride))), res_zero);
            let y = L::add(x, L::mul(r, res_mul));
            L::store_u8_n(ptr.add(p * a.out_stride), round.apply(y), a.cols);
        }
    }
}
