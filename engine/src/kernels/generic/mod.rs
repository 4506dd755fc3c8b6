//! Kernels written once over [`Lanes`](super::lanes::Lanes); each ISA instantiates them with its own vectors.

pub mod attention;
pub mod ctc;
pub mod elementwise;
pub mod epilogue;
pub mod float;
pub mod panel;
pub mod pool;
