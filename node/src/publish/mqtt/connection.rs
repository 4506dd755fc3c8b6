//! One connection: what the two versions of MQTT have in common, and what is under way.

use crate::publish::transport::{Delivery, Message, Qos, Ticket};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

/// Requests that rumqttc may hold. More than there can be: [`MAX_UNSENT`], [`WINDOW`], a subscription, the
/// shutdown message, and acknowledgements, some of which may have to wait.
pub(super) const REQUESTS: usize = 64;
/// Messages at least once that are under way before the first is acknowledged, if the broker allows as many.
pub(super) const WINDOW: u16 = 8;
/// Packet ids before they start again. rumqttc has room for so many messages from the start, so 65,535 would cost
/// megabytes.
pub(super) const PACKET_IDS: u16 = 100;
/// Runs a connection to its end; gives the sentence that says why it ended.
pub(super) type Task = Pin<Box<dyn Future<Output = String> + Send>>;

/// What the two versions of MQTT have in common: the requests. Each gives false if it was not taken.
pub(super) trait Client: Send {
    fn publish(&self, message: &Message, retain: bool) -> bool;
    fn subscribe(&self, filters: &[(String, Qos)]) -> bool;
    fn ack(&self, pkid: u16) -> bool;
    fn disconnect(&self) -> bool;
}

/// The events of a connection, the same for both versions of MQTT.
pub(super) enum ConnectionEvent {
    Connected(ServerLimits),
    /// A message was written under this packet id; 0 if at most once.
    Sent(u16),
    Acked(u16),
    /// The broker will never take the message.
    PermanentlyRejected(u16, String),
    /// The broker does not take it as it is set up now.
    TemporarilyRejected(u16, String),
    /// The broker will never take the oldest message that is under way, because of its size.
    TooLarge(String),
    /// For each filter of the oldest subscription under way whether it was granted.
    Subscribed(Vec<bool>),
    /// `token` is the packet id.
    Received(Delivery),
    /// Our shutdown message was written.
    Disconnected,
    /// Another packet came in.
    Alive,
    /// Another packet went out.
    Nothing,
    /// The end.
    Lost(String),
}

/// Events that may wait for the next poll; further ones wait in the socket.
const MAX_WAITING_EVENTS: usize = 4;
/// Bytes of messages that may wait for the next poll, or one message that is longer: further ones wait in the socket.
/// QoS 0 messages have no window, so the channel is bounded here.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// A channel of events with room for [`MAX_WAITING_EVENTS`] and [`MAX_WAITING_BYTES`].
pub(super) fn event_channel() -> (EventSender, EventReceiver) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING_EVENTS);
    let room = Arc::new(Semaphore::new(MAX_WAITING_BYTES));
    (EventSender { events: sender, room: room.clone() }, EventReceiver { events: receiver, room })
}

/// The sending end.
#[derive(Clone)]
pub(super) struct EventSender {
    events: mpsc::Sender<ConnectionEvent>,
    room: Arc<Semaphore>,
}

impl EventSender {
    /// Sends an event once there is room for it; false if nobody takes it any more.
    pub async fn send(&self, event: ConnectionEvent) -> bool {
        match self.room.acquire_many(waiting_bytes(&event)).await {
            // Given back by the receiver.
            Ok(taken) => taken.forget(),
            Err(_) => return false,
        }
        self.events.send(event).await.is_ok()
    }
}

/// The receiving end.
pub(super) struct EventReceiver {
    events: mpsc::Receiver<ConnectionEvent>,
    room: Arc<Semaphore>,
}

impl EventReceiver {
    /// The next event; `None` if there will be no more. Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<ConnectionEvent> {
        let event = self.events.recv().await?;
        self.room.add_permits(waiting_bytes(&event) as usize);
        Some(event)
    }
}

/// The room that an event takes while it waits.
fn waiting_bytes(event: &ConnectionEvent) -> u32 {
    match event {
        ConnectionEvent::Received(delivery) => delivery.payload.len().min(MAX_WAITING_BYTES) as u32,
        _ => 0,
    }
}

/// What the broker allows.
#[derive(Clone, Copy)]
pub(super) struct ServerLimits {
    pub max_out_bytes: u32,
    /// The connection is given up after this time without a packet, or without an acknowledgement: twice the keep-alive
    /// in force.
    pub silence: Duration,
    /// Whether it keeps messages.
    pub retain: bool,
    /// Messages at least once that may be under way.
    pub window: u16,
    /// Packet ids before they start again.
    pub packet_ids: u16,
}

impl ServerLimits {
    /// With a broker that takes `receive_maximum` messages before the first is acknowledged. One is left for what must
    /// always be possible: rumqttc sends nothing at all, not even DISCONNECT, once as many are under way.
    pub fn limit_window(&mut self, receive_maximum: u16) {
        self.window = WINDOW.min(receive_maximum - 1).max(1);
        self.packet_ids = PACKET_IDS.min(receive_maximum);
    }
}

/// Bytes of a variable length that says `value` (MQTT 5, section 1.5.5).
pub(super) fn length_bytes(value: usize) -> usize {
    match value {
        0..128 => 1,
        128..16_384 => 2,
        16_384..2_097_152 => 3,
        _ => 4,
    }
}

/// A packet with `remaining` bytes after its fixed header.
pub(super) fn framed_bytes(remaining: usize) -> usize {
    1 + length_bytes(remaining) + remaining
}

/// One connection, from the attempt to its end.
pub(super) struct Link {
    pub client: Box<dyn Client>,
    pub events: EventReceiver,
    pub task: JoinHandle<()>,
    /// Set when connected.
    pub up: Option<(Instant, ServerLimits)>,
    /// When something last came in.
    pub received_at: Instant,
    /// The messages at least once that are under way, in the order in which they were given.
    pub in_flight: VecDeque<InFlight>,
    /// Packet ids that were used, or will be by what was given.
    pub ids_used: u64,
    /// Messages at most once that are not yet written.
    pub unsent: usize,
    /// Messages to be acknowledged by hand, in the order in which they came, and whether they have been.
    pub unacked: VecDeque<(u16, bool)>,
    /// Filters of the subscriptions that are not yet granted, oldest first.
    pub subscribing: VecDeque<(Instant, Vec<String>)>,
}

pub(super) struct InFlight {
    pub ticket: Ticket,
    /// Known when it has been written.
    pub pkid: Option<u16>,
    /// How many packet ids were used before it.
    pub number: u64,
    /// Since when its acknowledgement is the next one to come, or when it was given.
    pub since: Instant,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    /// Whether something is under way.
    pub fn is_busy(&self) -> bool {
        self.up.is_some() && (!self.in_flight.is_empty() || self.unsent > 0)
    }

    /// When something will have taken too long; `None` while the connection is being made, which has a limit of its
    /// own.
    pub fn overdue_at(&self) -> Option<Instant> {
        let limit = self.up?.1.silence;
        let awaited = self.in_flight.front().map(|m| m.since).into_iter().chain(self.subscribing.front().map(|s| s.0));
        awaited.chain([self.received_at]).map(|since| since + limit).min()
    }

    /// Whether nothing at all comes in any more.
    pub fn silent(&self) -> bool {
        self.up.is_some_and(|(_, limits)| self.received_at.elapsed() >= limits.silence)
    }

    /// Whether another message at least once may be given. Packet ids start again after `packet_ids`; rumqttc stops
    /// sending when it comes to one that is still in use, and may never go on.
    pub fn has_room(&self) -> bool {
        let Some((_, limits)) = &self.up else { return false };
        self.in_flight.len() < usize::from(limits.window)
            && self.in_flight.front().is_none_or(|m| self.ids_used - m.number < u64::from(limits.packet_ids))
    }

    /// Notes that a message at least once was given.
    pub fn given(&mut self, ticket: Ticket) {
        self.in_flight.push_back(InFlight { ticket, pkid: None, number: self.ids_used, since: Instant::now() });
        self.ids_used += 1;
    }

    /// Notes the packet id of the oldest message that has none: they are sent in the order in which they were given.
    pub fn sent(&mut self, pkid: u16) {
        if let Some(in_flight) = self.in_flight.iter_mut().find(|m| m.pkid.is_none()) {
            in_flight.pkid = Some(pkid);
        }
    }

    /// The message under way with this packet id. rumqttc ends the connection for an id that is not in use.
    pub fn landed(&mut self, pkid: u16) -> Option<Ticket> {
        let at = self.in_flight.iter().position(|m| m.pkid == Some(pkid))?;
        self.take(at)
    }

    /// The oldest message under way.
    pub fn landed_first(&mut self) -> Option<Ticket> {
        self.take(0)
    }

    fn take(&mut self, at: usize) -> Option<Ticket> {
        let taken = self.in_flight.remove(at)?;
        if at == 0
            && let Some(next) = self.in_flight.front_mut()
        {
            next.since = Instant::now();
        }
        Some(taken.ticket)
    }

    /// Notes that a message is dealt with.
    pub fn ack(&mut self, pkid: u16) {
        if let Some(entry) = self.unacked.iter_mut().find(|entry| **entry == (pkid, false)) {
            entry.1 = true;
        }
        self.send_acks();
    }

    /// Acknowledges what can be. Acknowledgements have the order of the messages (MQTT-4.6.0-2), and some brokers hang
    /// up otherwise. What rumqttc has no room for waits for the next call.
    pub fn send_acks(&mut self) {
        while let Some(&(pkid, true)) = self.unacked.front()
            && self.client.ack(pkid)
        {
            self.unacked.pop_front();
        }
    }

    /// Nothing could be heard for `pause` because nobody polled.
    pub fn excuse(&mut self, pause: Duration) {
        self.received_at += pause;
        for in_flight in &mut self.in_flight {
            in_flight.since += pause;
        }
        for (since, _) in &mut self.subscribing {
            *since += pause;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    fn received(bytes: usize) -> ConnectionEvent {
        ConnectionEvent::Received(Delivery {
            topic: "jobs/a".into(),
            payload: vec![0; bytes],
            retain: false,
            duplicate: false,
            response_topic: None,
            correlation: None,
            token: 0,
        })
    }

    /// Four waited whatever their size: 64 MiB of a worker that takes jobs of 16 MiB.
    #[test]
    fn large_messages_wait_in_the_socket() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (sender, mut receiver) = event_channel();
            assert!(sender.send(received(16 << 20)).await && sender.send(ConnectionEvent::Alive).await);
            for bytes in [1, 16 << 20] {
                let mut next = Box::pin(sender.send(received(bytes)));
                let pending =
                    |context: &mut std::task::Context<'_>| Poll::Ready(next.as_mut().poll(context).is_pending());
                assert!(std::future::poll_fn(pending).await, "{bytes}");
            }
            assert!(matches!(receiver.recv().await, Some(ConnectionEvent::Received(_))));
            assert!(
                sender.send(received(MAX_WAITING_BYTES / 2)).await
                    && sender.send(received(MAX_WAITING_BYTES / 2)).await
            );
            drop(sender);
            let mut left = 0;
            while receiver.recv().await.is_some() {
                left += 1;
            }
            assert_eq!((left, receiver.room.available_permits()), (3, MAX_WAITING_BYTES));
            let (sender, receiver) = event_channel();
            drop(receiver);
            assert!(!sender.send(received(1)).await);
        });
    }
}
