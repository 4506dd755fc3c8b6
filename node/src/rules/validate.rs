//! What is wrong with a field's rules, in one sentence.

use super::config::{RulesConfig, Select};
use super::extract::compile;
use super::vote::MAX_FRAMES;
use edge_ocr::number_format::Compact;

/// Longest regular expression, in bytes.
const MAX_REGEX_BYTES: usize = 1024;
/// Most characters of `strip` and `replace`.
const MAX_CHARS: usize = 256;
/// Longest unit, in characters.
const MAX_UNIT_CHARS: usize = 32;
/// Most readings that may be asked for before there is a new base.
const MAX_REBASE: u32 = 1000;

impl RulesConfig {
    /// Whether the rules make sense.
    ///
    /// # Errors
    /// One sentence naming the key as it is written in TOML: a value outside its bounds, a regular expression that
    /// cannot be used, or keys that contradict each other.
    pub fn validate(&self) -> Result<(), String> {
        self.text_keys()?;
        self.number_keys()?;
        self.motion_keys()?;
        for (key, value) in [("min_confidence", self.min_confidence), ("min_char_confidence", self.min_char_confidence)]
        {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("{key} is {}; give a number from 0 to 1", Compact(value)));
            }
        }
        if !(1..=MAX_FRAMES).contains(&usize::from(self.vote.frames)) {
            return Err(format!("vote.frames is {}; give a number from 1 to {MAX_FRAMES}", self.vote.frames));
        }
        if !(self.vote.min_share > 0.0 && self.vote.min_share <= 1.0) {
            return Err(format!(
                "vote.min_share is {}; give a number above 0 and at most 1",
                Compact(self.vote.min_share)
            ));
        }
        match self.stale_after_s {
            Some(0) => Err("stale_after_s is 0, so every rejected reading would be stale; leave it out or give seconds".into()),
            None if !self.unchanged_is_ok => {
                Err("unchanged_is_ok = false has no effect without stale_after_s; say after how many seconds without a change \
                     the value is stale"
                    .into())
            }
            _ => Ok(()),
        }
    }

    fn text_keys(&self) -> Result<(), String> {
        if self.strip.chars().count() > MAX_CHARS {
            return Err(format!("strip has more than {MAX_CHARS} characters; list only those that get in the way"));
        }
        if self.replace.len() > MAX_CHARS {
            return Err(format!("replace has more than {MAX_CHARS} characters; list only those that are confused"));
        }
        if self.replace.iter().any(|(from, to)| [from, to].iter().any(|c| matches!(c, '\n' | '\r'))) {
            return Err(
                "replace names a line break, which parts the lines of a region; use select or regex for that".into()
            );
        }
        match &self.regex {
            Some(regex) if regex.len() > MAX_REGEX_BYTES => {
                return Err(format!("regex has {} bytes, more than {MAX_REGEX_BYTES}; make it shorter", regex.len()));
            }
            Some(regex) => {
                compile(regex, self.select == Select::FirstMatch)?;
            }
            None if self.select == Select::FirstMatch => {
                return Err("select = \"first-match\" needs a regex to look for; give regex or another select".into());
            }
            None => {}
        }
        if self.correct_by_check && self.check.is_none() {
            return Err("correct_by_check needs a check digit; give check or leave it out".into());
        }
        Ok(())
    }

    fn number_keys(&self) -> Result<(), String> {
        if let Some(number) = &self.number {
            if self.check.is_some() {
                return Err("check does not go with number, because leading zeros count in a check digit; leave one of them out".into());
            }
            if !(-9..=9).contains(&number.decimals_shift) {
                return Err(format!("number.decimals_shift is {}; give a number from -9 to 9", number.decimals_shift));
            }
            if number.digits.is_some_and(|digits| !(1..=15).contains(&digits)) {
                return Err(format!("number.digits is {}; give a number from 1 to 15", number.digits.unwrap_or(0)));
            }
            if number
                .unit
                .as_ref()
                .is_some_and(|unit| unit.chars().count() > MAX_UNIT_CHARS || unit.chars().any(char::is_control))
            {
                return Err(format!(
                    "number.unit is longer than {MAX_UNIT_CHARS} characters or has control characters; shorten it"
                ));
            }
        }
        if let Some([low, high]) = self.range
            && !(low.is_finite() && high.is_finite() && low <= high)
        {
            return Err(format!(
                "range is [{}, {}]; give the smallest and the largest number, in this order",
                Compact(low),
                Compact(high)
            ));
        }
        Ok(())
    }

    fn motion_keys(&self) -> Result<(), String> {
        let rates: Vec<_> = self.rates().into_iter().filter_map(|(key, rate, _)| Some((key, rate?))).collect();
        if let [(first, _), (second, _), ..] = rates[..] {
            return Err(format!("{first} and {second} both limit the rate; keep one of them"));
        }
        if let Some((key, rate)) = rates.first()
            && !(rate.is_finite() && *rate > 0.0)
        {
            return Err(format!("{key} is {}; give a number above 0, or leave it out for no limit", Compact(*rate)));
        }
        if let Some(jump) = self.max_jump
            && (jump.is_nan() || jump <= 0.0)
        {
            return Err(format!("max_jump is {}; give a number above 0, or inf for no limit", Compact(jump)));
        }
        if !(self.dead_band.is_finite() && self.dead_band >= 0.0) {
            return Err(format!("dead_band is {}; give 0 or a number above 0", Compact(self.dead_band)));
        }
        if self.rebase_after > MAX_REBASE {
            return Err(format!("rebase_after is {}; give a number from 0 (never) to {MAX_REBASE}", self.rebase_after));
        }
        let need_number = [
            ("range", self.range.is_some()),
            ("monotonic", self.monotonic.is_some()),
            (rates.first().map_or("", |(key, _)| key), !rates.is_empty()),
            ("max_jump", self.max_jump.is_some()),
            ("dead_band", self.dead_band > 0.0),
        ];
        match need_number.iter().find(|(_, given)| *given) {
            Some((key, _)) if self.number.is_none() => {
                Err(format!("{key} is for numbers and this field is text; add number = {{}} or leave {key} out"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(toml: &str) -> Result<(), String> {
        toml::from_str::<RulesConfig>(toml).map_err(|e| e.to_string())?.validate()
    }

    #[test]
    fn the_defaults_and_the_documented_example_are_right() {
        assert_eq!(RulesConfig::default().validate(), Ok(()));
        assert_eq!(
            of(r#"
                digits_look_alikes = true
                replace = { "€" = "C" }
                number = { digits = 8, decimals_shift = -3, unit = "m³" }
                range = [0, 99999]
                monotonic = "increasing"
                max_rate_per_h = 3
                vote = { frames = 3 }
                stale_after_s = 86400
            "#),
            Ok(())
        );
        assert_eq!(of("number = {}\nmax_jump = inf"), Ok(()));
    }

    #[test]
    fn each_mistake_has_a_sentence_that_names_its_key() {
        for (toml, key) in [
            ("min_confidence = 1.5", "min_confidence"),
            ("min_confidence = nan", "min_confidence"),
            ("min_char_confidence = -0.1", "min_char_confidence"),
            ("vote = { frames = 0 }", "vote.frames"),
            ("vote = { frames = 16 }", "vote.frames"),
            ("vote = { min_share = 0.0 }", "vote.min_share"),
            ("stale_after_s = 0", "stale_after_s"),
            ("unchanged_is_ok = false", "unchanged_is_ok"),
            ("regex = '('", "regex"),
            ("regex = 'a)(b'", "regex"),
            ("select = 'first-match'", "select"),
            ("correct_by_check = true", "correct_by_check"),
            ("check = 'luhn'\nnumber = {}", "check"),
            ("number = { decimals_shift = 10 }", "number.decimals_shift"),
            ("number = { digits = 16 }", "number.digits"),
            ("number = { unit = \"a\\u0007\" }", "number.unit"),
            ("number = {}\nrange = [2, 1]", "range"),
            ("number = {}\nrange = [0, inf]", "range"),
            ("range = [0, 1]", "range"),
            ("monotonic = 'increasing'", "monotonic"),
            ("max_rate_per_h = 1", "max_rate_per_h"),
            ("max_jump = 1", "max_jump"),
            ("dead_band = 0.5", "dead_band"),
            ("number = {}\nmax_rate_per_h = 1\nmax_rate_per_s = 1", "max_rate_per_h"),
            ("number = {}\nmax_rate_per_day = 0", "max_rate_per_day"),
            ("number = {}\nmax_jump = -1", "max_jump"),
            ("number = {}\ndead_band = -1", "dead_band"),
            ("number = {}\nrebase_after = 1001", "rebase_after"),
            ("replace = { \"a\" = \"\\n\" }", "replace"),
        ] {
            let error = of(toml).expect_err(toml);
            assert!(error.contains(key), "{toml}: {error}");
            assert!(!error.contains(". ") && !error.ends_with('.') && !error.contains('\n'), "one sentence: {error}");
        }
        // However large or small the number is.
        for toml in [
            "min_confidence = 1e308",
            "min_char_confidence = -1e308",
            "vote = { min_share = 1e38 }",
            "number = {}\nrange = [1e308, -1e-300]",
            "number = {}\nmax_rate_per_h = -1e308",
            "number = {}\nmax_jump = -1e-300",
            "number = {}\ndead_band = -1e308",
        ] {
            let error = of(toml).expect_err(toml);
            assert!(error.len() < 120, "{error}");
        }
        assert!(of(&format!("regex = '{}'", "a".repeat(1025))).unwrap_err().contains("regex"));
        assert!(of(&format!("strip = '{}'", "a".repeat(257))).unwrap_err().contains("strip"));
        assert!(of(&format!("number = {{ unit = '{}' }}", "a".repeat(33))).unwrap_err().contains("number.unit"));
    }

    #[test]
    fn keys_in_one_table_with_others() {
        let mut table: toml::Table =
            "name = 'water'\nnumber = { digits = 5 }\nmonotonic = 'increasing'".parse().unwrap();
        let rules = RulesConfig::take_from(&mut table).unwrap();
        assert_eq!(rules.number.unwrap().digits, Some(5));
        assert_eq!(table.keys().collect::<Vec<_>>(), ["name"]);
        let mut wrong: toml::Table = "number = { digit = 5 }".parse().unwrap();
        assert!(RulesConfig::take_from(&mut wrong).unwrap_err().to_string().contains("digit"));
    }

    #[test]
    fn the_list_of_keys_is_complete() {
        // serde's own list, from its message about a key that nobody has.
        let message = toml::from_str::<RulesConfig>("nobody = 1").unwrap_err().to_string();
        for key in RulesConfig::KEYS {
            assert!(message.contains(&format!("`{key}`")), "{key}");
        }
        assert_eq!(message.matches('`').count() / 2, RulesConfig::KEYS.len() + 1, "{message}");
    }

    #[test]
    fn a_rate_is_a_rate_whatever_its_unit() {
        let rate = |toml: &str| toml::from_str::<RulesConfig>(toml).unwrap().max_rate();
        assert_eq!(rate("max_rate_per_h = 3600"), Some(1.0));
        assert_eq!(rate("max_rate_per_day = 86400"), rate("max_rate_per_min = 60"));
        assert_eq!(rate(""), None);
    }
}
