//! x86-64: a folder for each instruction set, with its table.

mod avx2;
mod avx512;
mod avx_vnni;

use super::{Isa, Kernels, table};

pub use avx_vnni::KERNELS as AVX_VNNI;
pub use avx2::KERNELS as AVX2;
pub use avx512::KERNELS as AVX512_VNNI;
