//! Copy, change of scale, nearest up-sampling: all between views, so this is also the concatenation that copies.

use super::flatten;
use crate::error::{Error, check, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::{Requant, RequantArgs};
use crate::tensor::{View, ViewMut};
use core::ops::Range;

/// Output rows `rows` of a copy, with a change of scale if one is given. Input and output may be the same tensor.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn requant(
    kernels: &Kernels,
    requant: Option<Requant>,
    input: View<'_, u8>,
    output: ViewMut<'_, u8>,
    rows: Range<usize>,
) -> Result<(), Error> {
    check("requant", "the shapes differ", input.shape().same_extent(&output.shape()))?;
    upsample(kernels, requant, input, output, rows)
}

/// Output rows `rows` of the input enlarged by a whole factor (the same in both directions) by repeating pixels, with
/// a change of scale if one is given.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn upsample(
    kernels: &Kernels,
    requant: Option<Requant>,
    input: View<'_, u8>,
    output: ViewMut<'_, u8>,
    rows: Range<usize>,
) -> Result<(), Error> {
    const OP: &str = "upsample";
    let (is, os) = (input.shape(), output.shape());
    let step = os.w / is.w;
    check(
        OP,
        "output is not a whole multiple of the input",
        is.c == os.c && is.w * step == os.w && is.h * step == os.h,
    )?;
    check_rows(OP, &rows, os.h)?;
    let (w, c) = flatten(is.w, is.c, step == 1 && input.stride() == is.c && output.stride() == is.c);
    for y in rows {
        // SAFETY: row y exists in the output, row y / step in the input.
        unsafe {
            (kernels.requant)(&RequantArgs {
                src: input.ptr().add(y / step * is.w * input.stride()),
                src_stride: input.stride(),
                out: output.ptr().add(y * os.w * output.stride()),
                out_stride: output.stride(),
                w,
                c,
                step,
                requant,
            });
        }
    }
    Ok(())
}
