//! x86-64 tables. Everything but the integer inner loops is AVX2 in all three.

mod avx2;
mod avx512_vnni;
mod avx_vnni;
mod depthwise;
mod lanes;

use super::{Isa, Kernels, table};

/// AVX2.
pub static AVX2: Kernels = table!(Isa::Avx2, 2, false, avx2::panel, avx2::gemm);
/// AVX2 with 256-bit dot products.
pub static AVX_VNNI: Kernels = table!(Isa::AvxVnni, 1, false, avx_vnni::panel, avx_vnni::gemm);
/// AVX2 with 512-bit dot products.
pub static AVX512_VNNI: Kernels = table!(Isa::Avx512Vnni, 1, false, avx_vnni::panel, avx512_vnni::gemm);
