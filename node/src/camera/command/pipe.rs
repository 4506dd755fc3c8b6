//! A pipe that ends with the program, even if a process that it left behind holds the pipe open for years.

use crate::util::latch::{Latch, deadline, wait_readable};
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// How long to read what is left in the pipe after the program has ended; another process may still write to it.
const DRAIN: Duration = Duration::from_secs(1);

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
    /// Set when the program has ended.
    exited: Latch,
    /// When that was first seen.
    exited_since: Option<Instant>,
}

impl<R: Source> Pipe<R> {
    pub fn new(source: R, exited: Latch) -> Pipe<R> {
        Pipe { source, exited, exited_since: None }
    }

    /// Reads what is there, waiting for it until `end`, `stop` is set, or the program has ended: 0 bytes at the end,
    /// `None` if nothing came.
    ///
    /// # Errors
    /// The system's reason.
    pub fn read_until(&mut self, buffer: &mut [u8], end: Instant, stop: Option<&Latch>) -> io::Result<Option<usize>> {
        // Asked before the pipe is: what the program wrote is in it by then.
        let exited = self.exited.is_set();
        if exited && self.exited_since.get_or_insert_with(Instant::now).elapsed() > DRAIN {
            return Ok(Some(0));
        }
        let end = if exited { Instant::now() } else { end };
        let latches: Vec<&Latch> = stop.into_iter().chain([&self.exited]).filter(|_| !exited).collect();
        match wait_readable(&self.source, &latches, end)? {
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
            if let Some(read) = self.read_until(buffer, deadline(Duration::MAX), None)? {
                return Ok(read);
            }
        }
    }
}
