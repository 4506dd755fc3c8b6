//! aarch64 tables.
//!
//! Activations are made signed (a - 128) in the panel; the packer's weight sums put the difference right.

mod depthwise;
mod dot;
mod lanes;
mod panel;
mod sadalp;

use super::{Isa, Kernels};

macro_rules! table {
    ($isa:expr, $gemm:expr) => {
        Kernels {
            isa: $isa,
            panel_elem: 1,
            signed: true,
            panel: panel::panel,
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

/// Cortex-A53: one pixel at a time, so that its in-order pipeline has independent chains and no spills.
pub static MLAL: Kernels = table!(Isa::NeonMlal, sadalp::gemm_one);
/// Cortex-A72: two pixels at a time.
pub static SADALP: Kernels = table!(Isa::NeonSadalp, sadalp::gemm_two);
/// Dot products.
pub static DOT: Kernels = table!(Isa::NeonDot, dot::gemm);
