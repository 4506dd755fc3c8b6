//! The log on standard error: for a service through a queue and a thread that writes, because standard error may be a
//! pipe that nobody reads, and that must not keep a node from reading, publishing and ending. For all others at once.

#[cfg(feature = "node")]
mod service;

use log::{Level, Record};
use std::io::Write;

/// The started log.
pub struct Logger {
    #[cfg(feature = "node")]
    service: Option<std::sync::Arc<service::Writer>>,
}

impl Logger {
    /// Says the last sentence of the program after what was logged before, and not for ever if nobody reads.
    pub fn end(self, sentence: Option<String>) {
        #[cfg(feature = "node")]
        if let Some(writer) = self.service {
            return service::end(&writer, sentence);
        }
        if let Some(sentence) = sentence {
            print_error!("{sentence}");
        }
    }
}

/// Starts the log; at `level` if RUST_LOG does not say otherwise. With `is_service` lines are written by a thread.
///
/// # Errors
/// The system has no thread to give.
pub fn start(level: &str, is_service: bool) -> std::io::Result<Logger> {
    // tract tells its own story at these levels; it is heard only when asked for by RUST_LOG. So are the demo's broker,
    // whose errors are clients that went away, and the MQTT client, whose errors the node logs itself, and not for each
    // attempt of weeks.
    let filter = format!(
        "{level},tract_core=error,tract_hir=error,tract_onnx=error,tract_linalg=error,tract_nnef=error,rumqttd=off,rumqttc=off"
    );
    let mut logger = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(filter));
    logger.format_timestamp(None);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        logger.format(for_journal);
    }
    #[cfg(feature = "node")]
    if is_service {
        return Ok(Logger { service: Some(service::start(logger.build())?) });
    }
    // Without the node there are no services.
    let _ = is_service;
    logger.init();
    Ok(Logger {
        #[cfg(feature = "node")]
        service: None,
    })
}

/// A line as systemd's journal wants it: its priority first (sd-daemon(3)), no colours; time and program are the
/// journal's business.
fn for_journal(out: &mut env_logger::fmt::Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let priority = match record.level() {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    let text = record.args().to_string();
    writeln!(out, "<{priority}>{}", text.replace('\n', " "))
}
