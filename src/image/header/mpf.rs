//! JPEG files with several images, one behind the other, as stereo cameras write them (CIPA DC-007, "Multi-Picture
//! Format", files `.mpo`).

use super::jpeg;
use super::tiff::Tiff;

/// Most images of one file that are looked at.
const MAX_IMAGES: usize = 64;

/// The tag of the list of images: 16 bytes each.
const MP_ENTRY: u16 = 0xB002;

/// Whether a JPEG holds further images that a person would miss: of the first one's size and with as many components.
/// Previews, and the gain maps of phones, are smaller or grey.
pub(in crate::image) fn has_further(file: &[u8]) -> bool {
    let Some(first) = jpeg::walk(file) else { return false };
    let Some(index) = first.mpf.and_then(|at| file.get(at..)) else { return false };
    let kind = |jpeg: &jpeg::Jpeg<'_>| (jpeg.width, jpeg.height, jpeg.sampling.len());
    let mut images = offsets(index).unwrap_or_default().into_iter().filter(|offset| *offset > 0);
    images.any(|offset| {
        let image = index.get(offset..).filter(|image| image.starts_with(&[0xFF, 0xD8]));
        image.and_then(jpeg::walk).is_some_and(|image| kind(&image) == kind(&first))
    })
}

/// Where the images begin, counted from the index's own beginning; 0 stands for the first image.
fn offsets(index: &[u8]) -> Option<Vec<usize>> {
    let tiff = Tiff::new(index)?;
    let entry = tiff.entries(tiff.first()?).find(|entry| entry.tag == MP_ENTRY)?;
    let list = index.get(usize::try_from(tiff.u32(entry.value)?).ok()?..)?;
    let images = list.chunks_exact(16).take(usize::try_from(entry.count / 16).ok()?.min(MAX_IMAGES));
    Some(images.filter_map(|image| usize::try_from(tiff.u32(image.get(8..)?)?).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG of this size and so many components, up to its scan, with an index of others behind it.
    fn jpeg(width: u8, components: u8, index: Option<&[u8]>) -> Vec<u8> {
        let mut file = vec![0xFF, 0xD8];
        if let Some(index) = index {
            file.extend([0xFF, 0xE2, 0, 6 + index.len() as u8]);
            file.extend(b"MPF\0");
            file.extend(index);
        }
        file.extend([0xFF, 0xC0, 0, 8 + 3 * components, 8, 0, 8, 0, width, components]);
        (0..components).for_each(|i| file.extend([i, 0x11, 0]));
        file.extend([0xFF, 0xDA, 0, 6 + 2 * components, components]);
        (0..components).for_each(|i| file.extend([i, 0]));
        file.extend([0, 63, 0, 0x12, 0x34, 0xFF, 0xD9]);
        file
    }

    /// An index of two images, the second of them `offset` bytes behind the index's beginning.
    fn index(offset: u32, little: bool) -> Vec<u8> {
        let u16s = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let u32s = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let mut index = if little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        index.extend(u32s(8));
        index.extend(u16s(1));
        index.extend([u16s(MP_ENTRY), u16s(7)].concat());
        index.extend([u32s(32), u32s(26), u32s(0)].concat());
        index.extend([u32s(0x03_0000), u32s(100), u32s(0), u32s(0)].concat());
        index.extend([u32s(0), u32s(100), u32s(offset), u32s(0)].concat());
        index
    }

    fn file(second: &[u8], little: bool) -> Vec<u8> {
        // The index begins behind SOI, marker, length and name.
        let first = jpeg(16, 3, Some(&index(0, little))).len();
        [&jpeg(16, 3, Some(&index(first as u32 - 10, little)))[..], second].concat()
    }

    #[test]
    fn second_image_of_same_kind_is_found() {
        for little in [true, false] {
            assert!(has_further(&file(&jpeg(16, 3, None), little)));
        }
    }

    #[test]
    fn previews_and_gain_maps_are_no_further_images() {
        for other in [jpeg(8, 3, None), jpeg(16, 1, None), b"something else".to_vec(), Vec::new()] {
            assert!(!has_further(&file(&other, true)));
        }
        assert!(!has_further(&jpeg(16, 3, None)));
    }

    #[test]
    fn damaged_index_never_panics() {
        let whole = file(&jpeg(16, 3, None), true);
        (0..whole.len()).for_each(|end| assert!(!has_further(&whole[..end]) || end + 8 > whole.len()));
        for at in 0..70 {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                has_further(&damaged);
            }
        }
    }
}
