//! The newest frame of a stream: a place for one, between the thread that reads and whoever asks.

use super::backoff::{POLL_INTERVAL, deadline};
use super::{CameraError, Stop};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A frame as it came, not decoded.
#[derive(Debug)]
pub(super) struct Encoded<T = Vec<u8>> {
    /// The bytes, or whatever the stream consists of.
    pub frame: T,
    /// When its last byte came, by the wall clock.
    pub at: SystemTime,
    /// Its number in the stream, from 1.
    pub number: u64,
}

#[derive(Debug)]
struct State<T> {
    frame: Option<(Encoded<T>, Instant)>,
    /// The stream's failure since its last frame, and whether it was told.
    failure: Option<(CameraError, bool)>,
    count: u64,
    closed: bool,
}

/// Holds the newest frame or the newest failure. An older frame is dropped, so a stream of any speed takes the memory
/// of one.
#[derive(Debug)]
pub(super) struct LatestFrame<T = Vec<u8>> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Default for LatestFrame<T> {
    fn default() -> Self {
        let state = State { frame: None, failure: None, count: 0, closed: false };
        LatestFrame { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl<T> LatestFrame<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing is half done when a thread panics: fields are set as wholes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame that just came.
    pub fn put(&self, frame: T) {
        let mut state = self.lock();
        state.count += 1;
        let frame = Encoded { frame, at: SystemTime::now(), number: state.count };
        state.frame = Some((frame, Instant::now()));
        state.failure = None;
        self.changed.notify_all();
    }

    /// Puts a failure. A frame that came before stays until it is too old.
    pub fn fail(&self, error: CameraError) {
        self.lock().failure = Some((error, false));
        self.changed.notify_all();
    }

    /// No more is wanted.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Whether no more is wanted.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits for `pause` or until no more is wanted.
    pub fn pause(&self, pause: Duration) {
        let end = deadline(pause);
        let mut state = self.lock();
        while !state.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the newest frame, or waits for one that is not older than `max_age`. Each frame is given once.
    ///
    /// # Errors
    /// A failure that was not told yet at once; when `timeout` is over the failure that still holds, otherwise
    /// `too_late`; [`CameraError::Stopped`].
    pub fn take(
        &self,
        timeout: Duration,
        max_age: Duration,
        stop: &Stop,
        too_late: impl FnOnce() -> CameraError,
    ) -> Result<Encoded<T>, CameraError> {
        let end = deadline(timeout);
        let mut state = self.lock();
        loop {
            if stop.is_set() {
                return Err(CameraError::Stopped);
            }
            if let Some((frame, since)) = state.frame.take()
                && since.elapsed() <= max_age
            {
                return Ok(frame);
            }
            if let Some((error, reported)) = &mut state.failure
                && !std::mem::replace(reported, true)
            {
                return Err(error.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let failure = state.failure.as_ref().map(|(error, _)| error.clone());
                return Err(failure.unwrap_or_else(too_late));
            }
            state = self.changed.wait_timeout(state, left.min(POLL_INTERVAL)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(20);

    fn late() -> CameraError {
        CameraError::NothingNew { source_name: "late".into() }
    }

    fn take(latest: &LatestFrame<u8>, timeout: Duration) -> Result<u8, CameraError> {
        latest.take(timeout, LONG, &Stop::default(), late).map(|encoded| encoded.frame)
    }

    #[test]
    fn only_the_newest_and_only_once() {
        let latest = LatestFrame::default();
        (1..=3).for_each(|v| latest.put(v));
        let got = latest.take(LONG, LONG, &Stop::default(), late).unwrap();
        assert_eq!((got.frame, got.number), (3, 3));
        assert_eq!(take(&latest, Duration::ZERO), Err(late()));
    }

    #[test]
    fn an_old_frame_is_not_given() {
        let latest = LatestFrame::default();
        latest.put(1);
        std::thread::sleep(Duration::from_millis(5));
        let got = latest.take(Duration::ZERO, Duration::from_millis(1), &Stop::default(), late);
        assert_eq!(got.map(|e| e.frame), Err(late()));
    }

    #[test]
    fn failure_reported_at_once_until_next_frame() {
        let latest = LatestFrame::default();
        let failure = CameraError::BadFrame { source_name: "x".into(), reason: "y".into() };
        latest.fail(failure.clone());
        assert_eq!(take(&latest, LONG), Err(failure.clone()), "at once");
        assert_eq!(take(&latest, Duration::from_millis(1)), Err(failure), "still so");
        latest.put(1);
        assert_eq!(take(&latest, LONG), Ok(1));
        assert_eq!(take(&latest, Duration::ZERO), Err(late()));
    }

    #[test]
    fn waiting_ends_with_a_frame_or_the_node() {
        let latest = Arc::new(LatestFrame::default());
        let other = latest.clone();
        let thread = std::thread::spawn(move || take(&other, LONG));
        latest.put(7);
        assert_eq!(thread.join().unwrap(), Ok(7));
        let stop = Stop::default();
        stop.set();
        assert_eq!(latest.take(LONG, LONG, &stop, late).map(|e| e.frame), Err(CameraError::Stopped));
        latest.close();
        latest.pause(LONG);
        assert!(latest.is_closed());
    }
}
