//! Retries of a source that is opened for every frame.

use super::{CameraError, Shutdown};
use crate::util::retry::Retry;
use std::time::{Duration, Instant};

/// The pause after a failure, and the error that is returned during it.
#[derive(Debug)]
pub(super) struct RetryState {
    retry: Retry,
    failure: Option<CameraError>,
}

/// Pauses between these, as the configuration has them.
pub(super) fn retry(min_ms: u64, max_ms: u64) -> Retry {
    Retry::new(Duration::from_millis(min_ms), Duration::from_millis(max_ms))
}

impl RetryState {
    pub fn new(min_ms: u64, max_ms: u64) -> RetryState {
        RetryState { retry: retry(min_ms, max_ms), failure: None }
    }

    /// Waits until the next try is allowed.
    ///
    /// # Errors
    /// The last failure if that is after `end`; [`CameraError::Stopped`].
    pub fn wait(&self, end: Instant, stop: &Shutdown) -> Result<(), CameraError> {
        let Some(until) = self.retry.until() else { return Ok(()) };
        if !stop.wait(until.min(end)) {
            return Err(CameraError::Stopped);
        }
        match &self.failure {
            Some(failure) if until > end => Err(failure.clone()),
            _ => Ok(()),
        }
    }

    /// Notes how a try went.
    pub fn note<T>(&mut self, result: &Result<T, CameraError>) {
        match result {
            Ok(_) | Err(CameraError::NothingNew { .. }) => {
                self.retry.succeeded();
                self.failure = None;
            }
            Err(CameraError::Stopped) => {}
            Err(error) => {
                self.retry.failed(Instant::now());
                self.failure = Some(error.clone());
            }
        }
    }
}
