//! Home Assistant's rules for device-based discovery, written down a second time: from its schemas, not from our
//! code. Keys outside of the tables are taken for mistakes.
//!
//! `tests/home_assistant` asks Home Assistant itself, but needs root, a network and a GB, so neither `.ci/run` nor
//! `.ci/nightly` has it: this is what finds a mistake before that.

mod tables;

use serde_json::{Map, Value};
use std::collections::BTreeSet;
use tables::{AVAILABILITY, CLASSES, DEVICE, ENTITY, ORIGIN, PLATFORMS, ROOT};

/// What a message is judged with besides itself.
pub(super) struct Context {
    pub prefix: &'static str,
    /// Whether the states that it points to are retained.
    pub state_retained: bool,
    pub max_packet_bytes: usize,
}

/// What is wrong with a message, each a rule's name and where; empty if nothing is.
pub(super) fn violations(topic: &str, payload: &[u8], context: &Context) -> Vec<String> {
    let mut judge = Judge { context, found: Vec::new(), unique: BTreeSet::new(), entities: BTreeSet::new() };
    judge.topic(topic);
    if topic.len() + payload.len() + 16 > context.max_packet_bytes {
        judge.found.push(format!("size: {} bytes", payload.len()));
    }
    match serde_json::from_slice::<Map<String, Value>>(payload) {
        Ok(root) => judge.root(&root),
        Err(error) => judge.found.push(format!("json: {error}")),
    }
    judge.found
}

struct Judge<'c> {
    context: &'c Context,
    found: Vec<String>,
    unique: BTreeSet<String>,
    entities: BTreeSet<String>,
}

fn identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn slug(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    !text.is_empty()
        && text.bytes().all(plain)
        && !text.starts_with('_')
        && !text.ends_with('_')
        && !text.contains("__")
}

impl Judge<'_> {
    fn wrong(&mut self, rule: &str, place: &str) {
        self.found.push(format!("{rule}: {place}"));
    }

    fn topic(&mut self, topic: &str) {
        let id = topic
            .strip_prefix(self.context.prefix)
            .and_then(|rest| rest.strip_prefix("/device/")?.strip_suffix("/config"));
        if !id.is_some_and(identifier) {
            self.wrong("topic", topic);
        }
    }

    /// An object with its keys written out. Unknown ones, both forms of one, and `null` are wrong.
    fn expanded(&mut self, object: &Map<String, Value>, tables: &[&[(&str, &str)]], place: &str) -> Map<String, Value> {
        let mut full = Map::new();
        for (key, value) in object {
            let known = tables
                .iter()
                .copied()
                .flatten()
                .find(|(short, long)| key == long || (!short.is_empty() && key == short));
            let Some((_, long)) = known else {
                self.wrong("unknown key", &format!("{place}.{key}"));
                continue;
            };
            if value.is_null() {
                self.wrong("null", &format!("{place}.{key}"));
                continue;
            }
            if full.insert((*long).to_owned(), value.clone()).is_some() {
                self.wrong("twice", &format!("{place}.{key}"));
            }
        }
        full
    }

    fn root(&mut self, object: &Map<String, Value>) {
        let root = self.expanded(object, &[ROOT], "root");
        for key in ["device", "origin", "components"] {
            if !root.get(key).is_some_and(Value::is_object) {
                self.wrong("required", key);
            }
        }
        if let Some(device) = root.get("device").and_then(Value::as_object) {
            let device = self.expanded(device, &[DEVICE], "device");
            let listed = |key| {
                device
                    .get(key)
                    .and_then(Value::as_array)
                    .is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
            };
            if !listed("identifiers") && !device.contains_key("connections") {
                self.wrong("device identifiers", "device");
            }
            for (key, value) in &device {
                if !matches!(key.as_str(), "identifiers" | "connections") && value.as_str().is_none_or(str::is_empty) {
                    self.wrong("not text", &format!("device.{key}"));
                }
            }
        }
        if let Some(origin) = root.get("origin").and_then(Value::as_object) {
            let origin = self.expanded(origin, &[ORIGIN], "origin");
            if !origin.get("name").is_some_and(Value::is_string) {
                self.wrong("required", "origin.name");
            }
        }
        self.shared(&root, "root");
        for (key, component) in root.get("components").and_then(Value::as_object).into_iter().flatten() {
            if !identifier(key) {
                self.wrong("component key", key);
            }
            match component.as_object() {
                Some(component) => self.component(key, component, &root),
                None => self.wrong("component", key),
            }
        }
    }

    /// Availability, topics and quality of service: allowed in the root and in entities.
    fn shared(&mut self, object: &Map<String, Value>, place: &str) {
        if object.contains_key("availability") && object.contains_key("availability_topic") {
            self.wrong("availability twice", place);
        }
        if let Some(list) = object.get("availability") {
            for source in list.as_array().into_iter().flatten() {
                let source =
                    source.as_object().map(|source| self.expanded(source, &[AVAILABILITY], place)).unwrap_or_default();
                if !source.contains_key("topic") {
                    self.wrong("availability", place);
                }
                self.topics(&source, place);
            }
            if list.as_array().is_none_or(Vec::is_empty) {
                self.wrong("availability", place);
            }
        }
        if object.get("availability_mode").is_some_and(|mode| !matches!(mode.as_str(), Some("all" | "any" | "latest")))
        {
            self.wrong("availability mode", place);
        }
        if object.get("qos").is_some_and(|qos| !matches!(qos.as_u64(), Some(0..=2))) {
            self.wrong("qos", place);
        }
        self.topics(object, place);
    }

    fn topics(&mut self, object: &Map<String, Value>, place: &str) {
        for (key, value) in object.iter().filter(|(key, _)| key.ends_with("topic")) {
            let good = value.as_str().is_some_and(|topic| {
                !topic.is_empty()
                    && topic.len() <= 65535
                    && !topic.contains(['+', '#', '\0', ' '])
                    && !topic.starts_with('/')
            });
            if !good {
                self.wrong("topic syntax", &format!("{place}.{key}"));
            }
        }
    }

    fn component(&mut self, key: &str, object: &Map<String, Value>, root: &Map<String, Value>) {
        let name = object.get("p").or(object.get("platform")).and_then(Value::as_str);
        let Some(&(platform, extra, required)) = PLATFORMS.iter().find(|(platform, ..)| Some(*platform) == name) else {
            return self.wrong("platform", key);
        };
        if object.len() == 1 {
            return; // A removal.
        }
        let component = self.expanded(object, &[ENTITY, extra], key);
        self.shared(&component, key);
        for required in required {
            if !component.contains_key(*required) && !root.contains_key(*required) {
                self.wrong("required", &format!("{key}.{required}"));
            }
        }
        match component.get("unique_id").and_then(Value::as_str) {
            Some(id) if identifier(id) => {
                if !self.unique.insert(id.to_owned()) {
                    self.wrong("unique id twice", id);
                }
            }
            _ => self.wrong("unique id", key),
        }
        if component.contains_key("object_id") {
            self.wrong("object_id", key);
        }
        if let Some(id) = component.get("default_entity_id") {
            let id = id.as_str().unwrap_or_default();
            if id.len() > 255 || !id.split_once('.').is_some_and(|(domain, entity)| domain == platform && slug(entity))
            {
                self.wrong("default entity id", key);
            } else if !self.entities.insert(id.to_owned()) {
                self.wrong("default entity id twice", key);
            }
        }
        if component
            .get("entity_category")
            .is_some_and(|category| !matches!(category.as_str(), Some("diagnostic" | "config")))
        {
            self.wrong("entity category", key);
        }
        if component.get("icon").is_some_and(|icon| !icon.as_str().is_some_and(|icon| icon.contains(':'))) {
            self.wrong("icon", key);
        }
        for (at, value) in component.iter().filter(|(at, _)| at.ends_with("template")) {
            let template = value.as_str().unwrap_or_default();
            let balanced = |open: &str, close: &str| template.matches(open).count() == template.matches(close).count();
            if template.is_empty() || !balanced("{{ ", " }}") || !balanced("{%", "%}") {
                self.wrong("template", &format!("{key}.{at}"));
            }
        }
        match component.get("expire_after").map(Value::as_u64) {
            Some(None) => self.wrong("expire after", key),
            Some(Some(seconds)) if seconds > 0 && self.context.state_retained => {
                self.wrong("expire after with retain", key)
            }
            _ => {}
        }
        if component.get("retain") == Some(&Value::Bool(true)) {
            self.wrong("retained command", key);
        }
        match platform {
            "sensor" => self.sensor(key, &component),
            "image" if component.contains_key("image_topic") == component.contains_key("url_topic") => {
                self.wrong("image topic", key)
            }
            _ => {}
        }
    }

    fn sensor(&mut self, key: &str, sensor: &Map<String, Value>) {
        let text = |key: &str| sensor.get(key).and_then(Value::as_str);
        let (class, unit, statistics) = (text("device_class"), text("unit_of_measurement"), text("state_class"));
        if sensor.contains_key("options") && (class != Some("enum") || unit.is_some() || statistics.is_some()) {
            self.wrong("options", key);
        }
        if statistics.is_some_and(|statistics| !matches!(statistics, "measurement" | "total" | "total_increasing")) {
            self.wrong("state class", key);
        }
        if sensor.get("suggested_display_precision").is_some_and(|digits| digits.as_u64().is_none()) {
            self.wrong("precision", key);
        }
        let Some(class) = class else { return };
        let Some((_, kind, units)) = CLASSES.iter().find(|(known, ..)| *known == class) else {
            return self.wrong("device class", key);
        };
        let fits = unit.map_or(units.is_empty(), |unit| units.split(' ').any(|known| known == unit));
        if !fits {
            self.wrong("unit", key);
        }
        if statistics.is_some_and(|statistics| match kind {
            's' => statistics == "measurement",
            'm' => statistics != "measurement",
            'b' => false,
            _ => true,
        }) {
            self.wrong("state class of device class", key);
        }
    }
}
