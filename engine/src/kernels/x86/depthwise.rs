//! Depthwise convolution with AVX2.
//!
//! `vpmaddwd` adds two products, so input rows are taken in pairs: a pair row holds, for each input column and 16 channels,
//! the bytes of rows r and r+1 interleaved as i16 (64 bytes). A window of kh rows is ceil(kh/2) pair rows (the last with
//! zero weights for its second row when kh is odd). Pair rows live in a ring, because the windows of the following output
//! rows use them again; strips, column tiles and channel blocks keep the ring in the first cache.

use super::lanes::epilogue;
use crate::kernels::args::{DepthwiseArgs, Window};
use crate::kernels::lanes::LANES;
use crate::kernels::scalar::epilogue_at;
use core::arch::x86_64::*;

/// Output columns of a tile.
const TILE_COLUMNS: usize = 48;
/// Output rows of a strip.
const STRIP_ROWS: usize = 24;
/// Bytes of a pair of rows at one column.
const PAIR: usize = 64;

/// Geometry that follows from the window.
#[derive(Clone, Copy)]
struct Ring {
    /// Pair rows in a window.
    pairs: usize,
    /// Input rows between ring entries: with an even stride only every second pair row is ever used.
    step: usize,
    /// Entries.
    len: usize,
    /// Input columns of a full tile.
    columns: usize,
}

fn ring(w: &Window) -> Ring {
    let pairs = w.kh.div_ceil(2);
    let step = if w.sh.is_multiple_of(2) { 2 } else { 1 };
    Ring { pairs, step, len: 2 * (pairs - 1) / step + 1, columns: (TILE_COLUMNS - 1) * w.sw + w.kw }
}

/// Bytes of scratch: accumulators, weights, ring.
pub fn scratch(w: &Window) -> usize {
    let r = ring(w);
    TILE_COLUMNS * LANES * 4 + r.pairs * w.kw * PAIR + r.len * r.columns * PAIR
}

/// Interleaves 16 bytes of two rows as i16: channels 0-3 and 8-11 in the first register, 4-7 and 12-15 in the second.
#[inline(always)]
unsafe fn interleave(a: __m256i, b: __m256i, dst: *mut u8) {
    // SAFETY: 64 bytes are writable; the caller has AVX2.
    unsafe {
        _mm256_storeu_si256(dst.cast(), _mm256_unpacklo_epi16(a, b));
        _mm256_storeu_si256(dst.add(32).cast(), _mm256_unpackhi_epi16(a, b));
    }
}

/// See [`DepthwiseArgs`].
#[target_feature(enable = "avx2")]
pub unsafe fn depthwise(a: &DepthwiseArgs) {
    // SAFETY: the operation has checked shapes and scratch.
    unsafe {
        let mut y = a.y0;
        while y < a.y1 {
            let y_end = (y + STRIP_ROWS).min(a.y1);
            let mut x = 0;
            while x < a.ow {
                let x_end = (x + TILE_COLUMNS).min(a.ow);
                let mut c = 0;
                while c < a.c {
                    block(a, y, y_end, x, x_end, c);
                    c += LANES;
                }
                x = x_end;
            }
            y = y_end;
        }
    }
}

/// Rows y0..y1, columns x0..x1, channels c..c+16.
#[target_feature(enable = "avx2")]
unsafe fn block(a: &DepthwiseArgs, y0: usize, y1: usize, x0: usize, x1: usize, c: usize) {
    let w = a.window;
    let r = ring(&w);
    let columns = (x1 - x0 - 1) * w.sw + w.kw;
    let acc = a.scratch.cast::<i32>();
    let weights = a.scratch.wrapping_add(TILE_COLUMNS * LANES * 4);
    let rows = weights.wrapping_add(r.pairs * w.kw * PAIR);
    // SAFETY: scratch is as long as `scratch` says; input pixels are inside the picture or replaced; see `pair_row`.
    unsafe {
        pair_weights(a.weights.add(c * w.kh * w.kw), &w, weights);
        let mut built = 0;
        for y in y0..y1 {
            let first = (y - y0) * w.sh / r.step;
            let last = first + r.len - 1;
            built = built.max(first);
            while built <= last {
                let iy = (y0 * w.sh + built * r.step) as isize - w.pad_top as isize;
                pair_row(a, iy, x0, columns, c, rows.add(built % r.len * r.columns * PAIR));
                built += 1;
            }
            let line = Line { rows, ring: r, first, weights, kw: w.kw, sw: w.sw };
            let n = x1 - x0;
            let mut p = 0;
            while p + 6 <= n {
                line.pixels::<6>(p, acc.add(p * LANES));
                p += 6;
            }
            match n - p {
                5 => line.pixels::<5>(p, acc.add(p * LANES)),
                4 => line.pixels::<4>(p, acc.add(p * LANES)),
                3 => line.pixels::<3>(p, acc.add(p * LANES)),
                2 => line.pixels::<2>(p, acc.add(p * LANES)),
                1 => line.pixels::<1>(p, acc.add(p * LANES)),
                _ => {}
            }
            epilogue(&epilogue_at(a, acc, y * a.ow + x0, c, n));
        }
    }
}

/// Weights of one channel block as pairs of taps, in the order of `interleave`.
#[inline(always)]
unsafe fn pair_weights(src: *const i8, w: &Window, dst: *mut u8) {
    // SAFETY: src holds 16 weights for each tap; dst 64 bytes for each pair; the caller has AVX2.
    unsafe {
        for pair in 0..w.kh.div_ceil(2) {
            for kx in 0..w.kw {
                let tap = src.add((2 * pair * w.kw + kx) * LANES);
                let first = _mm256_cvtepi8_epi16(_mm_loadu_si128(tap.cast()));
                let second = if 2 * pair + 1 < w.kh {
                    _mm256_cvtepi8_epi16(_mm_loadu_si128(tap.add(w.kw * LANES).cast()))
                } else {
                    _mm256_setzero_si256()
                };
                interleave(first, second, dst.add((pair * w.kw + kx) * PAIR));
            }
        }
    }
}

/// Interleaves input rows iy and iy + 1 for the tile's columns; outside the picture stands the zero point.
#[inline(always)]
unsafe fn pair_row(a: &DepthwiseArgs, iy: isize, x0: usize, columns: usize, c: usize, dst: *mut u8) {
    let outside = [a.zero; LANES];
    // A row outside the picture is one block read again and again.
    let row = |iy: isize| {
        if iy >= 0 && (iy as usize) < a.h {
            (a.src.wrapping_add(iy as usize * a.w * a.stride + c), a.stride)
        } else {
            (outside.as_ptr(), 0)
        }
    };
    let ((p0, s0), (p1, s1)) = (row(iy), row(iy + 1));
    let ix0 = (x0 * a.window.sw) as isize - a.window.pad_left as isize;
    let left = (-ix0).clamp(0, columns as isize) as usize;
    let right = (a.w as isize - ix0).clamp(left as isize, columns as isize) as usize;
    // SAFETY: columns left..right are inside the input, which has slack for a full block; dst holds 64 bytes a column; the
    // caller has AVX2.
    unsafe {
        let zero = _mm256_set1_epi16(i16::from(a.zero));
        for i in (0..left).chain(right..columns) {
            interleave(zero, zero, dst.add(i * PAIR));
        }
        for i in left..right {
            let ix = (ix0 + i as isize) as usize;
            let first = _mm256_cvtepu8_epi16(_mm_loadu_si128(p0.add(ix * s0).cast()));
            let second = _mm256_cvtepu8_epi16(_mm_loadu_si128(p1.add(ix * s1).cast()));
            interleave(first, second, dst.add(i * PAIR));
        }
    }
}

/// What one output row needs.
struct Line {
    rows: *const u8,
    ring: Ring,
    first: usize,
    weights: *const u8,
    kw: usize,
    sw: usize,
}

impl Line {
    /// `P` output pixels from column `p` of the tile on.
    #[inline(always)]
    unsafe fn pixels<const P: usize>(&self, p: usize, acc: *mut i32) {
        // SAFETY: ring and weights were filled for this row; acc holds 16 numbers for each pixel; the caller has AVX2.
        unsafe {
            let mut s = [[_mm256_setzero_si256(); 2]; P];
            let mut w = self.weights;
            for pair in 0..self.ring.pairs {
                let slot = (self.first + 2 * pair / self.ring.step) % self.ring.len;
                let mut row = self.rows.add((slot * self.ring.columns + p * self.sw) * PAIR);
                for _ in 0..self.kw {
                    let (w0, w1) = (_mm256_loadu_si256(w.cast()), _mm256_loadu_si256(w.add(32).cast()));
                    for (i, s) in s.iter_mut().enumerate() {
                        let x = row.add(i * self.sw * PAIR);
                        s[0] = _mm256_add_epi32(s[0], _mm256_madd_epi16(_mm256_loadu_si256(x.cast()), w0));
                        s[1] = _mm256_add_epi32(s[1], _mm256_madd_epi16(_mm256_loadu_si256(x.add(32).cast()), w1));
                    }
                    w = w.add(PAIR);
                    row = row.add(PAIR);
                }
            }
            for (i, s) in s.iter().enumerate() {
                let out = acc.add(i * LANES);
                _mm256_storeu_si256(out.cast(), _mm256_permute2x128_si256::<0x20>(s[0], s[1]));
                _mm256_storeu_si256(out.add(8).cast(), _mm256_permute2x128_si256::<0x31>(s[0], s[1]));
            }
        }
    }
}
