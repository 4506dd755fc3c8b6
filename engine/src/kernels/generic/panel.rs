//! Gathers the inputs of output pixels into panel rows (im2col for a few dozen pixels at a time).

use crate::kernels::args::PanelArgs;

/// How an ISA stores panel elements.
pub trait PanelFormat {
    /// Bytes of an element.
    const ELEM: usize;
    /// Writes `n` elements made from the bytes at `src`; may read and write up to 15 elements more.
    unsafe fn copy(dst: *mut u8, src: *const u8, n: usize);
    /// Writes `n` elements of value `x`; may write up to 15 more.
    unsafe fn fill(dst: *mut u8, x: u8, n: usize);
}

/// Rows are written in ascending order, so what `copy` writes past a segment is overwritten by the next one; past the
/// last K element stand numbers that only ever meet zero weights.
#[inline(always)]
pub unsafe fn panel<P: PanelFormat>(a: &PanelArgs) {
    let w = a.window;
    // SAFETY: the operation has checked that all pixels lie in the input, inputs have slack, and so has the panel.
    unsafe {
        if w.kh == 1 && w.kw == 1 && w.sh == 1 && w.sw == 1 && w.pad_top == 0 && w.pad_left == 0 && a.ow == a.w {
            for i in 0..a.count {
                P::copy(a.dst.add(i * a.dst_stride), a.src.add((a.first + i) * a.stride), a.c);
            }
            return;
        }
        let (mut y, mut x) = (a.first / a.ow, a.first % a.ow);
        let tap = a.c * P::ELEM;
        for i in 0..a.count {
            let mut dst = a.dst.add(i * a.dst_stride);
            let iy0 = (y * w.sh) as isize - w.pad_top as isize;
            let ix0 = (x * w.sw) as isize - w.pad_left as isize;
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
            x += 1;
            if x == a.ow {
                x = 0;
                y += 1;
            }
        }
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
