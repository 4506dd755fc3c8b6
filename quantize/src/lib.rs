//! The host-side tool of edge-ocr: published ONNX networks in, quantised models (`.q8`) out.
//!
//! | module | what |
//! |---|---|
//! | [`graph`] | the networks as fused operators, float or quantised |
//! | [`charset`] | pruning a recogniser's classes to the characters that a deployment reads |
//! | [`q8`] | the quantised model and its file |
//! | [`interpreter`] | interpreters: float, and the integer engine's arithmetic bit by bit |
//! | [`plan`] | the plan compiler: quantised models and input sizes to plans of the engine |
//! | [`target`] | boards as data, and the arena they need |
//! | `onnx`, `import` | ONNX to graph (feature `onnx`) |
//! | `data` | calibration images (feature `onnx`) |
//! | `calibrate` | ranges, weights, biases, report (feature `onnx`) |
//!
//! Reading a `.q8` needs no feature: `Model::load(path)`, then [`interpreter::lower_conv`] for the integer parameters.

#[cfg(feature = "onnx")]
pub mod calibrate;
pub mod charset;
#[cfg(feature = "onnx")]
pub mod data;
pub mod error;
pub mod graph;
#[cfg(feature = "onnx")]
pub mod import;
pub mod interpreter;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod plan;
pub mod q8;
pub mod target;

pub use error::Error;
pub use q8::Model;

/// The examples of the README are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
