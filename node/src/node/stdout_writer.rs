//! Writes readings to standard output in a thread of its own: a pipe that nobody reads must keep neither readings
//! from the broker nor the node from ending.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Lines that wait, a few kilobytes each at most.
const WAITING: usize = 64;
/// How long to wait for a slow reader, once, before lines are dropped.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How often to retry meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Writes lines in a thread of its own.
pub(super) struct StdoutWriter {
    lines: SyncSender<Vec<u8>>,
    /// Ends with the thread; has its error before, if there was one.
    end: Receiver<io::Error>,
    dropped: u64,
}

impl StdoutWriter {
    /// # Errors
    /// The system has no thread to give.
    pub fn new(mut out: impl Write + Send + 'static) -> io::Result<StdoutWriter> {
        let (lines, waiting) = sync_channel::<Vec<u8>>(WAITING);
        let (ended, end) = sync_channel(1);
        std::thread::Builder::new().name("printer".into()).spawn(move || {
            for line in waiting {
                if let Err(error) = out.write_all(&line).and_then(|()| out.flush()) {
                    // Nobody listens any more only if the node has ended.
                    let _ = ended.try_send(error);
                    return;
                }
            }
        })?;
        Ok(StdoutWriter { lines, end, dropped: 0 })
    }

    /// Prints a line soon, or drops it if earlier ones are not read.
    ///
    /// # Errors
    /// Why an earlier line could not be written; none can be after that.
    pub fn print(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        let until = Instant::now() + TIMEOUT;
        loop {
            match self.lines.try_send(line) {
                Ok(()) => {
                    if self.dropped > 0 {
                        log::warn!("{} readings were not printed", std::mem::take(&mut self.dropped));
                    }
                    return Ok(());
                }
                Err(TrySendError::Full(back)) if self.dropped == 0 && Instant::now() < until => {
                    line = back;
                    std::thread::sleep(POLL_INTERVAL);
                }
                Err(TrySendError::Full(_)) => {
                    if self.dropped == 0 {
                        log::warn!(
                            "standard output is not read, so readings are not printed; read it, or switch off print in [node]"
                        );
                    }
                    self.dropped += 1;
                    return Ok(());
                }
                Err(TrySendError::Disconnected(_)) => {
                    return Err(self.end.try_recv().unwrap_or_else(|_| io::ErrorKind::BrokenPipe.into()));
                }
            }
        }
    }

    /// Waits until all lines are written, at most for `grace`.
    pub fn finish(self, grace: Duration) {
        drop(self.lines);
        if matches!(self.end.recv_timeout(grace), Err(RecvTimeoutError::Timeout)) {
            log::warn!("readings were left unprinted because standard output is not read");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex, mpsc};

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes nothing until it is told to.
    struct Stuck(mpsc::Receiver<()>, Paper);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Ends with the sender.
            let _ = self.0.recv();
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_printed_in_order() {
        let paper = Paper::default();
        let mut stdout_writer = StdoutWriter::new(paper.clone()).unwrap();
        for number in 0..1000 {
            stdout_writer.print(number.to_string().into_bytes()).unwrap();
        }
        stdout_writer.finish(Duration::from_secs(30));
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(paper.0.lock().unwrap().clone()).unwrap(), expected);
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_a_second() {
        let (go, wait) = mpsc::channel();
        let paper = Paper::default();
        let mut stdout_writer = StdoutWriter::new(Stuck(wait, paper.clone())).unwrap();
        let start = Instant::now();
        for _ in 0..1000 {
            stdout_writer.print(b"x".to_vec()).unwrap();
        }
        assert!(start.elapsed() < 20 * TIMEOUT, "only the first waits");
        assert!(stdout_writer.dropped >= 1000 - 2 - WAITING as u64, "{}", stdout_writer.dropped);
        drop(go);
        stdout_writer.finish(Duration::from_secs(30));
        assert!(paper.0.lock().unwrap().len() >= 2 * WAITING);
    }

    #[test]
    fn a_closed_output_is_told() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut stdout_writer = StdoutWriter::new(Closed).unwrap();
        let error = (0..100_000).find_map(|_| stdout_writer.print(b"x".to_vec()).err()).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
