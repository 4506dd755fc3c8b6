//! Packing of weights into the one layout that all instruction sets read.
//!
//! All packers write into memory of the caller and are meant to run once, when a plan is built. Wherever a length says
//! "padded to 16", the padding must be there and finite; packers fill it with zeros.

use crate::error::{Error, check, check_len};
use crate::kernels::Kernels;
use crate::size::product;

/// Channels of a block.
pub const BLOCK: usize = 16;

/// Largest K (kh * kw * ic) for which no i32 sum can overflow: K * 255 * 127 and the bias stay below 2^31.
pub const MAX_K: usize = 32_768;

/// Next multiple of 16: the length of all per-channel arrays (`bias`, `mul`, sums, factors).
pub const fn padded(channels: usize) -> usize {
    channels.saturating_add(BLOCK - 1) / BLOCK * BLOCK
}

/// Bytes of the packed weights of a dense convolution with `oc` outputs and K = kh * kw * ic; `None` above
/// [`MAX_BYTES`](crate::size::MAX_BYTES).
pub const fn conv_len(oc: usize, k: usize) -> Option<usize> {
    product(padded(oc), k.saturating_add(3) / 4 * 4)
}

/// Packs dense weights `[oc][kh][kw][ic]` (i8 in -127..=127) as `[oc/16][K/4][16 oc][4 k]`, zeros in the padding.
/// `sums` (padded to 16) receives the sum of each channel's weights: the bias must contain `-zero_in * sum`, and
/// kernels with signed activations use it.
///
/// # Errors
/// [`Error::Length`]; [`Error::Shape`] when a weight is -128 or K exceeds [`MAX_K`].
pub fn conv(weights: &[i8], oc: usize, k: usize, packed: &mut [i8], sums: &mut [i32]) -> Result<(), Error> {
    const OP: &str = "pack conv";
    check(OP, "no channels, or K too large", (1..=MAX_K).contains(&k) && (1..=1 << 20).contains(&oc))?;
    check_len(OP, "weights", weights.len(), oc * k)?;
    let len = known(OP, conv_len(oc, k))?;
    check_len(OP, "packed", packed.len(), len)?;
    check_len(OP, "sums", sums.len(), padded(oc))?;
    check(OP, "weight -128", !weights[..oc * k].contains(&i8::MIN))?;
    let k4 = k.next_multiple_of(4);
    packed[..len].fill(0);
    sums[..padded(oc)].fill(0);
    for (o, row) in weights.chunks_exact(k).take(oc).enumerate() {
        let block = o / BLOCK * BLOCK * k4;
        for (i, &w) in row.iter().enumerate() {
            packed[block + (i / 4 * BLOCK + o % BLOCK) * 4 + i % 4] = w;
        }
        sums[o] = row.iter().map(|&w| i32::from(w)).sum();
    }
    Ok(())
}

/// Reorders transposed 2x2 stride 2 weights `[ic][oc][2][2]` (the ONNX order) to the rows `[4 * oc][ic]`, outputs in
/// order (dy, dx, oc), that [`conv`] packs as a 1x1 convolution with 4 * oc outputs.
///
/// # Errors
/// [`Error::Length`].
pub fn transposed_rows(weights: &[i8], ic: usize, oc: usize, rows: &mut [i8]) -> Result<(), Error> {
    const OP: &str = "pack transposed";
    check(OP, "no channels", ic >= 1 && oc >= 1 && ic <= MAX_K && oc <= 1 << 16)?;
    check_len(OP, "weights", weights.len(), 4 * ic * oc)?;
    check_len(OP, "rows", rows.len(), 4 * ic * oc)?;
    for i in 0..ic {
        for o in 0..oc {
            for tap in 0..4 {
                rows[(tap * oc + o) * ic + i] = weights[(i * oc + o) * 4 + tap];
            }
        }
    }
    Ok(())
}

/// Elements of packed depthwise weights; `None` above [`MAX_BYTES`](crate::size::MAX_BYTES).
pub const fn depthwise_len(c: usize, taps: usize) -> Option<usize> {
    product(padded(c), taps)
}

/// Packs depthwise weights `[c][kh*kw]` as `[c/16][tap][16]`, zeros in the padding; i8 or f32.
///
/// # Errors
/// [`Error::Length`].
pub fn depthwise<T: Copy + Default>(weights: &[T], c: usize, taps: usize, packed: &mut [T]) -> Result<(), Error> {
    const OP: &str = "pack depthwise";
    check(OP, "no channels or taps", c >= 1 && taps >= 1 && c <= 1 << 20 && taps <= 256)?;
    check_len(OP, "weights", weights.len(), c * taps)?;
    let len = known(OP, depthwise_len(c, taps))?;
    check_len(OP, "packed", packed.len(), len)?;
    packed[..len].fill(T::default());
    for (i, row) in weights.chunks_exact(taps).take(c).enumerate() {
        for (tap, &w) in row.iter().enumerate() {
            packed[(i / BLOCK * taps + tap) * BLOCK + i % BLOCK] = w;
        }
    }
    Ok(())
}

/// Sums of depthwise weights `[c][taps]` into `sums` (padded to 16), for the bias.
///
/// # Errors
/// [`Error::Length`].
pub fn depthwise_sums(weights: &[i8], c: usize, taps: usize, sums: &mut [i32]) -> Result<(), Error> {
    const OP: &str = "depthwise sums";
    check(OP, "no channels or taps", c >= 1 && taps >= 1 && c <= 1 << 20 && taps <= 256)?;
    check_len(OP, "weights", weights.len(), c * taps)?;
    check_len(OP, "sums", sums.len(), padded(c))?;
    sums[..padded(c)].fill(0);
    for (sum, row) in sums.iter_mut().zip(weights.chunks_exact(taps)).take(c) {
        *sum = row.iter().map(|&w| i32::from(w)).sum();
    }
    Ok(())
}

/// Elements of a packed f32 matrix of k rows and n columns; `None` above [`MAX_BYTES`](crate::size::MAX_BYTES).
pub const fn matrix_len(k: usize, n: usize) -> Option<usize> {
    product(padded(n), k)
}

/// A length that is not too large to exist.
pub(crate) fn known(op: &'static str, len: Option<usize>) -> Result<usize, Error> {
    len.ok_or(Error::Shape { op, what: "more than 1 GiB of weights" })
}

/// Packs a row-major f32 matrix `[k][n]` as `[n/16][k][16]`, zeros in the padding.
///
/// # Errors
/// [`Error::Length`].
pub fn matrix(b: &[f32], k: usize, n: usize, packed: &mut [f32]) -> Result<(), Error> {
    const OP: &str = "pack matrix";
    check(OP, "empty or too large", k >= 1 && n >= 1 && k <= 1 << 20 && n <= 1 << 20)?;
    let len = known(OP, matrix_len(k, n))?;
    check_len(OP, "matrix", b.len(), k * n)?;
    check_len(OP, "packed", packed.len(), len)?;
    packed[..len].fill(0.0);
    for (row, values) in b.chunks_exact(n).take(k).enumerate() {
        for (col, &x) in values.iter().enumerate() {
            packed[(col / BLOCK * k + row) * BLOCK + col % BLOCK] = x;
        }
    }
    Ok(())
}

/// Packed weights of a dense or transposed convolution, or of the CTC head.
#[derive(Clone, Copy, Debug)]
pub struct PackedConv<'a> {
    /// `[oc/16][K/4][16 oc][4 k]`, see [`conv`].
    pub weights: &'a [i8],
    /// Sum of each channel's weights, padded to 16.
    pub sums: &'a [i32],
}

impl PackedConv<'_> {
    /// Checks the lengths for `oc` outputs and inner size `k`.
    pub(crate) fn check(&self, op: &'static str, oc: usize, k: usize) -> Result<(), Error> {
        check(op, "K too large", (1..=MAX_K).contains(&k) && (1..=1 << 20).contains(&oc))?;
        check_len(op, "weights", self.weights.len(), known(op, conv_len(oc, k))?)?;
        check_len(op, "weight sums", self.sums.len(), padded(oc))
    }

    /// What must be added to the 16 accumulators of a block from channel `o` on: `base`, and 128 * sum for kernels
    /// whose activations are signed.
    pub(crate) fn block_bias(&self, kernels: &Kernels, base: &[i32], o: usize) -> [i32; BLOCK] {
        let mut b = [0i32; BLOCK];
        for (i, b) in b.iter_mut().enumerate() {
            *b = base[o + i];
            if kernels.signed {
                *b = b.wrapping_add(self.sums[o + i].wrapping_mul(128));
            }
        }
        b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Products that are 0 in 32 bits: a length check against them would let any slice pass.
    #[test]
    fn length_that_wraps_in_32_bits_is_refused() {
        assert_eq!(conv_len(1 << 17, 1 << 15), None);
        assert_eq!(matrix_len(1 << 16, 1 << 16), None);
        assert_eq!(depthwise_len(1 << 24, 256), None);
        assert_eq!(conv_len(usize::MAX, usize::MAX), None);
        assert_eq!(conv_len(17, 5), Some(32 * 8));
        let packed = PackedConv { weights: &[0; 64], sums: &[0; 1 << 17] };
        assert!(packed.check("conv", 1 << 17, 1 << 15).is_err());
    }
}
