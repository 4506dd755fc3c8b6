//! Dense convolution.

use super::{
    ALIGN_ROOM, Activation, Output, Window, aligned, check_channels, check_residual, check_window, epilogue_template,
};
use crate::error::{Error, check, check_rows};
use crate::kernels::args::{EpilogueArgs, GemmArgs, MAX_SEGMENTS, PanelArgs};
use crate::kernels::{GROUP, Kernels};
use crate::pack::{BLOCK, MAX_K, PackedConv};
use crate::size::product;
use crate::tensor::{Shape, View};
use core::ops::Range;

/// A u8 tensor added to the output: y += (res - zero) * mul.
#[derive(Clone, Copy, Debug)]
pub struct Residual<'a> {
    /// The tensor, of the output's shape.
    pub view: View<'a, u8>,
    /// Its zero point.
    pub zero: u8,
    /// Its scale over the output's.
    pub mul: f32,
}

/// Parameters of a dense (or, in [`super::transposed2x2`], transposed) convolution; with other weights, of a
/// depthwise one.
#[derive(Clone, Copy, Debug)]
pub struct ConvParams<'a, W = PackedConv<'a>> {
    /// Packed weights.
    pub weights: W,
    /// Bias in units of in_scale * w_scale\[oc\], containing `-zero_in * sum(w)`; padded to 16.
    pub bias: &'a [i32],
    /// in_scale * w_scale\[oc\], times 1 / out_scale when the activation is Linear or Relu and the output u8; padded
    /// to 16.
    pub mul: &'a [f32],
    /// Kernel, strides, leading pads.
    pub window: Window,
    /// Zero point of the input, also the value outside the image.
    pub zero_in: u8,
    /// Activation.
    pub act: Activation,
    /// Factor after an activation other than Linear and Relu: 1 / out_scale, or 1 for f32 output.
    pub post: f32,
    /// Added before rounding; only with Linear and u8 output.
    pub residual: Option<Residual<'a>>,
}

/// Offsets in a convolution's scratch: panel (or input rows), accumulators, widened weights.
pub(super) struct ScratchLayout {
    /// Bytes of a panel row.
    pub stride: usize,
    /// Pixels at a time.
    pub group: usize,
    /// Start of the accumulators.
    pub acc: usize,
    /// Start of the widened weights.
    pub wide: usize,
    /// Past them.
    pub end: usize,
}

/// Panels of more than this many bytes are cut into smaller groups of pixels: they are read once for each block of 16
/// channels and must stay in the second cache.
const PANEL_BYTES: usize = 96 * 1024;

/// Most bytes of input rows that are kept instead of a panel.
const ROWS_BYTES: usize = 256 * 1024;

/// Bytes past a panel or row that its filling may overwrite (15 elements), and that make the next one aligned.
const PADDING_BYTES: usize = 64;

fn scratch_layout_of(elem: usize, k: usize, stride: usize, group: usize, panel: usize) -> ScratchLayout {
    let acc = panel.next_multiple_of(64);
    let wide = acc + group * BLOCK * 4;
    let end = wide + if elem == 2 { k.next_multiple_of(4) * BLOCK * 2 } else { 0 };
    ScratchLayout { stride, group, acc, wide, end }
}

/// Bytes that panel elements have on one ISA or another.
pub(super) const PANEL_ELEMS: [usize; 2] = [1, 2];

/// The layout with a panel (im2col) of elements of `elem` bytes.
pub(super) fn scratch_layout(elem: usize, k: usize) -> ScratchLayout {
    let stride = k.next_multiple_of(4) * elem;
    let group = (PANEL_BYTES / stride / 12 * 12).clamp(24, GROUP);
    scratch_layout_of(elem, k, stride, group, group * stride + PADDING_BYTES)
}

/// Bytes of one input row, padded left and right, in panel format, when input rows are converted once and read in
/// place by all windows, instead of being gathered for each window. `None` when they are gathered: the kw * c inputs
/// of a kernel row must be whole steps of four, and kh rows must fit in [`ROWS_BYTES`].
fn by_rows(elem: usize, w: &Window, c: usize, ow: usize) -> Option<usize> {
    // At most 16 * 2^20 + 16 columns; the bytes of a row may need more than 32 bits.
    let columns = (ow - 1) * w.sw + w.kw;
    let row = product(columns, c * elem)?.next_multiple_of(64) + PADDING_BYTES;
    let fits = product(w.kh, row)? <= ROWS_BYTES;
    (w.kh * w.kw > 1 && (w.kw * c).is_multiple_of(4) && fits).then_some(row)
}

fn conv_scratch_layout(elem: usize, w: &Window, c: usize, ow: usize) -> ScratchLayout {
    let k = w.kh * w.kw * c;
    if let Some(row) = by_rows(elem, w, c, ow) {
        let stride = w.sw * c * elem;
        return scratch_layout_of(elem, k, stride, GROUP, w.kh * row);
    }
    scratch_layout(elem, k)
}

/// Bytes of scratch that [`conv`] needs (per worker); 0 for a window or shapes that it would refuse.
pub fn conv_scratch(kernels: &Kernels, window: &Window, input: &Shape, output: &Shape) -> usize {
    scratch(kernels.panel_elem, window, input, output)
}

/// Bytes of scratch that are enough for [`conv`] on every ISA.
pub fn conv_scratch_any(window: &Window, input: &Shape, output: &Shape) -> usize {
    PANEL_ELEMS.into_iter().map(|elem| scratch(elem, window, input, output)).max().unwrap_or(0)
}

fn scratch(elem: usize, window: &Window, input: &Shape, output: &Shape) -> usize {
    if check_window("conv", window, input, output).is_err() || window.kh * window.kw * input.c > MAX_K {
        return 0;
    }
    conv_scratch_layout(elem, window, input.c, output.w).end + ALIGN_ROOM
}

/// Output rows `rows` of a dense convolution.
///
/// # Errors
/// [`Error`] when shapes, lengths or rows do not fit.
pub fn conv(
    kernels: &Kernels,
    p: &ConvParams<'_>,
    input: View<'_, u8>,
    output: Output<'_>,
    rows: Range<usize>,
    scratch: &mut [u8],
) -> Result<(), Error> {
    const OP: &str = "conv";
    let (is, os) = (input.shape(), output.shape());
    check_window(OP, &p.window, &is, &os)?;
    p.weights.check(OP, os.c, p.window.kh * p.window.kw * is.c)?;
    check_channels(OP, p.bias, p.mul, os.c)?;
    check_residual(OP, p.residual.as_ref(), p.act, &output)?;
    check_rows(OP, &rows, os.h)?;
    let l = conv_scratch_layout(kernels.panel_elem, &p.window, is.c, os.w);
    let scratch = aligned(OP, scratch, l.end)?;
    let template = epilogue_template(&output, p.bias, p.mul, p.act, p.post, p.residual.as_ref());
    let run = Run { kernels, p, input: &input, os, l, base: scratch.as_mut_ptr(), template };
    // SAFETY: shapes, lengths, rows and scratch were checked above; the table's ISA is available.
    unsafe {
        match by_rows(kernels.panel_elem, &p.window, is.c, os.w) {
            Some(row_bytes) => run.rows(rows, row_bytes),
            None => run.panels(rows.start * os.w..rows.end * os.w),
        }
    }
    Ok(())
}

/// A checked convolution.
struct Run<'a> {
    kernels: &'a Kernels,
    p: &'a ConvParams<'a>,
    input: &'a View<'a, u8>,
    os: Shape,
    l: ScratchLayout,
    base: *mut u8,
    template: EpilogueArgs,
}

impl Run<'_> {
    /// Pixels `range`, gathered into panels.
    ///
    /// # Safety
    /// The convolution was checked as in [`conv`]; the pixels lie inside the output.
    unsafe fn panels(&self, range: Range<usize>) {
        let mut first = range.start;
        while first < range.end {
            let count = (range.end - first).min(self.l.group);
            // SAFETY: see `conv`.
            unsafe {
                let (panel, stride) =
                    gather(self.kernels, self.p, self.input, self.os.w, first, count, &self.l, self.base);
                let w = &self.p.window;
                let k = w.kh * w.kw * self.input.shape().c;
                self.blocks(GemmArgs::one(panel), 1, stride, k.div_ceil(4), first, count);
            }
            first += count;
        }
    }

    /// Output rows `rows`, from input rows that are kept in a ring of kh buffers of `row_bytes` each.
    ///
    /// # Safety
    /// The convolution was checked as in [`conv`]; the rows lie inside the output; the scratch holds kh rows of
    /// `row_bytes`.
    unsafe fn rows(&self, rows: Range<usize>, row_bytes: usize) {
        let w = self.p.window;
        let c = self.input.shape().c;
        // The padded row that each buffer holds.
        let mut held = [usize::MAX; MAX_SEGMENTS];
        for y in rows {
            let mut starts = [core::ptr::null::<u8>(); MAX_SEGMENTS];
            for (ky, start) in starts.iter_mut().enumerate().take(w.kh) {
                let (row, slot) = (y * w.sh + ky, (y * w.sh + ky) % w.kh);
                // SAFETY: see `conv`; the scratch holds kh rows.
                unsafe {
                    let buffer = self.base.add(slot * row_bytes);
                    if held[slot] != row {
                        self.fill_row(row, buffer);
                        held[slot] = row;
                    }
                    *start = buffer.cast_const();
                }
            }
            for x in (0..self.os.w).step_by(self.l.group) {
                let count = (self.os.w - x).min(self.l.group);
                let segments = starts.map(|s| s.wrapping_add(x * self.l.stride));
                // SAFETY: see `conv`.
                unsafe { self.blocks(segments, w.kh, self.l.stride, w.kw * c / 4, y * self.os.w + x, count) };
            }
        }
    }

    /// Converts padded row `row` (input row `row - pad_top`) with its left and right padding.
    ///
    /// # Safety
    /// The convolution was checked as in [`conv`]; `buffer` holds a row as [`by_rows`] computes it.
    unsafe fn fill_row(&self, row: usize, buffer: *mut u8) {
        let (s, w) = (self.input.shape(), self.p.window);
        let columns = (self.os.w - 1) * w.sw + w.kw;
        let left = w.pad_left.min(columns);
        let inside = (columns - left).min(s.w);
        let right = columns - left - inside;
        let iy = row.wrapping_sub(w.pad_top);
        let pixel = s.c * self.kernels.panel_elem;
        let dense = self.input.stride() == s.c;
        let one = Window { kh: 1, kw: 1, sh: 1, sw: 1, pad_top: 0, pad_left: 0 };
        let args = |src: *const u8, columns: usize, at: usize, h: usize| PanelArgs {
            src,
            stride: self.input.stride(),
            h,
            w: 1,
            // A run of dense pixels is one long pixel.
            c: if dense || h == 0 { s.c * columns } else { s.c },
            window: one,
            ow: 1,
            first: 0,
            count: if dense || h == 0 { 1 } else { columns },
            zero: self.p.zero_in,
            dst: buffer.wrapping_add(at * pixel),
            dst_stride: pixel,
        };
        // Left to right, because each part may overwrite the start of the next. Height 0 means: all outside.
        let outside = Window { kh: 1, kw: 1, sh: 2, ..one };
        let fill = |columns: usize, at: usize| PanelArgs { window: outside, ..args(self.input.ptr(), columns, at, 0) };
        // SAFETY: columns * c elements and 15 more fit in the buffer; row iy exists when it is read.
        unsafe {
            if iy >= s.h {
                return (self.kernels.panel)(&fill(columns, 0));
            }
            if left > 0 {
                (self.kernels.panel)(&fill(left, 0));
            }
            let src = self.input.ptr().add(iy * s.w * self.input.stride());
            (self.kernels.panel)(&args(src, inside, left, 1));
            if right > 0 {
                (self.kernels.panel)(&fill(right, left + inside));
            }
        }
    }

    /// All channel blocks of `count` pixels from `first` on.
    ///
    /// # Safety
    /// The convolution was checked as in [`conv`]; pixels `first..first + count` lie inside the output; each segment
    /// holds as many panel rows of `stride` bytes.
    unsafe fn blocks(
        &self,
        segments: [*const u8; MAX_SEGMENTS],
        segment_count: usize,
        stride: usize,
        k4: usize,
        first: usize,
        count: usize,
    ) {
        // The accumulators hold one block of all pixels, or more blocks of fewer pixels.
        let max_group = self.l.group / self.kernels.blocks;
        for at in (0..count).step_by(max_group) {
            let segments = segments.map(|s| s.wrapping_add(at * stride));
            let (first, count) = (first + at, (count - at).min(max_group));
            let mut o = 0;
            while o < self.os.c {
                let blocks = (self.os.c - o).div_ceil(BLOCK).min(self.kernels.blocks);
                // SAFETY: pixels first..first+count exist in output and residual; weights, bias and mul cover every
                // started block of 16 channels; scratch holds accumulators and widened weights.
                unsafe {
                    let acc = self.base.add(self.l.acc).cast::<i32>();
                    (self.kernels.gemm)(&GemmArgs {
                        segments,
                        count: segment_count,
                        stride,
                        pixels: count,
                        k4,
                        blocks,
                        weights: self.p.weights.weights.as_ptr().add(o * segment_count * k4 * 4),
                        quads: last_quads(self.os.c - o, blocks),
                        acc,
                        wide: self.base.add(self.l.wide),
                    });
                    for block in 0..blocks {
                        let bias = self.p.weights.block_bias(self.kernels, self.p.bias, o);
                        let mut e = self.template;
                        e.advance(first, o);
                        (e.acc, e.pixels, e.bias) = (acc.add(block * count * BLOCK), count, bias.as_ptr());
                        e.cols = (self.os.c - o).min(BLOCK);
                        (self.kernels.epilogue)(&e);
                        o += BLOCK;
                    }
                }
            }
        }
    }
}

/// Groups of four channels in the last of `blocks` blocks, when `channels` channels are left.
pub(super) fn last_quads(channels: usize, blocks: usize) -> usize {
    (channels - (blocks - 1) * BLOCK).min(BLOCK).div_ceil(4)
}

/// Fills the panel at `base` for `count` output pixels, or points at the input where its rows already are panel rows.
///
/// # Safety
/// Window, shapes and scratch were checked as in [`conv`]; the pixels lie inside the output; `base` has room for the
/// panel of `l`.
#[allow(clippy::too_many_arguments)] // one call's worth of loop state
pub(super) unsafe fn gather(
    kernels: &Kernels,
    p: &ConvParams<'_>,
    input: &View<'_, u8>,
    ow: usize,
    first: usize,
    count: usize,
    l: &ScratchLayout,
    base: *mut u8,
) -> (*const u8, usize) {
    let s = input.shape();
    let w = p.window;
    let plain = w.kh * w.kw * w.sh * w.sw == 1 && ow == s.w && s.c.is_multiple_of(4);
    if plain && kernels.panel_elem == 1 && !kernels.signed {
        return (input.ptr().wrapping_add(first * input.stride()), input.stride());
    }
    let args = PanelArgs {
        src: input.ptr(),
        stride: input.stride(),
        h: s.h,
        w: s.w,
        c: s.c,
        window: w,
        ow,
        first,
        count,
        zero: p.zero_in,
        dst: base,
        dst_stride: l.stride,
    };
    // SAFETY: the operator has checked the window against both shapes and the scratch's length.
    unsafe { (kernels.panel)(&args) };
    (base, l.stride)
}

/// Refuses parameters that a transposed convolution cannot have.
pub(super) fn check_plain(op: &'static str, p: &ConvParams<'_>) -> Result<(), Error> {
    let one = Window { kh: 1, kw: 1, sh: 1, sw: 1, pad_top: 0, pad_left: 0 };
    check(op, "the window must be 1x1 with stride 1", p.window == one)?;
    check(op, "no residual here", p.residual.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 16 rows of 2^28 bytes are 0 bytes in 32 bits: such rows were accepted there, with a scratch of no bytes.
    #[test]
    fn rows_that_wrap_in_32_bits_are_gathered() {
        let window = Window { kh: 16, kw: 16, sh: 1, sw: 1, pad_top: 0, pad_left: 0 };
        let (c, width) = (128, 1 << 20);
        assert_eq!(by_rows(2, &window, c, width), None);
        let (input, output) = (Shape::dense(16, width + 15, c, 1), Shape::dense(1, width, 16, 1));
        let scratch = scratch(2, &window, &input, &output);
        assert!(scratch >= scratch_layout(2, 16 * 16 * c).end, "{scratch}");
    }

    #[test]
    fn rows_that_fit_are_kept() {
        let window = Window { kh: 3, kw: 3, sh: 1, sw: 1, pad_top: 1, pad_left: 1 };
        assert_eq!(by_rows(1, &window, 16, 100), Some((102 * 16usize).next_multiple_of(64) + PADDING_BYTES));
    }
}
