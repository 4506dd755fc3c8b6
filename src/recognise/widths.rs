//! Widths at which the recogniser runs.

use crate::target;
use serde::{Deserialize, Serialize};

/// Which widths the network runs at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Widths {
    /// Fixed widths in pixels, ascending. A line shorter than the first is padded; any other is stretched or squeezed to
    /// the nearest, so that it has no padding: padding costs these networks spaces between words.
    Buckets(Vec<usize>),
    /// Every line has its own width, at least [`SHORTEST_PX`] and at most [`LONGEST_PX`], as in RapidOCR with batches of
    /// one. A plan for each.
    Exact,
}

/// The width PP-OCR's recognisers were trained with; a narrower input reads worse.
pub const SHORTEST_PX: usize = 320;
/// PaddleX's limit.
pub const LONGEST_PX: usize = 3200;

impl Default for Widths {
    /// Those of the target: from the width the networks were trained with to PaddleX's limit, a fifth to a half apart,
    /// so that lines are stretched or squeezed by a tenth, rarely a fifth.
    fn default() -> Self {
        Widths::Buckets(target::WIDTHS_PX.to_vec())
    }
}

/// Width over height of a line.
pub(super) fn aspect_ratio(width: usize, height: usize) -> f64 {
    width as f64 / height.max(1) as f64
}
