//! Accumulators to outputs: bias, scale, activation, residual, rounding.

use crate::kernels::args::{Activation, EpilogueArgs, EpilogueOut};
use crate::kernels::lanes::{LANES, Lanes};
use crate::kernels::math::{self, ToU8};

/// An activation as a type, so that each gets its own straight loop.
pub trait Act<L: Lanes>: Copy {
    /// f(x) of several vectors.
    ///
    /// # Safety
    /// The caller has the CPU features of `L`.
    unsafe fn f<const N: usize>(&self, x: [L::F; N]) -> [L::F; N];

    /// f(x) of one.
    ///
    /// # Safety
    /// The caller has the CPU features of `L`.
    #[inline(always)]
    unsafe fn one(&self, x: L::F) -> L::F {
        // SAFETY: the caller's.
        unsafe { self.f([x])[0] }
    }
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident $fields:tt $self:ident, $x:ident => $body:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name $fields;
        impl<L: Lanes> Act<L> for $name {
            #[inline(always)]
            #[allow(unused_unsafe)]
            unsafe fn f<const N: usize>(&$self, $x: [L::F; N]) -> [L::F; N] {
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
    Relu() self, x => math::relu::<L, N>(x);
    /// See [`math::gelu`]; the field is the factor after it.
    Gelu(pub f32) self, x => math::scaled::<L, N>(math::gelu::<L, N>(x), self.0);
    /// See [`math::silu`].
    Silu(pub f32) self, x => math::scaled::<L, N>(math::silu::<L, N>(x), self.0);
    /// See [`math::sigmoid`].
    Sigmoid(pub f32) self, x => math::scaled::<L, N>(math::sigmoid::<L, N>(x), self.0);
    /// See [`math::hard_swish`].
    HardSwish(pub f32) self, x => math::scaled::<L, N>(math::hard_swish::<L, N>(x), self.0);
    /// See [`math::hard_sigmoid`].
    HardSigmoid(pub f32, pub f32, pub f32) self, x =>
        math::scaled::<L, N>(math::hard_sigmoid::<L, N>(x, self.1, self.2), self.0);
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
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`EpilogueArgs`].
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

/// Bias and multiplier of a block.
struct Scale<L: Lanes> {
    bias: L::I,
    mul: L::F,
}

impl<L: Lanes> Scale<L> {
    /// # Safety
    /// 16 numbers are readable at `acc`; the caller has the CPU features of `L`.
    #[inline(always)]
    unsafe fn real(&self, acc: *const i32) -> L::F {
        // SAFETY: acc holds 16 numbers.
        unsafe { L::mul(L::to_f(L::add_i(L::load_i(acc), self.bias)), self.mul) }
    }
}

/// Four pixels of four dense channels as one vector: the last layer of a detector has one channel (four outputs, once
/// transposed) and the most expensive activation.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`EpilogueArgs`].
#[inline(always)]
unsafe fn run_quads<L: Lanes, A: Act<L>>(a: &EpilogueArgs, act: A, ptr: *mut u8, round: ToU8<L>) {
    const PIXELS: usize = LANES / 4;
    // SAFETY: as in `run`; four pixels of four channels are 16 bytes in a row.
    unsafe {
        let (mut bias, mut mul) = ([0i32; LANES], [0f32; LANES]);
        for i in 0..LANES {
            (bias[i], mul[i]) = (*a.bias.add(i % 4), *a.mul.add(i % 4));
        }
        let s = Scale::<L> { bias: L::load_i(bias.as_ptr()), mul: L::load(mul.as_ptr()) };
        // Whole vectors of four pixels, as `run_full` wants them: gathered in pieces.
        const VECTORS: usize = 8;
        let mut acc = [[0i32; LANES]; VECTORS];
        for p in (0..a.pixels).step_by(VECTORS * PIXELS) {
            let n = (a.pixels - p).min(VECTORS * PIXELS);
            let quads = acc.as_mut_ptr().cast::<[i32; 4]>();
            for i in 0..n {
                quads.add(i).write_unaligned(a.acc.add((p + i) * LANES).cast::<[i32; 4]>().read_unaligned());
            }
            let out = ptr.add(p * 4);
            let b = EpilogueArgs { acc: acc.as_ptr().cast(), pixels: n / PIXELS, out_stride: LANES, ..*a };
            run_all::<L, A>(&b, act, &s, out, &round);
            if !n.is_multiple_of(PIXELS) {
                let (last, done) = (n / PIXELS, n / PIXELS * LANES);
                let y = act.one(s.real(acc[last].as_ptr()));
                L::store_u8_n(out.add(done), round.apply(y), 4 * n - done);
            }
        }
    }
}

/// # Safety
/// The contract of [`crate::kernels::args`] for [`EpilogueArgs`].
#[inline(always)]
unsafe fn run<L: Lanes, A: Act<L>>(a: &EpilogueArgs, act: A) {
    // SAFETY: acc, bias and mul hold 16 lanes per pixel or block; out is written `cols` wide.
    unsafe {
        if let (EpilogueOut::U8 { ptr, zero, lo }, 4, 4) = (a.out, a.cols, a.out_stride) {
            return run_quads(a, act, ptr, ToU8::<L>::new(zero, lo));
        }
        let s = Scale::<L> { bias: L::load_i(a.bias), mul: L::load(a.mul) };
        match a.out {
            EpilogueOut::U8 { ptr, zero, lo } if a.cols == LANES => {
                run_all(a, act, &s, ptr, &ToU8::<L>::new(zero, lo));
            }
            EpilogueOut::U8 { ptr, zero, lo } => {
                let round = ToU8::<L>::new(zero, lo);
                for p in 0..a.pixels {
                    let y = act.one(s.real(a.acc.add(p * LANES)));
                    L::store_u8_n(ptr.add(p * a.out_stride), round.apply(y), a.cols);
                }
            }
            EpilogueOut::F32 { ptr } => {
                for p in 0..a.pixels {
                    let y = act.one(s.real(a.acc.add(p * LANES)));
                    L::store_n(ptr.add(p * a.out_stride), y, a.cols);
                }
            }
        }
    }
}

/// Full blocks.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`EpilogueArgs`].
#[inline(always)]
unsafe fn run_all<L: Lanes, A: Act<L>>(a: &EpilogueArgs, act: A, s: &Scale<L>, ptr: *mut u8, round: &ToU8<L>) {
    // SAFETY: as in `run`.
    unsafe {
        let p = match L::UNROLL {
            4 => run_full::<L, A, 4>(a, act, s, ptr, round, 0),
            2 => run_full::<L, A, 2>(a, act, s, ptr, round, 0),
            _ => 0,
        };
        run_full::<L, A, 1>(a, act, s, ptr, round, p);
    }
}

/// Full blocks of pixels from `p` on, `N` together. Returns the first pixel that is left over.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`EpilogueArgs`].
#[inline(always)]
unsafe fn run_full<L: Lanes, A: Act<L>, const N: usize>(
    a: &EpilogueArgs,
    act: A,
    s: &Scale<L>,
    ptr: *mut u8,
    round: &ToU8<L>,
    mut p: usize,
) -> usize {
    // SAFETY: as in `run`.
    unsafe {
        while p + N <= a.pixels {
            let mut x = [s.mul; N];
            for (i, x) in x.iter_mut().enumerate() {
                *x = s.real(a.acc.add((p + i) * LANES));
            }
            for (i, y) in act.f(x).into_iter().enumerate() {
                L::store_b(ptr.add((p + i) * a.out_stride), L::narrow(round.apply(y)));
            }
            p += N;
        }
    }
    p
}

/// # Safety
/// The contract of [`crate::kernels::args`] for [`EpilogueArgs`].
#[inline(always)]
unsafe fn run_residual<L: Lanes>(a: &EpilogueArgs) {
    // SAFETY: as in `run`; the residual may be read 15 bytes past its end (slack).
    unsafe {
        let EpilogueOut::U8 { ptr, zero, lo } = a.out else { return };
        let s = Scale::<L> { bias: L::load_i(a.bias), mul: L::load(a.mul) };
        let (res_zero, res_mul) = (L::splat(f32::from(a.res_zero)), L::splat(a.res_mul));
        let round = ToU8::<L>::new(zero, lo);
        for p in 0..a.pixels {
            let x = s.real(a.acc.add(p * LANES));
            let r = L::sub(L::to_f(L::load_u8(a.res.add(p * a.res_stride))), res_zero);
            let y = L::add(x, L::mul(r, res_mul));
            L::store_u8_n(ptr.add(p * a.out_stride), round.apply(y), a.cols);
        }
    }
}
