//! How Home Assistant learns of a node: one message that describes the device and all its entities (device-based
//! discovery, core
//! 2024.12 and later; `default_entity_id` instead of `object_id` since 2025.10).
//!
//! It is published after every connection and whenever Home Assistant says that it has started. An entity whose field
//! is gone is removed by one message that holds nothing but its platform, followed by one without it; so the node
//! remembers what it announced last time ([`load_components`]). Home Assistant removes only what was announced since
//! its start, and keeps the rest for ever; so the node announces what is to go once more before.

mod classes;
mod components;
mod config;
mod known;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod validate;

pub use config::{DiscoveryConfig, MAX_LABEL_BYTES};
pub use known::{load_components, save_components};

use super::field::FieldMeta;
use super::retain::RetainConfig;
use super::topics::Topics;
use super::transport::{Content, Delivery, Message};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Room for what MQTT adds to topic and payload: fixed header, packet id and properties.
const HEADER_BYTES: usize = 64;

/// An entity that Home Assistant knows of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its key in the device's message.
    pub key: String,
    /// `sensor`, `button` and so on.
    pub platform: String,
}

/// The discovery message of one node.
pub struct Discovery {
    topic: String,
    /// What the node's topics begin with.
    root_topic: String,
    node_id: String,
    enabled: bool,
    root: Map<String, Value>,
    components: Map<String, Value>,
}

impl Discovery {
    /// The message of the node of `topics`. `model` is the board or the like. The configuration has been
    /// [checked](DiscoveryConfig::check).
    pub fn new(topics: &Topics, config: &DiscoveryConfig, fields: &[FieldMeta], model: &str) -> Discovery {
        let node = topics.node_id();
        let mut device = json!({
            "ids": [object_id(topics)],
            "name": components::device_name(topics, config),
            "mf": "edge-ocr",
            "mdl": if model.trim().is_empty() { "OCR node" } else { model.trim() },
            "sn": node,
            "sw": env!("CARGO_PKG_VERSION"),
        });
        if let Some(area) = config.suggested_area.as_deref().map(str::trim).filter(|area| !area.is_empty()) {
            device["sa"] = area.into();
        }
        let root = json!({
            "dev": device,
            "o": {"name": "edge-ocr", "sw": env!("CARGO_PKG_VERSION")},
            // An entity is there if the node is and the camera is. Which of several sources is believed is to be
            // said: by default it is the one that spoke last.
            "avty": [{"t": topics.status().as_str()}, {"t": topics.camera_status().as_str()}],
            "avty_mode": "all",
            "qos": 1,
        });
        let Value::Object(root) = root else { unreachable!("written as an object above") };
        Discovery {
            topic: discovery_topic(topics, config),
            root_topic: topics.root().to_owned(),
            node_id: node.to_owned(),
            enabled: config.enabled,
            root,
            components: components::components(topics, config, fields),
        }
    }

    /// The components that are announced now, to be saved for the next time; empty if discovery is off.
    pub fn components(&self) -> Vec<Component> {
        if !self.enabled {
            return Vec::new();
        }
        list(&self.components)
    }

    /// The messages, in this order, after those of `old`, which were told before. None if discovery is off and was
    /// before.
    ///
    /// # Errors
    /// One sentence if a message would not fit into `max_packet_bytes`.
    pub fn messages(
        &self,
        old: &[Component],
        retain: &RetainConfig,
        max_packet_bytes: usize,
    ) -> Result<Vec<Message>, String> {
        if !self.enabled {
            return if old.is_empty() { Ok(Vec::new()) } else { self.removal_messages(old, max_packet_bytes) };
        }
        let mut messages = self.removing(&removals(old, &self.components()), &self.components, max_packet_bytes)?;
        let announcement = self.message(self.components.clone(), max_packet_bytes)?;
        messages.push(Message { retain: retain.discovery, ..announcement });
        Ok(messages)
    }

    /// The messages after which neither Home Assistant nor the broker knows anything of the node, nor of what is only
    /// in `old`.
    ///
    /// # Errors
    /// As [`messages`](Self::messages).
    pub fn removal_messages(&self, old: &[Component], max_packet_bytes: usize) -> Result<Vec<Message>, String> {
        let now = self.components();
        let all: Vec<Component> = removals(old, &now).into_iter().chain(now).collect();
        let mut messages = self.removing(&all, &Map::new(), max_packet_bytes)?;
        // In between, whatever else is known of the device, from times that nobody remembers. Not at the end: Home
        // Assistant warns of a device that is cleared and has nothing any more.
        messages.insert(messages.len().min(1), cleared(&self.topic));
        Ok(messages)
    }

    /// Tells of what is `gone` as of something that is there, and then that it is not. None if there is nothing.
    fn removing(
        &self,
        gone: &[Component],
        staying: &Map<String, Value>,
        max_packet_bytes: usize,
    ) -> Result<Vec<Message>, String> {
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let (mut once_more, mut last_words) = (staying.clone(), staying.clone());
        for Component { key, platform } in gone {
            once_more.insert(key.clone(), components::stub(&self.root_topic, &self.node_id, key, platform));
            last_words.insert(key.clone(), json!({"p": platform}));
        }
        [once_more, last_words].into_iter().map(|components| self.message(components, max_packet_bytes)).collect()
    }

    fn message(&self, components: Map<String, Value>, max_packet_bytes: usize) -> Result<Message, String> {
        let mut root = self.root.clone();
        root.insert("cmps".into(), components.into());
        let payload = Value::from(root).to_string();
        let bytes = payload.len() + self.topic.len() + HEADER_BYTES;
        if bytes > max_packet_bytes {
            return Err(format!(
                "Home Assistant's discovery of this node has {bytes} bytes, more than the limit of {max_packet_bytes} for a packet; raise \
                 max_packet_bytes here and in the broker, or spread the fields over several nodes"
            ));
        }
        Ok(Message::new(self.topic.as_str(), payload, Content::Json))
    }
}

/// The device's id, and the last but one level of its discovery topic.
fn object_id(topics: &Topics) -> String {
    format!("ocrnode_{}", topics.node_id())
}

/// Where a node is described.
pub fn discovery_topic(topics: &Topics, config: &DiscoveryConfig) -> String {
    format!("{}/device/{}/config", config.prefix, object_id(topics))
}

/// The message that makes the broker forget what it kept on a topic; on a discovery topic it also removes the device.
pub(super) fn cleared(topic: &str) -> Message {
    Message { retain: true, ..Message::new(topic, Vec::new(), Content::Bytes) }
}

/// Entities of `old` that are not in `new` any more, or are something else there.
pub fn removals(old: &[Component], new: &[Component]) -> Vec<Component> {
    let mut gone: Vec<Component> = old.iter().filter(|component| !new.contains(component)).cloned().collect();
    gone.sort();
    gone.dedup();
    gone
}

fn list(components: &Map<String, Value>) -> Vec<Component> {
    let platform = |component: &Value| component.get("p").or(component.get("platform"))?.as_str().map(str::to_owned);
    let of = |(key, component): (&String, &Value)| Some(Component { key: key.clone(), platform: platform(component)? });
    components.iter().filter_map(of).collect()
}

/// The entities of a message that a broker has kept, for nodes that have no disk to remember them.
///
/// # Errors
/// One sentence if `payload` is not such a message.
pub fn components_of(payload: &[u8]) -> Result<Vec<Component>, String> {
    let wrong = || {
        "the discovery message that the broker has kept is not one of a device; clear it with --clear-retained"
            .to_owned()
    };
    let root: Map<String, Value> = serde_json::from_slice(payload).map_err(|_| wrong())?;
    let components = root.get("cmps").or(root.get("components")).and_then(Value::as_object);
    components.map(list).ok_or_else(wrong)
}

/// The time within which the node repeats its discovery message if `delivery` says that Home Assistant has started: at
/// a random moment, so that a fleet does not answer all at once. A message that the broker had kept does not say so: it
/// comes with every connection, after which the node publishes anyway.
pub fn on_birth(config: &DiscoveryConfig, delivery: &Delivery) -> Option<Duration> {
    let born = delivery.topic == config.birth_topic && delivery.payload == b"online" && !delivery.retain;
    (config.enabled && born).then(|| Duration::from_millis(config.birth_jitter_ms.into()))
}
