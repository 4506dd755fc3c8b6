//! The rest of the f32 islands: activations, sums, depthwise convolution.

use super::{Activation, Window, check_window, flatten};
use crate::error::{Error, check, check_len, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::{DepthwiseF32Args, MapF32Args};
use crate::pack::{depthwise_len, known, padded};
use crate::tensor::{View, ViewMut};
use core::ops::Range;

/// Output rows `rows` of act(x). Input and output may be the same tensor.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn map_f32(
    kernels: &Kernels,
    act: Activation,
    input: View<'_, f32>,
    output: ViewMut<'_, f32>,
    rows: Range<usize>,
) -> Result<(), Error> {
    run(kernels, "map f32", act, input, None, output, rows)
}

/// Output rows `rows` of act(a + b). Inputs and output may be the same tensor.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn add_f32(
    kernels: &Kernels,
    act: Activation,
    a: View<'_, f32>,
    b: View<'_, f32>,
    output: ViewMut<'_, f32>,
    rows: Range<usize>,
) -> Result<(), Error> {
    run(kernels, "add f32", act, a, Some(b), output, rows)
}

fn run(
    kernels: &Kernels,
    op: &'static str,
    act: Activation,
    a: View<'_, f32>,
    b: Option<View<'_, f32>>,
    output: ViewMut<'_, f32>,
    rows: Range<usize>,
) -> Result<(), Error> {
    let s = output.shape();
    let same = a.shape().same_extent(&s) && b.is_none_or(|b| b.shape().same_extent(&s));
    check(op, "the shapes differ", same)?;
    check_rows(op, &rows, s.h)?;
    let dense = a.stride() == s.c && output.stride() == s.c && b.is_none_or(|b| b.stride() == s.c);
    let (w, c) = flatten(s.w, s.c, dense);
    for y in rows {
        // SAFETY: row y exists in all tensors.
        unsafe {
            (kernels.map_f32)(&MapF32Args {
                a: a.ptr().add(y * s.w * a.stride()),
                a_stride: a.stride(),
                b: b.map_or(core::ptr::null(), |b| b.ptr().add(y * s.w * b.stride())),
                b_stride: b.map_or(0, |b| b.stride()),
                out: output.ptr().add(y * s.w * output.stride()),
                out_stride: output.stride(),
                w,
                c,
                act,
            });
        }
    }
    Ok(())
}

/// Parameters of an f32 depthwise convolution (zero outside the image).
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseF32Params<'a> {
    /// `[c/16][tap][16]`, see [`crate::pack::depthwise`].
    pub weights: &'a [f32],
    /// Padded to 16.
    pub bias: &'a [f32],
    /// Kernel, strides, leading pads.
    pub window: Window,
    /// Activation.
    pub act: Activation,
}

/// Output rows `rows` of an f32 depthwise convolution.
///
/// # Errors
/// [`Error`] when shapes, lengths or rows do not fit.
pub fn depthwise_f32(
    kernels: &Kernels,
    p: &DepthwiseF32Params<'_>,
    input: View<'_, f32>,
    output: ViewMut<'_, f32>,
    rows: Range<usize>,
) -> Result<(), Error> {
    const OP: &str = "depthwise f32";
    let (is, os) = (input.shape(), output.shape());
    check_window(OP, &p.window, &is, &os)?;
    check(OP, "input and output channels differ", is.c == os.c)?;
    check_len(OP, "weights", p.weights.len(), known(OP, depthwise_len(is.c, p.window.kh * p.window.kw))?)?;
    check_len(OP, "bias (padded to 16)", p.bias.len(), padded(os.c))?;
    check_rows(OP, &rows, os.h)?;
    for y in rows {
        // SAFETY: row y exists in the output; the kernel reads only pixels inside the input.
        unsafe {
            (kernels.depthwise_f32)(&DepthwiseF32Args {
                src: input.ptr(),
                stride: input.stride(),
                h: is.h,
                w: is.w,
                c: is.c,
                window: p.window,
                y,
                ow: os.w,
                weights: p.weights.as_ptr(),
                bias: p.bias.as_ptr(),
                act: p.act,
                out: output.ptr().add(y * os.w * output.stride()),
                out_stride: output.stride(),
            });
        }
    }
    Ok(())
}
