//! What a node reads in a frame: named fields, and the marks by which a camera that was pushed is noticed.

use edge_ocr::config::Mode;
use edge_ocr::image::align::AlignParams;
use edge_ocr::image::enhance::Enhance;
use edge_ocr::image::region::Region;
use edge_ocr::pipeline::ProfileConfig;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::PathBuf;

/// Longest name of a field: part of a topic and of identifiers.
pub const MAX_NAME_CHARS: usize = 64;
/// Most fields of a node.
pub const MAX_FIELDS: usize = 64;

/// One field: a region of the frame and how it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FieldConfig {
    /// Part of its topic and its identifier at consumers: letters a to z, digits, `_` and `-`, at most
    /// [`MAX_NAME_CHARS`].
    pub name: String,
    /// For people; the name if not given.
    pub label: Option<String>,
    /// Region `x,y,w,h` in pixels or per cent of the frame; the whole frame if not given. Of the reference image if
    /// there are reference marks: it moves with them, except for the whole frame.
    pub roi: Option<String>,
    /// Take the region as one line, or find the text in it first.
    pub mode: Mode,
    /// Only these characters may come out; all if not given.
    pub allowed_chars: Option<String>,
    /// A character class for each position, such as `99999.9`, see [`pattern`](edge_ocr::recognise::pattern). The
    /// text then always has this form, also where something else stands: the score is what tells.
    pub pattern: Option<String>,
    /// Lines with a lower score are left out, 0 to 1. If not given: 0.5 for pages, 0 for lines.
    pub rec_score_thresh: Option<f32>,
    /// Degrees the region is turned clockwise before it is read: 0, 90, 180 or 270.
    pub rotate_deg: u16,
    /// In mode page: turn lines that are upside down (rotated by 180°).
    pub classify: bool,
    /// Enhancements, in this order.
    pub enhance: Vec<Enhance>,
}

impl Default for FieldConfig {
    /// The whole frame as one line: a field is nearly always one number.
    fn default() -> Self {
        FieldConfig {
            name: String::new(),
            label: None,
            roi: None,
            mode: Mode::Line,
            allowed_chars: None,
            pattern: None,
            rec_score_thresh: None,
            rotate_deg: 0,
            classify: false,
            enhance: Vec::new(),
        }
    }
}

impl FieldConfig {
    /// The keys, for whoever has them in one table with others.
    pub const KEYS: [&'static str; 10] = [
        "name",
        "label",
        "roi",
        "mode",
        "allowed_chars",
        "pattern",
        "rec_score_thresh",
        "rotate_deg",
        "classify",
        "enhance",
    ];

    /// Checks what can be checked without the model; the error is one sentence naming the key, which is one of
    /// `[[field]]`.
    pub fn validate(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.len() > MAX_NAME_CHARS || !self.name.bytes().all(is_name_byte) {
            return Err(format!(
                "field name {:?} cannot be used; give 1 to {MAX_NAME_CHARS} letters a to z, digits, _ or -",
                self.name.chars().take(MAX_NAME_CHARS).collect::<String>()
            ));
        }
        let of_field = |sentence: String| format!("field {}: {sentence}", self.name);
        if self.region().map_err(of_field)?.is_some_and(|roi| roi.is_outside_any()) {
            return Err(of_field("roi goes beyond 100 % of the frame; give a smaller place or size".into()));
        }
        self.profile().validate().map_err(|e| of_field(e.to_string()))
    }

    /// The region, if it is not the whole frame.
    pub(super) fn region(&self) -> Result<Option<Region>, String> {
        self.roi.as_deref().map(str::parse).transpose().map_err(|e: edge_ocr::image::ImageError| format!("roi: {e}"))
    }

    /// How the pipeline reads it.
    pub(super) fn profile(&self) -> ProfileConfig {
        let mut profile = ProfileConfig::default();
        profile.mode = self.mode;
        profile.classify = self.classify;
        profile.allowed_chars = self.allowed_chars.clone();
        profile.pattern = self.pattern.clone();
        profile.rec_score_thresh = self.rec_score_thresh;
        profile.rotate_deg = self.rotate_deg;
        profile.enhance = self.enhance.clone();
        profile
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
}

/// Checks all fields together; the error is one sentence.
pub fn validate_fields<'a>(fields: impl ExactSizeIterator<Item = &'a FieldConfig>) -> Result<(), String> {
    let count = fields.len();
    if count == 0 {
        return Err("there is no [[field]]; name at least one thing to be read".into());
    }
    if count > MAX_FIELDS {
        return Err(format!(
            "there are {count} fields and a node reads at most {MAX_FIELDS}; share them among several nodes"
        ));
    }
    let mut names = HashSet::new();
    for field in fields {
        field.validate()?;
        if !names.insert(&field.name) {
            return Err(format!("there are two fields named {}; give each a name of its own", field.name));
        }
    }
    Ok(())
}

/// The reference marks; see [`align`](edge_ocr::image::align).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignConfig {
    /// One mark, or two to notice turns too.
    pub marks: Vec<MarkConfig>,
    /// How far a mark may have moved in each direction, 1 to 200 pixels.
    pub search_px: u32,
    /// How much alike a mark must be, 0 to 1.
    pub min_score: f32,
    /// What to do with a frame in which the marks are not found.
    pub on_lost: OnLost,
}

/// What to do with a frame in which the marks are not found. Either way the node says that they are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLost {
    /// Read no field that has a region: half a digit can look like a whole other one.
    #[default]
    Skip,
    /// Read the regions where they were drawn: for marks that are covered now and then while the camera stands still.
    Read,
}

/// A reference mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarkConfig {
    /// File of the cut-out: an image with sides of 8 to 256 pixels, of the same scale as the frames.
    /// `picture` is its name in configurations of 0.1.0.
    #[serde(alias = "picture")]
    pub image: PathBuf,
    /// Where its left edge is in the reference image, in pixels.
    pub x_px: u32,
    /// Where its top edge is, in pixels.
    pub y_px: u32,
}

impl Default for AlignConfig {
    fn default() -> Self {
        let AlignParams { search_px, min_score, .. } = AlignParams::default();
        AlignConfig { marks: Vec::new(), search_px, min_score, on_lost: OnLost::default() }
    }
}

impl AlignConfig {
    /// Checks what can be checked without the images; the error is one sentence naming the key, which is one of
    /// `[align]`.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=2).contains(&self.marks.len()) {
            let count = self.marks.len();
            return Err(format!("align: {count} marks cannot be used; give one for shifts, or two for turns as well"));
        }
        if let Some(i) = self.marks.iter().position(|mark| mark.image.as_os_str().is_empty()) {
            return Err(format!("align: mark {} has no image; give the file of its cut-out", i + 1));
        }
        self.params().validate().map_err(|sentence| format!("align: {sentence}"))
    }

    pub(super) fn params(&self) -> AlignParams {
        let mut params = AlignParams::default();
        (params.search_px, params.min_score) = (self.search_px, self.min_score);
        params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(toml: &str) -> Result<FieldConfig, String> {
        let field: FieldConfig = toml::from_str(toml).map_err(|e| e.to_string())?;
        field.validate().map(|()| field)
    }

    #[test]
    fn a_field_is_read_from_toml() {
        let field = field("name = 'energy_1'\nroi = '10%,20%,30%,10%'\nallowed_chars = '0123456789'").unwrap();
        assert_eq!((field.mode, field.rotate_deg), (Mode::Line, 0));
        assert_eq!(toml::from_str::<FieldConfig>(&toml::to_string(&field).unwrap()).unwrap(), field);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (toml, part) in [
            ("", "field name \"\""),
            ("name = 'a/b'", "field name \"a/b\""),
            ("name = 'Energy'", "letters a to z"),
            ("name = 'a'\nroi = '1,2'", "field a: roi: region '1,2'"),
            ("name = 'a'\nroi = '60%,0,50%,10%'", "field a: roi goes beyond 100 %"),
            ("name = 'a'\nrec_score_thresh = 2.0", "field a: rec_score_thresh"),
            ("name = 'a'\nrotate_deg = 45", "field a: rotate_deg"),
            ("name = 'a'\ncolour = 1", "colour"),
        ] {
            let error = field(toml).unwrap_err();
            assert!(error.contains(part), "{toml:?}: {error}");
        }
        let named = |name: &str| FieldConfig { name: name.into(), ..FieldConfig::default() };
        assert!(validate_fields([].iter()).is_err());
        assert!(validate_fields([named("a"), named("b")].iter()).is_ok());
        assert!(validate_fields([named("a"), named("a")].iter()).unwrap_err().contains("two fields named a"));
    }

    #[test]
    fn marks_are_checked() {
        let align = |toml: &str| toml::from_str::<AlignConfig>(toml).unwrap().validate();
        assert_eq!(align("[[marks]]\nimage = 'a.png'\nx_px = 10\ny_px = 20"), Ok(()));
        for (toml, part) in [
            ("", "0 marks"),
            ("[[marks]]\nx_px = 1", "no image"),
            ("search_px = 0\n[[marks]]\nimage = 'a.png'", "search_px"),
            ("min_score = 1.5\n[[marks]]\nimage = 'a.png'", "min_score"),
        ] {
            assert!(align(toml).unwrap_err().contains(part), "{toml:?}");
        }
    }
}
