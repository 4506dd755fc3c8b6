//! u8 to f32 and back, at the borders of f32 islands.

use super::flatten;
use crate::error::{Error, check, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::ConvertArgs;
use crate::tensor::{View, ViewMut};
use core::ops::Range;

/// Output rows `rows` of f = (q - zero) * scale.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn dequantise(
    kernels: &Kernels,
    zero: u8,
    scale: f32,
    input: View<'_, u8>,
    output: ViewMut<'_, f32>,
    rows: Range<usize>,
) -> Result<(), Error> {
    const OP: &str = "dequantise";
    let s = output.shape();
    check(OP, "the shapes differ", input.shape().same_extent(&s))?;
    check_rows(OP, &rows, s.h)?;
    let (q_stride, f_stride) = (input.stride(), output.stride());
    let (w, c) = flatten(s.w, s.c, q_stride == s.c && f_stride == s.c);
    for y in rows {
        // SAFETY: row y exists in both; the kernel only reads q.
        unsafe {
            let (q, f) = (input.ptr().add(y * s.w * q_stride).cast_mut(), output.ptr().add(y * s.w * f_stride));
            (kernels.dequantise)(&ConvertArgs { q, q_stride, f, f_stride, w, c, zero, mul: scale });
        }
    }
    Ok(())
}

/// Output rows `rows` of q = clamp(round(f * inv_scale) + zero, 0, 255).
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn quantise(
    kernels: &Kernels,
    zero: u8,
    inv_scale: f32,
    input: View<'_, f32>,
    output: ViewMut<'_, u8>,
    rows: Range<usize>,
) -> Result<(), Error> {
    const OP: &str = "quantise";
    let s = output.shape();
    check(OP, "the shapes differ", input.shape().same_extent(&s))?;
    check_rows(OP, &rows, s.h)?;
    let (q_stride, f_stride) = (output.stride(), input.stride());
    let (w, c) = flatten(s.w, s.c, q_stride == s.c && f_stride == s.c);
    for y in rows {
        // SAFETY: row y exists in both; the kernel only reads f.
        unsafe {
            let (q, f) = (output.ptr().add(y * s.w * q_stride), input.ptr().add(y * s.w * f_stride).cast_mut());
            (kernels.quantise)(&ConvertArgs { q, q_stride, f, f_stride, w, c, zero, mul: inv_scale });
        }
    }
    Ok(())
}
