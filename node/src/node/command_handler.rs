//! Carries out the commands that arrive by MQTT.

use super::annotate::AnnotateError;
use super::command_limits::MinInterval;
use super::cycle::CycleOutcome;
use super::error::NodeError;
use super::metrics::{self, Snapshot};
use super::reload::Load;
use super::run::Node;
use super::stats::Step;
use crate::publish::Message;
use crate::publish::commands::{Command, Request};
use crate::publish::payload::{self, Latency, MqttStats, OutboxStats, Stats};
use crate::rules::Status;
use crate::util::atomic_file::replace;
use edge_ocr::sensors;
use std::path::Path;
use std::time::{Duration, Instant};

impl Node {
    /// Carries out a command and answers it; a `reload` is answered when the new configuration has been checked.
    ///
    /// # Errors
    /// As [`run_cycle`](Node::run_cycle), which a command may ask for.
    pub(super) fn handle_command(&mut self, request: Request, load: &Load) -> Result<(), NodeError> {
        let Request { command, reply } = request;
        log::info!("command: {command:?}");
        let began = Instant::now();
        let done = match &command {
            Command::Read if !self.config.trigger.on_command => {
                Err("reading on command is switched off; set on_command in [trigger] of the node's configuration"
                    .into())
            }
            Command::Read if self.pending_disposal.is_some() => {
                Err("the readings of the last image are in memory only and wait for the broker, so no other is read; see to the outbox's disk"
                    .into())
            }
            Command::Read => match too_soon(&self.limits.read, "read", began) {
                Some(sentence) => Err(sentence),
                None => {
                    let outcome = self.run_cycle()?;
                    self.limits.read.note(began, Instant::now());
                    match outcome {
                        CycleOutcome::Done => Ok(()),
                        CycleOutcome::Stopped => Err("the node is ending".into()),
                        CycleOutcome::NothingNew | CycleOutcome::End => {
                            let source = self.source.describe();
                            Err(format!("nothing was read because no new file waits in {source}; put one there"))
                        }
                    }
                }
            },
            Command::SetValue { field, value } => match too_soon(self.limits.set_value(field), "set_value", began) {
                Some(sentence) => Err(sentence),
                None => {
                    let done = self.evaluator.set_value(field, *value, self.clock.now());
                    self.save_states(done.is_ok());
                    self.limits.set_value(field).note(began, Instant::now());
                    done
                }
            },
            Command::Reload if self.check.is_some() => {
                Err("a configuration is being checked already; send it again when that is over".into())
            }
            Command::Reload => match too_soon(&self.limits.reload, "reload", began) {
                Some(sentence) => Err(sentence),
                None => {
                    self.limits.reload.note(began, began);
                    self.begin_check(load, Some(reply));
                    return Ok(());
                }
            },
            Command::Image { field } => match too_soon(&self.limits.image, "image", began) {
                Some(sentence) => Err(sentence),
                None => {
                    let done = self.image(field.as_deref());
                    if done.is_ok() {
                        self.limits.image.note(began, began);
                    }
                    done
                }
            },
        };
        self.publisher.send(match done {
            Ok(()) => reply.done(),
            Err(sentence) => reply.failed(&sentence),
        });
        self.process.event_receiver.done(&command);
        Ok(())
    }

    /// Announces this node to Home Assistant, which has started, within this time.
    pub(super) fn schedule_announcement(&mut self, within: Duration) {
        // All nodes receive it at once, so each waits for a different time.
        let share = f64::from(crc32fast::hash(self.topics.node_id().as_bytes())) / f64::from(u32::MAX);
        // A repeated birth message does not postpone the announcement.
        self.announce_at.get_or_insert(Instant::now() + within.mul_f64(share));
    }

    /// Publishes the frame read last, with what was read in it; or one field's part of it.
    fn image(&self, field: Option<&str>) -> Result<(), String> {
        let Some((image, readings)) = &self.last else {
            return Err("no frame has been read yet; ask again after the first reading, or send cmd/read before".into());
        };
        let annotated = match field {
            None => self.annotator.annotate(image, readings),
            Some(name) => self.annotator.cut_out(image, readings, name),
        };
        let jpeg = annotated.map_err(|e: AnnotateError| e.to_string())?;
        self.publisher.send(payload::camera_image(&self.topics, jpeg));
        Ok(())
    }

    /// The current statistics, as a message.
    pub(super) fn stats_message(&self, now_ms: i64) -> Message {
        let (outbox, mqtt) = (self.outbox.status(), self.publisher.counters());
        let board = sensors::Reading::of(Path::new(sensors::SYS));
        let latency = |step: Step| {
            let times = self.counters.times(step);
            Some((step.name().to_string(), Latency { p50: times.percentile(0.5)?, p95: times.percentile(0.95)? }))
        };
        let stats = Stats {
            uptime_s: self.started.elapsed().as_secs(),
            frames: self.counters.frames,
            frames_failed: self.counters.camera_failures,
            lines: self.counters.lines,
            second_lines: self.counters.second_lines,
            readings: Status::ALL.map(|status| self.counters.total(status)),
            latency_ms: Step::ALL.into_iter().filter_map(latency).collect(),
            rss_bytes: sensors::resident_bytes(),
            temperature_c: board.temperature_c.map(|degrees| degrees as f32),
            throttled: board.throttled.map(|flags| flags & 0b1111 != 0),
            outbox: OutboxStats {
                waiting: outbox.waiting as u64,
                bytes: outbox.bytes,
                dropped: outbox.dropped_total,
                damaged: outbox.damaged_total,
                on_disk: outbox.on_disk,
            },
            mqtt: MqttStats {
                sent: mqtt.sent,
                acked: mqtt.acked,
                refused: mqtt.refused,
                reconnects: mqtt.connections.saturating_sub(1),
            },
        };
        payload::stats(&self.topics, &stats, now_ms, &jiff::tz::TimeZone::system())
    }

    /// Writes the metrics for Prometheus to the configured file and publishes them at the configured port.
    pub(super) fn write_metrics(&mut self, now: Instant) {
        let config = &self.config.metrics;
        self.metrics_due = now + Duration::from_secs(u64::from(config.file_interval_s.max(1)));
        if !config.is_on() {
            return;
        }
        let text = metrics::text(&Snapshot {
            node: self.topics.node_id(),
            counters: &self.counters,
            outbox: &self.outbox.status(),
            publisher: &self.publisher.counters(),
            connected: self.publisher.connected(),
            uptime_s: self.started.elapsed().as_secs_f64(),
            resident_bytes: sensors::resident_bytes(),
            temperature_c: sensors::Reading::of(Path::new(sensors::SYS)).temperature_c,
        });
        if let Some(file) = &config.file {
            // The collector must not read half of it, and passes over what does not end in `.prom`.
            match replace(file, text.as_bytes()) {
                Ok(()) if self.warnings.metrics.reset() => log::warn!("metrics are written to {} again", file.display()),
                Ok(()) => {}
                Err(e) => self.warnings.metrics.warn(&format_args!(
                    "metrics cannot be written to {} because the system says '{e}'; make its folder or name another file in metrics.file",
                    file.display()
                )),
            }
        }
        *self.metrics.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = text;
    }
}

/// Why a command is not carried out now, if it comes too soon after the last.
fn too_soon(limit: &MinInterval, command: &str, now: Instant) -> Option<String> {
    limit.left(now).map(|left| {
        format!(
            "the command {command} comes too soon after the last; send it again in {} s, or lower \
             {command}_min_interval_ms in [commands]",
            left.as_millis().div_ceil(1000)
        )
    })
}
