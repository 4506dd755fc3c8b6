//! Turning a freshly decoded image upright by its EXIF orientation, in the memory it lies in.

use ::image::metadata::Orientation;

use super::ImageError;
use super::turn::{half_in_place, mirror_columns, mirror_rows, transpose_in_place, transpose_scratch_bytes};

/// Whether width and height change places.
fn transposes(orientation: Orientation) -> bool {
    use Orientation::*;
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Bytes that [`apply`] needs beside the image.
pub(super) fn scratch_bytes(orientation: Orientation, width: u64, height: u64) -> u64 {
    if transposes(orientation) { transpose_scratch_bytes(width, height) } else { 0 }
}

/// Applies the orientation to a tight RGB8 buffer and returns its new width and height.
pub(super) fn apply(
    orientation: Orientation,
    data: &mut [u8],
    width: usize,
    height: usize,
) -> Result<(usize, usize), ImageError> {
    let mut size = (width, height);
    if transposes(orientation) {
        transpose_in_place(data, width, height)?;
        size = (height, width);
    }
    match orientation {
        Orientation::NoTransforms | Orientation::Rotate90FlipH => {}
        Orientation::FlipHorizontal | Orientation::Rotate90 => mirror_rows(data, size.0),
        Orientation::FlipVertical | Orientation::Rotate270 => mirror_columns(data, size.0),
        Orientation::Rotate180 | Orientation::Rotate270FlipH => half_in_place(data),
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The image `1 2 3 / 4 5 6` as a camera held in each of the eight ways stores it, by EXIF's definition of where
    /// row 0 and column 0 of the stored image belong.
    #[test]
    fn all_eight_become_upright() {
        let upright = [1, 2, 3, 4, 5, 6];
        let stored: [(u8, usize, [u8; 6]); 8] = [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [3, 6, 2, 5, 1, 4]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [4, 1, 5, 2, 6, 3]),
        ];
        for (tag, width, pixels) in stored {
            let mut data: Vec<u8> = pixels.iter().flat_map(|&v| [v; 3]).collect();
            let size = apply(Orientation::from_exif(tag).unwrap(), &mut data, width, 6 / width).unwrap();
            assert_eq!(size, (3, 2), "orientation {tag}");
            assert_eq!(data, upright.iter().flat_map(|&v| [v; 3]).collect::<Vec<_>>(), "orientation {tag}");
        }
    }
}
