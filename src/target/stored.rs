//! Plans as they lie in the program: as they are used, or deflated where the program must be small.
//!
//! INT8 weights have 6.5 bits of entropy a byte, so a fifth is saved. The price is memory for the inflated plans, and
//! time when the program starts: about 25 instructions a byte (`benches/results/2026-11-25-boards.md`).

use fdeflate::Decompressor;
use std::sync::OnceLock;

/// The bytes of a plan.
#[derive(Debug)]
pub enum Stored {
    /// As they are used.
    Plain(&'static [u8]),
    /// Deflated, with zlib's header.
    Deflated {
        /// What is stored.
        bytes: &'static [u8],
        /// Memory of exactly the plan's length, aligned to 64; there once.
        memory: fn() -> Option<&'static mut [u8]>,
        /// The plan, from the first use on.
        plan: OnceLock<Result<&'static [u8], String>>,
    },
}

impl Stored {
    /// Bytes in the program's file.
    pub fn file_bytes(&self) -> usize {
        match self {
            Stored::Plain(bytes) | Stored::Deflated { bytes, .. } => bytes.len(),
        }
    }

    /// The plan's bytes; deflated ones are inflated by the first call.
    pub(super) fn plan(&'static self) -> Result<&'static [u8], String> {
        match self {
            Stored::Plain(bytes) => Ok(bytes),
            Stored::Deflated { bytes, memory, plan } => plan
                .get_or_init(|| match memory() {
                    Some(memory) => inflate(bytes, memory),
                    None => Err("its memory is in use".into()),
                })
                .clone(),
        }
    }
}

/// Fills `memory` with what `bytes` are the deflated form of. That they are the right ones is the plan's own
/// checksum's business.
fn inflate<'a>(bytes: &[u8], memory: &'a mut [u8]) -> Result<&'a [u8], String> {
    let mut decompressor = Decompressor::new();
    decompressor.ignore_adler32();
    let (mut read, mut written) = (0, 0);
    while !decompressor.is_done() {
        let step = decompressor.read(&bytes[read..], memory, written, true);
        let (more_read, more_written) = step.map_err(|e| format!("it cannot be inflated: {e:?}"))?;
        if more_read == 0 && more_written == 0 {
            break;
        }
        (read, written) = (read + more_read, written + more_written);
    }
    if decompressor.is_done() && written == memory.len() {
        return Ok(memory);
    }
    Err(format!("it cannot be inflated: {written} bytes of {} are there", memory.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "abcabcabc…", 30 bytes: three literals and a repetition.
    const STORED: [u8; 13] = [0x78, 0xda, 0x4b, 0x4c, 0x4a, 0x4e, 0xc4, 0x8d, 0, 0xb2, 0x0c, 0x0b, 0x7d];

    #[test]
    fn what_was_deflated_comes_back() {
        assert_eq!(inflate(&STORED, &mut [0; 30]), Ok("abc".repeat(10).as_bytes()));
    }

    #[test]
    fn what_does_not_fit_or_is_damaged_is_an_error() {
        for len in [0, 29, 31] {
            assert!(inflate(&STORED, &mut vec![0; len]).is_err(), "{len}");
        }
        for end in 0..STORED.len() - 4 {
            assert!(inflate(&STORED[..end], &mut [0; 30]).is_err(), "{end}");
        }
        assert!(inflate(&[0x78, 0xda, 0xff, 0xff], &mut [0; 30]).is_err());
    }
}
