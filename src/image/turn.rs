//! Turning tight RGB8 buffers by quarter turns, and the in-place steps of which every turn and mirror image is made.

use super::{CHANNELS, ImageError};

/// Pixels of a tile side when a buffer is turned: small enough that the rows and columns in use stay in the cache.
const TILE: usize = 32;
/// Rows of a band in [`transpose_in_place`]; one band is the extra memory it needs.
const BAND: usize = 32;

/// A quarter turn, clockwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// 90° clockwise: the left column becomes the top row.
    Right,
    /// 180°.
    Half,
    /// 270° clockwise, which is 90° anticlockwise: the right column becomes the top row.
    Left,
}

impl Turn {
    /// Width and height of a `width`×`height` image after the turn.
    pub fn size(self, width: usize, height: usize) -> (usize, usize) {
        match self {
            Turn::Half => (width, height),
            Turn::Right | Turn::Left => (height, width),
        }
    }
}

/// Turns the `width`×`height` pixels of `src` (tight RGB8) into `dst` (tight RGB8 of [`Turn::size`]).
///
/// # Errors
/// [`ImageError::Shape`] if either buffer is not `3 * width * height` bytes long or a side is 0.
pub fn turn(src: &[u8], width: usize, height: usize, turn: Turn, dst: &mut [u8]) -> Result<(), ImageError> {
    check(src, width, height)?;
    check(dst, width, height)?;
    let (from, to) = (src.as_chunks::<CHANNELS>().0, dst.as_chunks_mut::<CHANNELS>().0);
    if turn == Turn::Half {
        for (to, from) in to.iter_mut().zip(from.iter().rev()) {
            *to = *from;
        }
        return Ok(());
    }
    for tile_y in (0..height).step_by(TILE) {
        for tile_x in (0..width).step_by(TILE) {
            for y in tile_y..(tile_y + TILE).min(height) {
                for x in tile_x..(tile_x + TILE).min(width) {
                    let target = match turn {
                        Turn::Right => x * height + (height - 1 - y),
                        _ => (width - 1 - x) * height + y,
                    };
                    to[target] = from[y * width + x];
                }
            }
        }
    }
    Ok(())
}

/// Turns a tight RGB8 buffer by 180° where it lies.
pub fn half_in_place(data: &mut [u8]) {
    data.as_chunks_mut::<CHANNELS>().0.reverse();
}

/// Mirrors every row of a tight RGB8 buffer: left becomes right.
pub fn mirror_rows(data: &mut [u8], width: usize) {
    for row in data.chunks_exact_mut((width * CHANNELS).max(1)) {
        row.as_chunks_mut::<CHANNELS>().0.reverse();
    }
}

/// Reverses the order of rows of a tight RGB8 buffer: top becomes bottom.
pub fn mirror_columns(data: &mut [u8], width: usize) {
    let row = (width * CHANNELS).max(1);
    let rows = data.len() / row;
    let (upper, lower) = data.split_at_mut(rows / 2 * row);
    for (a, b) in upper.chunks_exact_mut(row).zip(lower.rchunks_exact_mut(row)) {
        a.swap_with_slice(b);
    }
}

/// Bytes that [`transpose_in_place`] needs beside the image.
pub(crate) fn transpose_scratch_bytes(width: u64, height: u64) -> u64 {
    let band = width.saturating_mul((BAND * CHANNELS) as u64);
    let elements = width.saturating_mul(height / BAND as u64);
    band.saturating_mul(2).saturating_add(elements / 8)
}

/// Exchanges rows and columns of a `width`×`height` tight RGB8 buffer (which becomes `height`×`width`) without a second
/// buffer of its size, so that turning a large photograph upright does not double the memory it takes.
///
/// Bands of `BAND` rows are transposed one by one; what lies in memory then is a matrix of *runs* (bands × columns,
/// each run the `BAND` pixels of one column in one band) that still has to be transposed, which is done along the
/// cycles of that permutation. Rows left over below the last whole band are kept aside and merged in at the end.
///
/// # Errors
/// [`ImageError::Shape`] if the buffer is not `3 * width * height` bytes long or a side is 0,
/// [`ImageError::OutOfMemory`] if the scratch memory cannot be had.
pub fn transpose_in_place(data: &mut [u8], width: usize, height: usize) -> Result<(), ImageError> {
    check(data, width, height)?;
    let pixels = data.as_chunks_mut::<CHANNELS>().0;
    let bands = height / BAND;
    let (banded, rest) = pixels.split_at_mut(bands * BAND * width);
    let rest_rows = height - bands * BAND;

    let mut kept: Vec<[u8; CHANNELS]> = filled(rest.len(), [0; CHANNELS])?;
    transpose(rest, width, rest_rows, &mut kept);
    let mut scratch: Vec<[u8; CHANNELS]> = filled(BAND * width, [0; CHANNELS])?;
    for band in banded.chunks_exact_mut(BAND * width) {
        transpose(band, width, BAND, &mut scratch);
        band.copy_from_slice(&scratch);
    }
    transpose_runs(banded.as_chunks_mut::<BAND>().0, bands, width)?;

    // Column x now lies at x * bands * BAND; spread the columns, last first, and put their lower ends behind them.
    let short = bands * BAND;
    if rest_rows > 0 {
        for x in (0..width).rev() {
            pixels.copy_within(x * short..(x + 1) * short, x * height);
            pixels[x * height + short..(x + 1) * height].copy_from_slice(&kept[x * rest_rows..(x + 1) * rest_rows]);
        }
    }
    Ok(())
}

/// `to[x * height + y] = from[y * width + x]`, tile by tile.
fn transpose(from: &[[u8; CHANNELS]], width: usize, height: usize, to: &mut [[u8; CHANNELS]]) {
    for tile_x in (0..width).step_by(TILE) {
        for y in 0..height {
            for x in tile_x..(tile_x + TILE).min(width) {
                to[x * height + y] = from[y * width + x];
            }
        }
    }
}

/// Transposes a `rows`×`columns` matrix of runs in place by following the cycles of the permutation.
fn transpose_runs(runs: &mut [[[u8; CHANNELS]; BAND]], rows: usize, columns: usize) -> Result<(), ImageError> {
    let mut done: Vec<u64> = filled(runs.len().div_ceil(64), 0)?;
    for start in 0..runs.len() {
        let mut at = start;
        while done[at / 64] & (1 << (at % 64)) == 0 {
            done[at / 64] |= 1 << (at % 64);
            // The run that belongs at `at` = column * rows + row comes from row * columns + column.
            let from = (at % rows) * columns + at / rows;
            if from == start {
                break;
            }
            // The content of `start` travels along the cycle and ends in its last place.
            runs.swap(at, from);
            at = from;
        }
    }
    Ok(())
}

/// A vector of `len` copies of `value`, or an error where a plain allocation would end the process.
fn filled<T: Clone>(len: usize, value: T) -> Result<Vec<T>, ImageError> {
    let mut data = Vec::new();
    let bytes = len.saturating_mul(size_of::<T>());
    data.try_reserve_exact(len).map_err(|_| ImageError::OutOfMemory { bytes })?;
    data.resize(len, value);
    Ok(data)
}

/// Sees to it that `data` is a tight RGB8 buffer of this size.
fn check(data: &[u8], width: usize, height: usize) -> Result<(), ImageError> {
    let stride = width.saturating_mul(CHANNELS);
    if super::needed_bytes(width, height, stride) != Some(data.len()) {
        return Err(ImageError::Shape { width, height, stride, bytes: data.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbered(width: usize, height: usize) -> Vec<u8> {
        (0..width * height).flat_map(|i| [i as u8, (i >> 8) as u8, (i >> 16) as u8]).collect()
    }

    #[test]
    fn quarter_turns_go_clockwise() {
        // 1 2 3        4 1
        // 4 5 6   →    5 2
        //              6 3
        let src: Vec<u8> = (1..=6).flat_map(|v| [v, v, v]).collect();
        let grey = |data: &[u8]| data.iter().step_by(3).copied().collect::<Vec<_>>();
        let mut dst = vec![0; 18];
        turn(&src, 3, 2, Turn::Right, &mut dst).unwrap();
        assert_eq!(grey(&dst), [4, 1, 5, 2, 6, 3]);
        turn(&src, 3, 2, Turn::Left, &mut dst).unwrap();
        assert_eq!(grey(&dst), [3, 6, 2, 5, 1, 4]);
        turn(&src, 3, 2, Turn::Half, &mut dst).unwrap();
        assert_eq!(grey(&dst), [6, 5, 4, 3, 2, 1]);
        assert!(turn(&src, 3, 3, Turn::Half, &mut dst).is_err());
        assert_eq!(Turn::Left.size(3, 2), (2, 3));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn transposing_in_place_is_transposing(width in 1usize..150, height in 1usize..150) {
            let src = numbered(width, height);
            let mut there = src.clone();
            transpose_in_place(&mut there, width, height).unwrap();
            let mut expected = vec![[0; 3]; width * height];
            transpose(src.as_chunks().0, width, height, &mut expected);
            prop_assert_eq!(&there, expected.as_flattened());
        }

        #[test]
        fn turning_there_and_back_changes_nothing(width in 1usize..80, height in 1usize..80) {
            let src = numbered(width, height);
            let (mut there, mut back) = (vec![0; src.len()], vec![0; src.len()]);
            turn(&src, width, height, Turn::Right, &mut there).unwrap();
            turn(&there, height, width, Turn::Left, &mut back).unwrap();
            prop_assert_eq!(&src, &back);
            turn(&src, width, height, Turn::Half, &mut there).unwrap();
            half_in_place(&mut back);
            prop_assert_eq!(&there, &back);
            mirror_rows(&mut back, width);
            mirror_columns(&mut back, width);
            prop_assert_eq!(&src, &back);
        }
    }
}
