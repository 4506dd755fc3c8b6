//! JPEG frames: the tables that cameras leave out, and where a frame ends in a stream of them. Decoders keep both to
//! themselves: none takes a frame without tables, and none tells how long one is.

use super::Part;
use std::borrow::Cow;

/// Codes of each length from 1 to 16 in the tables K.3 (DC, luminance), K.4 (DC, chrominance), K.5 (AC, luminance)
/// and K.6 (AC, chrominance) of ITU-T T.81.
const DC_LUMA_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const DC_CHROMA_COUNTS: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
const AC_LUMA_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
const AC_CHROMA_COUNTS: [u8; 16] = [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119];
/// What the codes mean, in the order of the codes; both DC tables have the same.
const DC_VALUES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
#[rustfmt::skip]
const AC_LUMA_VALUES: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32,
    0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0A, 0x16,
    0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45,
    0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94,
    0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6,
    0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8,
    0xD9, 0xDA, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
    0xF9, 0xFA,
];
#[rustfmt::skip]
const AC_CHROMA_VALUES: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81,
    0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1, 0x0A, 0x16, 0x24, 0x34,
    0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44,
    0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92,
    0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4,
    0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6,
    0xD7, 0xD8, 0xD9, 0xDA, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
    0xF9, 0xFA,
];

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;

/// A segment that defines the four standard tables.
fn standard_tables() -> Vec<u8> {
    let tables: [(u8, &[u8; 16], &[u8]); 4] = [
        (0x00, &DC_LUMA_COUNTS, &DC_VALUES),
        (0x10, &AC_LUMA_COUNTS, &AC_LUMA_VALUES),
        (0x01, &DC_CHROMA_COUNTS, &DC_VALUES),
        (0x11, &AC_CHROMA_COUNTS, &AC_CHROMA_VALUES),
    ];
    let length = 2 + tables.iter().map(|(_, counts, values)| 1 + counts.len() + values.len()).sum::<usize>();
    let mut segment = vec![0xFF, 0xC4];
    segment.extend((length as u16).to_be_bytes());
    for (class_and_place, counts, values) in tables {
        segment.push(class_and_place);
        segment.extend(counts);
        segment.extend(values);
    }
    segment
}

/// `bytes` with the standard Huffman tables if it is a sequential JPEG that has none, as USB cameras and AVI files
/// leave them out ("MJPEG" has fixed tables). Decoders differ in what they do without: this one's default refuses,
/// others insert the tables only where an AVI1 marker says so.
pub(super) fn with_tables(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(at) = missing_tables(bytes) else { return Cow::Borrowed(bytes) };
    let tables = standard_tables();
    let mut whole = Vec::with_capacity(bytes.len() + tables.len());
    whole.extend_from_slice(&bytes[..at]);
    whole.extend(tables);
    whole.extend_from_slice(&bytes[at..]);
    Cow::Owned(whole)
}

/// Where the first scan begins, if no table was defined before it.
fn missing_tables(bytes: &[u8]) -> Option<usize> {
    bytes.strip_prefix(&[0xFF, SOI])?;
    let (mut at, mut sequential) = (2, false);
    loop {
        at += bytes.get(at..)?.iter().position(|&b| b == 0xFF)?;
        let fill = bytes.get(at..)?.iter().position(|&b| b != 0xFF)?;
        let marker_at = at + fill;
        match *bytes.get(marker_at)? {
            SOS => return sequential.then_some(marker_at - 1),
            0xC4 | EOI => return None,
            // Stand alone, or no marker at all.
            0x00 | 0x01 | 0xD0..=0xD8 => at = marker_at + 1,
            marker => {
                sequential |= matches!(marker, 0xC0 | 0xC1);
                let length = u16::from_be_bytes(*bytes.get(marker_at + 1..)?.first_chunk()?);
                at = marker_at + 1 + usize::from(length.max(2));
            }
        }
    }
}

/// Cuts a stream of JPEGs into frames. Segments are stepped over by their lengths, so the end of a thumbnail inside
/// one does not count as the end of the frame.
#[derive(Debug)]
pub(super) struct JpegSplitter {
    max_bytes: usize,
    frame: Vec<u8>,
    state: State,
    /// Whether a scan was seen: without, it is a file of tables.
    scan: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before SOI; whether the last byte was FF.
    Outside(bool),
    /// Where a marker's FF is due.
    Between,
    /// Behind FF.
    Marker,
    /// At the first or second byte of a length.
    Length(u8, Option<u8>),
    /// In a segment: bytes left, and whether coded data follows.
    Segment(usize, bool),
    /// In coded data; whether the last byte was FF.
    Coded(bool),
}

impl JpegSplitter {
    /// Frames of at most `max_bytes` bytes.
    pub fn new(max_bytes: usize) -> JpegSplitter {
        JpegSplitter { max_bytes, frame: Vec::new(), state: State::Outside(false), scan: false }
    }

    /// Takes the next bytes of the stream, however cut, and gives the frames that end in them.
    pub fn push(&mut self, mut bytes: &[u8], give: &mut dyn FnMut(Part)) {
        while !bytes.is_empty() {
            // As many bytes as cannot change the state, and at least one.
            let run = match self.state {
                State::Outside(false) | State::Coded(false) => {
                    bytes.iter().position(|&b| b == 0xFF).unwrap_or(bytes.len())
                }
                State::Segment(left, _) => left.min(bytes.len()),
                _ => 0,
            };
            if run > 0 {
                let (now, later) = bytes.split_at(run);
                bytes = later;
                if let State::Segment(left, coded) = self.state {
                    self.state = after_segment(left - run, coded);
                }
                if !matches!(self.state, State::Outside(_)) {
                    self.keep(now, give);
                }
                continue;
            }
            let byte = bytes[0];
            bytes = &bytes[1..];
            self.step(byte, give);
        }
    }

    fn step(&mut self, byte: u8, give: &mut dyn FnMut(Part)) {
        match self.state {
            State::Outside(marker) => {
                if marker && byte == SOI {
                    self.begin();
                } else {
                    self.state = State::Outside(byte == 0xFF);
                }
                return;
            }
            State::Between => self.state = if byte == 0xFF { State::Marker } else { State::Between },
            State::Marker => match byte {
                SOI => {
                    // The frame before was cut off.
                    give(Part::Broken("it was cut off"));
                    self.begin();
                    return;
                }
                EOI => {
                    self.frame.push(byte);
                    self.state = State::Outside(false);
                    let frame = std::mem::take(&mut self.frame);
                    if self.scan {
                        give(Part::Frame(frame));
                    }
                    return;
                }
                0xFF => {}
                0x00 | 0x01 | 0xD0..=0xD7 => self.state = State::Between,
                marker => self.state = State::Length(marker, None),
            },
            State::Length(marker, None) => self.state = State::Length(marker, Some(byte)),
            State::Length(marker, Some(high)) => {
                let length = usize::from(u16::from_be_bytes([high, byte]));
                self.scan |= marker == SOS;
                self.state = after_segment(length.saturating_sub(2), marker == SOS);
            }
            // Both have bytes that are no markers: stuffing, and marks to restart at.
            State::Coded(true) if matches!(byte, 0x00 | 0xD0..=0xD7) => self.state = State::Coded(false),
            State::Coded(true) => {
                if byte != 0xFF {
                    self.state = State::Marker;
                    return self.step(byte, give);
                }
            }
            State::Coded(false) => self.state = State::Coded(byte == 0xFF),
            // Never empty: `push` takes all bytes of a segment.
            State::Segment(..) => {}
        }
        self.keep(&[byte], give);
    }

    fn begin(&mut self) {
        self.frame.clear();
        self.frame.extend([0xFF, SOI]);
        self.state = State::Between;
        self.scan = false;
    }

    fn keep(&mut self, bytes: &[u8], give: &mut dyn FnMut(Part)) {
        // Room for the end marker's last byte, which is not kept here.
        if self.frame.len() + bytes.len() >= self.max_bytes {
            self.frame = Vec::new();
            self.state = State::Outside(false);
            give(Part::TooLarge);
        } else {
            self.frame.extend_from_slice(bytes);
        }
    }
}

fn after_segment(left: usize, coded: bool) -> State {
    match (left, coded) {
        (0, true) => State::Coded(false),
        (0, false) => State::Between,
        _ => State::Segment(left, coded),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Junk, jpeg, repeat, without_tables};
    use super::*;
    use proptest::prelude::*;

    fn split(max_bytes: usize, chunks: &[&[u8]]) -> (Vec<Vec<u8>>, usize) {
        let (mut frames, mut lost) = (Vec::new(), 0);
        let mut splitter = JpegSplitter::new(max_bytes);
        for chunk in chunks {
            splitter.push(chunk, &mut |part| match part {
                Part::Frame(frame) => frames.push(frame),
                _ => lost += 1,
            });
            assert!(splitter.frame.len() <= max_bytes);
        }
        (frames, lost)
    }

    #[test]
    fn a_frame_without_tables_is_the_same_image() {
        let whole = jpeg(3);
        let bare = without_tables(&whole);
        assert!(bare.len() + 400 < whole.len(), "the tables were there");
        let pixels = |bytes: &[u8]| edge_ocr::image::decode::decode(bytes, &Default::default()).map(|p| p.into_raw());
        let reduced = |bytes: &[u8]| {
            edge_ocr::image::decode::decode_reduced(bytes, &Default::default(), 1000).map(|r| r.image.into_raw())
        };
        assert!(pixels(&bare).is_err(), "or this would not be needed");
        assert_eq!(pixels(&with_tables(&bare)).unwrap(), pixels(&whole).unwrap());
        assert_eq!(reduced(&with_tables(&bare)).unwrap(), reduced(&whole).unwrap());
        assert!(matches!(with_tables(&whole), Cow::Borrowed(_)), "a whole frame is not copied");
    }

    #[test]
    fn a_thumbnail_does_not_end_the_frame() {
        let (outer, inner) = (jpeg(1), jpeg(2));
        let mut frame = vec![0xFF, SOI, 0xFF, 0xE1];
        frame.extend((inner.len() as u16 + 2).to_be_bytes());
        frame.extend(&inner);
        frame.extend(&outer[2..]);
        let stream = [b"junk".as_slice(), &frame, &[0, 0xFF, 0], &outer].concat();
        let (frames, lost) = split(1 << 20, &[&stream]);
        assert_eq!((frames, lost), (vec![frame, outer], 0));
    }

    #[test]
    fn a_cut_frame_and_an_endless_one_are_dropped() {
        let whole = jpeg(1);
        let stream = [&whole[..whole.len() / 2], &whole].concat();
        let (frames, lost) = split(1 << 20, &[&stream]);
        assert_eq!((frames, lost), (vec![whole.clone()], 1));
        let endless = [&whole[..whole.len() - 2], &vec![7; 5000], &whole].concat();
        let (frames, lost) = split(whole.len(), &[&endless]);
        assert_eq!((frames, lost), (vec![whole.clone()], 1));
        assert_eq!(split(whole.len() - 1, &[&whole]).0.len(), 0, "the limit is strict");
    }

    proptest! {
        #[test]
        fn however_it_is_cut(sizes in prop::collection::vec(1usize..400, 1..20)) {
            let stream = [jpeg(1), b"\r\n".to_vec(), jpeg(2), jpeg(3)].concat();
            let mut chunks = Vec::new();
            let mut rest = &stream[..];
            for size in sizes {
                let (chunk, later) = rest.split_at(size.min(rest.len()));
                chunks.push(chunk);
                rest = later;
            }
            chunks.push(rest);
            prop_assert_eq!(split(1 << 20, &chunks), (vec![jpeg(1), jpeg(2), jpeg(3)], 0));
        }
    }

    #[test]
    fn damaged_streams() {
        let stream = [jpeg(1), jpeg(2)].concat();
        let mut junk = Junk::new(17);
        repeat(300, || {
            let damaged = junk.damage(&stream);
            let (chunk, later) = damaged.split_at(junk.below(damaged.len() + 1));
            let (frames, _) = split(4000, &[chunk, later]);
            for frame in frames {
                assert!(frame.len() <= 4000 && frame.starts_with(&[0xFF, SOI]) && frame.ends_with(&[0xFF, EOI]));
                let _ = edge_ocr::image::decode::decode(&with_tables(&frame), &Default::default());
            }
            let _ = with_tables(&damaged);
        });
    }
}
