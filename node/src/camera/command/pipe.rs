//! A pipe that ends with the program, even if a process that it left behind holds the pipe open for years.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a reader checks whether the program has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long to read what is left in the pipe after the program has ended; another process may still write to it.
const DRAIN: Duration = Duration::from_secs(1);

/// Whether a program has ended.
#[derive(Clone, Default)]
pub struct ProcessExited(Arc<AtomicBool>);

impl ProcessExited {
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What can be asked whether there is something to read.
#[cfg(unix)]
pub trait Source: Read + std::os::fd::AsFd {}
#[cfg(unix)]
impl<R: Read + std::os::fd::AsFd> Source for R {}
/// What can be read; where it cannot be asked, it is waited for.
#[cfg(not(unix))]
pub trait Source: Read {}
#[cfg(not(unix))]
impl<R: Read> Source for R {}

/// The reading end. It ends when every writer has closed the pipe, or when the program has ended and its output is
/// read.
pub struct Pipe<R> {
    source: R,
    exited: ProcessExited,
    /// When that was first seen.
    exited_since: Option<Instant>,
}

impl<R: Source> Pipe<R> {
    pub fn new(source: R, exited: ProcessExited) -> Pipe<R> {
        Pipe { source, exited, exited_since: None }
    }

    /// Reads what is there, waiting for it for `timeout` at most: 0 bytes at the end, `None` if nothing came.
    ///
    /// # Errors
    /// The system's reason.
    pub fn read_within(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<Option<usize>> {
        // Asked before the pipe is: what the program wrote is in it by then.
        let exited = self.exited.is_set();
        if exited && self.exited_since.get_or_insert_with(Instant::now).elapsed() > DRAIN {
            return Ok(Some(0));
        }
        match readable(&self.source, if exited { Duration::ZERO } else { timeout })? {
            true => match self.source.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(None),
                read => read.map(Some),
            },
            false => Ok(exited.then_some(0)),
        }
    }
}

impl<R: Source> Read for Pipe<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(read) = self.read_within(buffer, POLL_INTERVAL)? {
                return Ok(read);
            }
        }
    }
}

/// Whether there is something to read, or the end, within `timeout`.
#[cfg(unix)]
fn readable(source: &impl Source, timeout: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    // Only centuries do not fit.
    let timeout = Timespec::try_from(timeout).unwrap_or_default();
    match poll(&mut [PollFd::new(source, PollFlags::IN)], Some(&timeout)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(unix))]
fn readable(_: &impl Source, _: Duration) -> io::Result<bool> {
    Ok(true)
}
