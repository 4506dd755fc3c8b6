//! The node's loop: waits for the next round or for somebody, takes frames, reads, judges, records.

use super::annotate::FrameAnnotator;
use super::clock::Clock;
use super::config::NodeConfig;
use super::desk::Desk;
use super::error::NodeError;
use super::fields::{FieldReader, FrameReadings};
use super::limits::CommandLimits;
use super::metrics;
use super::printer::Printer;
use super::reload::{Check, Handover, Load};
use super::round::{KeptBack, Round};
use super::schedule::{Next, Schedule};
use super::seldom::Troubles;
use super::stats::Counters;
use super::systemd::Manager;
use super::voice::Voice;
use super::wake::{Inbox, Outlet, Wake};
use super::watchdog::Progress;
use crate::camera::FrameSource;
use crate::publish::outbox::SharedOutbox;
use crate::publish::{Handle, Record, Topics};
use crate::rules::StateFile;
use crate::util::shutdown::Stop;
use edge_ocr::image::Picture;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The longest that the loop sleeps: time-based work (fsync, statistics) is looked at this often.
const TICK: Duration = Duration::from_secs(1);
/// The same while a picture waits for its readings to be safe, which a broker that is there takes some milliseconds for.
const KEPT_LOOK: Duration = Duration::from_millis(100);
/// What Home Assistant is given between hearing of entities and listening to them; it takes about one second.
const SUBSCRIBING: Duration = Duration::from_secs(5);

/// Why the loop ended.
#[derive(Debug)]
pub enum Ended {
    /// Somebody asked for it.
    Stopped,
    /// This configuration takes the place of the node's.
    Reload(Box<NodeConfig>),
    /// The source has no further frames.
    NoMoreFrames,
}

/// What outlives a configuration: the process's ends of signals, commands and the service manager.
#[derive(Clone)]
pub struct Process {
    pub(super) stop: Stop,
    pub(super) outlet: Outlet,
    pub(super) inbox: Rc<Inbox>,
    pub(super) manager: Manager,
}

/// A running node.
pub struct Node {
    pub(super) config: NodeConfig,
    pub(super) process: Process,
    pub(super) topics: Topics,
    pub(super) source: Box<dyn FrameSource>,
    /// The process's stop, as a source is to ask for it: each time that it does the watchdog is fed.
    pub(super) waiting: Stop,
    /// Whether the source is a stock of files, which are read as they come, by the times at which they were taken.
    pub(super) is_stock: bool,
    /// Whether a file is gone once it has been read: then its readings have to be on disk first.
    pub(super) files_go: bool,
    /// Files that were read and have to stay for now; no others are read meanwhile.
    pub(super) kept_back: Option<KeptBack>,
    pub(super) reader: FieldReader,
    pub(super) annotator: FrameAnnotator,
    pub(super) clock: Clock,
    pub(super) desk: Desk,
    /// None: as files come.
    pub(super) schedule: Option<Schedule>,
    pub(super) outbox: SharedOutbox,
    pub(super) publisher: Handle,
    pub(super) progress: Progress,
    pub(super) voice: Voice,
    pub(super) states: Option<StateFile>,
    pub(super) metrics: metrics::Shared,
    pub(super) _metrics_server: Option<metrics::Server>,
    pub(super) counters: Counters,
    pub(super) started: Instant,
    /// What was read last, for a picture on request.
    pub(super) last: Option<(Picture, FrameReadings)>,
    /// Refused readings that wait until the outbox is empty, so that a field's messages keep their order; the newest of each.
    pub(super) held: BTreeMap<String, Record>,
    /// When Home Assistant is told of this node again, after its start.
    pub(super) introduce_at: Option<Instant>,
    /// When it is told the last readings, which the broker does not keep.
    pub(super) retell_at: Option<Instant>,
    /// The connections after which it was.
    pub(super) connections: u64,
    /// A configuration that is being checked.
    pub(super) check: Option<Check>,
    /// Between commands of a kind.
    pub(super) limits: CommandLimits,
    pub(super) printer: Option<Printer>,
    pub(super) stats_due: Instant,
    pub(super) metrics_due: Instant,
    pub(super) troubles: Troubles,
}

impl Node {
    /// Runs until it is stopped. On SIGHUP or the command `reload` it checks what `load` gives, reading on meanwhile;
    /// if that can be used, the loop ends with [`Ended::Reload`].
    ///
    /// # Errors
    /// [`NodeError`] for what no patience cures: a network that fails, standard output that is closed.
    pub fn run(&mut self, load: &Load) -> Result<Ended, NodeError> {
        self.process.manager.ready("reading");
        loop {
            if self.process.stop.is_set() {
                return Ok(Ended::Stopped);
            }
            if let Some(config) = self.checked() {
                return Ok(Ended::Reload(config));
            }
            let (due, wait) = self.next_round();
            match self.process.inbox.next(wait, self.check.is_none()) {
                Some(Wake::Stop) => return Ok(Ended::Stopped),
                Some(Wake::Reload) => self.begin_check(load, None),
                Some(Wake::Command(request)) => self.obey(request, load)?,
                Some(Wake::HomeAssistant(within)) => self.introduce_soon(within),
                Some(Wake::Knock) | None => {}
            }
            if due {
                match self.round()? {
                    Round::Done | Round::NothingNew => {}
                    Round::End => return Ok(Ended::NoMoreFrames),
                    Round::Stopped => return Ok(Ended::Stopped),
                }
            }
            self.housekeeping();
        }
    }

    /// Whether a round is due now, and otherwise how long to wait for somebody before it is time for something. Files without a
    /// schedule are read as they come: there the source does the waiting.
    fn next_round(&mut self) -> (bool, Duration) {
        if self.kept_back.is_some() {
            return (false, KEPT_LOOK);
        }
        let next = match &mut self.schedule {
            Some(schedule) => schedule.next_after(self.clock.both()),
            None => Next::Due,
        };
        match next {
            Next::Due => (true, Duration::ZERO),
            Next::Wait(at) => {
                let feeding = self.process.manager.every().unwrap_or(TICK);
                (false, at.saturating_duration_since(Instant::now()).min(TICK).min(feeding))
            }
        }
    }

    /// Whatever is due by time.
    pub(super) fn housekeeping(&mut self) {
        let now = Instant::now();
        let now_ms = self.clock.now_ms();
        self.outbox.tick(now);
        self.let_go();
        self.progress.made();
        if !self.held.is_empty() && self.publisher.connected() && self.outbox_is_sent() {
            let publisher = &self.publisher;
            let (blocked, free) =
                std::mem::take(&mut self.held).into_iter().partition(|(field, _)| publisher.is_blocked(field));
            self.held = blocked;
            let free: BTreeMap<String, Record> = free;
            for record in free.into_values() {
                // It may have waited for hours, for the broker or for what was in the outbox.
                let late = self.publisher.is_late(&record, now_ms);
                if let Some(message) = self.voice.record(&record, late, now_ms) {
                    self.publisher.send(message);
                }
                self.voice.told(&record);
            }
        }
        if self.introduce_at.is_some_and(|at| at <= now) {
            self.introduce_at = None;
            self.publisher.introduce(self.voice.introduction());
            self.retell_later(now);
        }
        let connections = self.publisher.counters().connections;
        if connections != self.connections {
            self.connections = connections;
            self.retell_later(now);
        }
        // What waits in the outbox says it itself, in its order.
        if self.retell_at.is_some_and(|at| at <= now) && self.outbox_is_sent() {
            self.retell_at = None;
            for message in self.voice.readings(now_ms) {
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
            self.tell_metrics(now);
        }
        self.save_states(false);
    }

    /// Whether nothing waits in the outbox but records of fields that the broker does not take now.
    fn outbox_is_sent(&self) -> bool {
        self.publisher.has_sent(self.outbox.status().newest)
    }

    /// Home Assistant subscribes to an entity's topic some time after it was told of it, and would not get what was said meanwhile if the
    /// broker does not keep it.
    fn retell_later(&mut self, now: Instant) {
        if self.config.discovery.enabled && !self.config.retain.state {
            self.retell_at = Some(now + SUBSCRIBING);
        }
    }

    /// Writes the fields' states if that is due.
    pub(super) fn save_states(&mut self, urgent: bool) {
        let moment = self.desk.moment(self.clock.now());
        if let Some(file) = &mut self.states
            && let Err(e) = file.save(self.desk.states(), moment, urgent)
        {
            self.troubles.states.warn(&e);
        }
    }

    /// Says farewell, writes what is in memory and lets the broker go. All that the node had is free when this returns,
    /// for the one that takes its place.
    pub fn close(mut self, ended: &Result<Ended, NodeError>) -> Handover {
        let reload = matches!(ended, Ok(Ended::Reload(_)));
        if !reload {
            self.process.manager.stopping();
        }
        self.save_states(true);
        self.publisher.stop(Duration::from_secs(5));
        self.outbox.close();
        self.let_go();
        if !reload && let Some(printer) = self.printer.take() {
            printer.finish(Duration::from_secs(1));
        }
        self.progress.made();
        Handover {
            schedule: self.schedule.map(|schedule| (self.config.trigger, schedule)),
            limits: Some(self.limits),
            printer: self.printer,
        }
    }
}
