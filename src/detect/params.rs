//! The parameters of DB post-processing, under the names PaddleOCR users know.

use crate::number_format::Compact;
use serde::{Deserialize, Serialize};

/// Which pixels the score of a candidate is the mean of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ScoreMode {
    /// The pixels of the candidate's rotated rectangle (polygon mode: of its simplified polygon).
    #[default]
    Fast,
    /// The pixels inside the contour itself: higher scores for slanted or curved text, slower on long contours.
    Slow,
    /// Quad mode: as fast, but a long candidate that fails gets a second chance by its contour: a line whose
    /// rectangle is loose because of a raised mark or a bend. A curve is cut into straighter parts. Polygon mode: as
    /// fast.
    Adaptive,
}

/// What a text box is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BoxMode {
    /// Four corners of a rotated rectangle.
    #[default]
    Quad,
    /// A polygon that follows the text (curved text, seals), and the rectangle around it.
    Poly,
}

/// Parameters of DB post-processing.
///
/// The defaults are RapidOCR 3.10's. Others in use: PaddleX `thresh` 0.3, `box_thresh` 0.6, `unclip_ratio` 1.5, no dilation;
/// PP-OCRv6's own evaluation 0.2 / 0.4 / 1.4, 3000 candidates, no dilation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DbParams {
    /// A pixel is text if its probability is greater than this. 0 to 1.
    pub thresh: f32,
    /// A candidate is kept if its score is at least this. 0 to 1.
    pub box_thresh: f32,
    /// How far a candidate is widened: by `area * unclip_ratio / perimeter` map pixels on every side. 0 to 10.
    pub unclip_ratio: f32,
    /// At most this many contours are looked at: the last ones in scan order (top to bottom), as OpenCV lists them first.
    pub max_candidates: usize,
    /// A candidate whose shorter side is below this is dropped; after widening, the limit is 2 more. Map pixels.
    pub min_side_px: f32,
    /// Widen the thresholded map by one pixel to the right and downwards (a 2×2 dilation), which joins broken strokes.
    pub dilate: bool,
    /// Which pixels the score is the mean of.
    pub score_mode: ScoreMode,
    /// Rectangles or polygons.
    pub box_mode: BoxMode,
}

impl Default for DbParams {
    fn default() -> Self {
        Self {
            thresh: 0.3,
            box_thresh: 0.5,
            unclip_ratio: 1.6,
            max_candidates: 1000,
            min_side_px: 3.0,
            dilate: true,
            score_mode: ScoreMode::Fast,
            box_mode: BoxMode::Quad,
        }
    }
}

/// A parameter that is out of its range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("detection parameter {name} is {}, but must lie between {min} and {max}", Compact(*value))]
#[non_exhaustive]
pub struct DbParamsError {
    /// Field name.
    pub name: &'static str,
    /// Value given.
    pub value: f64,
    /// Smallest allowed value.
    pub min: f64,
    /// Largest allowed value.
    pub max: f64,
}

impl DbParams {
    /// Checks every field against its range. [`boxes_from_map`](super::boxes_from_map) does not need this to be safe,
    /// only to be sensible: call it where parameters are read.
    ///
    /// [`DbParamsError`] names the first field out of range.
    pub fn validate(&self) -> Result<(), DbParamsError> {
        let fields = [
            ("thresh", f64::from(self.thresh), 0.0, 1.0),
            ("box_thresh", f64::from(self.box_thresh), 0.0, 1.0),
            ("unclip_ratio", f64::from(self.unclip_ratio), 0.0, 10.0),
            ("max_candidates", self.max_candidates as f64, 1.0, 1e6),
            ("min_side_px", f64::from(self.min_side_px), 0.0, 1e4),
        ];
        for (name, value, min, max) in fields {
            if !(min..=max).contains(&value) {
                return Err(DbParamsError { name, value, min, max });
            }
        }
        Ok(())
    }
}

/// The decimal number that was written for `value`, as `f64`, to six places: 1.6 and not 1.600000023841858.
///
/// The reference computes with Python floats; the 24 bits of an `f32` would move offsets across rounding limits.
pub(super) fn as_written(value: f32) -> f64 {
    (f64::from(value) * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_by_name() {
        assert_eq!(DbParams::default().validate(), Ok(()));
        let error = DbParams { box_thresh: f32::NAN, ..DbParams::default() }.validate().unwrap_err();
        assert_eq!(error.name, "box_thresh");
        let error = DbParams { unclip_ratio: -1.0, ..DbParams::default() }.validate().unwrap_err();
        assert_eq!(error.to_string(), "detection parameter unclip_ratio is -1, but must lie between 0 and 10");
    }

    #[test]
    fn json_names_and_unknown_fields() {
        let params: DbParams = serde_json::from_str(r#"{"score_mode":"slow","box_mode":"poly","thresh":0.2}"#).unwrap();
        assert_eq!((params.score_mode, params.box_mode, params.thresh), (ScoreMode::Slow, BoxMode::Poly, 0.2));
        let error = serde_json::from_str::<DbParams>(r#"{"tresh":0.2}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `tresh`"), "{error}");
    }

    #[test]
    fn decimals_are_recovered() {
        for (short, long) in [(1.6f32, 1.6f64), (0.4, 0.4), (1.5, 1.5), (0.123456, 0.123456)] {
            assert_eq!(as_written(short), long);
        }
    }
}
