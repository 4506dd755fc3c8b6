//! The two small fully connected layers of a squeeze-and-excitation, in f32.

use crate::error::{Error, check, check_len};
use crate::kernels::Kernels;
use crate::kernels::args::{Activation, MatmulArgs};
use crate::pack::{known, matrix_len, padded};

/// s = hard_sigmoid(relu(x W1 + b1) W2 + b2).
#[derive(Clone, Copy, Debug)]
pub struct SqueezeExciteParams<'a> {
    /// Channels in and out.
    pub c: usize,
    /// Channels between.
    pub mid: usize,
    /// `[c][mid]`, packed by [`crate::pack::matrix`].
    pub w1: &'a [f32],
    /// Padded to 16.
    pub b1: &'a [f32],
    /// `[mid][c]`, packed.
    pub w2: &'a [f32],
    /// Padded to 16.
    pub b2: &'a [f32],
    /// The last activation, usually [`Activation::HardSigmoid`].
    pub act: Activation,
}

/// Factors per channel from the mean per channel. `mean` holds c numbers, `scratch` at least padded(mid), `scale`
/// padded(c); its padding is set to 0.
///
/// # Errors
/// [`Error::Length`], [`Error::Shape`].
pub fn squeeze_excite(
    kernels: &Kernels,
    p: &SqueezeExciteParams<'_>,
    mean: &[f32],
    scratch: &mut [f32],
    scale: &mut [f32],
) -> Result<(), Error> {
    const OP: &str = "squeeze-excite";
    check(OP, "channels", (1..=1 << 16).contains(&p.c) && (1..=1 << 16).contains(&p.mid))?;
    check_len(OP, "mean", mean.len(), p.c)?;
    check_len(OP, "w1", p.w1.len(), known(OP, matrix_len(p.c, p.mid))?)?;
    check_len(OP, "b1", p.b1.len(), padded(p.mid))?;
    check_len(OP, "w2", p.w2.len(), known(OP, matrix_len(p.mid, p.c))?)?;
    check_len(OP, "b2", p.b2.len(), padded(p.c))?;
    check_len(OP, "scratch", scratch.len(), padded(p.mid))?;
    check_len(OP, "scale", scale.len(), padded(p.c))?;
    scale[p.c..padded(p.c)].fill(0.0);
    let layer = |a: &[f32], b: &[f32], bias: &[f32], n: usize, act: Activation, out: &mut [f32], k: usize| {
        // SAFETY: lengths were checked above.
        unsafe {
            (kernels.matmul)(&MatmulArgs {
                a: a.as_ptr(),
                a_stride: k,
                t: 1,
                k,
                b: b.as_ptr(),
                n,
                bias: bias.as_ptr(),
                act,
                res: core::ptr::null(),
                res_stride: 0,
                out: out.as_mut_ptr(),
                out_stride: n,
            });
        }
    };
    layer(mean, p.w1, p.b1, p.mid, Activation::Relu, scratch, p.c);
    layer(scratch, p.w2, p.b2, p.c, p.act, scale, p.mid);
    Ok(())
}

/// Bytes of scratch of a squeeze-and-excitation: its worker's sums, all sums, means, hidden layer, factors.
pub(crate) const fn squeeze_excite_scratch(c: usize, mid: usize) -> usize {
    let mid = if mid < 1 << 16 { mid } else { 1 << 16 };
    (16 * padded(c)).saturating_add(4 * mid.next_multiple_of(16))
}
