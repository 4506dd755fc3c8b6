//! The characters a recogniser can say: class 0 is the CTC blank, classes 1 to K the dictionary, class K+1 the space.

use std::collections::HashMap;

/// The class table of one recogniser.
#[derive(Clone, Debug, PartialEq)]
pub struct Charset {
    /// Text of each class: mostly one character, but a dictionary may hold longer strings; none for the blank.
    texts: Vec<String>,
}

/// A dictionary larger than this is no dictionary (the largest of the family has 18,708 entries).
const MAX_ENTRIES: usize = 100_000;

impl Charset {
    /// Reads a dictionary: one entry a line, as PaddleOCR's `*_dict.txt` and its ONNX metadata have it. Only line ends
    /// are taken off: U+3000 and other white space are entries.
    pub fn parse(text: &str) -> Result<Charset, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.strip_suffix('\n').unwrap_or(text);
        let entries: Vec<&str> = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).collect();
        if entries.len() > MAX_ENTRIES {
            return Err(format!("it has {} lines, more than {MAX_ENTRIES}", entries.len()));
        }
        if entries.iter().all(|e| e.is_empty()) {
            return Err("it has no characters".into());
        }
        if let Some(long) = entries.iter().position(|e| e.chars().count() > 8) {
            return Err(format!(
                "its line {} is no character but {:?}…",
                long + 1,
                entries[long].chars().take(12).collect::<String>()
            ));
        }
        let texts = [""].into_iter().chain(entries).chain([" "]).map(String::from).collect();
        Ok(Charset { texts })
    }

    /// The characters of an embedded recogniser: the text of each class, the blank's first.
    pub fn of_classes(texts: &[&str]) -> Charset {
        Charset { texts: texts.iter().map(|text| text.to_string()).collect() }
    }

    /// Classes a network with these characters has; with those of a dictionary of K entries, K + 2.
    pub fn classes(&self) -> usize {
        self.texts.len()
    }

    /// The text of a class; nothing for the blank and for a class that is not there.
    pub fn text(&self, class: usize) -> &str {
        self.texts.get(class).map_or("", String::as_str)
    }

    /// The classes of each character of one `char`, all of them (dictionaries repeat characters).
    pub fn by_char(&self) -> HashMap<char, Vec<usize>> {
        let mut table: HashMap<char, Vec<usize>> = HashMap::new();
        for class in 1..self.classes() {
            let mut chars = self.text(class).chars();
            if let (Some(ch), None) = (chars.next(), chars.next()) {
                table.entry(ch).or_default().push(class);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_line_ends_are_taken_off() {
        let set = Charset::parse("a\r\n\u{3000}\n \nb\n").unwrap();
        assert_eq!(set.classes(), 6);
        assert_eq!((0..7).map(|c| set.text(c)).collect::<Vec<_>>(), ["", "a", "\u{3000}", " ", "b", " ", ""]);
        assert_eq!(set.by_char()[&' '], [3, 5]);
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        assert!(Charset::parse("").is_err());
        assert!(Charset::parse("a\nthis is a sentence\n").is_err());
        assert!(Charset::parse(&"a\n".repeat(MAX_ENTRIES + 2)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in any::<String>()) {
            if let Ok(set) = Charset::parse(&text) {
                prop_assert_eq!(set.text(set.classes() - 1), " ");
                prop_assert_eq!(set.text(usize::MAX), "");
            }
        }
    }
}
