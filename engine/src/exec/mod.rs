//! Runs a plan in an arena.
//!
//! ```no_run
//! use edge_ocr_engine::{Kernels, exec::PreparedPlan, plan::Plan};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (bytes, arena): (&[u8], &mut [u8]) = (&[], &mut []);
//! let plan = Plan::load(bytes)?;
//! let prepared = PreparedPlan::new(&plan, 0, Kernels::detect()?, 1, arena)?;
//! let mut run = prepared.bind(arena)?;
//! run.input_mut().fill(255);
//! run.run()?;
//! let answer = run.output();
//! # Ok(()) }
//! ```
//!
//! A [`PreparedPlan`] is checked once and borrows no arena, so that several plans can take turns in one arena: an
//! [`Executor`] is a plan bound to an arena and costs nothing to make. Tensors do not survive between runs; the
//! memory of the input is used for other tensors once the first operator has read it, so write all of it before each
//! run.

mod context;
mod float;
mod integer;
#[cfg(feature = "std")]
mod phase;
mod step;

use crate::arena::Memory;
use crate::error::Error;
use crate::kernels::Kernels;
use crate::plan::{DType, MAX_WORKERS, NamedStep, Plan, PlanError, Tensor, Variant};
use crate::tensor::{SLACK_BYTES, Shape};
use context::Context;
use context::Share;
use core::fmt;
#[cfg(feature = "std")]
pub(crate) use phase::Phase;

/// What a failure to reach a tensor would mean: a mistake in the check, which must not pass for an empty answer.
const IN_ARENA: &str = "the tensors of a checked plan lie inside the arena";

/// A run stopped. A checked plan's operators refuse nothing, so this is a worker that was lost.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunError {
    /// An operator refused.
    Op {
        /// Number of the step.
        step: usize,
        /// Why.
        error: Error,
    },
    /// A worker thread panicked, or the pool has more threads than the network has workers.
    Workers,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Op { step, error } => write!(f, "step {step} could not run: {error}"),
            RunError::Workers => {
                f.write_str("a worker panicked, or there are more workers than the network was made for")
            }
        }
    }
}

impl core::error::Error for RunError {}

/// The output of a network; pixels are dense.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'e> {
    /// real = (q - zero) * scale.
    U8 {
        /// h * w * c numbers.
        values: &'e [u8],
        /// Zero point.
        zero: u8,
        /// Scale.
        scale: f32,
    },
    /// h * w * c numbers.
    F32(&'e [f32]),
}

/// One input size of a plan, with kernels and a number of workers: checked, and ready to run on any large enough arena.
#[derive(Clone, Copy, Debug)]
pub struct PreparedPlan<'p> {
    variant: Variant<'p>,
    kernels: &'static Kernels,
    workers: usize,
}

impl<'p> PreparedPlan<'p> {
    /// Lets every operator check its arguments, without computing. `arena` is any arena that is large enough; its
    /// contents are lost. `workers` is the largest number of threads that will run it.
    ///
    /// # Errors
    /// [`PlanError`]: no such input size, an arena that is too small or misaligned, an operator that refuses.
    pub fn new(
        plan: &Plan<'p>,
        variant: usize,
        kernels: &'static Kernels,
        workers: usize,
        arena: &mut [u8],
    ) -> Result<Self, PlanError> {
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(PlanError::Workers { workers });
        }
        let prepared = PreparedPlan { variant: plan.variant(variant)?, kernels, workers };
        let executor = prepared.bind(arena)?;
        for (step, named) in prepared.variant.steps().enumerate() {
            for phase in 0..named.step.phases() {
                // SAFETY: the executor is this function's own, and a share of nothing reads and writes nothing.
                let checked = unsafe { executor.context().run(&named.step, phase, Share::NOTHING) };
                checked.map_err(|error| PlanError::Op { step, error })?;
            }
        }
        Ok(prepared)
    }

    /// Binds the plan to an arena.
    ///
    /// # Errors
    /// [`PlanError::Arena`]: too small, or misaligned.
    pub fn bind<'a>(&self, arena: &'a mut [u8]) -> Result<Executor<'p, 'a>, PlanError> {
        let (have, need) = (arena.len(), self.arena_bytes());
        if have < need {
            return Err(PlanError::Arena { have: have.max(1), need });
        }
        let memory = Memory::new(arena).ok_or(PlanError::Arena { have: 0, need })?;
        Ok(Executor { prepared: *self, memory })
    }

    /// Bytes of arena that it needs.
    pub fn arena_bytes(&self) -> usize {
        self.variant.arena_bytes(self.workers)
    }

    /// The image's tensor: u8, dense.
    pub fn input(&self) -> &Tensor {
        &self.variant.header().input
    }

    /// The answer's tensor.
    pub fn output(&self) -> &Tensor {
        &self.variant.header().output
    }

    /// The answer's tensor and its number of elements.
    fn answer(&self) -> (Tensor, usize) {
        let t = *self.output();
        (t, t.shape.h * t.shape.w * t.shape.c)
    }

    /// The steps.
    pub fn steps(&self) -> impl Iterator<Item = NamedStep<'p>> {
        self.variant.steps()
    }

    /// Most workers.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Kernels in use.
    pub fn kernels(&self) -> &'static Kernels {
        self.kernels
    }
}

/// A prepared plan bound to an arena.
#[derive(Debug)]
pub struct Executor<'p, 'a> {
    prepared: PreparedPlan<'p>,
    memory: Memory<'a>,
}

impl<'p, 'a> Executor<'p, 'a> {
    /// [`PreparedPlan::new`] and [`PreparedPlan::bind`] in one, for a program with one plan only.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn new(
        plan: &Plan<'p>,
        variant: usize,
        arena: &'a mut [u8],
        kernels: &'static Kernels,
        workers: usize,
    ) -> Result<Self, PlanError> {
        PreparedPlan::new(plan, variant, kernels, workers, arena)?.bind(arena)
    }

    /// The plan that it runs.
    pub fn prepared(&self) -> &PreparedPlan<'p> {
        &self.prepared
    }

    /// The image's bytes: rows of pixels of channels, without gaps. Write all of it before each run.
    pub fn input_mut(&mut self) -> &mut [u8] {
        let t = self.prepared.input();
        // SAFETY: the arena is borrowed through `&mut self` as long as the slice lives.
        unsafe { self.memory.slice(t.offset, t.span_bytes().unwrap_or(0)) }.expect(IN_ARENA)
    }

    /// The answer of the last run.
    pub fn output(&self) -> Answer<'_> {
        let (t, count) = self.prepared.answer();
        match t.dtype {
            DType::U8 { zero, scale } => {
                // SAFETY: whatever writes to the arena borrows `self` mutably.
                let values = unsafe { self.memory.read(t.offset, count) }.expect(IN_ARENA);
                Answer::U8 { values, zero, scale }
            }
            // SAFETY: as above.
            DType::F32 => Answer::F32(unsafe { self.memory.read(t.offset, count) }.expect(IN_ARENA)),
        }
    }

    /// The answer of the last run, for as long as the arena is borrowed.
    pub fn into_output(self) -> Answer<'a> {
        let (t, count) = self.prepared.answer();
        match t.dtype {
            DType::U8 { zero, scale } => {
                Answer::U8 { values: self.memory.into_read(t.offset, count).expect(IN_ARENA), zero, scale }
            }
            DType::F32 => Answer::F32(self.memory.into_read(t.offset, count).expect(IN_ARENA)),
        }
    }

    /// Height, width, channels of the answer.
    pub fn output_shape(&self) -> Shape {
        self.prepared.output().shape
    }

    /// Runs on the calling thread.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run(&mut self) -> Result<(), RunError> {
        self.run_observed(&mut |_| {})
    }

    /// Runs on the calling thread and calls `at` with the number of each step before it, and with the number of steps
    /// at the end: a profiler takes the time there.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run_observed(&mut self, at: &mut (dyn FnMut(usize) + '_)) -> Result<(), RunError> {
        let context = self.context();
        let mut count = 0;
        for (step, named) in self.prepared.variant.steps().enumerate() {
            at(step);
            for phase in 0..named.step.phases() {
                // SAFETY: `&mut self`; one phase after the other, each by one call.
                let done = unsafe { context.run(&named.step, phase, Share::ALL) };
                done.map_err(|error| RunError::Op { step, error })?;
            }
            count = step + 1;
        }
        at(count);
        Ok(())
    }

    /// Runs step number `index` only, on the calling thread: for tests that look at tensors in between.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run_step(&mut self, index: usize) -> Result<(), RunError> {
        let Some(named) = self.prepared.variant.steps().nth(index) else { return Ok(()) };
        for phase in 0..named.step.phases() {
            // SAFETY: `&mut self`; one phase after the other, each by one call.
            let result = unsafe { self.context().run(&named.step, phase, Share::ALL) };
            result.map_err(|error| RunError::Op { step: index, error })?;
        }
        Ok(())
    }

    /// The bytes of a tensor's elements, pixel by pixel without the gaps between them, given to `each`. For tests and
    /// tools.
    pub fn pixels(&self, t: &Tensor, mut each: impl FnMut(&[u8])) {
        for pixel in 0..t.shape.h * t.shape.w {
            let at = t.offset + pixel * t.shape.pixel_stride;
            // SAFETY: whatever writes to the arena borrows `self` mutably.
            each(unsafe { self.memory.read::<u8>(at, t.shape.c * t.dtype.size()) }.expect(IN_ARENA));
        }
    }

    fn context(&self) -> Context<'_> {
        let header = self.prepared.variant.header();
        Context {
            constants: self.prepared.variant.constants(),
            memory: &self.memory,
            kernels: self.prepared.kernels,
            scratch: header.tensor_bytes + SLACK_BYTES,
            scratch_bytes: header.scratch_bytes,
        }
    }
}
