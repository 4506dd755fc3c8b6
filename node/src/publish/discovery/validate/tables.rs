//! Keys of device-based discovery with their abbreviations, and device classes with their units.

pub const ROOT: &[(&str, &str)] = &[
    ("dev", "device"),
    ("o", "origin"),
    ("cmps", "components"),
    ("avty", "availability"),
    ("avty_t", "availability_topic"),
    ("avty_mode", "availability_mode"),
    ("avty_tpl", "availability_template"),
    ("pl_avail", "payload_available"),
    ("pl_not_avail", "payload_not_available"),
    ("stat_t", "state_topic"),
    ("cmd_t", "command_topic"),
    ("e", "encoding"),
    ("", "qos"),
    ("", "message_expiry_interval"),
];
pub const DEVICE: &[(&str, &str)] = &[
    ("ids", "identifiers"),
    ("cns", "connections"),
    ("", "name"),
    ("mf", "manufacturer"),
    ("mdl", "model"),
    ("mdl_id", "model_id"),
    ("sn", "serial_number"),
    ("hw", "hw_version"),
    ("sw", "sw_version"),
    ("cu", "configuration_url"),
    ("sa", "suggested_area"),
    ("", "via_device"),
];
pub const ORIGIN: &[(&str, &str)] = &[("", "name"), ("sw", "sw_version"), ("url", "support_url")];
pub const AVAILABILITY: &[(&str, &str)] = &[
    ("t", "topic"),
    ("pl_avail", "payload_available"),
    ("pl_not_avail", "payload_not_available"),
    ("val_tpl", "value_template"),
];
pub const ENTITY: &[(&str, &str)] = &[
    ("", "~"),
    ("p", "platform"),
    ("", "name"),
    ("uniq_id", "unique_id"),
    ("def_ent_id", "default_entity_id"),
    ("obj_id", "object_id"),
    ("ic", "icon"),
    ("ent_cat", "entity_category"),
    ("ent_pic", "entity_picture"),
    ("en", "enabled_by_default"),
    ("dev_cla", "device_class"),
    ("json_attr_t", "json_attributes_topic"),
    ("json_attr_tpl", "json_attributes_template"),
    ("avty", "availability"),
    ("avty_t", "availability_topic"),
    ("avty_mode", "availability_mode"),
    ("avty_tpl", "availability_template"),
    ("pl_avail", "payload_available"),
    ("pl_not_avail", "payload_not_available"),
    ("e", "encoding"),
    ("", "qos"),
    ("", "message_expiry_interval"),
];

/// Platform, keys beyond those of every entity, those of them that must be there.
pub type Platform = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);
pub const PLATFORMS: &[Platform] = &[
    (
        "sensor",
        &[
            ("stat_t", "state_topic"),
            ("val_tpl", "value_template"),
            ("stat_cla", "state_class"),
            ("unit_of_meas", "unit_of_measurement"),
            ("sug_dsp_prc", "suggested_display_precision"),
            ("exp_aft", "expire_after"),
            ("frc_upd", "force_update"),
            ("ops", "options"),
            ("lrst_val_tpl", "last_reset_value_template"),
        ],
        &["state_topic"],
    ),
    (
        "binary_sensor",
        &[
            ("stat_t", "state_topic"),
            ("val_tpl", "value_template"),
            ("exp_aft", "expire_after"),
            ("frc_upd", "force_update"),
            ("off_dly", "off_delay"),
            ("pl_on", "payload_on"),
            ("pl_off", "payload_off"),
        ],
        &["state_topic"],
    ),
    (
        "button",
        &[("cmd_t", "command_topic"), ("cmd_tpl", "command_template"), ("pl_prs", "payload_press"), ("ret", "retain")],
        &["command_topic"],
    ),
    (
        "image",
        &[
            ("img_t", "image_topic"),
            ("url_t", "url_topic"),
            ("url_tpl", "url_template"),
            ("cont_type", "content_type"),
            ("img_e", "image_encoding"),
        ],
        &[],
    ),
    (
        "event",
        &[("stat_t", "state_topic"), ("val_tpl", "value_template"), ("evt_typ", "event_types")],
        &["state_topic", "event_types"],
    ),
];

/// Units by device class, and whether it is a sum (`s`), a value of the moment (`m`) or may be both (`b`).
pub const CLASSES: &[(&str, char, &str)] = &[
    ("water", 's', "m³ L ft³ CCF gal"),
    ("gas", 's', "m³ ft³ CCF"),
    ("energy", 's', "J kJ MJ GJ mWh Wh kWh MWh GWh TWh cal kcal Mcal Gcal"),
    ("volume", 's', "m³ L mL ft³ CCF gal"),
    ("power", 'm', "mW W kW MW GW TW"),
    ("temperature", 'm', "°C °F K"),
    ("pressure", 'm', "Pa hPa kPa bar cbar mbar mmHg inHg psi"),
    ("humidity", 'm', "%"),
    ("voltage", 'm', "V mV µV kV MV"),
    ("current", 'm', "A mA"),
    ("frequency", 'm', "Hz kHz MHz GHz"),
    ("volume_flow_rate", 'm', "m³/h L/min ft³/min gal/min"),
    ("speed", 'm', "m/s km/h mm/d mm/h ft/s in/d in/h mph kn"),
    ("ph", 'm', ""),
    ("weight", 'b', "µg mg g kg oz lb st"),
    ("distance", 'b', "mm cm m km in ft yd mi"),
    ("duration", 'b', "d h min s ms"),
    ("data_size", 'b', "bit kbit Mbit Gbit B kB MB GB TB KiB MiB GiB TiB"),
    ("enum", '-', ""),
];
