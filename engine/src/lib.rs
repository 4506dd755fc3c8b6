//! Static INT8 inference: kernels and operators on tensors in memory that the caller owns.
//!
//! * Tensors are NHWC, batch 1: u8 with one scale and zero point (`real = (q - zero) * scale`), or f32. See [`tensor`].
//! * Weights are i8 per output channel, packed once by [`pack`] in one layout that all instruction sets share.
//! * Operators ([`ops`]) check their arguments, work on a range of output rows so that workers can share them, and
//!   never allocate. Where they need memory, the caller gives scratch.
//! * [`kernels`] holds the inner loops, one table per instruction set; all give the same bits.
//! * A [`plan`] is a whole network: steps, offsets, packed constants, checked when it is loaded. [`exec`] runs it in an
//!   [`arena`], alone or on a `pool` of threads (feature `std`), without a heap.
//!
//! The crate uses no heap and, without the feature `std`, no standard library.

#![cfg_attr(not(feature = "std"), no_std)]
#![warn(missing_docs)]
#![deny(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)]

pub mod arena;
pub mod error;
pub mod exec;
pub mod kernels;
pub mod ops;
pub mod pack;
pub mod plan;
#[cfg(feature = "std")]
pub mod pool;
pub mod size;
pub mod tensor;

pub use arena::Arena;
pub use error::Error;
pub use exec::{Answer, Executor, PreparedPlan, RunError};
pub use kernels::{Isa, IsaError, Kernels};
pub use plan::{Plan, PlanError};
#[cfg(feature = "std")]
pub use pool::{Panicked, Pool};
pub use tensor::{Shape, View, ViewMut};

/// The examples of the README are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
