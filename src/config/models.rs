//! Which networks read.

use crate::param::Param;
use crate::target;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Names of manifests, or paths of ONNX files. In a configuration file the key `tier` chooses all of them, and other keys
/// replace single ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Keys")]
#[non_exhaustive]
pub struct ModelChoice {
    /// Where the files are; see [`Store::new`](crate::models::Store::new) for where they are looked for if not given.
    pub folder: Option<PathBuf>,
    /// Detector.
    pub det: String,
    /// Recogniser that reads every line.
    pub rec: String,
    /// Recogniser that reads again what the first is not certain of, or [`NONE`]. If not given: the target's, where
    /// `rec` is the target's, too, and there is no `dict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_rec: Option<String>,
    /// Text-line classifier.
    pub cls: String,
    /// Dictionary of the recogniser, for models that do not carry one.
    pub dict: Option<PathBuf>,
}

/// The name that stands for no second recogniser.
pub const NONE: &str = "none";

/// A choice of networks by what they cost and how well they read; the figures are in `docs/models.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// PP-OCRv6 tiny: the fastest.
    Tiny,
    /// PP-OCRv6 small.
    Small,
    /// The target's detector; the tiny recogniser, and the small one for the lines of which the tiny one is not certain.
    Cascade,
}

/// The families whose names `--model` takes: name, detector, recogniser.
pub const FAMILIES: [(&str, &str, &str); 5] = [
    ("ppocrv6-small", "ppocrv6-small-det", "ppocrv6-small-rec"),
    ("ppocrv6-tiny", "ppocrv6-tiny-det", "ppocrv6-tiny-rec"),
    ("ppocrv6-medium", "ppocrv6-medium-det", "ppocrv6-medium-rec"),
    ("ppocrv5-mobile", "ppocrv5-mobile-det", "ppocrv5-mobile-rec"),
    ("ppocrv4-mobile", "ppocrv4-mobile-det", "ppocrv4-mobile-rec"),
];

/// The classifier that goes with every family.
pub const CLASSIFIER: &str = "ppocr-mobile-v2-cls";

/// The keys of a configuration.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    tier: Option<Tier>,
    folder: Option<PathBuf>,
    det: Option<String>,
    rec: Option<String>,
    second_rec: Option<String>,
    cls: Option<String>,
    dict: Option<PathBuf>,
}

impl From<Keys> for ModelChoice {
    fn from(keys: Keys) -> ModelChoice {
        let mut choice = keys.tier.map_or_else(ModelChoice::default, ModelChoice::of_tier);
        if let Some(rec) = keys.rec {
            (choice.rec, choice.second_rec) = (rec, None);
        }
        choice.second_rec = keys.second_rec.or(choice.second_rec);
        choice.det = keys.det.unwrap_or(choice.det);
        choice.cls = keys.cls.unwrap_or(choice.cls);
        (choice.folder, choice.dict) = (keys.folder, keys.dict);
        choice
    }
}

impl Default for ModelChoice {
    /// The first networks of the target.
    fn default() -> Self {
        let [det, rec, cls] =
            [&target::DETECTORS[0], &target::RECOGNISERS[0], &target::CLASSIFIERS[0]].map(|e| e.model.into());
        ModelChoice { folder: None, det, rec, second_rec: None, cls, dict: None }
    }
}

impl ModelChoice {
    /// The networks of a tier, with the target's classifier.
    pub fn of_tier(tier: Tier) -> ModelChoice {
        let [(_, tiny_det, tiny_rec), (_, small_det, small_rec)] = [FAMILIES[1], FAMILIES[0]];
        let (det, rec, second) = match tier {
            Tier::Tiny => (tiny_det, tiny_rec, NONE),
            Tier::Small => (small_det, small_rec, NONE),
            Tier::Cascade => (target::DETECTORS[0].model, tiny_rec, small_rec),
        };
        let mut choice = ModelChoice::default();
        (choice.det, choice.rec, choice.second_rec) = (det.into(), rec.into(), Some(second.into()));
        choice
    }

    /// The name of the recogniser that reads again what the first is not certain of, if there is to be one.
    pub fn second(&self) -> Option<&str> {
        match &self.second_rec {
            Some(name) => Some(name.as_str()).filter(|name| *name != NONE),
            None if self.dict.is_none() && self.rec == target::RECOGNISERS[0].model => {
                target::RECOGNISERS.get(1).map(|second| second.model)
            }
            None => None,
        }
    }

    /// Checks what the types cannot: a dictionary belongs to one network, and nobody reads twice.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn validate(&self) -> Result<(), String> {
        match self.second() {
            Some(second) if self.dict.is_some() => {
                Err(format!("{} belongs to one recogniser, and there are two; leave {second} out", Param::Dict))
            }
            Some(second) if second == self.rec => {
                Err(format!("the recogniser {second} cannot read again what it has read; leave the second out"))
            }
            _ => Ok(()),
        }
    }

    /// The recognisers.
    pub fn recognisers(&self) -> impl Iterator<Item = &str> {
        [Some(self.rec.as_str()), self.second()].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ModelChoice {
        toml::from_str(text).expect("keys")
    }

    #[test]
    fn a_named_recogniser_reads_alone() {
        assert_eq!(parsed(""), ModelChoice::default());
        let tiny = parsed("tier = \"tiny\"");
        assert_eq!((tiny.det.as_str(), tiny.second()), ("ppocrv6-tiny-det", None));
        let cascade = parsed("tier = \"cascade\"");
        assert_eq!(cascade.recognisers().collect::<Vec<_>>(), ["ppocrv6-tiny-rec", "ppocrv6-small-rec"]);
        let named = parsed("tier = \"cascade\"\nrec = \"a.onnx\"");
        assert_eq!(named.recognisers().collect::<Vec<_>>(), ["a.onnx"]);
        let both = parsed("rec = \"a.onnx\"\nsecond_rec = \"b.onnx\"");
        assert_eq!(both.recognisers().collect::<Vec<_>>(), ["a.onnx", "b.onnx"]);
        assert_eq!(parsed("dict = \"d.txt\"").second(), None, "a dictionary belongs to one network");
        let set = ModelChoice { rec: "a.onnx".into(), ..ModelChoice::default() };
        assert_eq!(set.second(), None, "also where a program sets it");
        assert!(toml::from_str::<ModelChoice>("teir = \"tiny\"").is_err());
    }

    #[test]
    fn two_recognisers_that_cannot_be_are_refused() {
        assert!(parsed("rec = \"a.onnx\"\nsecond_rec = \"a.onnx\"").validate().is_err_and(|e| e.contains("again")));
        let dict = parsed("tier = \"cascade\"\ndict = \"d.txt\"").validate();
        assert!(dict.is_err_and(|e| e.contains("belongs to one")));
        assert_eq!(parsed("tier = \"cascade\"").validate(), Ok(()));
    }

    #[test]
    fn a_choice_survives_being_written() {
        for tier in [Tier::Tiny, Tier::Small, Tier::Cascade] {
            let choice = ModelChoice::of_tier(tier);
            assert_eq!(parsed(&toml::to_string(&choice).expect("written")), choice, "{tier:?}");
        }
    }
}
