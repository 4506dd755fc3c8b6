//! The memory in which a picture is read: the program's static arena, or a block of the heap that grows.
//!
//! A picture is read in two phases, and each has all of the memory: finding text (scaled page, map, the detector's
//! tensors), then reading it (for each thread crops and the recogniser's tensors). [`parts`] divides it.

use crate::infer::MEMORY_ALIGN;
use crate::target;
use edge_ocr_engine::Arena;

/// The one block in which the embedded networks run. Zeros: nothing in the program's file, and no page of it is real
/// memory before it is used.
static ARENA: Arena<{ target::ARENA_BYTES }> = Arena::new();

/// The memory of one pipeline.
pub struct Workbench {
    arena: Option<&'static mut [u8]>,
    heap: Vec<u8>,
}

impl Workbench {
    /// Memory on the heap, as much as is asked for.
    pub fn on_heap() -> Workbench {
        Workbench { arena: None, heap: Vec::new() }
    }

    /// The static arena. It is there once: a second pipeline of the same process gets as much from the heap, now.
    pub fn in_arena() -> Workbench {
        match ARENA.take() {
            Some(arena) => Workbench { arena: Some(arena), heap: Vec::new() },
            None => {
                let mut bench = Workbench::on_heap();
                bench.bytes(target::ARENA_BYTES);
                bench
            }
        }
    }

    /// `count` bytes or more, aligned to [`MEMORY_ALIGN`]; what is in them is not defined. More than there is comes from the heap.
    pub fn bytes(&mut self, count: usize) -> &mut [u8] {
        match &mut self.arena {
            Some(arena) if arena.len() >= count => arena,
            _ => {
                if self.heap.len() < count + MEMORY_ALIGN {
                    // Freed first, so that old and new are never there together.
                    self.heap = Vec::new();
                    self.heap = vec![0; count + MEMORY_ALIGN];
                }
                let start = self.heap.as_ptr().align_offset(MEMORY_ALIGN);
                &mut self.heap[start..]
            }
        }
    }
}

/// Bytes that `count` takes up, so that what follows is aligned again.
pub const fn room(count: usize) -> usize {
    count.next_multiple_of(MEMORY_ALIGN)
}

/// Cuts parts of these bytes off the front, each aligned. The caller has asked for the sum of their [`room`]s.
pub fn parts<const N: usize>(mut memory: &mut [u8], bytes: [usize; N]) -> [&mut [u8]; N] {
    bytes.map(|count| {
        let (part, rest) = std::mem::take(&mut memory).split_at_mut(room(count));
        memory = rest;
        &mut part[..count]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_grows_and_is_divided() {
        let mut bench = Workbench::on_heap();
        for count in [1, 100, 5000, 60] {
            let memory = bench.bytes(count);
            assert!(memory.len() >= count && memory.as_ptr().align_offset(MEMORY_ALIGN) == 0);
        }
        let [a, b, c] = parts(bench.bytes(room(10) + room(0) + room(100)), [10, 0, 100]);
        assert_eq!([a.len(), b.len(), c.len()], [10, 0, 100]);
        assert_eq!(c.as_ptr().align_offset(MEMORY_ALIGN), 0);
    }
}
