//! An accepted reading as it is kept and sent.

use crate::rules::Reading;
use serde::{Deserialize, Serialize};

/// Version of the postcard form of [`Record`], its first byte. It rises when a field is added, removed or changes its meaning.
pub const RECORD_VERSION: u8 = 1;

/// A reading with its place in the node's history. `boot_id` and `seq` together are its identity: a message that is sent twice has
/// the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub version: u8,
    /// Of the run of the node that made it: 16 hexadecimal digits, random.
    pub boot_id: String,
    /// Number within the run, from 0, over all fields.
    pub seq: u64,
    /// When the picture was taken, milliseconds since 1970 by the node's clock.
    pub captured_at_ms: i64,
    /// Whether that clock was known to be set.
    pub time_synced: bool,
    /// The reading.
    pub reading: Reading,
}
