//! OCR for edge boards in pure Rust.
//!
//! ```text
//! file → image → detect → crop → classify → recognise → page → output
//!                    └──────── infer ────────┘
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`source`] | where images come from: files, directories, patterns, standard input |
//! | [`image`] | bytes to pixels, within limits; resize, warp, turn, enhance |
//! | [`models`] | manifests, checksums, dictionaries |
//! | [`infer`] | running a network: the INT8 engine (arena) and the float engine (tract) |
//! | [`target`], [`memory`] | the board the program was built for, and the memory images are read in |
//! | [`network_input`] | pixels to the input of a network |
//! | [`detect`] | page to boxes |
//! | [`mod@crop`] | box to upright line image |
//! | [`classify`] | whether a line is upside down |
//! | [`recognise`] | line image to characters |
//! | [`page`] | the result and its reading order |
//! | [`output`] | the result as text, JSON, TSV, hOCR, or drawn |
//! | [`board`], [`sensors`] | the machine: whether the program fits it, its clock, heat and power |
//! | [`param`], [`error`] | what errors call a parameter, and what it may be; the errors of all modules as one |
//! | [`pipeline`] | all of it, from a [`Config`] |
//!
//! | feature | what it adds |
//! |---|---|
//! | none | the INT8 engine; JPEG, PNG and PNM |
//! | `formats` | BMP, GIF, TIFF, WebP |
//! | `tract` | the float engine, which reads any ONNX model of the family |
//! | `annotate` | boxes and texts drawn into images |
//! | `glob` | names, directories and patterns to files |
//!
//! Reading an image takes three calls:
//!
//! ```
//! use edge_ocr::{Config, Frame, Pipeline, image::decode};
//!
//! let image = decode::decode(&std::fs::read("tests/golden/receipt.jpg")?, &decode::Limits::default())?;
//! let mut pipeline = Pipeline::from_config(&Config::default())?;
//! for line in pipeline.run(Frame::new(image.view()))?.lines() {
//!     println!("{:.2} {}", line.score, line.text());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod board;
pub mod classify;
pub mod config;
pub mod crop;
pub mod detect;
pub mod error;
pub mod image;
pub mod infer;
pub mod memory;
pub mod models;
pub mod network_input;
pub mod number_format;
pub mod output;
pub mod page;
pub mod panics;
mod parallel;
pub mod param;
pub mod pipeline;
pub mod recognise;
pub mod sensors;
pub mod source;
pub mod stage;
pub mod target;

pub use config::Config;
pub use error::Error;
pub use page::Page;
pub use pipeline::{Frame, Pipeline};

/// The examples of the README are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
pub struct Readme;
