//! Layer normalisation and softmax, both over the channels of each pixel.

use crate::error::{Error, check, check_len, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::NormArgs;
use crate::pack::padded;
use crate::tensor::{View, ViewMut};
use core::ops::Range;

/// (x - mean) / sqrt(variance + eps) * gamma + beta.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormParams<'a> {
    /// Padded to 16.
    pub gamma: &'a [f32],
    /// Padded to 16.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
}

/// Output rows `rows`. Input and output may be the same tensor.
///
/// # Errors
/// [`Error`] when shapes, lengths or rows do not fit.
pub fn layer_norm(
    kernels: &Kernels,
    p: &LayerNormParams<'_>,
    input: View<'_, f32>,
    output: ViewMut<'_, f32>,
    rows: Range<usize>,
) -> Result<(), Error> {
    const OP: &str = "layer norm";
    let s = output.shape();
    check(OP, "the shapes differ", input.shape().same_extent(&s))?;
    check_len(OP, "gamma (padded to 16)", p.gamma.len(), padded(s.c))?;
    check_len(OP, "beta (padded to 16)", p.beta.len(), padded(s.c))?;
    check_rows(OP, &rows, s.h)?;
    for pixel in rows.start * s.w..rows.end * s.w {
        // SAFETY: the pixel exists in both.
        unsafe {
            (kernels.layer_norm)(&NormArgs {
                src: input.ptr().add(pixel * input.stride()),
                out: output.ptr().add(pixel * output.stride()),
                c: s.c,
                gamma: p.gamma.as_ptr(),
                beta: p.beta.as_ptr(),
                eps: p.eps,
            });
        }
    }
    Ok(())
}

/// Output rows `rows` of the softmax over channels. Input and output may be the same tensor.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn softmax(
    kernels: &Kernels,
    input: View<'_, f32>,
    output: ViewMut<'_, f32>,
    rows: Range<usize>,
) -> Result<(), Error> {
    const OP: &str = "softmax";
    let s = output.shape();
    check(OP, "the shapes differ", input.shape().same_extent(&s))?;
    check_rows(OP, &rows, s.h)?;
    for pixel in rows.start * s.w..rows.end * s.w {
        // SAFETY: the pixel exists in both.
        unsafe {
            (kernels.softmax)(&NormArgs {
                src: input.ptr().add(pixel * input.stride()),
                out: output.ptr().add(pixel * output.stride()),
                c: s.c,
                gamma: core::ptr::null(),
                beta: core::ptr::null(),
                eps: 0.0,
            });
        }
    }
    Ok(())
}
