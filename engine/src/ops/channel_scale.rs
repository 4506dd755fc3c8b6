//! Multiplication with a factor per channel (the end of a squeeze-and-excitation).

use crate::error::{Error, check, check_len, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::{Requant, ScaleArgs};
use crate::pack::padded;
use crate::tensor::{View, ViewMut};
use core::ops::Range;

/// out = clamp(round((x - zero_in) * ((s\[c\] + plus) * mul)) + zero_out, lo, 255).
#[derive(Clone, Copy, Debug)]
pub struct ChannelScaleParams<'a> {
    /// Factor per channel, padded to 16.
    pub scale: &'a [f32],
    /// Added to each factor: 0, or 1 for x + x * s.
    pub plus: f32,
    /// Zero points, and the input's scale over the output's.
    pub requant: Requant,
}

/// Output rows `rows`. Input and output may be the same tensor.
///
/// # Errors
/// [`Error`] when shapes, lengths or rows do not fit.
pub fn channel_scale(
    kernels: &Kernels,
    p: &ChannelScaleParams<'_>,
    input: View<'_, u8>,
    output: ViewMut<'_, u8>,
    rows: Range<usize>,
) -> Result<(), Error> {
    const OP: &str = "channel scale";
    let s = output.shape();
    check(OP, "the shapes differ", input.shape().same_extent(&s))?;
    check_len(OP, "factors (padded to 16)", p.scale.len(), padded(s.c))?;
    check_rows(OP, &rows, s.h)?;
    for y in rows {
        // SAFETY: row y exists in both.
        unsafe {
            (kernels.channel_scale)(&ScaleArgs {
                src: input.ptr().add(y * s.w * input.stride()),
                src_stride: input.stride(),
                out: output.ptr().add(y * s.w * output.stride()),
                out_stride: output.stride(),
                w: s.w,
                c: s.c,
                scale: p.scale.as_ptr(),
                plus: p.plus,
                requant: p.requant,
            });
        }
    }
    Ok(())
}
