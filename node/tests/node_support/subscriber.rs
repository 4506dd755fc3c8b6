//! Someone who listens.

use super::SOON;
use rumqttc::{Client, Connection, Event, MqttOptions, Packet, QoS, RecvTimeoutError};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
    pub duplicate: bool,
    /// When it came, milliseconds since 1970.
    pub at_ms: i64,
}

impl Received {
    /// The payload as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }
}

/// Collects messages in a thread. It connects again by itself and has a session that outlives its connections, as
/// long as the broker keeps it; a broker that does not is asked again.
pub struct Subscriber {
    client: Client,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    messages: Mutex<Vec<Received>>,
    changed: Condvar,
    stop: AtomicBool,
    subscribed: AtomicUsize,
}

impl Shared {
    fn messages(&self) -> MutexGuard<'_, Vec<Received>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    /// Listens to `filters` at the broker on `port` of 127.0.0.1; returns when the broker knows, so that nothing sent
    /// after is missed.
    pub fn new(port: u16, filters: &[&str]) -> Subscriber {
        Subscriber::with_login(port, filters, None)
    }

    /// The same, with user and password.
    pub fn with_login(port: u16, filters: &[&str], login: Option<(&str, &str)>) -> Subscriber {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut options = MqttOptions::new(format!("listener-{}-{number}", std::process::id()), "127.0.0.1", port);
        options.set_clean_session(false).set_keep_alive(Duration::from_secs(5)).set_max_packet_size(16 << 20, 16 << 20);
        if let Some((user, password)) = login {
            options.set_credentials(user, password);
        }
        let (client, connection) = Client::new(options, 100);
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let (client, shared) = (client.clone(), shared.clone());
            let filters = filters.iter().map(|&filter| filter.to_owned()).collect::<Vec<_>>();
            move || listen(connection, &client, &filters, &shared)
        });
        let subscriber = Subscriber { client, shared, thread: Some(thread) };
        assert!(
            super::wait_for(SOON, || subscriber.subscriptions() > 0),
            "the broker on port {port} takes no subscription"
        );
        subscriber
    }

    /// How often the broker has taken the subscription: once for each of its lives without memory, at least.
    pub fn subscriptions(&self) -> usize {
        self.shared.subscribed.load(Ordering::Acquire)
    }

    /// All that has come so far.
    pub fn messages(&self) -> Vec<Received> {
        self.shared.messages().clone()
    }

    /// How much has come so far.
    pub fn count(&self) -> usize {
        self.shared.messages().len()
    }

    /// What has come after the first `count` messages.
    pub fn since(&self, count: usize) -> Vec<Received> {
        self.shared.messages().get(count..).unwrap_or_default().to_vec()
    }

    /// What has come with this topic, as text.
    pub fn texts(&self, topic: &str) -> Vec<String> {
        self.shared.messages().iter().filter(|message| message.topic == topic).map(Received::text).collect()
    }

    /// Forgets what has come.
    pub fn clear(&self) {
        self.shared.messages().clear();
    }

    /// Waits until what has come satisfies `condition`; whether it did before `deadline`.
    pub fn wait(&self, deadline: Duration, condition: impl Fn(&[Received]) -> bool) -> bool {
        let waiting = |messages: &mut Vec<Received>| !condition(messages);
        let result = self.shared.changed.wait_timeout_while(self.shared.messages(), deadline, waiting);
        !result.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits for a message with this topic, and gives the last one.
    pub fn last(&self, topic: &str) -> Option<Received> {
        let is_it = |message: &&Received| message.topic == topic;
        self.wait(SOON, |messages| messages.iter().any(|message| is_it(&message)));
        self.shared.messages().iter().rfind(is_it).cloned()
    }

    /// Sends a message at least once (a command to the node).
    pub fn publish(&self, topic: &str, payload: &[u8], retain: bool) {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).expect("the thread runs");
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let _ = self.client.try_disconnect();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(mut connection: Connection, client: &Client, filters: &[String], shared: &Shared) {
    let mut refused_at = None;
    while !shared.stop.load(Ordering::Acquire) {
        match connection.recv_timeout(Duration::from_millis(100)) {
            // It would be asked again at once otherwise.
            Ok(Err(_)) => {
                let now = Instant::now();
                if refused_at.is_some_and(|at: Instant| now - at < Duration::from_millis(50)) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                refused_at = Some(now);
            }
            Ok(Ok(Event::Incoming(Packet::ConnAck(_)))) => {
                for filter in filters {
                    // Not the call that waits: this thread is the one that makes room.
                    client.try_subscribe(filter, QoS::AtLeastOnce).expect("room for a subscription");
                }
            }
            Ok(Ok(Event::Incoming(Packet::SubAck(_)))) => {
                shared.subscribed.fetch_add(1, Ordering::AcqRel);
            }
            Ok(Ok(Event::Incoming(Packet::Publish(publish)))) => {
                let (retain, duplicate) = (publish.retain, publish.dup);
                let (topic, payload, at_ms) = (publish.topic, publish.payload.to_vec(), super::wall_ms());
                let received = Received { topic, payload, retain, duplicate, at_ms };
                shared.messages().push(received);
                shared.changed.notify_all();
            }
            Ok(Ok(_)) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
