//! `edge-ocr targets`: what this program was built for, and how much memory that takes.

use super::{Stop, exit};
use edge_ocr::target::{self, Embedded, Stored};

#[derive(clap::Args)]
pub struct Args {}

pub fn run(_: &Args) -> Result<u8, Stop> {
    let mb = |bytes: usize| bytes as f64 / 1e6;
    say!("target     {}: {}", target::NAME, target::DESCRIPTION);
    say!("arena      {:.2} MB ({} bytes) of static memory", mb(target::ARENA_BYTES), target::ARENA_BYTES);
    say!("  finding  {:.2} MB: page, map and detector", mb(target::DETECT_BYTES));
    say!(
        "  reading  {:.2} MB for each of {} threads: line images, recogniser, classifier",
        mb(target::READ_BYTES),
        target::THREADS
    );
    let plans: Vec<&Embedded> = target::all_embedded().collect();
    if plans.iter().any(|plan| deflated(plan)) {
        let file: usize = plans.iter().map(|plan| plan.stored.file_bytes()).sum();
        let memory: usize = plans.iter().map(|plan| plan.plan_bytes).sum();
        say!("plans      {:.2} MB of static memory more, inflated at start from {:.2} MB", mb(memory), mb(file));
    }
    say!("pages      are searched up to {} px a side", target::MAX_SIDE_PX);
    say!("kernels    {}", target::KERNELS.unwrap_or("the best that the processor has"));
    say!("charset    {}, {} classes", target::CHARSET, target::RECOGNISERS[0].classes.len());
    for embedded in plans {
        plan(embedded)?;
    }
    say!("\nto build for another: EDGE_OCR_TARGET=NAME cargo build --release; there are");
    for other in target::ALL {
        say!("  {:<17}{:<13}{}", other.name, other.kernels.unwrap_or(""), other.description);
    }
    Ok(exit::OK)
}

fn deflated(embedded: &Embedded) -> bool {
    matches!(embedded.stored, Stored::Deflated { .. })
}

fn plan(embedded: &Embedded) -> Result<(), Stop> {
    say!(
        "\n{:<10} {}: plan of {:.2} MB, {:.2} of them weights{}",
        embedded.kind,
        embedded.model,
        embedded.plan_bytes as f64 / 1e6,
        embedded.constants_bytes as f64 / 1e6,
        if deflated(embedded) { ", deflated" } else { "" }
    );
    say!("  {:>11}  {:>14}  {:>14}  over the lower bound", "input", "1 thread", "all threads");
    for size in embedded.sizes {
        say!(
            "  {:>11}  {:>14}  {:>14}  {:.3}",
            format!("{}x{}", size.width_px, size.height_px),
            size.arena_bytes,
            size.arena_bytes_all_threads,
            size.over_lower_bound
        );
    }
    Ok(())
}
