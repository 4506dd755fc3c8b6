//! The engine alone: a small quantised network in static memory, without an operating system, a heap or the standard
//! library. The answer is compared, bit by bit, with the one that the scalar kernels gave on a PC.
//!
//! `run qemu` builds it for bare aarch64 and starts it on an emulated board. `run host` builds the same source for this
//! machine, where the C library only starts it and takes its output.

#![no_std]
#![no_main]

#[cfg_attr(target_os = "none", path = "virt.rs")]
#[cfg_attr(not(target_os = "none"), path = "hosted.rs")]
mod board;

use board::{Console, exit};
use core::fmt::Write;
use edge_ocr_engine::plan::crc32;
use edge_ocr_engine::{Answer, Arena, Isa, Kernels, Plan, PreparedPlan};

/// A plan is used where it lies, which must be at a multiple of 64.
#[repr(C, align(64))]
struct Aligned<T>(T);

static PLAN: Aligned<[u8; PLAN_BYTES.len()]> = Aligned(*PLAN_BYTES);
const PLAN_BYTES: &[u8; 5490] = include_bytes!("../../../tests/data/cls.plan");

/// All memory that the network works in.
static ARENA: Arena<{ 64 << 10 }> = Arena::new();

/// Of the answer to an input of 0, 1, 2, …, 255, 0, …
const EXPECTED: u32 = 0xbf93_a4bc;

/// Runs the network once and gives the checksum of its answer.
fn run(kernels: &'static Kernels) -> u32 {
    let plan = Plan::load(&PLAN.0).expect("the plan");
    let mut arena = ARENA.lease().expect("nobody else has the arena");
    let prepared = PreparedPlan::new(&plan, 0, kernels, 1, &mut arena).expect("a plan that fits the arena");
    let mut network = prepared.bind(&mut arena).expect("the same arena");
    for (i, byte) in network.input_mut().iter_mut().enumerate() {
        *byte = i as u8;
    }
    network.run().expect("a run");
    let next = |sum: u32, bits: [u8; 4]| {
        let mut both = [0; 8];
        both[..4].copy_from_slice(&sum.to_le_bytes());
        both[4..].copy_from_slice(&bits);
        crc32(&both)
    };
    match network.output() {
        Answer::F32(values) => values.iter().fold(0, |sum, value| next(sum, value.to_le_bytes())),
        Answer::U8 { values, .. } => values.iter().fold(0, |sum, value| next(sum, [*value, 0, 0, 0])),
    }
}

/// The program: called by the board when memory and stack are ready.
fn program() -> ! {
    let best = Kernels::detect().expect("kernels");
    let scalar = Kernels::for_isa(Isa::Scalar).expect("kernels for every machine");
    let mut right = true;
    for kernels in [scalar, best] {
        let answer = run(kernels);
        right &= answer == EXPECTED;
        let _ = writeln!(Console, "{}: answer {answer:08x}, expected {EXPECTED:08x}", kernels.isa());
    }
    exit(right)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Console, "{info}");
    exit(false)
}
