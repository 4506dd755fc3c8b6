//! What the node says of itself.

use super::stats::STATS_SCHEMA;
use super::{READING_SCHEMA, Stats, WIRE_VERSION, json, rfc3339};
use crate::publish::retain::RetainConfig;
use crate::publish::topics::{Topics, Verb};
use crate::publish::transport::{Content, Message, Qos};
use edge_ocr::infer::Ran;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeMap;

/// Name and version of the node's description.
const INFO_SCHEMA: &str = "edge-ocr.info/1";

/// Seconds after which nobody needs an image any more that could not be delivered (MQTT 5).
const IMAGE_EXPIRY_S: u32 = 300;

/// What a node is. Nothing in it may be secret: whoever may subscribe reads it. Names come from the configuration,
/// addresses without user and password from [`FrameSource::describe`](crate::camera::FrameSource::describe).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Info {
    /// This run of it, see [`Record::boot_id`](crate::publish::Record).
    pub boot_id: String,
    /// When it started, milliseconds since 1970.
    pub started_at_ms: i64,
    /// Name of the engine.
    pub engine: String,
    /// Target that the program was built for.
    pub target: String,
    /// Instruction set of the kernels.
    pub isa: String,
    /// Detector.
    pub det: String,
    /// Recogniser.
    pub rec: String,
    /// The recogniser that reads again what the first is not certain of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_rec: Option<String>,
    /// Text-line classifier.
    pub cls: Option<String>,
    /// What runs detector and recogniser, by their names, with an engine that finds that out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ran: BTreeMap<String, Ran>,
    /// Where frames come from.
    pub source: String,
    /// What is read.
    pub fields: Vec<InfoField>,
    /// The image that is published, if any.
    pub image: Option<ImageInfo>,
    /// Hash of the configuration in force, hexadecimal: tells nodes of a fleet apart that run another one.
    pub config_sha256: String,
}

/// A field of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct InfoField {
    /// Its name.
    pub name: String,
    /// What people see.
    pub label: String,
    /// Unit of its numbers.
    pub unit: Option<String>,
    /// Topic of its readings.
    pub topic: String,
}

/// The image of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ImageInfo {
    /// Its topic.
    pub topic: String,
    /// Most bytes that it has.
    pub max_bytes: u64,
}

/// `online` or `offline`.
fn presence(topic: &str, there: bool, retain: &RetainConfig) -> Message {
    let payload = if there { "online" } else { "offline" };
    Message { retain: retain.status, ..Message::new(topic, payload, Content::Text) }
}

/// To be published after every connection.
pub fn online(topics: &Topics, retain: &RetainConfig) -> Message {
    presence(&topics.status(), true, retain)
}

/// To be published before disconnecting, because an orderly end makes the broker forget the will.
pub fn offline(topics: &Topics, retain: &RetainConfig) -> Message {
    presence(&topics.status(), false, retain)
}

/// The last will: what the broker publishes when the node is gone without a word.
pub fn will(topics: &Topics, retain: &RetainConfig) -> Message {
    offline(topics, retain)
}

/// Whether the camera gives images.
pub fn camera_status(topics: &Topics, online: bool, retain: &RetainConfig) -> Message {
    presence(&topics.camera_status(), online, retain)
}

/// An image, never kept by the broker.
pub fn camera_image(topics: &Topics, jpeg: Vec<u8>) -> Message {
    Message {
        qos: Qos::AtMostOnce,
        expiry_s: Some(IMAGE_EXPIRY_S),
        ..Message::new(topics.camera_image().as_str(), jpeg, Content::Jpeg)
    }
}

/// The node's description.
pub fn info(topics: &Topics, info: &Info, retain: &RetainConfig, zone: &TimeZone) -> Message {
    #[derive(Serialize)]
    struct Schemas {
        reading: &'static str,
        reading_postcard: u8,
        stats: &'static str,
    }
    #[derive(Serialize)]
    struct Document<'a> {
        schema: &'static str,
        node: &'a str,
        name: &'static str,
        version: &'static str,
        started_at: String,
        commands: [&'static str; Verb::ALL.len()],
        schemas: Schemas,
        #[serde(flatten)]
        info: &'a Info,
    }
    let document = Document {
        schema: INFO_SCHEMA,
        node: topics.node_id(),
        name: "edge-ocr",
        version: env!("CARGO_PKG_VERSION"),
        started_at: rfc3339(info.started_at_ms, zone),
        commands: Verb::ALL.map(Verb::as_str),
        schemas: Schemas { reading: READING_SCHEMA, reading_postcard: WIRE_VERSION, stats: STATS_SCHEMA },
        info,
    };
    Message { retain: retain.info, ..Message::new(topics.info().as_str(), json(&document, 0), Content::Json) }
}

/// The statistics; lost without harm, and the next ones replace them.
pub fn stats(topics: &Topics, stats: &Stats, at_ms: i64, zone: &TimeZone) -> Message {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: &'static str,
        node: &'a str,
        at: String,
        at_ms: i64,
        #[serde(flatten)]
        stats: &'a Stats,
    }
    let document = Document { schema: STATS_SCHEMA, node: topics.node_id(), at: rfc3339(at_ms, zone), at_ms, stats };
    Message { qos: Qos::AtMostOnce, ..Message::new(topics.stats().as_str(), json(&document, 0), Content::Json) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::payload::Latency;
    use crate::rules::Status;

    fn topics() -> Topics {
        Topics::new("ocr", "a").unwrap()
    }

    fn parsed(message: &Message) -> serde_json::Value {
        serde_json::from_slice(&message.payload).unwrap()
    }

    #[test]
    fn presence_is_kept_and_certain() {
        let retain = RetainConfig::default();
        for (message, topic, payload) in [
            (online(&topics(), &retain), "ocr/a/status", "online"),
            (offline(&topics(), &retain), "ocr/a/status", "offline"),
            (will(&topics(), &retain), "ocr/a/status", "offline"),
            (camera_status(&topics(), true, &retain), "ocr/a/camera/status", "online"),
            (camera_status(&topics(), false, &retain), "ocr/a/camera/status", "offline"),
        ] {
            assert_eq!((message.topic.as_str(), message.payload.as_slice()), (topic, payload.as_bytes()));
            assert!(message.retain && message.qos == Qos::AtLeastOnce);
        }
    }

    #[test]
    fn images_and_statistics_are_not_kept() {
        let zone = TimeZone::UTC;
        for message in [camera_image(&topics(), vec![0xff, 0xd8]), stats(&topics(), &Stats::default(), 0, &zone)] {
            assert!(!message.retain && message.qos == Qos::AtMostOnce, "{}", message.topic);
        }
    }

    #[test]
    fn the_description() {
        let about = Info {
            boot_id: "b".into(),
            fields: vec![InfoField { name: "main".into(), unit: Some("m³".into()), ..InfoField::default() }],
            ..Info::default()
        };
        let message = info(&topics(), &about, &RetainConfig::default(), &TimeZone::UTC);
        assert!(message.retain);
        let json = parsed(&message);
        assert_eq!(json["schema"], "edge-ocr.info/1");
        assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(json["schemas"]["reading"], READING_SCHEMA);
        assert_eq!(json["fields"][0]["unit"], "m³");
        assert_eq!(json["commands"][1], "set_value");
        assert!(json["cls"].is_null() && json["image"].is_null());
    }

    #[test]
    fn the_statistics() {
        let mut numbers = Stats { frames: 7, temperature_c: Some(f32::NAN), ..Stats::default() };
        numbers.count(Status::Ok);
        numbers.count(Status::Stale);
        numbers.latency_ms.insert("round".into(), Latency { p50: 12.5, p95: 80.25 });
        let json = parsed(&stats(&topics(), &numbers, 0, &TimeZone::UTC));
        assert_eq!(json["schema"], STATS_SCHEMA);
        assert_eq!(json["frames"], 7);
        assert_eq!(json["latency_ms"]["round"]["p95"], 80.25);
        assert!(json["temperature_c"].is_null() && json["throttled"].is_null());
        let readings = json["readings"].as_object().unwrap();
        assert_eq!(readings.len(), Status::ALL.len());
        assert_eq!((&readings["ok"], &readings["stale"], &readings["rate"]), (&1.into(), &1.into(), &0.into()));
    }
}
