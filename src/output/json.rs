//! The project's own JSON: a versioned envelope around the lines.
//!
//! Everything is serialised straight from the page, without a tree in between.

use super::{Document, Models};
use crate::page::rounded::{round_px, round_score};
use crate::page::{LineRef, Page, PlacedChar, Quad, Text, Timing, WordRef};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::io::{self, Write};

/// Name and version of the envelope; the number rises when a field changes its meaning.
const SCHEMA: &str = "edge-ocr/1";

/// Writes one image as one object on one line, without a line end.
pub(super) fn document(out: &mut dyn Write, document: &Document<'_>, chars: bool) -> io::Result<()> {
    Ok(serde_json::to_writer(out, &Envelope { document, chars })?)
}

/// Writes the object that stands for an image that could not be read.
pub(super) fn failure(out: &mut dyn Write, source: &str, message: &str) -> io::Result<()> {
    #[derive(serde::Serialize)]
    struct Failure<'a> {
        schema: &'a str,
        source: &'a str,
        error: &'a str,
    }
    Ok(serde_json::to_writer(out, &Failure { schema: SCHEMA, source, error: message })?)
}

/// One image.
struct Envelope<'a> {
    document: &'a Document<'a>,
    chars: bool,
}

impl Serialize for Envelope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Fields<'a> {
            schema: &'a str,
            source: &'a str,
            /// Number of the page in its file, from 1, and how many it has.
            page: usize,
            pages: usize,
            /// What may be missing, of the file and of the page. Most have none, and then no field for them.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            warnings: Vec<String>,
            width: u32,
            height: u32,
            engine: &'a str,
            models: &'a Models,
            params: &'a serde_json::Value,
            timing_ms: Timing,
            truncated: u32,
            lines: Lines<'a>,
        }
        let Document { source, page, models, params, engine, part } = *self.document;
        Fields {
            schema: SCHEMA,
            source,
            page: part.page_number,
            pages: part.page_count,
            warnings: self.document.warnings().collect(),
            width: page.width_px,
            height: page.height_px,
            engine,
            models,
            params,
            timing_ms: page.timing,
            truncated: page.truncated,
            lines: Lines { page, chars: self.chars },
        }
        .serialize(serializer)
    }
}

struct Lines<'a> {
    page: &'a Page,
    chars: bool,
}

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.page.lines().map(|line| LineObject { line, chars: self.chars }))
    }
}

struct LineObject<'a> {
    line: LineRef<'a>,
    chars: bool,
}

impl Serialize for LineObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = &self.line;
        let mut object = serializer.serialize_struct("Line", 8)?;
        object.serialize_field("text", &TextValue(line.text()))?;
        object.serialize_field("score", &round_score(line.score))?;
        object.serialize_field("det_score", &round_score(line.det_score))?;
        object.serialize_field("box", &Points(&line.quad))?;
        object.serialize_field("angle", &(90 * u32::from(line.quarter_turns)))?;
        if line.second {
            object.serialize_field("second", &true)?;
        }
        if self.chars {
            object.serialize_field("words", &WordObjects(*line))?;
            object.serialize_field("chars", &CharObjects(*line))?;
        }
        if !line.polygon().is_empty() {
            object.serialize_field("polygon", &Points(line.polygon()))?;
        }
        object.end()
    }
}

struct WordObjects<'a>(LineRef<'a>);

impl<'a> Serialize for WordObjects<'a> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Word<'a> {
            text: TextValue<'a>,
            score: f32,
            r#box: PointsOf,
        }
        let object = |word: WordRef<'a>| Word {
            text: TextValue(word.text()),
            score: round_score(word.score()),
            r#box: PointsOf(word.quad()),
        };
        serializer.collect_seq(self.0.words().map(object))
    }
}

struct CharObjects<'a>(LineRef<'a>);

impl Serialize for CharObjects<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Character {
            char: char,
            score: f32,
            r#box: PointsOf,
        }
        let object = |c: PlacedChar| Character { char: c.ch, score: round_score(c.score), r#box: PointsOf(c.quad) };
        serializer.collect_seq(self.0.chars().map(object))
    }
}

/// Text as a JSON string.
struct TextValue<'a>(Text<'a>);

impl Serialize for TextValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Points as `[[x, y], …]`, to a tenth of a pixel.
struct Points<'a>(&'a [[f32; 2]]);

impl Serialize for Points<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|point| point.map(round_px)))
    }
}

/// [`Points`] of a box of one's own.
struct PointsOf(Quad);

impl Serialize for PointsOf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Points(&self.0).serialize(serializer)
    }
}
