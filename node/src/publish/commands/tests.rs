//! Commands that are understood, and those that are refused.

use super::*;
use crate::publish::TopicsConfig;
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
    let config = TopicsConfig { response_prefix: "clients".into(), ..TopicsConfig::default() };
    parse(&config.topics("a").unwrap(), &fields, delivery)
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
        assert!(!reason.contains(". ") && !reason.ends_with('.') && reason.len() < 700, "not one sentence: {reason}");
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
    let failed = request.reply.failed("the camera gave no image; see the log");
    assert_eq!(json(&failed)["error"], "the camera gave no image; see the log");

    let Incoming::Refused { result, .. } = parsed(&delivery("read", r#"{"transaction":"x","y":1}"#)) else { panic!() };
    assert_eq!(json(&result)["transaction"], "x", "wrong commands are told apart too");

    let five = |topic: &str| Delivery {
        response_topic: Some(topic.into()),
        correlation: Some(vec![0, 255]),
        ..delivery("reload", "")
    };
    let Incoming::Request(request) = parsed(&five("clients/7/answers")) else { panic!() };
    let done = request.reply.done();
    assert_eq!((done.topic.as_str(), done.correlation), ("clients/7/answers", Some(vec![0, 255])));
    let long = format!("clients/{}", "x".repeat(300));
    for bad in ["", "clients/+", "#", "$SYS/x", "clients/a\0", "clients", "ocr/a/status", "ocr/a/cmd/read", &long] {
        let Incoming::Request(request) = parsed(&five(bad)) else { panic!() };
        assert_eq!(request.reply.done().topic, "ocr/a/cmd/reload/result", "{bad}");
    }
}

/// The node may write Home Assistant's description of it, which the broker may keep.
#[test]
fn response_topic_elsewhere_is_ignored() {
    let to = |topic: &str| Delivery { response_topic: Some(topic.into()), ..delivery("read", "") };
    for elsewhere in ["homeassistant/device/ocrnode_a/config", "ocr/b/status", "answers/7", "clientsx/7"] {
        let Incoming::Request(request) = parsed(&to(elsewhere)) else { panic!("{elsewhere}") };
        assert_eq!(request.reply.done().topic, "ocr/a/cmd/read/result", "{elsewhere}");
    }
    let without = Topics::new("ocr", "a").unwrap();
    let Incoming::Request(request) = parse(&without, &[], &to("clients/7")) else { panic!("without a prefix") };
    assert_eq!(request.reply.done().topic, "ocr/a/cmd/read/result");
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
