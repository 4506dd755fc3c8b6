//! The loop that empties the outbox, in a thread of its own.
//!
//! ```text
//! on each connection:  subscribe → birth messages (online, discovery, info)
//! then:                volatile messages (status, image, statistics): the latest of each topic
//!                      outbox records: the oldest first, several before the first is acknowledged
//! at the end:          what can be sent within the grace time → shutdown message (offline) → DISCONNECT
//! ```
//!
//! A record leaves the outbox when the broker has acknowledged it, when its topic or payload can never be taken
//! (counted and logged), or when it cannot be decoded (likewise). One that the broker does not take now, because of
//! its access list, a quota or its size, stays, and so do later ones of its topic (of a size that is too large: only
//! those that are as large), so that the order of a topic holds: nothing is thrown away for a mistake in a
//! configuration that will be put right. All others are sent. It is tried again after a pause that grows, and at once
//! on a new connection (`blocked`). When the outbox is full it drops its oldest records, which are those that wait.
//!
//! MQTT 3.1.1 has no answer for such a record: the broker closes the connection. After a connection was lost with
//! records under way the next one sends them one by one, and a record that was under way alone when three connections
//! in a row were closed is the cause.

mod age_tracker;
mod blocked;
#[cfg(test)]
pub(crate) mod fakes;
mod handle;
mod latest_messages;
#[cfg(test)]
mod tests;
mod work;

pub use handle::Handle;
pub use work::Publisher;

use super::queue::Queue;
use super::record::Record;
use super::transport::{Message, Qos, Transport, Waker};
use serde::{Deserialize, Serialize};

/// Turns records into messages: topic, payload, whether it is kept.
pub trait Encode: Send {
    /// The message for a record. `historical` says that it is not news: older than
    /// [`late_after_ms`](PublisherConfig::late_after_ms) by the wall clock or by the one that never jumps, or of an
    /// earlier run. `published_at_ms` is now, milliseconds since 1970. The message is always sent at least once,
    /// whatever its quality of service.
    fn encode(&self, record: &Record, historical: bool, published_at_ms: i64) -> Message;
}

impl<F: Fn(&Record, bool, i64) -> Message + Send> Encode for F {
    fn encode(&self, record: &Record, historical: bool, published_at_ms: i64) -> Message {
        self(record, historical, published_at_ms)
    }
}

/// The table `[publish]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublisherConfig {
    /// A reading that is sent later than this after it was taken is marked as historical, 1,000 to 3,600,000 ms.
    pub late_after_ms: u32,
    /// Most status, image and statistics messages that wait, each for another topic, 8 to 1,024. The oldest goes
    /// first.
    pub max_volatile: usize,
    /// Most bytes of their payloads, 65,536 to 67,108,864.
    pub max_volatile_bytes: usize,
    /// Most commands that wait to be carried out, 1 to 1,024; further ones are dropped.
    pub max_commands: usize,
}

impl Default for PublisherConfig {
    fn default() -> Self {
        PublisherConfig { late_after_ms: 10_000, max_volatile: 64, max_volatile_bytes: 2 << 20, max_commands: 16 }
    }
}

impl PublisherConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        let facts = [
            ((1_000..=3_600_000).contains(&self.late_after_ms), "publish.late_after_ms must be 1000 to 3600000"),
            ((8..=1024).contains(&self.max_volatile), "publish.max_volatile must be 8 to 1024"),
            (
                (64 << 10..=64 << 20).contains(&self.max_volatile_bytes),
                "publish.max_volatile_bytes must be 65536 to 67108864",
            ),
            ((1..=1024).contains(&self.max_commands), "publish.max_commands must be 1 to 1024"),
        ];
        facts.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, sentence)| Err(sentence.into()))
    }
}

/// What a publisher is made of.
pub struct Setup {
    /// The connection.
    pub transport: Box<dyn Transport>,
    /// The outbox.
    pub queue: Box<dyn Queue>,
    /// Records to messages.
    pub encode: Box<dyn Encode>,
    /// Boot id of this run; records of another run are historical.
    pub boot_id: String,
    /// What to ask for on each connection.
    pub subscriptions: Vec<(String, Qos)>,
    /// What to say first on each connection, made again for each: online, discovery, info, status of the camera.
    pub birth: Box<dyn FnMut() -> Vec<Message> + Send>,
    /// What to say last: offline.
    pub shutdown_messages: Vec<Message>,
    /// Used when records have arrived or are blocked, and when a connection begins or ends.
    pub on_change: Waker,
    /// The wall clock, milliseconds since 1970.
    pub clock: Box<dyn Fn() -> i64 + Send>,
    /// Limits.
    pub config: PublisherConfig,
}

/// What happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that were handed to the connection, repetitions included.
    pub sent: u64,
    /// Records that the broker has.
    pub acked: u64,
    /// Records that were sent once more because the connection was lost before their acknowledgement.
    pub sent_again: u64,
    /// Records that were given up because the broker or MQTT can never take their topic or payload.
    pub refused: u64,
    /// Records that were given up because they cannot be decoded.
    pub undecodable: u64,
    /// Volatile messages that were dropped: too many, or refused. One that is replaced by a newer one is not counted.
    pub volatile_dropped: u64,
    /// Messages that came in and were dropped because too many waited.
    pub commands_dropped: u64,
    /// Connections made.
    pub connections: u64,
    /// Connections lost, attempts that failed included.
    pub lost: u64,
    /// When the present connection was made, milliseconds since 1970; `None` without one.
    pub connected_since_ms: Option<i64>,
    /// Why the last connection was lost or not made; kept when the next one is made.
    pub last_problem: Option<String>,
    /// Records waiting in the outbox.
    pub waiting: u64,
    /// Fields of which the broker takes nothing now, so that their records wait.
    pub blocked_fields: u64,
}
