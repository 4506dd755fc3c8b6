//! TIFF images with a palette or with greys of two or four bits, which the decoder reads only as numbers.
//!
//! It refuses palettes outright, so the file it is given is patched to call the numbers greys.

use super::patched::Patched;
use super::{Job, Pixels};
use crate::image::header::tiff::Table;
use crate::image::{Image, ImageError, orient, reserve};
use ::image::metadata::Orientation;
use tiff::decoder::{Decoder, DecodingResult, Limits};

/// Reads the image and looks its numbers up in `table`.
pub(super) fn decode(
    job: &Job<'_>,
    table: &Table,
    file: Patched<'_>,
    orientation: Orientation,
) -> Result<Image, ImageError> {
    let format = job.name;
    let damaged = |reason: String| ImageError::Damaged { format, reason: super::one_line(&reason) };
    let (at, black_is_zero) = table.photometric;
    let mut decoder = Decoder::new(file.patch(at, &black_is_zero)).map_err(|e| damaged(e.to_string()))?;
    let (width, height) = decoder.dimensions().map_err(|e| damaged(e.to_string()))?;
    job.check_size(width, height)?;
    let turning = orient::scratch_bytes(orientation, u64::from(width), u64::from(height));
    let numbers = u64::from(width) * u64::from(height);
    // The numbers (twice: the decoder has a buffer of its own), then the colours.
    let needed = job.rgb_bytes(width, height) + (2 * numbers).max(turning);
    let spare = job.check_memory(width, height, needed)?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::try_from(numbers + spare).unwrap_or(usize::MAX);
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    let read = decoder.with_limits(limits).read_image().map_err(|e| damaged(e.to_string()))?;
    let DecodingResult::U8(numbers) = read else { return Err(damaged("its samples are not bytes".into())) };

    let (width, height) = (width as usize, height as usize);
    let (bits, each) = (usize::from(table.bits), 8 / usize::from(table.bits));
    let row_bytes = width.div_ceil(each);
    if numbers.len() < row_bytes * height {
        return Err(damaged("it has fewer samples than pixels".into()));
    }
    let mut data = reserve(width * height * 3)?;
    for row in numbers.chunks_exact(row_bytes).take(height) {
        for x in 0..width {
            // The leftmost pixel is in the highest bits.
            let number = usize::from(row[x / each]) >> (8 - bits - x % each * bits) & ((1 << bits) - 1);
            data.extend_from_slice(&table.colours[number]);
        }
    }
    drop(numbers);
    Pixels { data, width, height }.upright(orientation)
}

#[cfg(test)]
mod tests {
    use crate::image::ImageError;
    use crate::image::decode::{Limits, decode};

    /// A little-endian TIFF of one uncompressed strip, 5 pixels wide and 2 high, with the values 0, 1, 2… from the
    /// left.
    fn tiff(bits: usize, photometric: u32, map: &[u16]) -> Vec<u8> {
        let (width, height, each) = (5_usize, 2_usize, 8 / bits);
        let mut row = vec![0_u8; width.div_ceil(each)];
        for x in 0..width {
            row[x / each] |= ((x % (1 << bits)) << (8 - bits - x % each * bits)) as u8;
        }
        let pixels = row.repeat(height);
        let count = if map.is_empty() { 9 } else { 10 };
        let map_at = 8 + 2 + 12 * count + 4;
        let pixels_at = map_at + 2 * map.len();
        let mut entries = vec![
            (256, 4, 1, width as u32),
            (257, 4, 1, height as u32),
            (258, 3, 1, bits as u32),
            (259, 3, 1, 1),
            (262, 3, 1, photometric),
            (273, 4, 1, pixels_at as u32),
            (277, 3, 1, 1),
            (278, 4, 1, height as u32),
            (279, 4, 1, pixels.len() as u32),
        ];
        if !map.is_empty() {
            entries.push((320, 3, map.len() as u32, map_at as u32));
        }
        let mut file = [b"II*\0", 8_u32.to_le_bytes().as_slice(), &(count as u16).to_le_bytes()].concat();
        for (tag, kind, count, value) in entries {
            file.extend(u16::to_le_bytes(tag));
            file.extend(u16::to_le_bytes(kind));
            file.extend(u32::to_le_bytes(count));
            file.extend(u32::to_le_bytes(value));
        }
        file.extend(0_u32.to_le_bytes());
        file.extend(map.iter().flat_map(|v| v.to_le_bytes()));
        file.extend(pixels);
        file
    }

    /// The first row's colours.
    fn row(file: &[u8]) -> Vec<[u8; 3]> {
        let image = decode(file, &Limits::default()).expect("an image");
        assert_eq!((image.view().width(), image.view().height()), (5, 2));
        (0..5).map(|x| image.pixel(x, 1).expect("inside")).collect()
    }

    #[test]
    fn palettes_of_every_depth() {
        for bits in [1, 2, 4, 8] {
            let values = 1_usize << bits;
            // Entry i is (10 i, 20 i, 255 - i) in the upper byte.
            let entry = |i: usize, c: usize| ([10 * i, 20 * i, 255 - i][c] as u16 & 255) << 8;
            let map: Vec<u16> = (0..3).flat_map(|c| (0..values).map(move |i| entry(i, c))).collect();
            let want: Vec<_> =
                (0..5).map(|x| x % values).map(|i| [10 * i as u8, 20 * i as u8, 255 - i as u8]).collect();
            assert_eq!(row(&tiff(bits, 3, &map)), want, "{bits} bits");
        }
    }

    #[test]
    fn greys_of_two_and_four_bits() {
        assert_eq!(row(&tiff(2, 1, &[])), [0, 85, 170, 255, 0].map(|v| [v; 3]));
        assert_eq!(row(&tiff(2, 0, &[])), [255, 170, 85, 0, 255].map(|v| [v; 3]));
        assert_eq!(row(&tiff(4, 1, &[])), [0, 17, 34, 51, 68].map(|v| [v; 3]));
    }

    #[test]
    fn a_cut_file_is_damaged_and_a_limit_holds() {
        let file = tiff(8, 3, &vec![0; 768]);
        for end in 0..file.len() {
            assert!(decode(&file[..end], &Limits::default()).is_err(), "cut at {end}");
        }
        let limits = Limits { max_decode_bytes: 1 << 20, ..Limits::default() };
        assert!(matches!(decode(&file, &limits), Err(ImageError::TooMuchMemory { .. })));
    }
}
