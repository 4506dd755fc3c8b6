//! From a frame's pixels to the finished page nothing is allocated: an allocator counts, on all threads.

use edge_ocr::config::Mode;
use edge_ocr::image::decode::{self, Limits};
use edge_ocr::image::region::PixelRect;
use edge_ocr::pipeline::ProfileConfig;
use edge_ocr::{Config, Pipeline};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::path::Path;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NAME: &str = "a_frame_is_read_without_allocating";

// One test in this file, and without the test harness: allocations of others would be counted, and the harness makes
// some when a test takes longer than a minute, which it then says.
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        println!("{NAME}: test");
    } else if args.iter().all(|arg| arg.starts_with('-') || NAME.contains(arg.as_str())) {
        a_frame_is_read_without_allocating();
        println!("test {NAME} ... ok");
    }
}

fn a_frame_is_read_without_allocating() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let names = [
        "receipt.jpg",
        "page.jpg",
        "columns.png",
        "slanted.png",
        "upside_down.png",
        "plate.jpg",
        "word.png",
        "blank.png",
    ];
    let images = names
        .map(|name| decode::decode(&std::fs::read(folder.join(name)).expect(name), &Limits::default()).expect(name));
    for threads in [1, 3] {
        let mut config = Config::default();
        config.threads = threads;
        let mut pipeline = Pipeline::from_config(&config).expect("a pipeline");
        let (mut lines, mut sizes) = (0, std::collections::HashSet::new());
        for i in 0..56 {
            // Another part of another image each time, down to a few pixels and up to pages of several tiles.
            let view = images[i % images.len()].view();
            let part = |side: usize, n: usize| (side * (100 - n % 90) / 100).max(1);
            let (w, h) = (part(view.width(), i * 37), part(view.height(), i * 11));
            let view = view.crop((view.width() - w) / 2, (view.height() - h) / 3, w, h).expect("inside");
            sizes.insert([w, h]);
            let region = Region::new(ALLOCATOR);
            let page = pipeline.run(view).expect("a page");
            let change = region.change();
            lines += page.len();
            let calls = change.allocations + change.deallocations + change.reallocations;
            assert_eq!(calls, 0, "frame {i}, {} of {w}x{h}, {threads} threads: {change:?}", names[i % names.len()]);
        }
        // The same pipeline reads regions under profiles of their own, alternately.
        let mut configs = [const { None }; 4].map(|profile: Option<ProfileConfig>| profile.unwrap_or_default());
        (configs[1].mode, configs[3].mode) = (Mode::Line, Mode::Line);
        configs[2].classify = false;
        for digits in &mut configs[2..] {
            digits.allowed_chars = Some("0123456789.".to_string());
        }
        let profiles = configs.each_ref().map(|config| pipeline.profile(config).expect("a profile"));
        let mut texts = [0; 4];
        for i in 0..48 {
            let view = images[i % images.len()].view();
            let (w, h) = (view.width() * (1 + i % 7) / 7, view.height() * (1 + i % 9) / 9);
            let rect = (i % 3 != 0).then(|| PixelRect { x: view.width() - w.max(1), y: 0, w: w.max(1), h: h.max(1) });
            let region = Region::new(ALLOCATOR);
            let page = pipeline.run_profile(view, &profiles[i / 2 % 4], rect).expect("a page");
            let change = region.change();
            texts[i / 2 % 4] += page.len();
            let calls = change.allocations + change.deallocations + change.reallocations;
            assert_eq!(calls, 0, "profile {}, {rect:?} of {}: {change:?}", i / 2 % 4, names[i % names.len()]);
        }
        assert!(texts.iter().all(|lines| *lines > 0), "{texts:?}");
        assert!(lines > 168 && sizes.len() > 50, "{lines} lines on {} sizes", sizes.len());
    }
}
