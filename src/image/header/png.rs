//! The chunks of a PNG.

/// Size of a PNG, its EXIF chunk, wherever in the file that stands, and its frames.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::image) struct Png<'a> {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Content of the eXIf chunk.
    pub exif: Option<&'a [u8]>,
    /// Frames of an animation beside the image that decoders give.
    pub further_frames: u32,
}

/// Walks the chunks of a PNG.
pub(in crate::image) fn walk(bytes: &[u8]) -> Option<Png<'_>> {
    let header = bytes.get(12..24)?;
    let (kind, size) = header.split_first_chunk::<4>()?;
    let (width, height) = size.split_first_chunk::<4>()?;
    if kind != b"IHDR" {
        return None;
    }
    let (width, height) = (u32::from_be_bytes(*width), u32::from_be_bytes(*height.first_chunk()?));
    let mut found = Png { width, height, exif: None, further_frames: 0 };
    // Whether the image itself has been passed, and whether it is a frame of the animation.
    let (mut passed, mut is_frame) = (false, false);
    let mut rest = bytes.get(8..)?;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let data = || after.get(4..).and_then(|data| data.get(..length));
        match after.first_chunk() {
            Some(b"eXIf") => found.exif = found.exif.or_else(data),
            Some(b"acTL") => {
                let frames = data().and_then(|data| data.first_chunk());
                found.further_frames = frames.map_or(0, |frames| u32::from_be_bytes(*frames));
            }
            Some(b"fcTL") => is_frame |= !passed,
            Some(b"IDAT") => passed = true,
            _ => {}
        }
        // Kind, data, checksum.
        let Some(next) = length.checked_add(8).and_then(|skip| after.get(skip..)) else { break };
        rest = next;
    }
    found.further_frames = found.further_frames.saturating_sub(is_frame.into());
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exif_is_found_behind_the_pixels() {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x07\0\0\0\x09\x08\0\0\0\0crc.".to_vec();
        bytes.extend(b"\0\0\0\x02IDATxxcrc.\0\0\0\x03eXIfabccrc.");
        assert_eq!(walk(&bytes), Some(Png { width: 7, height: 9, exif: Some(b"abc"), further_frames: 0 }));
        bytes.truncate(40);
        assert_eq!(walk(&bytes), Some(Png { width: 7, height: 9, exif: None, further_frames: 0 }));
        assert_eq!(walk(&bytes[..23]), None);
    }

    #[test]
    fn frames_beside_the_image_are_counted() {
        let further = |chunks: &[&[u8]]| {
            let start = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x07\0\0\0\x09\x08\0\0\0\0crc.".to_vec();
            let file = [start, chunks.concat()].concat();
            for cut in 0..file.len() {
                let _ = walk(&file[..cut]);
            }
            walk(&file).unwrap().further_frames
        };
        let animation = b"\0\0\0\x08acTL\0\0\0\x05\0\0\0\0crc.";
        let (frame, image) = (b"\0\0\0\x01fcTLxcrc.", b"\0\0\0\x02IDATxxcrc.");
        assert_eq!(further(&[animation, frame, image, frame]), 4);
        assert_eq!(further(&[animation, image, frame]), 5, "the image stands for programs without animations");
        assert_eq!(further(&[image]), 0);
    }
}
