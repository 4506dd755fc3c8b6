//! The memory in which plans run, and the only place outside the kernels where bytes become tensors.

use crate::error::Error;
use crate::plan::{Span, Tensor};
use crate::tensor::{Element, SLACK_BYTES, Shape, View, ViewMut};
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// Alignment of an arena.
pub const ARENA_ALIGN: usize = 64;

/// `N` bytes of static memory, aligned to 64: `static ARENA: Arena<{ ARENA_BYTES }> = Arena::new();`
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Arena<const N: usize> {
    bytes: UnsafeCell<[u8; N]>,
    taken: AtomicBool,
}

// SAFETY: the flag allows one borrower at a time, who has a mutable borrow.
unsafe impl<const N: usize> Sync for Arena<N> {}

impl<const N: usize> Arena<N> {
    /// Zeros (in `.bss`: nothing in the program's file).
    #[allow(clippy::new_without_default)] // a static needs `const`
    pub const fn new() -> Self {
        Arena { bytes: UnsafeCell::new([0; N]), taken: AtomicBool::new(false) }
    }

    /// The memory until the lease is dropped; `None` while somebody else has it. It holds whatever the last borrower
    /// left there.
    pub fn lease(&self) -> Option<Lease<'_, N>> {
        // Acquire: all writes of the last borrower, whose drop was a release, are seen by this one. A lease is not
        // made before the flag is known to be ours: dropping it would free the memory of whoever has it.
        if self.taken.swap(true, Ordering::Acquire) { None } else { Some(Lease { arena: self }) }
    }

    /// The memory for the rest of the program's life; `None` if somebody has it.
    #[allow(clippy::mut_from_ref)] // the lease gives it away once only
    pub fn take(&'static self) -> Option<&'static mut [u8]> {
        let lease = core::mem::ManuallyDrop::new(self.lease()?);
        // SAFETY: the lease is the only one, and as it is never dropped there is never another.
        Some(unsafe { &mut *lease.arena.bytes.get() })
    }
}

/// An [`Arena`] on loan. Dropping the lease gives the memory back.
#[derive(Debug)]
pub struct Lease<'a, const N: usize> {
    arena: &'a Arena<N>,
}

impl<const N: usize> Deref for Lease<'_, N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: there is one lease at a time, and `self` is borrowed for as long as the bytes are.
        unsafe { &*self.arena.bytes.get() }
    }
}

impl<const N: usize> DerefMut for Lease<'_, N> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: there is one lease at a time, and `self` is borrowed mutably for as long as the bytes are.
        unsafe { &mut *self.arena.bytes.get() }
    }
}

impl<const N: usize> Drop for Lease<'_, N> {
    fn drop(&mut self) {
        // Release: what was written here is seen by the next borrower.
        self.arena.taken.store(false, Ordering::Release);
    }
}

/// An arena while an executor borrows it.
///
/// Its views may be used by several workers at once. There is no data race, because
///
/// * plans are checked so that no step writes what its kernels may read of an input: neither its elements nor the
///   slack after them nor the rest of a started block of 16 channels in a gap between pixels. The planner therefore
///   leaves
///   [`SLACK_BYTES`] after every tensor (64 bytes each, less than a thousandth of the arenas);
/// * where an element-wise operator writes the tensor that it reads, its kernels read no byte that they do not write;
/// * workers are given disjoint parts of an output, and no step begins before the one before it has ended.
#[derive(Debug)]
pub(crate) struct Memory<'a> {
    base: *mut u8,
    len: usize,
    life: PhantomData<&'a mut [u8]>,
}

// SAFETY: plain bytes, borrowed mutably for 'a; for their use by several threads see the type.
unsafe impl Send for Memory<'_> {}
// SAFETY: as above.
unsafe impl Sync for Memory<'_> {}

impl<'a> Memory<'a> {
    /// The memory; `None` unless it starts at a multiple of [`ARENA_ALIGN`].
    pub fn new(bytes: &'a mut [u8]) -> Option<Self> {
        let aligned = bytes.as_ptr().addr().is_multiple_of(ARENA_ALIGN);
        aligned.then_some(Memory { base: bytes.as_mut_ptr(), len: bytes.len(), life: PhantomData })
    }

    /// Where `span` bytes at `offset`, and `slack` more, lie.
    fn at(&self, offset: usize, span: Option<usize>, slack: usize) -> Result<*mut u8, Error> {
        let end = span.and_then(|s| s.checked_add(slack)).and_then(|s| s.checked_add(offset));
        match end {
            Some(end) if end <= self.len => Ok(self.base.wrapping_add(offset)),
            _ => Err(Error::Length { op: "arena", what: "tensor", need: end.unwrap_or(usize::MAX), have: self.len }),
        }
    }

    fn check<T>(t: &Tensor) -> Result<(), Error> {
        let ok = t.dtype.size() == size_of::<T>();
        if ok { Ok(()) } else { Err(Error::Shape { op: "arena", what: "a tensor has another element type" }) }
    }

    /// The tensor to read, seen with `shape` (of the same span).
    ///
    /// # Safety
    /// While operators read the view, nobody writes to the tensor or its slack; for the operators that work in
    /// place see the type.
    pub unsafe fn view<T: Element>(&self, t: &Tensor, shape: Shape) -> Result<View<'_, T>, Error> {
        Self::check::<T>(t)?;
        let ptr = self.at(t.offset, shape.span_bytes(t.dtype.size()), SLACK_BYTES)?;
        // SAFETY: span and slack lie inside the arena, which is initialised; the rest is the promise of the caller.
        unsafe { View::from_raw(ptr.cast::<T>(), shape) }
    }

    /// The tensor to write, seen with `shape`.
    ///
    /// # Safety
    /// While an operator writes its rows of the view, nobody else reads or writes these.
    pub unsafe fn view_mut<T: Element>(&self, t: &Tensor, shape: Shape) -> Result<ViewMut<'_, T>, Error> {
        Self::check::<T>(t)?;
        let ptr = self.at(t.offset, shape.span_bytes(t.dtype.size()), 0)?;
        // SAFETY: the span lies inside the arena; the rest is the promise of the caller.
        unsafe { ViewMut::from_raw(ptr.cast::<T>(), shape) }
    }

    /// `count` numbers from byte `offset` on.
    ///
    /// # Safety
    /// While the slice lives, nobody else reads or writes these bytes.
    #[allow(clippy::mut_from_ref)] // the caller's promise
    pub unsafe fn slice<T: Plain>(&self, offset: usize, count: usize) -> Result<&mut [T], Error> {
        let ptr = self.at(offset, count.checked_mul(size_of::<T>()), 0)?.cast::<T>();
        if !ptr.is_aligned() {
            return Err(Error::Alignment { op: "arena" });
        }
        // SAFETY: inside the arena and aligned; every bit pattern is a T; the rest is the promise of the caller.
        Ok(unsafe { core::slice::from_raw_parts_mut(ptr, count) })
    }

    /// As [`Memory::slice`], to read.
    ///
    /// # Safety
    /// While the slice lives, nobody writes these bytes.
    pub unsafe fn read<T: Plain>(&self, offset: usize, count: usize) -> Result<&[T], Error> {
        let ptr = self.at(offset, count.checked_mul(size_of::<T>()), 0)?.cast::<T>();
        if !ptr.is_aligned() {
            return Err(Error::Alignment { op: "arena" });
        }
        // SAFETY: as in `slice`.
        Ok(unsafe { core::slice::from_raw_parts(ptr, count) })
    }
}

impl<'a> Memory<'a> {
    /// As [`Memory::read`], for as long as the arena is borrowed: nobody writes any more.
    pub fn into_read<T: Plain>(self, offset: usize, count: usize) -> Result<&'a [T], Error> {
        // SAFETY: `self` is the arena's only user.
        let part: *const [T] = unsafe { self.read(offset, count)? };
        // SAFETY: initialised, aligned and inside bytes that are borrowed for 'a; with `self` gone nobody can write
        // them.
        Ok(unsafe { &*part })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// Types for which every bit pattern is a value.
pub(crate) trait Plain: Copy + sealed::Sealed {}

macro_rules! plain {
    ($($t:ty),*) => {$( impl sealed::Sealed for $t {} impl Plain for $t {} )*};
}
plain!(u8, i8, u32, i32, f32);

/// A plan's constants as numbers.
pub(crate) fn constants<T: Plain>(bytes: &[u8], span: Span) -> Result<&[T], Error> {
    let end = span.offset.checked_add(span.len);
    let part = end.and_then(|end| bytes.get(span.offset..end));
    let part = part.ok_or(Error::Length { op: "plan", what: "constants", need: span.len, have: bytes.len() })?;
    let ptr = part.as_ptr().cast::<T>();
    if !ptr.is_aligned() {
        return Err(Error::Alignment { op: "plan" });
    }
    // SAFETY: inside the plan and aligned; every bit pattern is a T.
    Ok(unsafe { core::slice::from_raw_parts(ptr, part.len() / size_of::<T>()) })
}
