//! The specification in plain loops.

mod conv;
mod depthwise;
mod lanes;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use depthwise::epilogue_at;

use super::{Isa, Kernels, generic};
use lanes::Scalar;

/// The scalar table.
pub static KERNELS: Kernels = Kernels {
    isa: Isa::Scalar,
    panel_elem: 1,
    signed: false,
    blocks: 1,
    panel: generic::panel::panel::<generic::panel::Bytes>,
    gemm: conv::gemm,
    epilogue: generic::epilogue::epilogue::<Scalar>,
    depthwise: depthwise::depthwise,
    depthwise_scratch: |_| 64,
    requant: generic::elementwise::requant::<Scalar>,
    add: generic::elementwise::add::<Scalar>,
    mul: generic::elementwise::mul::<Scalar>,
    channel_scale: generic::elementwise::channel_scale::<Scalar>,
    dequantise: generic::elementwise::dequantise::<Scalar>,
    quantise: generic::elementwise::quantise::<Scalar>,
    max_pool: generic::pool::max_pool::<Scalar>,
    avg_pool: generic::pool::avg_pool::<Scalar>,
    global_sum: generic::pool::global_sum::<Scalar>,
    map_f32: generic::float::map_f32::<Scalar>,
    matmul: generic::float::matmul::<Scalar>,
    layer_norm: generic::float::layer_norm::<Scalar>,
    softmax: generic::float::softmax::<Scalar>,
    depthwise_f32: generic::float::depthwise_f32::<Scalar>,
    attention: generic::attention::attention::<Scalar>,
    quantise_token: generic::ctc::quantise_token::<Scalar>,
    logits: generic::ctc::logits::<Scalar>,
};
