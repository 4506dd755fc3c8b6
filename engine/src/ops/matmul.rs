//! f32 matrix product with bias, activation and residual.

use super::Activation;
use crate::error::{Error, check, check_len, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::MatmulArgs;
use crate::pack::{known, matrix_len, padded};
use crate::tensor::{View, ViewMut};
use core::ops::Range;

/// out = act(a b + bias) + residual.
#[derive(Clone, Copy, Debug)]
pub struct MatmulParams<'a> {
    /// `[k][n]`, packed by [`crate::pack::matrix`].
    pub b: &'a [f32],
    /// Padded to 16.
    pub bias: &'a [f32],
    /// Activation, before the residual.
    pub act: Activation,
    /// Tensor of the output's shape.
    pub residual: Option<View<'a, f32>>,
}

/// Output rows `rows`: every pixel of `a` (k channels) becomes one of `output` (n channels). For tokens use h = t, w
/// = 1. The residual and the output may be the same tensor.
///
/// # Errors
/// [`Error`] when shapes, lengths or rows do not fit.
pub fn matmul(
    kernels: &Kernels,
    p: &MatmulParams<'_>,
    a: View<'_, f32>,
    output: ViewMut<'_, f32>,
    rows: Range<usize>,
) -> Result<(), Error> {
    const OP: &str = "matmul";
    let (sa, so) = (a.shape(), output.shape());
    check(OP, "height or width differ", sa.h == so.h && sa.w == so.w)?;
    check_len(OP, "b", p.b.len(), known(OP, matrix_len(sa.c, so.c))?)?;
    check_len(OP, "bias (padded to 16)", p.bias.len(), padded(so.c))?;
    if let Some(r) = &p.residual {
        check(OP, "residual's shape is not the output's", r.shape().same_extent(&so))?;
    }
    check_rows(OP, &rows, so.h)?;
    let first = rows.start * so.w;
    // SAFETY: the rows exist in all tensors; lengths were checked.
    unsafe {
        (kernels.matmul)(&MatmulArgs {
            a: a.ptr().add(first * a.stride()),
            a_stride: a.stride(),
            t: rows.len() * so.w,
            k: sa.c,
            b: p.b.as_ptr(),
            n: so.c,
            bias: p.bias.as_ptr(),
            act: p.act,
            res: p.residual.map_or(core::ptr::null(), |r| r.ptr().add(first * r.stride())),
            res_stride: p.residual.map_or(0, |r| r.stride()),
            out: output.ptr().add(first * output.stride()),
            out_stride: output.stride(),
        });
    }
    Ok(())
}
