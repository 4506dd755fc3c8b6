//! acc[p][o] = sum over k of a[p][k] * w[o][k], two products in an instruction.
//!
//! `smlad` multiplies and adds two pairs of i16. Bytes become such pairs in one instruction: 0 and 2 of a word, or 1
//! and 3. Four accumulators at a time is what fourteen registers hold; the specification's sixteen go through memory
//! at each product.

use crate::kernels::args::GemmArgs;
use crate::kernels::lanes::LANES;
use core::arch::asm;

/// Channels that are summed at a time.
const QUAD: usize = 4;

/// Panel rows are the bytes themselves.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`GemmArgs`].
pub unsafe fn gemm(g: &GemmArgs) {
    for p in 0..g.pixels {
        for quad in 0..g.quads {
            let mut acc = [0i32; QUAD];
            for (segment, &a) in g.segments.iter().enumerate().take(g.count) {
                // SAFETY: a segment holds 4 * k4 bytes for each of the pixels, the weights 64 for each step.
                unsafe {
                    let mut a = a.add(p * g.stride);
                    let mut w = g.weights.add((segment * g.k4 * LANES + quad * QUAD) * 4).cast::<u8>();
                    for _ in 0..g.k4 {
                        let x = word(a);
                        let (even, odd) = (x & 0x00ff_00ff, (x >> 8) & 0x00ff_00ff);
                        for (o, acc) in acc.iter_mut().enumerate() {
                            let w = word(w.add(o * 4));
                            *acc = add_products(even, signed_even(w), *acc);
                            *acc = add_products(odd, signed_odd(w), *acc);
                        }
                        a = a.wrapping_add(4);
                        w = w.wrapping_add(LANES * 4);
                    }
                }
            }
            // SAFETY: the accumulators hold 16 numbers for each pixel.
            unsafe { g.acc.add(p * LANES + quad * QUAD).cast::<[i32; QUAD]>().write_unaligned(acc) };
        }
    }
}

/// Four bytes at any address: Linux lets ARMv6 read such words, which rustc does not rely on.
///
/// # Safety
/// Four bytes are readable at `p`.
#[inline(always)]
unsafe fn word(p: *const u8) -> u32 {
    let word;
    // SAFETY: the caller grants four readable bytes.
    unsafe { asm!("ldr {0}, [{1}]", lateout(reg) word, in(reg) p, options(pure, readonly, nostack, preserves_flags)) };
    word
}

/// Bytes 0 and 2 as i16.
#[inline(always)]
fn signed_even(word: u32) -> u32 {
    let pair;
    // SAFETY: registers only.
    unsafe { asm!("sxtb16 {0}, {1}", lateout(reg) pair, in(reg) word, options(pure, nomem, nostack, preserves_flags)) };
    pair
}

/// Bytes 1 and 3 as i16.
#[inline(always)]
fn signed_odd(word: u32) -> u32 {
    let pair;
    // SAFETY: registers only.
    unsafe {
        asm!("sxtb16 {0}, {1}, ror #8", lateout(reg) pair, in(reg) word, options(pure, nomem, nostack, preserves_flags))
    };
    pair
}

/// `sum` and the products of the two pairs of i16.
#[inline(always)]
fn add_products(a: u32, b: u32, sum: i32) -> i32 {
    let result;
    // SAFETY: registers only; what it does to the flag of saturation nobody reads.
    unsafe {
        asm!("smlad {0}, {1}, {2}, {3}", lateout(reg) result, in(reg) a, in(reg) b, in(reg) sum,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}
