//! Dense f32 convolution of a float island: windows are gathered a few pixels at a time and multiplied as a matrix.

use super::{Activation, Window, check_window};
use crate::error::{Error, check, check_len, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::MatmulArgs;
use crate::pack::{MAX_K, known, matrix_len, padded};
use crate::tensor::{View, ViewMut};
use core::ops::Range;

/// Output pixels gathered at a time.
const PIXELS: usize = 8;

/// Parameters of a dense f32 convolution (zero outside the image).
#[derive(Clone, Copy, Debug)]
pub struct ConvF32Params<'a> {
    /// `[kh * kw * ic][oc]`, packed by [`crate::pack::matrix`].
    pub weights: &'a [f32],
    /// Padded to 16.
    pub bias: &'a [f32],
    /// Kernel, strides, leading pads.
    pub window: Window,
    /// Activation.
    pub act: Activation,
}

/// f32 numbers of scratch that [`conv_f32`] needs for `c` input channels (per worker).
pub fn conv_f32_scratch(window: &Window, c: usize) -> usize {
    PIXELS.saturating_mul(window.kh.saturating_mul(window.kw).saturating_mul(c))
}

/// Output pixels `pixels` (counted row by row).
///
/// # Errors
/// [`Error`] when shapes, lengths or the range do not fit.
pub fn conv_f32(
    kernels: &Kernels,
    p: &ConvF32Params<'_>,
    input: View<'_, f32>,
    output: ViewMut<'_, f32>,
    pixels: Range<usize>,
    scratch: &mut [f32],
) -> Result<(), Error> {
    const OP: &str = "conv f32";
    let (is, os, w) = (input.shape(), output.shape(), p.window);
    check_window(OP, &w, &is, &os)?;
    let k = w.kh * w.kw * is.c;
    check(OP, "K too large", k <= MAX_K)?;
    check_len(OP, "weights", p.weights.len(), known(OP, matrix_len(k, os.c))?)?;
    check_len(OP, "bias (padded to 16)", p.bias.len(), padded(os.c))?;
    check_rows(OP, &pixels, os.h * os.w)?;
    check_len(OP, "scratch", scratch.len(), conv_f32_scratch(&w, is.c))?;
    let mut first = pixels.start;
    while first < pixels.end {
        let count = (pixels.end - first).min(PIXELS);
        for (i, patch) in scratch.chunks_exact_mut(k).take(count).enumerate() {
            let (y, x) = ((first + i) / os.w, (first + i) % os.w);
            for (tap, values) in patch.chunks_exact_mut(is.c).enumerate() {
                let iy = (y * w.sh + tap / w.kw).wrapping_sub(w.pad_top);
                let ix = (x * w.sw + tap % w.kw).wrapping_sub(w.pad_left);
                if iy < is.h && ix < is.w {
                    // SAFETY: pixel (iy, ix) exists and has is.c channels.
                    values.copy_from_slice(unsafe {
                        core::slice::from_raw_parts(input.ptr().add((iy * is.w + ix) * input.stride()), is.c)
                    });
                } else {
                    values.fill(0.0);
                }
            }
        }
        // SAFETY: the patches and the output's pixels exist; lengths were checked.
        unsafe {
            (kernels.matmul)(&MatmulArgs {
                a: scratch.as_ptr(),
                a_stride: k,
                t: count,
                k,
                b: p.weights.as_ptr(),
                n: os.c,
                bias: p.bias.as_ptr(),
                act: p.act,
                res: core::ptr::null(),
                res_stride: 0,
                out: output.ptr().add(first * output.stride()),
                out_stride: output.stride(),
            });
        }
        first += count;
    }
    Ok(())
}
