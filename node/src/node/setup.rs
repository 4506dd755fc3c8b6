//! A configuration → a running node.

use super::annotate::{AnnotateConfig, FrameAnnotator};
use super::announcements::Announcements;
use super::clock::Clock;
use super::command_limits::CommandLimits;
use super::command_receiver::CommandReceiver;
use super::config::NodeConfig;
use super::error::NodeError;
use super::evaluator::Evaluator;
use super::fields::FieldReader;
use super::reload::Handover;
use super::run::{Node, Process};
use super::schedule::{self, Schedule, TriggerConfig};
use super::stats::Counters;
use super::stdout_writer::StdoutWriter;
use super::watchdog::{self, Progress};
use super::zone::{self, Zone};
use super::{FieldConfig, metrics, state_dir, systemd};
use crate::camera::{self, FrameSource};
use crate::publish::clear::clear_fields;
use crate::publish::discovery::{self, Component, Discovery};
use crate::publish::mqtt;
use crate::publish::outbox::{Outbox, SharedOutbox};
use crate::publish::payload::{self, ImageInfo, Info, InfoField};
use crate::publish::{
    Content, Delivery, Encoder, FieldMeta, Handle, Message, PayloadFormat, Publisher, Queue, Record, Setup, Topics,
    Transport, Waker,
};
use crate::rules::{StateConfig, StateFile};
use edge_ocr::error::Error;
use edge_ocr::infer::arena;
use edge_ocr::target;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

/// The file with the fields' states.
const STATE_FILE: &str = "fields.state";
/// The file with the components that were announced to Home Assistant.
const COMPONENTS_FILE: &str = "discovery.json";

/// What MQTT adds to an image: fixed header, topic, properties.
const PACKET_HEADER_BYTES: usize = 512;

/// What has to be there before anything is started: everything that can be wrong with a configuration.
pub struct Parts {
    topics: Topics,
    metas: Vec<FieldMeta>,
    source: Box<dyn FrameSource>,
    reader: FieldReader,
    annotator: FrameAnnotator,
    zone: Zone,
}

impl Parts {
    /// Makes them.
    ///
    /// # Errors
    /// [`NodeError`] about the configuration, or the networks.
    pub fn new(config: &NodeConfig) -> Result<Parts, NodeError> {
        config.validate().map_err(NodeError::Config)?;
        if let Some(limit) = systemd::watchdog_limit() {
            watchdog::check(config, limit).map_err(NodeError::Config)?;
        }
        let zone = local_zone(config)?;
        let source = config.source.as_ref().ok_or_else(|| NodeError::Config("there is no [source]".into()))?;
        let source = camera::open(source).map_err(|e| NodeError::Config(format!("[source] {e}")))?;
        let fields: Vec<FieldConfig> = config.fields.iter().map(|field| field.read.clone()).collect();
        let reader =
            FieldReader::new(&config.pipeline, &fields, config.align.as_ref()).map_err(|error| match error {
                Error::Config(sentence) => NodeError::Config(sentence),
                Error::Param(error) => NodeError::Config(error.to_string()),
                other => other.into(),
            })?;
        let annotator = FrameAnnotator::new(AnnotateConfig { max_bytes: image_bytes(config), ..config.image })
            .map_err(|e| NodeError::Config(e.to_string()))?;
        let metas: Vec<FieldMeta> = config.fields.iter().map(|field| field.meta()).collect();
        let topics = config.topics().map_err(NodeError::Config)?;
        discovery(config, &topics, &metas, &announced_before(config)).map_err(NodeError::Config)?;
        // Secrets are read here too, so that `--check-config` finds one that is missing.
        let options = mqtt::Options::default();
        mqtt::connect(&config.mqtt, &client_id(&topics), None, options)
            .map_err(|e| NodeError::Config(e.to_string()))?;
        Ok(Parts { topics, metas, source, reader, annotator, zone })
    }
}

/// The local time zone. With `cron`, there has to be one.
fn local_zone(config: &NodeConfig) -> Result<Zone, NodeError> {
    zone::local().or_else(|sentence| match config.trigger.cron {
        Some(_) => Err(NodeError::Config(format!("[trigger] cron is in local time, but {sentence}"))),
        None => {
            log::warn!("{sentence}; local times are told in UTC meanwhile");
            Ok(Zone::utc("UTC"))
        }
    })
}

/// Whether files are read as they come: from a source of files, without a trigger.
fn reads_files_as_they_come(config: &NodeConfig) -> bool {
    let is_file_source = config.source.as_ref().is_some_and(camera::SourceConfig::is_file_source);
    is_file_source && config.trigger.interval_s.is_none() && config.trigger.cron.is_none()
}

/// When rounds of a configuration that was [checked](super::check) begin, and in which time zone, for people.
pub fn timing(config: &NodeConfig) -> String {
    let zone = zone::local().unwrap_or_else(|_| Zone::utc("UTC"));
    match reads_files_as_they_come(config) {
        true => format!("files are read as they come; the time zone is {}", zone.name),
        false => schedule::describe(&config.trigger, &zone, SystemTime::now()),
    }
}

/// The longest image that is published: as configured, or what a packet has room for.
fn image_bytes(config: &NodeConfig) -> usize {
    let room = (config.mqtt.max_packet_out_bytes as usize).saturating_sub(PACKET_HEADER_BYTES);
    config.image.max_bytes.min(room).max(AnnotateConfig::MIN_BYTES)
}

/// The name by which the broker knows a node.
fn client_id(topics: &Topics) -> String {
    format!("edge-ocr-{}", topics.node_id())
}

impl Node {
    /// Starts everything: outbox, connection, camera. `before` is of the node whose place this one takes.
    ///
    /// # Errors
    /// [`NodeError`]: the configuration, the networks, an outbox that another node uses.
    pub fn start(config: NodeConfig, process: &Process, before: &mut Handover) -> Result<Node, NodeError> {
        let parts = Parts::new(&config)?;
        let will = payload::will(&parts.topics, &config.retain);
        let transport = mqtt::connect(&config.mqtt, &client_id(&parts.topics), Some(will), mqtt::Options::default())
            .map_err(|e| NodeError::Config(e.to_string()))?;
        Node::assemble(config, parts, Clock::start(), transport, process, before)
    }

    /// A node with clocks and a connection of the caller's.
    pub(super) fn assemble(
        config: NodeConfig,
        Parts { topics, metas, mut source, mut reader, annotator, zone }: Parts,
        clock: Clock,
        transport: Box<dyn Transport>,
        process: &Process,
        before: &mut Handover,
    ) -> Result<Node, NodeError> {
        let state_dir = state_dir::of(&config);
        if let Some(dir) = &state_dir
            && let Err(e) = std::fs::create_dir_all(dir)
        {
            log::warn!("{} cannot be made: {e}; readings that wait are kept in memory", dir.display());
        }
        let outbox = SharedOutbox::new(Outbox::open(state_dir.as_deref(), &config.outbox)?);
        // A disk that cannot be used has been told of.
        if let (None, Some(problem)) = (&state_dir, &outbox.status().problem) {
            log::warn!("{problem}");
        }
        let states = state_dir.as_ref().map(|dir| {
            let interval = StateConfig { save_interval_s: config.node.save_interval_s };
            let (file, error) = StateFile::open(dir.join(STATE_FILE), &interval);
            if let Some(error) = error {
                log::warn!("{error}");
            }
            file
        });
        let is_file_source = config.source.as_ref().is_some_and(camera::SourceConfig::is_file_source);
        let source_consumes_files = config.source_consumes_files();
        let evaluator = Evaluator::new(&config.fields, clock.clone(), is_file_source, states.as_ref())
            .map_err(NodeError::Config)?;
        let encoder = |form| Encoder::new(topics.clone(), &metas, form, &config.retain, zone.rules.clone());
        let form = config.node.payload;
        let discovery = discover(&config, &topics, &metas, state_dir.as_deref()).map_err(NodeError::Config)?;
        let info = info(&config, &topics, &metas, &clock, &*source, &reader);
        // Fields of this process's earlier configurations, and of the run before.
        let mut known_fields = before.known_fields.clone();
        known_fields.extend(states.iter().flat_map(StateFile::names).map(str::to_owned));
        let gone = known_fields.iter().map(String::as_str).filter(|name| metas.iter().all(|meta| meta.name != **name));
        let gone = if config.retain.state { clear_fields(&topics, gone) } else { Vec::new() };
        known_fields.extend(metas.iter().map(|meta| meta.name.clone()));
        let announcements = Announcements::new(
            topics.clone(),
            config.retain.clone(),
            [encoder(form), encoder(PayloadFormat::Json)],
            &info,
            discovery,
            gone,
        );
        let metrics = metrics::Shared::default();
        let serve = |address| metrics::serve(address, metrics.clone()).map_err(NodeError::Config);
        let metrics_server = config.metrics.listen.map(serve).transpose()?;
        let now = Instant::now();
        let trigger = &config.trigger;
        let schedule = match reads_files_as_they_come(&config) {
            true => None,
            false => {
                log::info!("{}", schedule::describe(trigger, &zone, clock.now()));
                let schedule = resume_or_start(trigger, &clock, zone.rules, before.schedule.take());
                Some(schedule.map_err(NodeError::Config)?)
            }
        };
        // The writer of the old node may be blocked by a reader that does not read.
        let stdout_writer = match (config.node.print, before.stdout_writer.take()) {
            (true, None) => Some(StdoutWriter::new(std::io::stdout())?),
            (print, stdout_writer) => stdout_writer.filter(|_| print),
        };
        let (publisher, deliveries) =
            publish(&config, &topics, &outbox, &announcements, &clock, transport, process.event_sender.waker())?;
        let command_receiver =
            CommandReceiver::new(&topics, &metas, &config.discovery, process.event_sender.clone(), publisher.clone());
        if let Err(e) = command_receiver.start(deliveries) {
            // Otherwise its thread goes on, with the outbox.
            publisher.stop(Duration::ZERO);
            return Err(e.into());
        }
        let progress = Progress::new(process.manager.clone(), publisher.clone());
        let on_progress = {
            let progress = progress.clone();
            move || progress.made()
        };
        // Without a watchdog nobody has to see that a wait goes on.
        let watched = |interval| process.stop.watched(interval, on_progress.clone());
        let waiting = process.manager.watchdog_interval().map_or_else(|| process.stop.clone(), watched);
        reader.on_progress(Arc::new(on_progress));
        if let Some(read) = before.read_files.take() {
            source.resume(read);
        }
        log::info!(
            "node {}: {} fields of {}, broker {}, outbox {}",
            topics.node_id(),
            metas.len(),
            source.describe(),
            config.mqtt.broker(),
            if outbox.status().on_disk { "on disk" } else { "in memory" },
        );
        Ok(Node {
            limits: CommandLimits::new(&config.commands, before.limits.clone()),
            check: None,
            config,
            process: process.clone(),
            topics,
            source,
            waiting,
            is_file_source,
            source_consumes_files,
            pending_disposal: None,
            reader,
            annotator,
            clock,
            evaluator,
            schedule,
            outbox,
            publisher,
            progress,
            announcements,
            known_fields,
            states,
            metrics,
            _metrics_server: metrics_server,
            counters: Counters::default(),
            started: now,
            last: None,
            deferred_readings: BTreeMap::new(),
            announce_at: None,
            republish_at: None,
            connections: 0,
            stdout_writer,
            stats_due: now,
            metrics_due: now,
            warnings: Default::default(),
        })
    }
}

/// The schedule of a node. That of the node before goes on, if it is the same: reloads, however many, do not put rounds
/// off.
fn resume_or_start(
    trigger: &TriggerConfig,
    clock: &Clock,
    rules: TimeZone,
    before: Option<(TriggerConfig, Schedule)>,
) -> Result<Schedule, String> {
    match before {
        Some((same, mut schedule)) if same == *trigger => {
            schedule.resume(trigger);
            Ok(schedule)
        }
        _ => Schedule::in_zone(trigger, clock.both(), rules),
    }
}

/// Starts the publisher; what comes in is in the receiver.
fn publish(
    config: &NodeConfig,
    topics: &Topics,
    outbox: &SharedOutbox,
    announcements: &Announcements,
    clock: &Clock,
    transport: Box<dyn Transport>,
    on_change: Waker,
) -> std::io::Result<(Handle, Receiver<Delivery>)> {
    let speaker = announcements.clone();
    let encode = move |record: &Record, historical: bool, published_at_ms: i64| {
        // A field that no topic can have was not made by this program: such a message is refused further on, and
        // counted.
        speaker
            .record(record, historical, published_at_ms)
            .unwrap_or_else(|| Message::new("", Vec::new(), Content::Bytes))
    };
    let (birth_announcements, queue, wall, birth_wall) =
        (announcements.clone(), outbox.clone(), clock.clone(), clock.clone());
    Publisher::spawn(Setup {
        transport,
        queue: Box::new(outbox.clone()),
        encode: Box::new(encode),
        boot_id: clock.boot_id().to_string(),
        subscriptions: topics.filters(config.discovery.birth_filter()),
        birth: Box::new(move || birth_announcements.birth_messages(!queue.is_empty(), birth_wall.now_ms())),
        on_change,
        clock: Box::new(move || wall.now_ms()),
        shutdown_messages: announcements.shutdown_messages(),
        config: config.publish.clone(),
    })
}

/// The components that the run before announced to Home Assistant, as far as they are known.
pub(super) fn announced_before(config: &NodeConfig) -> Vec<Component> {
    state_dir::of(config).map(|dir| discovery::load_components(&dir.join(COMPONENTS_FILE))).unwrap_or_default()
}

/// Discovery for the current configuration, and messages that remove entities only in `old`.
fn discovery(
    config: &NodeConfig,
    topics: &Topics,
    metas: &[FieldMeta],
    old: &[Component],
) -> Result<(Discovery, Vec<Message>), String> {
    let discovery = Discovery::new(topics, &config.discovery, metas, target::DESCRIPTION);
    let messages = discovery.messages(old, &config.retain, config.mqtt.max_packet_out_bytes as usize)?;
    Ok((discovery, messages))
}

/// Builds the discovery messages and saves the components for the next run.
fn discover(
    config: &NodeConfig,
    topics: &Topics,
    metas: &[FieldMeta],
    state_dir: Option<&Path>,
) -> Result<Vec<Message>, String> {
    let old = announced_before(config);
    let (discovery, messages) = discovery(config, topics, metas, &old)?;
    if let Some(file) = state_dir.map(|dir| dir.join(COMPONENTS_FILE))
        && discovery.components() != old
        && let Err(e) = discovery::save_components(&file, &discovery.components())
    {
        log::warn!("{e}");
    }
    Ok(messages)
}

fn info(
    config: &NodeConfig,
    topics: &Topics,
    metas: &[FieldMeta],
    clock: &Clock,
    source: &dyn FrameSource,
    reader: &FieldReader,
) -> Info {
    let names = reader.names();
    let field = |meta: &FieldMeta| InfoField {
        name: meta.name.clone(),
        label: meta.label().to_string(),
        unit: meta.unit().map(str::to_string),
        topic: topics.field_state(&meta.name).map(|topic| topic.to_string()).unwrap_or_default(),
    };
    Info {
        boot_id: clock.boot_id().to_string(),
        started_at_ms: clock.now_ms(),
        engine: names.engine.to_string(),
        target: target::NAME.to_string(),
        isa: arena::isa().map(|isa| isa.name().to_string()).unwrap_or_default(),
        det: names.det.clone().unwrap_or_default(),
        rec: names.rec.clone(),
        second_rec: names.second_rec.clone(),
        cls: names.cls.clone(),
        ran: names.ran.iter().cloned().collect(),
        source: source.describe(),
        fields: metas.iter().map(field).collect(),
        image: Some(ImageInfo { topic: topics.camera_image().to_string(), max_bytes: image_bytes(config) as u64 }),
        config_sha256: config.digest.clone(),
    }
}
