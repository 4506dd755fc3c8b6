//! The node's numbers in Prometheus' text format: in a file for the node exporter's textfile collector, or at a
//! loopback port that has to be asked for. No port is open by default.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

mod server;

pub use server::{Server, Shared, bind, serve};

use super::stats::{Counters, Step};
use crate::publish::Counters as PublisherCounters;
use crate::publish::outbox::OutboxStatus;
use crate::rules::Status;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the numbers go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// File `….prom` for the textfile collector, rewritten after each round, at most once in `file_interval_s`.
    pub file: Option<PathBuf>,
    /// Seconds between two writes of the file. Default 60; the file should be on a tmpfs (`/run`).
    pub file_interval_s: u32,
    /// Loopback address and port at which `/metrics` is served, for instance `127.0.0.1:9877`.
    pub listen: Option<SocketAddr>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        MetricsConfig { file: None, file_interval_s: 60, listen: None }
    }
}

impl MetricsConfig {
    /// Whether the metrics go anywhere.
    pub fn is_on(&self) -> bool {
        self.file.is_some() || self.listen.is_some()
    }

    /// Checks what the types cannot; the error is a sentence.
    pub fn validate(&self) -> Result<(), String> {
        if self.listen.is_some_and(|address| !address.ip().is_loopback()) {
            return Err(
                "metrics.listen must be a loopback address such as 127.0.0.1:9877; nobody else is served".into()
            );
        }
        if self.file.as_ref().is_some_and(|file| file.extension().is_none_or(|end| end != "prom")) {
            return Err("metrics.file must end in .prom, or the textfile collector passes over it".into());
        }
        Ok(())
    }
}

/// All metrics at one moment.
pub struct Snapshot<'a> {
    /// The node's name.
    pub node: &'a str,
    /// The node's counters.
    pub counters: &'a Counters,
    /// The outbox.
    pub outbox: &'a OutboxStatus,
    /// The publisher.
    pub publisher: &'a PublisherCounters,
    /// Whether the broker is connected now.
    pub connected: bool,
    /// Seconds since the start.
    pub uptime_s: f64,
    /// Resident memory.
    pub resident_bytes: Option<u64>,
    /// Hottest zone, degrees Celsius.
    pub temperature_c: Option<f64>,
}

/// The text, with a `# TYPE` line for each family.
pub fn text(snapshot: &Snapshot<'_>) -> String {
    let mut out = Text { node: escaped(snapshot.node), text: String::with_capacity(4096) };
    let Snapshot { counters, outbox, publisher, .. } = snapshot;
    out.one("frames_total", "counter", counters.frames as f64);
    out.one("camera_failures_total", "counter", counters.camera_failures as f64);
    out.one("frames_not_aligned_total", "counter", counters.not_aligned as f64);
    out.one("lines_total", "counter", counters.lines as f64);
    out.one("second_lines_total", "counter", counters.second_lines as f64);
    out.family("readings_total", "counter");
    for (field, counts) in &counters.readings {
        for (status, count) in Status::ALL.iter().zip(counts) {
            let labels = format!(",field=\"{}\",status=\"{}\"", escaped(field), status.code());
            out.sample("readings_total", &labels, *count as f64);
        }
    }
    out.family("step_seconds", "gauge");
    for step in Step::ALL {
        for (q, name) in [(0.5, "0.5"), (0.95, "0.95")] {
            if let Some(ms) = counters.times(step).percentile(q) {
                let labels = format!(",step=\"{}\",quantile=\"{name}\"", step.name());
                out.sample("step_seconds", &labels, f64::from(ms) / 1e3);
            }
        }
    }
    if let Some(at) = counters.last_ok_ms {
        out.one("last_good_reading_timestamp_seconds", "gauge", at as f64 / 1e3);
    }
    out.one("outbox_waiting", "gauge", outbox.waiting as f64);
    out.one("outbox_bytes", "gauge", outbox.bytes as f64);
    out.one("outbox_on_disk", "gauge", f64::from(u8::from(outbox.on_disk)));
    out.one("outbox_dropped_total", "counter", outbox.dropped_total as f64);
    out.one("outbox_damaged_total", "counter", outbox.damaged_total as f64);
    out.one("outbox_written_bytes_total", "counter", outbox.written_bytes_total as f64);
    out.one("outbox_fsyncs_total", "counter", outbox.fsyncs_total as f64);
    out.one("mqtt_connected", "gauge", f64::from(u8::from(snapshot.connected)));
    out.one("mqtt_connections_total", "counter", publisher.connections as f64);
    out.one("mqtt_sent_total", "counter", publisher.sent as f64);
    out.one("mqtt_acknowledged_total", "counter", publisher.acked as f64);
    out.one("mqtt_refused_total", "counter", publisher.refused as f64);
    out.one("mqtt_blocked_fields", "gauge", publisher.blocked_fields as f64);
    out.one("uptime_seconds", "gauge", snapshot.uptime_s);
    if let Some(bytes) = snapshot.resident_bytes {
        out.one("resident_memory_bytes", "gauge", bytes as f64);
    }
    if let Some(degrees) = snapshot.temperature_c {
        out.one("temperature_celsius", "gauge", degrees);
    }
    out.text
}

struct Text {
    node: String,
    text: String,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str) {
        let _ = writeln!(self.text, "# TYPE edge_ocr_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.text, "edge_ocr_{name}{{node=\"{}\"{labels}}} {value}", self.node);
    }

    fn one(&mut self, name: &str, kind: &str, value: f64) {
        self.family(name, kind);
        self.sample(name, "", value);
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_is_allowed() {
        let config = |listen: &str| MetricsConfig { listen: Some(listen.parse().unwrap()), ..Default::default() };
        assert!(config("127.0.0.1:1").validate().is_ok() && config("[::1]:1").validate().is_ok());
        assert!(config("0.0.0.0:9877").validate().unwrap_err().contains("loopback"));
        let file = MetricsConfig { file: Some("/run/x.txt".into()), ..Default::default() };
        assert!(file.validate().unwrap_err().contains(".prom"));
    }

    #[test]
    fn metric_types_once_and_labels_escaped() {
        let mut counters = Counters::default();
        counters.frames = 3;
        counters.reading("a\"b\\c\nd", Status::Ok, 1500);
        counters.time(Step::Read, 20.0);
        let snapshot = Snapshot {
            node: "n",
            counters: &counters,
            outbox: &OutboxStatus::default(),
            publisher: &PublisherCounters::default(),
            connected: true,
            uptime_s: 1.0,
            resident_bytes: Some(1),
            temperature_c: None,
        };
        let text = text(&snapshot);
        let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let count = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), count, "{text}");
        assert!(text.contains(r#"edge_ocr_readings_total{node="n",field="a\"b\\c\nd",status="ok"} 1"#), "{text}");
        assert!(text.contains("last_good_reading_timestamp_seconds{node=\"n\"} 1.5"), "{text}");
        assert!(text.ends_with('\n') && !text.contains("temperature"));
    }
}
