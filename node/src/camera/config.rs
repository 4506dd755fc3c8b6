//! `[source]` of a node's configuration: which camera, and how its frames are taken.

use super::command::{self, CommandConfig};
use super::directory::{self, DirectoryConfig};
use super::http::{self, HttpConfig};
use super::replay::{self, ReplayConfig};
use super::v4l2::{self, V4l2Config};
use super::{FrameSource, mjpeg};
use crate::util::config_file;
use edge_ocr::image::decode::Limits;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::{Table, Value};

/// What every source understands beside its own keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Common {
    /// Longest time for one frame in milliseconds, 100 to 600 000. Default 10 000. A stream without a whole frame for
    /// this long counts as broken and is reopened.
    pub timeout_ms: u64,
    /// Longest frame in bytes as it comes, 1 to 256 000 000. Default 16 000 000. A stream takes up to three times this.
    pub max_bytes: u64,
    /// What decoding may cost.
    pub limits: Limits,
    /// Whether left and right are exchanged, for a camera that sees through a mirror; before `rotate_deg`. Regions
    /// are those of the exchanged image. Default false.
    pub mirror: bool,
    /// Turn of the image clockwise, after that by its own EXIF: 0, 90, 180 or 270. Default 0.
    pub rotate_deg: u16,
    /// A JPEG with more pixels is decoded at a half, a quarter or an eighth of its width and height; 0 (the default):
    /// never. Regions in pixels are of the whole frame in any case.
    pub reduce_above_px: u64,
    /// First pause after a failure in milliseconds, 10 to 3 600 000; each further one is twice as long. Default 1000.
    pub backoff_min_ms: u64,
    /// Longest pause after a failure in milliseconds, `backoff_min_ms` to 3 600 000. Default 60 000.
    pub backoff_max_ms: u64,
    /// A stream's frame that is older when it is asked for is not taken, the next one is; milliseconds, 10 to 3 600
    /// 000. Default 1000. For `mjpeg`, `command` and `v4l2`.
    pub max_age_ms: u64,
}

impl Default for Common {
    fn default() -> Self {
        Common {
            timeout_ms: 10_000,
            max_bytes: 16_000_000,
            limits: Limits::default(),
            mirror: false,
            rotate_deg: 0,
            reduce_above_px: 0,
            backoff_min_ms: 1000,
            backoff_max_ms: 60_000,
            max_age_ms: 1000,
        }
    }
}

impl Common {
    const KEYS: [&str; 9] = [
        "timeout_ms",
        "max_bytes",
        "limits",
        "mirror",
        "rotate_deg",
        "reduce_above_px",
        "backoff_min_ms",
        "backoff_max_ms",
        "max_age_ms",
    ];

    fn validate(&self) -> Result<(), String> {
        within("timeout_ms", self.timeout_ms, 100, 600_000)?;
        within("max_bytes", self.max_bytes, 1, 256_000_000)?;
        within("backoff_min_ms", self.backoff_min_ms, 10, 3_600_000)?;
        within("backoff_max_ms", self.backoff_max_ms, self.backoff_min_ms, 3_600_000)?;
        within("max_age_ms", self.max_age_ms, 10, 3_600_000)?;
        if !matches!(self.rotate_deg, 0 | 90 | 180 | 270) {
            return Err(format!("rotate_deg is {}; give 0, 90, 180 or 270", self.rotate_deg));
        }
        self.limits.validate().map_err(|e| e.to_string())
    }
}

/// Refuses a value outside its range.
pub(super) fn within(key: &str, value: u64, min: u64, max: u64) -> Result<(), String> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false => Err(format!("{key} is {value}; give a number from {min} to {max}")),
    }
}

/// A kind of source with its own keys.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// `kind = "directory"`: new files in a folder.
    Directory(DirectoryConfig),
    /// `kind = "http"`: a snapshot of a network camera.
    Http(HttpConfig),
    /// `kind = "mjpeg"`: a stream of a network camera (`multipart/x-mixed-replace`).
    Mjpeg(HttpConfig),
    /// `kind = "command"`: a program that writes frames to its standard output.
    Command(CommandConfig),
    /// `kind = "v4l2"`: a USB camera (feature `v4l2`, Linux; experimental).
    V4l2(V4l2Config),
    /// `kind = "replay"`: stored images, as if a camera gave them.
    Replay(ReplayConfig),
}

/// A kind as the configuration names it.
struct KindRow {
    name: &'static str,
    /// Its own keys.
    keys: &'static [&'static str],
    /// Reads a table that has only keys of this kind.
    read: fn(Table) -> Result<SourceKind, String>,
}

const KINDS: [KindRow; 6] = [
    KindRow { name: "directory", keys: &DirectoryConfig::KEYS, read: |own| Ok(SourceKind::Directory(read(own)?)) },
    KindRow { name: "http", keys: &HttpConfig::KEYS, read: |own| Ok(SourceKind::Http(read(own)?)) },
    KindRow { name: "mjpeg", keys: &HttpConfig::KEYS, read: |own| Ok(SourceKind::Mjpeg(read(own)?)) },
    KindRow { name: "command", keys: &CommandConfig::KEYS, read: |own| Ok(SourceKind::Command(read(own)?)) },
    KindRow { name: "v4l2", keys: &V4l2Config::KEYS, read: |own| Ok(SourceKind::V4l2(read(own)?)) },
    KindRow { name: "replay", keys: &ReplayConfig::KEYS, read: |own| Ok(SourceKind::Replay(read(own)?)) },
];

/// Where frames come from. In TOML one table: `kind`, the keys of [`Common`] and those of the kind; any other key is
/// refused.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// Which source, and its own keys.
    pub kind: SourceKind,
    /// What all sources understand.
    pub common: Common,
}

/// A directory without a path, which [`SourceConfig::validate`] refuses: there is no camera that is safe to assume.
impl Default for SourceConfig {
    fn default() -> Self {
        SourceConfig { kind: SourceKind::Directory(DirectoryConfig::default()), common: Common::default() }
    }
}

impl SourceConfig {
    /// The value of `kind`.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            SourceKind::Directory(_) => "directory",
            SourceKind::Http(_) => "http",
            SourceKind::Mjpeg(_) => "mjpeg",
            SourceKind::Command(_) => "command",
            SourceKind::V4l2(_) => "v4l2",
            SourceKind::Replay(_) => "replay",
        }
    }

    /// True for a set of files, each of which the node reads; false for a camera, which gives only its newest frame.
    pub fn is_file_source(&self) -> bool {
        match self.kind {
            SourceKind::Directory(_) | SourceKind::Replay(_) => true,
            SourceKind::Http(_) | SourceKind::Mjpeg(_) | SourceKind::Command(_) | SourceKind::V4l2(_) => false,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        self.common.validate()?;
        match &self.kind {
            SourceKind::Directory(config) => config.validate(),
            SourceKind::Http(config) | SourceKind::Mjpeg(config) => config.validate(),
            SourceKind::Command(config) => config.validate(&self.common),
            SourceKind::V4l2(config) => config.validate(&self.common),
            SourceKind::Replay(config) => config.validate(),
        }
    }
}

/// Makes the source. What can be missing now and come later (a server, a device, a folder on a stick) is not demanded.
///
/// # Errors
/// One sentence: a value of the configuration, a secret that cannot be read, or a kind that is not in this program.
pub fn open(config: &SourceConfig) -> Result<Box<dyn FrameSource>, String> {
    config.validate()?;
    let common = &config.common;
    Ok(match &config.kind {
        SourceKind::Directory(config) => Box::new(directory::Directory::open(config, common)?),
        SourceKind::Http(config) => Box::new(http::Snapshot::open(config, common)?),
        SourceKind::Mjpeg(config) => Box::new(mjpeg::Mjpeg::open(config, common)?),
        SourceKind::Command(config) => command::open(config, common)?,
        SourceKind::V4l2(config) => v4l2::open(config, common)?,
        SourceKind::Replay(config) => Box::new(replay::Replay::open(config, common)?),
    })
}

// serde's internally tagged enumerations cannot refuse unknown keys, nor share some: hence by hand, over a table.
impl<'de> Deserialize<'de> for SourceConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        from_table(table).map_err(D::Error::custom)
    }
}

fn from_table(mut table: Table) -> Result<SourceConfig, String> {
    let names: Vec<&str> = KINDS.iter().map(|row| row.name).collect();
    let kind = match table.remove("kind") {
        Some(Value::String(kind)) => kind,
        Some(_) => return Err(format!("kind is not text; give one of {}", names.join(", "))),
        None => return Err(format!("kind is missing; give one of {}", names.join(", "))),
    };
    let Some(row) = KINDS.iter().find(|row| row.name == kind) else {
        return Err(format!("kind {kind:?} is unknown{}; give one of {}", meant(&kind, &names), names.join(", ")));
    };
    let known: Vec<&str> = row.keys.iter().chain(&Common::KEYS).copied().collect();
    if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!(
            "{key} is not a key of a source of kind {kind:?}{}; the keys are {}",
            meant(key, &known),
            known.join(", ")
        ));
    }
    let (common, own): (Table, Table) = table.into_iter().partition(|(key, _)| Common::KEYS.contains(&key.as_str()));
    Ok(SourceConfig { kind: (row.read)(own)?, common: read(common)? })
}

fn read<T: for<'a> Deserialize<'a>>(table: Table) -> Result<T, String> {
    table.try_into().map_err(|e: toml::de::Error| config_file::explain(&e))
}

/// `, did you mean …?` if a known word is near.
fn meant(word: &str, known: &[&str]) -> String {
    let near = known.iter().map(|k| (strsim::damerau_levenshtein(word, k), *k)).min();
    match near {
        Some((distance, near)) if distance <= 2.max(word.len() / 4) => format!(" (did you mean {near}?)"),
        _ => String::new(),
    }
}

impl Serialize for SourceConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = match &self.kind {
            SourceKind::Directory(config) => Table::try_from(config),
            SourceKind::Http(config) | SourceKind::Mjpeg(config) => Table::try_from(config),
            SourceKind::Command(config) => Table::try_from(config),
            SourceKind::V4l2(config) => Table::try_from(config),
            SourceKind::Replay(config) => Table::try_from(config),
        };
        let mut table = own.map_err(serde::ser::Error::custom)?;
        table.extend(Table::try_from(&self.common).map_err(serde::ser::Error::custom)?);
        table.insert("kind".into(), Value::String(self.kind_name().into()));
        table.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SourceConfig, String> {
        toml::from_str(text).map_err(|e: toml::de::Error| e.message().to_owned())
    }

    /// A minimal table of every kind.
    fn minimal(kind: &str) -> String {
        let own = match kind {
            "directory" => "path = 'in'",
            "http" | "mjpeg" => "url = 'http://camera/shot'",
            "command" => "command = ['rpicam-still']",
            "v4l2" => "",
            "replay" => "path = 'images'",
            other => panic!("give the least keys of {other}"),
        };
        format!("kind = {kind:?}\n{own}\n")
    }

    #[test]
    fn every_kind_has_common_keys_and_its_own() {
        for KindRow { name: kind, keys, .. } in KINDS {
            let config = parse(&format!("{}timeout_ms = 7000\nlimits.max_pixels = 9\n", minimal(kind))).unwrap();
            assert_eq!(config.kind_name(), kind);
            assert_eq!((config.common.timeout_ms, config.common.limits.max_pixels), (7000, 9));
            config.validate().unwrap();
            // Written out and read again.
            let text = toml::to_string(&config).unwrap();
            assert_eq!(parse(&text).unwrap(), config, "{text}");
            // The list of keys is what serde knows: it names its fields when it refuses one.
            let mut table = Table::new();
            table.insert("no_such_key".into(), Value::Boolean(true));
            let said = match kind {
                "directory" => table.try_into::<DirectoryConfig>().unwrap_err().to_string(),
                "http" | "mjpeg" => table.try_into::<HttpConfig>().unwrap_err().to_string(),
                "command" => table.try_into::<CommandConfig>().unwrap_err().to_string(),
                "v4l2" => table.try_into::<V4l2Config>().unwrap_err().to_string(),
                "replay" => table.try_into::<ReplayConfig>().unwrap_err().to_string(),
                other => panic!("name the struct of {other}"),
            };
            let fields: Vec<&str> = said.split('`').skip(3).step_by(2).collect();
            assert_eq!(fields, keys, "{kind}: {said}");
        }
        let mut table = Table::new();
        table.insert("no_such_key".into(), Value::Boolean(true));
        let said = table.try_into::<Common>().unwrap_err().to_string();
        assert_eq!(said.split('`').skip(3).step_by(2).collect::<Vec<_>>(), Common::KEYS);
    }

    #[test]
    fn unknown_keys_are_refused_everywhere() {
        for KindRow { name: kind, .. } in KINDS {
            let said = parse(&format!("{}timeout_msec = 3\n", minimal(kind))).unwrap_err();
            assert!(said.contains("timeout_msec") && said.contains("did you mean timeout_ms?"), "{said}");
            let said = parse(&format!("{}limits.max_px = 3\n", minimal(kind))).unwrap_err();
            assert!(said.contains("max_px"), "{said}");
        }
        let said = parse("kind = 'directory'\npath = 'a'\nurl = 'http://x'").unwrap_err();
        assert!(said.contains("url is not a key") && !said.contains('\n'), "{said}");
    }

    #[test]
    fn kinds_are_named_when_one_is_wrong() {
        assert!(parse("path = 'a'").unwrap_err().contains("kind is missing; give one of directory, http"));
        assert!(parse("kind = 'mjpg'").unwrap_err().contains("did you mean mjpeg?"));
        assert!(parse("kind = 3").unwrap_err().contains("not text"));
        let said = parse("kind = 'http'\nurl = 3").unwrap_err();
        assert!(said.contains("write \"3\" in quotes") && !said.contains('\n'), "{said}");
    }

    #[test]
    fn values_outside_their_range_are_named() {
        let of = |change: &str| parse(&format!("{}{change}", minimal("replay"))).unwrap().validate().unwrap_err();
        assert!(of("rotate_deg = 45").contains("rotate_deg is 45; give 0, 90, 180 or 270"));
        assert!(of("timeout_ms = 1").contains("timeout_ms is 1; give a number from 100 to 600000"));
        assert!(of("backoff_max_ms = 20").contains("backoff_max_ms"));
        assert!(of("max_bytes = 0").contains("max_bytes"));
        for key in ["max_bytes", "max_width_px", "max_height_px", "max_pixels", "max_decode_bytes"] {
            let said = of(&format!("limits.{key} = 0"));
            assert!(said.starts_with(&format!("limits.{key} is 0, so no image could be read; give more")), "{said}");
        }
        assert!(SourceConfig::default().validate().unwrap_err().contains("path"));
        assert!(open(&SourceConfig::default()).is_err());
    }

    #[test]
    fn a_password_is_not_written_out() {
        let config = parse(&format!("{}username='u'\npassword_in_clear = 'hunter2'", minimal("http"))).unwrap();
        let (text, shown) = (toml::to_string(&config).unwrap(), format!("{config:?}"));
        assert!(!text.contains("hunter2") && !shown.contains("hunter2"), "{text} {shown}");
    }
}
