//! Maxima and means over windows, and sums over whole images.

use super::{Window, check_window};
use crate::error::{Error, check, check_len, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::{PoolArgs, Requant, SumArgs};
use crate::tensor::{View, ViewMut};
use core::ops::Range;

fn args(
    op: &'static str,
    window: &Window,
    input: &View<'_, u8>,
    output: &ViewMut<'_, u8>,
    rows: &Range<usize>,
) -> Result<PoolArgs, Error> {
    let (is, os) = (input.shape(), output.shape());
    check_window(op, window, &is, &os)?;
    check(op, "input and output channels differ", is.c == os.c)?;
    check_rows(op, rows, os.h)?;
    Ok(PoolArgs {
        src: input.ptr(),
        stride: input.stride(),
        h: is.h,
        w: is.w,
        c: is.c,
        window: *window,
        y: 0,
        ow: os.w,
        out: output.ptr(),
        out_stride: output.stride(),
        requant: None,
        include_pad: false,
    })
}

/// Output rows `rows` of a max-pool; pixels outside the image do not count. The scale stays unless a change is given.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn max_pool(
    kernels: &Kernels,
    window: &Window,
    requant: Option<Requant>,
    input: View<'_, u8>,
    output: ViewMut<'_, u8>,
    rows: Range<usize>,
) -> Result<(), Error> {
    let a = args("max pool", window, &input, &output, &rows)?;
    for y in rows {
        // SAFETY: row y exists in the output, and its windows touch the input.
        unsafe {
            let out = a.out.add(y * a.ow * a.out_stride);
            (kernels.max_pool)(&PoolArgs { y, out, requant, ..a });
        }
    }
    Ok(())
}

/// Output rows `rows` of an average pool: clamp(round((sum - n * zero_in) * (mul / d)) + zero_out), where the sum
/// runs over the n pixels inside the image and d is n, or kh * kw with `include_pad`.
///
/// # Errors
/// [`Error`] when shapes or rows do not fit.
pub fn avg_pool(
    kernels: &Kernels,
    window: &Window,
    requant: Requant,
    include_pad: bool,
    input: View<'_, u8>,
    output: ViewMut<'_, u8>,
    rows: Range<usize>,
) -> Result<(), Error> {
    let a = args("average pool", window, &input, &output, &rows)?;
    for y in rows {
        // SAFETY: row y exists in the output, and its windows touch the input.
        unsafe {
            let out = a.out.add(y * a.ow * a.out_stride);
            (kernels.avg_pool)(&PoolArgs { y, out, requant: Some(requant), include_pad, ..a });
        }
    }
    Ok(())
}

/// Sums over the pixels of input rows `rows`, per channel: the first half of a global average. `sums` (at least c) is
/// overwritten; workers give their own and add them up.
///
/// # Errors
/// [`Error`] when lengths or rows do not fit, or a sum could exceed u32.
pub fn global_sum(kernels: &Kernels, input: View<'_, u8>, rows: Range<usize>, sums: &mut [u32]) -> Result<(), Error> {
    const OP: &str = "global sum";
    let s = input.shape();
    check_rows(OP, &rows, s.h)?;
    check_len(OP, "sums", sums.len(), s.c)?;
    check(OP, "too many pixels for u32", s.h.checked_mul(s.w).is_some_and(|n| n <= 1 << 24))?;
    sums[..s.c].fill(0);
    // SAFETY: the rows exist; sums holds c numbers.
    unsafe {
        (kernels.global_sum)(&SumArgs {
            src: input.ptr().add(rows.start * s.w * input.stride()),
            stride: input.stride(),
            pixels: rows.len() * s.w,
            c: s.c,
            sums: sums.as_mut_ptr(),
        });
    }
    Ok(())
}

/// The second half: out\[c\] = sum\[c\] as f32 * mul + add, with mul = scale / (h * w) and add = -zero * scale.
///
/// # Errors
/// [`Error::Length`] when `out` is shorter than `sums`.
pub fn global_avg(sums: &[u32], mul: f32, add: f32, out: &mut [f32]) -> Result<(), Error> {
    check_len("global average", "out", out.len(), sums.len())?;
    for (o, &s) in out.iter_mut().zip(sums) {
        *o = s as f32 * mul + add;
    }
    Ok(())
}
