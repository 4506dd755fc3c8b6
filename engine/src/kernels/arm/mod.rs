//! aarch64 tables.
//!
//! Activations are made signed (a - 128) in the panel; the packer's weight sums put the difference right.

mod depthwise;
mod dot;
mod lanes;
mod panel;
mod sadalp;

use super::{Isa, Kernels, table};

/// Cortex-A53: one pixel at a time, so that its in-order pipeline has independent chains and no spills.
pub static MLAL: Kernels = table!(Isa::NeonMlal, 1, true, 1, panel::panel, sadalp::gemm_one);
/// Cortex-A72: two pixels at a time.
pub static SADALP: Kernels = table!(Isa::NeonSadalp, 1, true, 1, panel::panel, sadalp::gemm_two);
/// Dot products.
pub static DOT: Kernels = table!(Isa::NeonDot, 1, true, 1, panel::panel, dot::gemm);
