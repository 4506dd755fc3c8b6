//! The directories of a TIFF structure: the pages of a TIFF file, the EXIF block that other formats carry, and the index
//! of further images in a JPEG.
#![cfg_attr(not(feature = "formats"), allow(dead_code))]

use ::image::metadata::Orientation;
use std::collections::HashSet;

/// Kind of the page: [`REDUCED`] and [`MASK`] say that it belongs to another one.
const SUBFILE_TYPE: u16 = 254;
/// A smaller copy of another page.
const REDUCED: u32 = 1;
/// The transparency of another page.
const MASK: u32 = 4;
/// Width in pixels.
const WIDTH: u16 = 256;
/// Height in pixels.
const HEIGHT: u16 = 257;
/// Directories below this one, where raw files have their image.
const SUB_DIRECTORIES: u16 = 330;
/// Tag of the orientation.
const ORIENTATION: u16 = 0x0112;
/// From this tag on, entries do not describe the pixels, and decoding does not look at them.
const FIRST_FOREIGN_TAG: u16 = 700;
/// Most values of one entry: offsets of 16×16 tiles for more pixels than the limits allow by default.
const MAX_VALUES: u32 = 1 << 18;

/// One entry of a directory.
pub(super) struct Entry<'a> {
    pub tag: u16,
    kind: u16,
    pub count: u32,
    /// The value, or where it is: four bytes.
    pub value: &'a [u8],
    /// Where these four bytes are in the structure.
    value_at: usize,
}

/// Byte order and bytes of a TIFF structure.
#[derive(Clone, Copy)]
pub(super) struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl<'a> Tiff<'a> {
    /// Recognises the structure by its first four bytes.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
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

    pub fn u32(&self, bytes: &[u8]) -> Option<u32> {
        let bytes = *bytes.first_chunk()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// The entries of the directory at `at`, as far as the data reaches.
    pub fn entries(self, at: u32) -> impl Iterator<Item = Entry<'a>> {
        let directory = || {
            let at = usize::try_from(at).ok()?;
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

    /// Where the first directory begins.
    pub fn first(self) -> Option<u32> {
        self.u32(self.bytes.get(FIRST_AT..)?)
    }

    /// Where the directory after the one at `at` begins, 0 if it is the last; `None` if this one is not whole.
    fn next(self, at: u32) -> Option<u32> {
        let directory = self.bytes.get(usize::try_from(at).ok()?..)?;
        let entries = usize::from(self.u16(directory)?) * 12;
        self.u32(directory.get(2 + entries..)?)
    }
}

/// Where in a TIFF structure the place of its first directory stands.
const FIRST_AT: usize = 4;

/// A directory of a TIFF structure: one page.
#[derive(Clone, Copy)]
pub(in crate::image) struct Page<'a> {
    tiff: Tiff<'a>,
    /// Where the directory begins.
    pub at: u32,
}

impl<'a> Page<'a> {
    /// The page whose directory begins at `at`.
    pub fn new(file: &'a [u8], at: u32) -> Option<Self> {
        Some(Page { tiff: Tiff::new(file)?, at })
    }

    /// The bytes of the file that have to be replaced, and by what, to make this page the first.
    pub fn as_first(&self) -> (usize, [u8; 4]) {
        (FIRST_AT, if self.tiff.little { self.at.to_le_bytes() } else { self.at.to_be_bytes() })
    }

    /// Pixels, by its sides; 0 if they are not there.
    pub fn pixels(&self) -> u64 {
        u64::from(self.number(WIDTH).unwrap_or(0)) * u64::from(self.number(HEIGHT).unwrap_or(0))
    }

    /// Whether an entry claims so many values that the decoder, which believes it, would allocate beyond reason.
    pub fn claims_too_much(&self) -> bool {
        self.entries().any(|entry| entry.tag < FIRST_FOREIGN_TAG && entry.count > MAX_VALUES)
    }

    /// Whether it belongs to another page, as a smaller copy or its mask.
    fn is_auxiliary(&self) -> bool {
        self.number(SUBFILE_TYPE).is_some_and(|kind| kind & (REDUCED | MASK) != 0)
    }

    /// Whether it is a small copy of an image that is not among the pages.
    pub fn is_thumbnail_of_raw(&self) -> bool {
        self.is_auxiliary() && self.entries().any(|entry| entry.tag == SUB_DIRECTORIES)
    }

    /// The orientation. A missing, unknown or broken tag is upright; some writers store the number as a long.
    pub fn orientation(&self) -> Orientation {
        let value = self.number(ORIENTATION).and_then(|value| u8::try_from(value).ok());
        value.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'a>> {
        self.tiff.entries(self.at)
    }

    /// The value of an entry that is one short or long.
    fn number(&self, tag: u16) -> Option<u32> {
        let entry = self.entries().find(|entry| entry.tag == tag)?;
        match entry.kind {
            3 => self.tiff.u16(entry.value).map(u32::from),
            4 => self.tiff.u32(entry.value),
            _ => None,
        }
    }
}

/// All pages of a TIFF file.
pub(in crate::image) struct Chain<'a> {
    /// In their order, without smaller copies and masks of pages.
    pub pages: Vec<Page<'a>>,
    /// How it ends.
    pub end: End,
}

/// How the chain of directories ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) enum End {
    /// The last directory has no successor.
    Whole,
    /// There are more than were asked for.
    TooMany,
    /// There may be more; one clause says why they cannot be found.
    Broken(&'static str),
}

/// Follows the directories of a TIFF file, at most `max_pages` of them.
pub(in crate::image) fn chain(file: &[u8], max_pages: u64) -> Option<Chain<'_>> {
    let tiff = Tiff::new(file)?;
    let mut at = tiff.first()?;
    let (mut pages, mut seen) = (Vec::new(), HashSet::new());
    let end = loop {
        if at == 0 {
            break End::Whole;
        }
        if seen.len() as u64 == max_pages {
            break End::TooMany;
        }
        if !seen.insert(at) {
            break End::Broken("its directories go round in a circle");
        }
        let Some(next) = tiff.next(at) else { break End::Broken("it breaks off within a directory") };
        pages.push(Page { tiff, at });
        at = next;
    };
    let whole: Vec<Page<'_>> = pages.iter().copied().filter(|page| !page.is_auxiliary()).collect();
    Some(Chain { pages: if whole.is_empty() { pages } else { whole }, end })
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

/// The table of a page, for the kinds of samples that the decoder itself does not turn into colours.
pub(in crate::image) fn table(page: &Page<'_>) -> Option<Table> {
    const BITS: u16 = 258;
    const PHOTOMETRIC: u16 = 262;
    const SAMPLES: u16 = 277;
    const COLOUR_MAP: u16 = 320;
    let tiff = page.tiff;
    let find = |tag| page.entries().find(|entry| entry.tag == tag);
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
            let map = tiff.bytes.get(usize::try_from(tiff.u32(map.value)?).ok()?..)?.get(..6 * values)?;
            // All reds, then all greens, then all blues, sixteen bits each.
            let colour = |i: usize| [0, 1, 2].map(|c| tiff.u16(&map[2 * (c * values + i)..]).unwrap_or(0));
            (0..values).map(|i| colour(i).map(|v| (v >> 8) as u8)).collect()
        }
        _ => return None,
    };
    let black_is_zero = if tiff.little { [1, 0] } else { [0, 1] };
    Some(Table { bits: bits as u8, colours, photometric: (photometric.value_at, black_is_zero) })
}

/// The orientation by an EXIF block.
///
/// Writers of PNG and WebP sometimes leave JPEG's `Exif\0\0` in front of it.
pub(in crate::image) fn orientation(exif: Option<&[u8]>) -> Orientation {
    let first = |exif: &'_ [u8]| {
        let tiff = Tiff::new(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))?;
        Some(Page { tiff, at: tiff.first()? }.orientation())
    };
    exif.and_then(first).unwrap_or(Orientation::NoTransforms)
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
        let claims_too_much = |file: &[u8]| Page::new(file, 8).is_some_and(|page| page.claims_too_much());
        let mut block = exif(true, 4, 1);
        assert!(!claims_too_much(&block));
        // The high byte of the second entry's count.
        block[10 + 12 + 7] = 1;
        assert!(claims_too_much(&block));
        assert!(!claims_too_much(b"II*\0"));
    }

    /// Directories of one entry each, the subfile type; `next` is the number of the directory that follows, if any.
    fn directories(little: bool, all: &[(u32, Option<usize>)]) -> Vec<u8> {
        const BYTES: usize = 2 + 12 + 4;
        let two = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let four = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let mut file = if little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        file.extend(four(8));
        for (kind, next) in all {
            file.extend([two(1), two(SUBFILE_TYPE), two(4)].concat());
            file.extend([four(1), four(*kind), four(next.map_or(0, |n| (8 + n * BYTES) as u32))].concat());
        }
        file
    }

    fn followed(file: &[u8], max_pages: u64) -> (Vec<u32>, End) {
        let chain = chain(file, max_pages).unwrap();
        (chain.pages.iter().map(|page| (page.at - 8) / 18).collect(), chain.end)
    }

    #[test]
    fn chain_of_pages_is_followed_to_its_end() {
        for little in [true, false] {
            // Out of order in the file; the third has a thumbnail and a mask.
            let file = directories(little, &[(2, Some(2)), (0, None), (2, Some(3)), (1, Some(4)), (4, Some(1))]);
            assert_eq!(followed(&file, 5), (vec![0, 2, 1], End::Whole));
            assert_eq!(followed(&file, 4).1, End::TooMany);
            let thumbnail = directories(little, &[(1, None)]);
            assert_eq!(followed(&thumbnail, 9), (vec![0], End::Whole));
        }
    }

    #[test]
    fn chain_that_breaks_keeps_pages_before() {
        let circle = directories(true, &[(0, Some(1)), (0, Some(0))]);
        let (pages, end) = followed(&circle, 99);
        assert!(pages == [0, 1] && matches!(end, End::Broken(why) if why.contains("circle")));
        let file = directories(true, &[(0, Some(1)), (0, None)]);
        for cut in 26..file.len() {
            let (pages, end) = followed(&file[..cut], 99);
            assert!(pages == [0] && matches!(end, End::Broken(_)), "cut at {cut}");
        }
        for cut in 0..26 {
            assert!(chain(&file[..cut], 99).is_none_or(|chain| chain.pages.is_empty()), "cut at {cut}");
        }
    }

    proptest::proptest! {
        #[test]
        fn chain_of_any_bytes_ends(
            hits in proptest::collection::vec((0..98_usize, proptest::num::u8::ANY), 0..30),
            max_pages in 0..20_u64,
        ) {
            let mut file = directories(true, &[(2, Some(1)), (2, Some(2)), (2, Some(3)), (2, Some(4)), (2, None)]);
            hits.into_iter().for_each(|(at, value)| file[at] = value);
            if let Some(chain) = chain(&file, max_pages) {
                proptest::prop_assert!(chain.pages.len() as u64 <= max_pages);
                for page in chain.pages {
                    let _ = (page.pixels(), table(&page).is_some(), page.orientation());
                }
            }
        }
    }
}
