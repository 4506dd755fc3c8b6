//! A run of a network as rounds of work: a round is a phase of a step.

use super::Job;
use super::rounds::Task;
use crate::exec::{Executor, Phase, RunError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A run of a network.
pub(super) struct Run<'r> {
    executor: &'r Executor<'r, 'r>,
    workers: usize,
    /// Nothing more is to be computed.
    failed: AtomicBool,
    refused: Mutex<Option<RunError>>,
}

impl<'r> Run<'r> {
    pub fn new(executor: &'r Executor<'r, 'r>, workers: usize) -> Run<'r> {
        Run { executor, workers, failed: AtomicBool::new(false), refused: Mutex::new(None) }
    }

    /// What came of it, once it is over.
    pub fn result(self) -> Result<(), RunError> {
        self.refused.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

impl Job for Run<'_> {
    fn work(&self, task: Task, thread: usize, pieces: usize, claim: &mut dyn FnMut() -> Option<usize>) {
        if self.failed.load(Ordering::Relaxed) {
            while claim().is_some() {}
            return;
        }
        // SAFETY: `Rounds` gives each piece to one thread and opens no round before the last one is over; threads
        // have numbers of their own; and the caller of `Pool::run` has borrowed the executor mutably.
        let done = unsafe { self.executor.compute(Phase::unpack(task), [thread, self.workers, pieces], claim) };
        if let Err(error) = done {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            self.give_up();
        }
    }

    fn next(&self, task: Task) -> Option<(Task, usize)> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        let (phase, pieces) = self.executor.phase_after(Some(Phase::unpack(task)), self.workers)?;
        Some((phase.pack(), pieces))
    }

    fn give_up(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}
