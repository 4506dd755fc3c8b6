//! What the tests of the node and worker as processes have around them, and these processes.
#![allow(dead_code, unused_imports)] // each test file uses a part

pub mod child;
pub mod process;
#[path = "../../../node/tests/node_support/mod.rs"]
mod shared;

pub use child::Program;
pub use process::{NodeProcess, Printed};
pub use shared::*;
