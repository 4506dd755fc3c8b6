//! A number never changes its sign or its digits: it is read as it was printed, or refused.

use super::super::{Status, Value};
use super::{at, field, seen};
use proptest::prelude::*;

/// Ways to take a number out of a text.
const RULES: [&str; 8] = [
    "select = 'largest-number'",
    "select = 'largest-number'\nregex = '[0-9.]+'",
    "select = 'longest-word'",
    "select = 'longest-word'\nregex = '[^0-9]*([0-9.]+)[^0-9]*'",
    "select = 'first-match'\nregex = '[0-9.]+'",
    "select = 'first-match'\nregex = '-?[0-9.]+'",
    "select = 'longest-line'\nregex = '.*?([0-9.]+)[^0-9.]*'",
    "regex = '(?s).*?(-?[0-9.]+)[^0-9.]*'",
];
const DASHES: [char; 9] =
    ['-', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}', '\u{ff0d}'];
const GAPS: [&str; 4] = ["", " ", "  ", "\u{a0}"];
/// What may stand before a number and its sign without being a part of it.
const BEFORE: [&str; 4] = ["", "T: ", "in\n", "---\n"];
/// What may stand before so that a dash after it may be a hyphen.
const DOUBTFUL: [&str; 5] = ["A", "T - ", "x", "a/", "-"];
const AFTER: [&str; 4] = ["", " C", " °C\nok", "\nin - out"];

fn read(rules: &str, text: &str) -> (Status, Option<Value>) {
    let reading = field(&format!("number = {{}}\n{rules}")).judge(&[seen(text, 0.95)], at(0));
    (reading.status, reading.value)
}

fn number(value: f64, decimals: usize) -> (Status, Option<Value>) {
    (Status::Ok, Some(Value::Number { value, decimals: decimals as u8 }))
}

proptest! {
    #[test]
    fn minus_is_kept_or_number_is_refused(
        mantissa in 1000u32..10_000_000,
        decimals in 0usize..4,
        dash in prop::sample::select(DASHES.to_vec()),
        gap in prop::sample::select(GAPS.to_vec()),
        before in prop::sample::select(BEFORE.to_vec()),
        doubtful in prop::sample::select(DOUBTFUL.to_vec()),
        after in prop::sample::select(AFTER.to_vec()),
        rules in prop::sample::select(RULES.to_vec()),
    ) {
        let value: f64 = format!("{mantissa}e-{decimals}").parse().unwrap();
        let printed = format!("{value:.decimals$}");
        prop_assert_eq!(read(rules, &format!("{before}{printed}{after}")), number(value, decimals));
        let negative = format!("{before}{dash}{gap}{printed}{after}");
        prop_assert_eq!(read(rules, &negative), number(-value, decimals), "{:?}", negative);
        let accounted = format!("{before}{printed}{dash}{after}");
        prop_assert_ne!(read(rules, &accounted).0, Status::Ok, "{:?}", accounted);
        let unclear = format!("{doubtful}{dash}{gap}{printed}{after}");
        prop_assert_ne!(read(rules, &unclear).0, Status::Ok, "{:?}", unclear);
    }

    #[test]
    fn number_in_any_text_has_printed_sign(
        mantissa in 1000u32..10_000_000,
        decimals in 0usize..4,
        sign in prop::sample::select(vec!["-", "- ", "\u{2212}", "\u{2013} ", "-€", "- $ "]),
        before in "[a-zA-Z:=|/+ \n.€()~-]{0,6}",
        after in "[a-zA-Z:=|/+ \n€()%-]{0,6}",
        rules in prop::sample::select(RULES.to_vec()),
    ) {
        let value: f64 = format!("{mantissa}e-{decimals}").parse().unwrap();
        let text = format!("{before}{sign}{value:.decimals$}{after}");
        let read = read(rules, &text);
        prop_assert!(read.0 != Status::Ok || read == number(-value, decimals), "{:?}: {:?}", text, read);
    }
}
