//! Phases of a network, and the pieces into which each is cut for a pool of threads.

use super::context::Share;
use super::integer::PIXEL_BLOCK;
use super::{Executor, RunError};
use crate::ops::Window;
use crate::plan::{ExciteStep, Step, Tensor};

/// A phase of a step: what can be computed at a time, because nothing in it depends on anything else in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    /// Number of the step.
    pub step: usize,
    /// Byte of the plan's steps at which it starts, and the next one.
    at: usize,
    next: usize,
    /// Number of the phase in the step, and phases of the step.
    phase: usize,
    phases: usize,
}

impl Phase {
    /// As numbers, which can be kept in atomics.
    pub fn pack(&self) -> [usize; 5] {
        [self.step, self.at, self.next, self.phase, self.phases]
    }

    /// The reverse of [`Phase::pack`].
    pub fn unpack([step, at, next, phase, phases]: [usize; 5]) -> Phase {
        Phase { step, at, next, phase, phases }
    }
}

impl Executor<'_, '_> {
    /// The phase after another (the first one without), and into how many pieces `workers` workers cut it. `None`
    /// at the end.
    pub(crate) fn phase_after(&self, last: Option<Phase>, workers: usize) -> Option<(Phase, usize)> {
        let (mut phase, at) = match last {
            Some(p) if p.phase + 1 < p.phases => (Phase { phase: p.phase + 1, ..p }, p.at),
            Some(p) => (Phase { step: p.step + 1, at: p.next, next: 0, phase: 0, phases: 0 }, p.next),
            None => (Phase { step: 0, at: 0, next: 0, phase: 0, phases: 0 }, 0),
        };
        let (named, next) = self.prepared.variant.step_at(at)?;
        (phase.next, phase.phases) = (next, named.step.phases());
        Some((phase, pieces(&named.step, phase.phase, workers)))
    }

    /// Computes pieces of a phase, of `pieces`, for as long as `claim` names one.
    ///
    /// # Safety
    /// `claim` names each piece once for all threads, and only while the phase is open: when those before have been
    /// computed, and until all of its pieces have. No other thread computes with this `worker` meanwhile, nor uses
    /// the arena otherwise.
    pub(crate) unsafe fn compute(
        &self,
        phase: Phase,
        [worker, workers, pieces]: [usize; 3],
        claim: &mut dyn FnMut() -> Option<usize>,
    ) -> Result<(), RunError> {
        let Some((named, _)) = self.prepared.variant.step_at(phase.at) else { return Ok(()) };
        let context = self.context();
        let mut first = true;
        while let Some(piece) = claim() {
            let share = Share { worker, workers, piece, pieces, first };
            first = false;
            // SAFETY: the step is of this executor's plan; the rest is the promise of the caller.
            let done = unsafe { context.run(&named.step, phase.phase, share) };
            done.map_err(|error| RunError::Op { step: phase.step, error })?;
        }
        Ok(())
    }
}

/// Pieces for each worker of a phase that is large enough. More of them spread the work more evenly over cores of
/// unequal speed, and cost a little each.
const PIECES_EACH: usize = 4;

/// Least work of a piece, in 8-bit multiplications: some 10 µs of a core with AVX2, 200 µs of a small ARM core.
/// Tests cut up small networks, too.
const MIN_WORK: usize = if cfg!(test) { 1 } else { 1 << 19 };

/// Work of a number that is computed from others without a matrix product, in 8-bit multiplications.
const NUMBER: usize = 16;

/// Work of a multiplication of a depthwise convolution, and of one of floats, in 8-bit multiplications.
const DEPTHWISE: usize = 4;
const FLOAT: usize = 2;

/// Into how many pieces a phase is cut. Depends on nothing but the plan and the number of workers.
fn pieces(step: &Step, phase: usize, workers: usize) -> usize {
    // Work, units that can be shared out, and how many of them a piece has at least where there are more pieces
    // than workers.
    let (work, units, least) = match step {
        // The sums of a mean have room for one piece for each worker.
        Step::GlobalMean { .. } | Step::SqueezeExcite(_) if phase == 0 => return workers,
        Step::GlobalMean { .. } => return 1,
        // All weights are read for each piece, and there are many.
        Step::Ctc { .. } => return workers,
        Step::Conv(c) => {
            let work = product(&[numbers(&c.y), taps(&c.window), c.x.shape.c]);
            if taps(&c.window) == 1 {
                (work, pixels(&c.y), PIXEL_BLOCK)
            } else {
                (work, c.y.shape.h, rows_of(&c.window))
            }
        }
        Step::Depthwise(c) => (product(&[numbers(&c.y), taps(&c.window), DEPTHWISE]), c.y.shape.h, rows_of(&c.window)),
        Step::Transposed(c) => (product(&[numbers(&c.y), c.x.shape.c]), c.x.shape.h, 1),
        Step::MaxPool { y, window, .. } | Step::AvgPool { y, window, .. } => {
            (product(&[numbers(y), taps(window), DEPTHWISE]), y.shape.h, 1)
        }
        Step::Matmul { x, y, .. } => (product(&[numbers(y), x.shape.c, FLOAT]), pixels(y), PIXEL_BLOCK),
        Step::ConvF32 { x, y, window, .. } => {
            (product(&[numbers(y), taps(window), x.shape.c, FLOAT]), pixels(y), PIXEL_BLOCK)
        }
        Step::DepthwiseF32 { y, window, .. } => {
            (product(&[numbers(y), taps(window), FLOAT * DEPTHWISE]), y.shape.h, rows_of(window))
        }
        Step::Attention { y, .. } => (product(&[numbers(y), pixels(y), 2 * FLOAT]), pixels(y), PIXEL_BLOCK),
        Step::LayerNorm { y, .. } | Step::Softmax { y, .. } => (product(&[numbers(y), 4 * NUMBER]), pixels(y), 1),
        Step::SqueezeExcite(ExciteStep { y, .. }) | Step::Add { y, .. } => {
            (product(&[numbers(y), NUMBER]), pixels(y), 1)
        }
        Step::Requant { y, .. }
        | Step::Lut { y, .. }
        | Step::Dequantise { y, .. }
        | Step::Quantise { y, .. }
        | Step::AddF32 { y, .. }
        | Step::MapF32 { y, .. } => (product(&[numbers(y), NUMBER]), y.shape.h, 1),
    };
    if work < MIN_WORK || units < 2 {
        return 1;
    }
    // A multiple of the number of workers, so that cores of equal speed end together.
    ((work / MIN_WORK).min(units / least) / workers).clamp(1, PIECES_EACH) * workers
}

fn product(factors: &[usize]) -> usize {
    factors.iter().fold(1, |product: usize, f| product.saturating_mul(*f))
}

fn pixels(t: &Tensor) -> usize {
    t.shape.h.saturating_mul(t.shape.w)
}

fn numbers(t: &Tensor) -> usize {
    pixels(t).saturating_mul(t.shape.c)
}

fn taps(w: &Window) -> usize {
    w.kh.saturating_mul(w.kw)
}

/// Least rows of a piece: each prepares the rows that its first window shares with the piece before it.
fn rows_of(w: &Window) -> usize {
    (2 * w.kh).saturating_sub(1).max(1)
}
