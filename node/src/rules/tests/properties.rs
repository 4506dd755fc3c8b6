//! What must hold whatever is read, whenever.

use super::super::{CharGuess, Field, MAX_CANDIDATES, Moment, Observation, Reading, RulesConfig, Status, Value};
use proptest::prelude::*;

/// One thing that happens to a field.
#[derive(Clone, Debug)]
enum Step {
    Judge(Vec<Observation>),
    Camera,
    Set(f64),
    Restart,
}

/// Numbers that are mostly near each other, and anything else.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0u32..40).prop_map(|n| format!("{:.1}", 100.0 + f64::from(n) / 10.0)),
        2 => (0u32..200_000).prop_map(|n| format!("{:.1}", f64::from(n) / 10.0)),
        1 => "[0-9OISB.,\\- ]{0,8}",
        1 => "(?s).{0,12}",
        1 => Just(String::new()),
    ]
}

fn score() -> impl Strategy<Value = f32> {
    prop_oneof![8 => 0.4f32..=1.0, 1 => any::<f32>()]
}

fn observation() -> impl Strategy<Value = Observation> {
    (text(), score(), prop::option::of((any::<char>(), score()))).prop_map(|(text, score, second)| {
        let guesses = text.chars().filter(|c| *c != '\n').map(|ch| CharGuess { ch, score, second });
        let chars = guesses.collect();
        Observation { text, score, chars }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => prop::collection::vec(observation(), 1..4).prop_map(Step::Judge),
        // The same several times in a row is what makes new bases.
        1 => Just(Step::Camera),
        1 => prop_oneof![any::<f64>(), 90.0..110.0f64].prop_map(Step::Set),
        2 => Just(Step::Restart),
    ]
}

/// Steps, some of them repeated.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let repeated = (step(), prop_oneof![3 => Just(1usize), 1 => 1usize..14]);
    prop::collection::vec(repeated, 1..25)
        .prop_map(|steps| steps.into_iter().flat_map(|(step, times)| vec![step; times]).collect())
}

fn rules() -> impl Strategy<Value = RulesConfig> {
    let motion = prop::sample::select(vec![
        "monotonic = 'increasing'",
        "monotonic = 'increasing'\nmax_rate_per_h = 5",
        "monotonic = 'increasing'\nmax_jump = inf\ndead_band = 0.3",
        "monotonic = 'increasing'\nmax_rate_per_s = 0.01\nmax_jump = 3\nrebase_after = 1",
        "monotonic = 'increasing'\nrebase_after = 0\nmax_rate_per_min = 1\nstale_after_s = 100",
        "monotonic = 'decreasing'\nmax_jump = 2\nunchanged_is_ok = false\nstale_after_s = 50",
        "max_jump = 1.5\ndead_band = 0.2",
        "max_rate_per_s = 0.1\nvote = { frames = 3, min_share = 0.3 }",
    ]);
    let text = prop::sample::select(vec![
        "number = {}",
        "number = { decimal_separator = 'auto' }\ndigits_look_alikes = true\nselect = 'largest-number'",
        "number = { decimals_shift = -3 }\nregex = '.*?([0-9.]+).*'",
    ]);
    (text, motion).prop_map(|(text, motion)| toml::from_str(&format!("{text}\nrange = [-5, 15000]\n{motion}")).unwrap())
}

fn start(rules: &RulesConfig) -> Field {
    Field::new("f", rules).unwrap()
}

fn apply(field: &mut Field, rules: &RulesConfig, step: &Step, at: Moment) -> Option<Reading> {
    match step {
        Step::Judge(observations) => Some(field.judge(observations, at)),
        Step::Camera => Some(field.camera_failed(at)),
        Step::Set(value) => {
            let _ = field.set_value(*value, at);
            None
        }
        Step::Restart => {
            let state = field.state();
            *field = start(rules);
            field.restore(state).expect("its own state");
            None
        }
    }
}

/// What every reading must be, and how it may follow the last one whose status was ok.
fn check(rules: &RulesConfig, reading: &Reading, before: &mut Option<f64>) -> Result<(), TestCaseError> {
    prop_assert!((0.0..=1.0).contains(&reading.confidence));
    prop_assert!(reading.candidates.len() <= MAX_CANDIDATES);
    prop_assert!(reading.candidates.iter().all(|c| (0.0..=1.0).contains(&c.share)));
    prop_assert!(reading.rate_per_s.is_none_or(f64::is_finite));
    prop_assert!(reading.reason.len() < 500 && !reading.reason.contains('\n'));
    if reading.status != Status::Ok {
        prop_assert!(
            !reading.rebased && !reading.changed && reading.rate_per_s.is_none() && !reading.reason.is_empty()
        );
        return Ok(());
    }
    let Some(Value::Number { value, .. }) = reading.value else {
        return Err(TestCaseError::fail("ok without a number"));
    };
    let [low, high] = rules.range.unwrap();
    prop_assert!((low..=high).contains(&value), "{value} outside the range");
    let direction = rules.monotonic.map_or(0.0, |m| if m == super::super::Monotonic::Increasing { 1.0 } else { -1.0 });
    if let Some(before) = *before {
        prop_assert!(reading.rebased || direction * (value - before) >= 0.0, "from {before} to {value}");
    }
    *before = Some(value);
    Ok(())
}

proptest! {
    /// No panic at any time; a monotonic field never goes back without saying so; nothing outside the range is ok.
    #[test]
    fn any_observations_at_any_times(
        rules in rules(),
        steps in prop::collection::vec((step(), any::<i64>(), any::<u64>()), 1..60),
    ) {
        let (mut field, mut before) = (start(&rules), None);
        for (step, unix_ms, monotonic_ms) in steps {
            if let Some(reading) = apply(&mut field, &rules, &step, Moment { unix_ms, monotonic_ms }) {
                check(&rules, &reading, &mut before)?;
            }
        }
    }

    /// The same with times as they usually are, where more is accepted.
    #[test]
    fn any_observations(rules in rules(), steps in steps(), every_ms in 1u64..3_600_000) {
        let (mut field, mut before) = (start(&rules), None);
        for (i, step) in steps.iter().enumerate() {
            let ms = i as u64 * every_ms;
            let at = Moment { unix_ms: 1_700_000_000_000 + ms as i64, monotonic_ms: ms };
            if let Some(reading) = apply(&mut field, &rules, step, at) {
                check(&rules, &reading, &mut before)?;
            }
        }
    }

    /// The same in, the same out; and a restart, which sets the monotonic clock to anything, changes nothing.
    #[test]
    fn restarts_change_nothing(rules in rules(), steps in steps(), every_ms in 1u64..3_600_000, boots in prop::collection::vec(any::<u32>(), 1..5)) {
        let (mut with, mut without, mut again) = (start(&rules), start(&rules), start(&rules));
        let mut monotonic_ms = 0u64;
        for (i, step) in steps.iter().enumerate() {
            let ms = i as u64 * every_ms;
            let unix_ms = 1_700_000_000_000 + ms as i64;
            let steady = Moment { unix_ms, monotonic_ms: ms };
            if matches!(step, Step::Restart) {
                apply(&mut with, &rules, step, steady);
                monotonic_ms = u64::from(boots[i % boots.len()]);
                continue;
            }
            monotonic_ms += every_ms;
            let reading = apply(&mut with, &rules, step, Moment { unix_ms, monotonic_ms });
            prop_assert_eq!(&reading, &apply(&mut without, &rules, step, steady));
            prop_assert_eq!(&reading, &apply(&mut again, &rules, step, steady));
        }
        prop_assert_eq!(without.state(), again.state());
    }

    /// Whatever state a file holds, the field can be used and finds back to a steady display.
    #[test]
    fn no_state_wedges_a_field(mut rules in rules(), steps in steps(), start_ms: i64, every_ms in 1000u64..3_600_000) {
        rules.rebase_after = rules.rebase_after.max(1);
        let mut field = start(&rules);
        for (i, step) in steps.iter().enumerate() {
            let at = Moment { unix_ms: start_ms.saturating_add(i as i64 * 60_000), monotonic_ms: i as u64 * 60_000 };
            apply(&mut field, &rules, step, at);
        }
        let state = field.state();
        let mut field = start(&rules);
        field.restore(state).unwrap();
        let steady = Observation { text: "1234.5".into(), score: 0.95, chars: Vec::new() };
        // With the strictest evidence that there is.
        let rounds = 2 * u64::from(rules.rebase_after);
        let mut last = None;
        for i in 0..=rounds {
            let at = Moment { unix_ms: 1_700_000_000_000 + (i * every_ms) as i64, monotonic_ms: i * every_ms };
            last = Some(field.judge(std::slice::from_ref(&steady), at));
        }
        let last = last.unwrap();
        let fresh = rules.unchanged_is_ok || last.status != Status::Stale;
        prop_assert!(last.status == Status::Ok || !fresh, "{:?}", last);
    }
}
