//! Text in images, on small boards and elsewhere, in pure Rust: pixels in, lines with boxes and scores out.
//!
//! The networks are in the program: no files, no C library, no GPU. An image is read in one block of memory whose size
//! is known when the program is built.
//!
//! ```
//! use edge_ocr::{Config, Pipeline};
//!
//! fn main() -> Result<(), edge_ocr::Error> {
//!     let mut config = Config::default();
//!     config.threads = 2;
//!     // Loads the networks: make one and keep it.
//!     let mut pipeline = Pipeline::from_config(&config)?;
//!     for page in pipeline.read_path("tests/golden/receipt.jpg")? {
//!         for line in &page.lines {
//!             println!("{:.2} {:?} {}", line.score, line.quad[0], line.text);
//!         }
//! #       assert_eq!(page.text(), std::fs::read_to_string("tests/golden/receipt.expected.txt").unwrap());
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Ways in
//!
//! | you have | call | you get |
//! |---|---|---|
//! | a file | [`Pipeline::read_path`] | an [`OwnedPage`] for each page of the file |
//! | its bytes | [`Pipeline::read_bytes`] | the same |
//! | pixels of a camera or an [`Image`](image::Image) | [`Pipeline::run`] | a [`Page`], borrowed; nothing is allocated |
//! | pixels, and fields to be read each in its own way | [`Pipeline::run_profile`] | the same |
//!
//! Pixels are RGB8. [`PixelView`](image::PixelView) borrows them from any memory; `PixelView::try_from(&rgb)` does so
//! from an `image::RgbImage` (of version 0.25), `Image::try_from(&grey)` copies an `image::GrayImage`.
//!
//! # Stages
//!
//! ```text
//! bytes → decode → detect → cut out → classify → recognise → order → Page
//! ```
//!
//! | stage by itself | call |
//! |---|---|
//! | bytes to upright pixels, within limits | [`image::decode`], [`Pipeline::pages`] |
//! | find text | [`Pipeline::detect`] |
//! | read given boxes | [`Pipeline::recognise`] |
//! | read one line that is cut out | [`Pipeline::recognise_line`] |
//! | write a page as text, JSON, TSV, hOCR | [`output`] |
//!
//! What decides what comes out is one value, [`Config`], which serde reads from TOML or JSON, too: [`detect`] and
//! [`recognise`] have the parameters of the two networks, [`models`] says which networks there are, and [`target`] what
//! this program was built for.
//!
//! # Errors
//!
//! [`Error`] has a variant for each kind: a parameter, a model, an image, an input, the engine. A message is one
//! sentence: the thing, the reason, what to do about it. No input makes this library panic. What was not read of an
//! image that could be is in [`OwnedPage::warnings`] or [`Page::notices`]. Errors,
//! parameters and results may get more variants and fields in any version, so they are `#[non_exhaustive]`.
//!
//! # Memory
//!
//! A pipeline of the INT8 engine works in a static block of [`target::ARENA_BYTES`], of which only the part that is
//! used becomes real memory, and gives it back when it is dropped; a second one at the same time takes as much from the
//! heap. From pixels to the [`Page`] nothing is allocated. Exceptions: rotation, enhancements, polygons, patterns, more
//! threads or larger pages than the target's, and the float engine.
//!
//! # Threads
//!
//! A pipeline has [`Config::threads`] threads of its own and reads one image at a time (`&mut self`). It is `Send`. For
//! several images at a time make several pipelines, which may have their networks in common:
//! [`Pipeline::sharing_networks`]. The result is the same for any number of threads.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | none | the INT8 engine; JPEG, PNG and PNM |
//! | `formats` | BMP, GIF, TIFF, WebP |
//! | `tract` | the float engine, which reads any ONNX model of the family |
//! | `annotate` | boxes and texts drawn into images: `output::annotate` |
//! | `glob` | names, directories and patterns to files: `source::expand` |
//!
//! `docs/library.md` in the repository has more, `examples/` whole programs.

pub mod config;
pub mod detect;
pub mod error;
pub mod image;
pub mod models;
pub mod output;
pub mod page;
pub mod param;
pub mod pipeline;
pub mod recognise;
pub mod source;
pub mod target;

// For the node and the program, which are other crates, and for the benchmarks. Not meant for others: these change
// without notice.
#[doc(hidden)]
pub mod board;
#[doc(hidden)]
pub mod classify;
#[doc(hidden)]
pub mod crop;
#[doc(hidden)]
pub mod infer;
#[doc(hidden)]
pub mod memory;
#[doc(hidden)]
pub mod network_input;
#[doc(hidden)]
pub mod number_format;
#[doc(hidden)]
pub mod panics;
mod parallel;
#[doc(hidden)]
pub mod sensors;
#[doc(hidden)]
pub mod stage;

pub use config::Config;
pub use error::Error;
pub use image::region::Region;
pub use page::{OwnedPage, Page};
pub use pipeline::{Frame, Pipeline};

/// The examples of the guide and of the crate's README are compiled as tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../docs/library.md")]
    struct Library;
    #[doc = include_str!("README.md")]
    struct Readme;
}
