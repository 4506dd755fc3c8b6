//! Making a broker forget a node.

use super::discovery::{Component, Discovery, DiscoveryConfig, cleared, discovery_topic};
use super::topics::Topics;
use super::transport::{Delivery, Message};

/// Clears all that the node ever has the broker keep, with fields of these names: the device in Home Assistant first,
/// with the components that it has from earlier runs (`old`), then readings, description and status. To be sent by a
/// connection without a will while the node itself does not run. Fields that were called otherwise before are found by
/// [`clear_found`].
///
/// # Errors
/// One sentence if the discovery message does not fit into `max_packet_bytes`.
pub fn clear_retained<'f>(
    topics: &Topics,
    fields: impl IntoIterator<Item = &'f str>,
    discovery: &Discovery,
    old: &[Component],
    max_packet_bytes: usize,
) -> Result<Vec<Message>, String> {
    let mut messages = discovery.removal_messages(old, max_packet_bytes)?;
    messages.extend(clear_fields(topics, fields));
    messages.extend([topics.info(), topics.camera_status(), topics.status()].map(|topic| cleared(&topic)));
    Ok(messages)
}

/// Clears the last readings of fields that the configuration had, and has no longer.
pub fn clear_fields<'f>(topics: &Topics, gone: impl IntoIterator<Item = &'f str>) -> Vec<Message> {
    // A name that cannot stand in a topic has never been one.
    gone.into_iter().filter_map(|field| topics.field_state(field).ok()).map(|topic| cleared(&topic)).collect()
}

/// Clears a message that the broker had kept, if it is the node's: for those that come after subscribing to
/// [`Topics::everything`] and [`discovery_topic`].
pub fn clear_found(topics: &Topics, config: &DiscoveryConfig, delivery: &Delivery) -> Option<Message> {
    let ours = topics.owns(&delivery.topic) || delivery.topic == discovery_topic(topics, config);
    (delivery.retain && ours && !delivery.payload.is_empty()).then(|| cleared(&delivery.topic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::field::{FieldMeta, NumberMeta};
    use crate::publish::payload::{self, Encoder, Info, PayloadFormat};
    use crate::publish::record::{RECORD_VERSION, Record};
    use crate::publish::retain::RetainConfig;
    use crate::publish::transport::Qos;
    use crate::rules::{Reading, Status};
    use jiff::tz::TimeZone;
    use std::collections::BTreeSet;

    /// Everything that can be retained is, and all of it is cleared.
    #[test]
    fn all_that_is_kept_is_cleared() {
        let topics = Topics::new("ocr", "a").unwrap();
        let retain = RetainConfig { status: true, info: true, state: true, discovery: true };
        let config = DiscoveryConfig { enabled: true, ..DiscoveryConfig::default() };
        let number = Some(NumberMeta::default());
        let fields = ["main", "second"].map(|name| FieldMeta {
            name: name.into(),
            number: number.clone(),
            ..FieldMeta::default()
        });
        let zone = TimeZone::UTC;
        let encoder = Encoder::new(topics.clone(), &fields, PayloadFormat::Json, &retain, zone.clone());
        let record = |field: &str| Record {
            version: RECORD_VERSION,
            boot_id: "b".into(),
            seq: 0,
            captured_at_ms: 0,
            time_synced: false,
            reading: Reading {
                field: field.into(),
                status: Status::Ok,
                value: None,
                raw: String::new(),
                confidence: 0.0,
                candidates: vec![],
                rebased: false,
                changed: true,
                rate_per_s: None,
                reason: String::new(),
            },
            warnings: Vec::new(),
        };
        let discovery = Discovery::new(&topics, &config, &fields, "");
        let mut sent = discovery.messages(&[], &retain, 1 << 20).unwrap();
        sent.extend(fields.iter().map(|field| encoder.reading(&record(&field.name), false, 0).unwrap()));
        sent.extend([
            payload::online(&topics, &retain),
            payload::camera_status(&topics, true, &retain),
            payload::camera_image(&topics, vec![1]),
            payload::info(&topics, &Info::default(), &retain, &zone),
            payload::stats(&topics, &payload::Stats::default(), 0, &zone),
        ]);
        let kept: BTreeSet<String> =
            sent.into_iter().filter(|message| message.retain).map(|message| message.topic).collect();
        let names = fields.iter().map(|field| field.name.as_str());
        let clearing = clear_retained(&topics, names, &discovery, &[], 1 << 20).unwrap();
        assert!(clearing.iter().all(|message| message.qos == Qos::AtLeastOnce));
        // Home Assistant is told of what it is to forget; the broker keeps nothing of that.
        let (clearing, telling): (Vec<_>, Vec<_>) =
            clearing.into_iter().partition(|message| message.payload.is_empty());
        assert!(clearing.iter().all(|message| message.retain) && telling.iter().all(|message| !message.retain));
        assert_eq!(telling.len(), 2, "what there was, and that it is gone");
        assert_eq!(clearing.into_iter().map(|message| message.topic).collect::<BTreeSet<_>>(), kept);
    }

    #[test]
    fn only_the_nodes_own_is_cleared() {
        let topics = Topics::new("ocr", "a").unwrap();
        let config = DiscoveryConfig::default();
        let found = |topic: &str, retain: bool, payload: &str| {
            let delivery = Delivery {
                topic: topic.into(),
                payload: payload.into(),
                retain,
                duplicate: false,
                response_topic: None,
                correlation: None,
                token: 0,
            };
            clear_found(&topics, &config, &delivery).map(|message| message.topic)
        };
        assert_eq!(found("ocr/a/field/old/state", true, "{}").as_deref(), Some("ocr/a/field/old/state"));
        assert!(found("homeassistant/device/ocrnode_a/config", true, "{}").is_some());
        for (topic, retain, payload) in [
            ("ocr/a/field/old/state", false, "{}"),
            ("ocr/a/field/old/state", true, ""),
            ("ocr/ab/field/old/state", true, "{}"),
            ("homeassistant/device/ocrnode_b/config", true, "{}"),
        ] {
            assert_eq!(found(topic, retain, payload), None, "{topic}");
        }
    }
}
