//! How records lie in a segment file.
//!
//! ```text
//! segment = header, frames, zeros up to the end
//! header  = "EOCRBOX", version "2", number u64, next id u64, removed u64, CRC-32 of these 32 bytes
//! frame   = "eo", kind u16, length u32, id u64, CRC-32 of the payload, CRC-32 of these 20 bytes, payload
//! kind    = 1 record, 2 mark (all ids up to this one have been removed),
//!           3 next (ids up to this one may have been given), 4 removed record
//! ```
//!
//! A record that is removed although older ones wait is marked in its place: its head is written again with kind 4. So
//! what is known of a record lies with it, and each segment can be deleted as soon as nothing in it waits.
//!
//! Version 1 has no kind 4 and is read, and continued, as version 2. A program that knows version 1 only takes the
//! header for damaged and passes over kind 4, so it sends what waits, and at most some records once more. Segments of
//! a later version are left alone.
//!
//! All numbers are little endian. A frame's head has a checksum of its own, so that a damaged payload does not cost
//! the place of the next frame; it is seeded with the segment's number, so that bytes of another segment are never
//! taken for its own.

use std::ops::Range;

/// Bytes at the beginning of a segment.
pub(super) const HEADER_BYTES: usize = 36;
/// Bytes before a payload.
pub(super) const FRAME_BYTES: usize = 24;
/// No more of a segment file is read.
pub(super) const MAX_SEGMENT_BYTES: u64 = 8 << 20;
/// Larger ids are taken for damage; it leaves room to count on.
pub(super) const MAX_ID: u64 = 1 << 62;

const MAGIC: &[u8; 7] = b"EOCRBOX";
/// The version that is written, and the oldest that is read.
const VERSION: u8 = b'2';
const OLDEST_VERSION: u8 = b'1';
const FRAME_MAGIC: &[u8; 2] = b"eo";
const RECORD: u16 = 1;
const MARK: u16 = 2;
const NEXT: u16 = 3;
const REMOVED: u16 = 4;

/// What a segment says of the time when it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Names the file.
    pub number: u64,
    /// No id from here on had been given.
    pub next_id: u64,
    /// All ids up to here had been removed.
    pub removed: u64,
}

/// A record in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub id: u64,
    /// Where its frame begins.
    pub at: usize,
    /// Length of the payload.
    pub len: usize,
}

/// What was found in a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// `None` if it is damaged or was never written.
    pub header: Option<Header>,
    /// Records that were not removed one by one. Ids rise.
    pub slots: Vec<Slot>,
    /// The last id of a record, removed or not, that was not found before.
    pub last_id: u64,
    /// All ids up to here have been removed.
    pub removed: u64,
    /// No id from here on is known.
    pub next_id: u64,
    /// After the last good frame.
    pub end: usize,
    /// Where the last good frame begins, if it is a mark.
    pub last_mark: Option<usize>,
    /// Places that cannot be read, each of one or more frames; one at the end is [`torn`](Self::torn) and counted too.
    pub damaged: u64,
    /// Whether anything but zeros comes after `end`.
    pub torn: bool,
}

pub(super) fn write_header(out: &mut Vec<u8>, header: Header) {
    let start = out.len();
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    for value in [header.number, header.next_id, header.removed] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// A frame with a payload of at most [`MAX_SEGMENT_BYTES`].
pub(super) fn write_record(out: &mut Vec<u8>, number: u64, id: u64, payload: &[u8]) {
    write_frame(out, number, RECORD, id, payload);
}

/// A frame that says that all ids up to `removed` have been removed.
pub(super) fn write_mark(out: &mut Vec<u8>, number: u64, removed: u64) {
    write_frame(out, number, MARK, removed, &[]);
}

/// A frame that says that ids up to `id` may have been given though no record has them.
pub(super) fn write_next(out: &mut Vec<u8>, number: u64, id: u64) {
    write_frame(out, number, NEXT, id, &[]);
}

fn write_frame(out: &mut Vec<u8>, number: u64, kind: u16, id: u64, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(FRAME_MAGIC);
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let crc = seeded_crc(number, &out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(payload);
}

/// The head of a removed record, made from that of the record `id`; `None` if this is not its head.
pub(super) fn removed_head(head: &[u8], number: u64, id: u64) -> Option<[u8; FRAME_BYTES]> {
    let parsed = Head::parse(head, number).filter(|head| head.kind == RECORD && head.id == id);
    let mut out: [u8; FRAME_BYTES] = head.get(..FRAME_BYTES)?.try_into().ok()?;
    parsed?;
    out[2..4].copy_from_slice(&REMOVED.to_le_bytes());
    let crc = seeded_crc(number, &out[..20]);
    out[20..].copy_from_slice(&crc.to_le_bytes());
    Some(out)
}

fn seeded_crc(number: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// The payload of the record `id` whose frame is `bytes`, if it is undamaged.
pub(super) fn payload(bytes: &[u8], number: u64, id: u64) -> Option<&[u8]> {
    let head = Head::parse(bytes, number)?;
    let payload = bytes.get(FRAME_BYTES..)?.get(..head.len)?;
    (head.kind == RECORD && head.id == id && crc32fast::hash(payload) == head.payload_crc).then_some(payload)
}

struct Head {
    kind: u16,
    id: u64,
    len: usize,
    payload_crc: u32,
}

impl Head {
    fn parse(bytes: &[u8], number: u64) -> Option<Head> {
        let bytes = bytes.get(..FRAME_BYTES)?;
        if !bytes.starts_with(FRAME_MAGIC) || u32_at(bytes, 20) != seeded_crc(number, &bytes[..20]) {
            return None;
        }
        let id = u64_at(bytes, 8);
        let kind = u16::from_le_bytes([bytes[2], bytes[3]]);
        (id <= MAX_ID).then_some(Head { kind, id, len: u32_at(bytes, 4) as usize, payload_crc: u32_at(bytes, 16) })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn read_header(bytes: &[u8], number: u64) -> Option<Header> {
    let bytes = bytes.get(..HEADER_BYTES)?;
    let header = Header { number: u64_at(bytes, 8), next_id: u64_at(bytes, 16), removed: u64_at(bytes, 24) };
    let good = version(bytes).is_some_and(|version| (OLDEST_VERSION..=VERSION).contains(&version));
    (good && header.number == number && header.next_id <= MAX_ID && header.removed <= MAX_ID).then_some(header)
}

/// The version of an undamaged header.
fn version(bytes: &[u8]) -> Option<u8> {
    let header = bytes.get(..HEADER_BYTES)?;
    (header.starts_with(MAGIC) && u32_at(header, 32) == crc32fast::hash(&header[..32])).then(|| header[MAGIC.len()])
}

/// The version of a segment that a later program wrote, which this one cannot read.
pub(super) fn later_version(bytes: &[u8]) -> Option<char> {
    version(bytes).filter(|version| *version > VERSION).map(char::from)
}

/// Whether a segment begins with an undamaged header of this number.
pub(super) fn is_header(bytes: &[u8], number: u64) -> bool {
    read_header(bytes, number).is_some()
}

/// Reads the segment `number`. Records whose ids are not above `after`, or above those before them, are passed over:
/// they have been found already.
///
/// Nothing is believed without its checksum. After a damaged head the next good one is searched byte by byte.
pub(super) fn scan(bytes: &[u8], number: u64, after: u64) -> Scan {
    let header = read_header(bytes, number);
    let mut found = Scan { header, end: HEADER_BYTES.min(bytes.len()), last_id: after, ..Scan::default() };
    match header {
        Some(header) => (found.removed, found.next_id) = (header.removed, header.next_id),
        None if is_zero(bytes) => return found,
        None => found.damaged = 1,
    }
    let mut at = HEADER_BYTES;
    while let Some((start, head)) = next_head(bytes, number, at) {
        let end = start + FRAME_BYTES + head.len;
        let Some(payload) = bytes.get(start + FRAME_BYTES..end) else { break };
        if start > at {
            found.damaged += 1;
        }
        at = end;
        if crc32fast::hash(payload) != head.payload_crc {
            found.damaged += 1;
            found.next_id = found.next_id.max(head.id + 1);
            continue;
        }
        found.end = end;
        found.next_id = found.next_id.max(head.id + 1);
        found.last_mark = (head.kind == MARK).then_some(start);
        match head.kind {
            MARK => found.removed = found.removed.max(head.id),
            RECORD | REMOVED if head.id > found.last_id => {
                found.last_id = head.id;
                if head.kind == RECORD {
                    found.slots.push(Slot { id: head.id, at: start, len: head.len });
                }
            }
            _ => {}
        }
    }
    // What lies after the last frame, good or not: the rest of a write that a power cut ended.
    let rest: Range<usize> = at.min(bytes.len())..bytes.len();
    if !is_zero(&bytes[rest]) {
        found.damaged += 1;
    }
    found.torn = !is_zero(&bytes[found.end..]);
    found
}

/// The first good head at `from` or after it.
fn next_head(bytes: &[u8], number: u64, from: usize) -> Option<(usize, Head)> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == FRAME_MAGIC[0])?;
        if let Some(head) = Head::parse(&bytes[at..], number) {
            return Some((at, head));
        }
        at += 1;
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(number: u64, payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_header(&mut bytes, Header { number, next_id: 1, removed: 0 });
        for (i, payload) in payloads.iter().enumerate() {
            write_record(&mut bytes, number, i as u64 + 1, payload);
        }
        bytes
    }

    fn payloads(bytes: &[u8], number: u64) -> Vec<(u64, Vec<u8>)> {
        let read = |slot: &Slot| (slot.id, payload(&bytes[slot.at..], number, slot.id).unwrap().to_vec());
        scan(bytes, number, 0).slots.iter().map(read).collect()
    }

    #[test]
    fn marks_and_zeros() {
        let mut bytes = segment(3, &[b"one".to_vec(), b"".to_vec()]);
        let end = bytes.len();
        write_mark(&mut bytes, 3, 2);
        bytes.resize(4096, 0);
        let found = scan(&bytes, 3, 0);
        assert_eq!((found.removed, found.next_id, found.damaged, found.torn), (2, 3, 0, false));
        assert_eq!((found.end, found.last_mark), (end + FRAME_BYTES, Some(end)));
        assert_eq!(payloads(&bytes, 3), [(1, b"one".to_vec()), (2, vec![])]);
        assert!(scan(&bytes, 3, 1).slots.iter().all(|slot| slot.id == 2), "what is known is passed over");
    }

    #[test]
    fn removed_record_is_no_slot() {
        let mut bytes = segment(3, &[b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        let second = scan(&bytes, 3, 0).slots[1];
        assert_eq!(removed_head(&bytes[second.at..], 3, 3), None, "another id");
        assert_eq!(removed_head(&bytes[second.at..], 4, 2), None, "another segment");
        let head = removed_head(&bytes[second.at..], 3, 2).unwrap();
        bytes[second.at..second.at + FRAME_BYTES].copy_from_slice(&head);
        let found = scan(&bytes, 3, 0);
        assert_eq!((found.damaged, found.next_id, found.last_id), (0, 4, 3));
        assert_eq!(payloads(&bytes, 3), [(1, b"one".to_vec()), (3, b"three".to_vec())]);
        assert_eq!(payload(&bytes[second.at..], 3, 2), None);
    }

    #[test]
    fn header_of_version_1_is_read() {
        let header = |version: u8| {
            let mut bytes = segment(3, &[b"one".to_vec()]);
            bytes[7] = version;
            let crc = crc32fast::hash(&bytes[..32]);
            bytes[32..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
            bytes
        };
        for version in *b"12" {
            assert!(is_header(&header(version), 3) && later_version(&header(version)).is_none());
            assert_eq!(payloads(&header(version), 3), [(1, b"one".to_vec())]);
        }
        assert_eq!((is_header(&header(b'3'), 3), later_version(&header(b'3'))), (false, Some('3')));
        assert!(!is_header(&header(b'0'), 3) && later_version(&header(b'0')).is_none());
    }

    #[test]
    fn never_written_is_not_damaged() {
        for len in [0, 10, 4096] {
            let found = scan(&vec![0; len], 1, 0);
            assert_eq!((found.header, found.damaged, found.torn), (None, 0, false), "{len}");
        }
    }

    #[test]
    fn another_segments_bytes_are_damage() {
        let bytes = segment(1, &[b"one".to_vec()]);
        let found = scan(&bytes, 2, 0);
        assert!(found.slots.is_empty() && found.damaged > 0 && found.torn);
    }

    #[test]
    fn a_lost_page_costs_only_what_was_in_it() {
        let all: Vec<Vec<u8>> = (0..40).map(|i| vec![i; 100]).collect();
        let mut bytes = segment(1, &all);
        bytes[1024..1536].fill(0);
        let found = scan(&bytes, 1, 0);
        // The first is damaged in its payload; what comes after it is one gap.
        assert_eq!((found.damaged, found.torn, found.slots.len()), (2, false, 40 - 6));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_costs_one_record(
            all in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..12),
            place in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let mut bytes = segment(7, &all);
            bytes.resize(bytes.len() + 50, 0);
            let expected = payloads(&bytes, 7);
            let used = bytes.len() - 50;
            bytes[place.index(used)] ^= 1 << bit;
            let found = payloads(&bytes, 7);
            prop_assert!(found.iter().all(|record| expected.contains(record)));
            prop_assert!(found.len() + 1 >= expected.len());
            prop_assert_eq!(scan(&bytes, 7, 0).damaged, 1);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400), number: u64, after: u64) {
            let found = scan(&bytes, number, after);
            prop_assert!(found.end <= bytes.len());
        }
    }
}
