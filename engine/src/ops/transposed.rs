//! Transposed 2x2 convolution with stride 2: a 1x1 convolution to 4 * oc channels, each quarter to its own pixel.

use super::conv::{PANEL_ELEMS, check_plain, gather, last_quads, scratch_layout};
use super::{ALIGN_ROOM, ConvParams, Output, aligned, check_channels, epilogue_template};
use crate::error::{Error, check, check_rows};
use crate::kernels::Kernels;
use crate::kernels::args::{EpilogueOut, GemmArgs};
use crate::pack::BLOCK;
use crate::tensor::View;
use core::ops::Range;

/// Bytes of scratch that [`transposed2x2`] needs for `ic` inputs and `oc` outputs (per worker).
pub fn transposed2x2_scratch(kernels: &Kernels, ic: usize, oc: usize) -> usize {
    scratch_bytes(kernels.panel_elem, ic, oc)
}

/// Bytes of scratch that are enough for [`transposed2x2`] on every ISA.
pub fn transposed2x2_scratch_any(ic: usize, oc: usize) -> usize {
    PANEL_ELEMS.into_iter().map(|elem| scratch_bytes(elem, ic, oc)).max().unwrap_or(0)
}

fn scratch_bytes(elem: usize, ic: usize, oc: usize) -> usize {
    let l = scratch_layout(elem, ic.min(crate::pack::MAX_K));
    l.end + (l.group * 4 * oc.min(1 << 16) + BLOCK) * 4 + ALIGN_ROOM
}

/// Output rows `rows` of a transposed convolution: input h x w x ic, output 2h x 2w x oc. Weights, bias and mul have
/// 4 * oc channels in order (dy, dx, oc), see [`crate::pack::transposed_rows`]; the window is 1x1.
///
/// # Errors
/// [`Error`] when shapes, lengths or rows do not fit.
pub fn transposed2x2(
    kernels: &Kernels,
    p: &ConvParams<'_>,
    input: View<'_, u8>,
    output: Output<'_>,
    rows: Range<usize>,
    scratch: &mut [u8],
) -> Result<(), Error> {
    const OP: &str = "transposed2x2";
    let (is, os) = (input.shape(), output.shape());
    check_plain(OP, p)?;
    check(OP, "output is not twice the input", os.h == 2 * is.h && os.w == 2 * is.w && os.c <= 1 << 16)?;
    let oc4 = 4 * os.c;
    p.weights.check(OP, oc4, is.c)?;
    check_channels(OP, p.bias, p.mul, oc4)?;
    check_rows(OP, &rows, os.h)?;
    let l = scratch_layout(kernels.panel_elem, is.c);
    let scratch = aligned(OP, scratch, l.end + (l.group * oc4 + BLOCK) * 4)?;
    let template = epilogue_template(&output, p.bias, p.mul, p.act, p.post, None);

    let base = scratch.as_mut_ptr();
    let strip = base.wrapping_add(l.end);
    let (mut first, end) = (rows.start / 2 * is.w, rows.end.div_ceil(2) * is.w);
    while first < end && !rows.is_empty() {
        // The accumulators hold one block of all pixels, or more blocks of fewer pixels.
        let count = (end - first).min(l.group / kernels.blocks);
        // SAFETY: input pixels first..first+count exist; parameters cover every started block of 16 channels; scratch
        // holds panel, accumulators and `count` strips of 4 * oc numbers; only rows inside `rows` are written.
        unsafe {
            let (panel, panel_stride) = gather(kernels, p, &input, is.w, first, count, &l, base);
            for o in (0..oc4).step_by(BLOCK) {
                let cols = (oc4 - o).min(BLOCK);
                let acc = base.add(l.acc).cast::<i32>();
                let block = o / BLOCK % kernels.blocks;
                if block == 0 {
                    let blocks = (oc4 - o).div_ceil(BLOCK).min(kernels.blocks);
                    (kernels.gemm)(&GemmArgs {
                        segments: GemmArgs::one(panel),
                        count: 1,
                        stride: panel_stride,
                        pixels: count,
                        k4: is.c.div_ceil(4),
                        blocks,
                        weights: p.weights.weights.as_ptr().add(o * is.c.next_multiple_of(4)),
                        quads: last_quads(oc4 - o, blocks),
                        acc,
                        wide: base.add(l.wide),
                    });
                }
                let acc = acc.add(block * count * BLOCK);
                let bias = p.weights.block_bias(kernels, p.bias, o);
                let mut e = template;
                (e.acc, e.pixels, e.bias, e.cols) = (acc, count, bias.as_ptr(), cols);
                e.mul = e.mul.add(o);
                e.out_stride = oc4;
                match &mut e.out {
                    EpilogueOut::U8 { ptr, .. } => *ptr = strip.add(o),
                    EpilogueOut::F32 { ptr } => *ptr = strip.cast::<f32>().add(o),
                }
                (kernels.epilogue)(&e);
            }
            match template.out {
                EpilogueOut::U8 { ptr, .. } => {
                    scatter(strip, ptr, template.out_stride, os.c, is.w, first, count, &rows);
                }
                EpilogueOut::F32 { ptr } => {
                    scatter(strip.cast::<f32>(), ptr, template.out_stride, os.c, is.w, first, count, &rows);
                }
            }
        }
        first += count;
    }
    Ok(())
}

/// Copies strips of (dy, dx, oc) to the pixels (2y + dy, 2x + dx).
///
/// # Safety
/// `strip` holds 4 * `oc` elements for each of `count` pixels; `out` is an output of twice the width `w`, in which
/// the pixels' rows exist; no other thread touches the rows `rows`.
#[allow(clippy::too_many_arguments)] // one call's worth of loop state
unsafe fn scatter<T: Copy>(
    strip: *const T,
    out: *mut T,
    stride: usize,
    oc: usize,
    w: usize,
    first: usize,
    count: usize,
    rows: &Range<usize>,
) {
    // SAFETY: the caller's.
    unsafe {
        for dy in 0..2 {
            let (mut i, mut y, mut x) = (0, first / w, first % w);
            while i < count {
                let n = (w - x).min(count - i);
                if rows.contains(&(2 * y + dy)) {
                    let src = strip.add((4 * i + 2 * dy) * oc);
                    let dst = out.add(((2 * y + dy) * 2 * w + 2 * x) * stride);
                    scatter_row(src, dst, stride, oc, n);
                }
                (i, x, y) = (i + n, 0, y + 1);
            }
        }
    }
}

/// `n` pairs of neighbours.
///
/// # Safety
/// `src` holds 4 * `oc` elements for each of `n` pixels, `dst` 2 * `n` pixels of `stride` elements.
#[inline(always)]
unsafe fn scatter_row<T: Copy>(src: *const T, dst: *mut T, stride: usize, oc: usize, n: usize) {
    // SAFETY: the caller's.
    unsafe {
        if (stride, oc) == (1, 1) {
            // Known lengths, so that the loop becomes a vector's shuffles.
            for i in 0..n {
                dst.add(2 * i).cast::<[T; 2]>().write_unaligned(src.add(4 * i).cast::<[T; 2]>().read_unaligned());
            }
        } else if stride == oc {
            for i in 0..n {
                copy(src.add(4 * i * oc), dst.add(2 * i * oc), 2 * oc);
            }
        } else {
            for i in 0..n {
                copy(src.add(4 * i * oc), dst.add(2 * i * stride), oc);
                copy(src.add((4 * i + 1) * oc), dst.add((2 * i + 1) * stride), oc);
            }
        }
    }
}

/// Copies a few elements without calling memcpy.
///
/// # Safety
/// `n` elements are readable at `src` and writable at `dst`; they do not overlap.
#[inline(always)]
unsafe fn copy<T: Copy>(src: *const T, dst: *mut T, n: usize) {
    // SAFETY: the caller's.
    unsafe {
        let mut i = 0;
        while i + 16 <= n {
            dst.add(i).cast::<[T; 16]>().write_unaligned(src.add(i).cast::<[T; 16]>().read_unaligned());
            i += 16;
        }
        while i + 8 <= n {
            dst.add(i).cast::<[T; 8]>().write_unaligned(src.add(i).cast::<[T; 8]>().read_unaligned());
            i += 8;
        }
        while i + 2 <= n {
            dst.add(i).cast::<[T; 2]>().write_unaligned(src.add(i).cast::<[T; 2]>().read_unaligned());
            i += 2;
        }
        if i < n {
            *dst.add(i) = *src.add(i);
        }
    }
}
