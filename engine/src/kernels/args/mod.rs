//! What kernels are called with: plain pointers and counts, which the operators have checked.
//!
//! # The contract of every kernel
//!
//! A kernel is an `unsafe fn` of one of these structs. Whoever calls it must see to it that
//!
//! * the CPU has the instruction set for which the kernel was compiled (a [`Kernels`](crate::kernels::Kernels) table
//!   is the proof);
//! * each pointer is valid for as many elements as the counts and strides beside it say: rows and pixels that are
//!   named exist, per-channel arrays are padded to 16, scratch is as long as the operator's `..._scratch` says;
//! * inputs can be read 15 elements past each pixel's channels ([`SLACK_BYTES`](crate::tensor::SLACK_BYTES)), unless
//!   the kernel says that it reads the named elements only;
//! * no other thread writes what is read, or touches what is written, until the kernel returns.

mod conv;
mod ctc;
mod float;
mod rows;

pub use conv::*;
pub use ctc::*;
pub use float::*;
pub use rows::*;
