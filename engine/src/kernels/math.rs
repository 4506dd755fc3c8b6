//! Functions of real numbers, in ordinary f32 steps that all ISAs do in the same order.

use super::lanes::Lanes;

/// 1.5 * 2^23: adding it to |x| < 2^22 rounds x to an integer, ties to even, in the low bits of the sum.
pub const ROUND_MAGIC: f32 = 12_582_912.0;
/// Bits of [`ROUND_MAGIC`].
pub const ROUND_MAGIC_BITS: i32 = 0x4B40_0000;
// The low byte of a sum is then the rounded number itself.
const _: () = assert!(ROUND_MAGIC_BITS & 0xff == 0);

/// Beyond this |x| the normal distribution function is taken as constant (0 or 1 to 6e-8).
const GELU_CLAMP: f32 = 4.2;
/// Odd polynomial of Phi(x) - 1/2 on [-4.2, 4.2], lowest power first; fitted for the least maximum of x times its error, with
/// the value 1/2 at the end.
const GELU_POLY: [f32; 8] = [
    0.398_465_87,
    -0.065_528_2,
    0.009_298_229,
    -0.000_950_657_4,
    6.689_069e-5,
    -3.037_931e-6,
    7.941_337_5e-8,
    -9.017_53e-10,
];

/// gelu(x) = x * Phi(x), |error| < 9e-5. The polynomial is summed as a tree: its latency, not its work, is what costs.
#[inline(always)]
pub unsafe fn gelu<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let c = |i: usize| L::splat(GELU_POLY[i]);
        let t = L::min(L::max(x, L::splat(-GELU_CLAMP)), L::splat(GELU_CLAMP));
        let u = L::mul(t, t);
        let u2 = L::mul(u, u);
        let u4 = L::mul(u2, u2);
        let p01 = L::add(c(0), L::mul(c(1), u));
        let p23 = L::add(c(2), L::mul(c(3), u));
        let p45 = L::add(c(4), L::mul(c(5), u));
        let p67 = L::add(c(6), L::mul(c(7), u));
        let low = L::add(p01, L::mul(p23, u2));
        let high = L::add(p45, L::mul(p67, u2));
        let p = L::add(low, L::mul(high, u4));
        L::mul(x, L::add(L::mul(p, t), L::splat(0.5)))
    }
}

/// e^x for x clamped to [-87, 88], relative error < 1e-6.
#[inline(always)]
pub unsafe fn exp<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let x = L::min(L::max(x, L::splat(-87.0)), L::splat(88.0));
        // x = n ln2 + r; ln2 in two parts so that n * high is exact.
        let shifted = L::add(L::mul(x, L::splat(core::f32::consts::LOG2_E)), L::splat(ROUND_MAGIC));
        let n = L::sub(shifted, L::splat(ROUND_MAGIC));
        let r = L::sub(x, L::mul(n, L::splat(0.693_359_4)));
        let r = L::sub(r, L::mul(n, L::splat(-2.121_944_4e-4)));
        // Cephes expf: e^r = 1 + r + r^2 P(r).
        let mut p = L::splat(1.987_569_1e-4);
        p = L::add(L::mul(p, r), L::splat(1.398_199_9e-3));
        p = L::add(L::mul(p, r), L::splat(8.333_452e-3));
        p = L::add(L::mul(p, r), L::splat(4.166_579_6e-2));
        p = L::add(L::mul(p, r), L::splat(0.166_666_65));
        p = L::add(L::mul(p, r), L::splat(0.5));
        let e = L::add(L::add(L::mul(p, L::mul(r, r)), r), L::splat(1.0));
        let power = L::add_i(L::bits(shifted), L::splat_i(127i32.wrapping_sub(ROUND_MAGIC_BITS)));
        L::mul(e, L::from_bits(L::shl23(power)))
    }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub unsafe fn sigmoid<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let e = exp::<L>(L::sub(L::splat(0.0), x));
        L::div(L::splat(1.0), L::add(L::splat(1.0), e))
    }
}

/// x / (1 + e^-x).
#[inline(always)]
pub unsafe fn silu<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let e = exp::<L>(L::sub(L::splat(0.0), x));
        L::div(x, L::add(L::splat(1.0), e))
    }
}

/// clamp(alpha x + beta, 0, 1).
#[inline(always)]
pub unsafe fn hard_sigmoid<L: Lanes>(x: L::F, alpha: f32, beta: f32) -> L::F {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let y = L::add(L::mul(x, L::splat(alpha)), L::splat(beta));
        L::min(L::max(y, L::splat(0.0)), L::splat(1.0))
    }
}

/// Rounds to u8 lanes: `clamp(round_ties_even(y) + zero, lo, 255)`.
///
/// The clamp comes first, on bounds that are whole numbers, so the result is the same and no conversion can overflow.
#[derive(Clone, Copy)]
pub struct ToU8<L: Lanes> {
    lo: L::F,
    hi: L::F,
    zero: L::I,
}

impl<L: Lanes> ToU8<L> {
    /// For outputs with zero point `zero` and lower bound `lo`.
    #[inline(always)]
    pub unsafe fn new(zero: u8, lo: u8) -> Self {
        // SAFETY: the caller has L's CPU features.
        unsafe {
            let z = f32::from(zero);
            ToU8 {
                lo: L::splat(f32::from(lo) - z),
                hi: L::splat(255.0 - z),
                zero: L::splat_i(i32::from(zero).wrapping_sub(ROUND_MAGIC_BITS)),
            }
        }
    }

    /// Lanes in 0..=255.
    #[inline(always)]
    pub unsafe fn apply(&self, y: L::F) -> L::I {
        // SAFETY: the caller has L's CPU features.
        unsafe {
            let y = L::min(L::max(y, self.lo), self.hi);
            L::add_i(L::bits(L::add(y, L::splat(ROUND_MAGIC))), self.zero)
        }
    }
}
