//! The chunks of a PNG.

/// Size of a PNG and its EXIF chunk, wherever in the file that stands.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::image) struct Png<'a> {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Content of the eXIf chunk.
    pub exif: Option<&'a [u8]>,
}

/// Walks the chunks of a PNG.
pub(in crate::image) fn walk(bytes: &[u8]) -> Option<Png<'_>> {
    let header = bytes.get(12..24)?;
    let (kind, size) = header.split_first_chunk::<4>()?;
    let (width, height) = size.split_first_chunk::<4>()?;
    if kind != b"IHDR" {
        return None;
    }
    let mut found =
        Png { width: u32::from_be_bytes(*width), height: u32::from_be_bytes(*height.first_chunk()?), exif: None };
    let mut rest = bytes.get(8..)?;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if after.starts_with(b"eXIf") {
            found.exif = after.get(4..).and_then(|data| data.get(..length));
            break;
        }
        // Kind, data, checksum.
        let Some(next) = length.checked_add(8).and_then(|skip| after.get(skip..)) else { break };
        rest = next;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exif_is_found_behind_the_pixels() {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x07\0\0\0\x09\x08\0\0\0\0crc.".to_vec();
        bytes.extend(b"\0\0\0\x02IDATxxcrc.\0\0\0\x03eXIfabccrc.");
        assert_eq!(walk(&bytes), Some(Png { width: 7, height: 9, exif: Some(b"abc") }));
        bytes.truncate(40);
        assert_eq!(walk(&bytes), Some(Png { width: 7, height: 9, exif: None }));
        assert_eq!(walk(&bytes[..23]), None);
    }
}
