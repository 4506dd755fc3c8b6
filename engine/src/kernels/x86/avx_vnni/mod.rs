//! AVX2 with 256-bit dot products. What is not a sum of products is AVX2's.

mod depthwise;
pub mod gemm;

use super::avx2::lanes;
use super::{Isa, Kernels, table};

/// The table.
pub static KERNELS: Kernels = table!(Isa::AvxVnni, 1, false, 1, gemm::panel, gemm::gemm);
