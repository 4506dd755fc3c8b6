//! Readings → a broker, and nothing lost on the way.
//!
//! ```text
//! Reading → Record → outbox (disk) → publisher → Transport (MQTT) → PUBACK → gone from the outbox
//! ```
//!
//! [`Transport`] is all that the rest knows of MQTT; `mqtt/` is the only folder that knows rumqttc.

pub mod clear;
pub mod commands;
pub mod discovery;
mod field;
pub mod mqtt;
pub mod outbox;
pub mod payload;
pub(crate) mod publisher;
mod queue;
mod record;
mod retain;
pub mod topics;
mod transport;

pub use discovery::DiscoveryConfig;
pub use field::{FieldLabels, FieldMeta, NumberMeta, StateClass};
pub use payload::{Encoder, PayloadFormat};
pub use publisher::{Counters, Encode, Handle, Publisher, PublisherConfig, Setup};
pub use queue::{Entry, Queue};
pub use record::{RECORD_VERSION, Record};
pub use retain::RetainConfig;
pub use topics::{Topics, TopicsConfig};
pub use transport::{Content, Delivery, Event, Message, Qos, Ticket, Transport, TransportError, Waker};
