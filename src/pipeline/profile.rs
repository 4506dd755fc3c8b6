//! How an image, or a region of one, is read: what may change from call to call of one pipeline.

use crate::config::{Config, Mode};
use crate::image::enhance::Enhance;
use crate::param::{Param, ParamError};
use crate::recognise::{RecogniserError, Recognisers, Restrictions};
use serde::{Deserialize, Serialize};

/// What a [`Profile`] is made from; the keys mean what they mean in [`Config`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ProfileConfig {
    /// Find the text first, or take all as one line.
    pub mode: Mode,
    /// Turn lines that stand on their head; without effect on a line, and in a pipeline without the classifier.
    pub classify: bool,
    /// Only these characters may come out; all if not given.
    pub allowed_chars: Option<String>,
    /// A character class for each position, see [`pattern`](crate::recognise::pattern).
    pub pattern: Option<String>,
    /// Lines with a lower score are left out, 0 to 1. If not given: 0.5 for pages, 0 for lines.
    pub rec_score_thresh: Option<f32>,
    /// Degrees to turn clockwise before reading: 0, 90, 180 or 270.
    pub rotate_deg: u16,
    /// Enhancements, in this order.
    pub enhance: Vec<Enhance>,
}

impl Default for ProfileConfig {
    /// As [`Config`]'s.
    fn default() -> Self {
        ProfileConfig {
            mode: Mode::default(),
            classify: true,
            allowed_chars: None,
            pattern: None,
            rec_score_thresh: None,
            rotate_deg: 0,
            enhance: Vec::new(),
        }
    }
}

impl ProfileConfig {
    /// Checks what the types cannot. Characters and pattern are checked when the
    /// profile is made, against the model.
    pub fn validate(&self) -> Result<(), ParamError> {
        if let Some(score) = self.rec_score_thresh.filter(|v| !(0.0..=1.0).contains(v)) {
            return Err(ParamError::new(Param::RecScoreThresh, score, "0 to 1"));
        }
        if self.rotate_deg >= 360 || !self.rotate_deg.is_multiple_of(90) {
            return Err(ParamError::new(Param::Rotate, self.rotate_deg, "0, 90, 180 or 270"));
        }
        Ok(())
    }
}

/// A way of reading, ready to be used: made by [`Pipeline::profile`](super::Pipeline::profile), given to
/// [`Pipeline::run_profile`](super::Pipeline::run_profile).
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub(super) mode: Mode,
    pub(super) classify: bool,
    pub(super) restrictions: Restrictions,
    pub(super) score_thresh: f32,
    pub(super) rotate_deg: u16,
    pub(super) enhance: Vec<Enhance>,
}

impl Profile {
    pub(super) fn new(config: &ProfileConfig, recognisers: &Recognisers) -> Result<Profile, RecogniserError> {
        Ok(Profile {
            mode: config.mode,
            classify: config.classify,
            restrictions: recognisers.restrictions(config.allowed_chars.as_deref(), config.pattern.as_deref())?,
            score_thresh: config.rec_score_thresh.unwrap_or(config.mode.score_thresh()),
            rotate_deg: config.rotate_deg,
            enhance: config.enhance.clone(),
        })
    }

    /// That of a pipeline's own configuration.
    pub(super) fn of_config(config: &Config, recognisers: &Recognisers) -> Result<Profile, RecogniserError> {
        let reading = &config.recognise;
        Ok(Profile {
            mode: config.mode,
            classify: config.classify,
            restrictions: recognisers.restrictions(reading.allowed_chars.as_deref(), reading.pattern.as_deref())?,
            score_thresh: config.score_thresh(),
            rotate_deg: config.rotate_deg,
            enhance: config.enhance.clone(),
        })
    }

    /// Whether text is found first, or all taken as one line.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Degrees that all is turned clockwise before it is read.
    pub fn rotate_deg(&self) -> u16 {
        self.rotate_deg
    }
}
