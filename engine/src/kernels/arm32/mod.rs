//! The table of 32-bit Arm.

mod gemm;

use super::{Isa, Kernels, scalar};

/// Products two at a time, all else as specified: ARMv6 has no vectors of floats, and NEON's intrinsics are not
/// stable in Rust.
pub static DSP: Kernels = Kernels { isa: Isa::ArmDsp, gemm: gemm::gemm, ..scalar::KERNELS };
