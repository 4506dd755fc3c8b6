//! Compiles a `.q8`, checks it against the integer simulation and times it, step by step.
//!
//! `cargo run --release --example plan_profile -- MODEL.q8 HxW [--threads N] [--runs N] [--out PLAN] [--map] [--svg
//! FILE]
//! [--each-line]`

use edge_ocr_engine::plan::Plan;
use edge_ocr_engine::{Answer, Kernels, Pool, PreparedPlan};
use edge_ocr_quantize::Model;
use edge_ocr_quantize::plan::{AlignedBytes, Options, compile};
use std::collections::BTreeMap;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1));
    let number = |name: &str, default: usize| value(name).and_then(|v| v.parse().ok()).unwrap_or(default);
    let [h, w] = args[1].split('x').map(str::parse).collect::<Result<Vec<usize>, _>>()?[..] else {
        return Err("the size is HxW".into());
    };
    let model = Model::load(args[0].as_ref())?;
    let started = Instant::now();
    let compiled = compile(&model, &Options { target: "host".into(), sizes: vec![[h, w]] })?;
    eprintln!("compiled in {:.2} s", started.elapsed().as_secs_f64());
    let threads = number("--threads", 1);
    let v = &compiled.variants[0];
    eprintln!(
        "plan {} bytes, arena {} bytes ({} tensors, {} scratch each), planner ratio {:.4}",
        compiled.bytes.len(),
        v.arena_bytes(threads),
        v.memory_layout.bytes,
        v.scratch_bytes,
        v.memory_layout.ratio()
    );
    if args.iter().any(|a| a == "--map") {
        println!("{}", compiled.text(&model, threads));
    }
    if let Some(path) = value("--svg") {
        std::fs::write(path, v.svg(&model.name))?;
    }
    if let Some(path) = value("--out") {
        std::fs::write(path, &compiled.bytes)?;
    }
    let bytes = AlignedBytes::copy(&compiled.bytes);
    let started = Instant::now();
    let plan = Plan::load(bytes.bytes())?;
    let mut arena = AlignedBytes::zeroed(plan.arena_bytes(threads));
    let prepared = PreparedPlan::new(&plan, 0, Kernels::detect()?, threads, arena.bytes_mut())?;
    eprintln!("loaded in {:.2} ms; {} kernels", started.elapsed().as_secs_f64() * 1e3, prepared.kernels().isa());
    let mut executor = prepared.bind(arena.bytes_mut())?;
    let mut pool = Pool::new(threads)?;
    if args.iter().any(|a| a == "--each-line") {
        // One run for each line of standard input: for comparisons in alternation with another program.
        for _ in std::io::stdin().lines() {
            let start = Instant::now();
            pool.run(&mut executor)?;
            println!("{}", start.elapsed().as_secs_f64() * 1e3);
        }
        return Ok(());
    }
    let steps: Vec<_> = prepared.steps().collect();
    let mut best = vec![f64::INFINITY; steps.len()];
    let mut totals = Vec::new();
    let input: Vec<u8> = (0..h * w * 3).map(|i| ((i * 7919) >> 3) as u8).collect();
    for _ in 0..number("--runs", 30) {
        executor.input_mut().copy_from_slice(&input);
        let (start, mut last) = (Instant::now(), Instant::now());
        pool.run_observed(&mut executor, &mut |step| {
            if step > 0 {
                best[step - 1] = best[step - 1].min(last.elapsed().as_secs_f64());
            }
            last = Instant::now();
        })?;
        totals.push(start.elapsed().as_secs_f64());
    }
    totals.sort_by(f64::total_cmp);
    let mut kinds: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    for (named, t) in steps.iter().zip(&best) {
        let entry = kinds.entry(named.step.kind()).or_default();
        *entry = (entry.0 + 1, entry.1 + t);
        if args.iter().any(|a| a == "--steps") {
            let s = named.step.output().shape;
            println!("{:8.1} us  {:14} {}x{}x{} {}", t * 1e6, named.step.kind(), s.h, s.w, s.c, named.name);
        }
    }
    for (kind, (count, t)) in &kinds {
        println!("{:3} x {kind:14} {:8.3} ms", count, t * 1e3);
    }
    println!(
        "{threads} threads: min {:.2} ms, median {:.2} ms; sum of the best steps {:.2} ms",
        totals[0] * 1e3,
        totals[totals.len() / 2] * 1e3,
        best.iter().sum::<f64>() * 1e3
    );
    match executor.output() {
        Answer::U8 { values, .. } => {
            eprintln!("sum of the answer {}", values.iter().map(|v| u64::from(*v)).sum::<u64>())
        }
        Answer::F32(values) => eprintln!("sum of the answer {}", values.iter().sum::<f32>()),
    }
    Ok(())
}
