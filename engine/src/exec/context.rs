//! What a step's call needs besides the step.

use crate::arena::{self, Memory, Plain};
use crate::error::Error;
use crate::kernels::Kernels;
use crate::plan::{Span, Tensor};
use crate::tensor::{Element, Shape, View, ViewMut};
use core::ops::Range;

/// A piece of one phase's work, and the worker that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// Whose scratch is used.
    pub worker: usize,
    /// Workers of this run.
    pub workers: usize,
    /// Which of the equal pieces.
    pub piece: usize,
    /// Pieces of this phase; 0 when nothing is to be computed.
    pub pieces: usize,
    /// The first piece of this phase for this worker: what all pieces need is still to be put into its scratch.
    pub first: bool,
}

impl Share {
    /// The only worker does everything.
    pub const ALL: Share = Share { worker: 0, workers: 1, piece: 0, pieces: 1, first: true };
    /// An empty share: operators only check their arguments.
    pub const NOTHING: Share = Share { worker: 0, workers: 0, piece: 0, pieces: 0, first: true };

    /// This piece of `units` rows, pixels or tokens. Which worker does what never changes a result: no operator
    /// carries anything from one unit to another.
    pub fn of(&self, units: usize) -> Range<usize> {
        self.of_blocks(units, 1)
    }

    /// As [`Share::of`], with pieces that start at multiples of `block`: kernels are fastest on whole blocks.
    pub fn of_blocks(&self, units: usize, block: usize) -> Range<usize> {
        if self.pieces == 0 {
            return 0..0;
        }
        let blocks = units.div_ceil(block);
        let start = |piece: usize| (blocks * piece / self.pieces * block).min(units);
        start(self.piece)..start(self.piece + 1)
    }

    /// Nothing is to be computed.
    pub fn is_nothing(&self) -> bool {
        self.pieces == 0
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Context<'x> {
    pub constants: &'x [u8],
    pub memory: &'x Memory<'x>,
    pub kernels: &'static Kernels,
    /// Byte of the arena at which the first worker's scratch starts; the others' follow.
    pub scratch: usize,
    pub scratch_bytes: usize,
}

impl<'x> Context<'x> {
    pub fn constants<T: Plain>(&self, span: Span) -> Result<&'x [T], Error> {
        arena::constants(self.constants, span)
    }

    pub fn view<T: Element>(&self, t: &Tensor) -> Result<View<'x, T>, Error> {
        self.view_as(t, t.shape)
    }

    /// The tensor to read, seen with `shape`.
    pub fn view_as<T: Element>(&self, t: &Tensor, shape: Shape) -> Result<View<'x, T>, Error> {
        // SAFETY: inside of `Context::run`, whose caller sees to it that nobody writes what a step reads.
        unsafe { self.memory.view(t, shape) }
    }

    pub fn view_mut<T: Element>(&self, t: &Tensor) -> Result<ViewMut<'x, T>, Error> {
        self.view_mut_as(t, t.shape)
    }

    /// The tensor to write, seen with `shape`.
    pub fn view_mut_as<T: Element>(&self, t: &Tensor, shape: Shape) -> Result<ViewMut<'x, T>, Error> {
        // SAFETY: as in `view_as`; what others write at the same time are other pieces of the tensor.
        unsafe { self.memory.view_mut(t, shape) }
    }

    /// `count` numbers to write from byte `offset` of the arena on.
    #[allow(clippy::mut_from_ref)] // operators ask for what is theirs: a piece of the output, or their worker's scratch
    pub fn slice<T: Plain>(&self, offset: usize, count: usize) -> Result<&'x mut [T], Error> {
        // SAFETY: as in `view_mut_as`; a worker's scratch is used by one thread at a time.
        unsafe { self.memory.slice(offset, count) }
    }

    /// `count` numbers to read that an earlier phase wrote.
    pub fn read<T: Plain>(&self, offset: usize, count: usize) -> Result<&'x [T], Error> {
        // SAFETY: as in `view_as`.
        unsafe { self.memory.read(offset, count) }
    }

    /// Byte of the arena at which a worker's scratch starts.
    pub fn scratch_at(&self, worker: usize) -> usize {
        self.scratch + worker * self.scratch_bytes
    }

    /// A worker's scratch.
    #[allow(clippy::mut_from_ref)] // each worker asks for its own
    pub fn scratch<T: Plain>(&self, share: Share) -> Result<&'x mut [T], Error> {
        self.slice(self.scratch_at(share.worker), self.scratch_bytes / size_of::<T>())
    }
}

/// All pixels as rows of one: for operators that treat each pixel alone, so that workers can share maps of few rows.
pub(crate) fn column(s: &Shape) -> Shape {
    Shape { h: s.h * s.w, w: 1, ..*s }
}
