//! The blocks of a GIF.

/// Number of frames, as far as the data reaches.
pub(in crate::image) fn frames(bytes: &[u8]) -> u32 {
    const EXTENSION: u8 = 0x21;
    const FRAME: u8 = 0x2C;
    let table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let mut frames = 0;
    // Behind the signature and the screen with its palette.
    let mut at = 13 + bytes.get(10).map_or(0, |&flags| table(flags));
    loop {
        at += match bytes.get(at) {
            Some(&EXTENSION) => 2,
            Some(&FRAME) => {
                frames += 1;
                // Place, size, flags, the palette, and the size of codes.
                11 + bytes.get(at + 9).map_or(0, |&flags| table(flags))
            }
            _ => return frames,
        };
        // Data in pieces, of which the last is empty.
        while let Some(&length) = bytes.get(at) {
            at += 1 + usize::from(length);
            if length == 0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_gif_are_counted() {
        let frame = b"\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x4C\x01\0";
        let with_palette = b"\x2C\0\0\0\0\x01\0\x01\0\x80\xFF\0\0\0\0\xFF\x02\x02\x4C\x01\0";
        let control = b"\x21\xF9\x04\0\0\0\0\0";
        let screen = b"GIF89a\x03\0\x02\0\x80\0\0\xFF\0\0\0\0\xFF";
        let file = [&screen[..], control, frame, control, with_palette, frame, b"\x3B", frame].concat();
        assert_eq!(frames(&file), 3);
        for cut in 0..file.len() {
            assert!(frames(&file[..cut]) <= 3, "cut at {cut}");
        }
    }

    proptest::proptest! {
        #[test]
        fn frames_of_any_bytes_end(bytes in proptest::collection::vec(0..64_u8, 0..400)) {
            proptest::prop_assert!(frames(&bytes) as usize <= bytes.len());
        }
    }
}
