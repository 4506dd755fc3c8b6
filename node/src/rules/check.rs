//! Check digits.

use super::config::Check;
use super::reading::CharGuess;

impl Check {
    /// Whether the check digit of `text` is right. Spaces do not count; letters are capitals.
    pub(super) fn passes(self, text: &str) -> bool {
        // No text with a check digit is nearly as long.
        let chars: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).take(65).collect();
        if chars.len() > 64 || !chars.iter().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()) {
            return false;
        }
        match self {
            Check::Mod97 => mod97(&chars),
            Check::Ean => ean(&chars),
            Check::Iso6346 => iso6346(&chars),
            Check::Luhn => luhn(&chars),
        }
    }
}

/// ISO 7064 MOD 97-10: letters are 10 to 35, and the number of all that leaves 1. An IBAN (ISO 13616) has its first
/// four characters moved to the end for that; an LEI (ISO 17442) stays as it is.
fn mod97(chars: &[char]) -> bool {
    if chars.len() < 5 {
        return false;
    }
    let moved = chars[..2].iter().all(char::is_ascii_uppercase) && chars[2..4].iter().all(char::is_ascii_digit);
    let (head, tail) = chars.split_at(if moved { 4 } else { 0 });
    let rest = tail.iter().chain(head).fold(0u32, |rest, c| {
        let value = c.to_digit(36).unwrap_or(0);
        (rest * if value > 9 { 100 } else { 10 } + value) % 97
    });
    rest == 1
}

/// GS1 General Specifications 7.9: weights 3 and 1 in turn from the right, the check digit has 1.
fn ean(chars: &[char]) -> bool {
    let Some(digits) = digits(chars) else { return false };
    let sum: u32 = digits.iter().rev().enumerate().map(|(i, d)| if i % 2 == 1 { 3 * d } else { *d }).sum();
    matches!(digits.len(), 8 | 12 | 13 | 14 | 18) && sum.is_multiple_of(10)
}

/// ISO 6346: owner code and category (U, J or Z), six digits and the check
/// digit. Letters count from 10 on, without the multiples of 11; weights are powers of two.
fn iso6346(chars: &[char]) -> bool {
    if chars.len() != 11
        || !chars[..3].iter().all(char::is_ascii_uppercase)
        || !matches!(chars[3], 'U' | 'J' | 'Z')
        || !chars[4..].iter().all(char::is_ascii_digit)
    {
        return false;
    }
    let value = |c: char| {
        let value = c.to_digit(36).unwrap_or(0);
        // 11, 22 and 33 are left out: A is 10, B is 12, L is 23, V is 34.
        if value < 10 { value } else { value + (value - 1) / 10 }
    };
    let sum: u32 = chars[..10].iter().enumerate().map(|(i, c)| value(*c) << i).sum();
    sum % 11 % 10 == value(chars[10])
}

/// ISO/IEC 7812-1 annex B: every second digit from the right doubled, digits of the products summed.
fn luhn(chars: &[char]) -> bool {
    let Some(digits) = digits(chars) else { return false };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| match (i % 2, 2 * d) {
            (0, _) => *d,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    digits.len() >= 2 && sum.is_multiple_of(10)
}

fn digits(chars: &[char]) -> Option<Vec<u32>> {
    chars.iter().map(|c| c.to_digit(10)).collect()
}

/// A text whose check digit is wrong, with one character exchanged for its second guess: the most probable exchange
/// that `passes`. `None` if there is none, or two are equally probable.
pub(super) fn correct(chars: &[CharGuess], passes: impl Fn(&[CharGuess]) -> bool) -> Option<Vec<CharGuess>> {
    let mut best: Option<(f32, Vec<CharGuess>)> = None;
    let mut tied = false;
    for (i, guess) in chars.iter().enumerate() {
        let Some((ch, score)) = guess.second else { continue };
        if best.as_ref().is_some_and(|(most, _)| score < *most) {
            continue;
        }
        let mut other = chars.to_vec();
        other[i] = CharGuess { ch, score, second: Some((guess.ch, guess.score)) };
        if passes(&other) {
            tied = best.as_ref().is_some_and(|(most, _)| score == *most);
            best = Some((score, other));
        }
    }
    best.filter(|_| !tied).map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_numbers() {
        for (check, text) in [
            (Check::Mod97, "GB82 WEST 1234 5698 7654 32"),
            (Check::Mod97, "DE89370400440532013000"),
            (Check::Mod97, "NO9386011117947"),
            (Check::Mod97, "5493001KJTIIGC8Y1R12"),
            (Check::Mod97, "RF18539007547034"),
            (Check::Ean, "73513537"),
            (Check::Ean, "4006381333931"),
            (Check::Ean, "036000291452"),
            (Check::Ean, "10012345678902"),
            (Check::Ean, "340123450000000000"),
            (Check::Iso6346, "CSQU3054383"),
            (Check::Iso6346, "TOLU 473478 7"),
            (Check::Iso6346, "MSKU6011672"),
            (Check::Luhn, "79927398713"),
            (Check::Luhn, "4539 5787 6362 1486"),
            (Check::Luhn, "490154203237518"),
        ] {
            assert!(check.passes(text), "{check:?} {text}");
        }
    }

    #[test]
    fn what_they_refuse() {
        for (check, text) in [
            (Check::Mod97, "GB82WEST12345698765433"),
            (Check::Mod97, "GB82"),
            (Check::Ean, "4006381333932"),
            (Check::Ean, "0000000"),
            (Check::Iso6346, "CSQU3054384"),
            (Check::Iso6346, "CSQX3054383"),
            (Check::Iso6346, "CSQU305438"),
            (Check::Luhn, "79927398710"),
            (Check::Luhn, "0"),
            (Check::Luhn, ""),
            (Check::Luhn, "7992739871٣"),
            (Check::Mod97, "gb82west12345698765432"),
        ] {
            assert!(!check.passes(text), "{check:?} {text}");
        }
    }

    fn guesses(text: &str, seconds: &[(usize, char, f32)]) -> Vec<CharGuess> {
        let mut chars: Vec<_> = text.chars().map(|ch| CharGuess { ch, score: 0.9, second: None }).collect();
        seconds.iter().for_each(|(i, ch, score)| chars[*i].second = Some((*ch, *score)));
        chars
    }

    fn corrected(text: &str, seconds: &[(usize, char, f32)]) -> Option<String> {
        let passes = |chars: &[CharGuess]| Check::Iso6346.passes(&chars.iter().map(|c| c.ch).collect::<String>());
        correct(&guesses(text, seconds), passes).map(|chars| chars.iter().map(|c| c.ch).collect())
    }

    #[test]
    fn only_a_second_guess_corrects_a_check_digit() {
        assert_eq!(corrected("CSQU3054883", &[(8, '5', 0.3)]), None, "also wrong");
        assert_eq!(corrected("CSQU3054883", &[(8, '3', 0.1), (0, 'G', 0.4)]).as_deref(), Some("CSQU3054383"));
        assert_eq!(corrected("CSQU3054883", &[(0, 'G', 0.4)]), None, "3 was not read");
    }

    #[test]
    fn the_most_probable_exchange_and_no_coin_tossing() {
        let any = |_: &[CharGuess]| true;
        let best = |a: f32, b: f32| {
            correct(&guesses("12", &[(0, '7', a), (1, '3', b)]), any)
                .map(|c| c.iter().map(|c| c.ch).collect::<String>())
        };
        assert_eq!(best(0.3, 0.2).as_deref(), Some("72"));
        assert_eq!(best(0.2, 0.3).as_deref(), Some("13"));
        assert_eq!(best(0.2, 0.2), None);
    }

    proptest! {
        #[test]
        fn any_text(text in "\\PC*") {
            for check in [Check::Mod97, Check::Ean, Check::Iso6346, Check::Luhn] {
                check.passes(&text);
            }
        }

        /// What check digits are for. Not ISO 6346: its remainder 10 is written as 0, so some are missed.
        #[test]
        fn one_misread_digit_is_found(at in 0usize..13, by in 1u32..10, luhn_at in 0usize..11, iban_at in 4usize..22) {
            let misread = |text: &str, at: usize| -> String {
                let other = |c: char| c.to_digit(10).and_then(|d| char::from_digit((d + by) % 10, 10)).unwrap_or(c);
                text.chars().enumerate().map(|(i, c)| if i == at { other(c) } else { c }).collect()
            };
            prop_assert!(!Check::Ean.passes(&misread("4006381333931", at)));
            prop_assert!(!Check::Luhn.passes(&misread("79927398713", luhn_at)));
            prop_assert!(!Check::Mod97.passes(&misread("DE89370400440532013000", iban_at)));
        }
    }
}
