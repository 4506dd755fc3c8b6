//! The node's loop: waits for the next cycle or an event, takes frames, reads, evaluates and records them.

use super::annotate::FrameAnnotator;
use super::announcements::Announcements;
use super::clock::Clock;
use super::command_limits::CommandLimits;
use super::config::NodeConfig;
use super::cycle::{CycleOutcome, PendingDisposal};
use super::error::NodeError;
use super::evaluator::Evaluator;
use super::events::{EventReceiver, EventSender, NodeEvent};
use super::fields::{FieldReader, FrameReadings};
use super::log_throttle::ThrottledWarnings;
use super::metrics;
use super::reload::{Check, Handover, Load};
use super::schedule::{Next, Schedule};
use super::stats::Counters;
use super::stdout_writer::StdoutWriter;
use super::systemd::ServiceManager;
use super::watchdog::Progress;
use crate::camera::FrameSource;
use crate::publish::outbox::SharedOutbox;
use crate::publish::{Handle, Record, Topics};
use crate::rules::StateFile;
use crate::util::shutdown::Shutdown;
use edge_ocr::image::Image;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The longest sleep of the loop, for what neither an event nor a time announces: a disk that failed in the publisher.
const MAX_SLEEP: Duration = Duration::from_secs(10);
/// The longest sleep where the wall clock says when a cycle begins, because somebody may set it.
const CLOCK_CHECK: Duration = Duration::from_secs(1);
/// How long Home Assistant may take from the discovery of an entity to its subscription; it takes about a second.
const SUBSCRIBE_DELAY: Duration = Duration::from_secs(5);

/// Why the loop ended.
#[derive(Debug)]
pub enum Ended {
    /// It was stopped by a signal or by the caller.
    Stopped,
    /// This configuration replaces the node's.
    Reload(Box<NodeConfig>),
    /// The source has no further frames.
    NoMoreFrames,
}

/// What outlives a configuration: the process's side of signals, commands and the service manager.
#[derive(Clone)]
pub struct Process {
    pub(super) stop: Shutdown,
    pub(super) event_sender: EventSender,
    pub(super) event_receiver: Rc<EventReceiver>,
    pub(super) manager: ServiceManager,
}

/// A running node.
pub struct Node {
    pub(super) config: NodeConfig,
    pub(super) process: Process,
    pub(super) topics: Topics,
    pub(super) source: Box<dyn FrameSource>,
    /// The process's stop flag for the source: each check of it feeds the watchdog.
    pub(super) waiting: Shutdown,
    /// Whether the source reads files: as they come, with the times at which they were taken.
    pub(super) is_file_source: bool,
    /// Whether the source moves or deletes a file that was read: then its readings have to be on disk first.
    pub(super) source_consumes_files: bool,
    /// Files that were read and must stay until their readings are safe; no others are read meanwhile.
    pub(super) pending_disposal: Option<PendingDisposal>,
    pub(super) reader: FieldReader,
    pub(super) annotator: FrameAnnotator,
    pub(super) clock: Clock,
    pub(super) evaluator: Evaluator,
    /// None: as files come.
    pub(super) schedule: Option<Schedule>,
    pub(super) outbox: SharedOutbox,
    pub(super) publisher: Handle,
    pub(super) progress: Progress,
    pub(super) announcements: Announcements,
    /// Names of all fields that this node has or had.
    pub(super) known_fields: BTreeSet<String>,
    pub(super) states: Option<StateFile>,
    pub(super) metrics: metrics::Shared,
    pub(super) _metrics_server: Option<metrics::Server>,
    pub(super) counters: Counters,
    pub(super) started: Instant,
    /// What was read last, for an image on request.
    pub(super) last: Option<(Image, FrameReadings)>,
    /// The newest refused reading of each field. It waits until the outbox is empty, so that a field's messages keep
    /// their order.
    pub(super) deferred_readings: BTreeMap<String, Record>,
    /// When this node is announced again, after a start of Home Assistant.
    pub(super) announce_at: Option<Instant>,
    /// When the last readings are published again, if the broker does not retain them.
    pub(super) republish_at: Option<Instant>,
    /// The number of connections at the last republication.
    pub(super) connections: u64,
    /// A configuration that is being checked.
    pub(super) check: Option<Check>,
    /// The shortest times between two commands of a kind.
    pub(super) limits: CommandLimits,
    pub(super) stdout_writer: Option<StdoutWriter>,
    pub(super) stats_due: Instant,
    pub(super) metrics_due: Instant,
    pub(super) warnings: ThrottledWarnings,
}

impl Node {
    /// Runs until it is stopped. On SIGHUP or the command `reload` it checks what `load` gives, reading on meanwhile;
    /// if that can be used, the loop ends with [`Ended::Reload`].
    ///
    /// # Errors
    /// [`NodeError`] for failures that retrying cannot fix: a network that fails, standard output that is closed.
    pub fn run(&mut self, load: &Load) -> Result<Ended, NodeError> {
        self.process.manager.ready("reading");
        loop {
            if self.process.stop.is_set() {
                return Ok(Ended::Stopped);
            }
            if let Some(config) = self.checked() {
                return Ok(Ended::Reload(config));
            }
            let (due, until) = self.next_cycle();
            let wait = if due { Duration::ZERO } else { until.saturating_duration_since(Instant::now()) };
            match self.process.event_receiver.next(wait, self.check.is_none()) {
                Some(NodeEvent::Stop) => return Ok(Ended::Stopped),
                Some(NodeEvent::Reload) => self.begin_check(load, None),
                Some(NodeEvent::Command(request)) => self.handle_command(request, load)?,
                Some(NodeEvent::HomeAssistant(within)) => self.schedule_announcement(within),
                Some(NodeEvent::Wakeup) | None => {}
            }
            if due {
                match self.run_cycle_until(until)? {
                    CycleOutcome::Done | CycleOutcome::NothingNew => {}
                    CycleOutcome::End => return Ok(Ended::NoMoreFrames),
                    CycleOutcome::Stopped => return Ok(Ended::Stopped),
                }
            }
            self.housekeeping();
        }
    }

    /// Whether a cycle is due now, and until when there is nothing else to do. Files without a schedule are read as
    /// they come: there the source does the waiting.
    fn next_cycle(&mut self) -> (bool, Instant) {
        let until = self.next_housekeeping(Instant::now());
        if self.pending_disposal.is_some() {
            return (false, until);
        }
        match self.schedule.as_mut().map_or(Next::Due, |schedule| schedule.next_after(self.clock.both())) {
            Next::Due => (true, until),
            Next::Wait(at) => (false, at.min(until)),
        }
    }

    /// When [`housekeeping`](Self::housekeeping) has something to do next, if nothing happens before: the publisher and
    /// commands wake the loop.
    pub(super) fn next_housekeeping(&self, now: Instant) -> Instant {
        let longest = if self.config.trigger.cron.is_some() { CLOCK_CHECK } else { MAX_SLEEP };
        let longest = longest.min(self.process.manager.watchdog_interval().unwrap_or(longest));
        let states = self.states.as_ref().and_then(StateFile::next_save_ms).map(|at| {
            let now_ms = self.evaluator.moment(self.clock.now()).monotonic_ms;
            now + Duration::from_millis(at.saturating_sub(now_ms))
        });
        let disposal = self.pending_disposal.as_ref().and_then(PendingDisposal::warn_at);
        // What waits for the outbox to be sent is announced by the publisher.
        let republish = self.republish_at.filter(|at| *at > now);
        let stats = (self.config.node.stats_interval_s > 0).then_some(self.stats_due);
        let metrics = self.config.metrics.is_on().then_some(self.metrics_due);
        [self.outbox.next_tick(), states, disposal, self.announce_at, republish, stats, metrics]
            .into_iter()
            .flatten()
            .fold(now + longest, Instant::min)
    }

    /// Does all work that is due by time.
    pub(super) fn housekeeping(&mut self) {
        let now = Instant::now();
        let now_ms = self.clock.now_ms();
        if self.outbox.tick(now) {
            self.publisher.notify_outbox();
        }
        self.release_files();
        self.progress.made();
        if !self.deferred_readings.is_empty() && self.publisher.connected() && self.outbox_is_sent() {
            let publisher = &self.publisher;
            let (blocked, free) = std::mem::take(&mut self.deferred_readings)
                .into_iter()
                .partition(|(field, _)| publisher.is_blocked(field));
            self.deferred_readings = blocked;
            let free: BTreeMap<String, Record> = free;
            for record in free.into_values() {
                // It may have waited for hours for the broker or the outbox.
                let late = self.publisher.is_late(&record, now_ms);
                if let Some(message) = self.announcements.record(&record, late, now_ms) {
                    self.publisher.send(message);
                }
                self.announcements.mark_published(&record);
            }
        }
        if self.announce_at.is_some_and(|at| at <= now) {
            self.announce_at = None;
            self.publisher.announce(self.announcements.discovery_messages());
            self.schedule_republish(now);
        }
        let connections = self.publisher.counters().connections;
        if connections != self.connections {
            self.connections = connections;
            self.schedule_republish(now);
        }
        // Records in the outbox are sent by themselves, in their order.
        if self.republish_at.is_some_and(|at| at <= now) && self.outbox_is_sent() {
            self.republish_at = None;
            for message in self.announcements.readings(now_ms) {
                self.publisher.send(message);
            }
        }
        if self.config.node.stats_interval_s > 0 && self.stats_due <= now {
            self.stats_due = now + Duration::from_secs(self.config.node.stats_interval_s.into());
            let message = self.stats_message(now_ms);
            if self.publisher.connected() {
                self.publisher.send(message);
            }
        }
        if self.metrics_due <= now {
            self.write_metrics(now);
        }
        self.save_states(false);
    }

    /// Whether nothing waits in the outbox but records of fields that the broker does not take now.
    fn outbox_is_sent(&self) -> bool {
        self.publisher.has_sent(self.outbox.status().newest)
    }

    /// Home Assistant subscribes to an entity's topic some time after its discovery. What was published meanwhile
    /// would be lost if the broker does not retain it.
    fn schedule_republish(&mut self, now: Instant) {
        if self.config.discovery.enabled && !self.config.retain.state {
            self.republish_at = Some(now + SUBSCRIBE_DELAY);
        }
    }

    /// Writes the fields' states if that is due.
    pub(super) fn save_states(&mut self, urgent: bool) {
        let moment = self.evaluator.moment(self.clock.now());
        if let Some(file) = &mut self.states
            && let Err(e) = file.save(self.evaluator.states(), moment, urgent)
        {
            self.warnings.states.warn(&e);
        }
    }

    /// Publishes the shutdown messages, writes what is in memory and disconnects. All resources of the node are free
    /// when this returns, so that the next node can take them.
    pub fn close(mut self, ended: &Result<Ended, NodeError>) -> Handover {
        let reload = matches!(ended, Ok(Ended::Reload(_)));
        if !reload {
            self.process.manager.stopping();
        }
        self.save_states(true);
        self.publisher.stop(Duration::from_secs(5));
        self.outbox.close();
        self.release_files();
        if !reload && let Some(stdout_writer) = self.stdout_writer.take() {
            stdout_writer.finish(Duration::from_secs(1));
        }
        self.progress.made();
        Handover {
            schedule: self.schedule.map(|schedule| (self.config.trigger, schedule)),
            limits: Some(self.limits),
            stdout_writer: self.stdout_writer,
            read_files: self.source.read_files(),
            known_fields: self.known_fields,
        }
    }
}
