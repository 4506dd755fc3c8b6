//! A page that outlives its pipeline, and that serde writes and reads.

use super::line::{Char, Line, Span};
use super::{LineDraft, LineRef, Page, Quad, Timing, geometry, rounded};
use serde::{Deserialize, Serialize};

/// The result of one image, with everything in it copied: what [`Pipeline::read_bytes`](crate::Pipeline::read_bytes)
/// and [`Page::to_owned`] give.
///
/// Serialised, it has the keys of the JSON that the program writes with `--chars` (`edge-ocr/1`), without `schema`,
/// `source`, `engine`, `models` and `params`, which the pixels do not tell; those of such a file are skipped when it is
/// deserialised. Coordinates are written to a tenth of a pixel, scores to five decimals, times to the microsecond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OwnedPage {
    /// Number of the page in its file, from 1.
    pub page: usize,
    /// Number of pages of the file.
    pub pages: usize,
    /// What may be missing, of the file and of the page; one clause or sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Width of the image in pixels, upright.
    #[serde(rename = "width")]
    pub width_px: u32,
    /// Height of the image in pixels, upright.
    #[serde(rename = "height")]
    pub height_px: u32,
    /// Where the time went.
    #[serde(rename = "timing_ms")]
    pub timing: Timing,
    /// Lines dropped for lack of room.
    pub truncated: u32,
    /// The lines, in reading order.
    pub lines: Vec<OwnedLine>,
}

/// A line of an [`OwnedPage`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OwnedLine {
    /// The text; empty only where a box was given in which nothing is read.
    pub text: String,
    /// Mean score of the characters, 0..=1.
    #[serde(serialize_with = "rounded::score")]
    pub score: f32,
    /// Score of the detector, 0..=1; 1 where it was not asked.
    #[serde(serialize_with = "rounded::score")]
    pub det_score: f32,
    /// The box as detected: top left, top right, bottom right, bottom left, in page pixels.
    #[serde(rename = "box", serialize_with = "rounded::points")]
    pub quad: Quad,
    /// Degrees by which the box was turned counter-clockwise to be read: 0, 90, 180 or 270.
    #[serde(rename = "angle")]
    pub angle_deg: u16,
    /// Whether the second of two recognisers read it, because the first was not certain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second: bool,
    /// The words.
    #[serde(default)]
    pub words: Vec<OwnedWord>,
    /// The characters, in the order they are read.
    #[serde(default)]
    pub chars: Vec<OwnedChar>,
    /// The curved outline in page pixels; empty where only the box is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "rounded::points")]
    pub polygon: Vec<[f32; 2]>,
}

/// A word of an [`OwnedLine`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OwnedWord {
    /// The text, without white space.
    pub text: String,
    /// Mean score of the characters, 0..=1.
    #[serde(serialize_with = "rounded::score")]
    pub score: f32,
    /// The box in page pixels, first corner at the top left of the upright word.
    #[serde(rename = "box", serialize_with = "rounded::points")]
    pub quad: Quad,
}

/// A character of an [`OwnedLine`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OwnedChar {
    /// The character.
    #[serde(rename = "char")]
    pub ch: char,
    /// Probability the recogniser gave it, 0..=1.
    #[serde(serialize_with = "rounded::score")]
    pub score: f32,
    /// The box in page pixels, first corner at the top left of the upright character.
    #[serde(rename = "box", serialize_with = "rounded::points")]
    pub quad: Quad,
}

impl OwnedPage {
    /// The texts of the lines, each with a line feed.
    pub fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect()
    }
}

impl Page {
    /// The texts of the lines, each with a line feed. Allocates the string.
    pub fn text(&self) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        for line in self.lines() {
            let _ = writeln!(text, "{}", line.text());
        }
        text
    }

    /// A copy that does not depend on the pipeline, as the only page of its file.
    pub fn to_owned(&self) -> OwnedPage {
        OwnedPage {
            page: 1,
            pages: 1,
            warnings: self.notices().map(|notice| notice.to_string()).collect(),
            width_px: self.width_px,
            height_px: self.height_px,
            timing: self.timing,
            truncated: self.truncated,
            lines: self.lines().map(|line| line.to_owned()).collect(),
        }
    }
}

/// A line by itself, which no page's capacity bounds. Numbers are made safe as by [`Page::push_line`].
impl From<LineDraft<'_>> for OwnedLine {
    fn from(draft: LineDraft<'_>) -> OwnedLine {
        let chars: Vec<Char> = draft.chars.iter().map(Char::made_safe).collect();
        let polygon: Vec<[f32; 2]> = draft.polygon.iter().map(|&point| geometry::safe_point(point)).collect();
        let nowhere = Span::after(0, 0);
        LineRef::new(&Line::of(&draft, nowhere, nowhere), &chars, &polygon).to_owned()
    }
}

impl LineRef<'_> {
    /// A copy that does not depend on the page.
    pub fn to_owned(&self) -> OwnedLine {
        let words = self.words().map(|word| OwnedWord {
            text: word.text().to_string(),
            score: word.score(),
            quad: word.quad(),
        });
        let chars = self.chars().map(|c| OwnedChar { ch: c.ch, score: c.score, quad: c.quad });
        OwnedLine {
            text: self.text().to_string(),
            score: self.score,
            det_score: self.det_score,
            quad: self.quad,
            angle_deg: 90 * u16::from(self.quarter_turns),
            second: self.second,
            words: words.collect(),
            chars: chars.collect(),
            polygon: self.polygon().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Box<Page> {
        let mut page = Page::boxed();
        (page.width_px, page.height_px, page.truncated) = (200, 100, 2);
        page.timing = Timing { decode_ms: 1.234_56, total_ms: 2.0, ..Timing::default() };
        for (text, polygon) in [("a b", &[][..]), ("c", &[[0.0, 1.04], [2.0, 3.0], [4.0, 5.0]])] {
            let step = 1.0 / text.len() as f32;
            let char = |(i, ch)| Char {
                ch,
                score: 0.987_654_3,
                start: i as f32 * step,
                end: (i + 1) as f32 * step,
                second: None,
            };
            let chars: Vec<Char> = text.chars().enumerate().map(char).collect();
            let quad = [[1.26, 2.0], [31.3, 2.0], [31.3, 12.0], [1.26, 12.0]];
            let draft = LineDraft {
                quad,
                quarter_turns: 2,
                score: 0.987_654_3,
                det_score: 0.75,
                second: false,
                polygon,
                chars: &chars,
            };
            page.push_line(draft).expect("room");
        }
        page
    }

    /// What the program writes of the same page.
    fn written(page: &Page) -> serde_json::Value {
        use crate::output::{Document, Format, Models, Options, Writer};
        let mut bytes = Vec::new();
        let mut writer = Writer::new(Format::Json, Options { chars: true, ..Options::default() }, &mut bytes);
        let (models, params) = (Models::default(), serde_json::Value::Null);
        writer.document(&Document::new("a", page, &models, &params, "arena")).expect("memory takes all");
        writer.finish().expect("memory takes all");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn owned_page_has_the_keys_and_values_of_the_json() {
        let page = page();
        let mut program = written(&page);
        let object = program.as_object_mut().expect("an object");
        for key in ["schema", "source", "engine", "models", "params"] {
            assert!(object.remove(key).is_some(), "{key}");
        }
        // As text: as a `Value` an `f32` would be widened, not written in its shortest form.
        let owned = serde_json::to_string(&page.to_owned()).expect("JSON");
        let owned: serde_json::Value = serde_json::from_str(&owned).expect("JSON");
        assert_eq!(owned, program);
        assert_eq!(program["lines"][1]["polygon"][0], serde_json::json!([0.0, 1.0]));
        assert_eq!(program["warnings"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn json_of_the_program_is_read_as_an_owned_page() {
        let page = page();
        let read: OwnedPage = serde_json::from_value(written(&page)).expect("a page");
        assert_eq!(read.text(), "a b\nc\n");
        assert_eq!((read.lines[0].words.len(), read.lines[0].angle_deg), (2, 180));
        // Nothing is lost but digits.
        assert_eq!(serde_json::to_value(&read).ok(), serde_json::to_value(page.to_owned()).ok());
        // Without `--chars`.
        let mut short = written(&page);
        for line in short["lines"].as_array_mut().expect("lines") {
            let line = line.as_object_mut().expect("a line");
            line.remove("words");
            line.remove("chars");
        }
        let short: OwnedPage = serde_json::from_value(short).expect("a page");
        assert!(short.lines[0].words.is_empty() && short.text() == read.text());
    }
}
