//! A file of which some bytes are replaced for a decoder, without a copy of it.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// See the module.
pub(super) struct Patched<'a> {
    file: &'a [u8],
    /// Where each patch begins, and its bytes; in ascending order.
    patches: Vec<(usize, Vec<u8>)>,
    at: usize,
}

impl<'a> Patched<'a> {
    pub fn new(file: &'a [u8]) -> Self {
        Patched { file, patches: Vec::new(), at: 0 }
    }

    /// Replaces the bytes from `at` on; what goes beyond the file is left out. Of two patches that overlap, the
    /// earlier counts.
    pub fn patch(mut self, at: usize, bytes: &[u8]) -> Self {
        let room = self.file.len().saturating_sub(at);
        self.patches.push((at, bytes.iter().take(room).copied().collect()));
        self.patches.sort();
        self
    }

    /// The bytes from here to where a patch begins or ends.
    fn rest(&self) -> &[u8] {
        let mut end = self.file.len();
        for (start, bytes) in &self.patches {
            if let Some(within) = self.at.checked_sub(*start) {
                match bytes.get(within..) {
                    Some(patch) if !patch.is_empty() => return patch,
                    _ => {}
                }
            } else {
                end = end.min(*start);
            }
        }
        self.file.get(self.at..end).unwrap_or_default()
    }
}

impl BufRead for Patched<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.rest())
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.at.saturating_add(amount);
    }
}

impl Read for Patched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.rest().read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl Seek for Patched<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(by) => (self.file.len() as u64, by),
            SeekFrom::Current(by) => (self.at as u64, by),
        };
        let at = from.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        self.at = usize::try_from(at).unwrap_or(usize::MAX);
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn patched_reads_as_a_patched_copy(
            file in prop::collection::vec(any::<u8>(), 0..40),
            first in 0..14_usize,
            second in 20..50_usize,
            patch in prop::collection::vec(any::<u8>(), 0..6),
            from in 0..50_u64,
            piece in 1..7_usize,
        ) {
            let mut copy = file.clone();
            for start in [first, second] {
                for (i, byte) in patch.iter().enumerate().filter(|(i, _)| start + i < file.len()) {
                    copy[start + i] = *byte;
                }
            }
            let mut patched = Patched::new(&file).patch(second, &patch).patch(first, &patch);
            patched.seek(SeekFrom::Start(from)).unwrap();
            let mut read: Vec<u8> = Vec::new();
            loop {
                let mut buffer = vec![0; piece];
                match patched.read(&mut buffer).unwrap() {
                    0 => break,
                    count => read.extend(&buffer[..count]),
                }
            }
            prop_assert_eq!(read.as_slice(), copy.get(from as usize..).unwrap_or_default());
        }
    }
}
