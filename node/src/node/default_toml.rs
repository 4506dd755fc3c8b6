//! Tests of `default.toml`: it has every key, each value in it is the default or marked `e.g.`, and each can be used.

use super::command_limits::CommandsConfig;
use super::config::{DEFAULT_TOML, FieldSection, NodeConfig, NodeSection, Which};
use super::metrics::MetricsConfig;
use super::schedule::TriggerConfig;
use super::{AlignConfig, AnnotateConfig, FieldConfig, MarkConfig};
use crate::camera::{
    CommandConfig, Common, DirectoryConfig, HttpConfig, ReplayConfig, SourceConfig, SourceKind, V4l2Config,
};
use crate::publish::mqtt::{MqttConfig, TlsConfig};
use crate::publish::outbox::OutboxConfig;
use crate::publish::{DiscoveryConfig, FieldLabels, PublisherConfig, RetainConfig, TopicsConfig};
use crate::rules::{NumberConfig, RulesConfig, VoteConfig};
use crate::util::config_file;
use edge_ocr::config::{Config, Mode};
use edge_ocr::detect::ScoreMode;
use edge_ocr::models::{Kind, Store};
use edge_ocr::target;
use serde::Serialize;
use serde_json::{Value, json};

/// Marks a value that is not the default: before a key that is commented out, or behind any other.
const EXAMPLE: &str = "e.g.";

/// `key = value`, commented out or not.
#[derive(Debug)]
struct Entry {
    /// Which line it is, counted from 0.
    at: usize,
    /// Which line has the header of its table.
    header_at: usize,
    /// Its table, in brackets.
    header: &'static str,
    key: &'static str,
    /// `key = value` without what makes it a comment.
    text: &'static str,
    commented: bool,
    example: bool,
}

impl Entry {
    /// Each value in it, with its path: `detect.db.thresh`.
    fn leaves(&self) -> Vec<(String, Value)> {
        let table: toml::Table = toml::from_str(self.text).unwrap_or_else(|e| panic!("{}: {e}", self.text));
        let mut leaves = Vec::new();
        let mut rest = vec![(String::new(), json!(table))];
        while let Some((path, value)) = rest.pop() {
            match value {
                Value::Object(table) => {
                    let dot = if path.is_empty() { "" } else { "." };
                    rest.extend(table.into_iter().map(|(key, value)| (format!("{path}{dot}{key}"), value)));
                }
                value => leaves.push((path, value)),
            }
        }
        leaves
    }
}

fn entries() -> Vec<Entry> {
    let (mut header, mut header_at, mut entries) = ("", 0, Vec::new());
    for (at, line) in DEFAULT_TOML.lines().enumerate() {
        let plain = line.strip_prefix("# ");
        let text = plain.unwrap_or(line);
        if text.starts_with('[') {
            (header, header_at) = (text, at);
        }
        let marked = text.strip_prefix(EXAMPLE).map(str::trim_start);
        let text = marked.unwrap_or(text);
        let key = text.split(" = ").next().unwrap_or_default();
        let is_key = key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.".contains(&b));
        if is_key && text.contains(" = ") {
            let example = marked.is_some() || line.ends_with(&format!("# {EXAMPLE}"));
            entries.push(Entry { at, header_at, header, key, text, commented: plain.is_some(), example });
        }
    }
    entries
}

fn to_value(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// The tables of the file with their defaults. `[source]` is there once for each kind.
fn tables() -> Vec<(&'static str, Value)> {
    let directory = SourceKind::Directory(DirectoryConfig::default());
    let mut trigger = to_value(TriggerConfig::default());
    trigger["interval_s"] = json!(TriggerConfig::DEFAULT_INTERVAL_S);
    let mut field = to_value(FieldConfig::default());
    let rules = RulesConfig { number: Some(NumberConfig::default()), ..RulesConfig::default() };
    field.as_object_mut().unwrap().extend(to_value(rules).as_object().unwrap().clone());
    field["home_assistant"] = to_value(FieldLabels::default());
    field["publish"] = to_value(Which::default());
    field["vote"] = to_value(VoteConfig::default());
    field["rec_score_thresh"] = to_value(Mode::Page.score_thresh());
    let mut mqtt = to_value(MqttConfig::default());
    mqtt["port"] = json!(MqttConfig::default().port());
    // Never written out.
    mqtt["password_in_clear"] = Value::Null;
    mqtt.as_object_mut().unwrap().remove("tls").unwrap();
    let mut align = to_value(AlignConfig::default());
    align.as_object_mut().unwrap().remove("marks").unwrap();
    vec![
        ("[node]", to_value(NodeSection::default())),
        ("[source]", to_value(SourceConfig { kind: directory, common: Common::default() })),
        ("[source]", to_value(HttpConfig::default())),
        ("[source]", to_value(CommandConfig::default())),
        ("[source]", to_value(V4l2Config::default())),
        ("[source]", to_value(ReplayConfig::default())),
        ("[trigger]", trigger),
        ("[commands]", to_value(CommandsConfig::default())),
        ("[[field]]", field),
        ("[align]", align),
        ("[[align.marks]]", to_value(MarkConfig::default())),
        ("[pipeline]", pipeline()),
        ("[image]", to_value(AnnotateConfig::default())),
        ("[mqtt]", mqtt),
        ("[mqtt.tls]", to_value(TlsConfig::default())),
        ("[publish]", to_value(PublisherConfig::default())),
        ("[topics]", to_value(TopicsConfig::default())),
        ("[retain]", to_value(RetainConfig::default())),
        ("[discovery]", to_value(DiscoveryConfig::default())),
        ("[outbox]", to_value(OutboxConfig::default())),
        ("[metrics]", to_value(MetricsConfig::default())),
    ]
}

/// The defaults of `[pipeline]`, with what the default models bring.
fn pipeline() -> Value {
    let (config, store) = (Config::default(), Store::new(None));
    let detector = store.manifest(&config.models.det).unwrap().detector.as_ref();
    let classifier = store.manifest(&config.models.cls).unwrap().classifier.as_ref().unwrap();
    let mut pipeline = to_value(&config);
    pipeline["detect"]["db"] = to_value(config.detect.db.apply_to(detector, ScoreMode::Adaptive));
    pipeline["cls_thresh"] = to_value(classifier.thresh);
    // The fields decide these.
    for key in ["mode", "classify", "rec_score_thresh", "regions", "rotate_deg", "enhance"] {
        pipeline.as_object_mut().unwrap().remove(key).unwrap();
    }
    for key in ["allowed_chars", "pattern"] {
        pipeline["recognise"].as_object_mut().unwrap().remove(key).unwrap();
    }
    pipeline
}

/// Whether the target decides a key of `[pipeline]`: the file shows the values of `host`.
fn of_target(path: &str) -> bool {
    ["detect.scale.canvases_px", "detect.scale.max_side_px", "models.det", "recognise.widths.buckets"].contains(&path)
}

/// Equal as `f32`, which most of them are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a as f32 == b as f32,
            _ => a == b,
        },
    }
}

/// Three of `[pipeline]` and one of `[align]` were others, and nobody could tell defaults from examples.
#[test]
fn default_toml_values_are_the_defaults() {
    let (tables, mut wrong, mut count) = (tables(), Vec::new(), 0);
    for entry in entries().iter().filter(|entry| !entry.example) {
        for (path, shown) in entry.leaves() {
            if target::NAME != "host" && of_target(&path) {
                continue;
            }
            let pointer = format!("/{}", path.replace('.', "/"));
            let defaults: Vec<&Value> = tables
                .iter()
                .filter(|(header, _)| *header == entry.header)
                .filter_map(|(_, table)| table.pointer(&pointer).filter(|value| !value.is_null()))
                .collect();
            if !defaults.iter().any(|default| same(default, &shown)) {
                wrong.push(format!("line {}: {path} is shown as {shown}, but is {defaults:?}", entry.at + 1));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty() && count > 100, "{count} values: {wrong:#?}");
}

/// One did not exist.
#[test]
fn default_toml_names_models_that_exist() {
    let (store, mut count) = (Store::new(None), 0);
    for (path, name) in entries().iter().filter(|entry| entry.header == "[pipeline]").flat_map(Entry::leaves) {
        let kind = match path.as_str() {
            "models.det" => Kind::Detector,
            "models.rec" => Kind::Recogniser,
            "models.cls" => Kind::Classifier,
            _ => continue,
        };
        assert_eq!(store.manifest(name.as_str().unwrap()).map(|model| model.kind), Some(kind), "{path} = {name}");
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn default_toml_has_every_key_that_there_is() {
    let entries = entries();
    let mut missing = Vec::new();
    for (header, default) in tables() {
        let paths: Vec<String> = entries
            .iter()
            .filter(|entry| entry.header == header)
            .flat_map(|entry| entry.leaves().into_iter().map(|(path, _)| path).chain([entry.key.to_owned()]))
            .collect();
        let mut rest = vec![(String::new(), &default)];
        while let Some((path, value)) = rest.pop() {
            for (key, value) in value.as_object().into_iter().flatten() {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{key}");
                let given = |given: &String| *given == path || given.starts_with(&format!("{path}."));
                if !paths.iter().any(given) {
                    missing.push(format!("{header} {path}"));
                }
                rest.push((path, value));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The file with some of its lines no longer commented out.
fn with(lines: impl Fn(usize) -> bool) -> Result<NodeConfig, String> {
    let text: String = DEFAULT_TOML
        .lines()
        .enumerate()
        .map(|(at, line)| match lines(at) {
            true => line.trim_start_matches("# ").trim_start_matches(EXAMPLE).trim_start().to_owned() + "\n",
            false => line.to_owned() + "\n",
        })
        .collect();
    config_file::parse(&text, "default.toml")
}

#[test]
fn default_toml_comments_can_be_used() {
    // Keys of other kinds of source are not to stand beside the one that is given.
    let entries = entries();
    let commented: Vec<&Entry> = entries.iter().filter(|entry| entry.commented && entry.header != "[source]").collect();
    assert!(commented.len() > 60, "{}", commented.len());
    for entry in &commented {
        let config = with(|at| at == entry.at || at == entry.header_at);
        assert!(config.is_ok(), "{}: {config:?}", entry.text);
    }
    // And all defaults together.
    let config = with(|at| commented.iter().any(|e| !e.example && (at == e.at || at == e.header_at)));
    assert!(config.is_ok(), "{config:?}");
}

#[test]
fn default_toml_is_the_default_configuration() {
    let given: NodeConfig = toml::from_str(DEFAULT_TOML).unwrap();
    let source = given.source.clone().unwrap();
    assert_eq!(source.common, Common::default());
    let fields = vec![FieldSection {
        read: FieldConfig { name: "text".into(), mode: Mode::Page, ..FieldConfig::default() },
        ..FieldSection::default()
    }];
    assert_eq!(given, NodeConfig { source: given.source.clone(), fields, ..NodeConfig::default() });
}
