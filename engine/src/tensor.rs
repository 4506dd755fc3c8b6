//! Views of NHWC tensors (batch 1) in memory that somebody else owns.
//!
//! A tensor is `h` x `w` pixels of `c` channels. Consecutive pixels lie `pixel_stride` bytes apart and rows follow each
//! other without a gap, so a channel slice of a wider concat buffer is a view with an advanced pointer and the wide
//! buffer's pixel stride.

use crate::error::Error;
use crate::size::{MAX_BYTES, product};
use core::marker::PhantomData;
use serde::{Deserialize, Serialize};

/// Bytes that kernels may read (never write) past the last element of any input: they load whole blocks of 16 elements.
pub const SLACK_BYTES: usize = 64;

/// Largest height, width or channel count.
const MAX_DIM: usize = 1 << 20;

/// Height, width, channels and bytes between pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows.
    pub h: usize,
    /// Pixels in a row.
    pub w: usize,
    /// Channels of a pixel.
    pub c: usize,
    /// Bytes from one pixel to the next, at least `c` times the element size.
    pub pixel_stride: usize,
}

impl Shape {
    /// Shape of a dense tensor with elements of `elem` bytes.
    pub const fn dense(h: usize, w: usize, c: usize, elem: usize) -> Self {
        Shape { h, w, c, pixel_stride: c * elem }
    }

    /// Bytes from the first to past the last element. `None` when the shape is impossible for elements of `elem`
    /// bytes: a side of 0 or more than 2^20, a pixel stride shorter than the channels, or more than [`MAX_BYTES`] in
    /// all.
    pub fn span_bytes(&self, elem: usize) -> Option<usize> {
        let fits = |n: usize| (1..=MAX_DIM).contains(&n);
        if !(fits(self.h) && fits(self.w) && fits(self.c)) {
            return None;
        }
        let row = product(self.c, elem)?;
        if self.pixel_stride < row || self.pixel_stride > MAX_BYTES {
            return None;
        }
        let pixels = product(self.h, self.w)?;
        let span = product(pixels - 1, self.pixel_stride)? + row;
        (span <= MAX_BYTES).then_some(span)
    }

    /// Same height, width and channels (strides may differ).
    pub fn same_extent(&self, other: &Shape) -> bool {
        self.h == other.h && self.w == other.w && self.c == other.c
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for f32 {}
}

/// `u8` or `f32`.
pub trait Element: Copy + sealed::Sealed {}
impl Element for u8 {}
impl Element for f32 {}

/// A tensor that is read.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T: Element> {
    ptr: *const T,
    shape: Shape,
    life: PhantomData<&'a [T]>,
}

/// A tensor that is written.
#[derive(Debug)]
pub struct ViewMut<'a, T: Element> {
    ptr: *mut T,
    shape: Shape,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: a view is a shared borrow of plain numbers.
unsafe impl<T: Element> Send for View<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Element> Sync for View<'_, T> {}
// SAFETY: a mutable view is an exclusive borrow of plain numbers.
unsafe impl<T: Element> Send for ViewMut<'_, T> {}

fn check_shape<T>(shape: &Shape, address: usize) -> Result<usize, Error> {
    let elem = size_of::<T>();
    let span = shape.span_bytes(elem).ok_or(Error::Shape { op: "tensor", what: "impossible shape or pixel stride" })?;
    if !shape.pixel_stride.is_multiple_of(elem) || !address.is_multiple_of(align_of::<T>()) {
        return Err(Error::Alignment { op: "tensor" });
    }
    Ok(span)
}

impl<'a, T: Element> View<'a, T> {
    /// View of `data`, whose first element is channel 0 of pixel (0, 0).
    ///
    /// # Errors
    /// [`Error::Length`] unless `data` reaches [`SLACK_BYTES`] past the last element; [`Error::Shape`],
    /// [`Error::Alignment`].
    pub fn new(data: &'a [T], shape: Shape) -> Result<Self, Error> {
        let need = check_shape::<T>(&shape, data.as_ptr() as usize)? + SLACK_BYTES;
        if size_of_val(data) < need {
            let need = need / size_of::<T>();
            return Err(Error::Length { op: "tensor", what: "input with its slack", need, have: data.len() });
        }
        Ok(View { ptr: data.as_ptr(), shape, life: PhantomData })
    }

    /// View of memory at `ptr`.
    ///
    /// # Safety
    /// For `'a`, the shape's span plus [`SLACK_BYTES`] must be readable at `ptr`, initialised, and not written by
    /// another thread while an operator reads it. Operators read the channels of each pixel in whole blocks of 16,
    /// so this holds for the slack, too, and for as much of the gaps between pixels; results never depend on their
    /// values. The one exception: an element-wise operator whose output is this very tensor reads only the channels
    /// of the rows that it is given.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Alignment`].
    pub unsafe fn from_raw(ptr: *const T, shape: Shape) -> Result<Self, Error> {
        check_shape::<T>(&shape, ptr as usize)?;
        Ok(View { ptr, shape, life: PhantomData })
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Address of channel 0 of pixel (0, 0).
    pub(crate) fn ptr(&self) -> *const T {
        self.ptr
    }

    /// Elements between pixels.
    pub(crate) fn stride(&self) -> usize {
        self.shape.pixel_stride / size_of::<T>()
    }
}

impl<'a, T: Element> ViewMut<'a, T> {
    /// View of `data`, whose first element is channel 0 of pixel (0, 0).
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Shape`], [`Error::Alignment`].
    pub fn new(data: &'a mut [T], shape: Shape) -> Result<Self, Error> {
        let need = check_shape::<T>(&shape, data.as_ptr() as usize)?;
        if size_of_val(data) < need {
            let need = need / size_of::<T>();
            return Err(Error::Length { op: "tensor", what: "output", need, have: data.len() });
        }
        Ok(ViewMut { ptr: data.as_mut_ptr(), shape, life: PhantomData })
    }

    /// View of memory at `ptr`.
    ///
    /// # Safety
    /// For `'a`, the shape's span must be writable at `ptr`. Only the `c` channels of each pixel in the rows given to
    /// an operator are written, never the gaps between pixels, so views of other channels or rows may be written by
    /// other threads at the same time. Element-wise operators may read and write the very same elements (input and
    /// output view equal in pointer and shape); otherwise inputs must not overlap what is written.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Alignment`].
    pub unsafe fn from_raw(ptr: *mut T, shape: Shape) -> Result<Self, Error> {
        check_shape::<T>(&shape, ptr as usize)?;
        Ok(ViewMut { ptr, shape, life: PhantomData })
    }

    /// A second view of the same tensor, for a worker that writes other rows.
    ///
    /// # Safety
    /// Operators that run at the same time must be given disjoint row ranges.
    pub unsafe fn duplicate(&self) -> ViewMut<'a, T> {
        ViewMut { ptr: self.ptr, shape: self.shape, life: PhantomData }
    }

    /// The same tensor for one call: borrows instead of moving.
    pub fn reborrow(&mut self) -> ViewMut<'_, T> {
        ViewMut { ptr: self.ptr, shape: self.shape, life: PhantomData }
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Address of channel 0 of pixel (0, 0).
    pub(crate) fn ptr(&self) -> *mut T {
        self.ptr
    }

    /// Elements between pixels.
    pub(crate) fn stride(&self) -> usize {
        self.shape.pixel_stride / size_of::<T>()
    }
}
