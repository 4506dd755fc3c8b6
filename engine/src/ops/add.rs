//! Sum and product of two u8 tensors.

use super::flatten;
use crate::error::{Error, check, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::BinaryArgs;
use crate::tensor::{View, ViewMut};
use core::ops::Range;

/// out = clamp(round((a - a_zero) * a_mul + (b - b_zero) * b_mul) + zero_out, lo, 255).
#[derive(Clone, Copy, Debug)]
pub struct AddParams {
    /// Zero point of a.
    pub a_zero: u8,
    /// Scale of a over the output's.
    pub a_mul: f32,
    /// Zero point of b.
    pub b_zero: u8,
    /// Scale of b over the output's.
    pub b_mul: f32,
    /// Zero point of the output.
    pub zero_out: u8,
    /// Lower clamp: 0, or `zero_out` for a ReLU.
    pub lo: u8,
}

/// Output rows `rows` of a + b, where b may be smaller by a whole factor (the same in both directions) and is then
/// enlarged by repeating pixels. a and the output may be the same tensor.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn add(
    kernels: &Kernels,
    p: &AddParams,
    a: View<'_, u8>,
    b: View<'_, u8>,
    output: ViewMut<'_, u8>,
    rows: Range<usize>,
) -> Result<(), Error> {
    const OP: &str = "add";
    let (sa, sb, so) = (a.shape(), b.shape(), output.shape());
    let step = so.w / sb.w;
    check(OP, "a's shape is not the output's", sa.same_extent(&so))?;
    check(OP, "b is not a whole fraction of the output", sb.c == so.c && sb.w * step == so.w && sb.h * step == so.h)?;
    check_rows(OP, &rows, so.h)?;
    binary(kernels.add, p, a, b, output, rows);
    Ok(())
}

/// out = clamp(round((a - a_zero) * (b - b_zero) * mul) + zero_out, 0, 255).
#[derive(Clone, Copy, Debug)]
pub struct MulParams {
    /// Zero point of a.
    pub a_zero: u8,
    /// Zero point of b.
    pub b_zero: u8,
    /// Product of both scales over the output's.
    pub mul: f32,
    /// Zero point of the output.
    pub zero_out: u8,
}

/// Output rows `rows` of a * b. Inputs and the output may be the same tensor.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn mul(
    kernels: &Kernels,
    p: &MulParams,
    a: View<'_, u8>,
    b: View<'_, u8>,
    output: ViewMut<'_, u8>,
    rows: Range<usize>,
) -> Result<(), Error> {
    const OP: &str = "mul";
    let so = output.shape();
    check(OP, "the shapes differ", a.shape().same_extent(&so) && b.shape().same_extent(&so))?;
    check_rows(OP, &rows, so.h)?;
    let p = AddParams { a_zero: p.a_zero, a_mul: p.mul, b_zero: p.b_zero, b_mul: 1.0, zero_out: p.zero_out, lo: 0 };
    binary(kernels.mul, &p, a, b, output, rows);
    Ok(())
}

/// Runs a kernel on two tensors row by row. The caller has checked that a has the output's shape, that b's is a whole
/// fraction of it, and that the rows exist.
fn binary(
    kernel: unsafe fn(&BinaryArgs),
    p: &AddParams,
    a: View<'_, u8>,
    b: View<'_, u8>,
    output: ViewMut<'_, u8>,
    rows: Range<usize>,
) {
    let (so, sb) = (output.shape(), b.shape());
    let step = so.w / sb.w;
    let dense = step == 1 && a.stride() == so.c && b.stride() == so.c && output.stride() == so.c;
    let (w, c) = flatten(so.w, so.c, dense);
    for y in rows {
        // SAFETY: row y exists in a and the output, row y / step in b.
        unsafe {
            kernel(&BinaryArgs {
                a: a.ptr().add(y * so.w * a.stride()),
                a_stride: a.stride(),
                b: b.ptr().add(y / step * sb.w * b.stride()),
                b_stride: b.stride(),
                b_step: step,
                out: output.ptr().add(y * so.w * output.stride()),
                out_stride: output.stride(),
                w,
                c,
                a_zero: p.a_zero,
                a_mul: p.a_mul,
                b_zero: p.b_zero,
                b_mul: p.b_mul,
                zero_out: p.zero_out,
                lo: p.lo,
            });
        }
    }
}
