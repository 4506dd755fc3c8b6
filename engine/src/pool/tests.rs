//! Many schedules: threads are made late at every step of the protocol, at random, and no answer may change.

use super::rounds::{MAX_PIECES, Rounds};
use super::*;
use crate::{Answer, Kernels, Plan, PreparedPlan};
use std::cell::Cell;
use std::sync::atomic::AtomicU32;

const PLANS: [&[u8]; 3] = [
    include_bytes!("../../tests/data/det.plan"),
    include_bytes!("../../tests/data/rec.plan"),
    include_bytes!("../../tests/data/cls.plan"),
];

/// How many threads have drawn their numbers; 0 while nobody is to be disturbed.
static DISTURBED: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static DICE: Cell<u32> = const { Cell::new(0) };
}

fn dice() -> u32 {
    DICE.with(|dice| {
        let mut x = dice.get();
        if x == 0 {
            x = DISTURBED.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9) | 1;
        }
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        dice.set(x);
        x
    })
}

/// Makes the thread late, now and then: a little, until another thread has run, or for so long that others go to
/// sleep.
pub(super) fn disturb() {
    if DISTURBED.load(Ordering::Relaxed) == 0 {
        return;
    }
    match dice() % 256 {
        0..32 => std::thread::yield_now(),
        32..64 => (0..dice() % 2000).for_each(|_| std::hint::spin_loop()),
        64 => std::thread::sleep(Duration::from_micros(u64::from(dice() % 800))),
        _ => {}
    }
}

fn bits(answer: Answer<'_>) -> Vec<u32> {
    match answer {
        Answer::U8 { values, .. } => values.iter().map(|v| u32::from(*v)).collect(),
        Answer::F32(values) => values.iter().map(|v| v.to_bits()).collect(),
    }
}

/// `len` bytes of `memory` that start at a multiple of 64.
fn aligned(memory: &mut Vec<u8>, len: usize) -> &mut [u8] {
    memory.resize(len + 64, 0);
    let skip = memory.as_ptr().align_offset(64);
    &mut memory[skip..skip + len]
}

/// Calls `each` with every network of the plans for `workers` workers, and its bytes of arena.
fn networks(workers: usize, mut each: impl FnMut(&PreparedPlan<'_>, &mut [u8])) {
    let (mut plan, mut arena) = (Vec::new(), Vec::new());
    for bytes in PLANS {
        let plan = aligned(&mut plan, bytes.len());
        plan.copy_from_slice(bytes);
        let plan = Plan::load(plan).unwrap();
        for variant in 0..plan.header().variants {
            let arena = aligned(&mut arena, plan.variant(variant).unwrap().arena_bytes(workers));
            let prepared = PreparedPlan::new(&plan, variant, Kernels::detect().unwrap(), workers, arena).unwrap();
            each(&prepared, arena);
        }
    }
}

fn input(executor: &mut Executor<'_, '_>, seed: usize) {
    executor.input_mut().iter_mut().enumerate().for_each(|(i, b)| *b = ((i + seed) * 37 % 251) as u8);
}

#[test]
fn pool_with_late_threads_gives_the_same_bits() {
    DISTURBED.store(1, Ordering::Relaxed);
    for threads in [2, 3, 5] {
        let mut pool = Pool::new(threads).unwrap();
        networks(threads, |prepared, arena| {
            let mut executor = prepared.bind(arena).unwrap();
            for seed in 0..10 {
                input(&mut executor, seed);
                executor.run().unwrap();
                let alone = bits(executor.output());
                for _ in 0..5 {
                    input(&mut executor, seed);
                    pool.run(&mut executor).unwrap();
                    assert_eq!(bits(executor.output()), alone, "{threads} threads");
                }
            }
        });
    }
}

#[test]
fn pool_whose_helpers_never_come_runs() {
    let mut pool = Pool::new(1).unwrap();
    // Threads that the system never lets begin.
    pool.shared = Arc::new(Shared::new(4));
    let sum = AtomicUsize::new(0);
    let add = |i: usize| {
        sum.fetch_add(i, Ordering::Relaxed);
    };
    pool.each(MAX_PIECES + 3, &add).unwrap();
    assert_eq!(sum.into_inner(), (MAX_PIECES + 3) * (MAX_PIECES + 2) / 2);
    networks(4, |prepared, arena| {
        let mut executor = prepared.bind(arena).unwrap();
        input(&mut executor, 1);
        executor.run().unwrap();
        let alone = bits(executor.output());
        input(&mut executor, 1);
        let mut steps = Vec::new();
        pool.run_observed(&mut executor, &mut |step| steps.push(step)).unwrap();
        assert_eq!(bits(executor.output()), alone);
        assert!(steps.iter().copied().eq(0..=prepared.steps().count()), "{steps:?}");
    });
}

#[test]
fn rounds_each_piece_is_claimed_once() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 3000;
    DISTURBED.store(1, Ordering::Relaxed);
    let rounds = Rounds::new(THREADS);
    let size = |round: usize| 1 + round * 7 % 23;
    let claims: Vec<AtomicUsize> = (0..23).map(|_| AtomicUsize::new(0)).collect();
    let over = AtomicBool::new(false);
    rounds.open([0; 5], size(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (rounds, claims, over) = (&rounds, &claims, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Acquire) {
                    let Some(piece) = rounds.claim(thread) else {
                        std::thread::yield_now();
                        continue;
                    };
                    let ([round, ..], pieces) = rounds.task();
                    assert_eq!(pieces, size(round));
                    // As often as there were rounds with this piece.
                    let before = claims[piece].fetch_add(1, Ordering::Relaxed);
                    assert_eq!(before, (0..round).filter(|r| piece < size(*r)).count(), "piece {piece} of {round}");
                    if rounds.finish(1) {
                        match round + 1 {
                            ROUNDS => over.store(true, Ordering::Release),
                            round => rounds.open([round, 0, 0, 0, 0], size(round)),
                        }
                    }
                }
            });
        }
    });
    let claimed: usize = claims.into_iter().map(AtomicUsize::into_inner).sum();
    assert_eq!(claimed, (0..ROUNDS).map(size).sum());
}
