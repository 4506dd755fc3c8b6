//! What users of meter readers complain about most, each with a made-up sequence, and what comes out here. The
//! numbers in brackets are threads of jomjol/AI-on-the-edge-device unless they name another project.

use super::super::{CharGuess, MAX_CANDIDATES, Moment, Observation, Status, Value};
use super::{at, field, outcome, seen, show};

/// A water meter as in the documentation: at most 3 m³ an hour, which is 0.25 in the 300 s between readings.
const METER: &str = "number = { unit = 'm³' }\nrange = [0, 99999]\nmonotonic = 'increasing'\nmax_rate_per_h = 3";

#[track_caller]
fn expect(toml: &str, every_s: u64, rounds: &[(&str, &str)]) {
    let texts: Vec<&str> = rounds.iter().map(|(text, _)| *text).collect();
    let wanted: Vec<&str> = rounds.iter().map(|(_, wanted)| *wanted).collect();
    assert_eq!(outcome(&show(&mut field(toml), 0, every_s, &texts)), wanted);
}

/// A digit between two figures is read early and then late again (#2903, #3570, #1400, #712).
#[test]
fn digit_transition() {
    expect(
        METER,
        300,
        &[
            ("123.45", "123.45"),
            ("123.46", "123.46"), // early: it is still 123.45
            ("123.45", "123.46"), // the value stays, and the energy statistics see no fall
            ("123.46", "123.46"),
            ("123.47", "123.47"),
            ("129.97", "rate"), // the same at the tens: the 2 turns early while the 9 is still there
            ("123.52", "123.52"),
        ],
    );
}

/// One absurd spike was published because limits were off by default (#1062, #822, #1005). Here nothing is set but
/// the direction.
#[test]
fn spike_with_default_limits() {
    let defaults = "number = {}\nmonotonic = 'increasing'";
    expect(defaults, 300, &[("499.69", "499.69"), ("11111.89", "rate"), ("499.70", "499.70"), ("499.71", "499.71")]);
    // And it is remembered no longer than until the next good reading.
    let spike = ("11111.89", "rate");
    expect(
        defaults,
        300,
        &[("499.69", "499.69"), spike, spike, ("499.70", "499.70"), spike, spike, ("499.70", "499.70")],
    );
}

/// "Rate too high" for days after a wrong reading was taken for right, until someone resets it by hand (#3017, #2691,
/// #3645,
/// #4118, #679): cured by six confident readings.
#[test]
fn stuck_pre_value_that_is_too_high() {
    let fall = |text| (text, "negative_rate");
    expect(
        METER,
        300,
        &[
            ("923.45", "923.45"), // the first reading of all, and wrong
            fall("123.45"),
            fall("123.46"),
            fall("123.46"),
            fall("123.50"),
            fall("123.52"),
            ("123.55", "123.55!"),
            ("123.56", "123.56"),
        ],
    );
}

/// A pre-value that is too low, because much water ran while nobody looked: cured by three readings.
#[test]
fn stuck_pre_value_that_is_too_low() {
    let mut field = field(METER);
    assert_eq!(outcome(&show(&mut field, 0, 300, &["123.45"])), ["123.45"]);
    let readings = show(&mut field, 600, 300, &["131.07", "131.08", "131.10", "131.11"]);
    assert_eq!(outcome(&readings), ["rate", "rate", "131.10!", "131.11"]);
    assert!(readings[0].reason.contains("1 of 3"), "{}", readings[0].reason);
    assert!(readings[2].reason.contains("new base instead of 123.45"), "{}", readings[2].reason);
    assert_eq!(readings[0].value, Some(Value::Number { value: 123.45, decimals: 2 }), "the last good one");
    assert_eq!(readings[2].rate_per_s, None, "no rate across a new base");
    assert!((readings[3].rate_per_s.unwrap() - 0.01 / 300.0).abs() < 1e-9);
}

/// The same with readings that are hardly sure: it takes four times as many, but not for ever.
#[test]
fn stuck_pre_value_and_a_bad_image() {
    let mut field = field(METER);
    show(&mut field, 0, 300, &["923.45"]);
    let statuses: Vec<_> = (1..=12).map(|i| field.judge(&[seen("123.45", 0.6)], at(i * 300)).status).collect();
    assert_eq!(statuses[..11], [Status::NegativeRate; 11]);
    assert_eq!(statuses[11], Status::Ok);
}

/// A digit is read wrong for hours and would pass as soon as the rate allows it (#4112, #129, #3017, #2808, #3463,
/// #211).
#[test]
fn persistent_misread() {
    // One digit explains it, so waiting does not help it: 6 m³ would be allowed after two hours.
    let mut cautious = field(&format!("{METER}\nrebase_after = 100"));
    show(&mut cautious, 0, 300, &["123.45"]);
    let hours = show(&mut cautious, 300, 300, &["129.45"; 60]);
    assert!(hours.iter().all(|r| r.status == Status::Rate), "five hours");
    assert_eq!(outcome(&show(&mut cautious, 61 * 300, 300, &["123.47"])), ["123.47"], "and all is well at once");
    // By default the node gives in to six readings that are confident throughout, and says so; it takes as many to
    // get back.
    let mut default = field(METER);
    show(&mut default, 0, 300, &["123.45"]);
    let codes = outcome(&show(&mut default, 300, 300, &["129.45"; 7]));
    assert_eq!(codes, ["rate", "rate", "rate", "rate", "rate", "129.45!", "129.45"]);
    let codes = outcome(&show(&mut default, 2400, 300, &["123.47"; 7]));
    assert_eq!(codes[..5], ["negative_rate"; 5]);
    assert_eq!(codes[5..], ["123.47!", "123.47"]);
    // To twelve if the misread digit is the unsure one.
    let mut unsure = field(METER);
    show(&mut unsure, 0, 300, &["123.45"]);
    let mut observation = seen("129.45", 0.95);
    observation.chars[2] = CharGuess { ch: '9', score: 0.6, second: Some(('3', 0.35)) };
    let statuses: Vec<_> =
        (1..=12).map(|i| unsure.judge(std::slice::from_ref(&observation), at(i * 300)).status).collect();
    assert_eq!(statuses[..11], [Status::Rate; 11]);
}

/// Of three frames one confuses 3 and 9, another 1 and 7: the vote corrects it without any history.
#[test]
fn confusions_that_come_and_go() {
    let mut field = field("number = {}\nvote = { frames = 3 }");
    let reading = field.judge(&[seen("129.1", 0.9), seen("723.1", 0.8), seen("123.1", 0.7)], at(0));
    assert_eq!(outcome(std::slice::from_ref(&reading)), ["123.1"]);
    assert_eq!(reading.raw, "123.1");
    assert_eq!(reading.candidates[0].text, "129.1");
    assert!(reading.candidates.len() <= MAX_CANDIDATES);
    let disagreeing = field.judge(&[seen("129.1", 0.9), seen("123.1", 0.9)], at(1));
    assert_eq!(disagreeing.status, Status::LowConfidence);
    assert!(disagreeing.reason.contains("vote.min_share"), "{}", disagreeing.reason);
}

/// The value stands still and the status says that all is well (#4083, #3334, #420).
#[test]
fn frozen_display() {
    let frozen = format!("{METER}\nstale_after_s = 3600\nunchanged_is_ok = false");
    let mut field = field(&frozen);
    let codes = outcome(&show(&mut field, 0, 1200, &["5.00", "5.00", "5.00", "5.00", "5.00", "5.01", "5.01"]));
    assert_eq!(codes, ["5.00", "5.00", "5.00", "5.00", "stale", "5.01", "5.01"]);
}

/// A letter in the value broke consumers (#895).
#[test]
fn no_digit_read() {
    let mut field = field(METER);
    let readings = show(&mut field, 0, 300, &["123.45", "12N.45", "123.46"]);
    assert_eq!(outcome(&readings), ["123.45", "pattern", "123.46"]);
    assert_eq!((readings[1].raw.as_str(), &readings[1].value), ("12N.45", &readings[0].value));
    assert!(readings[1].reason.contains("'N'"), "{}", readings[1].reason);
}

/// A digit was not found (nohn/watermeter#38, home-assistant/core#81666).
#[test]
fn fewer_digits() {
    let digits = "number = { digits = 6, decimals_shift = -2 }\nmonotonic = 'increasing'";
    expect(digits, 300, &[("049969", "499.69"), ("49970", "pattern"), ("0499700", "pattern"), ("049970", "499.70")]);
    // Without the number of digits it shows as a fall, or as a rise that is too fast.
    expect(METER, 300, &[("499.69", "499.69"), ("99.69", "negative_rate"), ("4499.69", "rate"), ("499.70", "499.70")]);
}

/// The display sleeps, shows all its segments when it wakes, and another page in between (#4068, #172, #1351).
#[test]
fn display_that_sleeps() {
    let rules = "number = { digits = 6, decimals_shift = -2 }\nmonotonic = 'increasing'\nmax_rate_per_h = 3\nstale_after_s = 1000";
    expect(
        rules,
        300,
        &[
            ("012345", "123.45"),
            ("", "no_text"),
            ("", "no_text"),
            ("", "no_text"),
            ("", "stale"),
            ("888888", "stale"), // refused as too fast
            ("21.5 C", "stale"), // the page with the temperature
            ("012347", "123.47"),
            ("012348", "123.48"),
        ],
    );
}

/// The camera fails, and comes back.
#[test]
fn camera_fails() {
    let mut field = field(&format!("{METER}\nstale_after_s = 600"));
    show(&mut field, 0, 300, &["10.00"]);
    let readings = [field.camera_failed(at(300)), field.judge(&[], at(600)), field.camera_failed(at(900))];
    assert_eq!(outcome(&readings), ["camera", "camera", "stale"]);
    assert!(readings[2].reason.contains("camera"), "{}", readings[2].reason);
    assert_eq!(readings[2].value, Some(Value::Number { value: 10.0, decimals: 2 }));
    assert_eq!(outcome(&show(&mut field, 1200, 300, &["10.01"])), ["10.01"]);
}

/// The first reading of a meter decides all that follow, so it has to be sure.
#[test]
fn first_reading() {
    let mut field = field(METER);
    let unsure = |text| [seen(text, 0.6)];
    assert_eq!(field.judge(&unsure("823.45"), at(0)).status, Status::LowConfidence);
    assert_eq!(field.judge(&unsure("123.45"), at(300)).status, Status::LowConfidence);
    assert_eq!(outcome(&[field.judge(&unsure("123.46"), at(600))]), ["123.46"]);
    assert_eq!(
        outcome(&[super::field("number = {}").judge(&unsure("21.5"), at(0))]),
        ["21.5"],
        "a thermometer's need not"
    );
}

/// The wall clock is set while the program runs: it does not matter.
#[test]
fn clock_jumps_within_a_run() {
    let mut field = field(METER);
    let moment = |unix_ms, s: u64| Moment { unix_ms, monotonic_ms: s * 1000 };
    assert_eq!(field.judge(&[seen("10.00", 0.95)], moment(0, 0)).status, Status::Ok);
    assert_eq!(field.judge(&[seen("16.00", 0.95)], moment(1_700_000_000_000, 300)).status, Status::Rate);
    assert_eq!(field.judge(&[seen("10.10", 0.95)], moment(-5_000, 600)).status, Status::Ok);
}

/// The wall clock is wrong after a restart: nothing wrong passes, and three readings bring the right one back.
#[test]
fn clock_jumps_across_a_restart() {
    let mut before = field(METER);
    show(&mut before, 0, 300, &["10.00", "10.10"]);
    let state = before.state();
    let wall_s = at(300).unix_ms / 1000;
    for (unix_s, codes) in [
        (wall_s + 7200, ["12.50", "12.51", "12.52"]),  // two hours: 6 m³ are allowed
        (wall_s - 7200, ["rate", "rate", "12.52!"]),   // in the future of the state
        (0, ["rate", "rate", "12.52!"]),               // 1970
        (wall_s * 30, ["rate", "rate", "12.52!"]),     // absurdly later
        (i64::MAX / 1000, ["rate", "rate", "12.52!"]), // and more so
    ] {
        let mut after = field(METER);
        after.restore(state.clone()).unwrap();
        let rounds = ["12.50", "12.51", "12.52"].iter().zip([0, 300, 600]);
        let readings: Vec<_> = rounds
            .map(|(text, s)| {
                let unix_ms = (unix_s.saturating_add(s)).saturating_mul(1000);
                after.judge(&[seen(text, 0.95)], Moment { unix_ms, monotonic_ms: s as u64 * 1000 })
            })
            .collect();
        assert_eq!(outcome(&readings), codes, "{unix_s}");
        // A value that did not move needs no clock.
        let mut after = field(METER);
        after.restore(state.clone()).unwrap();
        let still = Moment { unix_ms: unix_s.saturating_mul(1000), monotonic_ms: 0 };
        assert_eq!(outcome(&[after.judge(&[seen("10.10", 0.95)], still)]), ["10.10"]);
    }
}

/// Rules that changed the meaning of a value make the state useless, and it says so.
#[test]
fn state_of_other_rules() {
    let mut before = field(METER);
    show(&mut before, 0, 300, &["10.00"]);
    let state = before.state();
    for (toml, reason) in [
        ("number = { unit = 'm³', decimals_shift = -3 }\nmonotonic = 'increasing'", "number"),
        ("number = { unit = 'm³' }\nrange = [50, 60]\nmonotonic = 'increasing'", "range"),
        ("", "number"),
    ] {
        let error = field(toml).restore(state.clone()).unwrap_err();
        assert!(error.contains(reason) && error.contains("afresh"), "{error}");
    }
    assert!(field(METER).restore(super::super::FieldState { version: 99, ..state }).unwrap_err().contains("version"));
}

/// The value is set by hand.
#[test]
fn value_set_by_hand() {
    let mut field = field(METER);
    show(&mut field, 0, 300, &["923.45"]);
    field.set_value(123.4, at(400)).unwrap();
    assert_eq!(field.last_good(), Some(Value::Number { value: 123.4, decimals: 2 }));
    let readings = show(&mut field, 600, 300, &["123.45", "123.46"]);
    assert_eq!(outcome(&readings), ["123.45!", "123.46"], "the fall is flagged");
    // More digits than the display shows are no reason to refuse what it shows.
    field.set_value(123.4567, at(1000)).unwrap();
    assert_eq!(outcome(&show(&mut field, 1200, 300, &["123.45", "123.46"])), ["123.4567!", "123.46"]);
    for wrong in [f64::NAN, f64::INFINITY, -1.0, -1e-300, 1e308] {
        let error = field.set_value(wrong, at(2000)).expect_err("it cannot be read");
        assert!(error.len() < 120, "{error}");
    }
    assert!(super::field("").set_value(1.0, at(0)).unwrap_err().contains("number"));
}

/// A file that waited, or was read again, undid what a person had set since.
#[test]
fn older_image_does_not_move_value_set_by_hand() {
    let mut field = field("number = {}");
    show(&mut field, 0, 1, &["100"]);
    field.set_value(104.0, at(400)).unwrap();
    assert_eq!(outcome(&show(&mut field, 300, 10, &["101"; 9])), ["rate"; 9]);
    assert_eq!(field.last_good(), Some(Value::Number { value: 104.0, decimals: 0 }));
    assert_eq!(outcome(&show(&mut field, 401, 10, &["105", "106"])), ["105", "106"]);
}

/// Small changes are not worth publishing, but add up.
#[test]
fn dead_band() {
    let mut field = field("number = {}\ndead_band = 0.5");
    let changed: Vec<bool> =
        show(&mut field, 0, 60, &["20.0", "20.3", "20.5", "20.6", "20.2", "20.0"]).iter().map(|r| r.changed).collect();
    assert_eq!(changed, [true, false, false, true, false, true]);
    let mut meter = super::field(&format!("{METER}\ndead_band = 0.05"));
    assert_eq!(
        outcome(&show(&mut meter, 0, 300, &["5.00", "4.96", "4.94", "5.00"])),
        ["5.00", "5.00", "negative_rate", "5.00"]
    );
}

/// A gauge that goes up and down, with a limit.
#[test]
fn gauge() {
    let rules = "number = {}\nrange = [-20, 120]\nmax_jump = 5";
    expect(
        rules,
        60,
        &[
            ("20.0", "20.0"),
            ("80.0", "rate"),
            ("21.0", "21.0"),
            ("-17.5", "rate"),
            ("-17.0", "rate"),
            ("-16.4", "-16.4!"),
        ],
    );
    expect(rules, 60, &[("20.0", "20.0"), ("200.0", "range"), ("20.5", "20.5")]);
}

/// A counter that runs down.
#[test]
fn decreasing() {
    let rules = "number = {}\nmonotonic = 'decreasing'\nmax_jump = 10";
    expect(
        rules,
        60,
        &[("100", "100"), ("95", "95"), ("80", "rate"), ("90", "90"), ("93", "negative_rate"), ("91", "90")],
    );
}

/// Container numbers: a second guess corrects the check digit if asked to, and nothing else does.
#[test]
fn check_digits() {
    let misread = || {
        let mut observation = seen("CSQU 305488 3", 0.95);
        observation.chars[9] = CharGuess { ch: '8', score: 0.7, second: Some(('3', 0.25)) };
        observation
    };
    let rules = "strip = ' '\nregex = '[A-Z]{3}[UJZ][0-9]{7}'\ncheck = 'iso6346'";
    assert_eq!(outcome(&[field(rules).judge(&[misread()], at(0))]), ["check_digit"]);
    let correcting = format!("{rules}\ncorrect_by_check = true\nmin_char_confidence = 0.2");
    let reading = field(&correcting).judge(&[misread()], at(0));
    assert_eq!(reading.raw, "CSQU 305488 3", "as it was read");
    assert_eq!(outcome(&[reading]), ["CSQU3054383"]);
    let timid = format!("{rules}\ncorrect_by_check = true");
    assert_eq!(outcome(&[field(&timid).judge(&[misread()], at(0))]), ["low_confidence"], "a weak character stays weak");
    assert_eq!(outcome(&[field(rules).judge(&[seen("CSQU 305438 3", 0.9)], at(0))]), ["CSQU3054383"]);
}

/// Several lines of a page, of which one counts.
#[test]
fn text_of_a_page() {
    let plate = "select = 'longest-line'\nstrip = ' '\nregex = '[A-Z]{1,3}-[A-Z]{1,2}[0-9]{1,4}'";
    expect(plate, 1, &[("CAM03 2026-11-23\nB-XY 1234", "B-XY1234"), ("CAM03", "pattern")]);
    expect("regex = '(?s)Hello.*'", 1, &[("Hello\nworld", "Hello world")]);
    expect("", 1, &[("a", "a"), ("", "no_text")]);
    let low = field("").judge(&[seen("a", 0.4)], at(0));
    assert_eq!((low.status, low.value, low.raw.as_str()), (Status::LowConfidence, None, "a"));
}

/// Scores that are no scores, guesses that are not of this text.
#[test]
fn nonsense_scores() {
    for score in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -3.0, 7.0] {
        let reading = field("number = {}").judge(&[Observation { score, ..seen("12", score) }], at(0));
        assert!((0.0..=1.0).contains(&reading.confidence), "{score}: {}", reading.confidence);
    }
}
