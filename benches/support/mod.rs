//! What the benches share: short measurements, random numbers, images and networks.
#![allow(dead_code)] // each bench uses a part

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use edge_ocr::Config;
use edge_ocr::config::Engine;
use edge_ocr::image::{Image, decode};
use edge_ocr::memory::Workspace;
use edge_ocr::models::{Kind, Store};
use edge_ocr::pipeline::{Opened, open};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A group whose benches take about a second each: these are to compare two states of the code, not to be published.
pub fn group<'c>(c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(150)).measurement_time(Duration::from_millis(700));
    group.sampling_mode(SamplingMode::Flat);
    group
}

/// Random numbers, the same each time.
pub struct Rng(u64);

impl Rng {
    pub fn new() -> Rng {
        Rng(88_172_645_463_325_252)
    }

    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// -127 to 127.
    pub fn weights(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| (self.next() % 255) as i32 - 127).map(|w| w as i8).collect()
    }

    /// -1 to 1.
    pub fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next() as f32 / u32::MAX as f32 * 2.0 - 1.0).collect()
    }
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A golden image's path.
pub fn golden(name: &str) -> PathBuf {
    root().join("tests/golden").join(name)
}

/// A golden image's pixels.
pub fn image(name: &str) -> Image {
    let bytes = std::fs::read(golden(name)).expect(name);
    decode::decode(&bytes, &decode::Limits::default()).expect(name)
}

/// The engines of this program for which everything is here.
pub fn engines() -> Vec<(&'static str, Engine)> {
    let mut engines = vec![("arena", Engine::Arena)];
    let files = ["PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx", "ch_ppocr_mobile_v2.0_cls_mobile.onnx"];
    if cfg!(feature = "tract") && files.iter().all(|file| root().join("models").join(file).is_file()) {
        engines.push(("tract", Engine::Tract));
    } else {
        eprintln!("skipped: the float engine or its models are not here (run models/fetch)");
    }
    engines
}

/// The program's own model of a kind, on one thread.
pub fn load(engine: Engine, kind: Kind) -> Opened {
    let mut config = Config::default();
    config.engine = engine;
    let name = match kind {
        Kind::Detector => &config.models.det,
        Kind::Recogniser => &config.models.rec,
        Kind::Classifier => &config.models.cls,
    };
    open(&config, name, &Store::new(Some(&root().join("models"))), kind, 1, &mut Workspace::on_heap()).expect("a model")
}
