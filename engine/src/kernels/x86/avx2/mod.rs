//! AVX2.

mod depthwise;
mod gemm;
pub mod lanes;

use super::{Isa, Kernels, table};

/// The table.
pub static KERNELS: Kernels = table!(Isa::Avx2, 2, false, 1, gemm::panel, gemm::gemm);
