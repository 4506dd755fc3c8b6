//! The loop itself.

mod records;

use super::handle::{Ending, Shared, lock};
use super::held::Held;
use super::{Encode, Setup};
use crate::publish::queue::Queue;
use crate::publish::transport::{Delivery, Event, Message, Qos, Ticket, Transport, TransportError};
use records::Encoded;
use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Longest wait for news: the thread says at least that often that it is alive.
const ROUND: Duration = Duration::from_secs(1);
/// The wait while messages at most once are being written; their end is no event.
const SHORT_ROUND: Duration = Duration::from_millis(20);
/// The same trouble is told again after that.
pub(super) const REPEAT_LOG: Duration = Duration::from_secs(600);
/// After so many connections in a row on which no record arrived, the next one begins with the records.
const BARREN: u32 = 3;
/// So long it says and asks for nothing else.
const RECORDS_FIRST: Duration = Duration::from_secs(30);
/// A record that ends so many connections in a row is told about, and again at each further multiple.
const SUSPICIOUS: u32 = 5;

/// Sends what is to be sent. See the module.
pub struct Publisher {
    transport: Box<dyn Transport>,
    queue: Box<dyn Queue>,
    encode: Box<dyn Encode>,
    boot_id: String,
    subscriptions: Vec<(String, Qos)>,
    make_birth: Box<dyn FnMut() -> Vec<Message> + Send>,
    farewell: Vec<Message>,
    shared: Arc<Shared>,
    deliveries: mpsc::SyncSender<Delivery>,
    /// Milliseconds since 1970.
    clock: Box<dyn Fn() -> i64 + Send>,
    /// When the connection was made; `None` without one.
    connected_at_ms: Option<i64>,
    /// Connections in a row that were lost before a record had arrived.
    barren: u32,
    /// When to subscribe and to send the birth messages, if not at once.
    begin_at: Option<Instant>,
    birth: VecDeque<Message>,
    in_flight: Option<(Ticket, Sent)>,
    encoded: Option<Encoded>,
    held: Held,
    /// Whether birth messages of this connection were denied, so that they are to be said again when the broker is mended.
    birth_denied: bool,
    /// Whose turn it is: volatile messages at least once and records take turns.
    volatile_next: bool,
    last_log: Option<(String, Instant)>,
}

/// What is under way.
enum Sent {
    Birth,
    Volatile(Message),
    Record(u64),
}

/// What became of a message.
enum Given {
    Taken(Ticket),
    Later,
    Never(TransportError),
}

impl Publisher {
    pub(super) fn new(setup: Setup) -> (Publisher, Arc<Shared>, mpsc::Receiver<Delivery>) {
        let shared = Arc::new(Shared::new(&setup.config));
        let (deliveries, receiver) = mpsc::sync_channel(setup.config.max_commands);
        let publisher = Publisher {
            transport: setup.transport,
            queue: setup.queue,
            encode: setup.encode,
            boot_id: setup.boot_id,
            subscriptions: setup.subscriptions,
            make_birth: setup.birth,
            farewell: setup.farewell,
            shared: Arc::clone(&shared),
            deliveries,
            clock: setup.clock,
            connected_at_ms: None,
            barren: 0,
            begin_at: None,
            birth: VecDeque::new(),
            in_flight: None,
            encoded: None,
            held: Held::default(),
            birth_denied: false,
            volatile_next: false,
            last_log: None,
        };
        (publisher, shared, receiver)
    }

    /// Another encoder, for tests.
    #[cfg(test)]
    pub(super) fn encode_as(&mut self, encode: impl Encode + 'static) {
        self.encode = Box::new(encode);
    }

    /// Works until it is told to stop.
    pub(super) fn run(&mut self) {
        let mut ending = None;
        while !self.may_end(ending) {
            let left =
                ending.map_or(ROUND, |at: Ending| at.send_by.saturating_duration_since(Instant::now()).min(ROUND));
            self.step(left);
            ending = *lock(&self.shared.ending);
        }
        let left = ending.map_or(Duration::ZERO, |at| at.end_by.saturating_duration_since(Instant::now()));
        self.transport.close(&self.farewell, left);
        self.shared.set_connected(None);
    }

    /// Without a connection there is nothing to wait for.
    fn may_end(&mut self, ending: Option<Ending>) -> bool {
        let Some(Ending { send_by, .. }) = ending else { return false };
        let done = self.in_flight.is_none()
            && self.birth.is_empty()
            && self.shared.volatile().is_empty()
            && self.no_record_to_send();
        done || self.connected_at_ms.is_none() || Instant::now() >= send_by
    }

    /// Sends what can be sent, then waits for one thing to happen, at most for `timeout`.
    pub(super) fn step(&mut self, timeout: Duration) {
        if self.begin_at.is_some_and(|at| at <= Instant::now()) && self.no_record_to_send() {
            self.begin();
        }
        let blocked = self.connected_at_ms.is_some() && self.send_what_can_be();
        let event = self.transport.poll(if blocked { timeout.min(SHORT_ROUND) } else { timeout });
        self.handle(event);
        let waiting = self.queue.len() as u64;
        self.shared.count(|counters| counters.waiting = waiting);
        self.shared.touch();
    }

    /// Whether the outbox is empty, or what is at its head has to wait.
    fn no_record_to_send(&mut self) -> bool {
        self.queue.peek().is_none_or(|entry| self.held.holds(entry.id, Instant::now()))
    }

    /// True if a message at most once has to wait, though not for an event.
    fn send_what_can_be(&mut self) -> bool {
        if self.birth.is_empty() {
            self.birth.extend(self.shared.take_introduction());
        }
        while let Some(message) = self.birth.front() {
            let once = message.qos == Qos::AtMostOnce;
            if !once && self.in_flight.is_some() {
                return false;
            }
            let message = message.clone();
            match self.give(&message) {
                Given::Taken(ticket) if !once => self.in_flight = Some((ticket, Sent::Birth)),
                Given::Taken(_) => {}
                Given::Later => return once,
                Given::Never(error) => self.drop_volatile(&error),
            }
            self.birth.pop_front();
        }
        // Everything else waits for the birth messages to be through.
        if matches!(self.in_flight, Some((_, Sent::Birth))) {
            return false;
        }
        let blocked = self.send_at_most_once();
        if self.in_flight.is_none() {
            self.volatile_next = !self.volatile_next;
            let volatile_first = self.volatile_next;
            if volatile_first {
                self.send_volatile();
            }
            if self.in_flight.is_none() {
                self.send_record();
            }
            if self.in_flight.is_none() && !volatile_first {
                self.send_volatile();
            }
        }
        blocked
    }

    fn give(&mut self, message: &Message) -> Given {
        match self.transport.publish(message) {
            Ok(ticket) => {
                self.shared.count(|counters| counters.sent += 1);
                Given::Taken(ticket)
            }
            Err(TransportError::Busy | TransportError::NotConnected) => Given::Later,
            Err(error) => Given::Never(error),
        }
    }

    fn drop_volatile(&mut self, error: &TransportError) {
        log::error!("a message is dropped: {error}");
        self.shared.count(|counters| counters.volatile_dropped += 1);
    }

    /// True if one has to wait.
    fn send_at_most_once(&mut self) -> bool {
        loop {
            let taken = self.shared.volatile().take(Qos::AtMostOnce);
            let Some(message) = taken else { return false };
            match self.give(&message) {
                Given::Taken(_) => {}
                Given::Later => {
                    self.shared.volatile().put_back(message);
                    return true;
                }
                Given::Never(error) => self.drop_volatile(&error),
            }
        }
    }

    fn send_volatile(&mut self) {
        loop {
            let taken = self.shared.volatile().take(Qos::AtLeastOnce);
            let Some(message) = taken else { return };
            match self.give(&message) {
                Given::Taken(ticket) => {
                    self.in_flight = Some((ticket, Sent::Volatile(message)));
                    return;
                }
                Given::Later => return self.shared.volatile().put_back(message),
                Given::Never(error) => self.drop_volatile(&error),
            }
        }
    }

    fn refuse_volatile(&mut self, why: &str) {
        self.log(&format!("a message was refused because {why}"));
        self.shared.count(|counters| counters.volatile_dropped += 1);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Idle => {}
            Event::Connected => self.connected(),
            Event::Acked(ticket) => {
                if let Some(Sent::Record(id)) = self.landed(ticket) {
                    self.record_arrived(id);
                }
            }
            Event::Refused(ticket, why) => match self.landed(ticket) {
                Some(Sent::Record(id)) => self.refuse_record(id, &why),
                Some(Sent::Birth | Sent::Volatile(_)) => self.refuse_volatile(&why),
                None => {}
            },
            Event::Denied(ticket, why) => match self.landed(ticket) {
                Some(Sent::Record(id)) => self.hold_record(id, &why),
                Some(sent) => {
                    self.birth_denied |= matches!(sent, Sent::Birth);
                    self.refuse_volatile(&why);
                }
                None => {}
            },
            Event::Received(delivery) => {
                if let Err(mpsc::TrySendError::Full(_)) = self.deliveries.try_send(delivery) {
                    // Without the topic, which is the sender's choice: the same words are told seldom.
                    self.log("messages were dropped because too many wait");
                    self.shared.count(|counters| counters.commands_dropped += 1);
                }
            }
            Event::Lost(why) => self.lost(why),
        }
    }

    fn landed(&mut self, ticket: Ticket) -> Option<Sent> {
        self.in_flight.take_if(|(t, _)| *t == ticket).map(|(_, sent)| sent)
    }

    fn connected(&mut self) {
        let now = (self.clock)();
        self.connected_at_ms = Some(now);
        self.in_flight = None;
        self.birth_denied = false;
        self.held.hasten(Instant::now());
        self.shared.count(|counters| counters.connections += 1);
        self.shared.set_connected(Some(now));
        if self.barren < BARREN || self.queue.is_empty() {
            return self.begin();
        }
        // A message that the broker keeps and that is too large for this client, or a birth message that the broker does not like, ends
        // every connection at its beginning. Readings must get through all the same.
        self.begin_at = Some(Instant::now() + RECORDS_FIRST);
        // Once: the causes are told again and again, and would take turns with it.
        if self.barren == BARREN {
            log::warn!(
                "the last {BARREN} connections were lost before a reading arrived, so the next ones begin with readings and take commands later"
            );
        }
    }

    fn begin(&mut self) {
        self.begin_at = None;
        if !self.subscriptions.is_empty()
            && let Err(error) = self.transport.subscribe(&self.subscriptions)
        {
            // The connection ended in this moment; the next one subscribes.
            log::debug!("no subscription: {error}");
        }
        self.birth = (self.make_birth)().into();
    }

    fn lost(&mut self, why: String) {
        if self.connected_at_ms.take().is_some() {
            self.barren = self.barren.saturating_add(1);
        }
        self.begin_at = None;
        self.birth.clear();
        match self.in_flight.take() {
            Some((_, Sent::Volatile(message))) => self.shared.volatile().put_back(message),
            Some((_, Sent::Record(id))) => {
                if let Some(encoded) = self.encoded.as_mut().filter(|encoded| encoded.id == id) {
                    encoded.losses = encoded.losses.saturating_add(1);
                    if encoded.losses.is_multiple_of(SUSPICIOUS) {
                        log::error!(
                            "{} connections were lost while record {id} for {} was under way; check that the broker allows its topic and \
                             its {} bytes",
                            encoded.losses,
                            encoded.message.topic,
                            encoded.message.payload.len()
                        );
                    }
                }
            }
            Some((_, Sent::Birth)) | None => {}
        }
        self.log(&why);
        self.shared.set_connected(None);
        self.shared.count(|counters| {
            counters.lost += 1;
            counters.last_problem = Some(why);
        });
    }

    /// Warns, but of the same thing only now and then: a broker may be away for weeks.
    fn log(&mut self, text: &str) {
        let known = self.last_log.as_ref().is_some_and(|(last, at)| last == text && at.elapsed() < REPEAT_LOG);
        match known {
            true => log::debug!("{text}"),
            false => {
                log::warn!("{text}");
                self.last_log = Some((text.into(), Instant::now()));
            }
        }
    }
}
