//! AVX-512 with VNNI (F, BW, VL, VNNI): everything in 512-bit registers.

mod depthwise;
mod gemm;
mod lanes;

use super::avx_vnni::gemm::panel;
use super::{Isa, Kernels, table};

/// The table.
pub static KERNELS: Kernels = table!(Isa::Avx512Vnni, 1, false, 2, panel, gemm::gemm);
