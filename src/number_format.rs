//! Formats numbers for sentences.

use std::fmt::{Display, Formatter, LowerExp, Result};

/// From here on whole numbers have digits that an `f64` does not know.
const LARGE: f64 = 1e16;
/// Below this a number is mostly zeros.
const SMALL: f64 = 1e-6;

/// Displays a number compactly: 1e308 instead of its 309 digits.
pub struct Compact<T>(pub T);

impl<T: Copy + Into<f64> + Display + LowerExp> Display for Compact<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let size = self.0.into().abs();
        match size >= LARGE || (size > 0.0 && size < SMALL) {
            true => LowerExp::fmt(&self.0, f),
            false => Display::fmt(&self.0, f),
        }
    }
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
            assert_eq!(Compact(value).to_string(), text);
        }
        assert_eq!(Compact(0.1_f32).to_string(), "0.1");
        assert_eq!(Compact(f32::MAX).to_string(), "3.4028235e38");
    }
}
