//! A fixed set of threads that run a network together (feature `std`).
//!
//! Threads are started once. A network is run phase by phase: each phase is cut into pieces, which threads claim
//! one by one (`rounds`), and whoever finishes the last piece opens the next phase. Nobody waits for a thread that
//! has claimed nothing: a sleeping thread joins when it wakes up. `wait` describes how threads wait for work, and what
//! they do when no core is free.

mod cores;
mod helper;
#[cfg(test)]
mod model;
mod plan_run;
mod rounds;
mod shares;
#[cfg(test)]
mod tests;
mod wait;

use crate::exec::{Executor, Phase, RunError};
use crate::plan::MAX_WORKERS;
use cores::Cores;
use helper::worker_loop;
use plan_run::Run;
use rounds::{MAX_PIECES, Rounds, Task};
use shares::{Shares, thread_time};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wait::{Parker, Waits, spin};

/// How long the caller sleeps before it looks whether it was held up. Whenever it goes to sleep, the system may
/// find that the core can be used for the thread that is waited for.
const NAP: Duration = Duration::from_micros(500);

/// What threads of a pool do together: rounds of pieces.
trait Job: Sync {
    /// Does pieces, of `pieces`, for as long as `claim` names one. May panic.
    fn work(&self, task: Task, thread: usize, pieces: usize, claim: &mut dyn FnMut() -> Option<usize>);

    /// The round after that of `task`, and its number of pieces.
    fn next(&self, task: Task) -> Option<(Task, usize)>;

    /// A piece panicked.
    fn give_up(&self);
}

type Panic = Box<dyn Any + Send>;

struct Shared {
    rounds: Rounds,
    /// A `&dyn Job` in the frame of the caller, who stays there until `over`.
    job: AtomicPtr<&'static dyn Job>,
    /// No job, or one that needs no more work.
    over: AtomicBool,
    /// The pool is dropped.
    stop: AtomicBool,
    /// Where each thread waits for work, the caller first.
    parkers: Box<[Parker]>,
    /// Where each thread stays away from work, the caller first.
    away: Box<[Parker]>,
    /// The caller is being held up by whoever finishes last.
    held_up: AtomicBool,
    /// A helper found its core crowded since the caller looked last.
    crowded: AtomicBool,
    /// Helpers stay away.
    alone: AtomicBool,
    /// How long helpers on crowded cores had these, since the caller looked last; in nanoseconds.
    helped: AtomicU64,
    /// A piece panicked in the job.
    panicked: AtomicBool,
    cores: Cores,
    /// Helpers that have started.
    begun: AtomicUsize,
}

/// A thread of a [`Pool`] panicked in the work that it was given. The pool can be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a worker thread panicked")
    }
}

impl std::error::Error for Panicked {}

/// The result of [`Shared::run_round`].
enum RoundOutcome {
    /// There was nothing to claim.
    Nothing,
    /// Pieces were done; the caller was held up by this thread.
    Done { held_up: bool },
    /// The thread's own work panicked.
    Panicked(Panic),
}

impl Shared {
    fn new(threads: usize) -> Shared {
        Shared {
            rounds: Rounds::new(threads),
            job: AtomicPtr::default(),
            over: AtomicBool::new(true),
            stop: AtomicBool::new(false),
            parkers: (0..threads).map(|_| Parker::default()).collect(),
            away: (0..threads).map(|_| Parker::default()).collect(),
            held_up: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            alone: AtomicBool::new(false),
            helped: AtomicU64::new(0),
            panicked: AtomicBool::new(false),
            cores: Cores::new(threads),
            begun: AtomicUsize::new(0),
        }
    }

    /// Claims and does pieces of one round until there are none; opens the next round after the last piece.
    /// `before` is called before the first one.
    fn run_round(&self, thread: usize, before: &mut dyn FnMut(Task), more: &dyn Fn() -> bool) -> RoundOutcome {
        let Some(piece) = self.rounds.claim(thread) else { return RoundOutcome::Nothing };
        // SAFETY: the pointer was stored before the round was opened, and the caller of `run_job` does not leave
        // the frame in which the job lies before `over`, which is not set before the claimed pieces are handed in
        // below.
        let job = unsafe { *self.job.load(Ordering::Relaxed) };
        let (task, pieces) = self.rounds.task();
        let (mut first, mut claimed) = (Some(piece), 1);
        let mut claim = || {
            first.take().or_else(|| {
                let next = if more() { self.rounds.claim(thread) } else { None };
                claimed += usize::from(next.is_some());
                next
            })
        };
        let result = catch_unwind(AssertUnwindSafe(|| {
            before(task);
            job.work(task, thread, pieces, &mut claim);
        }));
        if result.is_err() {
            self.panicked.store(true, Ordering::Release);
            job.give_up();
        }
        let mut held_up = false;
        if self.rounds.finish(claimed) {
            held_up = self.held_up.load(Ordering::Relaxed) && self.held_up.swap(false, Ordering::Relaxed);
            match job.next(task) {
                Some((task, pieces)) => self.open(thread, task, pieces),
                None => {
                    // The job must not be touched any more.
                    self.over.store(true, Ordering::SeqCst);
                    self.parkers[0].unpark();
                }
            }
        }
        match result {
            Ok(()) => RoundOutcome::Done { held_up },
            Err(panic) => RoundOutcome::Panicked(panic),
        }
    }

    /// Opens a round and wakes as many sleepers as it has pieces for.
    fn open(&self, thread: usize, task: Task, pieces: usize) {
        self.rounds.open(task, pieces);
        let others = self.parkers.iter().enumerate().filter(|(i, _)| *i != thread).map(|(_, parker)| parker);
        others.take(pieces - 1).for_each(Parker::unpark);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// A fixed set of threads, the caller's included.
pub struct Pool {
    shared: Arc<Shared>,
    shares: Shares,
    helpers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool of {} threads", self.threads())
    }
}

impl Pool {
    /// Starts `threads` - 1 threads (the caller's is the other one); 1 to [`MAX_WORKERS`]. Returns when all have
    /// begun, so that what a thread allocates when it begins is allocated by then.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn new(threads: usize) -> std::io::Result<Pool> {
        let threads = threads.clamp(1, MAX_WORKERS);
        let shared = Arc::new(Shared::new(threads));
        let mut pool = Pool { shared, shares: Shares::default(), helpers: Vec::with_capacity(threads - 1) };
        for thread in 1..threads {
            let shared = pool.shared.clone();
            let name = format!("edge-ocr-{thread}");
            pool.helpers.push(std::thread::Builder::new().name(name).spawn(move || worker_loop(&shared, thread))?);
        }
        let shared = &*pool.shared;
        let all = || shared.begun.load(Ordering::SeqCst) == threads - 1;
        while !all() {
            shared.parkers[0].park(all, None);
        }
        Ok(pool)
    }

    /// Threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.shared.parkers.len()
    }

    /// Calls `work` once with each number below `count`, on whichever threads are free, and returns when all calls
    /// are done. Nothing is allocated. The calls must not wait for each other: one thread may do them all.
    ///
    /// # Errors
    /// [`Panicked`] when a call panicked, on whichever thread; the other calls are made all the same.
    pub fn each(&mut self, count: usize, work: &(dyn Fn(usize) + Sync)) -> Result<(), Panicked> {
        struct Calls<'w>(&'w (dyn Fn(usize) + Sync), usize);
        impl Job for Calls<'_> {
            fn work(&self, [start, ..]: Task, _: usize, _: usize, claim: &mut dyn FnMut() -> Option<usize>) {
                while let Some(piece) = claim() {
                    (self.0)(start + piece);
                }
            }
            fn next(&self, [start, ..]: Task) -> Option<(Task, usize)> {
                let start = start + MAX_PIECES;
                (start < self.1).then(|| ([start, 0, 0, 0, 0], (self.1 - start).min(MAX_PIECES)))
            }
            fn give_up(&self) {}
        }
        if count == 0 {
            return Ok(());
        }
        match self.run_job(&Calls(work, count), [0; 5], count.min(MAX_PIECES), &mut |_| {}) {
            Ok(()) if !self.shared.panicked.load(Ordering::Acquire) => Ok(()),
            own => {
                own.unwrap_or_else(discard);
                Err(Panicked)
            }
        }
    }

    /// Runs a network on all threads. The result is the same for any number of them, and whatever each of them does.
    ///
    /// # Errors
    /// [`RunError::Workers`] when the network was made for fewer workers, or a helper panicked.
    pub fn run(&mut self, executor: &mut Executor<'_, '_>) -> Result<(), RunError> {
        self.run_observed(executor, &mut |_| {})
    }

    /// As [`Executor::run_observed`], on all threads; `at` is called on the caller's, in order, but late for a step
    /// that the others did alone.
    ///
    /// # Errors
    /// As [`Pool::run`].
    pub fn run_observed(
        &mut self,
        executor: &mut Executor<'_, '_>,
        at: &mut (dyn FnMut(usize) + '_),
    ) -> Result<(), RunError> {
        let workers = self.threads();
        if workers == 1 {
            return executor.run_observed(at);
        }
        if workers > executor.prepared().workers() {
            return Err(RunError::Workers);
        }
        let run = Run::new(executor, workers);
        let mut seen = 0;
        let mut see = |step: usize| {
            while seen <= step {
                seen += 1;
                at(seen - 1);
            }
        };
        if let Some((first, pieces)) = executor.phase_after(None, workers) {
            let result = self.run_job(&run, first.pack(), pieces, &mut |task| see(Phase::unpack(task).step));
            result.unwrap_or_else(|panic| resume_unwind(panic));
        }
        if self.shared.panicked.load(Ordering::Acquire) {
            return Err(RunError::Workers);
        }
        run.result()?;
        see(executor.prepared().steps().count());
        Ok(())
    }

    /// Does a job's rounds, from the given one on. The error is this thread's own panic.
    fn run_job(&mut self, job: &dyn Job, task: Task, pieces: usize, before: &mut dyn FnMut(Task)) -> Result<(), Panic> {
        let shared = &*self.shared;
        // Where all cores are free there is nothing to measure.
        let measured = shared.crowded.load(Ordering::Relaxed) && self.threads() > 1;
        let begin = if measured { thread_time().map(|cpu| (Instant::now(), cpu)) } else { None };
        if begin.is_none() {
            shared.helped.store(0, Ordering::Relaxed);
        }
        let mut result = Ok(());
        // The lifetime is lost; see `Shared::run_round`. Nothing below unwinds before `over`.
        let job: *const &dyn Job = &job;
        shared.job.store(job.cast_mut().cast(), Ordering::Relaxed);
        shared.panicked.store(false, Ordering::Relaxed);
        shared.held_up.store(false, Ordering::Relaxed);
        shared.over.store(false, Ordering::SeqCst);
        shared.cores.note(0);
        shared.open(0, task, pieces);
        let ready = || shared.is_over() || shared.rounds.has_work();
        let (mut waits, mut last) = (Waits::default(), Duration::ZERO);
        while !shared.is_over() {
            let start = Instant::now();
            match shared.run_round(0, before, &|| true) {
                RoundOutcome::Done { .. } => {
                    last = start.elapsed();
                    waits.short();
                    continue;
                }
                RoundOutcome::Panicked(panic) => {
                    // Not dropped by the assignment: that could unwind.
                    if let Err(earlier) = std::mem::replace(&mut result, Err(panic)) {
                        discard(earlier);
                    }
                    continue;
                }
                RoundOutcome::Nothing => {}
            }
            if !spin(last, ready) {
                if waits.long() {
                    shared.held_up.store(true, Ordering::Relaxed);
                }
                let start = Instant::now();
                while !shared.parkers[0].park(ready, Some(NAP)) {
                    // Longer than this thread's own part took: the other one does not run.
                    if start.elapsed() > last {
                        shared.held_up.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        if let Some((start, cpu)) = begin {
            let (wall, now) = (start.elapsed(), Instant::now());
            let cpu = thread_time().map_or(wall, |now| now.saturating_sub(cpu));
            let helped = Duration::from_nanos(shared.helped.swap(0, Ordering::Relaxed));
            let alone = self.shares.worked(wall, cpu + helped, now);
            if shared.alone.swap(alone, Ordering::SeqCst) && !alone {
                shared.away.iter().for_each(Parker::unpark);
            }
        }
        result
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.parkers.iter().chain(self.shared.away.iter()).for_each(Parker::unpark);
        for helper in self.helpers.drain(..) {
            let _ = helper.join();
        }
    }
}

/// Drops what was thrown, which may throw again: a helper that died would be waited for in vain.
fn discard(panic: Panic) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}
