//! What publishing knows of a field.

use serde::{Deserialize, Serialize};

/// How Home Assistant is to show a field, as a user writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FieldLabels {
    /// Device class of a number, such as `water`, `gas`, `energy`, `temperature`; it decides which units are allowed.
    pub device_class: Option<String>,
    /// How statistics are made; from the field's rules and the device class if not given.
    pub state_class: Option<StateClass>,
    /// Icon, such as `mdi:counter`.
    pub icon: Option<String>,
    /// Digits after the decimal point that are shown; as many as are read if not given.
    pub precision: Option<u8>,
    /// Seconds without a reading after which the value is unavailable, 2.5 to 3 times the interval; 0 means never.
    /// Not together with retained states, which would look fresh after Home Assistant's restart.
    pub expire_after_s: u32,
    /// Also an `event` entity, which fires whenever an accepted reading differs from the one before and does not come
    /// late: number plates, labels.
    pub event: bool,
}

/// What Home Assistant's statistics make of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateClass {
    /// A value of the moment: a temperature, a pressure.
    Measurement,
    /// A sum that may fall. A reading that is corrected downwards is taken off again.
    Total,
    /// A sum that never falls: a fall counts as a new meter that started at zero.
    TotalIncreasing,
}

impl StateClass {
    /// As Home Assistant writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            StateClass::Measurement => "measurement",
            StateClass::Total => "total",
            StateClass::TotalIncreasing => "total_increasing",
        }
    }
}

/// A field as publishing sees it: put together by the node from the parts of its configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldMeta {
    /// Its name, see [`check_field_name`](super::topics::check_field_name).
    pub name: String,
    /// What people see; the name if empty.
    pub label: String,
    /// What its numbers are; `None` if it is text.
    pub number: Option<NumberMeta>,
    /// How Home Assistant shows it.
    pub labels: FieldLabels,
}

/// What the numbers of a field are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NumberMeta {
    /// Unit, as it is published: `m³`, `kWh`, `°C`.
    pub unit: Option<String>,
    /// Digits after the decimal point, if that is known before reading.
    pub decimals: Option<u8>,
    /// Whether the rules let it only rise.
    pub increasing: bool,
}

impl FieldMeta {
    /// What people see.
    pub fn label(&self) -> &str {
        if self.label.trim().is_empty() { &self.name } else { &self.label }
    }

    /// The unit of its numbers.
    pub fn unit(&self) -> Option<&str> {
        self.number.as_ref()?.unit.as_deref()
    }
}
