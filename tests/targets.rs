//! What the build made of the target: memory that is known, plans that are what they say.

mod support;

use edge_ocr::target::{self, Embedded};
use edge_ocr_engine::Plan;
use std::fmt::Write;

const EMBEDDED: [&Embedded; 3] = [&target::DETECTOR, &target::RECOGNISER, &target::CLASSIFIER];

/// Arena sizes are frozen: whoever changes a model, an operation or the planner sees here what it costs.
/// `EDGE_OCR_UPDATE_GOLDEN=1 cargo test --test targets` rewrites them; read the difference before committing it.
#[test]
fn arena_sizes_are_frozen() {
    let mut text = format!("arena {}\n", target::ARENA_BYTES);
    for embedded in EMBEDDED {
        for size in embedded.sizes {
            let (width, height) = (size.width_px, size.height_px);
            let _ = writeln!(
                text,
                "{} {width}x{height} {} {}",
                embedded.model, size.arena_bytes, size.arena_bytes_all_threads
            );
        }
    }
    let path = support::root().join(format!("tests/golden/arena.{}.{}.txt", target::NAME, target::CHARSET));
    if std::env::var_os("EDGE_OCR_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    // Other charsets have other sizes, and only that of the target is frozen.
    if path.exists() || target::CHARSET == "latin" {
        assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
    }
}

#[test]
fn tensors_lie_as_close_as_they_can() {
    for embedded in EMBEDDED {
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
fn plans_are_for_this_target_and_say_what_the_constants_say() {
    for embedded in EMBEDDED {
        let plan = Plan::load_for(embedded.plan, target::NAME).expect("a plan of this target");
        let sizes: Vec<usize> = plan.variants().map(|v| v.arena_bytes(1)).collect();
        assert_eq!(sizes, embedded.sizes.iter().map(|s| s.arena_bytes).collect::<Vec<_>>());
        assert!(Plan::load_for(embedded.plan, "another").is_err());
        assert!(sizes.iter().all(|bytes| *bytes <= target::ARENA_BYTES));
    }
    let recogniser = Plan::load(target::RECOGNISER.plan).expect("a plan");
    assert_eq!(recogniser.head().classes as usize, target::CLASSES.len());
}

#[test]
fn the_verb_shows_them() {
    let (code, out, err) = support::run(&["targets"]);
    assert_eq!(code, 0, "{err}");
    for said in [target::NAME, &target::ARENA_BYTES.to_string(), target::DETECTOR.model, "over the lower bound"] {
        assert!(out.contains(said), "{said} in {out}");
    }
}
