use super::*;
use proptest::prelude::*;

/// Two clocks that are moved by hand. Half past noon and 30 seconds, Monday 6 July 2026, UTC.
struct Clock(Now);

impl Clock {
    fn new() -> Clock {
        let wall = "2026-07-06T12:30:30Z".parse::<jiff::Timestamp>().unwrap();
        Clock(Now { mono: Instant::now() + Duration::from_secs(1_000_000), wall: wall.into() })
    }

    fn pass(&mut self, seconds: f64) -> Now {
        self.0.mono += Duration::from_secs_f64(seconds);
        self.0.wall += Duration::from_secs_f64(seconds);
        self.0
    }

    /// Runs for `seconds`, asking when told to; returns the seconds since now at which rounds began.
    fn rounds(&mut self, schedule: &mut Schedule, seconds: f64) -> Vec<f64> {
        let start = self.0.mono;
        let mut rounds = Vec::new();
        let mut asked = 0;
        loop {
            asked += 1;
            assert!(asked < 100_000, "it asks too often");
            match schedule.next_after(self.0) {
                Next::Due => rounds.push((self.0.mono - start).as_secs_f64()),
                Next::Wait(until) => {
                    let end = start + Duration::from_secs_f64(seconds);
                    let pause = until.min(end).saturating_duration_since(self.0.mono);
                    if until > end {
                        self.pass(pause.as_secs_f64());
                        return rounds;
                    }
                    assert!(until > self.0.mono, "a wait that is none");
                    self.0.mono += pause;
                    self.0.wall += pause;
                }
            }
        }
    }
}

fn every(interval_s: f64) -> TriggerConfig {
    TriggerConfig { interval_s: Some(interval_s), ..TriggerConfig::default() }
}

fn cron(text: &str) -> TriggerConfig {
    TriggerConfig { cron: Some(text.into()), on_start: false, ..TriggerConfig::default() }
}

fn schedule(config: &TriggerConfig, clock: &Clock) -> Schedule {
    Schedule::in_zone(config, clock.0, TimeZone::UTC).unwrap()
}

#[test]
fn an_interval_keeps_its_beat() {
    let mut clock = Clock::new();
    let mut plan = schedule(&every(10.0), &clock);
    assert_eq!(clock.rounds(&mut plan, 35.0), [0.0, 10.0, 20.0, 30.0]);
    // A round that takes 3 seconds does not move the next one, and one that takes 25 leaves out two.
    let mut plan = schedule(&every(10.0), &clock);
    assert_eq!(plan.next_after(clock.0), Next::Due);
    let start = clock.0.mono;
    clock.pass(3.0);
    assert_eq!(plan.next_after(clock.0), Next::Wait(start + Duration::from_secs(10)));
    clock.pass(32.0);
    assert_eq!(plan.next_after(clock.0), Next::Due);
    assert_eq!(plan.next_after(clock.0), Next::Wait(start + Duration::from_secs(40)), "no burst");
}

#[test]
fn the_first_round_can_wait() {
    let mut clock = Clock::new();
    let mut plan = schedule(&TriggerConfig { on_start: false, ..every(10.0) }, &clock);
    assert_eq!(clock.rounds(&mut plan, 25.0), [10.0, 20.0]);
    let mut plan = schedule(&TriggerConfig::default(), &clock);
    assert_eq!(clock.rounds(&mut plan, 130.0), [0.0, 60.0, 120.0], "the default");
}

#[test]
fn an_interval_does_not_care_for_the_wall_clock() {
    let mut clock = Clock::new();
    let mut plan = schedule(&every(10.0), &clock);
    clock.rounds(&mut plan, 5.0);
    clock.0.wall -= Duration::from_secs(86_400 * 365);
    assert_eq!(clock.rounds(&mut plan, 16.0), [5.0, 15.0]);
}

/// Whoever may send the command `reload` could put the next round off for ever.
#[test]
fn resumed_schedule_keeps_its_beat() {
    let mut clock = Clock::new();
    for on_start in [false, true] {
        let config = TriggerConfig { on_start, ..every(10.0) };
        let mut plan = schedule(&config, &clock);
        let mut rounds = Vec::new();
        for reload in 0..5 {
            rounds.extend(clock.rounds(&mut plan, 4.0).into_iter().map(|at| at + f64::from(reload) * 4.0));
            plan.resume(&config);
        }
        let expected: &[f64] = if on_start { &[0.0, 4.0, 8.0, 10.0, 12.0, 16.0, 20.0] } else { &[10.0, 20.0] };
        assert_eq!(rounds, expected);
    }
}

#[test]
fn cron_by_the_wall_clock() {
    let mut clock = Clock::new();
    let mut plan = schedule(&cron("*/5 * * * *"), &clock);
    assert_eq!(clock.rounds(&mut plan, 900.0), [270.0, 570.0, 870.0]);
    let mut clock = Clock::new();
    let mut plan = schedule(&cron("0 0 6 * * *"), &clock);
    assert_eq!(clock.rounds(&mut plan, 86_400.0), [17.5 * 3600.0 - 30.0]);
    // On the start, too, if that is wanted.
    let mut clock = Clock::new();
    let mut plan = schedule(&TriggerConfig { on_start: true, ..cron("*/5 * * * *") }, &clock);
    assert_eq!(clock.rounds(&mut plan, 300.0), [0.0, 270.0]);
}

#[test]
fn cron_in_the_time_zone_of_the_place() {
    let mut clock = Clock::new();
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let mut plan = Schedule::in_zone(&cron("0 15 * * *"), clock.0, zone).unwrap();
    // 15:00 in summer there is 13:00 UTC.
    assert_eq!(clock.rounds(&mut plan, 3600.0), [1770.0]);
}

#[test]
fn clock_set_forward_skips_missed_runs() {
    let mut clock = Clock::new();
    let mut plan = schedule(&cron("35 12 * * *"), &clock);
    clock.rounds(&mut plan, 10.0);
    clock.0.wall += Duration::from_secs(3600);
    assert_eq!(clock.rounds(&mut plan, 7200.0), [0.0; 0]);
    // As a board without a battery does: from 1970 to now, a minute after the start at the latest it is noticed.
    let mut clock = Clock::new();
    let now = clock.0.wall;
    clock.0.wall = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
    let mut plan = schedule(&cron("35 12 * * *"), &clock);
    clock.rounds(&mut plan, 61.0);
    clock.0.wall = now;
    assert_eq!(clock.rounds(&mut plan, 600.0), [270.0]);
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_rounds() {
    let mut clock = Clock::new();
    let mut plan = schedule(&cron("*/5 * * * *"), &clock);
    clock.rounds(&mut plan, 10.0);
    clock.0.wall -= Duration::from_secs(86_400);
    assert_eq!(clock.rounds(&mut plan, 300.0), [260.0]);
}

#[test]
fn a_clock_that_is_slewed_is_not_one_that_was_set() {
    let mut clock = Clock::new();
    let mut plan = schedule(&cron("0 6 * * *"), &clock);
    // 500 in a million, as NTP does: 31 seconds until then.
    let mut rounds = 0;
    for _ in 0..24 * 60 {
        clock.pass(60.0);
        clock.0.wall += Duration::from_millis(30);
        rounds += usize::from(plan.next_after(clock.0) == Next::Due);
    }
    assert_eq!(rounds, 1);
}

#[test]
fn a_round_that_is_asked_for_late_is_still_taken_once() {
    let mut clock = Clock::new();
    let mut plan = schedule(&cron("*/5 * * * *"), &clock);
    assert!(matches!(plan.next_after(clock.0), Next::Wait(_)));
    // The round before took ten minutes.
    clock.pass(600.0);
    assert_eq!(plan.next_after(clock.0), Next::Due);
    assert!(matches!(plan.next_after(clock.0), Next::Wait(_)));
}

#[test]
fn what_cannot_be_is_named() {
    let of = |config: TriggerConfig| config.validate().unwrap_err();
    for interval in [0.0, 0.09, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        assert!(of(every(interval)).contains("interval_s is"));
    }
    assert!(of(TriggerConfig { interval_s: Some(1.0), ..cron("* * * * *") }).contains("both given"));
    for text in ["", "* * *", "61 * * * *", "* * 30 2 *", "every day", &"*".repeat(300)] {
        let said = of(cron(text));
        assert!(said.starts_with("cron ") && said.contains("; write minute") && !said.contains('\n'), "{said}");
    }
    assert!(of(cron("* * 30 2 *")).contains("no time ever fits"));
    assert!(toml::from_str::<TriggerConfig>("interval = 3").unwrap_err().to_string().contains("interval_s"));
}

proptest! {
    #[test]
    fn any_text_is_refused_or_planned(text in "[0-9*/,LW# -]{0,30}|\\PC{0,20}") {
        let config = cron(&text);
        if config.validate().is_ok() {
            let clock = Clock::new();
            prop_assert!(matches!(schedule(&config, &clock).next_after(clock.0), Next::Wait(_)));
        }
    }

    #[test]
    fn rounds_are_never_nearer_than_they_should_be(
        interval in 0.1f64..100.0, pauses in prop::collection::vec(0.0f64..300.0, 1..40),
    ) {
        let mut clock = Clock::new();
        let mut plan = schedule(&every(interval), &clock);
        let start = clock.0.mono;
        let mut beats = Vec::new();
        for pause in pauses {
            clock.pass(pause);
            if plan.next_after(clock.0) == Next::Due {
                beats.push((clock.0.mono - start).as_secs_f64());
                prop_assert!(matches!(plan.next_after(clock.0), Next::Wait(until) if until > clock.0.mono), "a burst");
            }
        }
        // Each in a beat of its own.
        let beats: Vec<i64> = beats.windows(2).map(|b| ((b[1] - beats[0]) / interval + 1e-6) as i64).collect();
        prop_assert!(beats.windows(2).all(|b| b[0] < b[1]), "{:?}", beats);
    }
}

#[test]
fn description_names_zone_and_next_round() {
    let rules = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let (zone, now) = (Zone { rules, name: "Europe/Berlin".into() }, Clock::new().0.wall);
    let told = describe(&cron("0 6 * * *"), &zone, now);
    assert!(told.contains("Europe/Berlin") && told.ends_with(" 2026-07-07T06:00:00+02:00"), "{told}");
    let told = describe(&every(2.5), &zone, now);
    assert!(told.contains("every 2.5 s") && told.contains("Europe/Berlin"), "{told}");
}
