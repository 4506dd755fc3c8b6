//! The chunks of a WebP.
#![cfg_attr(not(feature = "formats"), allow(dead_code))]

/// What a WebP is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::image) struct WebP<'a> {
    /// Has a chunk of frames.
    pub animated: bool,
    /// Number of such chunks.
    pub frames: u32,
    /// Has a lossless image.
    pub lossless: bool,
    /// Has a separate plane of alpha.
    pub alpha: bool,
    /// Width and height by the bitstream of the lossy image outside the frames.
    pub lossy_size: Option<(u32, u32)>,
    /// The first frame is a lossy image of another size than the frame: the decoder allocates by the former and
    /// writes by the latter.
    pub frame_disagrees: bool,
    /// Content of the EXIF chunk.
    pub exif: Option<&'a [u8]>,
}

/// Walks the chunks; ends quietly where they end.
pub(in crate::image) fn walk(bytes: &[u8]) -> WebP<'_> {
    let mut found = WebP::default();
    for (kind, data) in chunks(bytes.get(12..).unwrap_or_default()) {
        match kind {
            b"VP8 " => found.lossy_size = found.lossy_size.or_else(|| lossy_size(data)),
            b"VP8L" => found.lossless = true,
            b"ALPH" => found.alpha = true,
            b"ANMF" => {
                if !found.animated {
                    found.frame_disagrees = frame_disagrees(data);
                }
                found.animated = true;
                found.frames += 1;
            }
            b"ANIM" => {}
            b"EXIF" => found.exif = found.exif.or(Some(data)),
            _ => {}
        }
    }
    found
}

/// The chunks of a run of chunks: kind and content, which of the last one may be cut short.
fn chunks(mut rest: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        // Padded to an even length.
        rest = length.checked_add(length % 2).and_then(|skip| after.get(skip..)).unwrap_or_default();
        Some((kind, after.get(..length).unwrap_or(after)))
    })
}

/// Width and height of a VP8 key frame (RFC 6386, section 9.1).
fn lossy_size(data: &[u8]) -> Option<(u32, u32)> {
    let [_, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1, ..] = *data else { return None };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
    Some((side(w0, w1), side(h0, h1)))
}

/// Whether the lossy image of a frame differs in size from the frame.
fn frame_disagrees(frame: &[u8]) -> bool {
    let three = |at: usize| {
        let bytes = *frame.get(at..)?.first_chunk::<3>()?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) + 1)
    };
    let mut parts = chunks(frame.get(16..).unwrap_or_default());
    let image = match parts.next() {
        Some((b"VP8 ", data)) => lossy_size(data),
        // The decoder takes what follows alpha for a lossy image whatever it is called.
        Some((b"ALPH", _)) => parts.next().and_then(|(_, data)| lossy_size(data)),
        _ => None,
    };
    image.is_some_and(|(width, height)| (Some(width), Some(height)) != (three(6), three(9)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut bytes = [kind, &(data.len() as u32).to_le_bytes()[..], data].concat();
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    }

    fn key_frame(width: u8, height: u8) -> Vec<u8> {
        chunk(b"VP8 ", &[0, 0, 0, 0x9D, 0x01, 0x2A, width, 0, height, 0, 1])
    }

    fn frame(width: u8, height: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let mut data = vec![0; 16];
        (data[6], data[9]) = (width - 1, height - 1);
        data.extend(parts.concat());
        chunk(b"ANMF", &data)
    }

    #[test]
    fn parts_and_sizes_are_found() {
        let file = |parts: &[Vec<u8>]| [b"RIFF....WEBP".to_vec(), parts.concat()].concat();
        let still = file(&[chunk(b"ALPH", b"abc"), key_frame(7, 9), chunk(b"EXIF", b"xyz")]);
        let found = walk(&still);
        assert_eq!((found.alpha, found.lossy_size, found.exif), (true, Some((7, 9)), Some(&b"xyz"[..])));
        assert!(!walk(&file(&[frame(7, 9, &[key_frame(7, 9)])])).frame_disagrees);
        assert_eq!(walk(&file(&[frame(7, 9, &[]), frame(7, 9, &[])])).frames, 2);
        assert!(walk(&file(&[frame(7, 9, &[key_frame(7, 8)])])).frame_disagrees);
        assert!(walk(&file(&[frame(7, 9, &[chunk(b"ALPH", b"a"), key_frame(8, 9)])])).frame_disagrees);
        for end in 0..still.len() {
            walk(&still[..end]);
        }
    }
}
