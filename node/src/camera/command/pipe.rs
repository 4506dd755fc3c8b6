//! What a program writes, until the program ends: a process that it left behind may hold the pipe open for years.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a reader looks whether the program has ended.
const LOOK: Duration = Duration::from_millis(50);
/// How long what is in the pipe may take after the program's end. Longer only if somebody else goes on writing.
const DRAIN: Duration = Duration::from_secs(1);

/// Whether a program has ended.
#[derive(Clone, Default)]
pub struct Over(Arc<AtomicBool>);

impl Over {
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

/// The reading end. It comes to its end when all have closed the other one, or when the program has ended and what it had written is read.
pub struct Pipe<R> {
    source: R,
    over: Over,
    /// When that was first seen.
    over_since: Option<Instant>,
}

impl<R: Source> Pipe<R> {
    pub fn new(source: R, over: Over) -> Pipe<R> {
        Pipe { source, over, over_since: None }
    }

    /// Reads what is there, waiting for it for `patience` at most: 0 bytes at the end, `None` if nothing came.
    ///
    /// # Errors
    /// The system's reason.
    pub fn read_within(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<Option<usize>> {
        // Asked before the pipe is: what the program wrote is in it by then.
        let over = self.over.is_set();
        if over && self.over_since.get_or_insert_with(Instant::now).elapsed() > DRAIN {
            return Ok(Some(0));
        }
        match readable(&self.source, if over { Duration::ZERO } else { patience })? {
            true => match self.source.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(None),
                read => read.map(Some),
            },
            false => Ok(over.then_some(0)),
        }
    }
}

impl<R: Source> Read for Pipe<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(read) = self.read_within(buffer, LOOK)? {
                return Ok(read);
            }
        }
    }
}

/// Whether there is something to read, or the end, within `patience`.
#[cfg(unix)]
fn readable(source: &impl Source, patience: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    // Only centuries do not fit.
    let timeout = Timespec::try_from(patience).unwrap_or_default();
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
