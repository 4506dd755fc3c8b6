//! What others ask of the node.
//!
//! | topic | payload |
//! |---|---|
//! | `…/cmd/read` | nothing, or `{}` |
//! | `…/cmd/set_value` | `{"field": "main", "value": 123.4}` |
//! | `…/cmd/reload` | nothing, or `{}` |
//! | `…/cmd/image` | nothing, or `{"field": "main"}` for the image of that field |
//!
//! Each may carry `"transaction"`, a number or a short string that comes back in the answer: `{"ok": true}` or `{"ok":
//! false, "error": "one sentence"}` on `…/cmd/<verb>/result`, or with MQTT 5 on the response topic that the sender
//! names, if that is below `response_prefix` of `[topics]`. Commands come from the network: they are short, every key
//! is known, and kept (retained) ones are not carried out, because they would be again after every restart.

#[cfg(test)]
mod tests;

use super::field::FieldMeta;
use super::topics::{MAX_FIELD_BYTES, Topics, Verb, cut, excerpt};
use super::transport::{Content, Delivery, Message};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest payload of a command, bytes.
pub const MAX_COMMAND_BYTES: usize = 4096;
/// Longest `transaction`, bytes.
const MAX_TRANSACTION_BYTES: usize = 128;
/// Longest topic that an answer is sent to because the sender wants it, bytes.
const MAX_RESPONSE_TOPIC_BYTES: usize = 256;
/// Seconds after which nobody waits for an answer any more (MQTT 5).
const RESULT_EXPIRY_S: u32 = 60;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Take an image and read all fields now.
    Read,
    /// Give a field with numbers a new base value.
    SetValue {
        /// Its name; such a field exists and has numbers.
        field: String,
        /// The value, finite.
        value: f64,
    },
    /// Read the configuration again.
    Reload,
    /// Publish an image.
    Image {
        /// Of this field only, which exists; `None` for the whole frame.
        field: Option<String>,
    },
}

/// A command and the way back to whoever sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// How to answer.
    pub reply: Reply,
}

/// The way back to whoever sent a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    topic: String,
    correlation: Option<Vec<u8>>,
    verb: Verb,
    transaction: Option<serde_json::Value>,
}

impl Reply {
    /// The name of the command.
    pub fn verb(&self) -> &'static str {
        self.verb.as_str()
    }

    /// It was done.
    pub fn done(&self) -> Message {
        self.message(None)
    }

    /// It was not, because of `sentence`, which names the reason and the remedy and holds no secret.
    pub fn failed(&self, sentence: &str) -> Message {
        self.message(Some(sentence))
    }

    fn message(&self, error: Option<&str>) -> Message {
        #[derive(Serialize)]
        struct Document<'a> {
            ok: bool,
            command: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            transaction: Option<&'a serde_json::Value>,
        }
        let document = Document {
            ok: error.is_none(),
            command: self.verb.as_str(),
            error,
            transaction: self.transaction.as_ref(),
        };
        // Text keys and text or numbers: nothing that JSON cannot say.
        let payload = serde_json::to_vec(&document).unwrap_or_default();
        Message {
            expiry_s: Some(RESULT_EXPIRY_S),
            correlation: self.correlation.clone(),
            ..Message::new(self.topic.as_str(), payload, Content::Json)
        }
    }
}

/// What a message that came in is.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// None of this node's commands.
    Other,
    /// A command that the broker had kept: not carried out. Worth a warning, as whoever sent it expects something.
    Retained(Verb),
    /// To be carried out and answered.
    Request(Request),
    /// Wrong; the answer says why.
    Refused {
        /// One sentence, for the log.
        reason: String,
        /// To be published.
        result: Message,
    },
}

/// Understands a message that came in. `fields` are those that exist.
pub fn parse(topics: &Topics, fields: &[FieldMeta], delivery: &Delivery) -> Incoming {
    let Some(verb) = topics.verb_of(&delivery.topic) else { return Incoming::Other };
    if delivery.retain {
        return Incoming::Retained(verb);
    }
    let mut reply = Reply {
        topic: answer_topic(topics, verb, delivery),
        correlation: delivery.correlation.clone(),
        verb,
        transaction: None,
    };
    match understand(fields, verb, delivery, &mut reply.transaction) {
        Ok(command) => Incoming::Request(Request { command, reply }),
        Err(reason) => Incoming::Refused { result: reply.failed(&reason), reason },
    }
}

/// Where the sender wants the answer, if it is below the configured prefix: anywhere else it could pass for something
/// else, such as Home Assistant's description of a device, which the node may write.
fn answer_topic(topics: &Topics, verb: Verb, delivery: &Delivery) -> String {
    let usable = |topic: &&String| {
        topic.len() <= MAX_RESPONSE_TOPIC_BYTES
            && !topic.contains(|c: char| matches!(c, '+' | '#') || c.is_control())
            && topics.is_response_topic(topic)
    };
    match delivery.response_topic.as_ref().filter(usable) {
        Some(topic) => topic.clone(),
        None => topics.result(verb).as_str().to_owned(),
    }
}

fn understand(
    fields: &[FieldMeta],
    verb: Verb,
    delivery: &Delivery,
    transaction: &mut Option<serde_json::Value>,
) -> Result<Command, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {
        #[serde(default, rename = "transaction")]
        _transaction: Option<serde_json::Value>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct SetValue {
        field: String,
        value: f64,
        #[serde(default, rename = "transaction")]
        _transaction: Option<serde_json::Value>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Image {
        #[serde(default)]
        field: Option<String>,
        #[serde(default, rename = "transaction")]
        _transaction: Option<serde_json::Value>,
    }
    let payload = delivery.payload.as_slice();
    if payload.len() > MAX_COMMAND_BYTES {
        return Err(format!(
            "the command {} has {} bytes, more than the limit of {MAX_COMMAND_BYTES}; send a shorter one",
            verb.as_str(),
            payload.len()
        ));
    }
    *transaction = find_transaction(verb, payload)?;
    match verb {
        Verb::Read => body::<Nothing>(verb, payload, "nothing or {}").map(|_| Command::Read),
        Verb::Reload => body::<Nothing>(verb, payload, "nothing or {}").map(|_| Command::Reload),
        Verb::SetValue => {
            let SetValue { field, value, .. } = body(verb, payload, r#"{"field": "main", "value": 123.4}"#)?;
            match &known(fields, &field)?.number {
                Some(_) => Ok(Command::SetValue { field, value }),
                None => Err(format!(
                    "the field {field} has text and no numbers, so it has no value to set; name another field"
                )),
            }
        }
        Verb::Image => {
            let Image { field, .. } = body(verb, payload, r#"nothing, {} or {"field": "main"}"#)?;
            if let Some(field) = &field {
                known(fields, field)?;
            }
            Ok(Command::Image { field })
        }
        Verb::Unknown => {
            let verb = delivery.topic.rsplit('/').next().unwrap_or_default();
            let known = Verb::ALL.map(Verb::as_str).join(", ");
            Err(format!("there is no command {:?}; use one of {known}", excerpt(verb)))
        }
    }
}

/// The payload as a JSON object; an empty one is an empty object.
fn body<T: DeserializeOwned>(verb: Verb, payload: &[u8], example: &str) -> Result<T, String> {
    let wrong = |reason: &str| {
        format!("the command {} cannot be understood ({}); send {example}", verb.as_str(), cut(reason, 200))
    };
    let payload = payload.trim_ascii();
    match payload.first() {
        None => serde_json::from_slice(b"{}"),
        Some(b'{') => serde_json::from_slice(payload),
        // serde would take a list for the values of the keys in their order.
        Some(_) => return Err(wrong("it is not a JSON object")),
    }
    .map_err(|error| wrong(&error.to_string()))
}

/// The transaction of any object, so that the answer to a wrong command carries it too.
fn find_transaction(verb: Verb, payload: &[u8]) -> Result<Option<serde_json::Value>, String> {
    #[derive(Deserialize)]
    struct Tagged {
        transaction: Option<serde_json::Value>,
    }
    let tag = serde_json::from_slice(payload).ok().and_then(|Tagged { transaction }| transaction);
    match &tag {
        None | Some(serde_json::Value::Number(_)) => Ok(tag),
        Some(serde_json::Value::String(text)) if text.len() <= MAX_TRANSACTION_BYTES => Ok(tag),
        Some(_) => Err(format!(
            "the transaction of the command {} is neither a number nor a string of at most {MAX_TRANSACTION_BYTES} bytes; send one of these",
            verb.as_str()
        )),
    }
}

fn known<'f>(fields: &'f [FieldMeta], name: &str) -> Result<&'f FieldMeta, String> {
    fields.iter().find(|field| field.name == name).ok_or_else(|| {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let names = names.join(", ");
        format!("there is no field {:?}; name one of {}", cut(name, MAX_FIELD_BYTES), cut(&names, 300))
    })
}
