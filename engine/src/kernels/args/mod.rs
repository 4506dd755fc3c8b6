//! What kernels are called with. Plain pointers and counts: the operations have checked everything before.

mod conv;
mod ctc;
mod float;
mod rows;

pub use conv::*;
pub use ctc::*;
pub use float::*;
pub use rows::*;
