//! The segments of a JPEG before its first scan, and how many scans there are.

/// So many scans are read of any image; encoders make up to some twelve.
const SCANS: u64 = 16;
/// More of them only while they go over no more pixels than this in all: each goes over the whole image, and takes
/// next to no bytes.
const SCANNED_PIXELS: u64 = 1 << 28;

/// The start of a JPEG up to its first scan.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::image) struct Jpeg<'a> {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Progressive (SOF2) rather than sequential.
    pub progressive: bool,
    /// Sampling factors (across, down) of each component.
    pub sampling: Vec<(u8, u8)>,
    /// Components in the first scan.
    pub first_scan_components: u8,
    /// The TIFF structure of the first EXIF segment.
    pub exif: Option<&'a [u8]>,
    /// Where the index of further images begins in the file; see [`super::mpf`].
    pub mpf: Option<usize>,
    /// Whether the image's end follows: without it, the file was cut.
    pub ends: bool,
    /// Bytes of coded data in the first scan.
    pub first_scan_bytes: usize,
    /// Why no decoder here reads it, if the frame is of a kind that none does.
    pub unsupported: Option<&'static str>,
}

impl Jpeg<'_> {
    /// Whether all coefficients must be kept until the last scan, rather than a row of blocks at a time.
    pub fn keeps_coefficients(&self) -> bool {
        self.progressive || usize::from(self.first_scan_components) < self.sampling.len()
    }

    /// Height in pixels of a row of blocks, over all components.
    pub fn block_height(&self) -> u32 {
        8 * u32::from(self.sampling.iter().map(|s| s.1).max().unwrap_or(1).max(1))
    }

    /// Whether the first scan has less data than one row of its blocks takes: each a bit, and without progression
    /// another one.
    pub fn has_no_data(&self) -> bool {
        let across = self.sampling.iter().map(|s| s.0).max().unwrap_or(1).max(1);
        let units = u64::from(self.width.div_ceil(8 * u32::from(across)));
        let interleaved = usize::from(self.first_scan_components) == self.sampling.len() && self.sampling.len() > 1;
        let blocks = match interleaved {
            true => self.sampling.iter().map(|&(h, v)| u64::from(h) * u64::from(v)).sum(),
            false => 1,
        };
        let bits = if self.progressive { 1 } else { 2 };
        (self.first_scan_bytes as u64) * 8 < units * blocks * bits
    }

    /// Number of DCT coefficients of the whole image, each component padded to whole MCUs.
    pub fn coefficients(&self) -> u64 {
        let across = self.sampling.iter().map(|s| s.0).max().unwrap_or(1).max(1);
        let down = self.sampling.iter().map(|s| s.1).max().unwrap_or(1).max(1);
        let mcus = u64::from(self.width.div_ceil(8 * u32::from(across)))
            * u64::from(self.height.div_ceil(8 * u32::from(down)));
        let blocks: u64 = self.sampling.iter().map(|&(h, v)| u64::from(h) * u64::from(v)).sum();
        mcus * blocks * 64
    }
}

/// Walks the segments of a JPEG as lenient decoders do: to the next marker, whatever lies before it.
pub(in crate::image) fn walk(bytes: &[u8]) -> Option<Jpeg<'_>> {
    let mut found = Jpeg::default();
    let mut at = 2; // behind SOI
    loop {
        at += bytes.get(at..)?.iter().position(|&b| b == 0xFF)?;
        at += bytes.get(at..)?.iter().position(|&b| b != 0xFF && b != 0)?;
        let marker = *bytes.get(at)?;
        let length = usize::from(u16::from_be_bytes(*bytes.get(at + 1..)?.first_chunk()?));
        let segment = bytes.get(at + 3..)?.get(..length.checked_sub(2)?)?;
        match marker {
            0xC0..=0xC2 => {
                let [_, h1, h0, w1, w0, count, ..] = *segment else { return None };
                found.width = u32::from(u16::from_be_bytes([w1, w0]));
                found.height = u32::from(u16::from_be_bytes([h1, h0]));
                found.progressive = marker == 0xC2;
                let components = segment.get(6..6 + 3 * usize::from(count))?.as_chunks::<3>().0;
                found.sampling = components.iter().map(|c| (c[1] >> 4, c[1] & 15)).collect();
            }
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                found.unsupported = Some(if marker & 8 != 0 {
                    "it is arithmetic-coded"
                } else if marker == 0xC3 {
                    "it is a lossless JPEG"
                } else {
                    "it is a hierarchical JPEG"
                });
                return Some(found);
            }
            0xDA => {
                found.first_scan_components = *segment.first()?;
                // In coded data a byte FF is never followed by D9.
                found.ends = bytes.get(at..)?.windows(2).any(|pair| pair == [0xFF, 0xD9]);
                found.first_scan_bytes = coded_bytes(bytes.get(at + 1 + length..).unwrap_or_default());
                let scans = scans(&bytes[at - 1..]);
                if scans > SCANS && scans * u64::from(found.width) * u64::from(found.height) > SCANNED_PIXELS {
                    found.unsupported = Some("it has more scans than its size allows");
                }
                return (found.width > 0 && !found.sampling.is_empty()).then_some(found);
            }
            0xE2 if segment.starts_with(b"MPF\0") => found.mpf = Some(at + 7),
            0xE1 if found.exif.is_none() => found.exif = segment.strip_prefix(b"Exif\0\0"),
            _ => {}
        }
        at += 1 + length;
    }
}

/// Bytes of coded data up to the next marker. In coded data a byte FF is followed by 00 or a restart marker; FF may
/// also be repeated.
fn coded_bytes(bytes: &[u8]) -> usize {
    let marker = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xD0..=0xD7 | 0xFF);
    bytes.windows(2).position(marker).unwrap_or(bytes.len())
}

/// Scans from the first one's marker on, up to the image's end.
fn scans(mut bytes: &[u8]) -> u64 {
    let mut count = 0;
    loop {
        let at = coded_bytes(bytes);
        if at + 1 >= bytes.len() {
            break;
        }
        let marker = bytes[at + 1];
        bytes = &bytes[at + 2..];
        match marker {
            0xD9 => break,
            0x01 | 0xD8 => continue,
            0xDA => count += 1,
            _ => {}
        }
        let length = bytes.first_chunk().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
        bytes = bytes.get(length..).unwrap_or_default();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_are_counted_between_segments_and_coded_data() {
        let scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 0x12, 0xFF, 0x00, 0x34, 0xFF, 0xD3, 0x56];
        // A table that looks like the end and like scans.
        let table = [0xFF, 0xC4, 0, 8, 0xFF, 0xD9, 0xFF, 0xDA, 0xFF, 0xDA, 0xFF];
        let file = [&scan[..], &scan, &table, &scan, &[0xFF, 0xD9], &scan].concat();
        assert_eq!(scans(&file), 3);
        for end in 0..file.len() {
            assert!(scans(&file[..end]) <= 3);
        }
    }

    /// A scan of some tens of bytes over forty megapixels, a thousand times: minutes of work in a small file.
    #[test]
    fn small_file_with_many_jpeg_scans_refused() {
        let file = |width: u16, scans: usize| {
            let [high, low] = width.to_be_bytes();
            let mut file = vec![0xFF, 0xD8, 0xFF, 0xC2, 0, 11, 8, high, low, high, low, 1, 1, 0x11, 0];
            for _ in 0..scans {
                file.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 0x12]);
            }
            file.extend([0xFF, 0xD9]);
            file
        };
        let refused = |width, scans| walk(&file(width, scans)).unwrap().unsupported.is_some();
        assert!(refused(6320, 1000) && refused(6320, 17) && !refused(6320, 16));
        assert!(refused(600, 1000) && !refused(600, 64));
    }

    #[test]
    fn coefficients_follow_the_sampling() {
        let jpeg =
            |sampling: &[(u8, u8)]| Jpeg { width: 17, height: 16, sampling: sampling.to_vec(), ..Jpeg::default() };
        assert_eq!(jpeg(&[(1, 1)]).coefficients(), 3 * 2 * 64);
        assert_eq!(jpeg(&[(2, 2), (1, 1), (1, 1)]).coefficients(), 2 * 6 * 64);
        assert_eq!(jpeg(&[(1, 1); 3]).coefficients(), 3 * 2 * 3 * 64);
    }

    #[test]
    fn the_first_scan_tells_whether_coefficients_stay() {
        // SOI, an EXIF segment, fill bytes, SOF0 of 5x3 with three components, SOS with one of them.
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1, 0, 10, b'E', b'x', b'i', b'f', 0, 0, 7, 8, 0xFF, 0xFF];
        bytes.extend([0xFF, 0xC0, 0, 17, 8, 0, 3, 0, 5, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]);
        bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
        let found = walk(&bytes).unwrap();
        assert_eq!((found.width, found.height), (5, 3));
        assert_eq!(found.sampling, [(2, 2), (1, 1), (1, 1)]);
        assert_eq!(found.exif, Some(&[7, 8][..]));
        assert!(found.keeps_coefficients() && !found.progressive);
        for end in 0..bytes.len() - 2 {
            assert!(walk(&bytes[..end]).is_none(), "cut at {end}");
        }
    }
}
