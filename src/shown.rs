//! Numbers in sentences.

use std::fmt::{Display, Formatter, LowerExp, Result};

/// From here on whole numbers have digits that an `f64` does not know.
const LARGE: f64 = 1e16;
/// Below this a number is mostly zeros.
const SMALL: f64 = 1e-6;
/// Digits in a row that are left in a foreign message: as many as any integer has.
#[cfg(feature = "node")]
const MOST_DIGITS: usize = 39;

/// A number as a person would write it: 1e308 instead of its 309 digits.
pub(crate) struct Shown<T>(pub T);

impl<T: Copy + Into<f64> + Display + LowerExp> Display for Shown<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let size = self.0.into().abs();
        match size >= LARGE || (size > 0.0 && size < SMALL) {
            true => LowerExp::fmt(&self.0, f),
            false => Display::fmt(&self.0, f),
        }
    }
}

/// Another's message with its long numbers cut: serde repeats what it found digit by digit.
#[cfg(feature = "node")]
pub(crate) fn shortened(message: &str) -> String {
    let (mut text, mut digits) = (String::with_capacity(message.len()), 0);
    for c in message.chars() {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        match digits {
            0..=MOST_DIGITS => text.push(c),
            n if n == MOST_DIGITS + 1 => text.push('…'),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-12.5, "-12.5"),
            (0.000_01, "0.00001"),
            (1e15, "1000000000000000"),
            (1e16, "1e16"),
            (-1e308, "-1e308"),
            (1.5e-300, "1.5e-300"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(Shown(value).to_string(), text);
        }
        assert_eq!(Shown(0.1_f32).to_string(), "0.1");
        assert_eq!(Shown(f32::MAX).to_string(), "3.4028235e38");
    }

    #[cfg(feature = "node")]
    #[test]
    fn foreign_messages_are_short() {
        let of = |value: f64| format!("invalid type: floating point `{value:.1}`, expected u32");
        assert_eq!(shortened(&of(12.5)), of(12.5));
        assert_eq!(shortened(&u128::MAX.to_string()), u128::MAX.to_string());
        let said = shortened(&of(1e308));
        assert!(said.len() < 120 && said.contains("….0`, expected u32"), "{said}");
    }
}
