//! Writes readings to standard output in a thread of its own: a pipe that nobody reads must keep neither readings
//! from the broker nor the node from ending.

use crate::util::lossy_writer::{LossyWriter, Pushed};
use std::io::{self, Write};
use std::time::Duration;

/// Writes lines in a thread of its own.
pub(super) struct StdoutWriter(LossyWriter<Vec<u8>>);

impl StdoutWriter {
    /// # Errors
    /// The system has no thread to give.
    pub fn new(mut out: impl Write + Send + 'static) -> io::Result<StdoutWriter> {
        let write = move |line: &Vec<u8>| out.write_all(line).and_then(|()| out.flush());
        LossyWriter::start("printer", None, write).map(StdoutWriter)
    }

    /// Prints a line soon, or drops it if earlier ones are not read.
    ///
    /// # Errors
    /// Why an earlier line could not be written; none can be after that.
    pub fn print(&self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        match self.0.push(line)? {
            Pushed::Queued(0) | Pushed::Dropped { first: false } => {}
            Pushed::Queued(dropped) => log::warn!("{dropped} readings were not printed"),
            Pushed::Dropped { first: true } => log::warn!(
                "standard output is not read, so readings are not printed; read it, or switch off print in [node]"
            ),
        }
        Ok(())
    }

    /// Waits until all lines are written, at most for `grace`.
    pub fn finish(self, grace: Duration) {
        if !self.0.flush(grace) {
            log::warn!("readings were left unprinted because standard output is not read");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

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

    #[test]
    fn readings_are_lines_in_order() {
        let paper = Paper::default();
        let stdout_writer = StdoutWriter::new(paper.clone()).unwrap();
        for number in 0..1000 {
            stdout_writer.print(number.to_string().into_bytes()).unwrap();
        }
        stdout_writer.finish(Duration::from_secs(30));
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(paper.0.lock().unwrap().clone()).unwrap(), expected);
    }
}
