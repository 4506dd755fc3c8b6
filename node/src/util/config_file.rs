//! A configuration file → [`NodeConfig`](crate::node::NodeConfig) or any other typed value, or one sentence that says
//! what is wrong in it.

use super::culprit::culprit;
use serde::de::DeserializeOwned;
use std::path::Path;
use toml::Table;

/// The longest configuration that is read. A field takes some 300 bytes.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// How alike a known key must be to be offered, 0 to 1.
const ALIKE: f64 = 0.8;

/// Digits in a row that are left in a foreign message: as many as any integer has.
const MAX_DIGITS: usize = 39;

/// Reads a TOML file.
///
/// # Errors
/// One sentence that names the file, the line, and what is wrong there; for an unknown key also the known one that is
/// most like it.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    parse(&read_text(path)?, &path.display().to_string())
}

/// The text of a configuration.
///
/// # Errors
/// One sentence that names the file.
pub fn read_text(path: &Path) -> Result<String, String> {
    let name = path.display();
    let about = std::fs::metadata(path)
        .map_err(|e| format!("the configuration {name} cannot be read: {e}; name another with --config"))?;
    if !about.is_file() || about.len() > MAX_CONFIG_BYTES {
        return Err(format!("{name} is no configuration: it must be a file of at most {MAX_CONFIG_BYTES} bytes"));
    }
    std::fs::read_to_string(path).map_err(|e| format!("the configuration {name} cannot be read: {e}; save it as UTF-8"))
}

/// Reads TOML; `name` is that of the file, for messages.
///
/// # Errors
/// As [`read()`].
pub fn parse<T: DeserializeOwned>(text: &str, name: &str) -> Result<T, String> {
    // Always by way of a table: its errors tell the key, and serde's code for every configuration is there once.
    let table: Table = toml::from_str(text).map_err(|error| no_toml(text, name, &error))?;
    table.try_into().map_err(|error: toml::de::Error| {
        let said = explain(&error);
        match culprit::<T>(text, &said) {
            Some(at) => format!("{name}, line {}: {said}", line_of(text, at)),
            None => format!("{name}: {said}"),
        }
    })
}

/// The sentence about a text that is not TOML.
fn no_toml(text: &str, name: &str, error: &toml::de::Error) -> String {
    let span = error.span().map(|span| span.start.min(text.len())..span.end.min(text.len()));
    let place = match &span {
        Some(span) => format!("{name}, line {}", line_of(text, span.start)),
        None => name.to_string(),
    };
    if error.message() == "duplicate key" {
        let key = span.and_then(|span| text.get(span)).unwrap_or_default();
        return format!("{place}: the key {} is given twice; keep one of them", key.trim());
    }
    format!("{place}: {}", sentence(error.message()))
}

/// The line of a byte, from 1.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

/// An error from a table in our words, with its key.
pub fn explain(error: &toml::de::Error) -> String {
    let said = sentence(error.message());
    let whole = error.to_string();
    let key = whole.trim_end().rsplit_once("\nin `").and_then(|(_, key)| key.strip_suffix('`'));
    match key {
        // Tables with sentences of their own name themselves.
        Some(key) if !said.starts_with(&format!("{key} ")) => format!("{key}: {said}"),
        _ => said,
    }
}

/// serde's message in our words: one line, with a suggestion for a key or value that is not known, and without the
/// text that stands where something else was expected: it may be a password.
pub fn sentence(message: &str) -> String {
    let message = shortened(&message.replace('\n', " "));
    if let Some(rest) =
        ["type", "value"].into_iter().find_map(|what| message.strip_prefix(&format!("invalid {what}: string \"")))
        && let Some((_, expected)) = rest.rsplit_once("\", expected ")
    {
        return format!("this text cannot be used here, expected {}", in_our_words(expected));
    }
    if let Some((found, expected)) = message.strip_prefix("invalid ").and_then(|rest| rest.rsplit_once(", expected ")) {
        let number = found.strip_prefix("type: integer `").or_else(|| found.strip_prefix("type: floating point `"));
        if let Some(number) = number.and_then(|rest| rest.strip_suffix('`'))
            && expected.contains("string")
        {
            return format!("a number cannot be used here; write \"{number}\" in quotes");
        }
        // What serde says of a number in the place of a word.
        if found == "type: unit variant" {
            return "this cannot be used here; write it in quotes".into();
        }
        return format!("invalid {found}, expected {}", in_our_words(expected));
    }
    let Some((what, rest)) = ["field", "variant"]
        .into_iter()
        .find_map(|what| Some((what, message.strip_prefix("unknown ")?.strip_prefix(what)?)))
    else {
        return message;
    };
    // "unknown field `a`, expected one of `b`, `c`", "… `a`, expected `b` or `c`", "… `a`, there are no fields"; in the
    // first there may be anything.
    let parts = rest.rsplit_once("`, expected ").or_else(|| rest.rsplit_once("`, there are no "));
    let Some((unknown, known)) = parts.and_then(|(unknown, known)| Some((unknown.strip_prefix(" `")?, known))) else {
        return message;
    };
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    unknown_word(if what == "field" { "key" } else { "value" }, unknown, &known)
}

/// What serde expected, without the names of Rust's types.
fn in_our_words(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    }
}

/// What is said of a key or value (`thing`) that is not known.
pub fn unknown_word(thing: &str, unknown: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(unknown, name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= ALIKE);
    match nearest {
        Some((_, name)) => format!("there is no {thing} `{unknown}`; did you mean `{name}`?"),
        None if known.is_empty() => format!("there is no {thing} `{unknown}`; none is known here"),
        None => format!("there is no {thing} `{unknown}`; there are {}", known.join(", ")),
    }
}

/// Another's message with its long numbers cut: serde repeats what it found digit by digit.
fn shortened(message: &str) -> String {
    let (mut text, mut digits) = (String::with_capacity(message.len()), 0);
    for c in message.chars() {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        match digits {
            0..=MAX_DIGITS => text.push(c),
            n if n == MAX_DIGITS + 1 => text.push('…'),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug, Default)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        interval_s: u32,
        how: How,
    }

    #[derive(Deserialize, Debug, Default)]
    #[serde(rename_all = "kebab-case")]
    enum How {
        #[default]
        Fast,
        Slow,
    }

    fn message(text: &str) -> String {
        parse::<Outer>(text, "node.toml").unwrap_err()
    }

    #[test]
    fn a_typing_error_gets_the_right_word_and_the_line() {
        assert_eq!(
            message("\n\nintervall_s = 3"),
            "node.toml, line 3: there is no key `intervall_s`; did you mean `interval_s`?"
        );
        assert_eq!(message("how = 'slwo'"), "node.toml, line 1: how: there is no value `slwo`; did you mean `slow`?");
        assert_eq!(message("zebra = 1"), "node.toml, line 1: there is no key `zebra`; there are interval_s, how");
    }

    #[test]
    fn value_of_wrong_type_is_named_by_key_not_shown() {
        assert_eq!(
            message("interval_s = 'hunter2'"),
            "node.toml, line 1: interval_s: this text cannot be used here, expected a whole number, 0 or more"
        );
        assert_eq!(
            message("\ninterval_s = -1"),
            "node.toml, line 2: interval_s: invalid value: integer `-1`, expected a whole number, 0 or more"
        );
        assert_eq!(
            message("interval_s = 1\ninterval_s = 2"),
            "node.toml, line 2: the key interval_s is given twice; keep one of them"
        );
    }

    #[test]
    fn number_in_place_of_text_is_to_be_quoted() {
        assert_eq!(message("how = 5"), "node.toml, line 1: how: this cannot be used here; write it in quotes");
    }

    #[test]
    fn a_long_number_is_not_shown_whole() {
        let said = message("interval_s = 1e308");
        assert!(said.starts_with("node.toml, line 1: interval_s: invalid type") && said.len() < 160, "{said}");
    }

    /// What is rewritten is serde's: each form of its sentences, so that another release of it is noticed here.
    #[test]
    fn unknown_keys_of_every_count_are_told() {
        #[derive(Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        #[derive(Deserialize, Debug, Default)]
        #[serde(default, deny_unknown_fields)]
        struct One {
            first: u8,
        }
        #[derive(Deserialize, Debug, Default)]
        #[serde(default, deny_unknown_fields)]
        struct Two {
            first: u8,
            second: u8,
        }
        #[derive(Deserialize, Debug, Default)]
        #[serde(default, deny_unknown_fields)]
        struct Three {
            first: u8,
            second: u8,
            third: u8,
        }
        fn said<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
            parse::<T>(text, "f").unwrap_err()
        }
        assert_eq!(said::<Nothing>("zebra = 1"), "f, line 1: there is no key `zebra`; none is known here");
        assert_eq!(said::<One>("zebra = 1"), "f, line 1: there is no key `zebra`; there are first");
        assert_eq!(said::<Two>("zebra = 1"), "f, line 1: there is no key `zebra`; there are first, second");
        assert_eq!(said::<Three>("zebra = 1"), "f, line 1: there is no key `zebra`; there are first, second, third");
        assert_eq!(said::<Two>("secnod = 1"), "f, line 1: there is no key `secnod`; did you mean `second`?");
        assert_eq!(said::<Two>("'a`b' = 1"), "f, line 1: there is no key `a`b`; there are first, second");
    }

    #[test]
    fn unknown_values_of_every_count_are_told() {
        #[derive(Deserialize, Debug)]
        enum One {
            First,
        }
        #[derive(Deserialize, Debug)]
        enum Three {
            First,
            Second,
            Third,
        }
        #[derive(Deserialize, Debug)]
        #[allow(dead_code)] // only to be read
        struct Table<T> {
            key: T,
        }
        fn said<T: DeserializeOwned + std::fmt::Debug>() -> String {
            parse::<Table<T>>("key = 'zebra'", "f").unwrap_err()
        }
        assert_eq!(said::<One>(), "f, line 1: key: there is no value `zebra`; there are First");
        assert_eq!(said::<How>(), "f, line 1: key: there is no value `zebra`; there are fast, slow");
        assert_eq!(said::<Three>(), "f, line 1: key: there is no value `zebra`; there are First, Second, Third");
    }

    #[test]
    fn text_in_place_of_anything_else_is_not_shown() {
        #[derive(Deserialize, Debug)]
        #[allow(dead_code)] // only to be read
        struct Table<T> {
            key: T,
        }
        fn said<T: DeserializeOwned + std::fmt::Debug>() -> String {
            // With what stands between the parts of serde's sentence.
            let text = "[table]\nkey = 'hunter2\", expected `x`'";
            let said = parse::<std::collections::BTreeMap<String, Table<T>>>(text, "f").unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
            said.strip_prefix("f, line 2: table.key: this text cannot be used here, expected ").expect(&said).to_owned()
        }
        assert_eq!(said::<u32>(), "a whole number, 0 or more");
        assert_eq!(said::<u16>(), "a whole number from 0 to 65535");
        assert_eq!(said::<i8>(), "a whole number");
        assert_eq!(said::<f64>(), "a number");
        assert_eq!(said::<bool>(), "true or false");
        assert_eq!(said::<char>(), "a character");
        assert_eq!(said::<Vec<u8>>(), "a list");
        assert_eq!(said::<[u8; 2]>(), "an array of length 2");
        assert_eq!(said::<std::collections::BTreeMap<String, u8>>(), "a table");
        assert_eq!(said::<Outer>(), "a table");
    }

    #[test]
    fn missing_key_is_named() {
        #[derive(Deserialize, Debug)]
        #[allow(dead_code)] // only to be read
        struct Table {
            key: u8,
        }
        let said = parse::<Table>("", "f").unwrap_err();
        assert!(said.starts_with('f') && said.ends_with(": missing field `key`"), "{said}");
    }

    #[test]
    fn other_mistakes_are_one_line() {
        for text in ["interval_s = 'x'", "interval_s = ", "[[", "interval_s = 1\ninterval_s = 2", "\u{0}"] {
            let sentence = message(text);
            assert!(sentence.starts_with("node.toml, line ") && !sentence.contains('\n'), "{sentence}");
        }
    }

    #[test]
    fn what_is_no_file_is_told() {
        let root = tempfile::tempdir().unwrap();
        assert!(read::<Outer>(root.path()).unwrap_err().contains("must be a file"));
        assert!(read::<Outer>(&root.path().join("none.toml")).unwrap_err().contains("--config"));
    }

    #[test]
    fn foreign_messages_are_short() {
        let of = |value: f64| format!("invalid type: floating point `{value:.1}`, expected u32");
        assert_eq!(shortened(&of(12.5)), of(12.5));
        assert_eq!(shortened(&u128::MAX.to_string()), u128::MAX.to_string());
        let said = shortened(&of(1e308));
        assert!(said.len() < 120 && said.contains("….0`, expected u32"), "{said}");
    }
}
