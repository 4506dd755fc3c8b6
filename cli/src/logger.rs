//! The log on standard error: for a service through a queue and a thread that writes, because standard error may be a
//! pipe that nobody reads, and that must not keep a node from reading, publishing and ending. For all others at once.

use log::{Level, Log, Metadata, Record};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most bytes of lines that wait to be written.
const MAX_BYTES: usize = 256 << 10;
/// Approximate bytes of a line besides its text.
const LINE_BYTES: usize = 128;
/// How long to wait for a slow reader, once, before lines are dropped.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait at the end for the lines that are left.
const REST: Duration = Duration::from_secs(1);
/// How long to wait before a panic is reported, so that it follows the lines that led to it.
const BEFORE_PANIC: Duration = Duration::from_millis(200);

/// Starts the log; at `level` if RUST_LOG does not say otherwise. With `service` lines are written by a thread.
///
/// # Errors
/// The system has no thread to give.
pub fn start(level: &str, service: bool) -> std::io::Result<Option<Arc<Queue>>> {
    // tract tells its own story at these levels; it is heard only when asked for by RUST_LOG.
    // So do the demo's broker, whose errors are clients that went away, and the client, whose errors are told in our
    // words, and not for each attempt of weeks.
    let filter = format!(
        "{level},tract_core=error,tract_hir=error,tract_onnx=error,tract_linalg=error,tract_nnef=error,rumqttd=off,rumqttc=off"
    );
    let mut logger = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(filter));
    logger.format_timestamp(None);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        logger.format(for_journal);
    }
    if !service {
        logger.init();
        return Ok(None);
    }
    let logger = Arc::new(logger.build());
    let writer = logger.clone();
    let queue = Queue::start(move |line| line.write(&writer))?;
    log::set_max_level(logger.filter());
    // There is no other logger.
    let _ = log::set_boxed_logger(Box::new(Deferred { logger, queue: queue.clone() }));
    report_panics(queue.clone());
    Ok(Some(queue))
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

/// Has panics reported after the lines that wait; among them, if those are not read: the report itself would wait for
/// ever.
fn report_panics(queue: Arc<Queue>) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match queue.flush(BEFORE_PANIC) {
        true => report(info),
        false => {
            let thread = std::thread::current();
            queue.push(Line::plain(format!("thread '{}' {info}", thread.name().unwrap_or("<unnamed>"))));
        }
    }));
    // Those that become errors stay silent.
    edge_ocr::panics::silence_caught_panics();
}

/// Takes what is logged, and leaves form and colours to the thread that writes.
struct Deferred {
    logger: Arc<env_logger::Logger>,
    queue: Arc<Queue>,
}

impl Log for Deferred {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.logger.matches(record) {
            let about = Some((record.level(), record.target().to_owned()));
            self.queue.push(Line { about, text: record.args().to_string() });
        }
    }

    fn flush(&self) {
        self.queue.flush(REST);
    }
}

/// A line that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Level and target of what was logged; none of a line that is written as it is.
    about: Option<(Level, String)>,
    text: String,
}

impl Line {
    /// A line that is written as it is.
    pub fn plain(text: String) -> Line {
        Line { about: None, text }
    }

    fn dropped(count: u64) -> Line {
        let text =
            format!("{count} lines of the log were dropped because standard error was not read in time; read it");
        Line { about: Some((Level::Warn, "edge_ocr".into())), text }
    }

    fn bytes(&self) -> usize {
        LINE_BYTES + self.text.len() + self.about.as_ref().map_or(0, |(_, target)| target.len())
    }

    fn write(&self, logger: &env_logger::Logger) {
        let text = &self.text;
        match &self.about {
            Some((level, target)) => {
                logger.log(&Record::builder().level(*level).target(target).args(format_args!("{text}")).build());
            }
            // Nobody is left to be told if it cannot be written.
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }
}

/// Lines between those who log and the thread that writes.
pub struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    /// Of these and of the one that is being written.
    bytes: usize,
    writing: bool,
    /// Lines that came after these and had no room.
    dropped: u64,
}

impl Waiting {
    /// Once lines were dropped half of the room has to be there again, so that it is not told of each one.
    fn has_room_for(&self, bytes: usize) -> bool {
        let max_bytes = if self.dropped > 0 { MAX_BYTES / 2 } else { MAX_BYTES };
        self.bytes == 0 || self.bytes + bytes <= max_bytes
    }

    fn is_idle(&self) -> bool {
        self.lines.is_empty() && !self.writing && self.dropped == 0
    }

    fn add(&mut self, line: Line) {
        self.bytes += line.bytes();
        self.lines.push_back(line);
    }

    /// The next line; when there is room again, and nothing more to write, how many were dropped.
    fn next(&mut self) -> Option<Line> {
        if self.lines.is_empty() && self.dropped > 0 {
            let count = std::mem::take(&mut self.dropped);
            self.add(Line::dropped(count));
        }
        let line = self.lines.pop_front()?;
        self.writing = true;
        Some(line)
    }
}

impl Queue {
    /// Starts the thread, which gives each line to `write`.
    ///
    /// # Errors
    /// The system has no thread to give.
    fn start(mut write: impl FnMut(&Line) + Send + 'static) -> std::io::Result<Arc<Queue>> {
        let queue = Arc::new(Queue { waiting: Mutex::default(), changed: Condvar::new() });
        let lines = queue.clone();
        let work = move || {
            loop {
                let line = lines.take();
                write(&line);
                lines.written(&line);
            }
        };
        std::thread::Builder::new().name("log".into()).spawn(work)?;
        Ok(queue)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Numbers and a list, which no panic leaves half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `ready` to be true of what waits, at most for `patience`.
    fn wait<'a>(
        &'a self,
        waiting: MutexGuard<'a, Waiting>,
        patience: Duration,
        ready: impl Fn(&Waiting) -> bool,
    ) -> MutexGuard<'a, Waiting> {
        let result = self.changed.wait_timeout_while(waiting, patience, |waiting| !ready(waiting));
        result.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Has a line written soon, or drops it if earlier ones are not read.
    pub fn push(&self, line: Line) {
        let mut waiting = self.waiting();
        let bytes = line.bytes();
        if waiting.dropped == 0 && !waiting.has_room_for(bytes) {
            // Also no longer than until another one was dropped.
            waiting = self.wait(waiting, TIMEOUT, |waiting| waiting.dropped > 0 || waiting.has_room_for(bytes));
        }
        match waiting.has_room_for(bytes) {
            true => {
                if waiting.dropped > 0 {
                    let count = std::mem::take(&mut waiting.dropped);
                    waiting.add(Line::dropped(count));
                }
                waiting.add(line);
            }
            false => waiting.dropped += 1,
        }
        self.changed.notify_all();
    }

    fn take(&self) -> Line {
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.next() {
                return line;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn written(&self, line: &Line) {
        let mut waiting = self.waiting();
        waiting.bytes -= line.bytes();
        waiting.writing = false;
        self.changed.notify_all();
    }

    /// Waits until everything is written, at most for `patience`; whether it is.
    pub fn flush(&self, patience: Duration) -> bool {
        let waiting = self.wait(self.waiting(), patience, Waiting::is_idle);
        waiting.is_idle()
    }

    /// Waits for the rest at the end.
    pub fn finish(&self) {
        self.flush(REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    const SOON: Duration = Duration::from_secs(30);

    /// A queue whose lines are written to the list, each once it is let go; all of them when the sender is gone.
    fn queue() -> (Arc<Queue>, mpsc::Sender<()>, Arc<Mutex<Vec<String>>>) {
        let (go, wait) = mpsc::channel();
        let paper = Arc::<Mutex<Vec<String>>>::default();
        let written = paper.clone();
        let write = move |line: &Line| {
            let _ = wait.recv();
            written.lock().unwrap().push(line.text.clone());
        };
        (Queue::start(write).unwrap(), go, paper)
    }

    #[test]
    fn lines_are_written_in_order() {
        let (queue, go, paper) = queue();
        drop(go);
        for number in 0..10_000 {
            queue.push(Line::plain(number.to_string()));
        }
        assert!(queue.flush(SOON));
        let expected: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        assert_eq!(*paper.lock().unwrap(), expected, "with a reader none is lost");
    }

    #[test]
    fn what_is_not_read_costs_lines_and_a_second() {
        let (queue, go, paper) = queue();
        let (start, line) = (Instant::now(), || Line::plain("x".repeat(1000)));
        let count = 4 * MAX_BYTES / line().bytes();
        for _ in 0..count {
            queue.push(line());
        }
        assert!(start.elapsed() < 20 * TIMEOUT, "only the first waits");
        assert!(queue.waiting().bytes <= MAX_BYTES && !queue.flush(Duration::ZERO));
        let dropped = queue.waiting().dropped;
        assert!(dropped >= count as u64 / 2, "{dropped} of {count}");
        // Nobody logs any more, and it is told all the same.
        drop(go);
        assert!(queue.flush(SOON));
        queue.push(Line::plain("after".into()));
        assert!(queue.flush(SOON));
        let paper = paper.lock().unwrap();
        assert_eq!(paper.len() as u64, count as u64 - dropped + 2);
        assert!(paper[paper.len() - 2].starts_with(&format!("{dropped} lines of the log")), "{:?}", paper.last());
        assert_eq!(paper[paper.len() - 1], "after");
    }

    #[test]
    fn what_was_dropped_is_told_where_it_was_dropped() {
        let (queue, go, paper) = queue();
        let line = || Line::plain("x".repeat(1000));
        while queue.waiting().dropped < 3 {
            queue.push(line());
        }
        // Room for half.
        while !queue.waiting().has_room_for(line().bytes()) {
            let bytes = queue.waiting().bytes;
            go.send(()).unwrap();
            drop(queue.wait(queue.waiting(), SOON, |waiting| waiting.bytes < bytes));
        }
        queue.push(Line::plain("after".into()));
        drop(go);
        assert!(queue.flush(SOON));
        let paper = paper.lock().unwrap();
        assert!(paper[paper.len() - 2].starts_with("3 lines of the log"), "{:?}", &paper[paper.len() - 2..]);
        assert_eq!(paper[paper.len() - 1], "after");
    }

    #[test]
    fn a_line_longer_than_all_room_is_written() {
        let (queue, go, paper) = queue();
        drop(go);
        queue.push(Line::plain("x".repeat(2 * MAX_BYTES)));
        assert!(queue.flush(SOON));
        assert_eq!(paper.lock().unwrap()[0].len(), 2 * MAX_BYTES);
    }
}
