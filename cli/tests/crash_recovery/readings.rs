//! What arrived against what was printed.

use super::LATE_AFTER_MS;
use super::node_support::subscriber::Received;
use serde_json::Value;
use std::collections::HashMap;

/// What the broker had kept is told again with each subscription, and does not count as arrival.
pub fn is_reading(message: &&Received) -> bool {
    !message.retain && message.topic.starts_with("ocr/t/field/")
}

/// What is checked of a reading.
pub struct Reading {
    pub id: String,
    pub field: String,
    pub boot: String,
    pub seq: u64,
    pub captured_ms: i64,
    pub published_ms: i64,
    pub historical: bool,
    /// The message without what may differ when it is sent again.
    pub rest: String,
    pub at_ms: i64,
}

impl Reading {
    pub fn of(message: &Received) -> Reading {
        Reading::parse(&message.text(), message.at_ms)
    }

    pub fn parse(text: &str, at_ms: i64) -> Reading {
        let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let word = |key: &str| value[key].as_str().unwrap_or_else(|| panic!("{key} of {text}")).to_owned();
        let number = |key: &str| value[key].as_i64().unwrap_or_else(|| panic!("{key} of {text}"));
        assert_eq!(word("status"), "ok", "the image is easy: {text}");
        let (start, end) = (text.find(r#""published_at":"#).unwrap(), text.find(r#""seq":"#).unwrap());
        let mark = text.find(r#""historical":"#).unwrap();
        let after = text.find(r#""time_synced":"#).unwrap();
        Reading {
            id: word("id"),
            field: word("field"),
            boot: word("boot_id"),
            seq: number("seq") as u64,
            captured_ms: number("captured_at_ms"),
            published_ms: number("published_at_ms"),
            historical: value["historical"].as_bool().unwrap(),
            rest: [&text[..start], &text[end..mark], &text[after..]].concat(),
            at_ms,
        }
    }
}

#[derive(Debug, Default, PartialEq)]
pub struct Found {
    pub duplicates: usize,
    pub late: usize,
    pub slowest_ms: i64,
}

/// Checks that all of `printed` has arrived, unchanged, in order, and marked if it was late or of an earlier run; the
/// error says what is wrong.
pub fn check(printed: &[Reading], arrived: &[Reading], runs: &[(i64, i64)]) -> Result<Found, String> {
    let mut known: HashMap<&str, &Reading> = HashMap::new();
    let mut last_seq: HashMap<(&str, &str), u64> = HashMap::new();
    let mut boots: Vec<&str> = Vec::new();
    let mut found = Found::default();
    for reading in arrived {
        let Reading { id, boot, captured_ms, published_ms, .. } = reading;
        let (_, run_ended) = runs.iter().rfind(|(start, _)| start <= captured_ms).ok_or(format!("{id} is too old"))?;
        let late = published_ms - captured_ms > LATE_AFTER_MS || published_ms > run_ended;
        if late && !reading.historical {
            return Err(format!("{id} is late and not marked"));
        }
        if let Some(first) = known.get(id.as_str()) {
            found.duplicates += 1;
            if first.rest != reading.rest {
                return Err(format!("{id} came again as something else: {} and {}", first.rest, reading.rest));
            }
            continue;
        }
        known.insert(id, reading);
        found.late += usize::from(late);
        found.slowest_ms = found.slowest_ms.max(reading.at_ms - captured_ms);
        if boots.last() != Some(&boot.as_str()) {
            if boots.contains(&boot.as_str()) {
                return Err(format!("{id} comes after readings of a later run"));
            }
            boots.push(boot);
        }
        if let Some(before) = last_seq.insert((&reading.field, boot), reading.seq)
            && before >= reading.seq
        {
            return Err(format!("{id} comes after number {before} of its field"));
        }
    }
    for reading in printed {
        let first = known.get(reading.id.as_str()).ok_or(format!("{} is lost", reading.id))?;
        if first.rest != reading.rest {
            return Err(format!("{} was printed as {} and arrived as {}", reading.id, reading.rest, first.rest));
        }
    }
    Ok(found)
}

/// What the check is worth.
#[test]
fn the_check_finds_what_is_wrong() {
    let runs = [(0, 1000), (2000, 10_000)];
    let reading = |boot: &str, seq: u64, captured_ms: i64, published_ms: i64, historical| Reading {
        id: format!("t/{boot}/{seq}"),
        field: "f0".into(),
        boot: boot.into(),
        seq,
        captured_ms,
        published_ms,
        historical,
        rest: format!("{boot} {seq} {captured_ms}"),
        at_ms: published_ms,
    };
    let good = || {
        let late = reading("a", 4, 50, 2500, true);
        vec![reading("a", 0, 10, 20, false), late, reading("a", 8, 60, 2550, true), reading("b", 0, 2100, 2600, false)]
    };
    let wrong = |arrived: &[Reading]| check(&good(), arrived, &runs).expect_err("something is wrong");
    let mut repeated = good();
    repeated.insert(1, reading("a", 0, 10, 15, false));
    assert_eq!(check(&good(), &repeated, &runs), Ok(Found { duplicates: 1, late: 2, slowest_ms: 2490 }));
    for at in 0..4 {
        let mut lost = good();
        lost.remove(at);
        assert!(wrong(&lost).contains("lost"));
        let mut changed = good();
        changed[at].rest.push('!');
        assert!(wrong(&changed).contains("arrived as"));
        changed.extend(good());
        assert!(wrong(&changed).contains("came again as something else"));
    }
    let mut swapped = good();
    swapped.swap(0, 1);
    assert!(wrong(&swapped).contains("number 4 of its field"));
    let mut mixed = good();
    mixed.swap(2, 3);
    assert!(wrong(&mixed).contains("later run"));
    let mut unmarked = good();
    unmarked[1].historical = false;
    assert!(wrong(&unmarked).contains("not marked"), "of an earlier run");
    assert!(wrong(&[reading("b", 0, 2100, 3101, false)]).contains("not marked"), "of this run, but late");
}
