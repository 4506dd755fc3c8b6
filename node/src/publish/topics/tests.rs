//! Topics, and which may be configured.

use super::*;
use proptest::prelude::*;

#[test]
fn the_tree() {
    let topics = Topics::new("home/ocr", "a1b2c3").unwrap();
    assert_eq!(topics.status(), "home/ocr/a1b2c3/status");
    assert_eq!(topics.camera_image(), "home/ocr/a1b2c3/camera/image");
    assert_eq!(topics.field_state("main").unwrap(), "home/ocr/a1b2c3/field/main/state");
    assert_eq!(topics.command(Verb::SetValue), "home/ocr/a1b2c3/cmd/set_value");
    assert_eq!(topics.result(Verb::Read), "home/ocr/a1b2c3/cmd/read/result");
    assert_eq!(topics.everything(), "home/ocr/a1b2c3/#");
    let filters = topics.filters(Some("homeassistant/status"));
    assert_eq!(filters[0].0, "home/ocr/a1b2c3/cmd/+");
    assert_eq!(filters[1].0, "homeassistant/status");
    assert_eq!(topics.filters(None).len(), 1);
}

#[test]
fn response_prefix_shares_no_topic() {
    let config =
        |prefix: &str| TopicsConfig { base: "home/ocr".into(), node_id: "a".into(), response_prefix: prefix.into() };
    for good in ["", "answers", "home/answers", "home/ocr2"] {
        assert_eq!(config(good).validate(), Ok(()), "{good}");
    }
    for bad in ["home", "home/ocr", "home/ocr/a/x", "a/+", "#", "/a", "a//b", "$SYS"] {
        let error = config(bad).validate().unwrap_err();
        assert!(error.starts_with("response_prefix = "), "{error}");
        assert!(config(bad).topics("").is_err());
    }
    assert!(config("homeassistant").check_response_prefix("prefix", "homeassistant").is_err());
    let topics = config("answers").topics("").unwrap();
    for (topic, may) in [
        ("answers/7", true),
        ("answers/a/b", true),
        ("answers", false),
        ("answers/", false),
        ("answersx/7", false),
        ("homeassistant/device/x/config", false),
        ("home/ocr/a/status", false),
    ] {
        assert_eq!(topics.is_response_topic(topic), may, "{topic}");
    }
    assert!(!config("").topics("").unwrap().is_response_topic("/7"), "none by default");
}

#[test]
fn verbs_and_owners() {
    let topics = Topics::new("ocr", "a").unwrap();
    for verb in Verb::ALL {
        assert_eq!(topics.verb_of(&topics.command(verb)), Some(verb));
        assert_eq!(topics.verb_of(&topics.result(verb)), None, "an answer is not a command");
    }
    assert_eq!(topics.verb_of("ocr/a/cmd/shell"), Some(Verb::Unknown));
    assert_eq!(topics.verb_of("ocr/ab/cmd/read"), None, "another node");
    assert!(topics.owns("ocr/a/status") && topics.owns("ocr/a") && !topics.owns("ocr/ab/status"));
}

#[test]
fn what_cannot_stand_in_a_topic() {
    for base in ["", "/ocr", "ocr/", "a//b", "a b", "a/+", "#", "ö", "$SYS", "a\0", &"x".repeat(65)] {
        let error = Topics::new(base, "a").unwrap_err();
        assert!(error.starts_with("base = "), "{error}");
    }
    for node in ["", "a/b", "a_b", "a b", "ü", "+", &"x".repeat(33)] {
        assert!(Topics::new("ocr", node).unwrap_err().starts_with("node_id = "), "{node}");
    }
    let topics = Topics::new("ocr", "a").unwrap();
    for field in ["", "a b", "a/b", "#", "é", "\"", &"x".repeat(49)] {
        assert!(topics.field_state(field).unwrap_err().contains("the field name"), "{field}");
    }
}

#[test]
fn the_longest_of_all_parts_fit() {
    let topics = Topics::new(&"b".repeat(MAX_BASE_BYTES), &"n".repeat(MAX_NODE_ID_BYTES)).unwrap();
    let topic = topics.field_state(&"f".repeat(MAX_FIELD_BYTES)).unwrap();
    assert!(topic.ends_with("f/state"));
    assert!(topics.result(Verb::SetValue).ends_with("/set_value/result"));
}

#[test]
fn a_machine_has_an_id_that_is_not_its_machine_id() {
    let id = node_id_of("8d3f1a2b4c5d6e7f8091a2b3c4d5e6f7\n");
    assert_eq!(id, node_id_of("8d3f1a2b4c5d6e7f8091a2b3c4d5e6f7"));
    assert_ne!(id, node_id_of("8d3f1a2b4c5d6e7f8091a2b3c4d5e6f8"));
    assert!(id.len() == 12 && !"8d3f1a2b4c5d6e7f8091a2b3c4d5e6f7".contains(&id));
    assert!(TopicsConfig::default().topics(&id).unwrap().status().starts_with(&format!("ocr/{id}/")));
}

#[test]
fn the_configuration_knows_its_keys() {
    assert!(TopicsConfig::default().validate().is_ok());
    assert!(toml::from_str::<TopicsConfig>("bases = 'x'").is_err());
    let config: TopicsConfig = toml::from_str("base = 'a b'").unwrap();
    assert!(config.validate().unwrap_err().contains("base = \"a b\""));
}

proptest! {
    #[test]
    fn any_names_give_a_topic_or_a_sentence(base in ".{0,70}", node in ".{0,40}", field in ".{0,60}") {
        if let Ok(topic) = Topics::new(&base, &node).and_then(|topics| topics.field_state(&field)) {
            prop_assert!(topic.len() <= MAX_TOPIC_BYTES);
            prop_assert!(!topic.contains(['+', '#', '\0', ' ']) && !topic.starts_with('/') && topic.is_ascii());
            let end = format!("/{node}/field/{field}/state");
            prop_assert!(topic.ends_with(&end));
        }
    }
}
