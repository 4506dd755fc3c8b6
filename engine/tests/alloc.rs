//! Runs allocate nothing: a counting allocator looks at all threads.

mod common;

use common::plans::{Guarded, PLANS};
use edge_ocr_engine::{Answer, Kernels, Plan, Pool, PreparedPlan};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// One test in this file: another one's allocations would be counted.
#[test]
fn loading_and_running_allocate_nothing() {
    let kernels = Kernels::detect().unwrap();
    let mut pool = Pool::new(2).unwrap();
    let copies: Vec<Guarded> = PLANS.iter().map(|(_, bytes)| Guarded::copy(bytes)).collect();
    let mut arena = Guarded::new(4 << 20);
    // A first run lets the system's locks and threads set themselves up.
    for warm in [true, false] {
        let before = CALLS.load(Ordering::SeqCst);
        for copy in &copies {
            let plan = Plan::load(copy.bytes()).unwrap();
            for variant in 0..plan.header().variants {
                let prepared = PreparedPlan::new(&plan, variant, kernels, 2, arena.bytes_mut()).unwrap();
                let mut executor = prepared.bind(arena.bytes_mut()).unwrap();
                for run in 0..20u8 {
                    executor.input_mut().fill(run);
                    if run.is_multiple_of(2) {
                        pool.run(&mut executor).unwrap();
                    } else {
                        executor.run().unwrap();
                    }
                    let full = match executor.output() {
                        Answer::U8 { values, .. } => !values.is_empty(),
                        Answer::F32(values) => !values.is_empty(),
                    };
                    assert!(full);
                }
            }
        }
        for _ in 0..20 {
            pool.each(2, &|i| assert!(i < 2)).unwrap();
        }
        let calls = CALLS.load(Ordering::SeqCst) - before;
        assert!(warm || calls == 0, "{calls} calls of the allocator");
    }
}
