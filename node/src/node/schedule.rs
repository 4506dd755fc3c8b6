//! When a frame is taken.

use super::zone::Zone;
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use edge_ocr::number_format::Compact;
use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant, SystemTime};

/// Longest time after which the wall clock is looked at again: it may have been set.
const RECHECK: Duration = Duration::from_secs(60);
/// A wall clock that differs by more than this from what the monotonic one says was set.
const JUMP: Duration = Duration::from_secs(2);

/// `[trigger]`: what starts a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TriggerConfig {
    /// Seconds from round to round, 0.1 to 31 536 000. Default 60, if `cron` is not given.
    pub interval_s: Option<f64>,
    /// Times by the local clock: minute, hour, day of the month, month, day of the week, as in a crontab (`"*/5 6-22
    /// * * *"`); with six fields the first is the second.
    pub cron: Option<String>,
    /// Whether the first round is at the start. Default true.
    pub on_start: bool,
    /// Whether a command by MQTT may start a round. Default true.
    pub on_command: bool,
}

impl Default for TriggerConfig {
    fn default() -> Self {
        TriggerConfig { interval_s: None, cron: None, on_start: true, on_command: true }
    }
}

impl TriggerConfig {
    /// Seconds between rounds if nothing is given.
    pub const DEFAULT_INTERVAL_S: f64 = 60.0;

    /// Checks every value.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        if let Some(interval) = self.interval_s
            && !(0.1..=31_536_000.0).contains(&interval)
        {
            return Err(format!("interval_s is {}; give a number from 0.1 to 31536000", Compact(interval)));
        }
        match &self.cron {
            Some(_) if self.interval_s.is_some() => Err("interval_s and cron are both given; keep one of them".into()),
            Some(cron) => parse(cron).map(drop),
            None => Ok(()),
        }
    }
}

fn parse(text: &str) -> Result<Cron, String> {
    let wrong = |reason: String| {
        format!(
            "cron {text:?} cannot be used because {reason}; write minute, hour, day, month, day of the week, such as \"*/5 6-22 * * *\""
        )
    };
    if text.len() > 256 {
        return Err(wrong("it is longer than 256 bytes".into()).replace(text, "…"));
    }
    let parser = CronParser::builder().seconds(Seconds::Optional).build();
    // Foreign code over a user's text.
    let parsed =
        edge_ocr::panics::catch_panic(|| parser.parse(text)).map_err(|_| wrong("its parser failed on it".into()))?;
    let plain = |e: &dyn std::fmt::Display| {
        let line: Vec<String> = e.to_string().split_whitespace().map(str::to_owned).collect();
        line.join(" ").trim_end_matches('.').to_owned()
    };
    let cron = parsed.map_err(|e| wrong(format!("its parser says '{}'", plain(&e))))?;
    // February 30 parses.
    let probe = Zoned::new(jiff::Timestamp::UNIX_EPOCH, TimeZone::UTC);
    match edge_ocr::panics::catch_panic(|| cron.find_next_occurrence(&probe, false).is_ok()) {
        Ok(true) => Ok(cron),
        _ => Err(wrong("no time ever fits it".into())),
    }
}

/// Both clocks at one moment. The monotonic one never jumps, the wall clock may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub mono: Instant,
    /// The wall clock.
    pub wall: SystemTime,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A round is due now. It counts as begun.
    Due,
    /// Nothing until then; ask again at that moment, which is not necessarily that of a round.
    Wait(Instant),
}

#[derive(Debug)]
enum Plan {
    /// Rounds this far apart, and when the next is due.
    Every(Duration, Instant),
    Cron(Box<CronPlan>),
}

#[derive(Debug)]
struct CronPlan {
    cron: Cron,
    zone: TimeZone,
    /// When the next round is due by the wall clock, and both clocks when that was worked out.
    next: Option<(SystemTime, Now)>,
}

/// Decides when rounds begin.
///
/// An interval counts by the monotonic clock from the first round, whatever is read by command meanwhile. Rounds
/// neither drift nor follow each other without pause after a round that took long, or after the machine slept: those
/// that were missed are left out. Cron follows the wall clock. If that is set forward, what was jumped over is left
/// out; if it is set back, times come again.
#[derive(Debug)]
pub struct Schedule {
    plan: Plan,
    /// A round that is due at once.
    start: Option<Start>,
}

/// What a round that is due at once does to the others.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// An interval counts from it.
    First,
    /// The others keep their times.
    Resumed,
}

impl Schedule {
    /// A schedule that begins at `now`, in the time zone `zone`.
    ///
    /// # Errors
    /// As [`TriggerConfig::validate`].
    pub fn in_zone(config: &TriggerConfig, now: Now, zone: TimeZone) -> Result<Schedule, String> {
        config.validate()?;
        let plan = match &config.cron {
            Some(cron) => Plan::Cron(Box::new(CronPlan { cron: parse(cron)?, zone, next: None })),
            None => {
                let interval = config.interval_s.unwrap_or(TriggerConfig::DEFAULT_INTERVAL_S);
                let interval = Duration::from_secs_f64(interval);
                Plan::Every(interval, now.mono + interval)
            }
        };
        Ok(Schedule { plan, start: config.on_start.then_some(Start::First) })
    }

    /// Whether a round is due at `now`, and otherwise when to ask again.
    pub fn next_after(&mut self, now: Now) -> Next {
        let start = self.start.take();
        match (&mut self.plan, start) {
            (Plan::Every(interval, due), Some(Start::First)) => {
                *due = now.mono + *interval;
                Next::Due
            }
            (Plan::Every(_, due), Some(Start::Resumed)) if now.mono < *due => Next::Due,
            (Plan::Every(_, due), None) if now.mono < *due => Next::Wait(*due),
            (Plan::Every(interval, due), _) => {
                // On the same beat, after now.
                let missed = now.mono.duration_since(*due).as_nanos() / interval.as_nanos().max(1);
                let steps = u32::try_from(missed.saturating_add(1)).unwrap_or(u32::MAX);
                *due = due
                    .checked_add(interval.saturating_mul(steps))
                    .filter(|d| *d > now.mono)
                    .unwrap_or(now.mono + *interval);
                Next::Due
            }
            (Plan::Cron(_), Some(_)) => Next::Due,
            (Plan::Cron(plan), None) => plan.next_after(now),
        }
    }

    /// Goes on in a node by another configuration with the same trigger: if rounds begin at the start there is one now,
    /// and the others keep their times.
    pub fn resume(&mut self, config: &TriggerConfig) {
        self.start = config.on_start.then_some(Start::Resumed);
    }
}

impl CronPlan {
    fn next_after(&mut self, now: Now) -> Next {
        let Some((due, at)) = self.next else {
            let due = self.plan(now);
            return wait_for(due, now);
        };
        let expected = at.wall.checked_add(now.mono.duration_since(at.mono)).unwrap_or(at.wall);
        let off = |a: SystemTime, b: SystemTime| a.duration_since(b).unwrap_or_default();
        if off(now.wall, expected).max(off(expected, now.wall)) > JUMP {
            log::info!("the clock was set; the next cycle is scheduled again");
            let due = self.plan(now);
            return wait_for(due, now);
        }
        if now.wall >= due {
            self.plan(now);
            return Next::Due;
        }
        // A clock that is slewed goes another way than the monotonic one, a little in a minute and much in a day.
        self.next = Some((due, now));
        wait_for(Some(due), now)
    }

    /// Works out the first round after `now`.
    fn plan(&mut self, now: Now) -> Option<SystemTime> {
        let next = next_time(&self.cron, &self.zone, now.wall);
        // Without one (years that no calendar has), it is looked for again later.
        let due = next.map(|next| SystemTime::from(next.timestamp())).filter(|due| *due > now.wall);
        self.next = due.map(|due| (due, now));
        due
    }
}

/// The first time after `now` that fits.
fn next_time(cron: &Cron, zone: &TimeZone, now: SystemTime) -> Option<Zoned> {
    let next = edge_ocr::panics::catch_panic(|| {
        let timestamp = jiff::Timestamp::try_from(now).ok()?;
        cron.find_next_occurrence(&Zoned::new(timestamp, zone.clone()), false).ok()
    });
    next.ok().flatten()
}

/// When rounds begin, for people.
pub fn describe(config: &TriggerConfig, zone: &Zone, now: SystemTime) -> String {
    let name = &zone.name;
    let Some(cron) = &config.cron else {
        let every = Compact(config.interval_s.unwrap_or(TriggerConfig::DEFAULT_INTERVAL_S));
        return format!("a round begins every {every} s; the time zone is {name}");
    };
    let next = parse(cron).ok().and_then(|cron| next_time(&cron, &zone.rules, now));
    let next = next.map_or_else(|| "not known".into(), |next| next.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
    format!("rounds begin by cron {cron:?} in the time zone {name}; the next one is {next}")
}

/// Until a round is due by the wall clock, but not longer than that is trusted.
fn wait_for(due: Option<SystemTime>, now: Now) -> Next {
    let until = due.and_then(|due| due.duration_since(now.wall).ok()).unwrap_or(RECHECK);
    Next::Wait(now.mono + until.min(RECHECK))
}

#[cfg(test)]
mod tests;
