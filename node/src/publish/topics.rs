//! Where a node speaks: one tree of topics for each node.
//!
//! ```text
//! <base>/<node>/status              online | offline, also the last will
//! <base>/<node>/info                version, models, fields
//! <base>/<node>/stats               counters and times
//! <base>/<node>/camera/status       online | offline
//! <base>/<node>/camera/image        JPEG
//! <base>/<node>/field/<name>/state  readings
//! <base>/<node>/cmd/<verb>          commands in
//! <base>/<node>/cmd/<verb>/result   their answers
//! ```
//!
//! All parts are checked and their lengths limited when the configuration is read, so no topic can be wrong later.

#[cfg(test)]
mod tests;

use super::transport::Qos;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest base, bytes.
pub const MAX_BASE_BYTES: usize = 64;
/// Longest node id, bytes.
pub const MAX_NODE_ID_BYTES: usize = 32;
/// Longest field name, bytes.
pub const MAX_FIELD_BYTES: usize = 48;
/// Longest topic of a node, bytes.
pub const MAX_TOPIC_BYTES: usize = 160;

const MAX_ROOT_BYTES: usize = MAX_BASE_BYTES + 1 + MAX_NODE_ID_BYTES;
const _: () = assert!(MAX_ROOT_BYTES + "/field/".len() + MAX_FIELD_BYTES + "/state".len() <= MAX_TOPIC_BYTES);

/// A topic of a node.
pub type Topic = heapless::String<MAX_TOPIC_BYTES>;

/// What the topics of a node begin with, as a user writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicsConfig {
    /// First levels of all topics, `a/b` allowed.
    pub base: String,
    /// The level after it, different for each node; made from the machine's id if empty.
    pub node_id: String,
    /// First levels of the response topics (MQTT 5) to which answers to commands are sent; none if empty. Outside of
    /// `base` and of Home Assistant's topics, so that no answer is taken for a reading or a device.
    pub response_prefix: String,
}

impl Default for TopicsConfig {
    fn default() -> TopicsConfig {
        TopicsConfig { base: "ocr".into(), node_id: String::new(), response_prefix: String::new() }
    }
}

impl TopicsConfig {
    /// # Errors
    /// One sentence if a part cannot stand in a topic.
    pub fn validate(&self) -> Result<(), String> {
        check_base(&self.base)?;
        if !self.node_id.is_empty() {
            check_node_id(&self.node_id)?;
        }
        self.check_response_prefix("base", &self.base)
    }

    /// Whether response topics stay clear of the topics below `other`, the value of `key`.
    ///
    /// # Errors
    /// One sentence if they do not, or if the prefix cannot begin a topic.
    pub fn check_response_prefix(&self, key: &str, other: &str) -> Result<(), String> {
        let prefix = self.response_prefix.as_str();
        if prefix.is_empty() {
            return Ok(());
        }
        check_levels("response_prefix", prefix)?;
        match is_below(prefix, other) || is_below(other, prefix) {
            true => Err(format!(
                "response_prefix = {:?} shares topics with {key} = {:?}, where answers to commands could be taken for \
                 something else; choose another first level, such as \"answers\"",
                excerpt(prefix),
                excerpt(other)
            )),
            false => Ok(()),
        }
    }

    /// The topics; of the node `fallback_node_id` if none is configured.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn topics(&self, fallback_node_id: &str) -> Result<Topics, String> {
        let node_id = if self.node_id.is_empty() { fallback_node_id } else { &self.node_id };
        let topics = Topics::new(&self.base, node_id)?;
        self.check_response_prefix("base", &self.base)?;
        Ok(Topics { response_prefix: fitted(&self.response_prefix), ..topics })
    }
}

/// A node id for a machine that was given none: 12 hexadecimal digits of a hash of `machine_id`, the content of
/// `/etc/machine-id`. A hash, because that file's id is to be kept from networks (machine-id(5)).
pub fn node_id_of(machine_id: &str) -> String {
    let hash = Sha256::new().chain_update("edge-ocr node ").chain_update(machine_id.trim()).finalize();
    hash[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What can be asked of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Take an image and read it now.
    Read,
    /// Give a field a new base value.
    SetValue,
    /// Read the configuration again.
    Reload,
    /// Publish an image.
    Image,
    /// Stands for all others, which are refused.
    Unknown,
}

impl Verb {
    /// Those that exist.
    pub const ALL: [Verb; 4] = [Verb::Read, Verb::SetValue, Verb::Reload, Verb::Image];

    /// Its level in the topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verb::Read => "read",
            Verb::SetValue => "set_value",
            Verb::Reload => "reload",
            Verb::Image => "image",
            Verb::Unknown => "unknown",
        }
    }
}

/// The topics of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    root: heapless::String<MAX_ROOT_BYTES>,
    node_id: heapless::String<MAX_NODE_ID_BYTES>,
    /// Empty if answers go nowhere but below the root.
    response_prefix: heapless::String<MAX_BASE_BYTES>,
}

impl Topics {
    /// Topics below `base/node_id`.
    ///
    /// # Errors
    /// One sentence if `base` is not 1 to [`MAX_BASE_BYTES`] bytes of levels of ASCII letters, digits and `_ - .` with
    /// `/` between them, or `node_id` not 1 to [`MAX_NODE_ID_BYTES`] ASCII letters, digits and `-`.
    pub fn new(base: &str, node_id: &str) -> Result<Topics, String> {
        check_base(base)?;
        check_node_id(node_id)?;
        let mut root = heapless::String::new();
        for part in [base, "/", node_id] {
            fit(root.push_str(part));
        }
        Ok(Topics { root, node_id: fitted(node_id), response_prefix: heapless::String::new() })
    }

    /// The node's id.
    pub fn node_id(&self) -> &str {
        &self.node_id
    }

    /// What all its topics begin with, without a slash at the end.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Whether the node is there; the last will goes here.
    pub fn status(&self) -> Topic {
        self.join(&["/status"])
    }

    /// What the node is.
    pub fn info(&self) -> Topic {
        self.join(&["/info"])
    }

    /// How it is doing.
    pub fn stats(&self) -> Topic {
        self.join(&["/stats"])
    }

    /// Whether the camera gives images.
    pub fn camera_status(&self) -> Topic {
        self.join(&["/camera/status"])
    }

    /// The last image.
    pub fn camera_image(&self) -> Topic {
        self.join(&["/camera/image"])
    }

    /// Readings of a field.
    ///
    /// # Errors
    /// As [`check_field_name`].
    pub fn field_state(&self, field: &str) -> Result<Topic, String> {
        check_field_name(field)?;
        Ok(self.join(&["/field/", field, "/state"]))
    }

    /// Where a command comes in.
    pub fn command(&self, verb: Verb) -> Topic {
        self.join(&["/cmd/", verb.as_str()])
    }

    /// Where its answer goes.
    pub fn result(&self, verb: Verb) -> Topic {
        self.join(&["/cmd/", verb.as_str(), "/result"])
    }

    /// The verb that a topic asks for, or `None` if it is none of this node's commands.
    pub fn verb_of(&self, topic: &str) -> Option<Verb> {
        let verb = topic.strip_prefix(self.root())?.strip_prefix("/cmd/")?;
        if verb.contains('/') {
            return None;
        }
        Some(Verb::ALL.into_iter().find(|known| known.as_str() == verb).unwrap_or(Verb::Unknown))
    }

    /// Whether a topic belongs to this node.
    pub fn owns(&self, topic: &str) -> bool {
        is_below(topic, self.root())
    }

    /// Whether answers to commands may go to a topic that a sender names.
    pub fn is_response_topic(&self, topic: &str) -> bool {
        let below = topic.strip_prefix(self.response_prefix.as_str()).and_then(|rest| rest.strip_prefix('/'));
        !self.response_prefix.is_empty() && below.is_some_and(|rest| !rest.is_empty()) && !self.owns(topic)
    }

    /// What to subscribe to: commands (one level, so that the answers do not come back), and where Home Assistant says
    /// that it has started, if that is wanted.
    pub fn filters(&self, birth_topic: Option<&str>) -> Vec<(String, Qos)> {
        let commands = (self.join(&["/cmd/+"]).as_str().to_owned(), Qos::AtLeastOnce);
        [commands].into_iter().chain(birth_topic.map(|topic| (topic.to_owned(), Qos::AtLeastOnce))).collect()
    }

    /// All topics of this node, to find what a broker has kept.
    pub fn everything(&self) -> String {
        format!("{}/#", self.root)
    }

    fn join(&self, parts: &[&str]) -> Topic {
        let mut topic = Topic::new();
        fit(topic.push_str(&self.root));
        for part in parts {
            fit(topic.push_str(part));
        }
        topic
    }
}

/// Whether a topic is `prefix` or below it.
fn is_below(topic: &str, prefix: &str) -> bool {
    topic.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A text whose length was checked before.
fn fitted<const N: usize>(text: &str) -> heapless::String<N> {
    let mut fitted = heapless::String::new();
    fit(fitted.push_str(text));
    fitted
}

/// All lengths were checked before, and their sum when the program was compiled.
fn fit<E>(pushed: Result<(), E>) {
    debug_assert!(pushed.is_ok(), "a topic is longer than its parts may be");
}

/// Whether `name` can be a level of a topic and a part of Home Assistant's ids.
///
/// # Errors
/// One sentence if it is not 1 to [`MAX_FIELD_BYTES`] ASCII letters, digits, `_` and `-`.
pub fn check_field_name(name: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || name.len() > MAX_FIELD_BYTES || !name.bytes().all(good) {
        return Err(format!(
            "the field name {:?} cannot be used in topics; write name with 1 to {MAX_FIELD_BYTES} of the characters a-z, A-Z, 0-9, _ and -, \
             and put what people are to see into label",
            excerpt(name)
        ));
    }
    Ok(())
}

fn check_base(base: &str) -> Result<(), String> {
    check_levels("base", base)
}

fn check_levels(key: &str, base: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let level = |level: &str| !level.is_empty() && level.bytes().all(good);
    if base.len() > MAX_BASE_BYTES || !base.split('/').all(level) {
        return Err(format!(
            "{key} = {:?} cannot begin a topic; write at most {MAX_BASE_BYTES} of the characters a-z, A-Z, 0-9, _, - and ., \
             with / only between levels",
            excerpt(base)
        ));
    }
    Ok(())
}

// Without an underscore: it parts the node from the rest in Home Assistant's unique ids, so those of two nodes never
// meet.
fn check_node_id(node_id: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if node_id.is_empty() || node_id.len() > MAX_NODE_ID_BYTES || !node_id.bytes().all(good) {
        return Err(format!(
            "node_id = {:?} cannot name a node; write 1 to {MAX_NODE_ID_BYTES} of the characters a-z, A-Z, 0-9 and -, or leave it out",
            excerpt(node_id)
        ));
    }
    Ok(())
}

/// The beginning of a text from outside, for messages.
pub(super) fn excerpt(text: &str) -> &str {
    cut(text, 64)
}

/// At most `bytes` bytes of `text`, in whole characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
