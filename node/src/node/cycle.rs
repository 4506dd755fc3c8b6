//! One cycle of the node: frames → readings → records.

use super::error::NodeError;
use super::evaluator::{Outcome, Seen};
use super::run::Node;
use super::stats::Step;
use crate::camera::CameraError;
use crate::publish::outbox::Flushed;
use crate::rules::Status;
use std::time::{Duration, Instant, SystemTime};

/// How long one wait for a new file may take within a cycle.
const FILE_WAIT: Duration = Duration::from_millis(500);

/// How long to wait for a frame of a source of files.
#[derive(Clone, Copy)]
enum Patience {
    /// As long as a cycle may take for one.
    Short,
    /// As long as there is nothing else to do.
    Until(Instant),
}

/// How long readings may be in memory only before it is logged that a file waits for them.
const DISPOSAL_WARN_AFTER: Duration = Duration::from_secs(3);

/// Files that were read but cannot be moved or deleted yet, because their readings are in memory only.
pub struct PendingDisposal {
    /// The last of them.
    name: String,
    since: Instant,
    warned: bool,
}

impl PendingDisposal {
    /// When it is to be logged that the file waits, if it was not.
    pub fn warn_at(&self) -> Option<Instant> {
        (!self.warned).then(|| self.since + DISPOSAL_WARN_AFTER)
    }
}

/// The result of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleOutcome {
    /// There were frames, or the camera failed, which is a reading too.
    Done,
    /// A source of files had no new one.
    NothingNew,
    /// The source has no further frames.
    End,
    /// The node is ending.
    Stopped,
}

impl Node {
    /// Takes as many frames as a reading needs, reads them and records what came out.
    ///
    /// # Errors
    /// [`NodeError`] if a network fails or standard output is closed.
    pub(super) fn run_cycle(&mut self) -> Result<CycleOutcome, NodeError> {
        self.cycle(Patience::Short)
    }

    /// As [`run_cycle`](Self::run_cycle). Where files are read as they come, it waits for the first until `until` or
    /// until there is something else to do.
    pub(super) fn run_cycle_until(&mut self, until: Instant) -> Result<CycleOutcome, NodeError> {
        self.cycle(if self.schedule.is_none() { Patience::Until(until) } else { Patience::Short })
    }

    fn cycle(&mut self, mut patience: Patience) -> Result<CycleOutcome, NodeError> {
        if self.pending_disposal.is_some() {
            return Ok(CycleOutcome::NothingNew);
        }
        let start = Instant::now();
        let wanted = self.config.frames();
        let mut seen = vec![Seen::default(); self.config.fields.len()];
        let mut taken = None;
        for _ in 0..wanted {
            match self.frame(&mut seen, std::mem::replace(&mut patience, Patience::Short))? {
                Ok(frame) => taken = Some(frame),
                Err(CameraError::Stopped) => return Ok(CycleOutcome::Stopped),
                // The frames that were taken so far are enough.
                Err(CameraError::NothingNew { .. } | CameraError::End { .. }) if taken.is_some() => break,
                Err(CameraError::NothingNew { .. }) => return Ok(CycleOutcome::NothingNew),
                Err(CameraError::End { .. }) => return Ok(CycleOutcome::End),
                Err(error) => {
                    self.counters.camera_failures += 1;
                    self.warnings.camera.warn(&error);
                    if taken.is_none() {
                        let outcomes = self.evaluator.no_frame(self.clock.now());
                        self.camera(false);
                        self.record(outcomes)?;
                        self.source.done();
                        return Ok(CycleOutcome::Done);
                    }
                    break;
                }
            }
        }
        let Some((at, name)) = taken else { return Ok(CycleOutcome::NothingNew) };
        self.camera(true);
        let outcomes = self.evaluator.judge(seen, at);
        self.record(outcomes)?;
        // Only now: after a crash before this line a file is read once more, instead of never.
        match self.source_consumes_files {
            true => {
                self.pending_disposal = Some(PendingDisposal { name, since: Instant::now(), warned: false });
                self.release_files();
            }
            false => self.source.done(),
        }
        self.counters.time(Step::Round, start.elapsed().as_secs_f32() * 1e3);
        Ok(CycleOutcome::Done)
    }

    /// Lets the source move or delete its files once their readings are on disk or acknowledged by the broker. Until
    /// then no other file is read, so that at most one cycle is in memory only and the files themselves are the
    /// queue. A file stays for good if a reading of it was dropped.
    pub(super) fn release_files(&mut self) {
        let Some(kept) = &mut self.pending_disposal else { return };
        let flushed = self.outbox.flush();
        if flushed == Flushed::Safe {
            self.pending_disposal = None;
            self.source.done();
        } else if flushed == Flushed::Dropped {
            self.warnings.lost.warn(&format_args!(
                "{} stays, and is read once more by the next run if it is there then, because readings of it were dropped by the outbox; \
                 raise the limit that it names",
                kept.name
            ));
            self.pending_disposal = None;
            self.source.retain_files();
        } else if kept.since.elapsed() >= DISPOSAL_WARN_AFTER
            && !std::mem::replace(&mut kept.warned, true)
            && let Some(problem) = self.outbox.status().problem
        {
            self.warnings.kept.warn(&format_args!(
                "{}: the image read last stays, and no other is read, until its readings are on disk or the broker has them, because {problem}",
                self.source.describe()
            ));
        }
    }

    /// Takes one frame and adds its observations to `seen`. Returns the time at which it was taken, and its name.
    fn frame(
        &mut self,
        seen: &mut [Seen],
        patience: Patience,
    ) -> Result<Result<(SystemTime, String), CameraError>, NodeError> {
        let timeout = match (self.is_file_source, patience) {
            (true, Patience::Short) => FILE_WAIT,
            (true, Patience::Until(until)) => until.saturating_duration_since(Instant::now()),
            (false, _) => Duration::from_millis(self.config.source.as_ref().map_or(10_000, |s| s.common.timeout_ms)),
        };
        let start = Instant::now();
        let waiting = match patience {
            Patience::Short => &self.waiting.uninterrupted(),
            Patience::Until(_) => &self.waiting,
        };
        let captured = match self.source.next(timeout, waiting) {
            Ok(captured) => captured,
            // Files that have not come yet are no failure.
            Err(CameraError::Timeout { source_name, .. }) if self.is_file_source => {
                return Ok(Err(CameraError::NothingNew { source_name }));
            }
            Err(error) => return Ok(Err(error)),
        };
        self.counters.time(Step::Capture, start.elapsed().as_secs_f32() * 1e3);
        self.progress.made();
        let readings = self.reader.read_reduced(&captured.image, captured.full_px)?;
        self.counters.time(Step::Read, readings.total_ms);
        self.counters.frames += 1;
        log::debug!("{} read in {:.0} ms", captured.name, readings.total_ms);
        let mut warned = false;
        for (field, seen) in readings.fields.iter().zip(seen) {
            seen.observations.push(field.observation.clone());
            self.counters.lines += field.lines.len() as u64;
            self.counters.second_lines += field.second_lines as u64;
            captured.notices.iter().for_each(|notice| seen.warn(notice));
            field.warnings.iter().for_each(|warning| seen.warn(warning));
            if let Some(problem) = &field.problem
                && !std::mem::replace(&mut warned, true)
            {
                self.counters.not_aligned += u64::from(readings.alignment.is_some());
                self.warnings.fields.warn(&format_args!("field {} of {}: {problem}", field.name, captured.name));
            }
        }
        self.last = Some((captured.image, readings));
        Ok(Ok((captured.captured_at, captured.name)))
    }

    /// Hands the readings of a cycle to the outbox, to the deferred readings and to standard output.
    fn record(&mut self, outcomes: Vec<Outcome>) -> Result<(), NodeError> {
        let now_ms = self.clock.now_ms();
        let mut rebased = false;
        for Outcome { record, accepted } in outcomes {
            let reading = &record.reading;
            self.counters.reading(&reading.field, reading.status, record.captured_at_ms);
            rebased |= reading.rebased;
            let deferred = !accepted && reading.status != Status::Ok;
            self.announcements.remember(&record, deferred);
            self.publisher.made(record.seq);
            if accepted {
                let bytes = postcard::to_allocvec(&record).map_err(|e| NodeError::Internal(e.to_string()))?;
                // The outbox reports what it drops.
                self.outbox.append(&bytes);
                self.deferred_readings.remove(&reading.field);
                self.publisher.notify_outbox();
            } else if deferred {
                self.deferred_readings.insert(reading.field.clone(), record.clone());
            }
            if reading.status != Status::Ok {
                log::info!("field {}: {} ({:?}): {}", reading.field, reading.status, reading.raw, reading.reason);
            }
            if let Some(stdout_writer) = &mut self.stdout_writer {
                stdout_writer.print(self.announcements.json(&record, now_ms)).map_err(NodeError::Print)?;
            }
        }
        self.save_states(rebased);
        Ok(())
    }

    /// Publishes whether the camera works, if that has changed.
    fn camera(&mut self, online: bool) {
        if let Some(message) = self.announcements.camera(online) {
            match online {
                true => log::warn!("{} gives frames again", self.source.describe()),
                false => log::warn!("the camera is offline"),
            }
            self.publisher.send(message);
        }
        if online {
            self.warnings.camera.reset();
        }
    }
}
