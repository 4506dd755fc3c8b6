//! The memory in which an image is read: the program's static arena, or a block of the heap that grows.
//!
//! An image is read in two phases, and each has all of the memory: finding text (scaled page, map, the detector's
//! tensors), then reading it (for each thread crops and the recogniser's tensors). [`split_aligned`] divides it.
//!
//! Programs are started where memory is scarce, so whatever is reserved in advance is asked for with
//! `try_vec_with_capacity` or [`Workspace`], and a refusal is [`NoMemory`] instead of the end of the process.

use crate::param::Param;
use crate::target;
use edge_ocr_engine::Arena;
use edge_ocr_engine::arena::Lease;

/// What memory lent to a network must be aligned to, in bytes.
pub const MEMORY_ALIGN: usize = edge_ocr_engine::arena::ARENA_ALIGN;

/// The one block in which the embedded networks run. Zeros: nothing in the program's file, and no page of it is real
/// memory before it is used.
static ARENA: Arena<{ target::ARENA_BYTES }> = Arena::new();

/// The system gives no more memory.
#[derive(thiserror::Error, Debug, Clone, Copy, PartialEq, Eq)]
#[error(
    "there is no memory for {what} ({bytes} bytes); end other programs, raise the limit of this one (ulimit -v), or give fewer {threads}",
    threads = Param::Threads
)]
pub struct NoMemory {
    /// What it was for.
    pub what: &'static str,
    /// Bytes asked for at once.
    pub bytes: usize,
}

/// An empty vector with capacity for exactly `count` elements, which are for `what`.
pub(crate) fn try_vec_with_capacity<T>(count: usize, what: &'static str) -> Result<Vec<T>, NoMemory> {
    let mut list = Vec::new();
    let refused = |_| NoMemory { what, bytes: count.saturating_mul(size_of::<T>()) };
    list.try_reserve_exact(count).map_err(refused).map(|()| list)
}

/// Whether `bytes` can be had now. For what has no way of its own to be refused: zeros, which the system gives page
/// by page when they are used (a list that is filled with zeros is real at once), and boxes.
pub(crate) fn probe_allocation(bytes: usize, what: &'static str) -> Result<(), NoMemory> {
    // Not seen by the compiler, which may leave out an allocation that nobody uses.
    std::hint::black_box(try_vec_with_capacity::<u8>(bytes, what)?);
    Ok(())
}

/// The block that a pipeline's memory lies in.
enum Block<'a> {
    /// The static arena, free again when this is dropped.
    Leased(Lease<'static, { target::ARENA_BYTES }>),
    /// What is left of another pipeline's memory.
    Lent(&'a mut [u8]),
}

impl Block<'_> {
    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Block::Leased(lease) => lease,
            Block::Lent(bytes) => bytes,
        }
    }
}

/// The memory of one pipeline, or what is left of it.
pub struct Workspace<'a> {
    arena: Option<Block<'a>>,
    heap: Vec<u8>,
}

impl Workspace<'_> {
    /// Memory on the heap, as much as is asked for.
    pub fn on_heap() -> Workspace<'static> {
        Workspace { arena: None, heap: Vec::new() }
    }

    /// The static arena, which is free again when this is dropped. While another pipeline of the process has it, as
    /// much from the heap.
    pub fn in_arena() -> Result<Workspace<'static>, NoMemory> {
        match ARENA.lease() {
            Some(lease) => Ok(Workspace { arena: Some(Block::Leased(lease)), heap: Vec::new() }),
            None => {
                let mut workspace = Workspace::on_heap();
                workspace.bytes(target::ARENA_BYTES)?;
                Ok(workspace)
            }
        }
    }

    /// `count` bytes or more, aligned to [`MEMORY_ALIGN`]; what is in them is not defined. More than there is comes
    /// from the heap.
    pub fn bytes(&mut self, count: usize) -> Result<&mut [u8], NoMemory> {
        match self.arena.as_mut().map(Block::bytes) {
            Some(arena) if arena.len() >= count => Ok(arena),
            _ => {
                if self.heap.len() < count.saturating_add(MEMORY_ALIGN) {
                    // Freed first, so that old and new are never there together.
                    self.heap = Vec::new();
                    let bytes = count.saturating_add(MEMORY_ALIGN);
                    probe_allocation(bytes, "the networks' tensors")?;
                    self.heap = vec![0; bytes];
                }
                let start = self.heap.as_ptr().align_offset(MEMORY_ALIGN);
                Ok(&mut self.heap[start..])
            }
        }
    }
}

impl Workspace<'_> {
    /// Lends `count` bytes, aligned, to `work`, together with the rest of the memory. What there is no room for comes
    /// from the heap.
    pub fn beside<R>(
        &mut self,
        count: usize,
        work: impl FnOnce(&mut [u8], &mut Workspace<'_>) -> R,
    ) -> Result<R, NoMemory> {
        if self.block().len() < aligned_size(count) {
            let mut own = Workspace::on_heap();
            return Ok(work(&mut own.bytes(count)?[..count], self));
        }
        let (own, rest) = self.block().split_at_mut(aligned_size(count));
        Ok(work(&mut own[..count], &mut Workspace { arena: Some(Block::Lent(rest)), heap: Vec::new() }))
    }

    /// All there is now, aligned.
    fn block(&mut self) -> &mut [u8] {
        match &mut self.arena {
            Some(arena) => arena.bytes(),
            None => {
                let start = self.heap.as_ptr().align_offset(MEMORY_ALIGN).min(self.heap.len());
                &mut self.heap[start..]
            }
        }
    }
}

/// `count` bytes, rounded up so that what follows is aligned again.
pub const fn aligned_size(count: usize) -> usize {
    count.next_multiple_of(MEMORY_ALIGN)
}

/// Cuts parts of these bytes off the front, each aligned. The caller has asked for the sum of their [`aligned_size`]s.
pub fn split_aligned<const N: usize>(mut memory: &mut [u8], bytes: [usize; N]) -> [&mut [u8]; N] {
    bytes.map(|count| {
        let (part, rest) = std::mem::take(&mut memory).split_at_mut(aligned_size(count));
        memory = rest;
        &mut part[..count]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn memory_is_aligned_grows_and_is_divided() {
        let mut workspace = Workspace::on_heap();
        for count in [1, 100, 5000, 60] {
            let memory = workspace.bytes(count).unwrap();
            assert!(memory.len() >= count && memory.as_ptr().align_offset(MEMORY_ALIGN) == 0);
        }
        let [a, b, c] = split_aligned(
            workspace.bytes(aligned_size(10) + aligned_size(0) + aligned_size(100)).unwrap(),
            [10, 0, 100],
        );
        assert_eq!([a.len(), b.len(), c.len()], [10, 0, 100]);
        assert_eq!(c.as_ptr().align_offset(MEMORY_ALIGN), 0);
    }

    /// A pipeline that was made after another had been dropped took its memory from the heap.
    #[test]
    fn arena_is_free_after_drop() {
        // Other tests of this process make pipelines, too: theirs is waited for.
        let in_arena = || {
            let end = Instant::now() + Duration::from_secs(120);
            loop {
                let workspace = Workspace::in_arena().unwrap();
                if workspace.arena.is_some() {
                    return workspace;
                }
                assert!(Instant::now() < end, "the arena does not come back");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let first = in_arena();
        let mut second = Workspace::in_arena().unwrap();
        assert!(second.arena.is_none() && second.bytes(target::ARENA_BYTES).is_ok(), "from the heap, meanwhile");
        drop(first);
        drop(in_arena());
    }

    #[test]
    fn memory_is_lent_beside_the_rest() {
        let mut arena = vec![0_u64; 64];
        let arena: &mut [u8] = bytemuck::cast_slice_mut(&mut arena);
        let mut used = Workspace::on_heap();
        used.bytes(512).unwrap();
        let workspaces = [Workspace { arena: Some(Block::Lent(arena)), heap: Vec::new() }, used, Workspace::on_heap()];
        for (mut workspace, count) in workspaces.into_iter().zip([100, 100, 7]) {
            let lent = workspace.beside(count, |own, rest| {
                own.fill(1);
                rest.bytes(200).unwrap()[..200].fill(2);
                rest.bytes(5000).unwrap()[..5000].fill(3);
                own.iter().map(|v| usize::from(*v)).sum::<usize>()
            });
            assert_eq!(lent, Ok(count));
        }
    }

    #[test]
    fn failed_allocation_is_error_smaller_succeeds() {
        let mut workspace = Workspace::on_heap();
        for count in [usize::MAX, isize::MAX as usize, 1 << 60] {
            let refused = workspace.bytes(count).unwrap_err();
            assert!(refused.to_string().starts_with("there is no memory for the networks' tensors ("), "{refused}");
        }
        assert!(workspace.bytes(100).is_ok());
        assert_eq!(
            try_vec_with_capacity::<u64>(usize::MAX, "lines").unwrap_err(),
            NoMemory { what: "lines", bytes: usize::MAX }
        );
        assert!(try_vec_with_capacity::<u64>(100, "lines").unwrap().capacity() >= 100);
    }
}
