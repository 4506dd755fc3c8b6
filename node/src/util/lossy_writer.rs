//! Lines that a thread writes, from a bounded queue: a reader that does not read costs lines, and keeps nobody waiting
//! for longer than a second, once.

use super::latch::{Monitor, deadline};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most bytes of lines that wait to be written.
const MAX_BYTES: usize = 256 << 10;
/// Approximate bytes of a line besides its text.
const LINE_BYTES: usize = 128;
/// How long to wait for a slow reader, once, before lines are dropped.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A line that may wait.
pub trait Line: Send + 'static {
    /// Approximate bytes of its text.
    fn text_bytes(&self) -> usize;
}

impl Line for Vec<u8> {
    fn text_bytes(&self) -> usize {
        self.len()
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It will be written, after so many others were dropped that no [report](LossyWriter::start) tells of.
    Queued(u64),
    /// It was dropped; `first` if the one before it was not.
    Dropped {
        /// Whether a run of dropped lines begins with it.
        first: bool,
    },
}

/// Makes the line that says how many were dropped before it.
pub type Report<L> = fn(u64) -> L;

/// Writes lines in a thread of its own, in their order. The thread ends when this is dropped and all lines are
/// written.
pub struct LossyWriter<L>(Arc<Monitor<Queue<L>>>);

struct Queue<L> {
    lines: VecDeque<L>,
    /// Bytes of these lines and of the one that is being written.
    bytes: usize,
    writing: bool,
    /// Lines that came after these and had no room.
    dropped: u64,
    report: Option<Report<L>>,
    /// No more lines will come.
    closed: bool,
    /// No line can be written any more. `error` says why until it is reported.
    failed: bool,
    error: Option<io::Error>,
}

fn bytes_of(line: &impl Line) -> usize {
    LINE_BYTES + line.text_bytes()
}

impl<L: Line> Queue<L> {
    /// Once lines were dropped, half of the room has to be free again, so that not each one is reported.
    fn has_room_for(&self, bytes: usize) -> bool {
        let max_bytes = if self.dropped > 0 { MAX_BYTES / 2 } else { MAX_BYTES };
        self.bytes == 0 || self.bytes + bytes <= max_bytes
    }

    fn is_idle(&self) -> bool {
        self.lines.is_empty() && !self.writing && (self.dropped == 0 || self.report.is_none())
    }

    fn add(&mut self, line: L) {
        self.bytes += bytes_of(&line);
        self.lines.push_back(line);
    }

    /// Adds a line if there is room.
    fn try_add(&mut self, line: &mut Option<L>) -> Option<Pushed> {
        if !self.has_room_for(line.as_ref().map_or(0, bytes_of)) {
            return None;
        }
        let untold = self.report_dropped();
        line.take().into_iter().for_each(|line| self.add(line));
        Some(Pushed::Queued(untold))
    }

    /// Adds the report of dropped lines, or gives their number if there is none.
    fn report_dropped(&mut self) -> u64 {
        match (std::mem::take(&mut self.dropped), self.report) {
            (count @ 1.., Some(report)) => {
                self.add(report(count));
                0
            }
            (count, _) => count,
        }
    }

    /// The next line; when there is room again, and nothing more to write, how many were dropped.
    fn next(&mut self) -> Option<L> {
        if self.lines.is_empty() && self.report.is_some() {
            self.report_dropped();
        }
        let line = self.lines.pop_front()?;
        self.writing = true;
        Some(line)
    }
}

impl<L: Line> LossyWriter<L> {
    /// Starts the thread `name`, which gives each line to `write`. With `report` the lines tell themselves how many were
    /// dropped between them, also when no further line comes.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(
        name: &str,
        report: Option<Report<L>>,
        mut write: impl FnMut(&L) -> io::Result<()> + Send + 'static,
    ) -> io::Result<LossyWriter<L>> {
        let queue = Queue {
            lines: VecDeque::new(),
            bytes: 0,
            writing: false,
            dropped: 0,
            report,
            closed: false,
            failed: false,
            error: None,
        };
        let queue = Arc::new(Monitor::new(queue));
        let lines = queue.clone();
        let work = move || {
            // None of a queue that is closed and empty.
            let next = |queue: &mut Queue<L>| match queue.next() {
                Some(line) => Some(Some(line)),
                None => queue.closed.then_some(None),
            };
            while let Some(line) = lines.wait_until(deadline(Duration::MAX), next).flatten() {
                let written = write(&line);
                let failed = written.is_err();
                lines.change(|queue| {
                    queue.bytes -= bytes_of(&line);
                    queue.writing = false;
                    if let Err(error) = written {
                        (queue.failed, queue.error) = (true, Some(error));
                        (queue.lines, queue.bytes, queue.dropped) = (VecDeque::new(), 0, 0);
                    }
                });
                if failed {
                    return;
                }
            }
        };
        std::thread::Builder::new().name(name.into()).spawn(work)?;
        Ok(LossyWriter(queue))
    }

    /// Has a line written soon, or drops it if earlier ones are not read.
    ///
    /// # Errors
    /// Why an earlier line could not be written; none can be after that.
    pub fn push(&self, line: L) -> io::Result<Pushed> {
        let mut line = Some(line);
        let added = self.0.wait_until(Instant::now() + TIMEOUT, |queue| {
            if queue.failed {
                return Some(Err(queue.error.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())));
            }
            if let Some(pushed) = queue.try_add(&mut line) {
                return Some(Ok(pushed));
            }
            // Also no longer than until another one was dropped.
            (queue.dropped > 0).then(|| {
                queue.dropped += 1;
                Ok(Pushed::Dropped { first: false })
            })
        });
        // Wakes the thread.
        self.0.change(|queue| match added {
            Some(added) => added,
            None => Ok(queue.try_add(&mut line).unwrap_or_else(|| {
                queue.dropped += 1;
                Pushed::Dropped { first: queue.dropped == 1 }
            })),
        })
    }

    /// Waits until everything is written, at most for `patience`; whether it is.
    pub fn flush(&self, patience: Duration) -> bool {
        self.0.wait_until(deadline(patience), |queue| (queue.is_idle() || queue.failed).then_some(())).is_some()
    }
}

impl<L> Drop for LossyWriter<L> {
    fn drop(&mut self) {
        self.0.change(|queue| queue.closed = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, mpsc};

    const SOON: Duration = Duration::from_secs(30);

    impl Line for String {
        fn text_bytes(&self) -> usize {
            self.len()
        }
    }

    type Paper = Arc<Mutex<Vec<String>>>;

    /// A writer whose lines are put on paper, each once it is let go; all of them when the sender is gone.
    fn writer(report: Option<Report<String>>) -> (LossyWriter<String>, mpsc::Sender<()>, Paper) {
        let ((go, wait), paper) = (mpsc::channel(), Paper::default());
        let written = paper.clone();
        let write = move |line: &String| {
            let _ = wait.recv();
            written.lock().unwrap().push(line.clone());
            Ok(())
        };
        (LossyWriter::start("paper", report, write).unwrap(), go, paper)
    }

    fn told(count: u64) -> String {
        format!("{count} were dropped")
    }

    fn line() -> String {
        "x".repeat(1000)
    }

    #[test]
    fn lines_are_written_in_order() {
        let (writer, go, paper) = writer(Some(told));
        drop(go);
        for number in 0..10_000 {
            assert_eq!(writer.push(number.to_string()).unwrap(), Pushed::Queued(0));
        }
        assert!(writer.flush(SOON));
        let expected: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        assert_eq!(*paper.lock().unwrap(), expected, "with a reader none is lost");
    }

    #[test]
    fn stalled_reader_costs_lines_and_a_second() {
        for report in [None, Some(told as Report<String>)] {
            let (writer, go, paper) = writer(report);
            let start = Instant::now();
            let count = 4 * MAX_BYTES / bytes_of(&line());
            let pushed: Vec<Pushed> = (0..count).map(|_| writer.push(line()).unwrap()).collect();
            assert!(start.elapsed() < 20 * TIMEOUT, "only the first waits");
            let queued = pushed.iter().filter(|pushed| **pushed == Pushed::Queued(0)).count();
            assert_eq!(pushed[queued], Pushed::Dropped { first: true });
            assert!(pushed[queued + 1..].iter().all(|pushed| *pushed == Pushed::Dropped { first: false }));
            assert!(queued <= count / 2 && writer.0.lock().bytes <= MAX_BYTES && !writer.flush(Duration::ZERO));
            // With a report nobody has to write any more for it to be told.
            drop(go);
            assert!(writer.flush(SOON));
            let dropped = (count - queued) as u64;
            let untold = if report.is_some() { 0 } else { dropped };
            assert_eq!(writer.push("after".into()).unwrap(), Pushed::Queued(untold));
            assert!(writer.flush(SOON));
            let paper = paper.lock().unwrap();
            let expected = report.map(|_| told(dropped)).into_iter().chain(["after".into()]);
            assert_eq!(paper[queued..], expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn report_stands_where_lines_were_dropped() {
        let (writer, go, paper) = writer(Some(told));
        while writer.0.lock().dropped < 3 {
            let _ = writer.push(line()).unwrap();
        }
        // Room for half.
        while !writer.0.lock().has_room_for(bytes_of(&line())) {
            let bytes = writer.0.lock().bytes;
            go.send(()).unwrap();
            writer.0.wait_until(Instant::now() + SOON, |queue| (queue.bytes < bytes).then_some(())).unwrap();
        }
        assert_eq!(writer.push("after".into()).unwrap(), Pushed::Queued(0));
        drop(go);
        assert!(writer.flush(SOON));
        let paper = paper.lock().unwrap();
        assert_eq!(paper[paper.len() - 2..], [told(3), "after".into()]);
    }

    #[test]
    fn line_longer_than_all_room_is_written() {
        let (writer, go, paper) = writer(None);
        drop(go);
        assert_eq!(writer.push("x".repeat(2 * MAX_BYTES)).unwrap(), Pushed::Queued(0));
        assert!(writer.flush(SOON));
        assert_eq!(paper.lock().unwrap()[0].len(), 2 * MAX_BYTES);
    }

    #[test]
    fn failed_write_is_told_and_thread_ends() {
        let (alive, dead) = mpsc::channel::<()>();
        let write = move |_: &String| {
            let _ = &alive;
            Err(io::ErrorKind::StorageFull.into())
        };
        let writer = LossyWriter::start("full", None, write).unwrap();
        let error = (0..100_000).find_map(|_| writer.push("x".into()).err()).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(writer.push("x".into()).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(writer.flush(SOON), "there is nothing left to wait for");
        assert_eq!(dead.recv_timeout(SOON), Err(mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn dropped_writer_writes_what_waits_and_ends() {
        let (writer, go, paper) = writer(None);
        for number in 0..3 {
            writer.push(number.to_string()).unwrap();
        }
        let thread_has = Arc::downgrade(&paper);
        drop(writer);
        drop(go);
        let end = Instant::now() + SOON;
        while thread_has.strong_count() > 1 {
            assert!(Instant::now() < end);
            std::thread::yield_now();
        }
        assert_eq!(*paper.lock().unwrap(), ["0", "1", "2"]);
    }
}
