//! What the build made of the target: memory that is known, plans that are what they say.

use edge_ocr::target;
use edge_ocr_engine::Plan;

/// The constants of this build are those of the table, which `quantize`'s tests make for every target.
#[test]
fn arena_sizes_are_frozen() {
    // Other charsets have other sizes, and only that of the targets is frozen.
    if target::CHARSET != "latin" {
        return;
    }
    let frozen = include_str!("golden/arenas.txt");
    let known = |line: String| assert!(frozen.lines().any(|l| l == line), "{line} is not in tests/golden/arenas.txt");
    let read = target::DETECTORS.iter().chain(&target::RECOGNISERS).map(|embedded| embedded.model);
    let (name, models) = (target::NAME, read.collect::<Vec<_>>().join("+"));
    known(format!("{name} {models} arena {}", target::ARENA_BYTES));
    for embedded in target::all_embedded() {
        for size in embedded.sizes {
            let (width, height) = (size.width_px, size.height_px);
            let (one, all) = (size.arena_bytes, size.arena_bytes_all_threads);
            known(format!("{name} {} {width}x{height} {one} {all}", embedded.model));
        }
    }
}

#[test]
fn tensors_lie_as_close_as_they_can() {
    for embedded in target::all_embedded() {
        for size in embedded.sizes {
            let ratio = size.over_lower_bound;
            assert!(
                (1.0..=1.15).contains(&ratio),
                "{} at {}x{}: {ratio}",
                embedded.model,
                size.width_px,
                size.height_px
            );
        }
    }
}

#[test]
fn plans_match_target_constants() {
    for embedded in target::all_embedded() {
        let bytes = embedded.plan().expect("a plan");
        assert_eq!(bytes.len(), embedded.plan_bytes);
        let plan = Plan::load_for(bytes, target::NAME).expect("a plan of this target");
        let sizes: Vec<usize> = plan.variants().map(|v| v.arena_bytes(1)).collect();
        assert_eq!(sizes, embedded.sizes.iter().map(|s| s.arena_bytes).collect::<Vec<_>>());
        assert!(Plan::load_for(bytes, "another").is_err());
        assert!(sizes.iter().all(|bytes| *bytes <= target::ARENA_BYTES));
    }
    for embedded in &target::RECOGNISERS {
        let recogniser = Plan::load(embedded.plan().expect("a plan")).expect("a plan");
        assert_eq!(recogniser.header().classes as usize, embedded.classes.len(), "{}", embedded.model);
    }
}
