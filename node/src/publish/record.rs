//! An accepted reading as it is kept and sent.

use crate::rules::Reading;
use serde::{Deserialize, Serialize};

/// Version of the postcard form of [`Record`], its first byte. It rises when a field is added, removed or changes its
/// meaning.
pub const RECORD_VERSION: u8 = 2;

/// The form without [`warnings`](Record::warnings), its last field.
const WITHOUT_WARNINGS: u8 = 1;

/// A reading with its place in the node's history. `boot_id` and `seq` together are its identity: a message that is
/// sent twice has the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub version: u8,
    /// Id of the run of the node that made it: 16 hexadecimal digits, random.
    pub boot_id: String,
    /// Number within the run, from 0, over all fields.
    pub seq: u64,
    /// When the image was taken, milliseconds since 1970 by the node's clock.
    pub captured_at_ms: i64,
    /// Whether that clock was known to be set.
    pub time_synced: bool,
    /// The reading.
    pub reading: Reading,
    /// What may be missing in the images, one clause or sentence each: that one was cut off, or much reduced. Usually
    /// none.
    pub warnings: Vec<String>,
}

impl Record {
    /// Reads what the outbox has: postcard, also in the form before this one.
    ///
    /// # Errors
    /// One clause saying why these bytes are no record.
    pub fn decode(bytes: &[u8]) -> Result<Record, String> {
        let of = |bytes: &[u8]| postcard::from_bytes::<Record>(bytes).map_err(|e| format!("decoding it failed ({e})"));
        // The version comes first, so that a later form is recognised whatever follows.
        match bytes.first() {
            None => Err("it is empty".into()),
            Some(&RECORD_VERSION) => of(bytes),
            // An empty list is its length, 0.
            Some(&WITHOUT_WARNINGS) => Ok(Record { version: RECORD_VERSION, ..of(&[bytes, &[0]].concat())? }),
            Some(&version) => Err(format!("its version is {version} and not {RECORD_VERSION}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Status;

    /// What waits in an outbox outlives an upgrade.
    #[test]
    fn record_without_warnings_is_read() {
        let reading = Reading {
            field: "main".into(),
            status: Status::Ok,
            value: None,
            raw: "7".into(),
            confidence: 1.0,
            candidates: Vec::new(),
            rebased: false,
            changed: true,
            rate_per_s: None,
            reason: String::new(),
        };
        let record = Record {
            version: RECORD_VERSION,
            boot_id: "b".into(),
            seq: 3,
            captured_at_ms: 1,
            time_synced: true,
            reading,
            warnings: Vec::new(),
        };
        let now = postcard::to_allocvec(&record).unwrap();
        assert_eq!(Record::decode(&now), Ok(record.clone()));
        let mut before = now.clone();
        before[0] = WITHOUT_WARNINGS;
        assert_eq!(before.pop(), Some(0));
        assert_eq!(Record::decode(&before), Ok(record));
        assert!(Record::decode(&before[..before.len() - 1]).is_err() && Record::decode(&[9]).is_err());
    }
}
