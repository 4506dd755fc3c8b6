//! Detection geometry: from the detector's probability map to text boxes in page pixels.
//!
//! The rules are those of DB (*Differentiable Binarization*) post-processing as PaddleOCR defines them and as RapidOCR
//! 3.10 runs them on OpenCV, Clipper and Shapely. [`boxes_from_map`] is the entry; the other files each hold one step:
//!
//! | file | step | what it agrees with |
//! |---|---|---|
//! | `bitmap` | threshold and optional 2×2 dilation | `numpy >`, `cv2.dilate` |
//! | `contour` | all borders, outer and hole, in list order | `cv2.findContours(RETR_LIST, CHAIN_APPROX_SIMPLE)` |
//! | `hull`, `rect` | smallest enclosing rotated rectangle | `cv2.convexHull`, `cv2.minAreaRect`, `cv2.boxPoints` |
//! | `fill` | mean probability inside a polygon | `cv2.fillPoly`, `cv2.mean` |
//! | `unclip` | outward offset with round joins | `pyclipper.PyclipperOffset` |
//! | `band` | long candidates whose rectangle is loose: raised marks, curves (not in RapidOCR) | |
//! | `approx` | polygon simplification (polygon mode) | `cv2.approxPolyDP` |
//!
//! Several of these steps truncate or round to whole pixels, so a last-bit difference in a rectangle moves a box by a
//! pixel. That is why the arithmetic follows the reference down to the choice of `f32` or `f64`; comments mark
//! the places.
//!
//! In quad mode nothing is allocated once the buffers of [`DbScratch`] have grown to the size of the map.

mod approx;
mod band;
mod bitmap;
mod contour;
mod cover;
mod db;
mod fill;
mod hull;
mod map;
mod params;
mod rect;
mod unclip;

mod overrides;
mod overview;
mod thumbnail_pass;

#[doc(hidden)]
pub mod detector;
#[doc(hidden)]
pub mod scale;

#[cfg(test)]
mod tests;

pub use db::TextBox;
#[doc(hidden)]
pub use db::{DbScratch, boxes_from_map};
#[doc(inline)]
pub use detector::DetectParams;
#[doc(hidden)]
pub use map::{MAX_MAP_SIDE, MapError, MapView};
pub use overrides::DbOverrides;
pub use params::{BoxMode, DbParams, DbParamsError, ScoreMode};
#[doc(inline)]
pub use scale::{LimitType, ScaleParams, ScaleRule};

/// What the buffers of this folder are for, in [`NoMemory`](crate::memory::NoMemory).
const FOR: &str = "finding text";

/// A point on the pixel grid: x (column), y (row); pixel centres have whole coordinates.
pub(crate) type Point = [i32; 2];
