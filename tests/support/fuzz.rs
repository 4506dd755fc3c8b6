//! How long the tests with damaged input go on.

use std::time::{Duration, Instant};

/// Calls `round` `usual` times, and then until `EDGE_OCR_FUZZ_SECONDS` have passed since the first.
pub fn repeat(usual: usize, mut round: impl FnMut()) {
    let seconds = std::env::var("EDGE_OCR_FUZZ_SECONDS").ok().and_then(|v| v.parse().ok()).unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(seconds);
    for _ in 0..usual {
        round();
    }
    while Instant::now() < end {
        round();
    }
}
