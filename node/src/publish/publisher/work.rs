//! The loop itself.

mod messages;
mod records;

use super::blocked::{Blocked, Cause};
use super::handle::{Ending, Shared, lock};
use super::{Encode, Setup};
use crate::publish::queue::Queue;
use crate::publish::transport::{Delivery, Event, Message, Qos, Ticket, Transport, TransportError, Waker};
use records::Encoded;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Longest wait for an event: the thread reports at least that often that it is alive.
const ROUND: Duration = Duration::from_secs(20);
/// Interval at which an unchanged problem is logged again.
pub(super) const REPEAT_LOG: Duration = Duration::from_secs(600);
/// After so many connections in a row on which no record arrived, the next one begins with the records.
const UNPRODUCTIVE_CONNECTIONS: u32 = 3;
/// For this long only records are sent.
const RECORDS_FIRST: Duration = Duration::from_secs(30);
/// A broker that was connected to later than that after it refused a message for its size may be another.
const SIZE_KNOWN: Duration = Duration::from_secs(60);
/// A record that was under way alone when so many connections in a row ended is the cause.
const SUSPICIOUS: u32 = 3;

/// Sends what is to be sent. See the module.
pub struct Publisher {
    transport: Box<dyn Transport>,
    queue: Box<dyn Queue>,
    encode: Box<dyn Encode>,
    boot_id: String,
    subscriptions: Vec<(String, Qos)>,
    make_birth: Box<dyn FnMut() -> Vec<Message> + Send>,
    shutdown_messages: Vec<Message>,
    shared: Arc<Shared>,
    deliveries: mpsc::SyncSender<Delivery>,
    /// Milliseconds since 1970.
    clock: Box<dyn Fn() -> i64 + Send>,
    on_change: Waker,
    /// Whether something has happened that it is used for.
    changed: bool,
    /// When the connection was made; `None` without one.
    connected_at_ms: Option<i64>,
    /// Connections in a row that were lost before a record had arrived.
    unproductive_connections: u32,
    /// When to subscribe and to send the birth messages, if not at once.
    begin_at: Option<Instant>,
    birth: VecDeque<Message>,
    /// What is under way, in the order in which it was sent.
    in_flight: VecDeque<(Ticket, Sent)>,
    /// One message is sent at a time, because the last connection ended with records under way.
    cautious: bool,
    /// The record that was under way alone when the last connection ended, and how many in a row did so.
    suspect: Option<(u64, u32)>,
    /// When a record was sent last.
    sent_at: Instant,
    /// Whether the last connection ended because of a record, or a message that is too large, which is known to be the
    /// cause.
    ended_by_record: bool,
    /// All records up to this one have been looked at on this connection.
    cursor: u64,
    /// The newest record that was ever looked at.
    newest: u64,
    /// Messages of records that were sent, or are to be sent next.
    encoded: BTreeMap<u64, Encoded>,
    blocked: Blocked,
    /// Fields of which a record has arrived on this connection.
    open_fields: BTreeSet<String>,
    /// The newest record of each field that has arrived.
    arrived: BTreeMap<String, u64>,
    /// Bytes of topic and payload of the largest message that has arrived.
    largest_arrived: usize,
    /// Those of the smallest message other than a record that was too large for the broker, and when.
    too_large: Option<(usize, Instant)>,
    /// Whether birth messages of this connection were denied, so that they are sent again when the broker takes them.
    birth_denied: bool,
    /// Whose turn it is: volatile messages at least once and records take turns.
    volatile_next: bool,
    last_log: Option<(String, Instant)>,
}

/// What is under way.
enum Sent {
    /// With its bytes.
    Birth(usize),
    Volatile(Message),
    Record(u64),
}

/// Bytes of topic and payload.
fn bytes_of(message: &Message) -> usize {
    message.topic.len() + message.payload.len()
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
            shutdown_messages: setup.shutdown_messages,
            shared: Arc::clone(&shared),
            deliveries,
            clock: setup.clock,
            on_change: setup.on_change,
            changed: false,
            connected_at_ms: None,
            unproductive_connections: 0,
            begin_at: None,
            birth: VecDeque::new(),
            in_flight: VecDeque::new(),
            cautious: false,
            suspect: None,
            sent_at: Instant::now(),
            ended_by_record: false,
            cursor: 0,
            newest: 0,
            encoded: BTreeMap::new(),
            blocked: Blocked::default(),
            open_fields: BTreeSet::new(),
            arrived: BTreeMap::new(),
            largest_arrived: 0,
            too_large: None,
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

    /// Works until the handle ends it.
    pub(super) fn run(&mut self) {
        let mut ending = None;
        while !self.may_end(ending) {
            let left =
                ending.map_or(ROUND, |at: Ending| at.send_by.saturating_duration_since(Instant::now()).min(ROUND));
            self.step(left);
            ending = *lock(&self.shared.ending);
        }
        let left =
            ending.map_or(Duration::ZERO, |at| at.shutdown_messages_by.saturating_duration_since(Instant::now()));
        self.transport.close(&self.shutdown_messages, left);
        self.shared.set_connected(None);
    }

    /// Without a connection there is nothing to wait for.
    fn may_end(&mut self, ending: Option<Ending>) -> bool {
        let Some(Ending { send_by, .. }) = ending else { return false };
        let done = self.in_flight.is_empty()
            && self.birth.is_empty()
            && self.shared.latest_messages().is_empty()
            && self.no_record_to_send();
        done || self.connected_at_ms.is_none() || Instant::now() >= send_by
    }

    /// Sends what can be sent, then waits for one thing to happen, at most for `timeout`.
    pub(super) fn step(&mut self, timeout: Duration) {
        if self.begin_at.is_some_and(|at| at <= Instant::now()) && self.no_record_to_send() {
            self.begin();
        }
        let start = Instant::now();
        let more = self.connected_at_ms.is_some() && self.send_what_can_be();
        // Not earlier: what was sent is a part of it.
        if std::mem::take(&mut self.changed) {
            self.on_change.wake();
        }
        let timeout = if more { Duration::ZERO } else { timeout.min(self.next_due(start)) };
        let event = self.transport.poll(timeout);
        self.changed |= event != Event::Idle;
        self.handle(event);
        let waiting = self.queue.len() as u64;
        self.shared.count(|counters| counters.waiting = waiting);
        self.shared.touch();
    }

    /// How long nothing is due by time. What was due before `start` and is not done waits for an event.
    fn next_due(&self, start: Instant) -> Duration {
        let begin = self.begin_at.filter(|at| *at > start);
        let retry = self.connected_at_ms.and_then(|_| self.blocked.next_due(start));
        begin.into_iter().chain(retry).min().map_or(ROUND, |at| at.saturating_duration_since(Instant::now()).min(ROUND))
    }

    /// Whether the outbox is empty, or what is left in it has to wait.
    fn no_record_to_send(&mut self) -> bool {
        !self.in_flight.iter().any(|(_, sent)| matches!(sent, Sent::Record(_)))
            && self.queue.next(self.cursor).is_none()
    }

    /// Messages at least once that may be under way; the connection may allow fewer.
    fn window(&self) -> usize {
        if self.cautious || self.blocked.is_costly_try() { 1 } else { usize::MAX }
    }

    /// Sends until something has to be waited for. True if there is more to do at once.
    fn send_what_can_be(&mut self) -> bool {
        if self.birth.is_empty() {
            self.birth.extend(self.shared.take_announcement());
        }
        while let Some(message) = self.birth.front() {
            let once = message.qos == Qos::AtMostOnce;
            if !once && self.in_flight.len() >= self.window() {
                return false;
            }
            let message = message.clone();
            match self.give_volatile(&message) {
                Given::Taken(ticket) if !once => self.in_flight.push_back((ticket, Sent::Birth(bytes_of(&message)))),
                Given::Taken(_) => {}
                Given::Later => return false,
                Given::Never(error) => self.drop_volatile(&error),
            }
            self.birth.pop_front();
        }
        // Everything else waits for the birth messages to be through.
        if self.in_flight.iter().any(|(_, sent)| matches!(sent, Sent::Birth(_))) {
            return false;
        }
        self.send_at_most_once();
        let mut more = false;
        if self.in_flight.len() < self.window() {
            self.volatile_next = !self.volatile_next;
            let volatile_first = self.volatile_next;
            if volatile_first {
                self.send_volatile();
            }
            more = self.send_records();
            if !volatile_first {
                self.send_volatile();
            }
        }
        more
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Idle => {}
            Event::Connected => self.connected(),
            Event::Acked(ticket) => match self.landed(ticket) {
                Some(Sent::Record(id)) => self.record_arrived(id),
                Some(Sent::Birth(bytes)) => self.largest_arrived = self.largest_arrived.max(bytes),
                Some(Sent::Volatile(message)) => {
                    self.largest_arrived = self.largest_arrived.max(bytes_of(&message));
                }
                None => {}
            },
            Event::PermanentlyRejected(ticket, why) => match self.landed(ticket) {
                Some(Sent::Record(id)) => self.refuse_record(id, &why),
                Some(Sent::Birth(_) | Sent::Volatile(_)) => self.refuse_volatile(&why),
                None => {}
            },
            Event::TemporarilyRejected(ticket, why) => match self.landed(ticket) {
                Some(Sent::Record(id)) => self.block(id, Cause::Rejected, &why),
                Some(sent) => {
                    self.birth_denied |= matches!(sent, Sent::Birth(_));
                    self.refuse_volatile(&why);
                }
                None => {}
            },
            Event::TooLarge(ticket, why) => match self.landed(ticket) {
                Some(Sent::Record(id)) => self.block(id, Cause::TooLargeClosed, &why),
                Some(Sent::Birth(bytes)) => self.volatile_too_large(bytes, &why),
                Some(Sent::Volatile(message)) => self.volatile_too_large(bytes_of(&message), &why),
                None => {}
            },
            Event::Received(delivery) => {
                if let Err(mpsc::TrySendError::Full(_)) = self.deliveries.try_send(delivery) {
                    // Without the topic, which is the sender's choice: the same words are rarely logged.
                    self.log("messages were dropped because too many wait");
                    self.shared.count(|counters| counters.commands_dropped += 1);
                }
            }
            Event::Lost(why) => self.lost(why),
        }
    }

    fn landed(&mut self, ticket: Ticket) -> Option<Sent> {
        let at = self.in_flight.iter().position(|(t, _)| *t == ticket)?;
        self.in_flight.remove(at).map(|(_, sent)| sent)
    }

    fn connected(&mut self) {
        let now = (self.clock)();
        self.connected_at_ms = Some(now);
        self.in_flight.clear();
        self.birth_denied = false;
        let by_record = std::mem::take(&mut self.ended_by_record);
        // The broker may take more now.
        self.too_large.take_if(|(_, at)| !by_record && at.elapsed() >= SIZE_KNOWN);
        self.blocked.reconnected(Instant::now(), by_record);
        self.shared.count(|counters| counters.connections += 1);
        self.shared.set_connected(Some(now));
        if self.unproductive_connections < UNPRODUCTIVE_CONNECTIONS || self.queue.is_empty() {
            return self.begin();
        }
        // A message that the broker keeps and that is too large for this client, or a birth message that the broker
        // does not like, ends every connection at its beginning. Readings must get through all the same.
        self.begin_at = Some(Instant::now() + RECORDS_FIRST);
        // Logged once; the causes are logged separately.
        if self.unproductive_connections == UNPRODUCTIVE_CONNECTIONS {
            log::warn!(
                "the last {UNPRODUCTIVE_CONNECTIONS} connections were lost before a reading arrived, so the next ones begin with readings and take commands later"
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
        self.records_lost();
        if self.connected_at_ms.take().is_some() && !self.ended_by_record {
            self.unproductive_connections = self.unproductive_connections.saturating_add(1);
        }
        self.begin_at = None;
        self.birth.clear();
        for (_, sent) in std::mem::take(&mut self.in_flight) {
            if let Sent::Volatile(message) = sent {
                self.shared.latest_messages().put_back(message);
            }
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
