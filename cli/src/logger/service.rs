//! The log of a service: lines go to a thread that writes them, or are dropped and counted where nobody reads.

use edge_ocr_node::util::lossy_writer::{self, LossyWriter};
use log::{Level, Log, Metadata, Record};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait at the end for the lines that are left.
const REST: Duration = Duration::from_secs(1);
/// How long to wait before a panic is reported, so that it follows the lines that led to it.
const BEFORE_PANIC: Duration = Duration::from_millis(200);

pub type Writer = LossyWriter<Line>;

/// Starts the log.
///
/// # Errors
/// The system has no thread to give.
pub fn start(logger: env_logger::Logger) -> std::io::Result<Arc<Writer>> {
    let logger = Arc::new(logger);
    let form = logger.clone();
    let write = move |line: &Line| {
        line.write(&form);
        // If it cannot be written, there is no other place for the error.
        Ok(())
    };
    let writer = Arc::new(LossyWriter::start("log", Some(Line::dropped), write)?);
    log::set_max_level(logger.filter());
    // There is no other logger.
    let _ = log::set_boxed_logger(Box::new(Deferred { logger, writer: writer.clone() }));
    report_panics(writer.clone());
    Ok(writer)
}

/// Says `sentence` after what was logged before, and waits for the rest.
pub fn end(writer: &Writer, sentence: Option<String>) {
    sentence.into_iter().for_each(|sentence| push(writer, Line::plain(sentence)));
    writer.flush(REST);
}

/// Whether the line was written is known at the next one.
fn push(writer: &Writer, line: Line) {
    let _ = writer.push(line);
}

/// Has panics reported after the lines that wait; among them, if those are not read: the report itself would wait for
/// ever.
fn report_panics(writer: Arc<Writer>) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match writer.flush(BEFORE_PANIC) {
        true => report(info),
        false => {
            let thread = std::thread::current();
            push(&writer, Line::plain(format!("thread '{}' {info}", thread.name().unwrap_or("<unnamed>"))));
        }
    }));
    // Those that become errors stay silent.
    edge_ocr::panics::silence_caught_panics();
}

/// Takes what is logged, and leaves form and colours to the thread that writes.
struct Deferred {
    logger: Arc<env_logger::Logger>,
    writer: Arc<Writer>,
}

impl Log for Deferred {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.logger.matches(record) {
            let about = Some((record.level(), record.target().to_owned()));
            push(&self.writer, Line { about, text: record.args().to_string() });
        }
    }

    fn flush(&self) {
        self.writer.flush(REST);
    }
}

/// A line that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Level and target of what was logged; none of a line that is written as it is.
    about: Option<(Level, String)>,
    text: String,
}

impl lossy_writer::Line for Line {
    fn text_bytes(&self) -> usize {
        self.text.len() + self.about.as_ref().map_or(0, |(_, target)| target.len())
    }
}

impl Line {
    /// A line that is written as it is.
    fn plain(text: String) -> Line {
        Line { about: None, text }
    }

    fn dropped(count: u64) -> Line {
        let text =
            format!("{count} lines of the log were dropped because standard error was not read in time; read it");
        Line { about: Some((Level::Warn, "edge_ocr".into())), text }
    }

    fn write(&self, logger: &env_logger::Logger) {
        let text = &self.text;
        match &self.about {
            Some((level, target)) => {
                logger.log(&Record::builder().level(*level).target(target).args(format_args!("{text}")).build());
            }
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }
}
