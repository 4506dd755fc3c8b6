//! Pages to bytes: the formats people already parse, streamed to any [`io::Write`].
//!
//! A [`Writer`] takes one [`Document`] per image, or one failure, and closes the output in
//! [`Writer::finish`], and flushes each. JSON and text look different for one image and for several, so
//! without [`Writer::several`] their first document is held back until the second one or the end arrives.

#[cfg(feature = "annotate")]
pub mod annotate;
mod hocr;
mod json;
mod paddle;
mod text;
mod tsv;

#[cfg(test)]
mod tests;

#[cfg(feature = "annotate")]
pub use annotate::{Font, FontError, annotate};

use crate::image::decode::Decoded;
use crate::infer::Ran;
use crate::page::Page;
use crate::pipeline::Names;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

/// A format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The text alone, one line for each line of the page; `==> name <==` before each of several images or pages.
    Text,
    /// One object (`"schema": "edge-ocr/1"`), or an array of them for several images or pages.
    Json,
    /// One such object for each image, each on one line.
    Jsonl,
    /// Tesseract's table, levels 1 to 5; images that failed leave their page number out.
    Tsv,
    /// hOCR 1.2 as XHTML; one document for all images.
    Hocr,
    /// PaddleOCR 3's result: `{"res": {…}}`, or an array of them for several images.
    Paddle,
}

impl Format {
    /// All formats, in the order they are listed to people.
    pub const ALL: [Format; 6] = [Format::Text, Format::Json, Format::Jsonl, Format::Tsv, Format::Hocr, Format::Paddle];

    /// The name of the format on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Jsonl => "jsonl",
            Format::Tsv => "tsv",
            Format::Hocr => "hocr",
            Format::Paddle => "paddle",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown output format {0:?}; use one of {known}", known = Format::ALL.map(Format::name).join(", "))]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Format, UnknownFormat> {
        let known = Format::ALL.into_iter().find(|format| format.name() == name);
        known.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// What to write beyond the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Words and characters with score and box in JSON and JSON lines. TSV and hOCR always have words.
    pub chars: bool,
    /// How the lines of [`Format::Text`] are made; the other formats have boxes.
    pub layout: Layout,
}

/// What a line of [`Format::Text`] is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// A line of the page, one after the other in reading order: column after column.
    #[default]
    Lines,
    /// All that stands on one printed row, with spaces between its pieces so that columns stay below each other: an
    /// item and its price, the cells of a table. As `pdftotext -layout`.
    Rows,
}

/// Names of the models in use; made of [`Pipeline::names`](crate::Pipeline::names).
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Models {
    /// The detector, if text was looked for.
    pub det: Option<String>,
    /// The classifier of lines standing on their head, if in use.
    pub cls: Option<String>,
    /// The recogniser.
    pub rec: String,
    /// The one that reads again what the first is not certain of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_rec: Option<String>,
    /// What runs them, by their names, with an engine that finds that out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ran: BTreeMap<String, Ran>,
}

impl From<&Names> for Models {
    fn from(names: &Names) -> Models {
        let ran = names.ran.iter().cloned().collect();
        let Names { det, cls, rec, second_rec, .. } = names.clone();
        Models { det, cls, rec, second_rec, ran }
    }
}

/// The result of one image and how it came about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Document<'a> {
    /// The image's name as it was given.
    pub source: &'a str,
    /// The lines, in reading order.
    pub page: &'a Page,
    /// Names of the models.
    pub models: &'a Models,
    /// Thresholds in force, echoed as they are. [`Format::Paddle`] looks up its own names, such as
    /// `thresh`, in the object `det` or as `det_thresh` or `det-thresh`.
    pub params: &'a serde_json::Value,
    /// Name of the engine.
    pub engine: &'a str,
    /// Which part of its file it is.
    pub part: Part<'a>,
}

impl<'a> Document<'a> {
    /// The whole of a file; change [`part`](Self::part) for one of several pages.
    pub fn new(
        source: &'a str,
        page: &'a Page,
        models: &'a Models,
        params: &'a serde_json::Value,
        engine: &'a str,
    ) -> Document<'a> {
        Document { source, page, models, params, engine, part: Part::default() }
    }
}

impl Document<'_> {
    /// What may be missing, and why: the file's, then the page's; one clause or sentence each.
    fn warnings(&self) -> impl Iterator<Item = String> {
        self.part.warnings.iter().cloned().chain(self.page.notices().map(|notice| notice.to_string()))
    }

    /// The image's name, with its page where the file has several.
    fn title(&self) -> String {
        match self.part {
            Part { page_count: 1, .. } => self.source.to_owned(),
            Part { page_number, page_count, .. } => format!("{} (page {page_number} of {page_count})", self.source),
        }
    }
}

/// Which page of its file an image is, and what of the file is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part<'a> {
    /// Number of the page, from 1.
    pub page_number: usize,
    /// Number of pages of the file.
    pub page_count: usize,
    /// What a person should know, such as that only the first frame of an animation was read; one clause each.
    pub warnings: &'a [String],
}

impl<'a> Part<'a> {
    /// The part for a decoded page; `warnings` are those of [`Decoded::warnings`].
    pub fn of(decoded: &Decoded, warnings: &'a [String]) -> Part<'a> {
        Part { page_number: decoded.page, page_count: decoded.page_count, warnings }
    }
}

impl Default for Part<'_> {
    /// The whole of a file.
    fn default() -> Self {
        Part { page_number: 1, page_count: 1, warnings: &[] }
    }
}

/// Writes documents in one format.
///
/// Each call may fail with the error of the underlying writer; the output is then incomplete and the
/// writer of no further use. Without [`Writer::finish`] the output is incomplete, too.
#[must_use = "call finish, or the output is not closed"]
pub struct Writer<W: Write> {
    format: Format,
    options: Options,
    out: W,
    /// Whether several images are known to follow.
    several: bool,
    /// Images so far, failed ones included.
    images: usize,
    /// Entries of the array, or texts, written or held back.
    entries: usize,
    /// The first entry, while it is not known whether another follows: its name and bytes.
    held: Option<(String, Vec<u8>)>,
    /// True once the opening of the file is written.
    opened: bool,
}

impl<W: Write> Writer<W> {
    /// A writer that has written nothing yet.
    pub fn new(format: Format, options: Options, out: W) -> Self {
        Writer { format, options, out, several: false, images: 0, entries: 0, held: None, opened: false }
    }

    /// Takes the output as that of several images, however many documents there will be: JSON is an array, each
    /// text has its heading, and nothing is held back.
    pub fn several(mut self) -> Self {
        self.several = true;
        self
    }

    /// Writes the result of one image; the pages of a file are images of their own.
    ///
    /// # Errors
    /// Those of the underlying writer.
    pub fn document(&mut self, document: &Document<'_>) -> io::Result<()> {
        self.images += 1;
        let number = self.images;
        match self.format {
            Format::Text => {
                let layout = self.options.layout;
                self.entry(&document.title(), |out| text::page(out, document.page, layout))?;
            }
            Format::Json => {
                let chars = self.options.chars;
                self.entry(document.source, |out| json::document(out, document, chars))?;
            }
            Format::Jsonl => {
                json::document(&mut self.out, document, self.options.chars)?;
                self.out.write_all(b"\n")?;
            }
            Format::Tsv => {
                self.open(tsv::header)?;
                tsv::page(&mut self.out, document.page, number)?;
            }
            Format::Hocr => {
                self.open(hocr::header)?;
                hocr::page(&mut self.out, document, number)?;
            }
            Format::Paddle => self.entry(document.source, |out| paddle::document(out, document))?,
        }
        self.out.flush()
    }

    /// Notes an image that could not be read: in the JSON family an object with `source` and `error`,
    /// in the other formats nothing, for the message belongs on the standard error there.
    ///
    /// # Errors
    /// Those of the underlying writer.
    pub fn failure(&mut self, source: &str, message: &str) -> io::Result<()> {
        self.images += 1;
        match self.format {
            Format::Json | Format::Paddle => self.entry(source, |out| json::failure(out, source, message))?,
            Format::Jsonl => {
                json::failure(&mut self.out, source, message)?;
                self.out.write_all(b"\n")?;
            }
            Format::Text | Format::Tsv | Format::Hocr => {}
        }
        self.out.flush()
    }

    /// Closes and flushes the output. Without any document JSON is an empty array, TSV a header, hOCR
    /// an empty body.
    ///
    /// # Errors
    /// Those of the underlying writer.
    pub fn finish(mut self) -> io::Result<()> {
        let held = self.held.take();
        match self.format {
            Format::Text => {
                if let Some((_, bytes)) = held {
                    self.out.write_all(&bytes)?;
                }
            }
            Format::Json | Format::Paddle => match (held, self.entries) {
                (Some((_, only)), _) => {
                    self.out.write_all(&only)?;
                    self.out.write_all(b"\n")?;
                }
                (None, 0) => self.out.write_all(b"[]\n")?,
                (None, _) => self.out.write_all(b"\n]\n")?,
            },
            Format::Jsonl => {}
            Format::Tsv => self.open(tsv::header)?,
            Format::Hocr => {
                self.open(hocr::header)?;
                hocr::footer(&mut self.out)?;
            }
        }
        self.out.flush()
    }

    /// Writes the opening of the file, once.
    fn open(&mut self, header: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        if !std::mem::replace(&mut self.opened, true) {
            header(&mut self.out)?;
        }
        Ok(())
    }

    /// Adds an entry of which there may be one or several: the first is held back.
    fn entry(&mut self, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        self.entries += 1;
        if self.entries == 1 && !self.several {
            let mut bytes = Vec::new();
            write(&mut bytes)?;
            self.held = Some((name.to_owned(), bytes));
            return Ok(());
        }
        if let Some((first_name, bytes)) = self.held.take() {
            self.separate(&first_name, true)?;
            self.out.write_all(&bytes)?;
        }
        self.separate(name, self.entries == 1)?;
        write(&mut self.out)
    }

    /// What stands before one of several entries.
    fn separate(&mut self, name: &str, first: bool) -> io::Result<()> {
        match self.format {
            Format::Text => text::heading(&mut self.out, name, first),
            _ => self.out.write_all(if first { b"[\n" } else { b",\n" }),
        }
    }
}
