//! What messages say: JSON for everyone, postcard for our own programs.
//!
//! JSON is made for consumers that know nothing of this program: numbers are numbers with the digits they were read
//! with, never `NaN`; times are there twice, for people (RFC 3339 with the node's offset) and for programs
//! (milliseconds since 1970); what is not known is `null`, and no key is ever missing but `reason` and `warnings`,
//! where there are none. `schema` names the form; its number rises when a field changes its meaning, not when one is
//! added.

mod node;
mod reading;
mod stats;
mod wire;

pub use node::{ImageInfo, Info, InfoField, camera_image, camera_status, info, offline, online, stats, will};
pub use reading::{Encoder, MAX_TEXT_BYTES, PayloadFormat, READING_SCHEMA};
pub use stats::{Latency, MqttStats, OutboxStats, Stats};
pub use wire::{MAX_WIRE_BYTES, WIRE_VERSION, WireReading};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::ser::Formatter;
use std::io;

/// `2026-11-25T07:00:42.120+01:00`. Times beyond jiff's years are printed as the nearest one it has.
fn rfc3339(unix_ms: i64, zone: &TimeZone) -> String {
    let nearest = if unix_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let at = Timestamp::from_millisecond(unix_ms).unwrap_or(nearest);
    DateTimePrinter::new().precision(Some(3)).timestamp_with_offset_to_string(&at, zone.to_offset(at))
}

/// A share or a score as it is published: three digits, and 0 for what is no number.
fn share(value: f32) -> f32 {
    if value.is_finite() { (value.clamp(0.0, 1.0) * 1000.0).round() / 1000.0 } else { 0.0 }
}

/// JSON on one line. Every `f64` is printed with `decimals` digits after the point, so only one kind of number may be
/// an `f64`; all others are `f32`.
fn json<T: Serialize>(document: &T, decimals: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Decimals(decimals));
    // Structures with text keys, written to memory: there is nothing that can fail.
    let written = document.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "a payload cannot be written: {written:?}");
    bytes
}

/// Prints `521.170` as it was read; as a float it would be 521.17, and sums of floats have sixteen digits of noise.
struct Decimals(u8);

/// More digits than an `f64` has.
const MAX_DECIMALS: u8 = 17;
/// From here on an `f64` holds no fractions, and printing its digits would print ones that nobody read.
const EXPONENT_FROM: f64 = 1e16;

impl Formatter for Decimals {
    // serde_json itself writes `null` for what is not finite.
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        if value.abs() >= EXPONENT_FROM {
            return write!(writer, "{value:e}");
        }
        write!(writer, "{value:.*}", usize::from(self.0.min(MAX_DECIMALS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::Offset;
    use proptest::prelude::*;

    #[test]
    fn times_carry_the_offset() {
        let vienna = TimeZone::fixed(Offset::constant(1));
        assert_eq!(rfc3339(1_795_590_042_120, &vienna), "2026-11-25T08:00:42.120+01:00");
        assert_eq!(rfc3339(0, &TimeZone::UTC), "1970-01-01T00:00:00.000+00:00");
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text = |value: f64, decimals| String::from_utf8(json(&value, decimals)).unwrap();
        assert_eq!(text(521.17, 3), "521.170");
        assert_eq!(text(0.1 + 0.2, 1), "0.3");
        assert_eq!(text(12345.0, 0), "12345");
        assert_eq!(text(-0.5, 2), "-0.50");
        assert_eq!(text(f64::NAN, 2), "null");
        assert_eq!(text(f64::NEG_INFINITY, 2), "null");
        assert_eq!(text(1e300, 3), "1e300");
        assert_eq!(text(0.5, 255).len(), 2 + usize::from(MAX_DECIMALS));
    }

    proptest! {
        #[test]
        fn any_time_is_printed(ms in any::<i64>()) {
            let text = rfc3339(ms, &TimeZone::UTC);
            prop_assert!(text.parse::<Timestamp>().is_ok(), "{}", text);
        }

        #[test]
        fn any_number_is_json(value in any::<f64>(), decimals in any::<u8>()) {
            let parsed: serde_json::Value = serde_json::from_slice(&json(&value, decimals)).unwrap();
            match parsed.as_f64() {
                Some(read) => prop_assert!((read - value).abs() <= 0.5000001 * 10f64.powi(-i32::from(decimals.min(15))) || (read / value - 1.0).abs() < 1e-12),
                None => prop_assert!(!value.is_finite() && parsed.is_null()),
            }
        }
    }
}
