//! Widths at which the recogniser runs.

use crate::target;
use serde::{Deserialize, Serialize};

/// Which widths the network runs at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Widths {
    /// Fixed widths in pixels, ascending. A line of up to [`SHORTEST_PX`] is padded to the next; a longer one is stretched
    /// or squeezed to the nearest from there on, so that it has no padding: padding costs these networks spaces between
    /// words. A network is not run at widths below the narrowest of its manifest, unless there are no others.
    Buckets(Vec<usize>),
    /// Every line has its own width, at least [`SHORTEST_PX`] and at most [`LONGEST_PX`], as in RapidOCR with batches of
    /// one. A plan for each.
    Exact,
}

/// The width PP-OCR's recognisers were trained with.
pub const SHORTEST_PX: usize = crate::models::manifest::TRAINED_WIDTH_PX;
/// PaddleX's limit.
pub const LONGEST_PX: usize = 3200;

impl Default for Widths {
    /// Those of the target: up to PaddleX's limit, and above the width that the networks were trained with a fifth to a
    /// half apart, so that lines are stretched or squeezed by a tenth, rarely a fifth.
    fn default() -> Self {
        Widths::Buckets(target::WIDTHS_PX.to_vec())
    }
}

/// Width over height of a line.
pub(super) fn aspect_ratio(width: usize, height: usize) -> f64 {
    width as f64 / height.max(1) as f64
}
