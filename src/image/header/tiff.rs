//! The first directory of a TIFF structure: of a TIFF file, and of the EXIF block that other formats carry.
#![cfg_attr(not(feature = "formats"), allow(dead_code))]

use ::image::metadata::Orientation;

/// Tag of the orientation.
const ORIENTATION: u16 = 0x0112;
/// From this tag on, entries do not describe the pixels, and decoding does not look at them.
const FIRST_FOREIGN_TAG: u16 = 700;
/// Most values of one entry: offsets of 16×16 tiles for more pixels than the limits allow by default.
const MAX_VALUES: u32 = 1 << 18;

/// One entry of a directory.
struct Entry<'a> {
    tag: u16,
    kind: u16,
    count: u32,
    /// The value, or where it is: four bytes.
    value: &'a [u8],
    /// Where these four bytes are in the structure.
    value_at: usize,
}

/// Byte order and bytes of a TIFF structure.
#[derive(Clone, Copy)]
struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl<'a> Tiff<'a> {
    /// Recognises the structure by its first four bytes.
    fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first_chunk()? {
            b"II*\0" => Some(Self { bytes, little: true }),
            b"MM\0*" => Some(Self { bytes, little: false }),
            _ => None,
        }
    }

    fn u16(&self, bytes: &[u8]) -> Option<u16> {
        let bytes = *bytes.first_chunk()?;
        Some(if self.little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn u32(&self, bytes: &[u8]) -> Option<u32> {
        let bytes = *bytes.first_chunk()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// The entries of the first directory, as far as the data reaches.
    fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        let directory = || {
            let at = usize::try_from(self.u32(self.bytes.get(4..)?)?).ok()?;
            let (count, entries) = self.bytes.get(at..)?.split_at_checked(2)?;
            let starts = (at + 2..).step_by(12);
            Some(entries.chunks_exact(12).zip(starts).take(usize::from(self.u16(count)?)))
        };
        directory().into_iter().flatten().filter_map(move |(entry, start)| {
            Some(Entry {
                tag: self.u16(entry)?,
                kind: self.u16(entry.get(2..)?)?,
                count: self.u32(entry.get(4..)?)?,
                value: entry.get(8..)?,
                value_at: start + 8,
            })
        })
    }
}

/// Whether an entry of a TIFF file claims so many values that the decoder, which believes it, would allocate beyond reason.
pub(in crate::image) fn claims_too_much(file: &[u8]) -> bool {
    Tiff::new(file)
        .is_some_and(|tiff| tiff.entries().any(|entry| entry.tag < FIRST_FOREIGN_TAG && entry.count > MAX_VALUES))
}

/// A TIFF whose samples are numbers of entries in a table: of its own palette, or of two- and four-bit greys.
pub(in crate::image) struct Table {
    /// Bits of a sample: 1, 2, 4 or 8.
    pub bits: u8,
    /// RGB8 of each of the `2^bits` values.
    pub colours: Vec<[u8; 3]>,
    /// Where the two bytes of the photometric interpretation are, and the two that make it "black is zero".
    pub photometric: (usize, [u8; 2]),
}

/// The table of a TIFF file, for the kinds of samples that the decoder itself does not turn into colours.
pub(in crate::image) fn table(file: &[u8]) -> Option<Table> {
    const BITS: u16 = 258;
    const PHOTOMETRIC: u16 = 262;
    const SAMPLES: u16 = 277;
    const COLOUR_MAP: u16 = 320;
    let tiff = Tiff::new(file)?;
    let find = |tag| tiff.entries().find(|entry| entry.tag == tag);
    let short = |entry: &Entry<'_>| tiff.u16(entry.value).filter(|_| entry.kind == 3 && entry.count == 1);
    if find(SAMPLES).is_some_and(|samples| short(&samples) != Some(1)) {
        return None;
    }
    let bits = find(BITS).map_or(Some(1), |bits| short(&bits))?;
    let photometric = find(PHOTOMETRIC)?;
    let values = 1_usize << bits.min(15);
    let grey = |i: usize| [(i * 255 / (values - 1)) as u8; 3];
    let colours = match (short(&photometric)?, bits) {
        (0, 2 | 4) => (0..values).rev().map(grey).collect(),
        (1, 2 | 4) => (0..values).map(grey).collect(),
        (3, 1 | 2 | 4 | 8) => {
            let map = find(COLOUR_MAP).filter(|map| map.kind == 3 && map.count as usize == 3 * values)?;
            let map = file.get(usize::try_from(tiff.u32(map.value)?).ok()?..)?.get(..6 * values)?;
            // All reds, then all greens, then all blues, sixteen bits each.
            let colour = |i: usize| [0, 1, 2].map(|c| tiff.u16(&map[2 * (c * values + i)..]).unwrap_or(0));
            (0..values).map(|i| colour(i).map(|v| (v >> 8) as u8)).collect()
        }
        _ => return None,
    };
    let black_is_zero = if tiff.little { [1, 0] } else { [0, 1] };
    Some(Table { bits: bits as u8, colours, photometric: (photometric.value_at, black_is_zero) })
}

/// The orientation in the first directory. A missing, unknown or broken tag is upright.
///
/// Writers of PNG and WebP sometimes leave JPEG's `Exif\0\0` in front of the block, and some store the number as a long.
pub(in crate::image) fn orientation(exif: Option<&[u8]>) -> Orientation {
    let read = |exif: &[u8]| {
        let tiff = Tiff::new(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))?;
        let entry = tiff.entries().find(|entry| entry.tag == ORIENTATION)?;
        let value = match entry.kind {
            3 => u32::from(tiff.u16(entry.value)?),
            4 => tiff.u32(entry.value)?,
            _ => return None,
        };
        Orientation::from_exif(u8::try_from(value).ok()?)
    };
    exif.and_then(read).unwrap_or(Orientation::NoTransforms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(little: bool, kind: u16, value: u32) -> Vec<u8> {
        let two = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let four = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let mut block = if little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        block.extend(four(8));
        block.extend(two(2));
        for (tag, kind, value) in [(0x010F, 2, 0), (0x0112, kind, value)] {
            block.extend(two(tag));
            block.extend(two(kind));
            block.extend(four(1));
            if kind == 3 {
                block.extend(two(value as u16));
                block.extend(two(0));
            } else {
                block.extend(four(value));
            }
        }
        block
    }

    #[test]
    fn orientation_in_every_spelling() {
        for little in [false, true] {
            assert_eq!(orientation(Some(&exif(little, 3, 6))), Orientation::Rotate90);
            assert_eq!(orientation(Some(&exif(little, 4, 8))), Orientation::Rotate270);
            for junk in [0, 9, 65535] {
                assert_eq!(orientation(Some(&exif(little, 3, junk))), Orientation::NoTransforms);
            }
            let block = exif(little, 3, 3);
            assert_eq!(orientation(Some(&[b"Exif\0\0", block.as_slice()].concat())), Orientation::Rotate180);
            for end in 0..block.len() - 2 {
                assert_eq!(orientation(Some(&block[..end])), Orientation::NoTransforms, "cut at {end}");
            }
        }
        assert_eq!(orientation(None), Orientation::NoTransforms);
    }

    #[test]
    fn claims_are_held_against_reason() {
        let mut block = exif(true, 4, 1);
        assert!(!claims_too_much(&block));
        // The high byte of the second entry's count.
        block[10 + 12 + 7] = 1;
        assert!(claims_too_much(&block));
        assert!(!claims_too_much(b"II*\0"));
    }
}
