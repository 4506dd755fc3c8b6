//! Depthwise convolution.

use super::{
    ALIGN_ROOM, ConvParams, Output, Window, aligned, check_channels, check_residual, check_window, epilogue_template,
};
use crate::error::{Error, check, check_len, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::DepthwiseArgs;
use crate::pack::{depthwise_len, known};
use crate::tensor::View;
use core::ops::Range;

/// Parameters of a depthwise convolution; the weights are `[c/16][tap][16]`, see [`crate::pack::depthwise`].
pub type DepthwiseParams<'a> = ConvParams<'a, &'a [i8]>;

/// Bytes of scratch that [`depthwise`] needs (per worker).
pub fn depthwise_scratch(kernels: &Kernels, window: &Window) -> usize {
    (kernels.depthwise_scratch)(&limited(window)) + ALIGN_ROOM
}

/// Bytes of scratch that are enough for [`depthwise`] on every ISA: the accumulators of 48 pixels, weights and a ring
/// of input rows as pairs (what the greediest of the kernels, AVX2, asks for, and room for the others).
pub fn depthwise_scratch_any(window: &Window) -> usize {
    let w = limited(window);
    let (pairs, columns) = (w.kh.div_ceil(2), 47 * w.sw + w.kw);
    48 * 16 * 4 + pairs * w.kw * 64 + (2 * pairs - 1) * columns * 64 + ALIGN_ROOM
}

/// The window with sides that no operator refuses, so that sizes cannot overflow.
fn limited(window: &Window) -> Window {
    Window { kh: window.kh.clamp(1, 16), kw: window.kw.min(16), sh: window.sh.max(1), sw: window.sw.min(16), ..*window }
}

/// Output rows `rows` of a depthwise convolution.
///
/// # Errors
/// [`Error`] when shapes, lengths or rows do not fit.
pub fn depthwise(
    kernels: &Kernels,
    p: &DepthwiseParams<'_>,
    input: View<'_, u8>,
    output: Output<'_>,
    rows: Range<usize>,
    scratch: &mut [u8],
) -> Result<(), Error> {
    const OP: &str = "depthwise";
    let (is, os) = (input.shape(), output.shape());
    check_window(OP, &p.window, &is, &os)?;
    check(OP, "input and output channels differ", is.c == os.c)?;
    check_len(OP, "weights", p.weights.len(), known(OP, depthwise_len(is.c, p.window.kh * p.window.kw))?)?;
    check_channels(OP, p.bias, p.mul, os.c)?;
    check_residual(OP, p.residual.as_ref(), p.act, &output)?;
    check_rows(OP, &rows, os.h)?;
    let scratch = aligned(OP, scratch, (kernels.depthwise_scratch)(&p.window))?;
    let args = DepthwiseArgs {
        src: input.ptr(),
        stride: input.stride(),
        h: is.h,
        w: is.w,
        c: is.c,
        window: p.window,
        ow: os.w,
        y0: rows.start,
        y1: rows.end,
        zero: p.zero_in,
        weights: p.weights.as_ptr(),
        epilogue: epilogue_template(&output, p.bias, p.mul, p.act, p.post, p.residual.as_ref()),
        scratch: scratch.as_mut_ptr(),
    };
    // SAFETY: everything that the kernel touches was checked above; the table's ISA is available.
    unsafe { (kernels.depthwise)(&args) };
    Ok(())
}
