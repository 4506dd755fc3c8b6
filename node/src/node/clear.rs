//! `edge-ocr node --clear-retained`: takes back everything that the broker keeps of a node.

use super::config::NodeConfig;
use super::error::NodeError;
use super::setup;
use crate::publish::clear;
use crate::publish::discovery::{self, Discovery};
use crate::publish::mqtt::{self, MqttConfig, Options};
use crate::publish::{Event, FieldMeta, Qos};
use edge_ocr::target;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the broker may take for all of it.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Failures of the first connection after which there is none: a name may not resolve for a moment, and a broker may
/// just start.
const TRIES: u32 = 3;
/// Pauses between connections, ms: somebody waits for the end.
const PAUSES_MS: [u32; 2] = [200, 2000];
/// When no retained message has come for this time, the broker has sent all of them.
const RETAINED_QUIET_TIME: Duration = Duration::from_millis(1500);

/// Empties every topic that this node may have had the broker keep, Home Assistant's discovery included; gives their
/// number.
///
/// # Errors
/// [`NodeError`]: the configuration, or a broker that is not there or refuses.
pub fn clear_retained(config: &NodeConfig) -> Result<usize, NodeError> {
    let topics = config.topics().map_err(NodeError::Config)?;
    let names = config.fields.iter().map(|field| field.read.name.as_str());
    let metas: Vec<FieldMeta> = config.fields.iter().map(|field| field.meta()).collect();
    let device = Discovery::new(&topics, &config.discovery, &metas, target::DESCRIPTION);
    let (old, room) = (setup::announced_before(config), config.mqtt.max_packet_out_bytes as usize);
    let messages = clear::clear_retained(&topics, names, &device, &old, room).map_err(NodeError::Config)?;
    let mut messages = VecDeque::from(messages);
    // Fields that are configured no more are found by what the broker has kept.
    let filters = [topics.everything(), discovery::discovery_topic(&topics, &config.discovery)];
    let filters = filters.map(|filter| (filter, Qos::AtMostOnce));
    let mut count = 0;
    let client_id = format!("edge-ocr-{}-clear", topics.node_id());
    let [backoff_min_ms, backoff_max_ms] = PAUSES_MS;
    let broker = MqttConfig { backoff_min_ms, backoff_max_ms, ..config.mqtt.clone() };
    let mut transport =
        mqtt::connect(&broker, &client_id, None, Options::default()).map_err(|e| NodeError::Config(e.to_string()))?;
    let deadline = Instant::now() + TIMEOUT;
    let mut under_way = None;
    let mut problem = String::from("it did not answer in time");
    // Nothing is cleared while the broker still sends what it has kept.
    let mut quiet_at = None;
    let (mut connected, mut failures) = (false, 0);
    while Instant::now() < deadline {
        let quiet = quiet_at.is_some_and(|at| at <= Instant::now());
        if quiet && under_way.is_none() {
            let Some(message) = messages.front() else {
                transport.close(&[], Duration::from_secs(2));
                return Ok(count);
            };
            under_way = Some(transport.publish(message).map_err(|e| NodeError::Broker(e.to_string()))?);
        }
        match transport.poll(Duration::from_millis(100)) {
            Event::Connected => {
                connected = true;
                transport.subscribe(&filters).map_err(|e| NodeError::Broker(e.to_string()))?;
                quiet_at = Some(Instant::now() + RETAINED_QUIET_TIME);
            }
            Event::Received(delivery) => {
                let known = messages.iter().any(|message| message.topic == delivery.topic);
                if let Some(found) = clear::clear_found(&topics, &config.discovery, &delivery)
                    && !known
                {
                    messages.push_back(found);
                }
                // Only retained messages count: an empty message that clears a topic comes back without the flag.
                if delivery.retain {
                    quiet_at = Some(Instant::now() + RETAINED_QUIET_TIME);
                }
            }
            Event::Acked(ticket) if under_way == Some(ticket) => {
                // Only empty payloads count: the discovery message before them clears nothing.
                count += usize::from(messages.pop_front().is_some_and(|message| message.payload.is_empty()));
                under_way = None;
            }
            Event::PermanentlyRejected(_, reason)
            | Event::TemporarilyRejected(_, reason)
            | Event::TooLarge(_, reason) => {
                return Err(NodeError::Broker(reason));
            }
            Event::Lost(reason) if !connected && failures + 1 >= TRIES => return Err(NodeError::Broker(reason)),
            Event::Lost(reason) => (failures, quiet_at, under_way, problem) = (failures + 1, None, None, reason),
            _ => {}
        }
    }
    Err(NodeError::Broker(problem))
}
