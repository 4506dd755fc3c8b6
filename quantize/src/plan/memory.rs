//! Bytes on the heap that start at a multiple of 64, for plans and arenas of the host.

/// Bytes that start at a multiple of 64.
#[derive(Debug)]
pub struct AlignedBytes {
    memory: Vec<u8>,
    skip: usize,
}

impl AlignedBytes {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> AlignedBytes {
        let memory = vec![0; len + 64];
        let skip = memory.as_ptr().align_offset(64).min(64);
        let mut aligned = AlignedBytes { memory, skip };
        aligned.memory.truncate(skip + len);
        aligned
    }

    /// A copy of `bytes`.
    pub fn copy(bytes: &[u8]) -> AlignedBytes {
        let mut aligned = AlignedBytes::zeroed(bytes.len());
        aligned.bytes_mut().copy_from_slice(bytes);
        aligned
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.skip..]
    }

    /// The bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.skip..]
    }
}
