//! A pool of threads: every thread gets the work once, and a panic leaves it usable.

mod common;

use common::plans::{Guarded, PLANS};
use edge_ocr_engine::{Kernels, Network, Panicked, Plan, Pool, RunOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn broadcast_calls_each_thread_once() {
    for threads in 1..=4 {
        let mut pool = Pool::new(threads).unwrap();
        let caller = std::thread::current().id();
        for round in 1..=200 {
            let calls: [AtomicUsize; 4] = Default::default();
            let work = |worker: usize| {
                assert_eq!(worker == 0, std::thread::current().id() == caller);
                calls[worker].fetch_add(round, Ordering::Relaxed);
            };
            assert_eq!(pool.broadcast(&work), Ok(()));
            let calls = calls.map(AtomicUsize::into_inner);
            assert!(calls.iter().enumerate().all(|(i, &n)| n == if i < threads { round } else { 0 }), "{calls:?}");
        }
    }
}

#[test]
fn a_panic_in_broadcast_is_told_and_forgotten() {
    for threads in 1..=3 {
        let mut pool = Pool::new(threads).unwrap();
        for bad in 0..threads {
            let done = AtomicUsize::new(0);
            let work = |worker: usize| {
                assert_ne!(worker, bad, "on purpose");
                done.fetch_add(1, Ordering::Relaxed);
            };
            assert_eq!(pool.broadcast(&work), Err(Panicked));
            assert_eq!(done.into_inner(), threads - 1);
            assert_eq!(pool.broadcast(&|_| ()), Ok(()));
        }
    }
}

#[test]
fn a_network_runs_after_a_panic() {
    let plan = Guarded::copy(PLANS[0].1);
    let plan = Plan::load(plan.bytes()).unwrap();
    let kernels = Kernels::detect().unwrap();
    let mut arena = Guarded::new(plan.variant(0).unwrap().arena_bytes(2));
    let network = Network::new(&plan, 0, kernels, 2, arena.bytes_mut()).unwrap();
    let mut executor = network.on(arena.bytes_mut()).unwrap();
    let mut pool = Pool::new(2).unwrap();
    assert_eq!(pool.broadcast(&|worker| assert_eq!(worker, 0, "on purpose")), Err(Panicked));
    let options = RunOptions::default();
    for step in [0, 1, 5] {
        executor.input_mut().fill(7);
        assert_eq!(pool.run(&mut executor, &options), Ok(()));
        // The observer's panic is the caller's own; the helper, which may be waiting for it, comes home.
        let mut stop = |at: usize| assert_ne!(at, step, "on purpose");
        let run = AssertUnwindSafe(|| pool.run_observed(&mut executor, &options, &mut stop));
        assert!(catch_unwind(run).is_err());
    }
    executor.input_mut().fill(7);
    assert_eq!(pool.run(&mut executor, &options), Ok(()));
}
