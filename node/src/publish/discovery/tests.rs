use super::validate::{Context, violations};
use super::*;
use crate::publish::field::{FieldLabels, NumberMeta, StateClass};
use crate::publish::payload::PayloadFormat;
use crate::publish::topics::MAX_FIELD_BYTES;
use proptest::prelude::*;

const LIMIT: usize = 256 * 1024;

fn context(state_retained: bool) -> Context {
    Context { prefix: "homeassistant", state_retained, max_packet_bytes: LIMIT }
}

fn topics() -> Topics {
    Topics::new("ocr", "a1b2c3").unwrap()
}

fn config() -> DiscoveryConfig {
    DiscoveryConfig { enabled: true, name: "Water meter".into(), ..DiscoveryConfig::default() }
}

fn number(name: &str, class: Option<&str>, unit: Option<&str>, increasing: bool) -> FieldMeta {
    FieldMeta {
        name: name.into(),
        label: String::new(),
        number: Some(NumberMeta { unit: unit.map(str::to_owned), decimals: Some(3), increasing }),
        labels: FieldLabels { device_class: class.map(str::to_owned), ..FieldLabels::default() },
    }
}

fn text(name: &str) -> FieldMeta {
    FieldMeta { name: name.into(), ..FieldMeta::default() }
}

fn water() -> FieldMeta {
    number("main", Some("water"), Some("m³"), true)
}

/// What is told, after the check that the node makes, too.
fn announce(config: &DiscoveryConfig, fields: &[FieldMeta], retain: &RetainConfig) -> Vec<Message> {
    config.check(fields, retain, PayloadFormat::Json).unwrap();
    Discovery::new(&topics(), config, fields, "").messages(&[], retain, LIMIT).unwrap()
}

fn assert_valid(messages: &[Message], retain: &RetainConfig) {
    for message in messages {
        let found = violations(&message.topic, &message.payload, &context(retain.state));
        assert!(found.is_empty(), "{found:#?}\n{}", String::from_utf8_lossy(&message.payload));
    }
}

fn json(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

#[test]
fn a_water_meter() {
    let retain = RetainConfig::default();
    let messages = announce(&config(), &[water()], &retain);
    assert_valid(&messages, &retain);
    let [message] = &messages[..] else { panic!("one message") };
    assert_eq!(message.topic, "homeassistant/device/ocrnode_a1b2c3/config");
    assert!(!message.retain, "not by default");
    let json = json(message);
    assert_eq!(json["dev"]["ids"], json!(["ocrnode_a1b2c3"]));
    assert_eq!(json["avty"], json!([{"t": "ocr/a1b2c3/status"}, {"t": "ocr/a1b2c3/camera/status"}]));
    assert_eq!(json["avty_mode"], "all");
    assert_eq!(
        json["cmps"]["main_value"],
        json!({
            "p": "sensor", "uniq_id": "a1b2c3_main_value", "def_ent_id": "sensor.water_meter_main", "name": "main", "dev_cla": "water",
            "stat_cla": "total_increasing", "unit_of_meas": "m³", "sug_dsp_prc": 3, "stat_t": "ocr/a1b2c3/field/main/state",
            "val_tpl": "{{ value_json.value }}",
        })
    );
    assert_eq!(json["cmps"]["main_problem"]["val_tpl"], "{{ 'OFF' if value_json.status=='ok' else 'ON' }}");
    assert_eq!(json["cmps"]["main_confidence"]["unit_of_meas"], "%");
    assert_eq!(json["cmps"]["read_now"]["cmd_t"], "ocr/a1b2c3/cmd/read");
    assert_eq!(json["cmps"]["last_frame"]["img_t"], "ocr/a1b2c3/camera/image");
    for diagnostic in
        ["temperature", "memory", "uptime", "round_time", "outbox_waiting", "outbox_dropped", "reconnects", "throttled"]
    {
        assert_eq!(json["cmps"][diagnostic]["en"], false, "{diagnostic}");
        assert_eq!(json["cmps"][diagnostic]["ent_cat"], "diagnostic", "{diagnostic}");
    }
}

#[test]
fn several_configurations_are_valid() {
    let kept = RetainConfig { discovery: true, ..RetainConfig::default() };
    let fresh = RetainConfig { state: false, ..RetainConfig::default() };
    let mut expiring = water();
    expiring.labels.expire_after_s = 900;
    expiring.labels.icon = Some("mdi:water".into());
    expiring.labels.precision = Some(2);
    let mut event = text("plate");
    event.labels.event = true;
    let bare = DiscoveryConfig { image: false, diagnostics: false, name: String::new(), ..config() };
    let area = DiscoveryConfig { suggested_area: Some("Keller".into()), ..config() };
    let power = number("power", Some("power"), Some("kW"), false);
    let total = FieldMeta {
        labels: FieldLabels { state_class: Some(StateClass::Total), ..water().labels },
        ..number("net", None, Some("m³"), false)
    };
    for (config, fields, retain) in [
        (config(), vec![], &kept),
        (config(), vec![water(), power, text("plate")], &kept),
        (bare.clone(), vec![expiring, event], &fresh),
        (area, vec![number("n", None, None, false), number("t", Some("temperature"), Some("°C"), false), total], &kept),
        (bare, vec![number("ph", Some("ph"), None, false), number("gas", Some("gas"), Some("m³"), false)], &fresh),
    ] {
        let messages = announce(&config, &fields, retain);
        assert_valid(&messages, retain);
        assert_eq!(messages[0].retain, retain.discovery);
    }
}

#[test]
fn hostile_names_are_valid() {
    let retain = RetainConfig::default();
    let labels = ["Wasser \"kalt\"", "水道メーター", "{{ states('x') }}", "  ", "a/b#+", "'; DROP", "~", "\\", "🚰"];
    let fields: Vec<FieldMeta> = labels
        .iter()
        .enumerate()
        .map(|(at, label)| FieldMeta { label: (*label).into(), ..number(&format!("f{at}"), None, None, false) })
        .collect();
    for name in labels.into_iter().chain(["水道", "-"]) {
        let config = DiscoveryConfig { name: name.into(), ..config() };
        assert_valid(&announce(&config, &fields, &retain), &retain);
    }
    // Names that differ only in what an entity id cannot have, or look like our own.
    let names = ["a-b", "a_b", "A_b", "-", "_", "a", "a_value", "read_now", "read", "temperature", "stats"];
    let fields: Vec<FieldMeta> = names.iter().map(|name| number(name, None, None, true)).collect();
    assert_valid(&announce(&config(), &fields, &retain), &retain);
}

#[test]
fn sixty_fields_fit_and_too_many_are_refused() {
    let retain = RetainConfig::default();
    let name = |at: usize| format!("{at}{}", "f".repeat(MAX_FIELD_BYTES - 4));
    let fields: Vec<FieldMeta> = (0..60).map(|at| number(&name(at), Some("water"), Some("m³"), true)).collect();
    let messages = announce(&config(), &fields, &retain);
    assert_valid(&messages, &retain);
    let error = Discovery::new(&topics(), &config(), &fields, "").messages(&[], &retain, 10_240).unwrap_err();
    assert!(error.contains("limit of 10240") && error.contains("max_packet_bytes"), "{error}");
}

#[test]
fn total_increasing_only_where_nothing_falls() {
    let retain = RetainConfig::default();
    for (field, expected) in [
        (water(), "total_increasing"),
        (number("main", Some("water"), Some("m³"), false), "total"),
        (number("main", None, None, false), "measurement"),
    ] {
        assert_eq!(json(&announce(&config(), &[field], &retain)[0])["cmps"]["main_value"]["stat_cla"], expected);
    }
}

#[test]
fn a_field_that_is_gone_is_removed() {
    let retain = RetainConfig { discovery: true, ..RetainConfig::default() };
    let before = Discovery::new(&topics(), &config(), &[water(), text("plate")], "");
    let after = Discovery::new(&topics(), &config(), &[water()], "");
    let messages = after.messages(&before.components(), &retain, LIMIT).unwrap();
    assert_valid(&messages, &retain);
    let [once_more, removing, last] = &messages[..] else { panic!("three messages") };
    // Home Assistant, which may have started since, removes only what it knows.
    for key in ["plate_value", "plate_problem", "plate_text", "plate_confidence"] {
        let stub = &json(once_more)["cmps"][key];
        assert_eq!((&stub["uniq_id"], &stub["stat_t"]), (&json!(format!("a1b2c3_{key}")), &json!("ocr/a1b2c3/gone")));
    }
    assert_eq!(json(once_more)["cmps"]["main_value"], json(last)["cmps"]["main_value"]);
    assert_eq!(json(removing)["cmps"]["plate_value"], json!({"p": "sensor"}));
    assert_eq!(json(removing)["cmps"]["plate_problem"], json!({"p": "binary_sensor"}));
    assert!(json(last)["cmps"].get("plate_value").is_none());
    assert_eq!(
        messages.iter().map(|message| message.retain).collect::<Vec<_>>(),
        [false, false, true],
        "only what stays is kept"
    );
    assert_eq!(components_of(&last.payload).unwrap(), after.components());
    assert_eq!(after.messages(&after.components(), &retain, LIMIT).unwrap().len(), 1);

    let off = DiscoveryConfig { enabled: false, ..config() };
    let off = Discovery::new(&topics(), &off, &[water()], "");
    let messages = off.messages(&before.components(), &retain, LIMIT).unwrap();
    let [once_more, cleared, last_words] = &messages[..] else { panic!("three messages") };
    assert_valid(&[once_more.clone(), last_words.clone()], &retain);
    assert!(cleared.retain && cleared.payload.is_empty() && cleared.topic.ends_with("/config"));
    assert!(off.messages(&[], &retain, LIMIT).unwrap().is_empty() && off.components().is_empty());
}

/// Home Assistant may have started since the node last spoke, and what is cleared may be all kinds of entities.
#[test]
fn shutdown_sends_all_discovery_once_more() {
    let retain = RetainConfig::default();
    let mut event = text("plate");
    event.labels.event = true;
    let now = Discovery::new(&topics(), &config(), &[event], "");
    let old = [Component { key: "main_value".into(), platform: "sensor".into() }];
    let messages = now.removal_messages(&old, LIMIT).unwrap();
    let [once_more, cleared, last_words] = &messages[..] else { panic!("three messages") };
    assert_valid(&[once_more.clone(), last_words.clone()], &retain);
    assert_eq!([once_more.retain, cleared.retain, last_words.retain], [false, true, false]);
    assert!(cleared.payload.is_empty() && cleared.topic == once_more.topic);
    let mut all = [&old[..], &now.components()].concat();
    all.sort();
    for message in [once_more, last_words] {
        let mut told = components_of(&message.payload).unwrap();
        told.sort();
        assert_eq!(told, all);
    }
    assert!(json(last_words)["cmps"].as_object().unwrap().values().all(|one| one.as_object().unwrap().len() == 1));
}

/// What is told again after a start of Home Assistant or the broker is no event: that would open the gate once more.
#[test]
fn templates_of_text_and_events() {
    let mut field = text("plate");
    field.labels.event = true;
    let json = json(&announce(&config(), &[field], &RetainConfig::default())[0]);
    let event = json["cmps"]["plate_event"]["val_tpl"].as_str().unwrap();
    assert!(event.contains("value_json.changed and not value_json.historical %}"), "{event}");
    // Without a value the state is unknown and not a text without characters.
    assert_eq!(json["cmps"]["plate_value"]["val_tpl"], "{{ value_json.value[:255] if value_json.value else none }}");
}

#[test]
fn entity_with_new_platform_removed_first() {
    let of = |platform: &str| Component { key: "x".into(), platform: platform.into() };
    assert_eq!(removals(&[of("sensor")], &[of("binary_sensor")]), [of("sensor")]);
    assert!(removals(&[of("sensor")], &[of("sensor")]).is_empty());
}

#[test]
fn what_a_broker_kept_may_be_anything() {
    for payload in [&b""[..], b"{}", b"[]", b"{\"cmps\":[]}", b"\xff"] {
        assert!(components_of(payload).unwrap_err().contains("--clear-retained"));
    }
    let long = br#"{"components":{"x":{"platform":"sensor"},"y":{}}}"#;
    assert_eq!(components_of(long).unwrap(), [Component { key: "x".into(), platform: "sensor".into() }]);
}

#[test]
fn births() {
    let birth = |topic: &str, payload: &str, retain: bool| Delivery {
        topic: topic.into(),
        payload: payload.into(),
        retain,
        duplicate: false,
        response_topic: None,
        correlation: None,
        token: 0,
    };
    let online = birth("homeassistant/status", "online", false);
    assert_eq!(on_birth(&config(), &online), Some(Duration::from_secs(5)));
    assert_eq!(on_birth(&DiscoveryConfig::default(), &online), None, "discovery is off");
    for other in [
        birth("homeassistant/status", "offline", false),
        birth("homeassistant/status", "online", true),
        birth("ocr/a1b2c3/status", "online", false),
    ] {
        assert_eq!(on_birth(&config(), &other), None);
    }
}

/// Each case breaks one thing of a good message; the validator has to find that and nothing else.
#[test]
fn the_validator_finds_what_is_broken() {
    type Break = fn(&mut Value);
    let cases: [(&str, Break); 38] = [
        ("required: device", |m| drop(m.as_object_mut().unwrap().remove("dev"))),
        ("required: origin", |m| drop(m.as_object_mut().unwrap().remove("o"))),
        ("required: components", |m| drop(m.as_object_mut().unwrap().remove("cmps"))),
        ("required: origin.name", |m| m["o"] = json!({"sw": "1"})),
        ("unknown key: root.~", |m| m["~"] = "ocr/a".into()),
        ("unknown key: root.name", |m| m["name"] = "x".into()),
        ("unknown key: root.uniq_id", |m| m["uniq_id"] = "x".into()),
        ("unknown key: root.ret", |m| m["ret"] = true.into()),
        ("unknown key: origin.mf", |m| m["o"]["mf"] = "x".into()),
        ("unknown key: device.uniq_id", |m| m["dev"]["uniq_id"] = "x".into()),
        ("device identifiers", |m| drop(m["dev"].as_object_mut().unwrap().remove("ids"))),
        ("device identifiers", |m| m["dev"]["ids"] = json!([])),
        ("twice: device.sw_version", |m| m["dev"]["sw_version"] = "2".into()),
        ("null: main_value.ic", |m| m["cmps"]["main_value"]["ic"] = Value::Null),
        ("platform: main_value", |m| drop(m["cmps"]["main_value"].as_object_mut().unwrap().remove("p"))),
        ("platform: main_value", |m| m["cmps"]["main_value"]["p"] = "sensors".into()),
        ("unique id: main_value", |m| drop(m["cmps"]["main_value"].as_object_mut().unwrap().remove("uniq_id"))),
        ("unique id: main_value", |m| m["cmps"]["main_value"]["uniq_id"] = "a b".into()),
        ("unique id twice", |m| m["cmps"]["main_text"]["uniq_id"] = "a1b2c3_main_value".into()),
        ("object_id: main_value", |m| m["cmps"]["main_value"]["obj_id"] = "water".into()),
        ("default entity id: main_value", |m| m["cmps"]["main_value"]["def_ent_id"] = "water_meter".into()),
        ("default entity id: main_value", |m| m["cmps"]["main_value"]["def_ent_id"] = "button.water_meter".into()),
        ("default entity id: main_value", |m| m["cmps"]["main_value"]["def_ent_id"] = "sensor.Water".into()),
        ("unknown key: main_value.valtpl", |m| m["cmps"]["main_value"]["valtpl"] = "x".into()),
        ("unknown key: main_value.dev", |m| m["cmps"]["main_value"]["dev"] = json!({"ids": ["x"]})),
        ("unknown key: read_now.stat_cla", |m| m["cmps"]["read_now"]["stat_cla"] = "total".into()),
        ("required: main_value.state_topic", |m| {
            drop(m["cmps"]["main_value"].as_object_mut().unwrap().remove("stat_t"))
        }),
        ("required: read_now.command_topic", |m| drop(m["cmps"]["read_now"].as_object_mut().unwrap().remove("cmd_t"))),
        ("availability twice", |m| m["avty_t"] = "ocr/a/status".into()),
        ("availability mode", |m| m["avty_mode"] = "both".into()),
        ("options", |m| m["cmps"]["main_value"]["ops"] = json!(["a"])),
        ("expire after with retain", |m| m["cmps"]["main_value"]["exp_aft"] = 60.into()),
        ("unit: main_value", |m| m["cmps"]["main_value"]["unit_of_meas"] = "m3".into()),
        ("device class: main_value", |m| m["cmps"]["main_value"]["dev_cla"] = "watre".into()),
        ("state class of device class", |m| m["cmps"]["main_value"]["stat_cla"] = "measurement".into()),
        ("topic syntax: main_value.state_topic", |m| m["cmps"]["main_value"]["stat_t"] = "ocr/+/state".into()),
        ("retained command", |m| m["cmps"]["read_now"]["ret"] = true.into()),
        ("template: main_value.value_template", |m| m["cmps"]["main_value"]["val_tpl"] = "{{ value_json.value".into()),
    ];
    let good = announce(&config(), &[water()], &RetainConfig::default());
    for (expected, damage) in cases {
        let mut message = json(&good[0]);
        damage(&mut message);
        let found = violations(&good[0].topic, message.to_string().as_bytes(), &context(true));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}: {found:?}");
    }
    for (expected, topic, payload, limit) in [
        ("topic", "homeassistant/device/water meter/config", &good[0].payload[..], LIMIT),
        ("topic", "homeassistant/sensor/x/config", &good[0].payload[..], LIMIT),
        ("size", &good[0].topic, &good[0].payload[..], 1000),
        ("json", &good[0].topic, &good[0].payload[1..], LIMIT),
    ] {
        let found = violations(topic, payload, &Context { max_packet_bytes: limit, ..context(true) });
        assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}: {found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever passes the check of the configuration is valid for Home Assistant.
    #[test]
    fn what_is_accepted_is_valid(
        device in ".{0,60}",
        fields in proptest::collection::vec(
            (".{0,12}|[a-z0-9_-]{1,48}", ".{0,60}", any::<bool>(), any::<bool>(), proptest::sample::select(vec!["water", "gas", "energy", "temperature", "ph", "voltage", "x", ""]),
             proptest::sample::select(vec!["m³", "kWh", "°C", "V", "m3", ""]), 0u32..2, any::<bool>()),
            0..8,
        ),
        state in any::<bool>(),
    ) {
        let retain = RetainConfig { state, ..RetainConfig::default() };
        let config = DiscoveryConfig { name: device, ..config() };
        let fields: Vec<FieldMeta> = fields
            .into_iter()
            .map(|(name, label, is_number, increasing, class, unit, expire_after_s, event)| FieldMeta {
                name,
                label,
                number: is_number.then(|| NumberMeta {
                    unit: Some(unit.to_owned()).filter(|unit| !unit.is_empty()),
                    decimals: None,
                    increasing,
                }),
                labels: FieldLabels {
                    device_class: Some(class.to_owned()).filter(|class| is_number && !class.is_empty()),
                    expire_after_s,
                    event,
                    ..FieldLabels::default()
                },
            })
            // One field at a time decides whether it is accepted, otherwise hardly any list would be.
            .filter(|field| config.check(std::slice::from_ref(field), &retain, PayloadFormat::Json).is_ok())
            .collect();
        prop_assume!(config.check(&fields, &retain, PayloadFormat::Json).is_ok());
        for message in Discovery::new(&topics(), &config, &fields, "").messages(&[], &retain, LIMIT).unwrap() {
            let found = violations(&message.topic, &message.payload, &context(state));
            prop_assert!(found.is_empty(), "{:?}", found);
        }
    }
}
