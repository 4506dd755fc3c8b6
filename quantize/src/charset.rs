//! Which characters a recogniser keeps, and cutting its CTC head to them.
//!
//! Each class is one row of the head with a scale of its own, so cutting a quantised head gives the very rows that
//! calibrating a cut network would: one calibrated model serves every charset, and what is not read costs nothing.

use crate::error::Error;
use crate::graph::{CtcHead, Graph, Op, Weights};
use crate::q8::Model;
use std::path::Path;

/// A choice of characters. The blank and the space are always kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charset {
    /// All of the dictionary.
    Full,
    /// Digits and what stands between them on displays, meters, prices, dates and times: `0123456789.,:;'+-±/%°()*#=`.
    Digits,
    /// ASCII, letters of Latin-1 and Latin Extended-A, common currencies, punctuation and signs of measuring, as far as
    /// the model knows them.
    Latin,
    /// The characters of a text; each must be one that the model knows.
    Custom(String),
}

const DIGITS: &str = "0123456789.,:;'+-±/%°()*#=";
const LATIN_EXTRA: &str = "€£¥¢¤§©®™°±²³¹¼½¾×÷µ¿¡«»‹›“”‘’„‚–—…•·†‡ªº№₹₩₽₺₫₱¬¶ȘșȚț";
/// Left out are signs that would take the place of others which mean the same (μ of µ, − of -, ∅ of Ø), and Greek
/// letters that the network takes Latin ones for.
const MEASURING: &str = "ΩΔπλφ≤≥≈≠√∞→←↑↓₂₃₄℃℉";
/// A file of all Unicode characters has less than this.
const MAX_FILE_BYTES: u64 = 8 << 20;
/// So many unknown characters are named, the others counted.
const NAMED: usize = 10;

/// A charset that cannot be used.
#[derive(thiserror::Error, Debug, Clone, PartialEq, Eq)]
pub enum CharsetError {
    /// A file of characters that cannot be read.
    #[error("the charset {name:?} cannot be read: {reason}; a charset is latin, digits, full or a UTF-8 text file")]
    File {
        /// What was asked for.
        name: String,
        /// Why not.
        reason: String,
    },
    /// No character is left.
    #[error("the charset has no character that the model knows; write them one a line, or all in a row")]
    Empty,
    /// Characters that are in no class.
    #[error("the model does not know {characters}; take them out of the charset or take another model")]
    Unknown {
        /// In quotes; if there are many, the first of them and how many more.
        characters: String,
    },
    /// The network has no CTC head with these classes.
    #[error("its network has no classes of characters to cut; take a recogniser with its own dictionary")]
    NoHead,
}

impl Charset {
    /// `latin`, `digits`, `full`, or a UTF-8 file with the characters: one a line, or all in a row.
    ///
    /// # Errors
    /// There is no such file, it is no UTF-8 text or too large, or it is empty.
    pub fn parse(text: &str) -> Result<Charset, Error> {
        match Charset::named(text) {
            Some(charset) => Ok(charset),
            None => Charset::read(Path::new(text)),
        }
    }

    /// `latin`, `digits` or `full`.
    pub fn named(name: &str) -> Option<Charset> {
        match name {
            "full" => Some(Charset::Full),
            "digits" => Some(Charset::Digits),
            "latin" => Some(Charset::Latin),
            _ => None,
        }
    }

    /// The characters of a text. Line breaks and other control characters are no characters.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn of_text(text: &str) -> Result<Charset, Error> {
        let mut characters: Vec<char> = text.chars().filter(|c| !c.is_control() && *c != '\u{feff}').collect();
        characters.sort_unstable();
        characters.dedup();
        if characters.is_empty() {
            Err(CharsetError::Empty.into())
        } else {
            Ok(Charset::Custom(characters.iter().collect()))
        }
    }

    fn read(path: &Path) -> Result<Charset, Error> {
        let wrong = |reason: String| CharsetError::File { name: path.display().to_string(), reason };
        let len = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?.len();
        if len > MAX_FILE_BYTES {
            return Err(wrong(format!("it has {len} bytes, at most {MAX_FILE_BYTES} are read")).into());
        }
        Charset::of_text(&std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?)
    }

    /// What is added to a model's name.
    pub fn suffix(&self) -> &'static str {
        match self {
            Charset::Full => "",
            Charset::Digits => "-digits",
            Charset::Latin => "-latin",
            Charset::Custom(_) => "-custom",
        }
    }

    fn holds(&self, c: char) -> bool {
        match self {
            Charset::Full => true,
            Charset::Digits => DIGITS.contains(c),
            Charset::Custom(text) => text.contains(c),
            Charset::Latin => {
                (' '..='~').contains(&c)
                    || ('\u{c0}'..='\u{17f}').contains(&c) && c.is_alphabetic()
                    || LATIN_EXTRA.contains(c)
                    || MEASURING.contains(c)
            }
        }
    }

    /// Indices of the classes that stay, ascending: the blank, the space, and those all of whose characters are wanted.
    fn kept(&self, classes: &[String]) -> Result<Vec<usize>, CharsetError> {
        let stays = |text: &String| text == " " || !text.is_empty() && text.chars().all(|c| self.holds(c));
        let kept: Vec<usize> =
            (0..classes.len()).filter(|i| *i == 0 || *self == Charset::Full || stays(&classes[*i])).collect();
        if let Charset::Custom(wanted) = self {
            let known: std::collections::BTreeSet<char> = kept.iter().flat_map(|i| classes[*i].chars()).collect();
            let unknown: Vec<String> =
                wanted.chars().filter(|c| *c != ' ' && !known.contains(c)).map(|c| format!("{c:?}")).collect();
            if !unknown.is_empty() {
                let more = unknown.len().saturating_sub(NAMED);
                let mut characters = unknown[..unknown.len() - more].join(", ");
                if more > 0 {
                    characters += &format!(" and {more} more");
                }
                return Err(CharsetError::Unknown { characters });
            }
        }
        if kept.len() < 2 { Err(CharsetError::Empty) } else { Ok(kept) }
    }
}

impl Model {
    /// A recogniser that reads only the characters of `charset`. The classes stay in the order of the dictionary, the
    /// blank first; the name gets the charset's [suffix](Charset::suffix). [`Charset::Full`] gives the model as it is.
    ///
    /// # Errors
    /// It is no recogniser, or the charset has characters that it does not know.
    pub fn prune(&self, charset: &Charset) -> Result<Model, Error> {
        let mut model = self.clone();
        model.classes = prune(&mut model.graph, &self.classes, charset)?;
        model.name += charset.suffix();
        Ok(model)
    }
}

/// Leaves only the classes of `charset` in a graph's head, float or quantised, and gives their texts.
///
/// # Errors
/// The graph has no head with these classes, or the charset has characters that are in none of them.
pub fn prune(graph: &mut Graph, classes: &[String], charset: &Charset) -> Result<Vec<String>, CharsetError> {
    let output = graph.output;
    let head = graph.nodes.iter_mut().find_map(|n| match &mut n.op {
        Op::CtcHead(head) if n.output == output => Some(head),
        _ => None,
    });
    let head = head.filter(|h| h.classes as usize == classes.len()).ok_or(CharsetError::NoHead)?;
    let kept = charset.kept(classes)?;
    keep_rows(head, &kept);
    graph.tensors[output.index()].channels = kept.len() as u32;
    Ok(kept.iter().map(|r| classes[*r].clone()).collect())
}

fn keep_rows(head: &mut CtcHead, kept: &[usize]) {
    fn rows<T: Copy>(values: &[T], len: usize, kept: &[usize]) -> Vec<T> {
        kept.iter().flat_map(|r| &values[r * len..(r + 1) * len]).copied().collect()
    }
    let k = head.in_channels as usize;
    match &mut head.weights {
        Weights::F32(values) => *values = rows(values, k, kept),
        Weights::I8 { values, scales } => {
            *values = rows(values, k, kept);
            *scales = rows(scales, 1, kept);
        }
    }
    head.bias = rows(&head.bias, 1, kept);
    head.classes = kept.len() as u32;
}

/// The classes of a dictionary as ONNX files carry it, one entry a line: blank, its entries, space.
pub fn dictionary(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let entries = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l).to_string());
    [String::new()].into_iter().chain(entries).chain([" ".to_string()]).collect()
}

#[cfg(test)]
mod tests;
