//! Gathers the inputs of output pixels into panel rows (im2col for a few dozen pixels at a time).

use crate::kernels::args::PanelArgs;

/// How an ISA stores panel elements.
pub trait PanelFormat {
    /// Bytes of an element.
    const ELEM: usize;
    /// Writes `n` elements made from the bytes at `src`; may read and write up to 15 elements more.
    ///
    /// # Safety
    /// `n` elements and 15 more are readable at `src` and writable at `dst`; the caller has the CPU features of the
    /// format.
    unsafe fn copy(dst: *mut u8, src: *const u8, n: usize);
    /// Writes `n` elements of value `x`; may write up to 15 more.
    ///
    /// # Safety
    /// `n` elements and 15 more are writable at `dst`; the caller has the CPU features of the format.
    unsafe fn fill(dst: *mut u8, x: u8, n: usize);
}

/// Rows are written in ascending order, so what `copy` writes past a segment is overwritten by the next one; past the
/// last K element stand numbers that only ever meet zero weights.
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`PanelArgs`].
#[inline(always)]
pub unsafe fn panel<P: PanelFormat>(a: &PanelArgs) {
    let w = a.window;
    // SAFETY: the operator has checked that all pixels lie in the input, inputs have slack, and so has the panel.
    unsafe {
        if w.kh == 1 && w.kw == 1 && w.sh == 1 && w.sw == 1 && w.pad_top == 0 && w.pad_left == 0 && a.ow == a.w {
            for i in 0..a.count {
                P::copy(a.dst.add(i * a.dst_stride), a.src.add((a.first + i) * a.stride), a.c);
            }
            return;
        }
        let (mut y, mut x) = (a.first / a.ow, a.first % a.ow);
        let tap = a.c * P::ELEM;
        let mut i = 0;
        while i < a.count {
            let mut dst = a.dst.add(i * a.dst_stride);
            let iy0 = (y * w.sh) as isize - w.pad_top as isize;
            let ix0 = (x * w.sw) as isize - w.pad_left as isize;
            if a.stride == a.c && w.kw * a.c <= 16 && iy0 >= 0 && iy0 as usize + w.kh <= a.h && ix0 >= 0 {
                let n = inside(a, ix0 as usize).min(a.ow - x).min(a.count - i);
                narrow::<P>(a, a.src.add((iy0 as usize * a.w + ix0 as usize) * a.c), n, dst);
                i += n;
                x += n;
                if x == a.ow {
                    (x, y) = (0, y + 1);
                }
                if n > 0 {
                    continue;
                }
            }
            let inside = ix0 >= 0 && ix0 as usize + w.kw <= a.w;
            for ky in 0..w.kh {
                let iy = iy0 + ky as isize;
                if iy < 0 || iy as usize >= a.h {
                    P::fill(dst, a.zero, w.kw * a.c);
                } else {
                    let row = a.src.add(iy as usize * a.w * a.stride);
                    if inside && a.stride == a.c {
                        P::copy(dst, row.add(ix0 as usize * a.stride), w.kw * a.c);
                    } else {
                        for kx in 0..w.kw {
                            let ix = ix0 + kx as isize;
                            if ix < 0 || ix as usize >= a.w {
                                P::fill(dst.add(kx * tap), a.zero, a.c);
                            } else {
                                P::copy(dst.add(kx * tap), row.add(ix as usize * a.stride), a.c);
                            }
                        }
                    }
                }
                dst = dst.add(w.kw * tap);
            }
            i += 1;
            x += 1;
            if x == a.ow {
                x = 0;
                y += 1;
            }
        }
    }
}

/// Windows from input column `ix` on that lie inside the row.
#[inline(always)]
fn inside(a: &PanelArgs, ix: usize) -> usize {
    (a.w + 1).saturating_sub(ix + a.window.kw).div_ceil(a.window.sw)
}

/// `n` whole windows of kernel rows of at most 16 elements: the first layer, whose few channels make the gathering
/// the larger part of the work.
///
/// # Safety
/// `n` windows lie inside the image from `src` on, and `dst` has room for their panel rows; both as [`panel`] says.
#[inline(always)]
unsafe fn narrow<P: PanelFormat>(a: &PanelArgs, mut src: *const u8, n: usize, mut dst: *mut u8) {
    let (row, kernel_row) = (a.w * a.c, a.window.kw * a.c * P::ELEM);
    for _ in 0..n {
        for ky in 0..a.window.kh {
            // SAFETY: see `panel`; as with any `copy`, up to 15 elements more are read and written.
            unsafe { P::copy(dst.add(ky * kernel_row), src.add(ky * row), 16) };
        }
        src = src.wrapping_add(a.window.sw * a.c);
        dst = dst.wrapping_add(a.dst_stride);
    }
}

/// Bytes as they are.
pub struct Bytes;

impl PanelFormat for Bytes {
    const ELEM: usize = 1;
    #[inline(always)]
    unsafe fn copy(dst: *mut u8, src: *const u8, n: usize) {
        let mut i = 0;
        while i < n {
            // SAFETY: see the trait.
            unsafe { dst.add(i).cast::<[u8; 16]>().write_unaligned(src.add(i).cast::<[u8; 16]>().read_unaligned()) };
            i += 16;
        }
    }
    #[inline(always)]
    unsafe fn fill(dst: *mut u8, x: u8, n: usize) {
        // SAFETY: see the trait.
        unsafe { dst.write_bytes(x, n) }
    }
}
