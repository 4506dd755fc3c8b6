//! Runs a plan in an arena.
//!
//! ```no_run
//! use edge_ocr_engine::{Kernels, exec::{Network, RunOptions}, plan::Plan};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (bytes, arena): (&[u8], &mut [u8]) = (&[], &mut []);
//! let plan = Plan::load(bytes)?;
//! let network = Network::new(&plan, 0, Kernels::detect()?, 1, arena)?;
//! let mut run = network.on(arena)?;
//! run.input_mut().fill(255);
//! run.run(&RunOptions::default())?;
//! let answer = run.output();
//! # Ok(()) }
//! ```
//!
//! A [`Network`] is checked once and borrows no arena, so that several networks can take turns in one: an [`Executor`] is a
//! network on an arena and costs nothing to make. Tensors do not survive between runs; the input's memory is used for other
//! tensors once the first operation has read it, so write all of it before each run.

mod context;
mod float;
mod integer;
#[cfg(feature = "std")]
mod phase;
mod step;

use crate::arena::Memory;
use crate::error::Error;
use crate::kernels::Kernels;
use crate::ops::{CtcBest, ProbabilityOver};
use crate::plan::{Elem, MAX_WORKERS, NamedStep, Plan, PlanError, Tensor, Variant};
use crate::tensor::{SLACK_BYTES, Shape};
use context::Context;
use context::Share;
use core::fmt;
pub(crate) use integer::excite_scratch;
#[cfg(feature = "std")]
pub(crate) use phase::Phase;

/// What may differ from run to run.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions<'m> {
    /// Recogniser: bit c % 32 of word c / 32 says that class c may be chosen; all classes without it. Must cover all classes, and
    /// should allow the blank (class 0).
    pub allowed: Option<&'m [u32]>,
    /// Recogniser: over which classes the probability is taken when `allowed` is given.
    pub over: ProbabilityOver,
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        RunOptions { allowed: None, over: ProbabilityOver::AllClasses }
    }
}

/// A run stopped. With a checked plan only a mask that is too short gets here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RunError {
    /// An operation refused.
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

/// What a network gives; pixels are dense.
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
    /// One for each pixel (token).
    Best(&'e [CtcBest]),
}

/// An input size of a plan with kernels and workers: checked, ready to run on any arena that is large enough.
#[derive(Clone, Copy, Debug)]
pub struct Network<'p> {
    variant: Variant<'p>,
    kernels: &'static Kernels,
    workers: usize,
}

impl<'p> Network<'p> {
    /// Lets every operation check its arguments, without computing. `arena` is any arena on which the network could run; its
    /// contents are lost. `workers` is the largest number of threads that will run it.
    ///
    /// # Errors
    /// [`PlanError`]: no such input size, an arena that is too small or misaligned, an operation that refuses.
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
        let network = Network { variant: plan.variant(variant)?, kernels, workers };
        let executor = network.on(arena)?;
        let options = RunOptions::default();
        for (step, named) in network.variant.steps().enumerate() {
            for phase in 0..named.step.phases() {
                executor
                    .context(&options)
                    .run(&named.step, phase, Share::NOTHING)
                    .map_err(|error| PlanError::Op { step, error })?;
            }
        }
        Ok(network)
    }

    /// The network on an arena.
    ///
    /// # Errors
    /// [`PlanError::Arena`].
    pub fn on<'a>(&self, arena: &'a mut [u8]) -> Result<Executor<'p, 'a>, PlanError> {
        let (have, need) = (arena.len(), self.arena_bytes());
        if have < need {
            return Err(PlanError::Arena { have: have.max(1), need });
        }
        let memory = Memory::new(arena).ok_or(PlanError::Arena { have: 0, need })?;
        Ok(Executor { network: *self, memory })
    }

    /// Bytes of arena that it needs.
    pub fn arena_bytes(&self) -> usize {
        self.variant.arena_bytes(self.workers)
    }

    /// The picture's tensor: u8, dense.
    pub fn input(&self) -> &Tensor {
        &self.variant.head().input
    }

    /// The answer's tensor.
    pub fn output(&self) -> &Tensor {
        &self.variant.head().output
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

/// A network on an arena.
#[derive(Debug)]
pub struct Executor<'p, 'a> {
    network: Network<'p>,
    memory: Memory<'a>,
}

impl<'p, 'a> Executor<'p, 'a> {
    /// [`Network::new`] and [`Network::on`] in one, for those who run one network only.
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
        Network::new(plan, variant, kernels, workers, arena)?.on(arena)
    }

    /// The network.
    pub fn network(&self) -> &Network<'p> {
        &self.network
    }

    /// The picture's bytes: rows of pixels of channels, without gaps. Write all of it before each run.
    pub fn input_mut(&mut self) -> &mut [u8] {
        let t = self.network.input();
        // A checked plan's input lies inside the arena.
        self.memory.slice(t.offset, t.span_bytes().unwrap_or(0)).unwrap_or_default()
    }

    /// The answer of the last run.
    pub fn output(&self) -> Answer<'_> {
        let (t, count) = self.network.answer();
        match t.elem {
            Elem::U8 { zero, scale } => {
                Answer::U8 { values: self.memory.read(t.offset, count).unwrap_or_default(), zero, scale }
            }
            Elem::F32 => Answer::F32(self.memory.read(t.offset, count).unwrap_or_default()),
            Elem::Best => Answer::Best(self.memory.read(t.offset, count).unwrap_or_default()),
        }
    }

    /// The answer of the last run, for as long as the arena is borrowed.
    pub fn into_output(self) -> Answer<'a> {
        let (t, count) = self.network.answer();
        match t.elem {
            Elem::U8 { zero, scale } => {
                Answer::U8 { values: self.memory.into_read(t.offset, count).unwrap_or_default(), zero, scale }
            }
            Elem::F32 => Answer::F32(self.memory.into_read(t.offset, count).unwrap_or_default()),
            Elem::Best => Answer::Best(self.memory.into_read(t.offset, count).unwrap_or_default()),
        }
    }

    /// Height, width, channels of the answer.
    pub fn output_shape(&self) -> Shape {
        self.network.output().shape
    }

    /// Runs on the calling thread.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run(&mut self, options: &RunOptions<'_>) -> Result<(), RunError> {
        self.run_observed(options, &mut |_| {})
    }

    /// Runs on the calling thread and calls `at` with the number of each step before it, and with the number of steps at the end:
    /// a profiler takes the time there.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run_observed(&mut self, options: &RunOptions<'_>, at: &mut (dyn FnMut(usize) + '_)) -> Result<(), RunError> {
        let context = self.context(options);
        let mut count = 0;
        for (step, named) in self.network.variant.steps().enumerate() {
            at(step);
            for phase in 0..named.step.phases() {
                let done = context.run(&named.step, phase, Share::ALL);
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
    pub fn run_step(&mut self, index: usize, options: &RunOptions<'_>) -> Result<(), RunError> {
        let Some(named) = self.network.variant.steps().nth(index) else { return Ok(()) };
        for phase in 0..named.step.phases() {
            let result = self.context(options).run(&named.step, phase, Share::ALL);
            result.map_err(|error| RunError::Op { step: index, error })?;
        }
        Ok(())
    }

    /// The bytes of a tensor's elements, pixel by pixel without the gaps between them, given to `each`. For tests and tools.
    pub fn pixels(&self, t: &Tensor, mut each: impl FnMut(&[u8])) {
        for pixel in 0..t.shape.h * t.shape.w {
            let at = t.offset + pixel * t.shape.pixel_stride;
            each(self.memory.read::<u8>(at, t.shape.c * t.elem.size()).unwrap_or_default());
        }
    }

    fn context<'x>(&'x self, options: &RunOptions<'x>) -> Context<'x> {
        let head = self.network.variant.head();
        Context {
            constants: self.network.variant.constants(),
            memory: &self.memory,
            kernels: self.network.kernels,
            scratch: head.tensor_bytes + SLACK_BYTES,
            scratch_bytes: head.scratch_bytes,
            options: *options,
        }
    }
}
