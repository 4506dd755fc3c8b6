//! Compiled plans against the integer simulation, node by node: each node is simulated on the inputs that the engine
//! itself computed, so that a difference is told where it arises. Where the specification promises the same bits they
//! must be the same; where it allows an approximation (GELU, sigmoids, factors of a squeeze-excite) a byte may differ
//! by one.
//!
//! The shipped models are checked in the same way; `EDGE_OCR_Q8_MODELS` adds others: `MODEL.q8:HxW:IMAGE.bin`,
//! separated by commas.

mod networks;

use edge_ocr_engine::plan::{DType as PlanElem, Plan, Tensor};
use edge_ocr_engine::{Answer, Executor, Isa, Kernels, Pool, PreparedPlan};
use edge_ocr_quantize::Model;
use edge_ocr_quantize::charset::Charset;
use edge_ocr_quantize::graph::{Activation, Op, Shape};
use edge_ocr_quantize::interpreter::{Data, Feature, Mode, image, run_int_node};
use edge_ocr_quantize::plan::{AlignedBytes, Compiled, Options, compile};
use edge_ocr_quantize::q8::Kind;

fn kernels() -> Vec<&'static Kernels> {
    let found: Vec<_> = Isa::ALL.into_iter().filter_map(|isa| Kernels::for_isa(isa).ok()).collect();
    eprintln!("kernels: {:?}", found.iter().map(|k| k.isa()).collect::<Vec<_>>());
    found
}

fn compiled(model: &Model, sizes: &[[usize; 2]]) -> Compiled {
    compile(model, &Options { target: "test".into(), sizes: sizes.to_vec() }).unwrap()
}

/// A tensor's values, dense.
fn feature(executor: &Executor<'_, '_>, t: &Tensor) -> Feature {
    let shape = Shape { h: t.shape.h, w: t.shape.w, c: t.shape.c };
    let mut bytes = Vec::new();
    executor.pixels(t, |p| bytes.extend_from_slice(p));
    let data = match t.dtype {
        PlanElem::U8 { .. } => Data::U8(bytes),
        _ => Data::F32(bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()),
    };
    Feature { shape, data }
}

/// Bytes that may differ by one, and by how much floats may differ relative to the largest.
fn tolerance(op: &Op) -> (bool, f32) {
    match op {
        Op::Conv(c) => (!matches!(c.act, Activation::Linear | Activation::Relu), 1e-4),
        Op::SqueezeExcite(_) => (true, 0.0),
        Op::Pool(_) | Op::GlobalMean | Op::Convert => (false, 0.0),
        // Tokens are quantised by x * (1 / scale) here and x / scale there: rarely, one of a hundred bytes is off by
        // one.
        Op::CtcHead(_) => (false, 1e-3),
        _ => (false, 1e-4),
    }
}

fn compare(name: &str, op: &Op, got: &Feature, want: &Feature) -> f64 {
    assert_eq!(got.shape, want.shape, "{name}");
    let (near, float) = tolerance(op);
    match (&got.data, &want.data) {
        (Data::U8(a), Data::U8(b)) => {
            let differ = a.iter().zip(b).filter(|(x, y)| x != y).count();
            let most = a.iter().zip(b).map(|(x, y)| x.abs_diff(*y)).max().unwrap_or(0);
            assert!(most == 0 || (near && most <= 1), "{name}: {differ} bytes differ, by up to {most}");
            let share = differ as f64 / a.len().max(1) as f64;
            assert!(share < 0.02, "{name}: {share} of the bytes differ");
            share
        }
        (Data::F32(a), Data::F32(b)) => {
            let largest = b.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
            let error = a.iter().zip(b).fold(0f32, |m, (x, y)| m.max((x - y).abs())) / largest;
            assert!(error <= float, "{name}: floats differ by {error} of the largest");
            0.0
        }
        _ => panic!("{name}: element types differ"),
    }
}

/// Runs step by step beside the simulation.
fn check_nodes(model: &Model, size: [usize; 2], pixels: &[u8], kernels: &'static Kernels) {
    let graph = &model.graph;
    let made = compiled(model, &[size]);
    let bytes = AlignedBytes::copy(&made.bytes);
    let plan = Plan::load(bytes.bytes()).unwrap();
    let mut arena = AlignedBytes::zeroed(plan.arena_bytes(1));
    // Whatever was in the arena before must not matter.
    let mut seed = 1u32;
    arena.bytes_mut().iter_mut().for_each(|b| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *b = (seed >> 24) as u8;
    });
    let mut executor = Executor::new(&plan, 0, arena.bytes_mut(), kernels, 1).unwrap();
    executor.input_mut().copy_from_slice(pixels);
    let mut values: Vec<Option<Feature>> = vec![None; graph.tensors.len()];
    values[graph.input.index()] = Some(image(graph, pixels, size[0], size[1], Mode::Int).unwrap());
    let steps = &made.variants[0].steps;
    let (mut step, mut most) = (0, 0.0f64);
    for (i, node) in graph.nodes.iter().enumerate() {
        let mut written = None;
        while step < steps.len() && steps[step].node == i {
            executor.run_step(step).unwrap();
            written = Some(*steps[step].step.output());
            step += 1;
        }
        let inputs: Vec<&Feature> = node.inputs.iter().map(|id| values[id.index()].as_ref().unwrap()).collect();
        let want = run_int_node(graph, i, &inputs).unwrap();
        let got = match (&node.op, written) {
            // Its parts were written in place or copied one by one; who reads it shows whether that went well.
            (Op::Concat, _) => want,
            (_, Some(t)) => {
                let got = feature(&executor, &t);
                most = most.max(compare(&format!("{} {}", kernels.isa(), node.name), &node.op, &got, &want));
                got
            }
            _ => panic!("{} has no step", node.name),
        };
        values[node.output.index()] = Some(got);
    }
    assert_eq!(step, steps.len());
    eprintln!("{} {size:?} {}: at most {most:.5} of a node's bytes are off by one", model.name, kernels.isa());
}

/// The bytes of the answer.
fn answer(executor: &Executor<'_, '_>) -> Vec<u32> {
    match executor.output() {
        Answer::U8 { values, .. } => values.iter().map(|v| u32::from(*v)).collect(),
        Answer::F32(values) => values.iter().map(|v| v.to_bits()).collect(),
    }
}

/// Every ISA and any number of threads give the same bits, run after run.
fn check_threads(model: &Model, sizes: &[[usize; 2]], variant: usize, pixels: &[u8]) {
    let made = compiled(model, sizes);
    let bytes = AlignedBytes::copy(&made.bytes);
    let plan = Plan::load_for(bytes.bytes(), "test").unwrap();
    let mut first: Option<Vec<u32>> = None;
    for kernels in kernels() {
        for threads in [1, 2, 3] {
            let mut arena = AlignedBytes::zeroed(plan.arena_bytes(threads));
            let prepared = PreparedPlan::new(&plan, variant, kernels, threads, arena.bytes_mut()).unwrap();
            let mut executor = prepared.bind(arena.bytes_mut()).unwrap();
            let mut pool = Pool::new(threads).unwrap();
            for run in 0..if kernels.isa() == Isa::Scalar { 1 } else { 3 } {
                executor.input_mut().copy_from_slice(pixels);
                pool.run(&mut executor).unwrap();
                let got = answer(&executor);
                let what = format!("{} {} {threads} threads, run {run}", model.name, kernels.isa());
                assert!(first.get_or_insert_with(|| got.clone()) == &got, "{what}");
            }
        }
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut x = 7u32;
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn every_node_computes_what_the_simulation_says() {
    for model in networks::all() {
        for size in networks::SIZES {
            let pixels = noise(size[0] * size[1] * 3);
            for kernels in kernels() {
                check_nodes(&model, size, &pixels, kernels);
            }
        }
    }
}

#[test]
fn threads_and_instruction_sets_do_not_change_a_bit() {
    for model in networks::all() {
        for (variant, size) in networks::SIZES.into_iter().enumerate() {
            let pixels = noise(size[0] * size[1] * 3);
            check_threads(&model, &networks::SIZES, variant, &pixels);
        }
    }
}

#[test]
fn float_islands_between_integers() {
    let model = networks::islands();
    let size = networks::SIZES[0];
    let pixels = noise(size[0] * size[1] * 3);
    for kernels in kernels() {
        check_nodes(&model, size, &pixels, kernels);
    }
    check_threads(&model, &networks::SIZES, 0, &pixels);
}

/// Dark strokes on bright, uneven ground: real networks are quantised for what looks like text.
fn strokes([h, w]: [usize; 2]) -> Vec<u8> {
    let grain = noise(h * w * 3);
    let dark = |y: usize, x: usize| y % 24 > 5 && (x % 7 < 2 || (y / 5 + x / 9).is_multiple_of(4)) && x / 40 % 4 != 3;
    let level = |i: usize| {
        let (y, x) = (i / 3 / w, i / 3 % w);
        if dark(y, x) { 40 + grain[i] / 8 } else { 200 - (y % 64) as u8 / 2 + grain[i] / 16 }
    };
    (0..h * w * 3).map(level).collect()
}

fn check_real(model: &Model, size: [usize; 2], pixels: &[u8]) {
    for kernels in kernels() {
        check_nodes(model, size, pixels, kernels);
    }
    check_threads(model, &[size], 0, pixels);
    let made = compiled(model, &[size]);
    let ratio = made.variants[0].memory_layout.ratio();
    assert!(ratio <= 1.15, "{}: the arena is {ratio} times its lower bound", model.name);
}

#[test]
fn the_shipped_models() {
    let shipped = [
        ("ppocrv6-small-det", [320, 320]),
        ("ppocrv6-small-rec", [48, 160]),
        ("ppocrv6-tiny-det", [320, 320]),
        ("ppocrv6-tiny-rec", [48, 320]),
        ("ppocr-mobile-v2-cls", [48, 192]),
        ("ppocrv4-mobile-det", [320, 320]),
        ("ppocrv4-mobile-rec", [48, 160]),
    ];
    for (name, size) in shipped {
        let path = format!("{}/../models/{name}.q8", env!("CARGO_MANIFEST_DIR"));
        let model = Model::load(path.as_ref()).unwrap();
        assert_eq!(model.name, name);
        let model = if model.kind == Kind::Recogniser { model.prune(&Charset::Latin).unwrap() } else { model };
        check_real(&model, size, &strokes(size));
    }
}

#[test]
fn models_that_are_asked_for() {
    for entry in std::env::var("EDGE_OCR_Q8_MODELS").iter().flat_map(|list| list.split(',')) {
        let parts: Vec<&str> = entry.split(':').collect();
        let model = Model::load(parts[0].as_ref()).unwrap();
        let size: Vec<usize> = parts[1].split('x').map(|v| v.parse().unwrap()).collect();
        check_real(&model, [size[0], size[1]], &std::fs::read(parts[2]).unwrap());
    }
}

/// The engine's own tests run these plans. EDGE_OCR_UPDATE=1 rewrites them after a change of the format or the
/// compiler.
#[test]
fn the_engines_test_plans_are_current() {
    for model in networks::all() {
        let made = compiled(&model, &networks::SIZES);
        let path = format!("{}/../engine/tests/data/{}.plan", env!("CARGO_MANIFEST_DIR"), model.name);
        if std::env::var_os("EDGE_OCR_UPDATE").is_some() {
            std::fs::write(&path, &made.bytes).unwrap();
        }
        let known = std::fs::read(&path).unwrap_or_default();
        assert!(known == made.bytes, "{path} is out of date; run this test with EDGE_OCR_UPDATE=1");
    }
}
