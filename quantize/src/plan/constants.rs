//! The block of constants that all input sizes share.

use edge_ocr_engine::pack::{self, padded};
use edge_ocr_engine::plan::Span;
use std::collections::HashMap;

/// Alignment of each constant.
const ALIGN: usize = 64;

/// Constants by node and part; made when they are first asked for.
#[derive(Debug, Default)]
pub struct Constants {
    bytes: Vec<u8>,
    known: HashMap<(usize, u8), Span>,
}

impl Constants {
    /// The whole block; a multiple of 64 bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Part `part` of node `node`.
    pub fn raw(&mut self, node: usize, part: u8, make: impl FnOnce() -> Vec<u8>) -> Span {
        if let Some(span) = self.known.get(&(node, part)) {
            return *span;
        }
        let data = make();
        let span = Span { offset: self.bytes.len(), len: data.len() };
        self.bytes.extend(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        self.known.insert((node, part), span);
        span
    }

    /// i8.
    pub fn i8(&mut self, node: usize, part: u8, make: impl FnOnce() -> Vec<i8>) -> Span {
        self.raw(node, part, || make().iter().map(|w| *w as u8).collect())
    }

    /// i32, padded with 0 to 16.
    pub fn i32(&mut self, node: usize, part: u8, make: impl FnOnce() -> Vec<i32>) -> Span {
        self.raw(node, part, || {
            let mut v = make();
            v.resize(padded(v.len()), 0);
            v.iter().flat_map(|x| x.to_le_bytes()).collect()
        })
    }

    /// f32, padded with 0 to 16.
    pub fn f32(&mut self, node: usize, part: u8, make: impl FnOnce() -> Vec<f32>) -> Span {
        self.raw(node, part, || {
            let mut v = make();
            v.resize(padded(v.len()), 0.0);
            v.iter().flat_map(|x| x.to_le_bytes()).collect()
        })
    }

    /// A matrix of `k` rows and `n` columns whose element is `at(row, column)`, packed.
    pub fn matrix(&mut self, node: usize, part: u8, k: usize, n: usize, at: impl Fn(usize, usize) -> f32) -> Span {
        self.f32(node, part, || {
            let values: Vec<f32> = (0..k).flat_map(|r| (0..n).map(move |c| (r, c))).map(|(r, c)| at(r, c)).collect();
            let mut packed = vec![0.0; pack::matrix_len(k, n).unwrap_or_default()];
            // A validated graph has no empty or oversized matrix; the plan is checked once more when it is done.
            let _ = pack::matrix(&values, k, n, &mut packed);
            packed
        })
    }
}
