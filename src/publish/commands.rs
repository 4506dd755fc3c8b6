//! What others ask of the node.
//!
//! | topic | payload |
//! |---|---|
//! | `…/cmd/read` | nothing, or `{}` |
//! | `…/cmd/set_value` | `{"field": "main", "value": 123.4}` |
//! | `…/cmd/reload` | nothing, or `{}` |
//! | `…/cmd/image` | nothing, or `{"field": "main"}` for the picture of that field |
//!
//! Each may carry `"transaction"`, a number or a short string that comes back in the answer: `{"ok": true}` or `{"ok": false, "error":
//! "one sentence"}` on `…/cmd/<verb>/result`, or with MQTT 5 where the sender wants it. Commands come from the network: they are
//! short, every key is known, and kept (retained) ones are not carried out, because they would be again after every restart.

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
    /// Take a picture and read all fields now.
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
    /// Publish a picture.
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
    /// It was done.
    pub fn done(&self) -> Message {
        self.message(None)
    }

    /// It was not, because of `sentence`, which names the reason and the mend and holds no secret.
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

/// Where the sender wants the answer, if messages can go there; never among the node's own topics, where it could pass for something
/// else.
fn answer_topic(topics: &Topics, verb: Verb, delivery: &Delivery) -> String {
    let usable = |topic: &&String| {
        !topic.is_empty()
            && topic.len() <= MAX_RESPONSE_TOPIC_BYTES
            && !topic.starts_with('$')
            && !topic.contains(|c: char| matches!(c, '+' | '#') || c.is_control())
            && !topics.owns(topic)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::field::NumberMeta;
    use proptest::prelude::*;

    fn delivery(verb: &str, payload: &str) -> Delivery {
        Delivery {
            topic: format!("ocr/a/cmd/{verb}"),
            payload: payload.into(),
            retain: false,
            duplicate: false,
            response_topic: None,
            correlation: None,
            token: 0,
        }
    }

    fn parsed(delivery: &Delivery) -> Incoming {
        let fields = [
            FieldMeta { name: "main".into(), number: Some(NumberMeta::default()), ..FieldMeta::default() },
            FieldMeta { name: "plate".into(), ..FieldMeta::default() },
        ];
        parse(&Topics::new("ocr", "a").unwrap(), &fields, delivery)
    }

    fn command(verb: &str, payload: &str) -> Command {
        match parsed(&delivery(verb, payload)) {
            Incoming::Request(request) => request.command,
            other => panic!("{verb} {payload}: {other:?}"),
        }
    }

    fn json(message: &Message) -> serde_json::Value {
        serde_json::from_slice(&message.payload).unwrap()
    }

    #[test]
    fn good_commands() {
        for nothing in ["", " \n", "{}", r#"{"transaction":"t"}"#] {
            assert_eq!(command("read", nothing), Command::Read);
            assert_eq!(command("reload", nothing), Command::Reload);
            assert_eq!(command("image", nothing), Command::Image { field: None });
        }
        let set = Command::SetValue { field: "main".into(), value: 123.4 };
        assert_eq!(command("set_value", r#"{"field":"main","value":123.4}"#), set);
        assert_eq!(command("image", r#"{"field":"plate"}"#), Command::Image { field: Some("plate".into()) });
    }

    #[test]
    fn bad_commands_are_answered_with_one_sentence() {
        let long = format!("{{\"transaction\":\"{}\"}}", "x".repeat(MAX_COMMAND_BYTES));
        for (verb, payload, expected) in [
            ("read", "PRESS", "cannot be understood"),
            ("read", r#"{"now":true}"#, "unknown field `now`"),
            ("read", "[]", "not a JSON object"),
            ("set_value", r#"["main",1]"#, "not a JSON object"),
            ("read", "\u{0}", "cannot be understood"),
            ("read", &"[".repeat(4000), "cannot be understood"),
            ("read", &long, "more than the limit of 4096"),
            ("read", r#"{"transaction":{"a":1}}"#, "neither a number nor a string"),
            ("set_value", "", "missing field `field`"),
            ("set_value", r#"{"field":"main"}"#, "missing field `value`"),
            ("set_value", r#"{"field":"main","value":"12"}"#, "invalid type"),
            ("set_value", r#"{"field":"main","value":1e999}"#, "out of range"),
            ("set_value", r#"{"field":"main","value":NaN}"#, "cannot be understood"),
            ("set_value", r#"{"field":"main","value":1,"value":2}"#, "duplicate field"),
            ("set_value", r#"{"field":"none","value":1}"#, "there is no field \"none\"; name one of main, plate"),
            ("set_value", r#"{"field":"plate","value":1}"#, "no numbers"),
            ("image", r#"{"field":"none"}"#, "there is no field"),
            ("shell", "rm -rf /", "there is no command \"shell\"; use one of read, set_value, reload, image"),
        ] {
            let Incoming::Refused { reason, result } = parsed(&delivery(verb, payload)) else {
                panic!("{verb} {payload} was not refused")
            };
            assert!(reason.contains(expected), "{verb} {payload}: {reason}");
            assert!(
                !reason.contains(". ") && !reason.ends_with('.') && reason.len() < 700,
                "not one sentence: {reason}"
            );
            assert_eq!(json(&result)["ok"], false);
            assert_eq!(json(&result)["error"], reason);
            let verb = if verb == "shell" { "unknown" } else { verb };
            assert_eq!(result.topic, format!("ocr/a/cmd/{verb}/result"));
            assert!(!result.retain);
        }
    }

    /// Tasmota's "ghost switching".
    #[test]
    fn kept_commands_are_not_carried_out() {
        let kept = Delivery { retain: true, ..delivery("read", "") };
        assert_eq!(parsed(&kept), Incoming::Retained(Verb::Read));
    }

    #[test]
    fn other_messages_are_not_commands() {
        for topic in ["homeassistant/status", "ocr/a/cmd/read/result", "ocr/b/cmd/read", "ocr/a/status", "ocr/a/cmd"] {
            let other = Delivery { topic: topic.into(), ..delivery("read", "") };
            assert_eq!(parsed(&other), Incoming::Other, "{topic}");
        }
    }

    #[test]
    fn answers_find_their_way() {
        let Incoming::Request(request) = parsed(&delivery("read", r#"{"transaction":17}"#)) else { panic!() };
        let done = request.reply.done();
        assert_eq!((done.topic.as_str(), done.expiry_s), ("ocr/a/cmd/read/result", Some(60)));
        assert_eq!(json(&done), serde_json::json!({"ok": true, "command": "read", "transaction": 17}));
        let failed = request.reply.failed("the camera gave no picture; see the log");
        assert_eq!(json(&failed)["error"], "the camera gave no picture; see the log");

        let Incoming::Refused { result, .. } = parsed(&delivery("read", r#"{"transaction":"x","y":1}"#)) else {
            panic!()
        };
        assert_eq!(json(&result)["transaction"], "x", "wrong commands are told apart too");

        let five = |topic: &str| Delivery {
            response_topic: Some(topic.into()),
            correlation: Some(vec![0, 255]),
            ..delivery("reload", "")
        };
        let Incoming::Request(request) = parsed(&five("clients/7/answers")) else { panic!() };
        let done = request.reply.done();
        assert_eq!((done.topic.as_str(), done.correlation), ("clients/7/answers", Some(vec![0, 255])));
        for bad in ["", "a/+", "#", "$SYS/x", "a\0", "ocr/a/status", "ocr/a/cmd/read", &"x".repeat(300)] {
            let Incoming::Request(request) = parsed(&five(bad)) else { panic!() };
            assert_eq!(request.reply.done().topic, "ocr/a/cmd/reload/result", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_payload_is_understood_or_refused(verb in "read|set_value|reload|image|[a-z]{0,9}", payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let message = Delivery { payload, ..delivery(&verb, "") };
            match parsed(&message) {
                Incoming::Refused { result, .. } => prop_assert!(json(&result)["error"].is_string()),
                Incoming::Request(request) => prop_assert_eq!(&json(&request.reply.done())["ok"], true),
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn any_transaction_comes_back(transaction in ".{0,32}", value in any::<i32>()) {
            let payload = serde_json::json!({"field": "main", "value": value, "transaction": transaction}).to_string();
            let Incoming::Request(request) = parsed(&delivery("set_value", &payload)) else { panic!("{payload}") };
            prop_assert_eq!(&json(&request.reply.done())["transaction"], &serde_json::Value::from(transaction));
        }
    }
}
