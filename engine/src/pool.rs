//! A fixed set of threads that run a network together (feature `std`).
//!
//! Threads are started once. A run hands all of them the same work with their number; they share each step's rows and meet
//! between phases: first spinning, because the others usually arrive within microseconds, then offering the core to
//! other programs in between, at last asleep.

use crate::exec::{Executor, RunError, RunOptions, Share};
use crate::plan::MAX_WORKERS;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a thread spins before it offers its core to others.
const SPIN: Duration = Duration::from_micros(50);

/// How long a thread goes on looking, between offers, before it sleeps. Much longer than waking a sleeper takes (some
/// hundred microseconds in a virtual machine): if it were shorter, whoever waits for a woken thread would be asleep
/// itself when that one arrives, and from the first sleep on both would sleep at every meeting of a run.
const PATIENCE: Duration = Duration::from_millis(2);

/// Rounds of spinning between looks at the clock; a round takes 1 to 50 ns, depending on the CPU.
const ROUNDS: u32 = 64;

/// Something that counts up and can be waited for.
#[derive(Debug, Default)]
struct Turn {
    now: AtomicUsize,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Turn {
    fn guard(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self) {
        self.now.fetch_add(1, Ordering::SeqCst);
        // A sleeper registers before it looks at `now` for the last time, so that one of the two sees the other.
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(self.guard());
            self.bell.notify_all();
        }
    }

    /// Returns once the turn is no longer `old`.
    fn wait(&self, old: usize) {
        let start = Instant::now();
        loop {
            for _ in 0..ROUNDS {
                if self.now.load(Ordering::Acquire) != old {
                    return;
                }
                std::hint::spin_loop();
            }
            let waited = start.elapsed();
            if waited > PATIENCE {
                break;
            }
            if waited > SPIN {
                std::thread::yield_now();
            }
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.guard();
        while self.now.load(Ordering::SeqCst) == old {
            guard = self.bell.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        drop(guard);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Where all workers meet.
#[derive(Debug)]
struct Barrier {
    workers: usize,
    arrived: AtomicUsize,
    turn: Turn,
    lost: AtomicBool,
}

impl Barrier {
    /// Returns when all have come; false when one never will.
    fn meet(&self) -> bool {
        let old = self.turn.now.load(Ordering::Acquire);
        if self.lost.load(Ordering::Acquire) {
            return false;
        }
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.workers {
            self.arrived.store(0, Ordering::Release);
            self.turn.advance();
        } else {
            self.turn.wait(old);
        }
        !self.lost.load(Ordering::Acquire)
    }

    /// Forgets a panic. Only while no worker runs.
    fn reset(&self) {
        self.arrived.store(0, Ordering::Release);
        self.lost.store(false, Ordering::Release);
    }
}

/// Frees the others when a worker unwinds.
struct Lifeline<'b>(&'b Barrier);

impl Drop for Lifeline<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lost.store(true, Ordering::SeqCst);
            self.0.turn.advance();
        }
    }
}

type Work<'w> = dyn Fn(usize) + Sync + 'w;

/// Work for all threads, or the sign to stop.
#[derive(Clone, Copy)]
struct Job(Option<&'static Work<'static>>);

struct Shared {
    barrier: Barrier,
    job: Mutex<Job>,
    /// Advanced when there is a job.
    start: Turn,
    /// Helpers that are done with it.
    done: Turn,
    /// A helper panicked in it.
    panicked: AtomicBool,
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

/// A fixed set of threads, the caller's included.
pub struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool of {} threads", self.threads())
    }
}

impl Pool {
    /// Starts `threads` - 1 threads (the caller's is the other one); 1 to [`MAX_WORKERS`].
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn new(threads: usize) -> std::io::Result<Pool> {
        let workers = threads.clamp(1, MAX_WORKERS);
        let barrier =
            Barrier { workers, arrived: AtomicUsize::new(0), turn: Turn::default(), lost: AtomicBool::new(false) };
        let shared = Arc::new(Shared {
            barrier,
            job: Mutex::new(Job(None)),
            start: Turn::default(),
            done: Turn::default(),
            panicked: AtomicBool::new(false),
        });
        let mut pool = Pool { shared, helpers: Vec::with_capacity(workers - 1) };
        for worker in 1..workers {
            let shared = pool.shared.clone();
            let name = format!("edge-ocr-{worker}");
            pool.helpers.push(std::thread::Builder::new().name(name).spawn(move || help(&shared, worker))?);
        }
        Ok(pool)
    }

    /// Threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.shared.barrier.workers
    }

    /// Calls `work` once on each thread, with numbers from 0 (the caller's own) to [`Pool::threads`] - 1, and returns when all
    /// calls are done. Nothing is allocated. The calls must not wait for each other: nothing says that they overlap.
    ///
    /// # Errors
    /// [`Panicked`] when a call panicked, on whichever thread; the others still run to their end.
    pub fn broadcast(&mut self, work: &(dyn Fn(usize) + Sync)) -> Result<(), Panicked> {
        let mut own = Ok(());
        self.start(work, || own = caught(|| work(0)));
        if self.shared.panicked.load(Ordering::Acquire) { Err(Panicked) } else { own }
    }

    /// Runs a network on all threads. The result is the same for any number of them.
    ///
    /// # Errors
    /// [`RunError::Workers`] when the network was made for fewer workers, or a helper panicked.
    pub fn run(&mut self, executor: &mut Executor<'_, '_>, options: &RunOptions<'_>) -> Result<(), RunError> {
        self.run_observed(executor, options, &mut |_| {})
    }

    /// As [`Executor::run_observed`], on all threads; `at` is called on the caller's.
    ///
    /// # Errors
    /// As [`Pool::run`].
    pub fn run_observed(
        &mut self,
        executor: &mut Executor<'_, '_>,
        options: &RunOptions<'_>,
        at: &mut (dyn FnMut(usize) + '_),
    ) -> Result<(), RunError> {
        let workers = self.threads();
        if workers == 1 {
            return executor.run_observed(options, at);
        }
        if workers > executor.network().workers() {
            return Err(RunError::Workers);
        }
        let executor = &*executor;
        let barrier = &self.shared.barrier;
        barrier.reset();
        let refused: Mutex<Option<RunError>> = Mutex::new(None);
        let report = |result: Result<(), RunError>| {
            if let Err(error) = result {
                *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        };
        let meet = || barrier.meet();
        let work = |worker: usize| {
            let _lifeline = Lifeline(barrier);
            report(executor.work(options, Share { worker, workers }, &meet, &mut |_| {}));
        };
        self.start(&work, || {
            let _lifeline = Lifeline(barrier);
            report(executor.work(options, Share { worker: 0, workers }, &meet, at));
        });
        if barrier.lost.load(Ordering::Acquire) {
            return Err(RunError::Workers);
        }
        let refused = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        refused.map_or(Ok(()), Err)
    }

    /// Runs `work` on the helpers and `own` here; returns when all are done.
    fn start(&self, work: &Work<'_>, own: impl FnOnce()) {
        /// Waits for the helpers even when `own` unwinds: they borrow from the caller's frames.
        struct Wait<'s>(&'s Shared, usize);
        impl Drop for Wait<'_> {
            fn drop(&mut self) {
                loop {
                    let now = self.0.done.now.load(Ordering::Acquire);
                    if now == self.1 {
                        return;
                    }
                    self.0.done.wait(now);
                }
            }
        }
        let shared = &*self.shared;
        // SAFETY: the borrow is made to look endless, but no helper uses it after it has counted itself in `done`, and `Wait`
        // lets nobody leave this function before all have.
        let endless = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        shared.panicked.store(false, Ordering::Release);
        let all_done = shared.done.now.load(Ordering::Acquire).wrapping_add(self.helpers.len());
        *shared.job.lock().unwrap_or_else(PoisonError::into_inner) = Job(Some(endless));
        let _wait = Wait(shared, all_done);
        shared.start.advance();
        own();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        *self.shared.job.lock().unwrap_or_else(PoisonError::into_inner) = Job(None);
        self.shared.start.advance();
        for helper in self.helpers.drain(..) {
            let _ = helper.join();
        }
    }
}

/// A helper's life.
fn help(shared: &Shared, worker: usize) {
    let mut turn = 0;
    loop {
        shared.start.wait(turn);
        turn = turn.wrapping_add(1);
        let Job(job) = *shared.job.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(work) = job else { return };
        // Counted even when the work panics; the thread then goes on.
        if caught(|| work(worker)).is_err() {
            shared.panicked.store(true, Ordering::Release);
        }
        shared.done.advance();
    }
}

/// Calls `work` and keeps its panic here.
fn caught(work: impl FnOnce()) -> Result<(), Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        // What was thrown may throw again when it is dropped, and a helper that dies is waited for in vain.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(again);
        }
        Panicked
    })
}
