//! PNM frames: where one ends in a stream of them. The crate `image` decodes one, and reads it from a whole file.

use super::Part;

/// Longest header: two sides, a greatest value and comments.
const MAX_HEADER_BYTES: usize = 1024;

/// Cuts a stream of binary PNM images (P4, P5, P6) into frames. White space between them is passed over.
#[derive(Debug)]
pub(super) struct PnmSplitter {
    max_bytes: usize,
    frame: Vec<u8>,
    /// Length of the frame, once its header is whole.
    length: Option<usize>,
}

impl PnmSplitter {
    /// Frames of at most `max_bytes` bytes.
    pub fn new(max_bytes: usize) -> PnmSplitter {
        PnmSplitter { max_bytes, frame: Vec::new(), length: None }
    }

    /// Takes the next bytes of the stream, however cut, and gives the frames that end in them.
    ///
    /// # Errors
    /// One clause saying what is wrong with a header. Such a stream cannot be read on: nothing tells where the next
    /// frame begins.
    pub fn push(&mut self, mut bytes: &[u8], give: &mut dyn FnMut(Part)) -> Result<(), String> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let Some(length) = self.length {
                let (now, later) = bytes.split_at((length - self.frame.len()).min(bytes.len()));
                self.frame.extend_from_slice(now);
                bytes = later;
                if self.frame.len() == length {
                    self.length = None;
                    give(Part::Frame(std::mem::take(&mut self.frame)));
                }
                continue;
            }
            bytes = rest;
            let space = byte.is_ascii_whitespace();
            if space && self.frame.is_empty() {
                continue;
            }
            self.frame.push(byte);
            // A header ends with a white space.
            if space && let Some(length) = frame_bytes(&self.frame)? {
                if length > self.max_bytes {
                    return Err(format!(
                        "its header promises {length} bytes, more than the limit of {} bytes",
                        self.max_bytes
                    ));
                }
                self.length = Some(length);
            } else if self.frame.len() >= MAX_HEADER_BYTES {
                return Err(format!("what should be a PNM header is longer than {MAX_HEADER_BYTES} bytes"));
            }
        }
        Ok(())
    }
}

/// Bytes of header and pixels together if `header` ends with the white space after its last number, `None` if it goes
/// on.
fn frame_bytes(header: &[u8]) -> Result<Option<usize>, String> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut comment) = (String::new(), false);
    for &byte in header {
        if comment && !matches!(byte, b'\n' | b'\r') {
            continue;
        }
        comment = byte == b'#';
        if byte.is_ascii_whitespace() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        } else if !comment {
            word.push(char::from(byte));
        }
    }
    let Some(kind) = words.first() else { return Ok(None) };
    let (numbers, samples) = match kind.as_str() {
        "P4" => (2, 0),
        "P5" => (3, 1),
        "P6" => (3, 3),
        "P1" | "P2" | "P3" | "P7" => {
            return Err(format!("{kind} images are not read from a stream, only P4, P5 and P6"));
        }
        _ => return Err("it does not begin with P4, P5 or P6".into()),
    };
    if words.len() <= numbers {
        return Ok(None);
    }
    let number = |i: usize| words[i].parse::<u32>().map_err(|_| "a number of its header is none".to_owned());
    let (width, height) = (number(1)? as usize, number(2)? as usize);
    let row = match numbers {
        2 => Some(width.div_ceil(8)),
        _ => match number(3)? {
            1..=255 => width.checked_mul(samples),
            256..=65535 => width.checked_mul(samples * 2),
            _ => return Err("its greatest value is not from 1 to 65535".into()),
        },
    };
    if width == 0 || height == 0 {
        return Err("its header promises no pixels".into());
    }
    let whole = row.and_then(|row| row.checked_mul(height)).and_then(|pixels| pixels.checked_add(header.len()));
    whole.map(Some).ok_or_else(|| "its header promises more bytes than there are".into())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Junk, repeat};
    use super::*;
    use proptest::prelude::*;

    fn split(max_bytes: usize, chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
        let mut frames = Vec::new();
        let mut splitter = PnmSplitter::new(max_bytes);
        for chunk in chunks {
            splitter.push(chunk, &mut |part| {
                if let Part::Frame(frame) = part {
                    frames.push(frame);
                }
            })?;
            assert!(splitter.frame.len() <= max_bytes.max(MAX_HEADER_BYTES));
        }
        Ok(frames)
    }

    fn stream() -> (Vec<u8>, Vec<Vec<u8>>) {
        let frames = vec![
            b"P6 2 1 255\n\n23456".to_vec(),
            b"P5\n# a comment 9 9\n3 # another\n2\n65535\n0123456789ab".to_vec(),
            b"P4 9 2\n\xff\x80\x00\x00".to_vec(),
        ];
        ([&frames[0][..], b"\n \n", &frames[1], &frames[2]].concat(), frames)
    }

    #[test]
    fn frames_follow_each_other() {
        let (stream, frames) = stream();
        assert_eq!(split(100, &[&stream]).unwrap(), frames);
        let decoded = edge_ocr::image::decode::decode(&frames[0], &Default::default()).unwrap();
        assert_eq!(decoded.as_raw(), b"\n23456", "white space may be a pixel");
        for frame in &frames {
            edge_ocr::image::decode::decode(frame, &Default::default()).unwrap();
        }
    }

    #[test]
    fn headers_that_cannot_be() {
        let long = format!("P5 {}", "#".repeat(2000));
        for (header, word) in [
            ("P5 0 3 255 ", "no pixels"),
            ("P5 4294967295 4294967295 255 ", "promises"),
            ("P6 1000 1000 255\n", "limit of 1000"),
            ("P6 1 1 65536\n", "greatest"),
            ("P6 1 x 255\n", "none"),
            ("P3 1 1 255\n", "P3"),
            ("GIF89a ", "begin with"),
            (&long, "longer than"),
        ] {
            let said = split(1000, &[header.as_bytes()]).unwrap_err();
            assert!(said.contains(word), "{header}: {said}");
        }
    }

    proptest! {
        #[test]
        fn however_it_is_cut(cuts in prop::collection::vec(0usize..70, 0..10)) {
            let (stream, frames) = stream();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|c| &stream[c[0]..c[1]]).collect();
            prop_assert_eq!(split(100, &chunks).unwrap(), frames);
        }
    }

    #[test]
    fn damaged_streams() {
        let (stream, _) = stream();
        let mut junk = Junk::new(5);
        repeat(2000, || {
            let damaged = junk.damage(&stream);
            let (chunk, later) = damaged.split_at(junk.below(damaged.len() + 1));
            for frame in split(500, &[chunk, later]).unwrap_or_default() {
                let _ = edge_ocr::image::decode::decode(&frame, &Default::default());
            }
        });
    }
}
