//! aarch64 tables.
//!
//! Activations are made signed (a - 128) in the panel; the packer's weight sums put the difference right.

mod depthwise;
mod dot;
mod lanes;
mod panel;
mod sadalp;

use super::{Isa, Kernels, table};

pub use dot::KERNELS as DOT;

/// Without dot products.
pub static SADALP: Kernels = table!(Isa::NeonSadalp, 1, true, 1, panel::panel, sadalp::gemm);
