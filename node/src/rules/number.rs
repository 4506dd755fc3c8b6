//! Text → number, strictly: what is not surely a number is none.

use super::config::{NumberConfig, Separator};
use super::sign::is_minus;

/// Digits that count, after leading zeros: as many as every f64 keeps.
const MAX_DIGITS: usize = 15;

/// A decimal number as it was read: ±`mantissa` · 10^`exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub negative: bool,
    /// At most 15 digits.
    pub mantissa: u64,
    /// −24 to 9: minus the decimals read, plus the shift.
    pub exponent: i32,
}

impl Number {
    /// The f64 nearest to it; never −0.
    pub(super) fn value(&self) -> f64 {
        // Parsing rounds once; multiplying by a power of ten that no f64 holds would round twice.
        let value: f64 = format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(0.0);
        if self.negative && self.mantissa != 0 { -value } else { value }
    }

    /// Digits after the decimal point.
    pub(super) fn decimals(&self) -> u8 {
        u8::try_from(-self.exponent.min(0)).unwrap_or(u8::MAX)
    }

    /// What its last digit counts.
    pub(super) fn step(&self) -> f64 {
        step(self.exponent)
    }
}

/// 10^`exponent`.
pub(super) fn step(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(1.0)
}

/// What is known of a number before it is read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Smallest and largest value.
    pub range: Option<[f64; 2]>,
    /// The last good value and its decimals.
    pub last: Option<(f64, u8)>,
}

/// Reads a number: an optional sign, digits, an optional separator with digits on both sides. No exponent, no
/// infinity, no digits but 0 to 9. Spaces inside a line do not count: meters leave gaps between their wheels.
///
/// # Errors
/// Why it is none, to go on after "… because".
pub(super) fn parse(text: &str, config: &NumberConfig, known: &Known) -> Result<Number, String> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix(is_minus) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}')).collect();
    if let Some(other) = text.chars().find(|c| !c.is_ascii_digit() && !matches!(c, '.' | ',')) {
        return Err(format!("{other:?} does not belong in a number"));
    }
    let (whole, decimals) = split(&text, config.decimal_separator)?;
    let count = whole.len() + decimals.len();
    if let Some(expected) = config.digits
        && count != usize::from(expected)
    {
        return Err(format!("it has {count} digits instead of {expected}"));
    }
    let digits = whole + &decimals;
    let significant = digits.trim_start_matches('0');
    // `decimals` is bounded too: leading zeros are free, but not without end.
    if significant.len() > MAX_DIGITS || decimals.len() > MAX_DIGITS {
        return Err(format!("it has more than {MAX_DIGITS} digits"));
    }
    let mantissa =
        if significant.is_empty() { 0 } else { significant.parse().map_err(|_| "it is no number".to_owned())? };
    let exponent = i32::from(config.decimals_shift) - decimals.len() as i32;
    let number = Number { negative, mantissa, exponent };
    if config.decimal_separator == Separator::Auto && may_be_thousands(&text) {
        let thousands = Number { exponent: config.decimals_shift.into(), ..number };
        return known.choose(number, thousands).ok_or_else(|| {
            format!("{text:?} may be {} or {} (number.decimal_separator says which)", number.value(), thousands.value())
        });
    }
    Ok(number)
}

/// Whether the mark in `12,345` may part thousands: there is one, three digits follow it, and at most three stand
/// before it that are not a single 0.
fn may_be_thousands(text: &str) -> bool {
    let Some((whole, decimals)) = text.split_once(['.', ',']) else { return false };
    decimals.len() == 3 && !decimals.contains(['.', ',']) && (1..=3).contains(&whole.len()) && whole != "0"
}

impl Known {
    /// Which of the two a number is whose mark stands before decimals or before thousands, if it is known.
    fn choose(&self, decimal: Number, thousands: Number) -> Option<Number> {
        let fits = |number: &Number| self.range.is_none_or(|[low, high]| (low..=high).contains(&number.value()));
        match (fits(&decimal), fits(&thousands)) {
            (true, true) => {}
            (false, true) => return Some(thousands),
            // If neither is in the range the caller says so.
            (_, false) => return Some(decimal),
        }
        let (last, decimals) = self.last?;
        // They are a factor of 1000 apart: at most one is near.
        let near = |number: Number| (0.1..=10.0).contains(&(number.value() / last));
        let as_before = decimals == decimal.decimals() && decimals != thousands.decimals();
        match (near(decimal), near(thousands)) {
            (true, _) => Some(decimal),
            (false, true) => Some(thousands).filter(|_| !as_before),
            (false, false) => Some(decimal).filter(|_| as_before),
        }
    }
}

/// Digits before and after the decimal separator.
fn split(text: &str, separator: Separator) -> Result<(String, String), String> {
    let (points, commas) = (text.matches('.').count(), text.matches(',').count());
    let refused = |mark: char| {
        Err(format!("of {mark:?}, which is not the decimal separator (number.decimal_separator says which is)"))
    };
    let mark = match separator {
        Separator::Point if commas > 0 => return refused(','),
        Separator::Comma if points > 0 => return refused('.'),
        Separator::Point => Some('.').filter(|_| points > 0),
        Separator::Comma => Some(',').filter(|_| commas > 0),
        Separator::Auto => match (points, commas) {
            (0, 0) => None,
            (1, 0) => Some('.'),
            (0, 1) => Some(','),
            (_, 0) | (0, _) => None,
            _ if text.rfind('.') > text.rfind(',') => Some('.'),
            _ => Some(','),
        },
    };
    let (whole, decimals) = match mark {
        Some(mark) => {
            let (whole, decimals) = text.rsplit_once(mark).unwrap_or((text, ""));
            if decimals.is_empty() || whole.is_empty() {
                return Err("a digit is missing beside the decimal separator".into());
            }
            (whole, decimals)
        }
        None => (text, ""),
    };
    if whole.is_empty() {
        return Err("there is no digit".into());
    }
    let groups: Vec<&str> = whole.split(['.', ',']).collect();
    // What remains beside a decimal mark must be the other kind, and groups of three.
    let even = groups[1..].iter().all(|group| group.len() == 3) && (1..=3).contains(&groups[0].len());
    if groups.len() > 1 && (!even || mark.is_some_and(|mark| whole.contains(mark))) {
        return Err("its points and commas are in the wrong places".into());
    }
    Ok((groups.concat(), decimals.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, toml: &str) -> Result<(f64, u8), String> {
        known(text, toml, Known::default())
    }

    fn known(text: &str, toml: &str, known: Known) -> Result<(f64, u8), String> {
        parse(text, &toml::from_str(toml).unwrap(), &known).map(|n| (n.value(), n.decimals()))
    }

    #[test]
    fn numbers_as_meters_show_them() {
        assert_eq!(read("00123", ""), Ok((123.0, 0)));
        assert_eq!(read("0012,5", "decimal_separator = ','"), Ok((12.5, 1)));
        assert_eq!(read("521.170", ""), Ok((521.17, 3)), "decimals are kept");
        assert_eq!(read(" 12 345\u{202f}678 ", ""), Ok((12_345_678.0, 0)));
        assert_eq!(read("12345678", "decimals_shift = -3"), Ok((12345.678, 3)));
        assert_eq!(read("12.5", "decimals_shift = 3"), Ok((12500.0, 0)));
        assert_eq!(read("-12.5", ""), Ok((-12.5, 1)));
        for dash in ["\u{2212}", "\u{2013}", "— ", "- "] {
            assert_eq!(read(&format!("{dash}1"), ""), Ok((-1.0, 0)), "{dash}");
        }
        assert_eq!(read("+1", ""), Ok((1.0, 0)));
        assert_eq!(read("-0.0", "").map(|(value, _)| value.is_sign_negative()), Ok(false));
        assert_eq!(read("999999999999999", ""), Ok((999_999_999_999_999.0, 0)));
        assert_eq!(read("000000000000000000001", ""), Ok((1.0, 0)), "leading zeros are free");
    }

    #[test]
    fn the_separator_is_what_was_said() {
        assert!(read("1,234", "").is_err(), "a thousand or one and a bit: not guessed");
        assert!(read("1.234", "decimal_separator = ','").is_err());
        let auto = "decimal_separator = 'auto'";
        assert_eq!(read("1,5", auto), Ok((1.5, 1)));
        assert_eq!(read("1.234,5", auto), Ok((1234.5, 1)));
        assert_eq!(read("1,234.5", auto), Ok((1234.5, 1)));
        assert_eq!(read("1.234.567", auto), Ok((1_234_567.0, 0)));
        for wrong in ["1.2,3.4", "12.34.567", "1,23.4", "1234,567.8", "1..2", "1,.2", ",,"] {
            assert!(read(wrong, auto).is_err(), "{wrong}");
        }
        assert!(read("1.2.3", "").is_err());
        assert!(read("1.234.567", "").is_err(), "no groups where a point is the decimal separator");
    }

    #[test]
    fn thousands_or_decimals_is_refused() {
        let auto = "decimal_separator = 'auto'";
        for text in ["12,345", "12.345", "1,234", "-123,456", "012,345", "12, 345"] {
            let error = read(text, auto).unwrap_err();
            assert!(error.contains("may be") && error.contains("decimal_separator"), "{text}: {error}");
        }
        assert!(read("12,345", "decimal_separator = 'auto'\ndigits = 5").is_err(), "both have five");
        for (text, value) in [("0,345", 0.345), ("1234,567", 1234.567), ("12,34", 12.34), ("12,3456", 12.3456)] {
            assert_eq!(read(text, auto).map(|(value, _)| value), Ok(value), "{text}");
        }
        assert_eq!(read("12,345", "decimal_separator = ','"), Ok((12.345, 3)));
    }

    #[test]
    fn range_or_last_value_decides_about_thousands() {
        let auto = "decimal_separator = 'auto'";
        let within = |low, high| known("12,345", auto, Known { range: Some([low, high]), last: None });
        assert_eq!(within(0.0, 100.0), Ok((12.345, 3)));
        assert_eq!(within(1000.0, 99999.0), Ok((12345.0, 0)));
        assert!(within(0.0, 99999.0).is_err());
        let after = |value, decimals| known("12,345", auto, Known { range: None, last: Some((value, decimals)) });
        assert_eq!(after(12.3, 1), Ok((12.345, 3)));
        assert_eq!(after(12_344.0, 0), Ok((12345.0, 0)));
        assert_eq!(after(999.0, 0).ok(), None, "12.345 and 12345 are both far");
        assert_eq!(after(0.005, 3), Ok((12.345, 3)), "as many decimals as before");
        assert_eq!(after(12_344.678, 3).ok(), None, "as large, but with other decimals");
        for last in [0.0, -12.0] {
            assert!(after(last, 0).is_err(), "{last}");
        }
        let shifted =
            |last| known("12,345", "decimal_separator = 'auto'\ndecimals_shift = -3", Known { range: None, last });
        assert_eq!(shifted(Some((12.3, 3))), Ok((12.345, 3)));
        assert_eq!(shifted(Some((0.012, 6))), Ok((0.012_345, 6)));
    }

    #[test]
    fn what_is_not_surely_a_number_is_none() {
        for wrong in
            ["", " ", "-", "12N4", "1e5", "inf", "NaN", "5.", ".5", "--1", "1-", "１２", "٣", "1\n2", "1\t2", "0x10"]
        {
            assert!(read(wrong, "").is_err(), "{wrong:?}");
        }
        assert!(read("1000000000000000", "").is_err(), "16 digits");
        assert!(read(&format!("0.{}", "0".repeat(16)), "").is_err());
        assert!(read(&"9".repeat(400), "").is_err(), "no infinity");
    }

    #[test]
    fn a_digit_that_was_not_seen_is_missed() {
        assert_eq!(read("00123", "digits = 5"), Ok((123.0, 0)));
        assert_eq!(read("0012.3", "digits = 5"), Ok((12.3, 1)));
        assert!(read("0123", "digits = 5").unwrap_err().contains("4 digits instead of 5"));
        assert!(read("000123", "digits = 5").is_err());
    }

    proptest! {
        #[test]
        fn any_text(text in "\\PC*", separator in prop::sample::select(vec![".", ",", "auto"]), shift in -9i8..=9) {
            let toml = format!("decimal_separator = '{separator}'\ndecimals_shift = {shift}");
            if let Ok((value, decimals)) = read(&text, &toml) {
                prop_assert!(value.is_finite() && decimals <= 24);
            }
        }

        #[test]
        fn what_is_printed_is_read(mantissa in 0u64..1_000_000_000_000_000, decimals in 0usize..=9, negative: bool) {
            let number = Number { negative, mantissa, exponent: -(decimals as i32) };
            let printed = format!("{:.decimals$}", number.value());
            prop_assert_eq!(read(&printed, ""), Ok((number.value(), decimals as u8)));
        }
    }
}
