//! One field: observations in, readings out.

use super::check::correct;
use super::clock::{Moment, Stamp};
use super::config::{Monotonic, RulesConfig};
use super::extract::{Extractor, Found, MAX_VALUE_BYTES, probability};
use super::meter::{Meter, Verdict};
use super::number::{self, Known, Number};
use super::reading::{Candidate, CharGuess, Observation, Reading, Status, Value};
use super::state::{FieldState, STATE_VERSION};
use super::vote::{self, FrameVote, MAX_FRAMES};
use edge_ocr::number_format::Compact;

/// A field with its rules and its memory. The same observations at the same moments give the same readings.
pub struct Field {
    name: String,
    rules: RulesConfig,
    extractor: Extractor,
    meter: Meter,
    /// The value of the last reading whose status was ok.
    emitted: Option<Value>,
    /// The value of the last reading that was `changed`.
    published: Option<Value>,
    /// The last moment that counts as fresh; at first, when the field was first asked.
    fresh: Option<Stamp>,
    seen: Moment,
}

/// A round before its number is judged.
#[derive(Default)]
struct Round {
    raw: String,
    confidence: f32,
    candidates: Vec<Candidate>,
}

/// Why a round is refused.
type Refusal = (Status, String);

impl Field {
    /// A field without a memory.
    ///
    /// # Errors
    /// One sentence that names the field and the key, see [`RulesConfig::validate`].
    pub fn new(name: &str, rules: &RulesConfig) -> Result<Field, String> {
        let wrong = |e: String| format!("field '{name}': {e}");
        rules.validate().map_err(wrong)?;
        Ok(Field {
            name: name.to_owned(),
            extractor: Extractor::new(rules).map_err(wrong)?,
            meter: Meter::new(rules),
            rules: rules.clone(),
            emitted: None,
            published: None,
            fresh: None,
            seen: Moment::default(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rules.
    pub fn rules(&self) -> &RulesConfig {
        &self.rules
    }

    /// The last good value, or the one set by [`set_value`](Self::set_value) since.
    pub fn last_good(&self) -> Option<Value> {
        match self.rules.number {
            Some(_) => self.meter.base().map(|base| Value::Number { value: base.value, decimals: base.decimals }),
            None => self.emitted.clone(),
        }
    }

    /// Judges one round: what was read in its frames, of which the first 15 count. No frames at all is a failure of
    /// the camera.
    pub fn judge(&mut self, observations: &[Observation], at: Moment) -> Reading {
        if observations.is_empty() {
            return self.camera_failed(at);
        }
        self.see(at);
        let (round, judged) = self.read(&observations[..observations.len().min(MAX_FRAMES)]);
        match judged.and_then(|(text, sure)| self.accept(&text, sure, at)) {
            Ok((value, rebased, rate_per_s, reason)) => self.good(round, value, rebased, rate_per_s, reason, at),
            Err((status, reason)) => self.refuse(round, status, reason, at),
        }
    }

    /// The reading of a round without an image.
    pub fn camera_failed(&mut self, at: Moment) -> Reading {
        self.see(at);
        self.refuse(Round::default(), Status::Camera, "there was no image".into(), at)
    }

    /// Takes a value that a person read as the new base. The next good reading is flagged as rebased if this goes
    /// against the field's direction.
    ///
    /// # Errors
    /// One sentence: the field is text, or the value is not finite or outside `range`.
    pub fn set_value(&mut self, value: f64, at: Moment) -> Result<(), String> {
        self.see(at);
        let name = &self.name;
        if self.rules.number.is_none() {
            return Err(format!(
                "field '{name}' is text and has no value to set; give it number = {{}} if it is a number"
            ));
        }
        let shown = Compact(value);
        // Larger than any number that can be read.
        if !value.is_finite() || value.abs() >= 1e25 {
            return Err(format!(
                "{shown} cannot be the value of field '{name}'; give a number as it is on the display"
            ));
        }
        if !self.in_range(value) {
            return Err(format!("{shown} is outside the range of field '{name}'; give a value inside or change range"));
        }
        let written = value.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len().min(15));
        let decimals = self.meter.base().map_or(0, |base| usize::from(base.decimals)).max(written);
        self.meter.set(value, decimals as u8, at);
        self.fresh = Some(Stamp::now(at));
        Ok(())
    }

    /// What has to be kept for a restart. Times are by the wall clock as of the last moment that the field was given.
    pub fn state(&self) -> FieldState {
        let (base, runs) = self.meter.save(self.seen);
        FieldState {
            version: STATE_VERSION,
            meaning: self.meaning(),
            base,
            runs,
            emitted: self.emitted.clone(),
            published: self.published.clone(),
            fresh_unix_ms: self.fresh.map(|stamp| stamp.saved(self.seen)),
        }
    }

    /// Goes on from what an earlier run kept. To be called before the first reading. Times in the future or more than
    /// 31 days in the past are taken as unknown: then a rate allows no more than its slack until several readings
    /// have agreed.
    ///
    /// # Errors
    /// One sentence why the state cannot be used; the field stays as it was, which is a field that starts afresh.
    pub fn restore(&mut self, state: FieldState) -> Result<(), String> {
        let unusable = |reason: &str| {
            Err(format!(
                "the saved state of field '{}' is not used because {reason}; the field starts afresh",
                self.name
            ))
        };
        if let Err(reason) = state.check() {
            return unusable(reason);
        }
        if state.meaning != self.meaning() {
            return unusable("number or monotonic have changed since");
        }
        if state.base.is_some_and(|base| !self.in_range(base.value)) {
            return unusable("its value is outside range");
        }
        self.meter.restore(state.base, state.runs);
        (self.emitted, self.published) = (state.emitted, state.published);
        self.fresh = state.fresh_unix_ms.map(Stamp::restored);
        Ok(())
    }

    /// Checksum of the keys that decide what a value means: with others it cannot be compared.
    fn meaning(&self) -> u32 {
        let keys = postcard::to_allocvec(&(&self.rules.number, &self.rules.monotonic));
        crc32fast::hash(&keys.unwrap_or_default())
    }

    fn in_range(&self, value: f64) -> bool {
        self.rules.range.is_none_or(|[low, high]| (low..=high).contains(&value))
    }

    fn see(&mut self, at: Moment) {
        self.seen = at;
        // A time that the clocks do not tell starts now: neither stale for ever nor never.
        if self.fresh.is_none_or(|fresh| fresh.elapsed_s(at).is_none()) {
            self.fresh = Some(Stamp::now(at));
        }
    }

    fn is_stale(&self, at: Moment) -> bool {
        let age_s = self.fresh.and_then(|fresh| fresh.elapsed_s(at)).unwrap_or(0.0);
        self.rules.stale_after_s.is_some_and(|limit| age_s > limit as f64)
    }

    /// The text that the frames agree on, if it has the form and is sure enough, and whether it is confident
    /// throughout.
    fn read(&self, observations: &[Observation]) -> (Round, Result<(String, bool), Refusal>) {
        let (mut frame_votes, mut found, mut invalid) = (Vec::new(), Vec::new(), Vec::new());
        for (i, observation) in observations.iter().enumerate() {
            match self.form(observation) {
                Ok(Some(value)) => {
                    frame_votes.push(FrameVote { score: vote::score(&value.chars), chars: value.chars.clone() });
                    found.push((i, value));
                }
                Ok(None) => {}
                Err(refusal) => invalid.push((i, refusal)),
            }
        }
        let raw =
            |i: usize| observations[i].text[..observations[i].text.floor_char_boundary(MAX_VALUE_BYTES)].to_owned();
        let texts: Vec<(String, f32)> =
            invalid.iter().map(|(i, _)| (raw(*i), probability(observations[*i].score))).collect();
        let fits = |frame_vote: usize, chars: &[CharGuess]| {
            self.extractor.accepts(&found[frame_vote].1, &vote::text(chars)) && self.value_form(chars).is_ok()
        };
        let Some(outcome) = vote::vote(&frame_votes, &texts, fits) else {
            // The surest of those without the form, the earliest of equals.
            let surest = (0..invalid.len()).max_by(|a, b| texts[*a].1.total_cmp(&texts[*b].1).then(b.cmp(a)));
            let Some((surest, (i, refusal))) = surest.and_then(|s| Some((s, invalid.get(s)?.clone()))) else {
                return (Round::default(), Err((Status::NoText, "there was no text".into())));
            };
            let candidates = vote::invalid_candidates(&texts, &texts[surest].0);
            return (Round { raw: raw(i), confidence: texts[surest].1, candidates }, Err(refusal));
        };
        let score = outcome.score();
        let confidence = score * outcome.share;
        let rules = &self.rules;
        let unsure = if outcome.share + 1e-5 < rules.vote.min_share {
            Some(format!("{:.0} % of the votes are for it, less than vote.min_share", outcome.share * 100.0))
        } else if score < rules.min_confidence {
            Some(format!("its score of {score:.2} is less than min_confidence"))
        } else {
            let weak = outcome.weakest().filter(|c| c.score < rules.min_char_confidence);
            weak.map(|c| format!("the score of {:?} is {:.2}, less than min_char_confidence", c.ch, c.score))
        };
        let judged = match unsure {
            Some(reason) => Err((Status::LowConfidence, reason)),
            // As evidence a text is as good as its worst character: that one may be what makes it differ.
            None => {
                let least = rules.confident();
                Ok((outcome.text(), confidence >= least && outcome.weakest().is_none_or(|c| c.score >= least)))
            }
        };
        (Round { raw: raw(found[outcome.frame_vote].0), confidence, candidates: outcome.candidates }, judged)
    }

    /// The value in one frame's text, if it has the form.
    fn form(&self, observation: &Observation) -> Result<Option<Found>, Refusal> {
        let Some(mut found) = self.extractor.extract(observation).map_err(|reason| (Status::Pattern, reason))? else {
            return Ok(None);
        };
        match self.value_form(&found.chars) {
            Err((Status::CheckDigit, reason)) if self.rules.correct_by_check => {
                let passes = |chars: &[CharGuess]| {
                    vote::score(chars) >= self.rules.min_confidence
                        && self.value_form(chars).is_ok()
                        && self.extractor.accepts(&found, &vote::text(chars))
                };
                let Some(chars) = correct(&found.chars, passes) else { return Err((Status::CheckDigit, reason)) };
                found.chars = chars;
            }
            form => form?,
        }
        Ok(Some(found))
    }

    /// Whether a value is a number and its check digit right, as far as asked for.
    fn value_form(&self, chars: &[CharGuess]) -> Result<(), Refusal> {
        let text = vote::text(chars);
        self.number(&text)?;
        match self.rules.check {
            Some(check) if !check.passes(&text) => Err((Status::CheckDigit, "its check digit is wrong".into())),
            _ => Ok(()),
        }
    }

    fn number(&self, text: &str) -> Result<Option<Number>, Refusal> {
        let last = self.meter.base().map(|base| (base.value, base.decimals));
        let known = Known { range: self.rules.range, last };
        let number = self.rules.number.as_ref().map(|config| number::parse(text, config, &known)).transpose();
        number.map_err(|reason| (Status::Pattern, format!("the value is no number because {reason}")))
    }

    /// The value, whether it is a new base, its rate, and what there is to say.
    fn accept(&mut self, text: &str, sure: bool, at: Moment) -> Result<(Value, bool, Option<f64>, String), Refusal> {
        let Some(number) = self.number(text)? else {
            debug_assert!(text.len() <= MAX_VALUE_BYTES);
            return Ok((Value::Text(text.replace('\n', " ")), false, None, String::new()));
        };
        if !self.in_range(number.value()) {
            return Err((Status::Range, format!("{} is outside range", Compact(number.value()))));
        }
        match self.meter.weigh(&number, sure, at) {
            Verdict::Refused { status, reason } => Err((status, reason)),
            Verdict::Accepted { rebased, rate_per_s, reason } => {
                let value =
                    self.last_good().unwrap_or(Value::Number { value: number.value(), decimals: number.decimals() });
                // After a value was set by hand, or a restart.
                let back = match (&self.emitted, &value, self.rules.monotonic) {
                    (Some(Value::Number { value: before, .. }), Value::Number { value: now, .. }, Some(direction)) => {
                        match direction {
                            Monotonic::Increasing => now < before,
                            Monotonic::Decreasing => now > before,
                        }
                    }
                    _ => false,
                };
                Ok((value, rebased || back, rate_per_s.filter(|_| !back), reason))
            }
        }
    }

    fn good(
        &mut self,
        round: Round,
        value: Value,
        rebased: bool,
        rate_per_s: Option<f64>,
        reason: String,
        at: Moment,
    ) -> Reading {
        let changed = rebased || self.differs(&value);
        if self.rules.unchanged_is_ok || changed {
            self.fresh = Some(Stamp::now(at));
        } else if self.is_stale(at) {
            return self.refuse(
                round,
                Status::Stale,
                "the value has not changed for longer than stale_after_s".into(),
                at,
            );
        }
        if changed {
            self.published = Some(value.clone());
        }
        self.emitted = Some(value.clone());
        let Round { raw, confidence, candidates } = round;
        let (field, status, value) = (self.name.clone(), Status::Ok, Some(value));
        Reading { field, status, value, raw, confidence, candidates, rebased, changed, rate_per_s, reason }
    }

    fn differs(&self, value: &Value) -> bool {
        match (&self.published, value) {
            (Some(Value::Number { value: before, .. }), Value::Number { value: now, .. }) => {
                // A little more than the dead-band: differences of decimal fractions are not exact.
                (now - before).abs() > self.rules.dead_band + before.abs().max(now.abs()) * 4.0 * f64::EPSILON
            }
            (before, now) => before.as_ref() != Some(now),
        }
    }

    fn refuse(&self, round: Round, status: Status, reason: String, at: Moment) -> Reading {
        let (status, reason) = match status {
            Status::Stale => (status, reason),
            _ if self.is_stale(at) => {
                (Status::Stale, format!("no good reading for longer than stale_after_s; now {status}: {reason}"))
            }
            _ => (status, reason),
        };
        let Round { raw, confidence, candidates } = round;
        let (field, value) = (self.name.clone(), self.last_good());
        Reading {
            field,
            status,
            value,
            raw,
            confidence,
            candidates,
            rebased: false,
            changed: false,
            rate_per_s: None,
            reason,
        }
    }
}
