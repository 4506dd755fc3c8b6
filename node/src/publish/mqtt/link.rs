//! The transport: one connection after the other, each with an event loop of its own.

use super::config::Protocol;
use super::connection::{Client, ConnectionEvent, EventSender, Link, Task, event_channel};
use super::{Settings, error_messages, topic, v4, v5};
use crate::publish::transport::{Delivery, Event, Message, Qos, Ticket, Transport, TransportError, Waker};
use crate::util::retry::Retry;
use edge_ocr::panics::catch_panic;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// Messages at most once that may wait to be written.
const MAX_UNSENT: usize = 8;
/// After a connection that held for this long, the next attempt is made soon.
const GOOD_AFTER: Duration = Duration::from_secs(30);
/// Longest single wait, so that no sum of times overflows.
const LONGEST_POLL: Duration = Duration::from_secs(3600);
/// A pause between polls that is not the broker's fault.
const LATE_POLL: Duration = Duration::from_millis(500);

type Open = fn(&Arc<Settings>, EventSender) -> (Box<dyn Client>, Task);

/// See [`connect`](super::connect).
pub(super) struct MqttTransport {
    settings: Arc<Settings>,
    open: Open,
    packet_bytes: fn(&Message) -> usize,
    /// `None` only while being dropped.
    runtime: Option<Runtime>,
    notify: Arc<Notify>,
    link: Option<Link>,
    retry: Retry,
    tickets: u64,
    /// Counts connections, so that what belongs to an earlier one is recognised.
    generation: u64,
    polled_at: Instant,
    closed: bool,
    /// Whether nothing but the end of what is under way is waited for.
    settling: bool,
    /// What was said of subscriptions that were refused: at most one sentence for each.
    not_subscribed: Vec<String>,
    /// Whether the warning that the broker keeps nothing was given.
    retain_warned: bool,
}

impl Drop for MqttTransport {
    fn drop(&mut self) {
        // A look-up of a name may be stuck in a thread of its own; it is not waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How a wait ended.
enum Step {
    ConnectionEvent(Option<ConnectionEvent>),
    Woken,
    Overdue,
    Timeout,
}

impl MqttTransport {
    pub(super) fn new(settings: Settings, protocol: Protocol) -> io::Result<MqttTransport> {
        let (open, packet_bytes): (Open, fn(&Message) -> usize) = match protocol {
            Protocol::V311 => (v4::open, v4::packet_bytes),
            Protocol::V5 => (v5::open, v5::packet_bytes),
        };
        let [min, max] = settings.backoff_ms.map(|ms| Duration::from_millis(ms.into()));
        Ok(MqttTransport {
            settings: Arc::new(settings),
            open,
            packet_bytes,
            runtime: Some(tokio::runtime::Builder::new_current_thread().enable_all().build()?),
            notify: Arc::default(),
            link: None,
            retry: Retry::with_jitter(min, max),
            tickets: 0,
            generation: 0,
            polled_at: Instant::now(),
            closed: false,
            settling: false,
            not_subscribed: Vec::new(),
            retain_warned: false,
        })
    }

    fn open_link(&mut self) -> Option<()> {
        let (sender, events) = event_channel();
        let (client, mut task) = (self.open)(&self.settings, sender.clone());
        let broker = self.settings.broker.clone();
        let work = async move {
            // A panic ends this connection, not the program.
            let end = std::future::poll_fn(|context| match catch_panic(|| task.as_mut().poll(context)) {
                Ok(poll) => poll,
                Err(panic) => Poll::Ready(error_messages::nonsense(&broker, panic)),
            });
            let why = end.await;
            sender.send(ConnectionEvent::Lost(why)).await;
        };
        let task = self.runtime.as_ref()?.spawn(work);
        self.generation += 1;
        self.link = Some(Link {
            client,
            events,
            task,
            up: None,
            received_at: Instant::now(),
            in_flight: VecDeque::new(),
            ids_used: 0,
            unsent: 0,
            unacked: VecDeque::new(),
            subscribing: VecDeque::new(),
        });
        Some(())
    }

    /// Ends the connection; the next attempt is made after the back-off.
    fn lose(&mut self, why: String) -> Event {
        let link = self.link.take();
        if link.and_then(|link| link.up).is_some_and(|(since, _)| since.elapsed() >= GOOD_AFTER) {
            self.retry.succeeded();
        }
        if self.settings.retain_probe.progressed() {
            self.retry.succeeded();
        }
        self.retry.failed(Instant::now());
        Event::Lost(why)
    }

    /// Waits for an event, the waker, `end`, or for what is overdue at `overdue`.
    fn wait(&mut self, end: Instant, overdue: Instant) -> Step {
        let Some(runtime) = &self.runtime else { return Step::Timeout };
        let (notify, link) = (&self.notify, &mut self.link);
        runtime.block_on(async {
            // Lets the connection's task run even if `end` has passed.
            tokio::task::yield_now().await;
            let event = async {
                match link {
                    Some(link) => link.events.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = notify.notified() => Step::Woken,
                event = event => Step::ConnectionEvent(event),
                () = tokio::time::sleep_until(overdue.into()) => Step::Overdue,
                () = tokio::time::sleep_until(end.into()) => Step::Timeout,
            }
        })
    }

    /// Works until something happens that the caller is to know, or `end`.
    fn work(&mut self, end: Instant) -> Event {
        loop {
            let never = end + LONGEST_POLL;
            if self.closed {
                self.link = None;
                self.wait(end, never);
                return Event::Idle;
            }
            let Some(link) = &self.link else {
                match self.retry.until().filter(|at| *at > Instant::now()) {
                    Some(at) => match self.wait(end, at) {
                        Step::Overdue => continue,
                        _ => return Event::Idle,
                    },
                    None if self.open_link().is_none() => return Event::Idle,
                    None => continue,
                }
            };
            let overdue = link.overdue_at().unwrap_or(never);
            match self.wait(end, overdue) {
                Step::ConnectionEvent(Some(event)) => {
                    if let Some(event) = self.handle_event(event) {
                        return event;
                    }
                }
                Step::ConnectionEvent(None) => {
                    return self.lose(error_messages::nonsense(&self.settings.broker, "the client gave up"));
                }
                Step::Overdue => {
                    let broker = &self.settings.broker;
                    let silent = self.link.as_ref().is_some_and(Link::silent);
                    let why = if silent { error_messages::no_answer(broker) } else { error_messages::no_ack(broker) };
                    return self.lose(why);
                }
                Step::Woken | Step::Timeout => return Event::Idle,
            }
        }
    }

    fn handle_event(&mut self, event: ConnectionEvent) -> Option<Event> {
        let link = self.link.as_mut()?;
        link.send_acks();
        if !matches!(
            event,
            ConnectionEvent::Sent(_)
                | ConnectionEvent::Nothing
                | ConnectionEvent::Disconnected
                | ConnectionEvent::Lost(_)
        ) {
            link.received_at = Instant::now();
        }
        match event {
            ConnectionEvent::Connected(limits) => {
                log::info!("connected to the broker at {} as {}", self.settings.broker, self.settings.client_id);
                link.up = Some((Instant::now(), limits));
                return Some(Event::Connected);
            }
            ConnectionEvent::Sent(0) => {
                let was_full = link.unsent >= MAX_UNSENT;
                link.unsent = link.unsent.saturating_sub(1);
                if was_full || (self.settling && !link.is_busy()) {
                    return Some(Event::Idle);
                }
            }
            ConnectionEvent::Sent(pkid) => link.sent(pkid),
            ConnectionEvent::Acked(pkid) => return link.landed(pkid).map(Event::Acked),
            ConnectionEvent::PermanentlyRejected(pkid, why) => {
                return link.landed(pkid).map(|ticket| Event::PermanentlyRejected(ticket, why));
            }
            ConnectionEvent::TemporarilyRejected(pkid, why) => {
                return link.landed(pkid).map(|ticket| Event::TemporarilyRejected(ticket, why));
            }
            // Acknowledgements have the order of the messages (MQTT-4.6.0-2).
            ConnectionEvent::TooLarge(why) => return link.landed_first().map(|ticket| Event::TooLarge(ticket, why)),
            ConnectionEvent::Subscribed(granted) => {
                let (_, filters) = link.subscribing.pop_front()?;
                let refused = filters.iter().zip(granted.iter().chain(std::iter::repeat(&false))).find(|(_, ok)| !**ok);
                let (filter, _) = refused?;
                let why = error_messages::not_subscribed(&self.settings.broker, filter);
                if self.settings.options.must_subscribe {
                    return Some(self.lose(why));
                }
                // Not on each connection again: a broker may close one after the other.
                if !self.not_subscribed.contains(&why) {
                    log::warn!("{why}");
                    self.not_subscribed.push(why);
                }
            }
            ConnectionEvent::Received(mut delivery) => {
                if self.settings.options.manual_acks && delivery.token != 0 {
                    link.unacked.push_back((delivery.token as u16, false));
                }
                delivery.token |= self.generation << 16;
                return Some(Event::Received(delivery));
            }
            ConnectionEvent::Disconnected => {
                self.closed = true;
                return Some(Event::Idle);
            }
            ConnectionEvent::Alive | ConnectionEvent::Nothing => {}
            ConnectionEvent::Lost(why) => return Some(self.lose(why)),
        }
        None
    }

    /// Works until nothing is under way, the connection is gone, or `end`. What comes in is dropped.
    fn settle(&mut self, end: Instant) {
        while self.link.as_ref().is_some_and(Link::is_busy) && Instant::now() < end {
            if let Event::PermanentlyRejected(_, why) | Event::TemporarilyRejected(_, why) | Event::TooLarge(_, why) =
                self.work(end)
            {
                log::warn!("a last message was refused because {why}");
            }
        }
    }
}

impl Transport for MqttTransport {
    fn poll(&mut self, timeout: Duration) -> Event {
        let pause = self.polled_at.elapsed();
        if let Some(link) = &mut self.link
            && pause > LATE_POLL
        {
            link.excuse(pause);
        }
        let event = self.work(Instant::now() + timeout.min(LONGEST_POLL));
        self.polled_at = Instant::now();
        event
    }

    fn publish(&mut self, message: &Message) -> Result<Ticket, TransportError> {
        if let Some(reason) = topic::fault(&message.topic) {
            return Err(TransportError::BadTopic { topic: message.topic.clone(), reason });
        }
        let up = self.link.as_ref().and_then(|link| link.up);
        let own = self.settings.max_out_bytes;
        let (limit, remedy) = match up {
            Some((_, limits)) if limits.max_out_bytes < own => {
                (limits.max_out_bytes as usize, "raise the broker's limit (mosquitto: max_packet_size)")
            }
            _ => (own as usize, "raise mqtt.max_packet_out_bytes"),
        };
        let bytes = (self.packet_bytes)(message);
        if bytes > limit {
            return Err(TransportError::TooLarge { topic: message.topic.clone(), bytes, limit, remedy });
        }
        let (Some(link), Some((_, limits))) = (&mut self.link, up) else { return Err(TransportError::NotConnected) };
        let busy = match message.qos {
            Qos::AtMostOnce => link.unsent >= MAX_UNSENT,
            Qos::AtLeastOnce => !link.has_room(),
        };
        if busy || !link.client.publish(message, message.retain && limits.retain) {
            return Err(TransportError::Busy);
        }
        // What is empty is to be forgotten, and is. Not on each connection again.
        if message.retain
            && !limits.retain
            && !message.payload.is_empty()
            && !std::mem::replace(&mut self.retain_warned, true)
        {
            log::warn!("{}", error_messages::keeps_nothing(&self.settings.broker));
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        match message.qos {
            Qos::AtMostOnce => link.unsent += 1,
            Qos::AtLeastOnce => link.given(ticket),
        }
        Ok(ticket)
    }

    fn subscribe(&mut self, filters: &[(String, Qos)]) -> Result<(), TransportError> {
        let Some(link) = self.link.as_mut().filter(|link| link.up.is_some()) else {
            return Err(TransportError::NotConnected);
        };
        let mut requested = Vec::new();
        for (filter, _) in filters {
            match topic::filter_fault(filter) {
                None => requested.push(filter.clone()),
                Some(fault) => log::error!("{filter:?} cannot be subscribed to because {fault}"),
            }
        }
        if !requested.is_empty() {
            if !link.client.subscribe(filters) {
                return Err(TransportError::NotConnected);
            }
            link.subscribing.push_back((Instant::now(), requested));
            link.ids_used += 1;
        }
        Ok(())
    }

    fn ack(&mut self, delivery: &Delivery) {
        let pkid = (delivery.token & 0xffff) as u16;
        // One of an earlier connection is not known to the broker any more; it sends the message again, perhaps to
        // another.
        if pkid == 0 || delivery.token >> 16 != self.generation || !self.settings.options.manual_acks {
            return;
        }
        if let Some(link) = &mut self.link {
            link.ack(pkid);
        }
    }

    fn close(&mut self, last: &[Message], timeout: Duration) {
        let end = Instant::now() + timeout.min(LONGEST_POLL);
        self.settling = true;
        // A broker that acknowledges nothing must not take all of the time: half of what is left is for what comes
        // after.
        let half = || Instant::now() + end.saturating_duration_since(Instant::now()) / 2;
        self.settle(half());
        for message in last {
            let mut message = message.clone();
            // What is under way will not be acknowledged any more, and there may be no room for another one beside it.
            // Without these words an orderly end would leave the broker with the last status: it forgets the will.
            if self.link.as_ref().is_some_and(|link| !link.has_room()) {
                message.qos = Qos::AtMostOnce;
            }
            match self.publish(&message) {
                Ok(_) => self.settle(half()),
                Err(TransportError::NotConnected) => break,
                Err(error) => log::warn!("a last message could not be sent: {error}"),
            }
        }
        let connected = self.link.as_ref().is_some_and(|link| link.up.is_some() && link.client.disconnect());
        while connected && !self.closed && self.link.is_some() && Instant::now() < end {
            self.work(end);
        }
        self.closed = true;
        self.link = None;
        // The task's end closes the socket.
        self.wait(Instant::now(), end + LONGEST_POLL);
    }

    fn waker(&self) -> Waker {
        let notify = Arc::clone(&self.notify);
        Waker::new(move || notify.notify_one())
    }
}
