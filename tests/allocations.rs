//! From a frame's pixels to the finished page nothing is allocated: an allocator counts, on all threads.

use edge_ocr::image::decode::{self, Limits};
use edge_ocr::{Config, Frame, Pipeline};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::path::Path;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

// One test in this file: another one's allocations would be counted.
#[test]
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
    let pictures = names
        .map(|name| decode::decode(&std::fs::read(folder.join(name)).expect(name), &Limits::default()).expect(name));
    for threads in [1, 3] {
        let mut pipeline = Pipeline::from_config(&Config { threads, ..Config::default() }).expect("a pipeline");
        let (mut lines, mut sizes) = (0, std::collections::HashSet::new());
        for i in 0..100 {
            // Another part of another picture each time, down to a few pixels and up to pages of several tiles.
            let view = pictures[i % pictures.len()].view();
            let part = |side: usize, n: usize| (side * (100 - n % 90) / 100).max(1);
            let (w, h) = (part(view.width(), i * 37), part(view.height(), i * 11));
            let view = view.crop((view.width() - w) / 2, (view.height() - h) / 3, w, h).expect("inside");
            sizes.insert([w, h]);
            let region = Region::new(ALLOCATOR);
            let page = pipeline.run(Frame::new(view)).expect("a page");
            let change = region.change();
            lines += page.len();
            let calls = change.allocations + change.deallocations + change.reallocations;
            assert_eq!(calls, 0, "frame {i}, {} of {w}x{h}, {threads} threads: {change:?}", names[i % names.len()]);
        }
        assert!(lines > 300 && sizes.len() > 90, "{lines} lines on {} sizes", sizes.len());
    }
}
