//! Receives messages from the broker for the node's loop. What does not need the node is answered here: malformed
//! commands, and repetitions of a pending command, however many there are.

use super::events::EventSender;
use super::log_throttle::RateLimitedLog;
use crate::publish::commands::{self, Incoming};
use crate::publish::discovery;
use crate::publish::{Delivery, DiscoveryConfig, FieldMeta, Handle, Topics};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How often refused commands are logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Parses incoming messages and queues commands.
pub struct CommandReceiver {
    topics: Topics,
    fields: Vec<FieldMeta>,
    discovery: DiscoveryConfig,
    event_sender: EventSender,
    publisher: Handle,
    refusals: RateLimitedLog,
}

impl CommandReceiver {
    /// Queues commands in `event_sender` and answers others by `publisher`.
    pub fn new(
        topics: &Topics,
        fields: &[FieldMeta],
        discovery: &DiscoveryConfig,
        event_sender: EventSender,
        publisher: Handle,
    ) -> CommandReceiver {
        CommandReceiver {
            topics: topics.clone(),
            fields: fields.to_vec(),
            discovery: discovery.clone(),
            event_sender,
            publisher,
            refusals: RateLimitedLog::new(WARN_EVERY),
        }
    }

    /// Takes messages in a thread of its own, until the publisher ends.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(mut self, deliveries: Receiver<Delivery>) -> std::io::Result<()> {
        let work = move || deliveries.iter().for_each(|delivery| self.take(&delivery));
        std::thread::Builder::new().name("commands".into()).spawn(work).map(drop)
    }

    fn take(&mut self, delivery: &Delivery) {
        if let Some(within) = discovery::on_birth(&self.discovery, delivery) {
            self.event_sender.home_assistant(within);
            return;
        }
        match commands::parse(&self.topics, &self.fields, delivery) {
            Incoming::Request(request) => {
                if let Err(refused) = self.event_sender.command(request) {
                    let (request, reason) = *refused;
                    let sentence = format!("the command {} is not carried out: {reason}", request.reply.verb());
                    self.refusals.warn(&sentence);
                    self.publisher.send(request.reply.failed(&sentence));
                }
            }
            Incoming::Refused { reason, result } => {
                self.refusals.warn(&format_args!("a command was refused: {reason}"));
                self.publisher.send(result);
            }
            Incoming::Retained(verb) => self.refusals.warn(&format_args!(
                "the broker keeps a command ({}), which is not carried out; clear that topic",
                verb.as_str()
            )),
            Incoming::Other => {}
        }
    }
}
