//! Depthwise convolution from groups of input rows.
//!
//! Instructions that add neighbouring products want input rows in groups (two with AVX2 and NEON, four with VNNI and
//! NEON's dot product): a group row holds, for each input column and 16 channels, the elements of `ROWS` successive
//! rows side by side (64 bytes with either). A window of kh rows is ceil(kh / ROWS) groups, the last with zero
//! weights where rows are missing. Group rows live in a ring, because the windows of the following output rows use
//! them again; strips, column tiles and channel blocks keep the ring in the first cache.

use crate::kernels::args::{DepthwiseArgs, EpilogueArgs, Window};
use crate::kernels::lanes::LANES;
use crate::kernels::scalar::epilogue_at;

/// Output columns of a tile.
const TILE_COLUMNS: usize = 48;
/// Output rows of a strip.
const STRIP_ROWS: usize = 24;
/// Bytes of a group of rows at one column.
pub const COLUMN: usize = 64;
/// Most groups of a window: 16 rows in pairs.
const MAX_GROUPS: usize = 8;

/// What an instruction set does with a group.
///
/// # Safety
/// The caller has its CPU features; pointers are good for 16 elements, or 64 bytes of destination.
pub trait Group {
    /// Rows of a group: 2 or 4. Only the first `ROWS` of the pointers below count.
    const ROWS: usize;
    /// Places 16 channels of the rows at one column side by side.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn data(rows: [*const u8; 4], dst: *mut u8);
    /// Places 16 channels of the weights at one column side by side.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn weights(rows: [*const i8; 4], dst: *mut u8);
    /// Accumulators of one output pixel.
    type Sums: Copy;
    /// A column of weights, in registers.
    type Taps: Copy;
    /// What the sums begin with: zeros, or what makes up for activations that `data` shifted.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn start(line: &Line) -> Self::Sums;
    /// Loads a column of weights.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn taps(src: *const u8) -> Self::Taps;
    /// Adds the products of a column of data.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn add(sums: &mut Self::Sums, data: *const u8, taps: Self::Taps);
    /// Stores 16 numbers, channels in order.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn store(sums: Self::Sums, dst: *mut i32);
    /// Accumulators of `n` output pixels, `[n][16]`: [`pixels`] with as many at a time as there are registers for.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn line(line: &Line, n: usize, acc: *mut i32);
}

/// `P` output pixels from column `p` of the tile on.
///
/// # Safety
/// Rows and weights were filled for this line; acc holds 16 numbers for each pixel of it; the caller has the CPU
/// features.
#[inline(always)]
pub unsafe fn pixels<G: Group, const P: usize>(line: &Line, start: G::Sums, p: usize, acc: *mut i32) {
    // SAFETY: see above; a row holds a column for each tap of each pixel.
    unsafe {
        let mut sums = [start; P];
        let mut weights = line.weights;
        for row in line.rows.iter().take(line.groups) {
            let mut row = row.add(p * line.sw * COLUMN);
            for _ in 0..line.kw {
                let taps = G::taps(weights);
                for (i, sums) in sums.iter_mut().enumerate() {
                    G::add(sums, row.add(i * line.sw * COLUMN), taps);
                }
                weights = weights.add(COLUMN);
                row = row.add(COLUMN);
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            G::store(*sums, acc.add((p + i) * LANES));
        }
    }
}

/// [`Group::line`] for 32 registers that hold four channels each.
///
/// # Safety
/// As [`pixels`].
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub unsafe fn four_at_a_time<G: Group>(line: &Line, n: usize, acc: *mut i32) {
    // SAFETY: passed on.
    unsafe {
        let start = G::start(line);
        let mut p = 0;
        while p + 4 <= n {
            pixels::<G, 4>(line, start, p, acc);
            p += 4;
        }
        while p < n {
            pixels::<G, 1>(line, start, p, acc);
            p += 1;
        }
    }
}

/// What one output row of a tile needs.
pub struct Line {
    /// Group rows at the tile's first column.
    pub rows: [*const u8; MAX_GROUPS],
    /// Groups in a window.
    pub groups: usize,
    /// `[groups][kw]` columns of weights.
    pub weights: *const u8,
    /// Window's width.
    pub kw: usize,
    /// Horizontal stride.
    pub sw: usize,
}

/// Geometry that follows from the window.
#[derive(Clone, Copy)]
struct Ring {
    /// Groups in a window.
    groups: usize,
    /// Input rows between ring entries: with an even stride only every second (or fourth) group row is ever used.
    step: usize,
    /// Entries.
    len: usize,
    /// Input columns of a full tile.
    columns: usize,
}

fn ring<G: Group>(w: &Window) -> Ring {
    let groups = w.kh.div_ceil(G::ROWS);
    let step = if w.sh.is_multiple_of(G::ROWS) {
        G::ROWS
    } else if w.sh.is_multiple_of(2) {
        2
    } else {
        1
    };
    Ring { groups, step, len: (groups - 1) * G::ROWS / step + 1, columns: (TILE_COLUMNS - 1) * w.sw + w.kw }
}

/// Bytes of scratch: accumulators, weights, ring.
pub fn scratch<G: Group>(w: &Window) -> usize {
    let r = ring::<G>(w);
    TILE_COLUMNS * LANES * 4 + r.groups * w.kw * COLUMN + r.len * r.columns * COLUMN
}

/// See [`DepthwiseArgs`].
///
/// # Safety
/// The contract of [`crate::kernels::args`] for [`DepthwiseArgs`], and the CPU features of `G` and `epilogue`.
#[inline(always)]
pub unsafe fn depthwise<G: Group>(a: &DepthwiseArgs, epilogue: unsafe fn(&EpilogueArgs)) {
    // SAFETY: the operator has checked shapes and scratch.
    unsafe {
        let mut y = a.y0;
        while y < a.y1 {
            let y_end = (y + STRIP_ROWS).min(a.y1);
            let mut x = 0;
            while x < a.ow {
                let x_end = (x + TILE_COLUMNS).min(a.ow);
                let mut c = 0;
                while c < a.c {
                    block::<G>(a, y, y_end, x, x_end, c, epilogue);
                    c += LANES;
                }
                x = x_end;
            }
            y = y_end;
        }
    }
}

/// Rows y0..y1, columns x0..x1, channels c..c+16.
///
/// # Safety
/// As [`depthwise`]; rows, columns and channels lie inside the output.
#[inline(always)]
unsafe fn block<G: Group>(
    a: &DepthwiseArgs,
    y0: usize,
    y1: usize,
    x0: usize,
    x1: usize,
    c: usize,
    epilogue: unsafe fn(&EpilogueArgs),
) {
    let w = a.window;
    let r = ring::<G>(&w);
    let columns = (x1 - x0 - 1) * w.sw + w.kw;
    let acc = a.scratch.cast::<i32>();
    let weights = a.scratch.wrapping_add(TILE_COLUMNS * LANES * 4);
    let rows = weights.wrapping_add(r.groups * w.kw * COLUMN);
    let slot = |entry: usize| rows.wrapping_add(entry % r.len * r.columns * COLUMN);
    // SAFETY: scratch is as long as `scratch` says; input pixels are inside the image or replaced; see `group_row`.
    unsafe {
        group_weights::<G>(a.weights.add(c * w.kh * w.kw), &w, weights);
        let mut built = 0;
        for y in y0..y1 {
            let first = (y - y0) * w.sh / r.step;
            let last = first + r.len - 1;
            built = built.max(first);
            while built <= last {
                let iy = (y0 * w.sh + built * r.step) as isize - w.pad_top as isize;
                group_row::<G>(a, iy, x0, columns, c, slot(built));
                built += 1;
            }
            let mut line =
                Line { rows: [core::ptr::null(); MAX_GROUPS], groups: r.groups, weights, kw: w.kw, sw: w.sw };
            for (group, row) in line.rows.iter_mut().enumerate().take(r.groups) {
                *row = slot(first + group * G::ROWS / r.step);
            }
            let n = x1 - x0;
            G::line(&line, n, acc);
            epilogue(&epilogue_at(a, acc, y * a.ow + x0, c, n));
        }
    }
}

/// Weights of one channel block in groups of taps.
///
/// # Safety
/// `src` holds 16 weights for each tap of `w`, `dst` 64 bytes for each group and column; the CPU features of `G`.
#[inline(always)]
unsafe fn group_weights<G: Group>(src: *const i8, w: &Window, dst: *mut u8) {
    let none = [0i8; LANES];
    for group in 0..w.kh.div_ceil(G::ROWS) {
        for kx in 0..w.kw {
            let mut taps = [none.as_ptr(); 4];
            for (i, tap) in taps.iter_mut().enumerate().take(G::ROWS) {
                let ky = group * G::ROWS + i;
                if ky < w.kh {
                    *tap = src.wrapping_add((ky * w.kw + kx) * LANES);
                }
            }
            // SAFETY: src holds 16 weights for each tap; dst 64 bytes for each group and column.
            unsafe { G::weights(taps, dst.add((group * w.kw + kx) * COLUMN)) };
        }
    }
}

/// Input rows from iy on at the tile's columns; outside the image stands the zero point.
///
/// # Safety
/// As [`depthwise`]; `dst` holds 64 bytes for each of the `columns`.
#[inline(always)]
unsafe fn group_row<G: Group>(a: &DepthwiseArgs, iy: isize, x0: usize, columns: usize, c: usize, dst: *mut u8) {
    let outside = [a.zero; LANES];
    let ix0 = (x0 * a.window.sw) as isize - a.window.pad_left as isize;
    let left = (-ix0).clamp(0, columns as isize) as usize;
    let right = (a.w as isize - ix0).clamp(left as isize, columns as isize) as usize;
    // A row outside the image is one block read again and again.
    let mut rows = [(outside.as_ptr(), 0); 4];
    for (i, row) in rows.iter_mut().enumerate().take(G::ROWS) {
        let iy = iy + i as isize;
        if iy >= 0 && (iy as usize) < a.h {
            let first = (iy as usize * a.w) as isize + ix0;
            *row = (a.src.wrapping_offset(first * a.stride as isize + c as isize), a.stride);
        }
    }
    // SAFETY: columns left..right are inside the input, which has slack for a full block; dst holds 64 bytes a column.
    unsafe {
        for i in (0..left).chain(right..columns) {
            G::data([outside.as_ptr(); 4], dst.add(i * COLUMN));
        }
        for i in left..right {
            G::data(rows.map(|(row, stride)| row.wrapping_add(i * stride)), dst.add(i * COLUMN));
        }
    }
}
