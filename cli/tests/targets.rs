//! `edge-ocr targets`: what the program was built for.

mod support;

use edge_ocr::target;

#[test]
fn the_verb_shows_them() {
    let (code, out, err) = support::run(&["targets"]);
    assert_eq!(code, 0, "{err}");
    for said in [target::NAME, &target::ARENA_BYTES.to_string(), target::DETECTORS[0].model, "over the lower bound"] {
        assert!(out.contains(said), "{said} in {out}");
    }
}
