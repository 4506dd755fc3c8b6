//! What a number can have become since the last good reading, and what makes a number that cannot be so the new base.

use super::clock::{Moment, Stamp};
use super::config::{Monotonic, RulesConfig};
use super::number::Number;
use super::reading::Status;
use super::state::{SavedPoint, SavedRun};

/// Refused numbers that are kept in mind at a time: what may be the truth, and a misread in between.
pub(super) const MAX_RUNS: usize = 2;
/// Steps of the last digit that a rate always allows: the digit shown before was cut off, the one shown now may be
/// early.
const SLACK_STEPS: f64 = 2.0;
/// Largest change if nothing else was said, in steps of the last digit and as a part of the value; whichever is more.
const DEFAULT_JUMP: (f64, f64) = (100.0, 0.1);
/// Largest change between refused readings that are to fit each other: narrower, because nothing else speaks for them.
const DEFAULT_RUN_JUMP: (f64, f64) = (100.0, 0.01);
/// What a reading counts as evidence if it is confident ([`RulesConfig::confident`]), and otherwise.
const POINTS: (u32, u32) = (2, 1);
/// Evidence for the very first value: one confident reading or two others.
const FIRST_POINTS: u32 = 2;
/// Evidence in strict cases, for each of `rebase_after`: two confident readings or four others.
const STRICT_POINTS: u32 = 4;

/// A value that was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub value: f64,
    pub decimals: u8,
    /// What its last digit counts; the largest f64 if nobody knows, because it was set by hand.
    pub step: f64,
    pub at: Stamp,
}

impl Point {
    fn is_by_hand(&self) -> bool {
        self.step >= f64::MAX
    }
}

/// Refused readings that fit each other.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    last: Point,
    count: u32,
    points: u32,
}

/// Judges numbers in the order in which they come.
pub(super) struct Meter {
    direction: Option<Monotonic>,
    rate_per_s: Option<f64>,
    max_jump: Option<f64>,
    rebase_after: u32,
    dead_band: f64,
    base: Option<Point>,
    /// The one that was met last comes last.
    runs: Vec<Run>,
}

/// Result of judging a number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The base has it now.
    Accepted { rebased: bool, rate_per_s: Option<f64>, reason: String },
    /// The base stays.
    Refused { status: Status, reason: String },
}

/// A change as seen from a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Fits,
    /// A small step in the wrong direction: a rolling digit.
    Jitter,
    TooFast,
    WrongWay,
}

impl Meter {
    pub(super) fn new(rules: &RulesConfig) -> Meter {
        Meter {
            direction: rules.monotonic,
            rate_per_s: rules.max_rate(),
            max_jump: rules.max_jump,
            rebase_after: rules.rebase_after,
            dead_band: rules.dead_band,
            base: None,
            runs: Vec::new(),
        }
    }

    /// The last good value, or the one that was set.
    pub(super) fn base(&self) -> Option<&Point> {
        self.base.as_ref()
    }

    /// Starts from a value whose digits nobody read.
    pub(super) fn set(&mut self, value: f64, decimals: u8, at: Moment) {
        self.base = Some(Point { value, decimals, step: f64::MAX, at: Stamp::now(at) });
        self.runs.clear();
    }

    /// Judges the next number; `confident` ones count more as evidence.
    pub(super) fn weigh(&mut self, number: &Number, confident: bool, at: Moment) -> Verdict {
        let point =
            Point { value: number.value(), decimals: number.decimals(), step: number.step(), at: Stamp::now(at) };
        let points = if confident { POINTS.0 } else { POINTS.1 };
        let Some(base) = self.base else { return self.first(point, points, at) };
        // An image older than a value set by hand cannot change it.
        if base.is_by_hand() && base.at.is_after(at) {
            let reason = format!("it is older than the value {} that was set by hand", show(&base));
            return Verdict::Refused { status: Status::Rate, reason };
        }
        let elapsed_s = base.at.elapsed_s(at);
        let allowed = self.allowed(&base, &point, at, DEFAULT_JUMP);
        let mut change = self.judge(&base, &point, allowed);
        // A number that was refused as too fast does not become right by waiting until the limit allows it.
        if change == Change::Fits && self.continues_a_run(&base, &point, at) {
            change = Change::TooFast;
        }
        match change {
            Change::Fits | Change::Jitter => {
                let kept = change == Change::Jitter;
                let (value, decimals) = if kept { (base.value, base.decimals) } else { (point.value, point.decimals) };
                self.base = Some(Point { value, decimals, ..point });
                self.runs.clear();
                let rate_per_s = elapsed_s.filter(|s| *s > 0.0).map(|s| (value - base.value) / s);
                let reason = match kept && value != point.value {
                    true => {
                        format!("the value stays, as {} is a step back that a rolling digit explains", show(&point))
                    }
                    false => String::new(),
                };
                Verdict::Accepted { rebased: false, rate_per_s: rate_per_s.filter(|r| r.is_finite()), reason }
            }
            Change::TooFast | Change::WrongWay => {
                let strict = change == Change::WrongWay || self.one_digit_explains(number, &base, allowed);
                let (count, got) = self.join(point, points, at);
                let wanted = self.rebase_after.saturating_mul(if strict { STRICT_POINTS } else { 1 });
                let got = if strict { got } else { count };
                if self.rebase_after > 0 && got >= wanted {
                    self.base = Some(point);
                    self.runs.clear();
                    let reason = format!("a new base instead of {} after {count} consistent readings", show(&base));
                    return Verdict::Accepted { rebased: true, rate_per_s: None, reason };
                }
                let time = elapsed_s.map_or("an unknown time".into(), |s| format!("{s:.0} s"));
                let moved = format!("{} is {} from {} after {time}", show(&point), signed(&point, &base), show(&base));
                let against = match change {
                    Change::WrongWay => "the wrong way".into(),
                    _ => format!("more than {}", rounded(allowed, point.decimals)),
                };
                let outlook = match (self.rebase_after, strict) {
                    (0, _) => "only a value set by hand changes the base".into(),
                    (_, false) => format!("{count} of {wanted} consistent readings for a new base"),
                    (_, true) => format!(
                        "{got} of {wanted} points for a new base, where a confident reading counts {}",
                        POINTS.0
                    ),
                };
                let status = if change == Change::WrongWay { Status::NegativeRate } else { Status::Rate };
                Verdict::Refused { status, reason: format!("{moved}, {against}; {outlook}") }
            }
        }
    }

    /// The first value of all. Of a meter it must be sure, since all others are measured by it.
    fn first(&mut self, point: Point, points: u32, at: Moment) -> Verdict {
        let (_, got) = self.join(point, points, at);
        if self.direction.is_some() && got < FIRST_POINTS {
            let reason =
                format!("{} is the first value and not confident; one more that fits it is needed", show(&point));
            return Verdict::Refused { status: Status::LowConfidence, reason };
        }
        self.base = Some(point);
        self.runs.clear();
        Verdict::Accepted { rebased: false, rate_per_s: None, reason: String::new() }
    }

    /// Largest change from one reading to another. If the time between is unknown, a rate allows its slack only.
    fn allowed(&self, from: &Point, to: &Point, at: Moment, default: (f64, f64)) -> f64 {
        let step = step_of(from, to);
        let elapsed_s = from.at.elapsed_s(at).unwrap_or(0.0);
        let by_rate = self.rate_per_s.map(|rate| rate * elapsed_s + SLACK_STEPS * step);
        let by_jump = match (self.max_jump, self.direction, self.rate_per_s) {
            (Some(jump), ..) => Some(jump),
            (None, Some(_), None) => Some((default.0 * step).max(default.1 * from.value.abs())),
            _ => None,
        };
        // Differences of decimal fractions are not exact.
        by_rate.unwrap_or(f64::INFINITY).min(by_jump.unwrap_or(f64::INFINITY)) + step / 1000.0
    }

    fn judge(&self, from: &Point, to: &Point, allowed: f64) -> Change {
        let change = to.value - from.value;
        let progress = match self.direction {
            Some(Monotonic::Increasing) => change,
            Some(Monotonic::Decreasing) => -change,
            None => change.abs(),
        };
        let jitter = self.dead_band.max(step_of(from, to)) * 1.001;
        match progress {
            p if p < -jitter => Change::WrongWay,
            p if p < 0.0 => Change::Jitter,
            p if p > allowed => Change::TooFast,
            _ => Change::Fits,
        }
    }

    /// Whether a number belongs to refused ones rather than to the base.
    fn continues_a_run(&self, base: &Point, point: &Point, at: Moment) -> bool {
        let from_base = (point.value - base.value).abs();
        self.rebase_after > 0
            && self
                .runs
                .iter()
                .any(|run| (point.value - run.last.value).abs() < from_base && self.fits_run(run, point, at))
    }

    fn fits_run(&self, run: &Run, point: &Point, at: Moment) -> bool {
        let allowed = self.allowed(&run.last, point, at, DEFAULT_RUN_JUMP);
        matches!(self.judge(&run.last, point, allowed), Change::Fits | Change::Jitter)
    }

    /// Adds a refused number to the run that it fits, or starts one. Returns the run's readings and points.
    fn join(&mut self, point: Point, points: u32, at: Moment) -> (u32, u32) {
        let distance = |run: &Run| (run.last.value - point.value).abs();
        let fitting = (0..self.runs.len()).filter(|i| self.fits_run(&self.runs[*i], &point, at));
        let nearest = fitting.min_by(|a, b| distance(&self.runs[*a]).total_cmp(&distance(&self.runs[*b])));
        let mut run = match nearest {
            Some(i) => self.runs.remove(i),
            None => Run { last: point, count: 0, points: 0 },
        };
        run = Run { last: point, count: run.count.saturating_add(1), points: run.points.saturating_add(points) };
        let counts = (run.count, run.points);
        if self.runs.len() >= MAX_RUNS {
            self.runs.remove(0);
        }
        self.runs.push(run);
        counts
    }

    /// Whether the number would fit the base if one of its digits were another: then a misread is likelier than a jump.
    fn one_digit_explains(&self, number: &Number, base: &Point, allowed: f64) -> bool {
        (0..15).map(|place| 10u64.pow(place)).any(|unit| {
            let digit = number.mantissa / unit % 10;
            (0..10).filter(|other| *other != digit).any(|other| {
                let number = Number { mantissa: number.mantissa - digit * unit + other * unit, ..*number };
                let point = Point { value: number.value(), decimals: 0, step: number.step(), at: base.at };
                matches!(self.judge(base, &point, allowed), Change::Fits | Change::Jitter)
            })
        })
    }

    pub(super) fn save(&self, seen: Moment) -> (Option<SavedPoint>, Vec<SavedRun>) {
        let point =
            |p: &Point| SavedPoint { value: p.value, decimals: p.decimals, step: p.step, unix_ms: p.at.saved(seen) };
        let run = |r: &Run| SavedRun { last: point(&r.last), count: r.count, points: r.points };
        (self.base.as_ref().map(point), self.runs.iter().map(run).collect())
    }

    pub(super) fn restore(&mut self, base: Option<SavedPoint>, runs: Vec<SavedRun>) {
        let point = |p: SavedPoint| Point {
            value: p.value,
            decimals: p.decimals,
            step: p.step,
            at: Stamp::restored(p.unix_ms),
        };
        self.base = base.map(point);
        self.runs = runs.into_iter().map(|r| Run { last: point(r.last), count: r.count, points: r.points }).collect();
    }
}

/// The finer of two steps: a number that lost its decimals is not worth more slack.
fn step_of(from: &Point, to: &Point) -> f64 {
    from.step.min(to.step)
}

fn show(point: &Point) -> String {
    format!("{:.*}", usize::from(point.decimals), point.value)
}

fn signed(to: &Point, from: &Point) -> String {
    format!("{:+.*}", usize::from(to.decimals.max(from.decimals)), to.value - from.value)
}

fn rounded(value: f64, decimals: u8) -> String {
    format!("{value:.*}", usize::from(decimals))
}
