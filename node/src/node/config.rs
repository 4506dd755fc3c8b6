//! `node.toml`: the whole configuration of a node.

use super::annotate::AnnotateConfig;
use super::clock;
use super::command_limits::CommandsConfig;
use super::field_config::{AlignConfig, FieldConfig, validate_fields};
use super::metrics::MetricsConfig;
use super::schedule::TriggerConfig;
use crate::camera::{After, DirectoryConfig, SourceConfig, SourceKind};
use crate::publish::mqtt::MqttConfig;
use crate::publish::outbox::OutboxConfig;
use crate::publish::{
    DiscoveryConfig, FieldLabels, FieldMeta, NumberMeta, PayloadFormat, PublisherConfig, RetainConfig, Topics,
    TopicsConfig,
};
use crate::rules::{Monotonic, RulesConfig, StateConfig};
use crate::util::config_file;
use edge_ocr::Config;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The configuration that `--print-default-config` writes: every key with its default, or an example that is marked
/// as one, and what it does.
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// A node's configuration. Every table may be left out but `source` and at least one `field`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// The node itself.
    pub node: NodeSection,
    /// Where frames come from.
    pub source: Option<SourceConfig>,
    /// When they are taken.
    pub trigger: TriggerConfig,
    /// How often others may ask for something.
    pub commands: CommandsConfig,
    /// A reference mark by which regions follow a camera that moves.
    pub align: Option<AlignConfig>,
    /// What is read in a frame.
    #[serde(rename = "field")]
    pub fields: Vec<FieldSection>,
    /// The networks, as `read` has them. Mode, regions and characters are the fields' business.
    pub pipeline: Config,
    /// The image that is published on request.
    pub image: AnnotateConfig,
    /// The broker.
    pub mqtt: MqttConfig,
    /// How readings are handed to it.
    pub publish: PublisherConfig,
    /// Where the node speaks.
    pub topics: TopicsConfig,
    /// What the broker keeps.
    pub retain: RetainConfig,
    /// Home Assistant.
    pub discovery: DiscoveryConfig,
    /// Readings that wait for the broker.
    pub outbox: OutboxConfig,
    /// Prometheus.
    pub metrics: MetricsConfig,
    /// SHA-256 of the file, hexadecimal; empty if there was none.
    #[serde(skip)]
    pub digest: String,
}

/// `[node]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSection {
    /// Where outbox and the fields' state are kept: systemd's `$STATE_DIRECTORY` if not given, and memory alone
    /// without either.
    pub state_dir: Option<PathBuf>,
    /// Seconds between two writes of the fields' state, 1 to 86 400. Default 300: it only bridges a restart.
    pub save_interval_s: u64,
    /// Seconds between two messages of statistics; 0 for none. Default 300.
    pub stats_interval_s: u32,
    /// `json`, or `postcard` for programs of this project.
    pub payload: PayloadFormat,
    /// Every reading as a line of JSON on standard output.
    pub print: bool,
}

impl Default for NodeSection {
    fn default() -> Self {
        NodeSection {
            state_dir: None,
            save_interval_s: 300,
            stats_interval_s: 300,
            payload: PayloadFormat::Json,
            print: false,
        }
    }
}

/// `[[field]]`: in TOML one table of what is read, what it is worth, and how it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSection {
    /// Where and how it is read.
    pub read: FieldConfig,
    /// What a reading is worth.
    pub rules: RulesConfig,
    /// How Home Assistant shows it: the table `home_assistant`.
    pub labels: FieldLabels,
    /// Which good readings are published.
    pub publish: Which,
}

/// Which good readings are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// Each.
    #[default]
    All,
    /// Those that differ from the last published one by more than the dead-band.
    Changes,
}

// By hand, because serde's `flatten` cannot refuse unknown keys.
impl<'de> Deserialize<'de> for FieldSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = toml::Table::deserialize(deserializer)?;
        let name = table.get("name").and_then(toml::Value::as_str).unwrap_or("without a name").to_string();
        let wrong = |reason: String| D::Error::custom(format!("field {name}: {reason}"));
        let known = FieldConfig::KEYS.iter().chain(&RulesConfig::KEYS).chain(&["home_assistant", "publish"]).copied();
        if let Some(key) = table.keys().find(|key| !known.clone().any(|name| name == **key)) {
            return Err(wrong(config_file::unknown_word("key", key, &known.collect::<Vec<_>>())));
        }
        let explained = |error: toml::de::Error| wrong(config_file::explain(&error));
        Ok(FieldSection {
            rules: RulesConfig::take_from(&mut table).map_err(explained)?,
            labels: take(&mut table, "home_assistant").map_err(wrong)?,
            publish: take(&mut table, "publish").map_err(wrong)?,
            read: table.try_into().map_err(explained)?,
        })
    }
}

/// Takes one key out of a table; its default if it is not there.
fn take<T: DeserializeOwned + Default>(table: &mut toml::Table, key: &str) -> Result<T, String> {
    let Some(value) = table.remove(key) else { return Ok(T::default()) };
    value.try_into().map_err(|error: toml::de::Error| format!("{key}: {}", config_file::explain(&error)))
}

impl NodeConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// One sentence that names the file and the first mistake.
    pub fn load(path: &Path) -> Result<NodeConfig, String> {
        let text = config_file::read_text(path)?;
        let mut config: NodeConfig = config_file::parse(&text, &path.display().to_string())?;
        config.validate().map_err(|sentence| format!("{}: {sentence}", path.display()))?;
        config.digest = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(config)
    }

    /// Checks what the types cannot. The error is one sentence that names the key.
    ///
    /// # Errors
    /// The first mistake.
    pub fn validate(&self) -> Result<(), String> {
        let within =
            |table: &str, result: Result<(), String>| result.map_err(|sentence| format!("[{table}] {sentence}"));
        match &self.source {
            None => {
                return Err(
                    "there is no [source]; say where frames come from, for instance kind = \"directory\"".into()
                );
            }
            Some(source) => within("source", source.validate())?,
        }
        within("trigger", self.trigger.validate())?;
        within("commands", self.commands.validate())?;
        if let Some(align) = &self.align {
            align.validate()?;
            if self.source.as_ref().is_some_and(|source| source.common.reduce_above_px > 0) {
                return Err("align cannot be used with reduce_above_px, because marks are compared with the frame pixel by pixel; set \
                     reduce_above_px = 0, or have the camera give smaller images"
                    .into());
            }
        }
        within("pipeline", self.pipeline.validate().map_err(|e| e.to_string()))?;
        within("pipeline", self.only_what_counts())?;
        within("image", self.image.validate())?;
        self.mqtt.validate()?;
        self.publish.validate()?;
        within("topics", self.topics.validate())?;
        for (key, topic) in [("prefix", &self.discovery.prefix), ("birth_topic", &self.discovery.birth_topic)] {
            within("topics", self.topics.check_response_prefix(&format!("{key} of [discovery]"), topic))?;
        }
        self.outbox.validate()?;
        self.room_for_a_round()?;
        self.metrics.validate()?;
        if self.node.state_dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
            return Err("[node] state_dir is empty; give a folder, or leave it out to keep what waits in memory".into());
        }
        within("node", StateConfig { save_interval_s: self.node.save_interval_s }.validate())?;
        validate_fields(self.fields.iter().map(|field| &field.read))?;
        for FieldSection { read, rules, .. } in &self.fields {
            rules.validate().map_err(|sentence| format!("field {}: {sentence}", read.name))?;
        }
        let metas: Vec<FieldMeta> = self.fields.iter().map(FieldSection::meta).collect();
        within("discovery", self.discovery.check(&metas, &self.retain, self.node.payload))?;
        self.topics().map(drop)
    }

    /// Refuses keys of `[pipeline]` of which the fields decide: they would be of no effect.
    fn only_what_counts(&self) -> Result<(), String> {
        let (ours, default) = (&self.pipeline, Config::default());
        let given = [
            ("mode", ours.mode != default.mode, "mode"),
            ("classify", ours.classify != default.classify, "classify"),
            ("rec_score_thresh", ours.rec_score_thresh != default.rec_score_thresh, "rec_score_thresh"),
            ("regions", ours.regions != default.regions, "roi"),
            ("rotate_deg", ours.rotate_deg != default.rotate_deg, "rotate_deg"),
            ("enhance", ours.enhance != default.enhance, "enhance"),
            ("recognise.allowed_chars", ours.recognise.allowed_chars.is_some(), "allowed_chars"),
            ("recognise.pattern", ours.recognise.pattern.is_some(), "pattern"),
        ];
        match given.iter().find(|(_, given, _)| *given) {
            Some((key, _, instead)) => Err(format!("{key} has no effect in a node; give {instead} in [[field]]")),
            None => Ok(()),
        }
    }

    /// The topics of this node, by its configured id or the machine's.
    ///
    /// # Errors
    /// One sentence where neither is there.
    pub fn topics(&self) -> Result<Topics, String> {
        let machine = clock::machine_name();
        if self.topics.node_id.is_empty() && machine.is_none() {
            return Err("this machine has no /etc/machine-id; give the node a name with node_id in [topics]".into());
        }
        self.topics.topics(machine.as_deref().unwrap_or_default())
    }

    /// Whether the source's files are deleted or moved once their readings are safe.
    pub fn source_consumes_files(&self) -> bool {
        self.directory().is_some_and(|folder| folder.after != After::Keep)
    }

    /// The source, if it is a folder.
    fn directory(&self) -> Option<&DirectoryConfig> {
        match &self.source.as_ref()?.kind {
            SourceKind::Directory(folder) => Some(folder),
            _ => None,
        }
    }

    /// Without a disk the readings of one image wait in memory together, and no image goes of which one had no
    /// room there.
    fn room_for_a_round(&self) -> Result<(), String> {
        let (room, fields) = (self.outbox.memory_records, self.fields.len());
        match self.source_consumes_files() && room < fields {
            true => Err(format!(
                "outbox.memory_records is {room} but must be at least the number of fields, {fields}, where after = \"delete\" or \"move\" \
                 waits for the readings of an image"
            )),
            false => Ok(()),
        }
    }

    /// What can be used but is probably not meant; sentences.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let votes = self.fields.iter().find(|field| field.rules.vote.frames > 1);
        if let Some(field) = votes.filter(|_| self.directory().is_some()) {
            let name = &field.read.name;
            warnings.push(format!("field {name}: vote has no effect, because each file of a folder is a reading"));
        }
        warnings
    }

    /// Frames that one reading needs: the most that any field votes over. Each file of a directory is a reading of
    /// its own.
    pub fn frames(&self) -> u8 {
        if self.directory().is_some() {
            return 1;
        }
        self.fields.iter().map(|field| field.rules.vote.frames).max().unwrap_or(1).max(1)
    }
}

impl FieldSection {
    /// The field as publishing sees it.
    pub fn meta(&self) -> FieldMeta {
        let number = self.rules.number.as_ref().map(|number| NumberMeta {
            unit: number.unit.clone(),
            decimals: u8::try_from(-number.decimals_shift).ok().filter(|decimals| *decimals > 0),
            increasing: self.rules.monotonic == Some(Monotonic::Increasing),
        });
        let FieldConfig { name, label, .. } = &self.read;
        FieldMeta { name: name.clone(), label: label.clone().unwrap_or_default(), number, labels: self.labels.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With fewer, an image was deleted whose readings had no room while there was neither disk nor broker.
    #[test]
    fn memory_holds_the_readings_of_a_image_that_goes() {
        let with = |after: &str, records: usize| {
            let text = format!(
                "[source]\nkind = 'directory'\npath = 'in'\nafter = '{after}'\n[[field]]\nname = 'a'\n[[field]]\nname = 'b'\n\
                 [outbox]\nmemory_records = {records}\n"
            );
            toml::from_str::<NodeConfig>(&text).unwrap().validate()
        };
        assert_eq!((with("delete", 2), with("keep", 1)), (Ok(()), Ok(())));
        let said = with("delete", 1).unwrap_err();
        assert!(said.starts_with("outbox.memory_records is 1") && said.contains("fields, 2,"), "{said}");
    }

    /// It was that of the first field, whichever was meant.
    #[test]
    fn mistake_in_a_field_is_told_with_its_line() {
        let said = |third: &str| {
            let text = format!(
                "[source]\nkind = 'directory'\npath = 'in'\n\n[[field]]\nname = 'a'\nmode = 'line'\n\n[[field]]\nname = 'b'\n\n{third}\n"
            );
            config_file::parse::<NodeConfig>(&text, "f").map(drop).unwrap_err()
        };
        for (third, start) in [
            ("mode = 'pages'", "f, line 12: field b: "),
            ("roi = '0,0,9,9'\nmdoe = 'page'", "f, line 13: field b: "),
            ("number = { digits = 7 }\n[[field]]\nname = 'c'\nnumber.digits = 'x'", "f, line 15: field c: "),
            ("[[field]]\nmode = 'page'\nrange = 'x'", "f, line 14: field without a name: "),
            ("[trigger]\ninterval_s = 'x'", "f, line 13: trigger.interval_s: "),
        ] {
            let said = said(third);
            assert!(said.starts_with(start), "{third}: {said}");
        }
    }

    #[test]
    fn what_is_probably_not_meant_is_told() {
        let with = |path: &str, more: &str| -> NodeConfig {
            toml::from_str(&format!("[source]\nkind = 'directory'\npath = '{path}'\n[[field]]\nname = 'a'\n{more}"))
                .unwrap()
        };
        assert!(with("/", "").warnings().is_empty());
        assert!(with("/", "vote.frames = 3").warnings()[0].starts_with("field a: vote has no effect"));
    }

    #[test]
    fn align_with_reduced_frames_is_refused() {
        let with = |pixels: u64| {
            let text = format!(
                "[source]\nkind = 'http'\nurl = 'http://a/'\nreduce_above_px = {pixels}\n[[field]]\nname = 'a'\n\
                 [[align.marks]]\nimage = 'a.png'\n[topics]\nnode_id = 'n'\n"
            );
            toml::from_str::<NodeConfig>(&text).unwrap().validate()
        };
        assert_eq!(with(0), Ok(()));
        assert!(with(1000).unwrap_err().contains("align cannot be used with reduce_above_px"));
    }

    #[test]
    fn pipeline_keys_without_effect_refused() {
        let text = |pipeline: &str| {
            format!("[source]\nkind = 'directory'\npath = 'in'\n[[field]]\nname = 'a'\n[pipeline]\n{pipeline}\n")
        };
        let of = |pipeline: &str| toml::from_str::<NodeConfig>(&text(pipeline)).unwrap().only_what_counts();
        assert_eq!(of("threads = 2\ndetect.db.thresh = 0.3"), Ok(()));
        for key in ["mode = 'line'", "regions = ['0,0,9,9']", "rotate_deg = 90", "recognise.pattern = '99'"] {
            assert!(of(key).unwrap_err().contains("[[field]]"), "{key}");
        }
    }
}
