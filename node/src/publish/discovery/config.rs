//! Discovery as a user writes it.

use super::classes::DeviceClass;
use crate::publish::field::{FieldMeta, StateClass};
use crate::publish::payload::PayloadFormat;
use crate::publish::retain::RetainConfig;
use crate::publish::topics::{check_field_name, cut, excerpt};
use serde::{Deserialize, Serialize};

/// Longest name of a device, a field or an area, bytes.
pub const MAX_LABEL_BYTES: usize = 128;
/// Longest unit, bytes.
const MAX_UNIT_BYTES: usize = 32;
/// Most digits after the decimal point that are shown.
const MAX_PRECISION: u8 = 10;
/// Longest time that a node may wait after Home Assistant's start.
const MAX_JITTER_MS: u32 = 60_000;

/// The discovery messages for Home Assistant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoveryConfig {
    /// Whether anything is. Off by default: some brokers end the connection of who publishes where it may not.
    pub enabled: bool,
    /// First levels of discovery topics, as Home Assistant is configured.
    pub prefix: String,
    /// Where Home Assistant says that it has started, with the payload `online`.
    pub birth_topic: String,
    /// A node answers after a random time up to this one, so that a fleet does not answer all at once.
    pub birth_jitter_ms: u32,
    /// Name of the device; made from the node's id if empty.
    pub name: String,
    /// Room that is proposed for it.
    pub suggested_area: Option<String>,
    /// Also the last image, and a button that asks for one.
    pub image: bool,
    /// Also temperature, memory, times and counters of the node; each has to be turned on in Home Assistant.
    pub diagnostics: bool,
}

impl Default for DiscoveryConfig {
    fn default() -> DiscoveryConfig {
        DiscoveryConfig {
            enabled: false,
            prefix: "homeassistant".into(),
            birth_topic: "homeassistant/status".into(),
            birth_jitter_ms: 5000,
            name: String::new(),
            suggested_area: None,
            image: true,
            diagnostics: true,
        }
    }
}

impl DiscoveryConfig {
    /// The birth topic to subscribe to, see [`Topics::filters`](crate::publish::Topics::filters).
    pub fn birth_filter(&self) -> Option<&str> {
        self.enabled.then_some(self.birth_topic.as_str())
    }

    /// # Errors
    /// One sentence naming the key.
    pub fn validate(&self) -> Result<(), String> {
        let level = |level: &str| {
            !level.is_empty() && level.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        let topic = |topic: &str| topic.len() <= 64 && topic.split('/').all(level);
        for (key, value) in [("prefix", &self.prefix), ("birth_topic", &self.birth_topic)] {
            if !topic(value) {
                return Err(format!(
                    "{key} = {:?} is not a topic; write at most 64 of the characters a-z, A-Z, 0-9, _, - and ., with / only between levels",
                    excerpt(value)
                ));
            }
        }
        if self.birth_jitter_ms > MAX_JITTER_MS {
            return Err(format!(
                "birth_jitter_ms = {} is too long; write at most {MAX_JITTER_MS}",
                self.birth_jitter_ms
            ));
        }
        check_label("name", &self.name)?;
        check_label("suggested_area", self.suggested_area.as_deref().unwrap_or_default())
    }

    /// Whether all parts go together; nothing is checked that concerns Home Assistant alone while discovery is off.
    ///
    /// # Errors
    /// One sentence naming the key and the field.
    pub fn check(&self, fields: &[FieldMeta], retain: &RetainConfig, format: PayloadFormat) -> Result<(), String> {
        self.validate()?;
        for (at, field) in fields.iter().enumerate() {
            check_field_name(&field.name)?;
            if fields[..at].iter().any(|other| other.name == field.name) {
                return Err(format!("there are two fields with name = {:?}; give each a name of its own", field.name));
            }
            check_label("label", &field.label)?;
            if self.enabled {
                check_field(field, retain)?;
            }
        }
        if !self.enabled {
            return Ok(());
        }
        if format == PayloadFormat::Postcard {
            return Err("discovery is enabled with payload = \"postcard\", which Home Assistant cannot read; use \"json\", or leave \
                        discovery off"
                .into());
        }
        if !retain.status {
            return Err("discovery is enabled with retain.status = false, so that everything would be unavailable after each start of \
                        Home Assistant; leave it true, or leave discovery off"
                .into());
        }
        Ok(())
    }
}

fn check_label(key: &str, label: &str) -> Result<(), String> {
    if label.len() > MAX_LABEL_BYTES || label.contains(char::is_control) {
        return Err(format!(
            "{key} = {:?} cannot be shown; write at most {MAX_LABEL_BYTES} bytes without control characters",
            excerpt(label)
        ));
    }
    Ok(())
}

fn check_field(field: &FieldMeta, retain: &RetainConfig) -> Result<(), String> {
    let name = &field.name;
    let labels = &field.labels;
    if labels.expire_after_s > 0 && retain.state {
        return Err(format!(
            "expire_after_s = {} of the field {name} does not go with retained states, which would look fresh after each start of Home \
             Assistant; set retain.state = false, or leave expire_after_s out",
            labels.expire_after_s
        ));
    }
    if let Some(icon) = &labels.icon {
        let good =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if icon.len() > 64 || !icon.split_once(':').is_some_and(|(set, icon)| good(set) && good(icon)) {
            return Err(format!(
                "icon = {:?} of the field {name} is not an icon; write one such as \"mdi:counter\"",
                excerpt(icon)
            ));
        }
    }
    let Some(number) = &field.number else {
        let key = [
            ("device_class", labels.device_class.is_some()),
            ("state_class", labels.state_class.is_some()),
            ("precision", labels.precision.is_some()),
        ];
        return match key.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(format!(
                "{key} is for numbers and the field {name} is text; leave it out, or give the field number"
            )),
            None => Ok(()),
        };
    };
    if let Some(precision) = labels.precision.filter(|digits| *digits > MAX_PRECISION) {
        return Err(format!("precision = {precision} of the field {name} is too much; write at most {MAX_PRECISION}"));
    }
    if let Some(unit) = &number.unit
        && (unit.trim().is_empty() || unit.len() > MAX_UNIT_BYTES || unit.contains(char::is_control))
    {
        return Err(format!(
            "unit = {:?} of the field {name} cannot be shown; write 1 to {MAX_UNIT_BYTES} bytes without control characters, or leave it out",
            excerpt(unit)
        ));
    }
    if let Some(class) = &labels.device_class {
        check_class(name, class, number.unit.as_deref(), labels.state_class)?;
    }
    if labels.state_class == Some(StateClass::TotalIncreasing) && !number.increasing {
        return Err(format!(
            "state_class = \"total_increasing\" of the field {name} takes every fall for a new meter, and the field's rules let it fall; \
             set monotonic = \"increasing\", or use \"total\""
        ));
    }
    Ok(())
}

fn check_class(name: &str, class: &str, unit: Option<&str>, statistics: Option<StateClass>) -> Result<(), String> {
    let known = DeviceClass::find(class).map_err(|nearest| {
        format!(
            "device_class = {:?} of the field {name} is not known; did you mean {nearest:?}, or leave it out and keep the unit",
            excerpt(class)
        )
    })?;
    let fits = match unit {
        Some(unit) => known.units.contains(&unit),
        None => known.units.is_empty(),
    };
    if !fits {
        let unit = unit.map_or("no unit".to_owned(), |unit| format!("unit = {:?}", cut(unit, MAX_UNIT_BYTES)));
        let remedy = match known.units {
            [] => "leave the unit out".to_owned(),
            units => format!("use one of {}", units.join(", ")),
        };
        return Err(format!(
            "{unit} of the field {name} does not go with device_class = {class:?}; {remedy}, or leave device_class out"
        ));
    }
    match statistics {
        Some(statistics) if !known.allows(statistics) => Err(format!(
            "state_class = {:?} of the field {name} does not go with device_class = {class:?}; leave state_class out",
            statistics.as_str()
        )),
        _ => Ok(()),
    }
}

/// The statistics of a field with numbers: as configured, or the best that its rules and its class allow.
pub(super) fn state_class(field: &FieldMeta) -> Option<StateClass> {
    let number = field.number.as_ref()?;
    if field.labels.state_class.is_some() {
        return field.labels.state_class;
    }
    let class = field.labels.device_class.as_deref().and_then(|class| DeviceClass::find(class).ok());
    let allowed = |statistics| class.as_ref().is_none_or(|class| class.allows(statistics));
    let wishes: &[StateClass] = if number.increasing {
        &[StateClass::TotalIncreasing, StateClass::Measurement]
    } else {
        &[StateClass::Measurement, StateClass::Total]
    };
    wishes.iter().copied().find(|statistics| allowed(*statistics))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::field::{FieldLabels, NumberMeta};

    fn water() -> FieldMeta {
        FieldMeta {
            name: "main".into(),
            label: "Water".into(),
            number: Some(NumberMeta { unit: Some("m³".into()), decimals: Some(3), increasing: true }),
            labels: FieldLabels { device_class: Some("water".into()), ..FieldLabels::default() },
        }
    }

    fn check(field: FieldMeta) -> Result<(), String> {
        let config = DiscoveryConfig { enabled: true, ..DiscoveryConfig::default() };
        config.check(&[field], &RetainConfig::default(), PayloadFormat::Json)
    }

    #[test]
    fn what_does_not_go_together() {
        assert_eq!(check(water()), Ok(()));
        type Change = fn(&mut FieldMeta);
        let cases: [(Change, &str); 14] = [
            (|f| f.number.as_mut().unwrap().unit = Some("m3".into()), "use one of m³, L"),
            (|f| f.number.as_mut().unwrap().unit = None, "no unit of the field main"),
            (|f| f.number.as_mut().unwrap().unit = Some("\n".into()), "cannot be shown"),
            (|f| f.labels.device_class = Some("watre".into()), "did you mean \"water\""),
            (|f| f.labels.device_class = Some("ph".into()), "leave the unit out"),
            (|f| f.labels.state_class = Some(StateClass::Measurement), "state_class = \"measurement\""),
            (
                |f| {
                    f.number.as_mut().unwrap().increasing = false;
                    f.labels.state_class = Some(StateClass::TotalIncreasing)
                },
                "monotonic = \"increasing\"",
            ),
            (|f| f.labels.expire_after_s = 900, "retain.state = false"),
            (|f| f.labels.icon = Some("counter".into()), "mdi:counter"),
            (|f| f.labels.precision = Some(11), "precision = 11"),
            (|f| f.number = None, "device_class is for numbers"),
            (
                |f| {
                    f.number = None;
                    f.labels = FieldLabels { precision: Some(1), ..FieldLabels::default() }
                },
                "precision is for numbers",
            ),
            (|f| f.label = "x".repeat(129), "label = "),
            (|f| f.name = "a b".into(), "the field name"),
        ];
        for (change, expected) in cases {
            let mut field = water();
            change(&mut field);
            let error = check(field).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains(". ") && !error.ends_with('.'), "not one sentence: {error}");
        }
    }

    #[test]
    fn home_assistant_keys_unchecked_when_disabled() {
        let mut field = water();
        field.labels.device_class = Some("watre".into());
        let config = DiscoveryConfig::default();
        assert_eq!(
            config.check(&[field], &RetainConfig { status: false, ..RetainConfig::default() }, PayloadFormat::Postcard),
            Ok(())
        );
        assert!(
            config
                .check(&[water(), water()], &RetainConfig::default(), PayloadFormat::Json)
                .unwrap_err()
                .contains("two fields")
        );
    }

    #[test]
    fn keys_of_discovery() {
        let on = DiscoveryConfig { enabled: true, ..DiscoveryConfig::default() };
        let retain = RetainConfig::default();
        assert!(on.check(&[], &retain, PayloadFormat::Postcard).unwrap_err().contains("postcard"));
        let bare = RetainConfig { status: false, ..RetainConfig::default() };
        assert!(on.check(&[], &bare, PayloadFormat::Json).unwrap_err().contains("retain.status"));
        for (key, toml) in [
            ("prefix", "prefix = 'home assistant'"),
            ("prefix", "prefix = 'a/+'"),
            ("birth_topic", "birth_topic = ''"),
            ("birth_jitter_ms", "birth_jitter_ms = 60001"),
            ("name", "name = \"a\\u0000\""),
        ] {
            let config: DiscoveryConfig = toml::from_str(toml).unwrap();
            assert!(config.validate().unwrap_err().starts_with(key), "{toml}");
        }
        assert!(toml::from_str::<DiscoveryConfig>("enable = true").is_err());
    }

    #[test]
    fn statistics_follow_the_rules_of_the_field() {
        let with = |class: Option<&str>, increasing| {
            let mut field = water();
            field.labels.device_class = class.map(str::to_owned);
            field.number.as_mut().unwrap().increasing = increasing;
            state_class(&field)
        };
        assert_eq!(with(Some("water"), true), Some(StateClass::TotalIncreasing));
        assert_eq!(with(Some("water"), false), Some(StateClass::Total));
        assert_eq!(with(Some("temperature"), true), Some(StateClass::Measurement));
        assert_eq!(with(None, false), Some(StateClass::Measurement));
        assert_eq!(state_class(&FieldMeta { number: None, ..water() }), None);
    }
}
