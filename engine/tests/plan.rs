//! Plans that are damaged, truncated, of another version or for another target are refused in one sentence; whatever
//! passes stays inside its arena.

mod common;

use common::Rng;
use common::plans::{Guarded, PLANS};
use edge_ocr_engine::plan::{MAX_WORKERS, crc32};
use edge_ocr_engine::{Arena, Isa, IsaError, Kernels, Plan, PlanError, Pool, PreparedPlan};
use std::time::{Duration, Instant};

fn refusal(bytes: &[u8]) -> PlanError {
    let copy = Guarded::copy(bytes);
    Plan::load(copy.bytes()).map(|_| ()).unwrap_err()
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = bytes.len() - 4;
    let crc = crc32(&bytes[..at]);
    bytes[at..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn plans_are_refused_in_one_sentence() {
    let plan = PLANS[0].1;
    assert_eq!(refusal(b""), PlanError::NotAPlan);
    assert_eq!(refusal(&[0; 100]), PlanError::NotAPlan);
    let mut other = plan.to_vec();
    other[8] = 9;
    assert_eq!(refusal(&other), PlanError::Version { found: 9 });
    assert!(matches!(refusal(&plan[..plan.len() - 1]), PlanError::Length { .. }));
    assert!(matches!(refusal(&plan[..30]), PlanError::Length { .. }));
    let mut damaged = plan.to_vec();
    damaged[1000] ^= 1;
    assert_eq!(refusal(&damaged), PlanError::Checksum);
    let copy = Guarded::copy(plan);
    let target = Plan::load_for(copy.bytes(), "pi4").unwrap_err();
    assert_eq!(
        target.to_string(),
        "the plan was made for the target test, this program was built for pi4; make it for this target"
    );
    let shifted = Guarded::copy(&[&[0], plan].concat());
    assert_eq!(Plan::load(&shifted.bytes()[1..]).unwrap_err(), PlanError::Unaligned);
    for error in [refusal(b""), refusal(&other), refusal(&damaged), target, PlanError::Unaligned] {
        let text = error.to_string();
        assert!(
            text.contains("plan") && !text.contains('\n') && text.contains(';') || text.contains("embed"),
            "{text}"
        );
    }
    for cut in 0..plan.len().min(3000) {
        assert!(Plan::load(Guarded::copy(&plan[..cut]).bytes()).is_err());
    }
}

#[test]
fn an_arena_or_worker_that_does_not_fit_is_refused() {
    let copy = Guarded::copy(PLANS[1].1);
    let plan = Plan::load(copy.bytes()).unwrap();
    let kernels = Kernels::detect().unwrap();
    let need = plan.variant(0).unwrap().arena_bytes(2);
    let mut arena = Guarded::new(need + 64);
    let mut new = |from: usize, to: usize, variant, workers| {
        PreparedPlan::new(&plan, variant, kernels, workers, &mut arena.bytes_mut()[from..to]).map(|_| ())
    };
    assert_eq!(new(0, need, 0, 2), Ok(()));
    assert_eq!(new(0, need - 1, 0, 2), Err(PlanError::Arena { have: need - 1, need }));
    assert_eq!(new(1, need + 1, 0, 2), Err(PlanError::Arena { have: 0, need }));
    assert_eq!(new(0, need, 0, 0), Err(PlanError::Workers { workers: 0 }));
    assert_eq!(new(0, need, 0, MAX_WORKERS + 1), Err(PlanError::Workers { workers: MAX_WORKERS + 1 }));
    assert_eq!(new(0, need, 9, 1), Err(PlanError::Variant { index: 9, count: 2 }));
    let prepared = PreparedPlan::new(&plan, 0, kernels, 1, arena.bytes_mut()).unwrap();
    let mut executor = prepared.bind(arena.bytes_mut()).unwrap();
    assert!(Pool::new(2).unwrap().run(&mut executor).is_err());
}

#[test]
fn instruction_sets_that_the_cpu_lacks_are_refused() {
    let mut lacking = 0;
    for isa in Isa::ALL {
        assert_eq!(Isa::from_name(isa.name()), Ok(isa));
        match Kernels::for_isa(isa) {
            Ok(kernels) => assert!(isa.available() && kernels.isa() == isa),
            Err(error) => {
                lacking += 1;
                assert!(!isa.available() && error == IsaError::Unavailable(isa));
                assert_eq!(error.to_string(), format!("EDGE_OCR_ISA: this CPU does not have {isa}"));
            }
        }
    }
    // No CPU has those of two architectures.
    assert!(lacking >= 2);
    let unknown = Isa::from_name("mmx").unwrap_err().to_string();
    assert!(
        unknown.starts_with("EDGE_OCR_ISA: no instruction set is called \"mmx\"; known are scalar avx2 "),
        "{unknown}"
    );
}

/// Through the variable, in a process of its own: the tests of this one run side by side.
#[test]
fn isa_variable_selects_kernels_or_fails() {
    if std::env::var_os("EDGE_OCR_TEST_ISA").is_some() {
        return match Kernels::detect() {
            Ok(kernels) => println!("found {}.", kernels.isa()),
            Err(error) => println!("refused {error}."),
        };
    }
    for name in Isa::ALL.map(Isa::name).into_iter().chain(["", "AVX2"]) {
        let test = "isa_variable_selects_kernels_or_fails";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args([test, "--exact", "--nocapture"]).env("EDGE_OCR_TEST_ISA", "").env("EDGE_OCR_ISA", name);
        // qemu reports a program that cannot be started as one that ended with 127.
        let Some(output) = child.output().ok().filter(|output| output.status.code() != Some(127)) else {
            return eprintln!("skipped: programs of this architecture start no others here (an emulator runs them)");
        };
        let out = String::from_utf8(output.stdout).unwrap();
        if cfg!(not(target_arch = "x86_64")) && out.is_empty() && !output.status.success() {
            return eprintln!(
                "skipped: a program started by one that an emulator runs has no emulator of the same kind"
            );
        }
        let want = match Isa::from_name(name) {
            // Set to nothing is as good as not set.
            _ if name.is_empty() => "found ".into(),
            Ok(isa) if isa.available() => format!("found {isa}."),
            Ok(isa) => format!("refused {}.", IsaError::Unavailable(isa)),
            Err(error) => format!("refused {error}."),
        };
        assert!(out.contains(&want), "{name}: {out}");
    }
}

#[test]
fn a_static_arena_is_given_once() {
    static ARENA: Arena<1024> = Arena::new();
    let memory = ARENA.take().unwrap();
    assert!(memory.len() == 1024 && memory.as_ptr().addr().is_multiple_of(64));
    assert!(ARENA.take().is_none());
}

#[test]
fn arena_lease_returns_on_drop() {
    static ARENA: Arena<1024> = Arena::new();
    for round in 0..3 {
        let mut lease = ARENA.lease().unwrap();
        assert!(lease.len() == 1024 && lease.as_ptr().addr().is_multiple_of(64));
        lease[round] = 7;
        assert!(ARENA.lease().is_none() && ARENA.take().is_none(), "one borrower at a time");
    }
    // Threads that borrow in turn see what the one before wrote.
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let count = || ARENA.lease().map(|mut lease| lease[1023] = lease[1023].wrapping_add(1));
                    (0..1000).filter(|_| count().is_some()).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    let lease = ARENA.lease().unwrap();
    assert_eq!((lease[0], lease[1], lease[2], lease[3]), (7, 7, 7, 0));
    assert_eq!(usize::from(lease[1023]), counts % 256);
    drop(lease);
    assert!(ARENA.take().is_some() && ARENA.lease().is_none(), "taken for good");
}

/// Changes a few bytes; most of the time in the tables, and with a checksum that matches.
fn mutate(random: &mut Rng, plan: &[u8]) -> Vec<u8> {
    let mut bytes = plan.to_vec();
    let constants = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let tables = 64 + constants;
    let mut below = |n: usize| random.next() as usize % n;
    let kind = below(20);
    for _ in 0..1 + below(3) {
        let (at, value) = match kind {
            0 => (below(64), below(256)),
            1 => (below(bytes.len()), below(256)),
            // Small numbers make the most likely wrong shapes; large first bytes make long numbers.
            2..=9 => (tables + below(bytes.len() - tables - 4), below(5)),
            _ => (tables + below(bytes.len() - tables - 4), below(256)),
        };
        bytes[at] = value as u8;
    }
    if kind == 1 && below(2) == 0 {
        bytes.truncate(below(bytes.len()).max(4));
        return bytes;
    }
    with_checksum(bytes)
}

/// For EDGE_OCR_FUZZ_SECONDS (2 when not set), with kernels by turns; EDGE_OCR_ISA and EDGE_OCR_FUZZ_SEED are obeyed.
#[test]
fn mutated_plans_neither_panic_nor_leave_arena() {
    let seconds = std::env::var("EDGE_OCR_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(2);
    let seed = std::env::var("EDGE_OCR_FUZZ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let mut random = Rng::new(seed);
    let mut pool = Pool::new(2).unwrap();
    let all = match std::env::var_os("EDGE_OCR_ISA") {
        Some(_) => vec![Kernels::detect().unwrap()],
        None => Isa::ALL.into_iter().filter_map(|isa| Kernels::for_isa(isa).ok()).collect(),
    };
    let (mut tried, mut loaded, mut made, mut ran) = (0u64, 0u64, 0u64, 0u64);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let (name, plan) = PLANS[random.next() as usize % PLANS.len()];
        let bytes = Guarded::copy(&mutate(&mut random, plan));
        let kernels = all[tried as usize % all.len()];
        tried += 1;
        let Ok(plan) = Plan::load(bytes.bytes()) else { continue };
        loaded += 1;
        for variant in 0..plan.header().variants.min(3) {
            let need = plan.variant(variant).unwrap().arena_bytes(2);
            if need > 4 << 20 {
                continue;
            }
            let mut arena = Guarded::new(need);
            let Ok(prepared) = PreparedPlan::new(&plan, variant, kernels, 2, arena.bytes_mut()) else { continue };
            made += 1;
            let mut executor = prepared.bind(arena.bytes_mut()).unwrap();
            executor.input_mut().fill(random.next() as u8);
            let done = if random.next().is_multiple_of(2) { pool.run(&mut executor) } else { executor.run() };
            ran += u64::from(done.is_ok());
            let _ = executor.output();
            assert!(arena.intact(), "{name}: wrote outside the arena with {}", kernels.isa());
        }
        assert!(bytes.intact());
    }
    eprintln!("{tried} plans tried, {loaded} loaded, {made} networks made, {ran} runs");
    assert!(seconds == 0 || ran > 0);
}
