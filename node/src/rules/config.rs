//! What a user writes about a field, as far as rules are concerned.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rules of one field. `Default` takes any text whose score is at least 0.5.
///
/// ```toml
/// digits_look_alikes = true
/// number = { digits = 8, decimals_shift = -3, unit = "m³" }
/// range = [0, 99999]
/// monotonic = "increasing"
/// max_rate_per_h = 3
/// vote = { frames = 3 }
/// stale_after_s = 86400
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesConfig {
    /// Which part of the text is looked at.
    pub select: Select,
    /// Characters that are removed before anything else, for example `" /"`. A dash in it is no minus any more.
    pub strip: String,
    /// Characters that are replaced, for example `{ "€" = "C" }`; after `strip`.
    pub replace: BTreeMap<char, char>,
    /// Letters that look like digits become digits (O→0, I→1, Z→2, S→5, G→6, B→8 and the like); after `replace`.
    pub digits_look_alikes: bool,
    /// The text's form, as a regular expression for the whole of what `select` chose (only with `first-match` it is
    /// searched for). The value is what the group named `value` holds, or else the first named group, the first
    /// group, the whole.
    pub regex: Option<String>,
    /// The value is a number; text if not given.
    pub number: Option<NumberConfig>,
    /// Smallest and largest number, both allowed.
    pub range: Option<[f64; 2]>,
    /// The text ends in (or holds) a check digit. Spaces in it do not count.
    pub check: Option<Check>,
    /// A text whose check digit is wrong becomes right if one of its characters is exchanged for the recogniser's
    /// second guess and the score stays at least `min_confidence`. Nothing is tried that was not read.
    pub correct_by_check: bool,
    /// Least mean score of the value's characters, 0 to 1.
    pub min_confidence: f32,
    /// Least score of each character, 0 to 1.
    pub min_char_confidence: f32,
    /// Several frames for one reading.
    pub vote: VoteConfig,
    /// The number only rises or only falls, as a meter's. Switches on limits (`max_jump`) and the first reading has
    /// to be sure.
    pub monotonic: Option<Monotonic>,
    /// Fastest change, in the field's unit for each second. At most one of the four `max_rate_` keys.
    pub max_rate_per_s: Option<f64>,
    /// Fastest change for each minute.
    pub max_rate_per_min: Option<f64>,
    /// Fastest change for each hour.
    pub max_rate_per_h: Option<f64>,
    /// Fastest change for each day.
    pub max_rate_per_day: Option<f64>,
    /// Largest change from one good reading to the next, whatever the time between. Without it and without a rate, a
    /// monotonic field may change by a tenth of its value or 100 of its last digit, whichever is more; `inf` allows
    /// any.
    pub max_jump: Option<f64>,
    /// How many consistent readings that the rules refuse as too fast become the new base; 0 for none ever. If the
    /// value would go the wrong way, or if one misread digit would explain it, twice as many confident ones or four
    /// times as many others.
    pub rebase_after: u32,
    /// Changes up to this, in the field's unit, are not worth publishing; a monotonic field does not go back by them.
    pub dead_band: f64,
    /// Without a good reading for longer than this the status is `stale`; never if not given.
    pub stale_after_s: Option<u64>,
    /// Whether a good reading that shows the same as before counts as fresh. If false, a value that does not change for
    /// `stale_after_s` is `stale`: a frozen display.
    pub unchanged_is_ok: bool,
}

impl Default for RulesConfig {
    fn default() -> Self {
        RulesConfig {
            select: Select::Whole,
            strip: String::new(),
            replace: BTreeMap::new(),
            digits_look_alikes: false,
            regex: None,
            number: None,
            range: None,
            check: None,
            correct_by_check: false,
            min_confidence: 0.5,
            min_char_confidence: 0.3,
            vote: VoteConfig::default(),
            monotonic: None,
            max_rate_per_s: None,
            max_rate_per_min: None,
            max_rate_per_h: None,
            max_rate_per_day: None,
            max_jump: None,
            rebase_after: 3,
            dead_band: 0.0,
            stale_after_s: None,
            unchanged_is_ok: true,
        }
    }
}

impl RulesConfig {
    /// The keys, for whoever has them in one table with others: serde's `flatten` does not go with refusing unknown
    /// keys.
    pub const KEYS: [&'static str; 22] = [
        "select",
        "strip",
        "replace",
        "digits_look_alikes",
        "regex",
        "number",
        "range",
        "check",
        "correct_by_check",
        "min_confidence",
        "min_char_confidence",
        "vote",
        "monotonic",
        "max_rate_per_s",
        "max_rate_per_min",
        "max_rate_per_h",
        "max_rate_per_day",
        "max_jump",
        "rebase_after",
        "dead_band",
        "stale_after_s",
        "unchanged_is_ok",
    ];

    /// Takes the rules' keys out of a field's table and leaves the others.
    ///
    /// # Errors
    /// What TOML says of a value that does not fit; the keys are gone from the table all the same.
    pub fn take_from(table: &mut toml::Table) -> Result<RulesConfig, toml::de::Error> {
        let own = Self::KEYS.iter().filter_map(|key| table.remove_entry(*key)).collect::<toml::Table>();
        own.try_into()
    }

    /// Fastest change for each second, from whichever key was given.
    pub fn max_rate(&self) -> Option<f64> {
        self.rates().into_iter().find_map(|(_, rate, seconds)| Some(rate? / seconds))
    }

    /// The rate keys, their values and their seconds.
    pub(super) fn rates(&self) -> [(&'static str, Option<f64>, f64); 4] {
        [
            ("max_rate_per_s", self.max_rate_per_s, 1.0),
            ("max_rate_per_min", self.max_rate_per_min, 60.0),
            ("max_rate_per_h", self.max_rate_per_h, 3600.0),
            ("max_rate_per_day", self.max_rate_per_day, 86400.0),
        ]
    }

    /// Confidence, of the reading and of its worst character, from which it counts double as evidence: halfway between
    /// `min_confidence` and 1.
    pub(super) fn confident(&self) -> f32 {
        (1.0 + self.min_confidence) / 2.0
    }
}

/// Which part of the text is looked at. Lines are trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Select {
    /// All of it.
    #[default]
    Whole,
    /// The line with the most characters, among those that fit `regex` if there is one; the first of several.
    LongestLine,
    /// The word with the most characters, among those that fit `regex` if there is one; spaces divide words.
    LongestWord,
    /// The number with the most digits, among those that fit `regex` if there is one: a run of digits with single
    /// points or commas between them. A minus stays with its number.
    LargestNumber,
    /// Where `regex` first fits.
    FirstMatch,
}

/// How a text is a number. A minus counts also apart from the digits (`- 12.5`) and as any kind of dash. Where a dash
/// may as well be a hyphen or stands behind (`A-12`, `5 - 12`, `12.5-`), and where a number stands in parentheses,
/// the sign is unclear and the reading is refused; a dash for which `regex` asks outside of its group is a hyphen.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NumberConfig {
    /// What stands before the decimals.
    pub decimal_separator: Separator,
    /// How far the decimal point moves to the right, −9 to 9: with −3 the text 12345678 is 12345.678.
    pub decimals_shift: i8,
    /// Exactly so many digits must be there, 1 to 15: one that was not seen, or one too many, is refused.
    pub digits: Option<u8>,
    /// Unit, for those who publish it.
    pub unit: Option<String>,
}

/// What stands before the decimals. Spaces inside a number never count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Separator {
    /// A point; a comma is refused.
    #[default]
    #[serde(rename = ".")]
    Point,
    /// A comma; a point is refused.
    #[serde(rename = ",")]
    Comma,
    /// Either. If both are there, the last one; the others must part groups of three, as must one kind that is there
    /// several times. `12,345` may be both: it is refused unless only one of the two numbers is in `range` or near
    /// the last good value.
    #[serde(rename = "auto")]
    Auto,
}

/// Check digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// ISO 7064 MOD 97-10: as in an IBAN if the text begins with two letters and two digits, otherwise at the end as
    /// in an LEI.
    Mod97,
    /// GS1 modulo 10: EAN-8, UPC-A (12), EAN-13, GTIN-14, SSCC (18).
    Ean,
    /// ISO 6346: freight containers.
    Iso6346,
    /// Luhn, ISO/IEC 7812: cards, IMEI.
    Luhn,
}

/// The only direction in which a number moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Monotonic {
    /// Up.
    Increasing,
    /// Down.
    Decreasing,
}

/// Several frames for one reading.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VoteConfig {
    /// Frames for one reading, 1 to 15.
    pub frames: u8,
    /// Least share of the votes, above 0 and at most 1; frames vote with their score.
    pub min_share: f32,
}

impl Default for VoteConfig {
    fn default() -> Self {
        VoteConfig { frames: 1, min_share: 0.6 }
    }
}
