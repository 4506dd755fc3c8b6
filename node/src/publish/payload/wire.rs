//! The postcard form of a reading, for links between our own programs: a third of the JSON's bytes, but it does not
//! describe itself.
//!
//! Fields follow each other without names, in this order ([postcard's wire
//! format](https://postcard.jamesmunns.com/wire-format)):
//!
//! | # | field | form |
//! |---|---|---|
//! | 1 | version of this table, [`WIRE_VERSION`] | byte |
//! | 2 | node id | string: varint length, UTF-8 |
//! | 3 | unit of the value | option: byte 0, or byte 1 and a string |
//! | 4 | historical: sent later than it was read | byte 0 or 1 |
//! | 5 | published at, milliseconds since 1970 | zigzag varint i64 |
//! | 6 | version of the record, [`RECORD_VERSION`](crate::publish::RECORD_VERSION) | byte |
//! | 7 | boot id | string |
//! | 8 | sequence number within the boot | varint u64 |
//! | 9 | captured at, milliseconds since 1970 | zigzag varint i64 |
//! | 10 | whether the clock was set | byte 0 or 1 |
//! | 11 | field | string |
//! | 12 | status: index into [`Status::ALL`](crate::rules::Status::ALL) | varint |
//! | 13 | value | option of: varint 0, f64 little-endian, byte decimals; or varint 1, string |
//! | 14 | raw text | string |
//! | 15 | confidence, 0 to 1 | f32 little-endian |
//! | 16 | candidates | varint count, then for each a string and an f32 |
//! | 17 | rebased | byte 0 or 1 |
//! | 18 | changed | byte 0 or 1 |
//! | 19 | rate each second | option of an f64 |
//! | 20 | why, for people; often empty | string |
//! | 21 | what may be missing in the images | varint count, then strings |
//!
//! The version comes first and rises with every change of the table, so a reader can refuse what it does not know.

use crate::publish::record::{RECORD_VERSION, Record};
use serde::{Deserialize, Serialize};

/// Version of the table above.
pub const WIRE_VERSION: u8 = 2;

/// Longest message that is read, bytes.
pub const MAX_WIRE_BYTES: usize = 256 * 1024;

/// A reading as programs exchange it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireReading {
    /// [`WIRE_VERSION`].
    pub version: u8,
    /// The node that read it.
    pub node: String,
    /// Unit of its value.
    pub unit: Option<String>,
    /// Whether it is sent later than it was read.
    pub historical: bool,
    /// When it was sent, milliseconds since 1970.
    pub published_at_ms: i64,
    /// The reading itself.
    pub record: Record,
}

impl WireReading {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Into memory, and every type of it has a length: nothing can fail.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads what [`encode`](Self::encode) made.
    ///
    /// # Errors
    /// One sentence if `bytes` are too many, of another version, or not a reading.
    pub fn decode(bytes: &[u8]) -> Result<WireReading, String> {
        if bytes.len() > MAX_WIRE_BYTES {
            return Err(format!(
                "the reading has {} bytes, more than the limit of {MAX_WIRE_BYTES}; send shorter texts",
                bytes.len()
            ));
        }
        match bytes.first() {
            Some(&WIRE_VERSION) => {}
            Some(other) => {
                return Err(format!(
                    "the reading has version {other} and this program reads version {WIRE_VERSION}; update the older of the two"
                ));
            }
            None => return Err("the reading is empty (0 bytes); send one made by edge-ocr".into()),
        }
        let damaged = || {
            "the reading is damaged and cannot be decoded; send one made by edge-ocr with payload = \"postcard\""
                .to_owned()
        };
        let (reading, rest) = postcard::take_from_bytes::<WireReading>(bytes).map_err(|_| damaged())?;
        if !rest.is_empty() || reading.record.version != RECORD_VERSION {
            return Err(damaged());
        }
        Ok(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Candidate, Reading, Status, Value};
    use proptest::prelude::*;

    fn example() -> WireReading {
        let reading = Reading {
            field: "main".into(),
            status: Status::Rate,
            value: Some(Value::Number { value: 0.5, decimals: 1 }),
            raw: "9".into(),
            confidence: 1.0,
            candidates: vec![Candidate { text: "8".into(), share: 0.5 }],
            rebased: false,
            changed: true,
            rate_per_s: None,
            reason: String::new(),
        };
        let record = Record {
            version: RECORD_VERSION,
            boot_id: "b".into(),
            seq: 300,
            captured_at_ms: 1,
            time_synced: true,
            reading,
            warnings: vec!["w".into()],
        };
        WireReading {
            version: WIRE_VERSION,
            node: "n".into(),
            unit: Some("L".into()),
            historical: false,
            published_at_ms: -1,
            record,
        }
    }

    /// The table in the module's documentation, byte by byte.
    #[test]
    fn the_bytes_are_those_of_the_table() {
        #[rustfmt::skip]
        let expected: &[u8] = &[
            2, 1, b'n', 1, 1, b'L', 0, 1,
            2, 1, b'b', 0xac, 2, 2, 1,
            4, b'm', b'a', b'i', b'n', 5,
            1, 0, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f, 1,
            1, b'9', 0, 0, 0x80, 0x3f,
            1, 1, b'8', 0, 0, 0, 0x3f,
            0, 1, 0, 0,
            1, 1, b'w',
        ];
        assert_eq!(example().encode(), expected, "the table and WIRE_VERSION have to change too");
        assert_eq!(WireReading::decode(expected).unwrap(), example());
    }

    #[test]
    fn what_is_not_a_reading() {
        let bytes = example().encode();
        let error = |bytes: &[u8]| WireReading::decode(bytes).unwrap_err();
        assert!(error(&[]).contains("empty"));
        assert!(error(&[3, 0]).contains("version 3"));
        assert!(error(&bytes[..bytes.len() - 1]).contains("damaged"));
        assert!(error(&[&bytes[..], &[0]].concat()).contains("damaged"), "bytes left over");
        assert!(error(&vec![1; MAX_WIRE_BYTES + 1]).contains("limit"));
        let mut other = example();
        other.record.version = 9;
        assert!(error(&other.encode()).contains("damaged"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), versioned in any::<bool>()) {
            if versioned && !bytes.is_empty() {
                bytes[0] = WIRE_VERSION;
            }
            let _ = WireReading::decode(&bytes);
        }
    }
}
