//! Lists of images: one a line, relative to the data folder, with the corners of a cut where one line of text is
//! meant.
//!
//! `receipts/img/a.jpg` or `receipts/img/a.jpg<TAB>x,y x,y x,y x,y<TAB>text`; `#` begins a comment.

use crate::error::Error;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// One line of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Relative to the data folder.
    pub image: PathBuf,
    /// Upper left, upper right, lower right, lower left, in pixels; none: the whole image.
    pub quad: Option<[[f32; 2]; 4]>,
    /// What is written there, if known.
    pub text: Option<String>,
}

/// Reads a list.
///
/// # Errors
/// It cannot be read, or a line is no entry.
pub fn read(path: &Path) -> Result<Vec<Entry>, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::file(path, e))?;
    let lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'));
    lines.map(|(i, line)| entry(line).ok_or_else(|| Error::file(path, format!("line {} is no entry", i + 1)))).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split('\t');
    let image = PathBuf::from(fields.next()?);
    let quad = match fields.next().filter(|q| !q.is_empty()) {
        None => None,
        Some(quad) => {
            let numbers: Vec<f32> = quad
                .split([' ', ','])
                .map(|n| n.parse().ok().filter(|v: &f32| v.is_finite()))
                .collect::<Option<_>>()?;
            let [a, b, c, d, e, f, g, h] = numbers[..] else { return None };
            Some([[a, b], [c, d], [e, f], [g, h]])
        }
    };
    Some(Entry { image, quad, text: fields.next().map(str::to_string) })
}

/// An entry as a line.
pub fn line(entry: &Entry) -> String {
    let mut line = entry.image.display().to_string();
    if entry.quad.is_some() || entry.text.is_some() {
        let quad = entry.quad.map(|q| q.map(|[x, y]| format!("{x},{y}")).join(" ")).unwrap_or_default();
        line += &format!("\t{quad}");
    }
    if let Some(text) = &entry.text {
        line += &format!("\t{text}");
    }
    line
}

/// A line of `labels.jsonl`.
#[derive(Deserialize)]
struct Label {
    image: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    boxes: Vec<LabelBox>,
}

#[derive(Deserialize)]
struct LabelBox {
    quad: [[f32; 2]; 4],
    text: String,
    #[serde(default)]
    ignore: bool,
}

/// Which images of a folder: every fourth calibrates, the others evaluate.
const EVERY: usize = 4;

/// Chooses from the data folder, in order of the labels. `held_out` takes the images that calibration must not see;
/// `lines` gives cuts of text lines, at most `per_image` of an image, instead of whole images.
///
/// # Errors
/// The labels cannot be read.
pub fn choose(data: &Path, held_out: bool, lines: bool, per_image: usize) -> Result<Vec<Entry>, Error> {
    // Of the many images of single words and digits only some, or they would outweigh the rest.
    let folders: &[(&str, usize)] = if lines {
        &[
            ("receipts", 1),
            ("documents", 1),
            ("scene", 1),
            ("words", 2),
            ("plates", 1),
            ("meters", 6),
            ("displays", 2),
            ("multilang", 1),
        ]
    } else {
        &[("receipts", 1), ("documents", 1), ("scene", 1), ("plates", 2), ("displays", 4)]
    };
    let mut entries = Vec::new();
    for (folder, stride) in folders {
        let path = data.join(folder).join("labels.jsonl");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, e))?;
        let mut taken = 0;
        for (i, json) in text.lines().enumerate() {
            if i.is_multiple_of(EVERY) == held_out {
                continue;
            }
            taken += 1;
            if !(taken - 1usize).is_multiple_of(*stride) {
                continue;
            }
            let label: Label = serde_json::from_str(json).map_err(|e| Error::file(&path, e))?;
            let image = Path::new(folder).join(&label.image);
            if !lines || label.boxes.is_empty() {
                // A text of several lines is no single line; an image without text teaches nothing.
                let text = Some(label.text).filter(|t| lines && !t.is_empty() && !t.contains(['\n', '\t']));
                let single = text.is_some() && !["receipts", "documents", "scene"].contains(folder);
                if !lines || single {
                    entries.push(Entry { image, quad: None, text });
                }
                continue;
            }
            let boxes: Vec<&LabelBox> =
                label.boxes.iter().filter(|b| !b.ignore && !b.text.is_empty() && !b.text.contains('\t')).collect();
            let step = boxes.len().div_ceil(per_image.max(1)).max(1);
            entries.extend(boxes.iter().step_by(step).map(|b| Entry {
                image: image.clone(),
                quad: Some(b.quad),
                text: Some(b.text.clone()),
            }));
        }
    }
    Ok(entries)
}
