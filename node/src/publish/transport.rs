//! The node's view of MQTT.

pub use crate::util::latch::Waker;
use std::time::Duration;

/// What happens to a message that cannot be delivered at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// Sent once, perhaps lost: images, statistics, logs.
    AtMostOnce,
    /// Sent until acknowledged.
    AtLeastOnce,
}

/// What a payload is; told to the broker with MQTT 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// `application/json`, UTF-8.
    Json,
    /// `text/plain`, UTF-8.
    Text,
    /// `image/jpeg`.
    Jpeg,
    /// `application/vnd.edge-ocr.record+postcard`, see [`Record`](super::Record).
    Postcard,
    /// Not told: anything, or nothing (an empty payload that clears a retained message).
    Bytes,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Topic, without wildcards.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// What the payload is.
    pub content: Content,
    /// How hard to try.
    pub qos: Qos,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// Seconds after which the broker drops it (MQTT 5 only).
    pub expiry_s: Option<u32>,
    /// To be given back to whoever asked (MQTT 5 only).
    pub correlation: Option<Vec<u8>>,
}

impl Message {
    /// A message at least once, not retained, without an expiry.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>, content: Content) -> Message {
        let (topic, payload) = (topic.into(), payload.into());
        Message { topic, payload, content, qos: Qos::AtLeastOnce, retain: false, expiry_s: None, correlation: None }
    }
}

/// Names a message that was handed to the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A message that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its topic.
    pub topic: String,
    /// Its payload, at most the configured length.
    pub payload: Vec<u8>,
    /// Whether the broker had kept it from before.
    pub retain: bool,
    /// Whether it was sent before (a duplicate is possible).
    pub duplicate: bool,
    /// Where the answer is wanted (MQTT 5 only).
    pub response_topic: Option<String>,
    /// To be given back with the answer (MQTT 5 only).
    pub correlation: Option<Vec<u8>>,
    /// What [`Transport::ack`] needs; meaningless on another connection.
    pub token: u64,
}

/// What happened on the connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Connected; subscriptions have to be made again.
    Connected,
    /// The broker has the message. Only for [`Qos::AtLeastOnce`].
    Acked(Ticket),
    /// The broker refused the message (MQTT 5); sending it again would be refused again.
    PermanentlyRejected(Ticket, String),
    /// The broker does not take the message for a reason that can be removed there (MQTT 5): its access list, a quota.
    /// What must arrive is to be given again after a while.
    TemporarilyRejected(Ticket, String),
    /// The broker does not take a message of this size and ends the connection for it: [`Event::Lost`] follows.
    TooLarge(Ticket, String),
    /// A message came in.
    Received(Delivery),
    /// The connection is gone, or could not be made. The transport tries again by itself, after its back-off; messages
    /// without an acknowledgement must be given to it again after the next [`Event::Connected`]. The text is one
    /// sentence.
    Lost(String),
    /// Nothing happened in time, or the waker was used, or there is room again for a message at most once.
    Idle,
}

/// Why a message was not taken.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// There is no connection now.
    #[error("there is no connection to the broker")]
    NotConnected,
    /// As many messages are under way as may be.
    #[error("as many messages are under way as may be")]
    Busy,
    /// The message cannot be sent on this connection.
    #[error("the message for {topic} has {bytes} bytes, more than the limit of {limit}; {remedy}")]
    TooLarge {
        /// Its topic.
        topic: String,
        /// Its length with the header.
        bytes: usize,
        /// What may be sent.
        limit: usize,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A topic that MQTT does not allow.
    #[error("the topic {topic:?} cannot be used because {reason}")]
    BadTopic {
        /// The topic.
        topic: String,
        /// Why.
        reason: &'static str,
    },
}

/// A connection to a broker that is made and made again by itself. Used by one thread, which must call
/// [`poll`](Self::poll) often: nothing moves otherwise.
pub trait Transport: Send {
    /// Works on the connection until something happens, at most for `timeout`.
    fn poll(&mut self, timeout: Duration) -> Event;

    /// Takes a message to be sent; messages are sent in the order in which they were taken. Of those at least once
    /// only a few are under way at a time: each until its [`Event::Acked`], [`Event::PermanentlyRejected`],
    /// [`Event::TemporarilyRejected`] or [`Event::TooLarge`], or [`Event::Lost`].
    ///
    /// # Errors
    /// [`TransportError`]; the message was not taken.
    fn publish(&mut self, message: &Message) -> Result<Ticket, TransportError>;

    /// Asks for messages whose topics fit `filters`.
    ///
    /// # Errors
    /// [`TransportError::NotConnected`].
    fn subscribe(&mut self, filters: &[(String, Qos)]) -> Result<(), TransportError>;

    /// Tells the broker that a message that came in has been dealt with. Only where acknowledging by hand was
    /// configured.
    fn ack(&mut self, delivery: &Delivery);

    /// Sends `last` and ends the connection in an orderly way, in at most `timeout`.
    fn close(&mut self, last: &[Message], timeout: Duration);

    /// Ends a [`poll`](Self::poll) early, from any thread.
    fn waker(&self) -> Waker;
}
