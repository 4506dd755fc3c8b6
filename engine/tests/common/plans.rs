//! Plans of small networks that use every operator, made by `quantize/tests/plan.rs` (which also says when they are
//! out of date, and makes them again when EDGE_OCR_UPDATE is set).

/// Names and bytes.
pub const PLANS: [(&str, &[u8]); 3] = [
    ("det", include_bytes!("../data/det.plan")),
    ("rec", include_bytes!("../data/rec.plan")),
    ("cls", include_bytes!("../data/cls.plan")),
];

/// Bytes at a multiple of 64, with a margin of canaries on both sides.
pub struct Guarded {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

const MARGIN: usize = 256;
const CANARY: u8 = 0xA5;

impl Guarded {
    pub fn new(len: usize) -> Guarded {
        let memory = vec![CANARY; len + 2 * MARGIN];
        let start = MARGIN + memory[MARGIN..].as_ptr().align_offset(64).min(64);
        let mut g = Guarded { memory, start, len };
        g.bytes_mut().fill(0);
        g
    }

    pub fn copy(bytes: &[u8]) -> Guarded {
        let mut g = Guarded::new(bytes.len());
        g.bytes_mut().copy_from_slice(bytes);
        g
    }

    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }

    /// Nobody wrote outside.
    pub fn intact(&self) -> bool {
        let (before, rest) = self.memory.split_at(self.start);
        before.iter().chain(&rest[self.len..]).all(|b| *b == CANARY)
    }
}
