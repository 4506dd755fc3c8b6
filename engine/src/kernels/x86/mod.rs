//! x86-64 tables. Everything but the integer inner loops is AVX2 in all three.

mod avx2;
mod avx512_vnni;
mod avx_vnni;
mod depthwise;
mod lanes;

use super::{Isa, Kernels};

macro_rules! table {
    ($isa:expr, $elem:expr, $panel:expr, $gemm:expr) => {
        Kernels {
            isa: $isa,
            panel_elem: $elem,
            signed: false,
            panel: $panel,
            gemm: $gemm,
            epilogue: lanes::epilogue,
            depthwise: depthwise::depthwise,
            depthwise_scratch: depthwise::scratch,
            requant: lanes::requant,
            add: lanes::add,
            mul: lanes::mul,
            channel_scale: lanes::channel_scale,
            dequantise: lanes::dequantise,
            quantise: lanes::quantise,
            max_pool: lanes::max_pool,
            avg_pool: lanes::avg_pool,
            global_sum: lanes::global_sum,
            map_f32: lanes::map_f32,
            matmul: lanes::matmul,
            layer_norm: lanes::layer_norm,
            softmax: lanes::softmax,
            depthwise_f32: lanes::depthwise_f32,
            attention: lanes::attention,
            quantise_token: lanes::quantise_token,
            logits: lanes::logits,
        }
    };
}

/// AVX2.
pub static AVX2: Kernels = table!(Isa::Avx2, 2, avx2::panel, avx2::gemm);
/// AVX2 with 256-bit dot products.
pub static AVX_VNNI: Kernels = table!(Isa::AvxVnni, 1, avx_vnni::panel, avx_vnni::gemm);
/// AVX2 with 512-bit dot products.
pub static AVX512_VNNI: Kernels = table!(Isa::Avx512Vnni, 1, avx_vnni::panel, avx512_vnni::gemm);
