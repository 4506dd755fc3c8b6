use super::*;
use proptest::prelude::*;

fn value(toml: &str, text: &str) -> Result<Option<String>, String> {
    let extractor = Extractor::new(&toml::from_str(toml).unwrap()).unwrap();
    let observation = Observation { text: text.into(), score: 0.9, chars: Vec::new() };
    extractor.extract(&observation).map(|found| found.map(|f| f.chars.iter().map(|c| c.ch).collect()))
}

fn ok(text: &str) -> Result<Option<String>, String> {
    Ok(Some(text.into()))
}

#[test]
fn which_part_of_the_text() {
    let text = "  Water \nm³ 12\n00123,5 No 7";
    assert_eq!(value("", text), ok("Water\nm³ 12\n00123,5 No 7"));
    assert_eq!(value("select = 'longest-line'", text), ok("00123,5 No 7"));
    assert_eq!(value("select = 'longest-word'", text), ok("00123,5"));
    assert_eq!(value("select = 'largest-number'", text), ok("00123,5"));
    assert_eq!(value("select = 'longest-word'\nregex = '[A-Za-z]+'", text), ok("Water"));
    assert_eq!(value("select = 'first-match'\nregex = '\\d+'", text), ok("12"));
    assert_eq!(value("select = 'first-match'\nregex = 'No (\\d)'", text), ok("7"));
    assert!(value("select = 'largest-number'", "none").is_err());
}

#[test]
fn minus_apart_from_number_stays_with_it() {
    for toml in [
        "select = 'largest-number'",
        "select = 'largest-number'\nregex = '[0-9.]+'",
        "select = 'longest-word'\nnumber = {}",
        "select = 'longest-word'\nnumber = {}\nregex = '.?[0-9.]+'",
        "select = 'first-match'\nnumber = {}\nregex = '[0-9.]+'",
        "select = 'longest-line'\nnumber = {}\nregex = '.*?([0-9.]+).*'",
        "number = {}\nregex = '.*?([0-9.]+)'",
        "number = {}\nregex = '[-–—−]? *([0-9.]+)'",
    ] {
        for text in ["- 12.5", "\u{2212} 12.5", "\u{2013}12.5", "— 12.5"] {
            assert_eq!(value(toml, text), ok("-12.5"), "{toml} {text}");
        }
    }
    assert_eq!(value("select = 'largest-number'", "t -12.5 C"), ok("-12.5"));
    let refused = value("select = 'largest-number'", "A-123").unwrap_err();
    assert!(refused.starts_with("the sign of \"123\" is unclear because of the '-'"), "{refused}");
    assert_eq!(value("select = 'longest-word'", "A - 123"), ok("123"), "of a text a word is a word");
}

#[test]
fn regex_for_degrees_fits_both_signs() {
    for text in ["21.5 °C", "21.5 ℃"] {
        assert_eq!(value("number = {}\nregex = '([0-9.]+) ?°C'", text), ok("21.5"));
    }
    assert_eq!(value("regex = '[0-9.]+ ℃'", "21.5 ℃"), ok("21.5 ℃"));
    assert_eq!(value("", "21.5 ℃"), ok("21.5 ℃"));
}

#[test]
fn dash_that_regex_names_is_hyphen() {
    let names = |regex: &str, text| value(&format!("number = {{}}\nselect = 'first-match'\nregex = '{regex}'"), text);
    assert_eq!(names("A-(\\d+)", "A-123"), ok("123"));
    assert_eq!(names("Temp - ([0-9.]+)", "Temp - 12.5"), ok("12.5"));
    assert_eq!(names("\\d+-\\d+-(\\d+)", "2026-11-30"), ok("30"));
    assert_eq!(names("T(-?[0-9.]+)", "T-12.5"), ok("-12.5"));
    assert_eq!(names("\\((\\d+)\\)", "(12)"), ok("12"));
    assert!(names("A-?(\\d+)", "A-123").is_err(), "it takes any");
    assert!(names("-?\\d+", "A-123").is_err());
    assert!(names("- ([0-9.]+)", "- 12.5").unwrap_err().contains("minus"), "left out, but a minus it is");
    assert_eq!(value("number = {}\nselect = 'largest-number'\nstrip = '-'", "A-123"), ok("123"));
}

#[test]
fn number_with_parted_decimals_is_refused() {
    let largest = |text| value("select = 'largest-number'\nnumber = {}", text);
    for text in ["12. 5", "12 .5", "12 . 5", "1. 500", "1 .500", "1..2 3,", ".5", "-.5"] {
        assert!(largest(text).is_err(), "{text}");
    }
    for (text, number) in [
        ("12, 5", "12"),
        ("21.5. 6", "21.5"),
        ("No.5", "5"),
        ("21.5. 6000", "6000"),
        ("12.\n5", "12"),
        ("3,", "3"),
        ("12 .", "12"),
    ] {
        assert_eq!(largest(text), ok(number), "{text}");
    }
}

/// A page of print was refused when a value had 1024 characters at most.
#[test]
fn a_page_is_a_value_and_a_book_is_not() {
    let page = "This is a line of a page in print.\n".repeat(200);
    assert_eq!(value("", &page), ok(page.trim_end()));
    for ch in ["x", "é", "語"] {
        let text = ch.repeat(MAX_VALUE_BYTES / ch.len());
        assert_eq!(value("", &text), ok(&text));
        assert!(value("", &(text + "xxx")).unwrap_err().contains("16384 bytes"));
    }
}

#[test]
fn the_expression_is_for_the_whole_text() {
    assert_eq!(value(r"regex = '\d+'", "123"), ok("123"));
    assert!(value(r"regex = '\d+'", "a123").is_err());
    assert_eq!(value(r"regex = '.*?(\d+).*'", "a123b"), ok("123"));
    assert_eq!(value(r"regex = '(\w)(?P<n>\d+)(\w)'", "a123b"), ok("123"));
    assert_eq!(value(r"regex = '(?P<n>\w)(?P<value>\d+)(\w)'", "a123b"), ok("123"));
    assert_eq!(value(r"regex = 'a|b'", "b"), ok("b"), "alternatives are bracketed");
    assert!(value(r"regex = 'x(\d+)?'", "x").is_err(), "the group took no part");
}

#[test]
fn strip_replace_and_look_alikes_come_first() {
    assert_eq!(value("strip = ' -'", "AB-1 2"), ok("AB12"));
    assert_eq!(value("digits_look_alikes = true\nregex = '\\d+'", "OI2SB"), ok("01258"));
    assert_eq!(value("digits_look_alikes = true\nreplace = { O = \"9\" }", "O"), ok("9"), "the user's own come first");
    assert_eq!(value("strip = '.'", "..\n "), Ok(None), "nothing is left");
    assert_eq!(value("", ""), Ok(None));
}

#[test]
fn guesses_stay_with_their_characters() {
    let chars: Vec<_> = "a1O2".chars().map(|ch| CharGuess { ch, score: 0.5, second: Some(('0', 0.25)) }).collect();
    let observation = Observation { text: "a1\nO2".into(), score: 0.9, chars };
    let rules: RulesConfig = toml::from_str("strip = 'a'\ndigits_look_alikes = true").unwrap();
    let found = Extractor::new(&rules).unwrap().extract(&observation).unwrap().unwrap();
    assert_eq!(found.chars[0], CharGuess { ch: '1', score: 0.5, second: Some(('0', 0.25)) });
    assert_eq!(found.chars[1].ch, '\n');
    assert_eq!(found.chars[2], CharGuess { ch: '0', score: 0.75, second: None }, "O and 0 are the same now");
    // Guesses of another text are not believed.
    let other = Observation { text: "12".into(), ..observation };
    let found = Extractor::new(&rules).unwrap().extract(&other).unwrap().unwrap();
    assert_eq!(found.chars[0], CharGuess { ch: '1', score: 0.9, second: None });
}

#[test]
fn another_text_in_the_same_place() {
    let rules: RulesConfig = toml::from_str(r"regex = 'No ([0-9]{3}) .*'").unwrap();
    let extractor = Extractor::new(&rules).unwrap();
    let observation = Observation { text: "No 123 x".into(), score: 1.0, chars: Vec::new() };
    let found = extractor.extract(&observation).unwrap().unwrap();
    assert!(extractor.accepts(&found, "128"));
    assert!(!extractor.accepts(&found, "12B"));
    assert!(!extractor.accepts(&found, "1234"));
}

proptest! {
    #[test]
    fn any_text_and_any_guesses(
        text in "(?s).{0,40}",
        guesses in "(?s).{0,40}",
        score: f32,
        select in prop::sample::select(vec!["whole", "longest-line", "longest-word", "largest-number", "first-match"]),
    ) {
        let toml = format!("select = '{select}'\nregex = '.?([^x]+)'\ndigits_look_alikes = true\nstrip = ' '");
        let extractor = Extractor::new(&toml::from_str(&toml).unwrap()).unwrap();
        let chars = guesses.chars().map(|ch| CharGuess { ch, score, second: Some((ch, score)) }).collect();
        if let Ok(Some(found)) = extractor.extract(&Observation { text, score, chars }) {
            prop_assert!(!found.chars.is_empty());
            prop_assert!(found.chars.iter().all(|c| (0.0..=1.0).contains(&c.score)));
        }
    }
}
