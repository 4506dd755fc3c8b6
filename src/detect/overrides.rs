//! Thresholds that the caller sets; what is not set comes from the model's manifest.

use super::{BoxMode, DbParams, ScoreMode};
use crate::models::manifest;
use serde::{Deserialize, Serialize};

/// The fields of [`DbParams`], each of which may be left to the manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DbOverrides {
    /// See [`DbParams::thresh`].
    pub thresh: Option<f32>,
    /// See [`DbParams::box_thresh`].
    pub box_thresh: Option<f32>,
    /// See [`DbParams::unclip_ratio`].
    pub unclip_ratio: Option<f32>,
    /// See [`DbParams::max_candidates`].
    pub max_candidates: Option<usize>,
    /// See [`DbParams::min_side_px`].
    pub min_side_px: Option<f32>,
    /// See [`DbParams::dilate`].
    pub dilate: Option<bool>,
    /// See [`DbParams::score_mode`].
    pub score_mode: Option<ScoreMode>,
    /// See [`DbParams::box_mode`].
    pub box_mode: Option<BoxMode>,
}

impl DbOverrides {
    /// What holds for a model. `score_mode` is what a caller gets who sets none.
    pub fn apply_to(&self, manifest: Option<&manifest::Detector>, score_mode: ScoreMode) -> DbParams {
        let mut base = DbParams { score_mode, ..DbParams::default() };
        if let Some(m) = manifest {
            base = DbParams {
                thresh: m.thresh,
                box_thresh: m.box_thresh,
                unclip_ratio: m.unclip_ratio,
                max_candidates: m.max_candidates,
                dilate: m.dilate,
                ..base
            };
        }
        DbParams {
            thresh: self.thresh.unwrap_or(base.thresh),
            box_thresh: self.box_thresh.unwrap_or(base.box_thresh),
            unclip_ratio: self.unclip_ratio.unwrap_or(base.unclip_ratio),
            max_candidates: self.max_candidates.unwrap_or(base.max_candidates),
            min_side_px: self.min_side_px.unwrap_or(base.min_side_px),
            dilate: self.dilate.unwrap_or(base.dilate),
            score_mode: self.score_mode.unwrap_or(base.score_mode),
            box_mode: self.box_mode.unwrap_or(base.box_mode),
        }
    }
}

impl From<DbParams> for DbOverrides {
    /// Everything set.
    fn from(p: DbParams) -> Self {
        DbOverrides {
            thresh: Some(p.thresh),
            box_thresh: Some(p.box_thresh),
            unclip_ratio: Some(p.unclip_ratio),
            max_candidates: Some(p.max_candidates),
            min_side_px: Some(p.min_side_px),
            dilate: Some(p.dilate),
            score_mode: Some(p.score_mode),
            box_mode: Some(p.box_mode),
        }
    }
}
