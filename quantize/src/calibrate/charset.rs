//! Which characters a recogniser keeps.

use crate::error::Error;
use crate::graph::{Graph, Op, Weights};
use std::path::Path;

/// A choice of characters.
#[derive(Clone, Debug, PartialEq)]
pub enum Charset {
    /// All of the dictionary.
    Full,
    /// Digits and what stands between them.
    Digits,
    /// ASCII, Latin-1 and Latin Extended-A letters, common currencies and punctuation.
    Latin,
    /// The characters of a text.
    Custom(String),
}

const DIGITS: &str = "0123456789.,:;-+/%()#*=' ";
const LATIN_EXTRA: &str = "€£¥¢¤§©®™°±²³¹¼½¾×÷µ¿¡«»‹›“”‘’„‚–—…•·†‡ªº№₹₩₽₺₫₱¬¶ȘșȚț";

impl Charset {
    /// `latin`, `digits`, `full` or a file whose characters are meant.
    ///
    /// # Errors
    /// There is no such file.
    pub fn parse(text: &str) -> Result<Charset, Error> {
        match text {
            "full" => Ok(Charset::Full),
            "digits" => Ok(Charset::Digits),
            "latin" => Ok(Charset::Latin),
            file => {
                let path = Path::new(file);
                let text = std::fs::read_to_string(path)
                    .map_err(|e| Error::file(path, format!("{e}; a charset is latin, digits, full or a text file")))?;
                Ok(Charset::Custom(text.chars().filter(|c| !c.is_control()).collect()))
            }
        }
    }

    fn holds(&self, entry: &str) -> bool {
        let char_fits = |c: char| match self {
            Charset::Full => true,
            Charset::Digits => DIGITS.contains(c),
            Charset::Custom(text) => text.contains(c),
            Charset::Latin => {
                (' '..='~').contains(&c)
                    || ('\u{c0}'..='\u{17f}').contains(&c) && c.is_alphabetic()
                    || LATIN_EXTRA.contains(c)
            }
        };
        *self == Charset::Full || !entry.is_empty() && entry.chars().all(char_fits)
    }
}

/// The classes of an ONNX dictionary: blank, its entries, space.
pub fn classes(dictionary: &str) -> Vec<String> {
    let text = dictionary.strip_prefix('\u{feff}').unwrap_or(dictionary);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let entries = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l).to_string());
    [String::new()].into_iter().chain(entries).chain([" ".to_string()]).collect()
}

/// Leaves only the blank and the classes of `charset` in the head, in the dictionary's order, and gives their texts.
///
/// # Errors
/// Head and dictionary do not match, or nothing is left.
pub fn cut(graph: &mut Graph, classes: &[String], charset: &Charset) -> Result<Vec<String>, Error> {
    let output = graph.output;
    let head = graph.nodes.iter_mut().find_map(|n| match &mut n.op {
        Op::CtcHead(head) if n.output == output => Some(head),
        _ => None,
    });
    let Some(head) = head.filter(|h| h.classes as usize == classes.len()) else {
        let sentence = "the dictionary and the network's classes differ in number; take the model's own dictionary";
        return Err(Error::Usage(sentence.into()));
    };
    let kept: Vec<usize> = (0..classes.len()).filter(|i| *i == 0 || charset.holds(&classes[*i])).collect();
    if kept.len() < 2 {
        return Err(Error::Usage("the charset has no character that the model knows; give --charset others".into()));
    }
    let k = head.in_channels as usize;
    if let Weights::F32(weights) = &mut head.weights {
        *weights = kept.iter().flat_map(|r| weights[r * k..(r + 1) * k].to_vec()).collect();
    }
    head.bias = kept.iter().map(|r| head.bias[*r]).collect();
    head.classes = kept.len() as u32;
    graph.tensors[output.index()].channels = kept.len() as u32;
    Ok(kept.iter().map(|r| classes[*r].clone()).collect())
}
