//! Which units and statistics go with which device class of Home Assistant. A sensor with a unit that its class does
//! not know is refused since 2025.7.

use super::super::field::StateClass;

/// What statistics make sense.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A value of the moment.
    Moment,
    /// A sum.
    Sum,
    /// Either.
    Both,
}

/// Device classes of numbers that can be read from something; those of settings and of air chemistry are left out,
/// which is no loss: a number may have a unit without a class. A class whose units are empty has none.
const CLASSES: &[(&str, Kind, &[&str])] = &[
    ("apparent_power", Kind::Moment, &["VA"]),
    ("area", Kind::Both, &["m²", "cm²", "km²", "mm²", "in²", "ft²", "yd²", "mi²", "ac", "ha"]),
    ("atmospheric_pressure", Kind::Moment, PRESSURE),
    ("battery", Kind::Moment, &["%"]),
    ("carbon_dioxide", Kind::Moment, &["ppm"]),
    ("conductivity", Kind::Moment, &["S/cm", "mS/cm", "µS/cm"]),
    ("current", Kind::Moment, &["A", "mA"]),
    (
        "data_size",
        Kind::Both,
        &["bit", "kbit", "Mbit", "Gbit", "B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"],
    ),
    ("distance", Kind::Both, &["mm", "cm", "m", "km", "in", "ft", "yd", "mi"]),
    ("duration", Kind::Both, &["d", "h", "min", "s", "ms"]),
    ("energy", Kind::Sum, ENERGY),
    ("energy_storage", Kind::Moment, ENERGY),
    ("frequency", Kind::Moment, &["Hz", "kHz", "MHz", "GHz"]),
    ("gas", Kind::Sum, &["m³", "ft³", "CCF"]),
    ("humidity", Kind::Moment, &["%"]),
    ("illuminance", Kind::Moment, &["lx"]),
    ("irradiance", Kind::Moment, &["W/m²", "BTU/(h⋅ft²)"]),
    ("moisture", Kind::Moment, &["%"]),
    ("ph", Kind::Moment, &[]),
    ("power", Kind::Moment, &["W", "kW", "MW", "GW", "TW"]),
    ("precipitation", Kind::Both, &["cm", "mm", "in"]),
    ("precipitation_intensity", Kind::Moment, &["mm/d", "mm/h", "in/d", "in/h"]),
    ("pressure", Kind::Moment, PRESSURE),
    ("reactive_power", Kind::Moment, &["var"]),
    ("signal_strength", Kind::Moment, &["dB", "dBm"]),
    ("sound_pressure", Kind::Moment, &["dB", "dBA"]),
    ("speed", Kind::Moment, &["m/s", "km/h", "mm/d", "mm/h", "ft/s", "in/d", "in/h", "mph", "kn"]),
    ("temperature", Kind::Moment, &["°C", "°F", "K"]),
    ("voltage", Kind::Moment, &["V", "mV"]),
    ("volume", Kind::Sum, VOLUME),
    ("volume_flow_rate", Kind::Moment, &["m³/h", "L/min", "ft³/min", "gal/min"]),
    ("volume_storage", Kind::Moment, VOLUME),
    ("water", Kind::Sum, &["m³", "L", "ft³", "CCF", "gal"]),
    ("weight", Kind::Both, &["µg", "mg", "g", "kg", "oz", "lb", "st"]),
    ("wind_speed", Kind::Moment, &["m/s", "km/h", "ft/s", "mph", "kn"]),
];

const ENERGY: &[&str] = &["J", "kJ", "MJ", "GJ", "Wh", "kWh", "MWh", "cal", "kcal", "Mcal", "Gcal"];
const PRESSURE: &[&str] = &["Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi"];
const VOLUME: &[&str] = &["m³", "L", "mL", "ft³", "CCF", "gal", "fl. oz."];

/// What a device class of numbers asks for.
pub(super) struct DeviceClass {
    kind: Kind,
    /// Allowed units; none if empty.
    pub units: &'static [&'static str],
}

impl DeviceClass {
    /// The class of that name.
    ///
    /// # Errors
    /// The name most like it, if there is no such class.
    pub fn find(name: &str) -> Result<DeviceClass, &'static str> {
        match CLASSES.iter().find(|(class, ..)| *class == name) {
            Some(&(_, kind, units)) => Ok(DeviceClass { kind, units }),
            None => {
                let distance = |class: &str| strsim::damerau_levenshtein(class, name);
                Err(CLASSES.iter().map(|(class, ..)| *class).min_by_key(|class| distance(class)).unwrap_or("water"))
            }
        }
    }

    /// Whether the class has such statistics.
    pub fn allows(&self, statistics: StateClass) -> bool {
        match self.kind {
            Kind::Moment => statistics == StateClass::Measurement,
            Kind::Sum => statistics != StateClass::Measurement,
            Kind::Both => true,
        }
    }
}
