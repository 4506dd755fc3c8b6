//! A record as a message.

use super::{WIRE_VERSION, WireReading, json, rfc3339, share};
use crate::publish::field::FieldMeta;
use crate::publish::record::Record;
use crate::publish::retain::RetainConfig;
use crate::publish::topics::{Topics, cut};
use crate::publish::transport::{Content, Message};
use crate::rules::{MAX_CANDIDATES, Status, Value};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Name and version of the JSON form of a reading.
pub const READING_SCHEMA: &str = "edge-ocr.reading/1";

/// Longest text of a reading, bytes of UTF-8; what is longer is cut after a whole character. With all of it escaped a
/// message still fits into the usual packet of 256 KiB.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Longest text of a candidate, bytes of UTF-8.
const MAX_CANDIDATE_BYTES: usize = 1024;

/// Longest explanation of a status, bytes.
const MAX_REASON_BYTES: usize = 512;

/// Most warnings of a reading; each is as long as an explanation at most.
const MAX_WARNINGS: usize = 8;

/// In which form readings are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadFormat {
    /// For everyone, see [`READING_SCHEMA`].
    #[default]
    Json,
    /// For our own programs, see [`WireReading`]. Home Assistant cannot read it.
    Postcard,
}

/// Makes messages of records.
#[derive(Clone, Debug)]
pub struct Encoder {
    topics: Topics,
    units: Vec<(String, Option<String>)>,
    format: PayloadFormat,
    retain: bool,
    zone: TimeZone,
}

impl Encoder {
    /// Messages of the node of `topics`. Times for people are in `zone`, which is [`TimeZone::system`] outside of
    /// tests.
    pub fn new(
        topics: Topics,
        fields: &[FieldMeta],
        format: PayloadFormat,
        retain: &RetainConfig,
        zone: TimeZone,
    ) -> Encoder {
        let units = fields.iter().map(|field| (field.name.clone(), field.unit().map(str::to_owned))).collect();
        Encoder { topics, units, format, retain: retain.state, zone }
    }

    /// The state of the record's field. `published_at_ms` is now, milliseconds since 1970; `historical` says that the
    /// record is older than that by more than the way to the broker takes.
    ///
    /// # Errors
    /// One sentence if the record's field cannot stand in a topic: it was not made by this program, and no attempt
    /// will succeed.
    pub fn reading(&self, record: &Record, historical: bool, published_at_ms: i64) -> Result<Message, String> {
        let topic = self.topics.field_state(&record.reading.field)?;
        let (payload, content) = match self.format {
            PayloadFormat::Json => (self.json(record, historical, published_at_ms), Content::Json),
            PayloadFormat::Postcard => (self.postcard(record, historical, published_at_ms), Content::Postcard),
        };
        // A field that there is no longer is cleared at the broker, which is to stay so.
        let retain = self.retain && self.units.iter().any(|(name, _)| *name == record.reading.field);
        Ok(Message { retain, ..Message::new(topic.as_str(), payload, content) })
    }

    fn unit(&self, field: &str) -> Option<&str> {
        self.units.iter().find(|(name, _)| name == field)?.1.as_deref()
    }

    fn json(&self, record: &Record, historical: bool, published_at_ms: i64) -> Vec<u8> {
        let reading = &record.reading;
        let (value, decimals) = match &reading.value {
            Some(Value::Number { value, decimals }) => (Some(DisplayedValue::Number(*value)), *decimals),
            Some(Value::Text(text)) => (Some(DisplayedValue::Text(cut(text, MAX_TEXT_BYTES))), 0),
            None => (None, 0),
        };
        let candidates = reading.candidates.iter().take(MAX_CANDIDATES);
        let document = Document {
            schema: READING_SCHEMA,
            id: format_args!("{}/{}/{}", self.topics.node_id(), record.boot_id, record.seq),
            field: &reading.field,
            status: reading.status,
            value,
            unit: self.unit(&reading.field),
            raw: cut(&reading.raw, MAX_TEXT_BYTES),
            confidence: share(reading.confidence),
            candidates: candidates
                .map(|candidate| Shared {
                    text: cut(&candidate.text, MAX_CANDIDATE_BYTES),
                    share: share(candidate.share),
                })
                .collect(),
            changed: reading.changed,
            rebased: reading.rebased,
            // Seven digits are more than a rate has.
            reason: cut(&reading.reason, MAX_REASON_BYTES),
            warnings: record.warnings.iter().take(MAX_WARNINGS).map(|text| cut(text, MAX_REASON_BYTES)).collect(),
            rate_per_s: reading.rate_per_s.map(|rate| rate as f32).filter(|rate| rate.is_finite()),
            captured_at: rfc3339(record.captured_at_ms, &self.zone),
            captured_at_ms: record.captured_at_ms,
            published_at: rfc3339(published_at_ms, &self.zone),
            published_at_ms,
            seq: record.seq,
            boot_id: &record.boot_id,
            historical,
            time_synced: record.time_synced,
        };
        json(&document, decimals)
    }

    fn postcard(&self, record: &Record, historical: bool, published_at_ms: i64) -> Vec<u8> {
        let mut record = record.clone();
        let shorten = |text: &mut String, bytes| text.truncate(cut(text, bytes).len());
        shorten(&mut record.reading.raw, MAX_TEXT_BYTES);
        if let Some(Value::Text(text)) = &mut record.reading.value {
            shorten(text, MAX_TEXT_BYTES);
        }
        record.warnings.truncate(MAX_WARNINGS);
        record.warnings.iter_mut().for_each(|warning| shorten(warning, MAX_REASON_BYTES));
        record.reading.candidates.truncate(MAX_CANDIDATES);
        record.reading.candidates.iter_mut().for_each(|candidate| shorten(&mut candidate.text, MAX_CANDIDATE_BYTES));
        WireReading {
            version: WIRE_VERSION,
            node: self.topics.node_id().to_owned(),
            unit: self.unit(&record.reading.field).map(str::to_owned),
            historical,
            published_at_ms,
            record,
        }
        .encode()
    }
}

/// `value` holds the only `f64`, see [`json`].
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    id: std::fmt::Arguments<'a>,
    field: &'a str,
    status: Status,
    value: Option<DisplayedValue<'a>>,
    unit: Option<&'a str>,
    raw: &'a str,
    confidence: f32,
    candidates: Vec<Shared<'a>>,
    changed: bool,
    rebased: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'a str>,
    rate_per_s: Option<f32>,
    captured_at: String,
    captured_at_ms: i64,
    published_at: String,
    published_at_ms: i64,
    seq: u64,
    boot_id: &'a str,
    historical: bool,
    time_synced: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum DisplayedValue<'a> {
    Number(f64),
    Text(&'a str),
}

#[derive(Serialize)]
struct Shared<'a> {
    text: &'a str,
    share: f32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::field::NumberMeta;
    use crate::publish::record::RECORD_VERSION;
    use crate::publish::transport::Qos;
    use crate::rules::{Candidate, Reading};
    use jiff::tz::Offset;
    use proptest::prelude::*;

    fn encoder(format: PayloadFormat) -> Encoder {
        let main = FieldMeta {
            name: "main".into(),
            number: Some(NumberMeta { unit: Some("m³".into()), ..NumberMeta::default() }),
            ..FieldMeta::default()
        };
        let zone = TimeZone::fixed(Offset::constant(1));
        Encoder::new(Topics::new("ocr", "a1b2c3").unwrap(), &[main], format, &RetainConfig::default(), zone)
    }

    fn record() -> Record {
        let reading = Reading {
            field: "main".into(),
            status: Status::Ok,
            value: Some(Value::Number { value: 521.17, decimals: 3 }),
            raw: "00521.170".into(),
            confidence: 0.98765,
            candidates: vec![Candidate { text: "00521.176".into(), share: 0.25 }],
            rebased: false,
            changed: true,
            rate_per_s: Some(0.1 / 3600.0),
            reason: String::new(),
        };
        Record {
            version: RECORD_VERSION,
            boot_id: "0123456789abcdef".into(),
            seq: 42,
            captured_at_ms: 1_795_590_042_120,
            time_synced: true,
            reading,
            warnings: Vec::new(),
        }
    }

    fn text(encoder: &Encoder, record: &Record) -> String {
        String::from_utf8(encoder.reading(record, false, 1_795_590_042_500).unwrap().payload).unwrap()
    }

    #[test]
    fn the_whole_document() {
        let message = encoder(PayloadFormat::Json).reading(&record(), false, 1_795_590_042_500).unwrap();
        assert_eq!(
            String::from_utf8(message.payload).unwrap(),
            r#"{"schema":"edge-ocr.reading/1","id":"a1b2c3/0123456789abcdef/42","field":"main","status":"ok","value":521.170,"unit":"m³","raw":"00521.170","confidence":0.988,"candidates":[{"text":"00521.176","share":0.25}],"changed":true,"rebased":false,"rate_per_s":0.000027777778,"captured_at":"2026-11-25T08:00:42.120+01:00","captured_at_ms":1795590042120,"published_at":"2026-11-25T08:00:42.500+01:00","published_at_ms":1795590042500,"seq":42,"boot_id":"0123456789abcdef","historical":false,"time_synced":true}"#
        );
        assert_eq!(message.topic, "ocr/a1b2c3/field/main/state");
        assert_eq!((message.retain, message.qos, message.content), (true, Qos::AtLeastOnce, Content::Json));
    }

    #[test]
    fn warnings_are_there_only_if_there_are_any() {
        let mut warned = record();
        warned.warnings = vec!["the file ends early".into()];
        let json = text(&encoder(PayloadFormat::Json), &warned);
        assert!(json.contains(r#","warnings":["the file ends early"],"rate_per_s":"#), "{json}");
        let wire = encoder(PayloadFormat::Postcard).reading(&warned, false, 0).unwrap();
        assert_eq!(WireReading::decode(&wire.payload).unwrap().record.warnings, warned.warnings);
    }

    #[test]
    fn a_rejected_reading_keeps_the_last_good_value() {
        let mut rejected = record();
        rejected.reading.status = Status::CheckDigit;
        let json: serde_json::Value = serde_json::from_str(&text(&encoder(PayloadFormat::Json), &rejected)).unwrap();
        assert_eq!((json["status"].as_str(), json["value"].as_f64()), (Some("check_digit"), Some(521.17)));
    }

    #[test]
    fn unknown_is_null_and_text_is_text() {
        let encoder = encoder(PayloadFormat::Json);
        let mut odd = record();
        odd.reading.field = "plate".into();
        odd.reading.value = None;
        odd.reading.rate_per_s = Some(f64::NAN);
        odd.reading.confidence = f32::NAN;
        let none = text(&encoder, &odd);
        assert!(none.contains(r#""value":null,"unit":null"#) && none.contains(r#""rate_per_s":null"#), "{none}");
        assert!(none.contains(r#""confidence":0.0"#), "{none}");
        odd.reading.value = Some(Value::Text("W \"1\"".into()));
        assert!(text(&encoder, &odd).contains(r#""value":"W \"1\"""#));
        odd.reading.value = Some(Value::Number { value: f64::INFINITY, decimals: 1 });
        assert!(text(&encoder, &odd).contains(r#""value":null"#));
    }

    #[test]
    fn long_texts_are_cut_in_whole_characters() {
        let mut long = record();
        long.reading.raw = "é".repeat(MAX_TEXT_BYTES);
        let json: serde_json::Value = serde_json::from_str(&text(&encoder(PayloadFormat::Json), &long)).unwrap();
        assert_eq!(json["raw"].as_str().unwrap().chars().count(), MAX_TEXT_BYTES / 2);
        let wire = encoder(PayloadFormat::Postcard).reading(&long, false, 0).unwrap();
        assert_eq!(WireReading::decode(&wire.payload).unwrap().record.reading.raw, json["raw"].as_str().unwrap());
    }

    #[test]
    fn the_worst_reading_fits_into_a_packet() {
        let bytes = "\u{1}".repeat(2 * MAX_TEXT_BYTES);
        let mut worst = record();
        worst.reading.raw = bytes.clone();
        worst.reading.value = Some(Value::Text(bytes.clone()));
        worst.warnings = vec![bytes.clone(); 2 * MAX_WARNINGS];
        worst.reading.candidates = vec![Candidate { text: bytes, share: 0.1 }; 2 * MAX_CANDIDATES];
        for format in [PayloadFormat::Json, PayloadFormat::Postcard] {
            let message = encoder(format).reading(&worst, false, 0).unwrap();
            assert!(message.payload.len() + 1024 < 256 * 1024, "{}", message.payload.len());
        }
    }

    #[test]
    fn a_field_from_elsewhere_is_refused() {
        let mut foreign = record();
        foreign.reading.field = "../cmd/#".into();
        assert!(encoder(PayloadFormat::Json).reading(&foreign, true, 0).unwrap_err().contains("field name"));
    }

    #[test]
    fn postcard_carries_the_same() {
        let message = encoder(PayloadFormat::Postcard).reading(&record(), true, 7).unwrap();
        assert_eq!(message.content, Content::Postcard);
        let reading = WireReading::decode(&message.payload).unwrap();
        assert_eq!((reading.record, reading.unit.as_deref()), (record(), Some("m³")));
        assert!(reading.historical && reading.published_at_ms == 7 && reading.node == "a1b2c3");
        assert!(message.payload.len() * 3 < text(&encoder(PayloadFormat::Json), &record()).len());
    }

    proptest! {
        #[test]
        fn any_reading_is_valid_json(value in any::<f64>(), decimals in any::<u8>(), raw in any::<String>(), score in any::<f32>(),
                                     rate in any::<f64>(), at in any::<i64>(), now in any::<i64>()) {
            let mut record = record();
            record.captured_at_ms = at;
            record.reading.value = Some(Value::Number { value, decimals });
            record.reading.raw = raw.clone();
            record.reading.confidence = score;
            record.reading.rate_per_s = Some(rate);
            let message = encoder(PayloadFormat::Json).reading(&record, false, now).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            prop_assert_eq!(json["raw"].as_str(), Some(raw.as_str()));
            prop_assert!(json["value"].is_number() || !value.is_finite());
            prop_assert_eq!(json["captured_at_ms"].as_i64(), Some(at));
        }
    }
}
