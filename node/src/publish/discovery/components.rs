//! The entities of a node.

use super::DiscoveryConfig;
use super::config::state_class;
use crate::publish::field::FieldMeta;
use crate::publish::topics::{Topics, Verb, cut};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// States of Home Assistant have at most 255 characters; longer text is in the attributes.
const TEXT: &str = "{{ value_json.raw[:255] }}";

/// All components by their keys, with Home Assistant's abbreviations: they halve a payload that has to fit into one
/// packet.
pub(super) fn components(topics: &Topics, config: &DiscoveryConfig, fields: &[FieldMeta]) -> Map<String, Value> {
    // A name without a Latin letter leaves nothing of itself.
    let named = slug(&device_name(topics, config), 48);
    let device = if named.is_empty() { slug(&format!("ocr {}", topics.node_id()), 48) } else { named };
    let mut all = Components { topics, device, taken: BTreeSet::new(), made: Map::new() };
    for field in fields {
        all.field(field);
    }
    all.node(config);
    all.made
}

/// The least that Home Assistant takes for an entity of a platform, to be removed at once: its topics are nobody's.
pub(super) fn stub(root: &str, node_id: &str, key: &str, platform: &str) -> Value {
    let mut stub = json!({"p": platform, "uniq_id": unique_id(node_id, key)});
    let nobody = format!("{root}/gone");
    match platform {
        "button" => stub["cmd_t"] = nobody.into(),
        "image" => stub["img_t"] = nobody.into(),
        _ => stub["stat_t"] = nobody.into(),
    }
    if platform == "event" {
        stub["evt_typ"] = json!(["read"]);
    }
    stub
}

fn unique_id(node_id: &str, key: &str) -> String {
    format!("{node_id}_{key}")
}

/// What the device is called.
pub(super) fn device_name(topics: &Topics, config: &DiscoveryConfig) -> String {
    match config.name.trim() {
        "" => format!("OCR {}", topics.node_id()),
        name => name.to_owned(),
    }
}

struct Components<'a> {
    topics: &'a Topics,
    /// The device's part of entity ids.
    device: String,
    /// Entity ids that are given away.
    taken: BTreeSet<String>,
    made: Map<String, Value>,
}

impl Components<'_> {
    /// The entities of a field. Their keys end in words that no entity of the node ends in, and names have no such
    /// end removed, so no two are the same whatever the fields are called.
    fn field(&mut self, field: &FieldMeta) {
        // A name that cannot be a topic was refused when the configuration was read.
        let Ok(topic) = self.topics.field_state(&field.name) else { return };
        let (name, label, topic) = (&field.name, field.label(), topic.as_str());

        let mut value = json!({"name": label, "stat_t": topic});
        match &field.number {
            Some(number) => {
                let digits = field.labels.precision.or(number.decimals);
                value["val_tpl"] = "{{ value_json.value }}".into();
                put(&mut value, "unit_of_meas", number.unit.as_deref());
                put(&mut value, "dev_cla", field.labels.device_class.as_deref());
                put(&mut value, "stat_cla", state_class(field).map(|statistics| statistics.as_str()));
                put(&mut value, "sug_dsp_prc", digits);
            }
            // `None` makes the state unknown, as it is without a value; nothing would be a text of no characters.
            None => value["val_tpl"] = "{{ value_json.value[:255] if value_json.value else none }}".into(),
        }
        put(&mut value, "ic", field.labels.icon.as_deref());
        self.expiring(field, &format!("{name}_value"), "sensor", name, value);

        // The attributes are here and not with the value: both come from one message, yet Home Assistant sets them
        // one after the other, and automations on the value would fire twice.
        let text = json!({
            "name": format!("{label} text"), "stat_t": topic, "val_tpl": TEXT, "ent_cat": "diagnostic", "json_attr_t": topic,
            "json_attr_tpl": "{{ {'text': value_json.raw, 'status': value_json.status, 'candidates': value_json.candidates, \
                              'captured_at': value_json.captured_at, 'historical': value_json.historical, \
                              'rebased': value_json.rebased} | tojson }}",
        });
        self.expiring(field, &format!("{name}_text"), "sensor", &format!("{name}_text"), text);

        let confidence = json!({
            "name": format!("{label} confidence"), "stat_t": topic, "val_tpl": "{{ (value_json.confidence*100)|round(1) }}",
            "unit_of_meas": "%", "stat_cla": "measurement", "ent_cat": "diagnostic",
        });
        self.expiring(field, &format!("{name}_confidence"), "sensor", &format!("{name}_confidence"), confidence);

        // It is to say that the camera is the problem, so it does not depend on the camera.
        let problem = json!({
            "name": format!("{label} problem"), "stat_t": topic, "dev_cla": "problem",
            "val_tpl": "{{ 'OFF' if value_json.status=='ok' else 'ON' }}", "avty": self.node_only(),
        });
        self.expiring(field, &format!("{name}_problem"), "binary_sensor", &format!("{name}_problem"), problem);

        if field.labels.event {
            // Home Assistant leaves out empty results and events that the broker had kept. A reading that is told
            // again, because Home Assistant or the broker has started, or that waited for the broker, is historical:
            // nothing is happening now.
            let event = json!({
                "name": format!("{label} read"), "stat_t": topic, "evt_typ": ["read"],
                "val_tpl": "{% if value_json.status=='ok' and value_json.changed and not value_json.historical %}{{ {'event_type': 'read', 'value': value_json.value, \
                            'confidence': value_json.confidence, 'captured_at': value_json.captured_at} | tojson }}{% endif %}",
            });
            self.add(&format!("{name}_event"), "event", &format!("{name}_read"), event);
        }
    }

    /// The entities of the node itself.
    fn node(&mut self, config: &DiscoveryConfig) {
        // Home Assistant would send PRESS, which is not JSON.
        let button = |name: &str, topics: &Topics, verb: Verb| json!({"name": name, "cmd_t": topics.command(verb).as_str(), "pl_prs": "{}"});
        let mut read = button("Read now", self.topics, Verb::Read);
        read["avty"] = self.node_only();
        self.add("read_now", "button", "read_now", read);
        if config.image {
            let image =
                json!({"name": "Last frame", "img_t": self.topics.camera_image().as_str(), "cont_type": "image/jpeg"});
            self.add("last_frame", "image", "last_frame", image);
            let mut ask = button("Publish image", self.topics, Verb::Image);
            ask["ent_cat"] = "diagnostic".into();
            self.add("publish_image", "button", "publish_image", ask);
        }
        if config.diagnostics {
            for (key, name, template, rest) in DIAGNOSTICS {
                let mut sensor = json!({
                    "name": name, "stat_t": self.topics.stats().as_str(), "val_tpl": template, "ent_cat": "diagnostic", "en": false,
                    "avty": self.node_only(),
                });
                for (key, value) in *rest {
                    sensor[*key] = (*value).into();
                }
                self.add(key, "sensor", key, sensor);
            }
            let throttled = json!({
                "name": "Throttled", "stat_t": self.topics.stats().as_str(), "dev_cla": "problem", "ent_cat": "diagnostic", "en": false,
                "val_tpl": "{{ 'ON' if value_json.throttled else 'OFF' }}", "avty": self.node_only(),
            });
            self.add("throttled", "binary_sensor", "throttled", throttled);
        }
    }

    /// Instead of node and camera, which all others depend on.
    fn node_only(&self) -> Value {
        json!([{"t": self.topics.status().as_str()}])
    }

    fn expiring(&mut self, field: &FieldMeta, key: &str, platform: &str, entity: &str, mut component: Value) {
        put(&mut component, "exp_aft", Some(field.labels.expire_after_s).filter(|seconds| *seconds > 0));
        self.add(key, platform, entity, component);
    }

    fn add(&mut self, key: &str, platform: &str, entity: &str, mut component: Value) {
        component["p"] = platform.into();
        component["uniq_id"] = unique_id(self.topics.node_id(), key).into();
        component["def_ent_id"] = self.entity_id(platform, entity).into();
        self.made.insert(key.to_owned(), component);
    }

    /// `sensor.<device>_<entity>`, and a number behind if a name like it came before: `a-b` and `a_b` are one there.
    fn entity_id(&mut self, domain: &str, entity: &str) -> String {
        let id = match slug(entity, 64) {
            entity if entity.is_empty() => format!("{domain}.{}", self.device),
            entity => format!("{domain}.{}_{entity}", self.device),
        };
        let mut free = id.clone();
        let mut number = 2;
        while !self.taken.insert(free.clone()) {
            free = format!("{id}_{number}");
            number += 1;
        }
        free
    }
}

type Texts = &'static [(&'static str, &'static str)];

/// Key, name, template and the rest of the sensors about the node.
const DIAGNOSTICS: &[(&str, &str, &str, Texts)] = &[
    (
        "temperature",
        "Temperature",
        "{{ value_json.temperature_c }}",
        &[("dev_cla", "temperature"), ("unit_of_meas", "°C"), ("stat_cla", "measurement")],
    ),
    (
        "memory",
        "Memory",
        "{{ value_json.rss_bytes }}",
        &[("dev_cla", "data_size"), ("unit_of_meas", "B"), ("stat_cla", "measurement")],
    ),
    ("uptime", "Uptime", "{{ value_json.uptime_s }}", &[("dev_cla", "duration"), ("unit_of_meas", "s")]),
    (
        "round_time",
        "Time of a round (95 %)",
        "{{ (value_json.latency_ms.round|default({}, true)).p95|default(none) }}",
        &[("dev_cla", "duration"), ("unit_of_meas", "ms"), ("stat_cla", "measurement")],
    ),
    ("outbox_waiting", "Readings waiting", "{{ value_json.outbox.waiting }}", &[("stat_cla", "measurement")]),
    ("outbox_dropped", "Readings dropped", "{{ value_json.outbox.dropped }}", &[("stat_cla", "total_increasing")]),
    ("reconnects", "Reconnects", "{{ value_json.mqtt.reconnects }}", &[("stat_cla", "total_increasing")]),
];

/// Sets a key that there is a value for: Home Assistant refuses `null`.
fn put(component: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        component[key] = value.into();
    }
}

/// A part of an entity id: `a-z`, `0-9` and single underscores between them, at most `bytes` bytes. Empty if nothing
/// is left.
fn slug(text: &str, bytes: usize) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('_') => {}
            _ => slug.push('_'),
        }
        if slug.len() > bytes {
            break;
        }
    }
    cut(&slug, bytes).trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slugs() {
        assert_eq!(slug("Water meter (cellar)", 48), "water_meter_cellar");
        assert_eq!(slug("Zähler \"Öl\"", 48), "z_hler_l");
        assert_eq!(slug("水道", 48), "");
        assert_eq!(slug("--a--b--", 48), "a_b");
        assert_eq!(slug("abc def", 4), "abc");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_slug(text in any::<String>(), bytes in 0usize..60) {
            let slug = slug(&text, bytes);
            prop_assert!(slug.len() <= bytes && !slug.starts_with('_') && !slug.ends_with('_') && !slug.contains("__"));
            prop_assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        }
    }
}
