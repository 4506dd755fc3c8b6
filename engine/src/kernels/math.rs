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
/// Odd polynomial of Phi(x) - 1/2 on [-4.2, 4.2], lowest power first; fitted for the least maximum of x times its
/// error, with the value 1/2 at the end.
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

// Functions take several vectors and go through their steps together: a step's instructions do not depend on each
// other, whereas one vector's whole function is a single chain that leaves most of a CPU idle.

/// The expression for each element of the array; a second one is taken along. A macro, because closures are compiled
/// without the CPU features of the kernel that calls them, and then not always inlined.
macro_rules! each {
    ($x:ident => $e:expr) => {{
        let mut y = $x;
        for y in &mut y {
            let $x = *y;
            *y = $e;
        }
        y
    }};
    ($x:ident, $b:ident => $e:expr) => {{
        let mut y = $x;
        for (y, $b) in y.iter_mut().zip($b) {
            let $x = *y;
            *y = $e;
        }
        y
    }};
}

/// gelu(x) = x * Phi(x), |error| < 9e-5. The polynomial is summed as a tree: its latency, not its work, is what costs.
///
/// # Safety
/// The caller has the CPU features of `L`.
#[inline(always)]
pub unsafe fn gelu<L: Lanes, const N: usize>(x: [L::F; N]) -> [L::F; N] {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let c = GELU_POLY;
        let t = each!(x => L::max(x, L::splat(-GELU_CLAMP)));
        let t = each!(t => L::min(t, L::splat(GELU_CLAMP)));
        let u = each!(t => L::mul(t, t));
        let u2 = each!(u => L::mul(u, u));
        let p67 = each!(u => L::add(L::splat(c[6]), L::mul(L::splat(c[7]), u)));
        let p45 = each!(u => L::add(L::splat(c[4]), L::mul(L::splat(c[5]), u)));
        let high = each!(p67, u2 => L::mul(p67, u2));
        let high = each!(p45, high => L::add(p45, high));
        let p23 = each!(u => L::add(L::splat(c[2]), L::mul(L::splat(c[3]), u)));
        let p01 = each!(u => L::add(L::splat(c[0]), L::mul(L::splat(c[1]), u)));
        let low = each!(p23, u2 => L::mul(p23, u2));
        let low = each!(p01, low => L::add(p01, low));
        let u4 = each!(u2 => L::mul(u2, u2));
        let high = each!(high, u4 => L::mul(high, u4));
        let p = each!(low, high => L::add(low, high));
        let phi = each!(p, t => L::add(L::mul(p, t), L::splat(0.5)));
        each!(x, phi => L::mul(x, phi))
    }
}

/// e^x for x clamped to [-87, 88], relative error < 1e-6.
///
/// # Safety
/// The caller has the CPU features of `L`.
#[inline(always)]
pub unsafe fn exp<L: Lanes, const N: usize>(x: [L::F; N]) -> [L::F; N] {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let x = each!(x => L::min(L::max(x, L::splat(-87.0)), L::splat(88.0)));
        // x = n ln2 + r; ln2 in two parts so that n * high is exact.
        let shifted = each!(x => L::add(L::mul(x, L::splat(core::f32::consts::LOG2_E)), L::splat(ROUND_MAGIC)));
        let n = each!(shifted => L::sub(shifted, L::splat(ROUND_MAGIC)));
        let r = each!(x, n => L::sub(x, L::mul(n, L::splat(0.693_359_4))));
        let r = each!(r, n => L::sub(r, L::mul(n, L::splat(-2.121_944_4e-4))));
        // Cephes expf: e^r = 1 + r + r^2 P(r).
        let mut p = [L::splat(1.987_569_1e-4); N];
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
            p = each!(p, r => L::add(L::mul(p, r), L::splat(c)));
        }
        let e = each!(p, r => L::add(L::add(L::mul(p, L::mul(r, r)), r), L::splat(1.0)));
        let bias = 127i32.wrapping_sub(ROUND_MAGIC_BITS);
        each!(e, shifted => L::mul(e, L::from_bits(L::shl23(L::add_i(L::bits(shifted), L::splat_i(bias))))))
    }
}

/// 1 + e^-x.
///
/// # Safety
/// The caller has the CPU features of `L`.
#[inline(always)]
unsafe fn one_plus_exp<L: Lanes, const N: usize>(x: [L::F; N]) -> [L::F; N] {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let e = exp::<L, N>(each!(x => L::sub(L::splat(0.0), x)));
        each!(e => L::add(L::splat(1.0), e))
    }
}

/// 1 / (1 + e^-x).
///
/// # Safety
/// The caller has the CPU features of `L`.
#[inline(always)]
pub unsafe fn sigmoid<L: Lanes, const N: usize>(x: [L::F; N]) -> [L::F; N] {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let d = one_plus_exp::<L, N>(x);
        each!(d => L::div(L::splat(1.0), d))
    }
}

/// x / (1 + e^-x).
///
/// # Safety
/// The caller has the CPU features of `L`.
#[inline(always)]
pub unsafe fn silu<L: Lanes, const N: usize>(x: [L::F; N]) -> [L::F; N] {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let d = one_plus_exp::<L, N>(x);
        each!(x, d => L::div(x, d))
    }
}

/// clamp(alpha x + beta, 0, 1).
///
/// # Safety
/// The caller has the CPU features of `L`.
#[inline(always)]
pub unsafe fn hard_sigmoid<L: Lanes, const N: usize>(x: [L::F; N], alpha: f32, beta: f32) -> [L::F; N] {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let y = each!(x => L::add(L::mul(x, L::splat(alpha)), L::splat(beta)));
        each!(y => L::min(L::max(y, L::splat(0.0)), L::splat(1.0)))
    }
}

/// x * clamp(x / 6 + 0.5, 0, 1).
///
/// # Safety
/// The caller has the CPU features of `L`.
#[inline(always)]
pub unsafe fn hard_swish<L: Lanes, const N: usize>(x: [L::F; N]) -> [L::F; N] {
    // SAFETY: the caller has L's CPU features.
    unsafe {
        let y = hard_sigmoid::<L, N>(x, 1.0 / 6.0, 0.5);
        each!(x, y => L::mul(x, y))
    }
}

/// max(x, 0).
///
/// # Safety
/// The caller has the CPU features of `L`.
#[inline(always)]
pub unsafe fn relu<L: Lanes, const N: usize>(x: [L::F; N]) -> [L::F; N] {
    // SAFETY: the caller has L's CPU features.
    unsafe { each!(x => L::max(x, L::splat(0.0))) }
}

/// x * by.
///
/// # Safety
/// The caller has the CPU features of `L`.
#[inline(always)]
pub unsafe fn scaled<L: Lanes, const N: usize>(x: [L::F; N], by: f32) -> [L::F; N] {
    // SAFETY: the caller has L's CPU features.
    unsafe { each!(x => L::mul(x, L::splat(by))) }
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
    ///
    /// # Safety
    /// The caller has the CPU features of `L`.
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
    ///
    /// # Safety
    /// The caller has the CPU features of `L`.
    #[inline(always)]
    pub unsafe fn apply(&self, y: L::F) -> L::I {
        // SAFETY: the caller has L's CPU features.
        unsafe {
            let y = L::min(L::max(y, self.lo), self.hi);
            L::add_i(L::bits(L::add(y, L::splat(ROUND_MAGIC))), self.zero)
        }
    }
}
