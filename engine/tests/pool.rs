//! A pool of threads: each call is made once, and a panic leaves it usable.

mod common;

use common::plans::{Guarded, PLANS};
use edge_ocr_engine::{Kernels, Panicked, Plan, Pool, PreparedPlan};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn each_number_is_called_once() {
    for threads in 1..=4 {
        let mut pool = Pool::new(threads).unwrap();
        for count in (0..20).chain([5000]) {
            let calls: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            let work = |i: usize| {
                calls[i].fetch_add(1, Ordering::Relaxed);
            };
            assert_eq!(pool.each(count, &work), Ok(()));
            assert!(calls.into_iter().all(|n| n.into_inner() == 1), "{count} calls on {threads} threads");
        }
    }
}

#[test]
fn a_panic_in_each_is_told_and_forgotten() {
    for threads in 1..=3 {
        let mut pool = Pool::new(threads).unwrap();
        for bad in 0..threads {
            let done = AtomicUsize::new(0);
            let work = |i: usize| {
                assert_ne!(i, bad, "on purpose");
                done.fetch_add(1, Ordering::Relaxed);
            };
            assert_eq!(pool.each(threads, &work), Err(Panicked));
            assert_eq!(done.into_inner(), threads - 1);
            assert_eq!(pool.each(threads, &|_| ()), Ok(()));
        }
    }
}

#[test]
fn a_network_runs_after_a_panic() {
    let plan = Guarded::copy(PLANS[0].1);
    let plan = Plan::load(plan.bytes()).unwrap();
    let kernels = Kernels::detect().unwrap();
    let mut arena = Guarded::new(plan.variant(0).unwrap().arena_bytes(2));
    let prepared = PreparedPlan::new(&plan, 0, kernels, 2, arena.bytes_mut()).unwrap();
    let mut executor = prepared.bind(arena.bytes_mut()).unwrap();
    let mut pool = Pool::new(2).unwrap();
    assert_eq!(pool.each(2, &|i| assert_eq!(i, 0, "on purpose")), Err(Panicked));
    for step in [0, 1, 5] {
        executor.input_mut().fill(7);
        assert_eq!(pool.run(&mut executor), Ok(()));
        // The observer's panic is the caller's own; the helper does not go on without it.
        let mut stop = |at: usize| assert_ne!(at, step, "on purpose");
        let run = AssertUnwindSafe(|| pool.run_observed(&mut executor, &mut stop));
        assert!(catch_unwind(run).is_err());
    }
    executor.input_mut().fill(7);
    assert_eq!(pool.run(&mut executor), Ok(()));
}
