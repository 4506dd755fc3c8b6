//! Inference: running a model, with any engine.
//!
//! Detection and recognition know the two traits of this file and nothing of the engine behind them, so that
//! their logic is tested with a fake and so that every engine is held against the same code.
//!
//! - [`Model`]: the loaded weights; gives a [`Session`] for a fixed input shape.
//! - [`Session`]: the model at one shape, ready to run in memory that the caller lends.
//!
//! Engines take pixels, not floats: normalisation belongs to the engine, because the INT8 engine has none left to do
//! (it is part of the first layer's weights).

pub mod arena;
#[cfg(test)]
pub mod fake;
#[cfg(feature = "ort")]
pub mod ort;
mod ran;
mod shape;
#[cfg(feature = "tract")]
pub mod tract;

pub use edge_ocr_engine::Pool;
pub use edge_ocr_engine::plan::MAX_WORKERS;
pub use ran::{Nodes, Ran};
pub use shape::Shape;

use crate::memory::{MEMORY_ALIGN, NoMemory};
use crate::param::FloatEngine;
use std::sync::Arc;

/// A model at one fixed input shape. It keeps nothing between runs, so several threads may use it, each with its own
/// memory.
pub trait Session: Send + Sync {
    /// Shape of the input, `[N, 3, H, W]`.
    fn input_shape(&self) -> Shape;
    /// Shape of the output.
    fn output_shape(&self) -> Shape;
    /// Bytes of memory that a run needs.
    fn memory_bytes(&self) -> usize;
    /// The part of `memory` that takes the images: u8, `[N][H][W][3]`, colours in the order of the model's manifest.
    /// All of it must be written before each run; what is right of an image, see [`Session::run`], may hold anything.
    ///
    /// # Errors
    /// [`InferError::Memory`] if `memory` is too small or not aligned to [`MEMORY_ALIGN`].
    fn input<'a>(&self, memory: &'a mut [u8]) -> Result<&'a mut [u8], InferError>;
    /// Runs once on the images in `memory`. Of image `i` the first `columns[i]` columns hold pixels; the engine
    /// makes the others what the network takes for padding. With a pool, an engine that can spreads the work over its
    /// threads.
    ///
    /// # Errors
    /// [`InferError::Memory`] as for [`Session::input`], [`InferError::Run`] if the engine gives up.
    fn run<'a>(
        &self,
        memory: &'a mut [u8],
        columns: &[usize],
        pool: Option<&mut Pool>,
    ) -> Result<Answer<'a>, InferError>;

    /// As [`run`](Session::run) of a recogniser, but brings the likeliest classes of each step only: of 18,000 classes
    /// a reader mostly wants the first. `None`, and nothing was run, from engines that cannot do that.
    ///
    /// # Errors
    /// As for [`Session::run`].
    fn run_likeliest<'a>(&self, memory: &'a mut [u8], columns: &[usize]) -> Result<Option<Likeliest<'a>>, InferError> {
        let _ = (memory, columns);
        Ok(None)
    }
}

/// The likeliest classes of each step, in falling order of their scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeliest<'a> {
    /// Classes, `[N * steps][per_step]`.
    pub classes: &'a [i32],
    /// Their probabilities, likewise.
    pub scores: &'a [f32],
    /// How many there are of each step.
    pub per_step: usize,
}

impl<'a> Likeliest<'a> {
    /// Those of each image, which has `steps` steps.
    pub fn split(self, steps: usize) -> impl Iterator<Item = Likeliest<'a>> {
        let each = (steps * self.per_step).max(1);
        let images = self.classes.chunks_exact(each).zip(self.scores.chunks_exact(each));
        images.map(move |(classes, scores)| Likeliest { classes, scores, per_step: self.per_step })
    }
}

/// What a network answers: the elements of its output shape, row-major.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer<'a> {
    /// Numbers.
    F32(&'a [f32]),
    /// Bytes; the number is `(byte - zero) * scale`.
    U8 {
        /// One for each element.
        values: &'a [u8],
        /// Byte that stands for 0.
        zero: u8,
        /// Step between two bytes.
        scale: f32,
    },
}

impl Answer<'_> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Answer::F32(values) => values.len(),
            Answer::U8 { values, .. } => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One element as a number; 0 beyond the last.
    pub fn get(&self, index: usize) -> f32 {
        match self {
            Answer::F32(values) => values.get(index).copied().unwrap_or(0.0),
            Answer::U8 { values, zero, scale } => {
                values.get(index).map_or(0.0, |byte| (f32::from(*byte) - f32::from(*zero)) * scale)
            }
        }
    }
}

/// Loaded weights that can be run at several shapes, from several threads at once.
pub trait Model: Send + Sync {
    /// The name of the engine: `arena` or `tract`.
    fn engine(&self) -> &'static str;
    /// The only input shapes that the network runs at; none when it takes any.
    fn shapes(&self) -> Option<&[Shape]> {
        None
    }
    /// Whether one run uses all threads of a pool; if not, several runs side by side do.
    fn spreads(&self) -> bool {
        false
    }
    /// The shape of the output for an input, without preparing a plan: to refuse a network that is not what it should
    /// be.
    fn output_shape(&self, input: Shape) -> Result<Shape, InferError> {
        self.session(input).map(|session| session.output_shape())
    }

    /// The model at `input`, prepared now or taken from the cache.
    fn session(&self, input: Shape) -> Result<Arc<dyn Session>, InferError>;

    /// What runs it, from an engine that finds that out when the model is opened.
    fn ran(&self) -> Option<&Ran> {
        None
    }

    /// Drops prepared sessions where that frees memory; they are prepared again when needed.
    fn release(&self) {}
}

/// The first `bytes` of `memory`, which must be aligned.
pub(crate) fn borrow_aligned<'a>(model: &str, memory: &'a mut [u8], bytes: usize) -> Result<&'a mut [u8], InferError> {
    let got = if memory.as_ptr().align_offset(MEMORY_ALIGN) == 0 { memory.len() } else { 0 };
    memory.get_mut(..bytes).filter(|_| got >= bytes).ok_or_else(|| InferError::Memory {
        model: model.into(),
        want: bytes,
        got,
    })
}

/// Why an engine could not run a model.
#[derive(thiserror::Error, Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum InferError {
    /// The network cannot take this input shape.
    #[error(
        "the model {model} cannot run at input {shape}: {reason}; use a model of the PP-OCR family, or other input sizes"
    )]
    Shape {
        /// File or manifest name.
        model: String,
        /// The shape asked for.
        shape: Shape,
        /// The engine's words.
        reason: String,
    },
    /// The run itself failed.
    #[error("the model {model} failed while it ran: {reason}; verify the file with `edge-ocr models verify`")]
    Run {
        /// File or manifest name.
        model: String,
        /// The engine's words.
        reason: String,
    },
    /// The memory lent by the caller does not fit (a defect of the caller, not of its input).
    #[error("the model {model} was lent {got} aligned bytes of memory where it needs {want}; report this as a defect")]
    Memory {
        /// File or manifest name.
        model: String,
        /// Bytes needed.
        want: usize,
        /// Bytes given; 0 when they are not aligned.
        got: usize,
    },
    /// The system gives no memory to run in.
    #[error(transparent)]
    NoMemory(#[from] NoMemory),
    /// The network was built for other sizes.
    #[error("no plan for input {shape} is in this program, only for {built_in}; use one of these, or {float}", float = FloatEngine)]
    Size {
        /// The shape asked for.
        shape: Shape,
        /// The shapes there are.
        built_in: String,
    },
    /// The kernels asked for cannot run here.
    #[error("{0}")]
    Kernels(String),
    /// The program was built for another machine.
    #[error("{0}")]
    Machine(String),
    /// A plan inside the program cannot be used.
    #[error("the model {model} in this program cannot be used: {reason}; build the program again")]
    Plan {
        /// Manifest name.
        model: String,
        /// The engine's words.
        reason: String,
    },
}
