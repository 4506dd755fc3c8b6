//! Numbers as they are written: with the digits that mean something.

use serde::Serializer;

/// Coordinates to a tenth of a pixel.
pub(crate) fn round_px(value: f32) -> f32 {
    round_to(value, 10.0)
}

/// Scores to five decimals, as RapidOCR rounds them.
pub(crate) fn round_score(value: f32) -> f32 {
    round_to(value, 1e5)
}

/// Times to the microsecond.
pub(crate) fn round_ms(value: f32) -> f32 {
    round_to(value, 1e3)
}

/// Rounds to one part of `steps`; what is not a number, or none a file can hold, becomes 0.
pub(crate) fn round_to(value: f32, steps: f32) -> f32 {
    // In f64, so that the product neither overflows nor loses the digits that are kept. Adding 0
    // turns -0 into 0.
    let rounded = ((f64::from(value) * f64::from(steps)).round() / f64::from(steps)) as f32 + 0.0;
    if rounded.is_finite() { rounded } else { 0.0 }
}

/// For serde: a score.
pub(crate) fn score<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f32(round_score(*value))
}

/// For serde: a time.
pub(crate) fn ms<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f32(round_ms(*value))
}

/// For serde: points as `[[x, y], …]`.
pub(crate) fn points<S: Serializer>(points: &impl AsRef<[[f32; 2]]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(points.as_ref().iter().map(|point| point.map(round_px)))
}
