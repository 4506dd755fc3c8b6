//! From pixels to text: a page and a word, by each engine with the default number of threads. The text is held
//! against the expected one first.
//!
//! `cargo bench --bench pipeline [-- FILTER]`

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use edge_ocr::config::{Memory, Mode};
use edge_ocr::{Config, Frame, Pipeline};
use support::{engines, golden, image, root};

fn images(c: &mut Criterion) {
    for (name, mode) in [("receipt.jpg", Mode::Page), ("word.png", Mode::Line)] {
        let pixels = image(name);
        let expected = std::fs::read_to_string(golden(name).with_extension("expected.txt")).expect(name);
        let mut group = support::group(c, name);
        for (engine_name, engine) in engines() {
            let mut config = Config::default();
            (config.engine, config.mode) = (engine, mode);
            // Plans of the float engine that are dropped and made again are not what is measured here.
            config.memory = Memory::Large;
            config.models.folder = Some(root().join("models"));
            let mut pipeline = Pipeline::from_config(&config).expect("a pipeline");
            let page = pipeline.run(Frame::new(pixels.view())).expect("a page");
            let text: String = page.lines().map(|line| line.text().to_string() + "\n").collect();
            assert_eq!(text, expected, "{name} by {engine_name}");
            group.bench_function(engine_name, |b| {
                b.iter(|| pipeline.run(Frame::new(pixels.view())).expect("a page").len());
            });
        }
        group.finish();
    }
}

criterion_group!(benches, images);
criterion_main!(benches);
