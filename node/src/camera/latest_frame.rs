//! The newest frame of a stream: a place for one, between the thread that reads and whoever asks.

use super::{CameraError, Shutdown};
use crate::util::latch::{Ended, Latch, Monitor, deadline};
use std::sync::Arc;
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
    /// The stream's failure since its last frame, and whether it was returned.
    failure: Option<(CameraError, bool)>,
    count: u64,
}

/// Holds the newest frame or the newest failure. An older frame is dropped, so a stream of any speed takes the memory
/// of one.
#[derive(Debug)]
pub(super) struct LatestFrame<T = Vec<u8>> {
    state: Arc<Monitor<State<T>>>,
    closed: Latch,
}

impl<T> Default for LatestFrame<T> {
    fn default() -> Self {
        let state = State { frame: None, failure: None, count: 0 };
        LatestFrame { state: Arc::new(Monitor::new(state)), closed: Latch::default() }
    }
}

impl<T: Send + 'static> LatestFrame<T> {
    /// Puts a frame that just came.
    pub fn put(&self, frame: T) {
        self.state.change(|state| {
            state.count += 1;
            let frame = Encoded { frame, at: SystemTime::now(), number: state.count };
            state.frame = Some((frame, Instant::now()));
            state.failure = None;
        });
    }

    /// Puts a failure. A frame that came before stays until it is too old.
    pub fn fail(&self, error: CameraError) {
        self.state.change(|state| state.failure = Some((error, false)));
    }

    /// No more is wanted.
    pub fn close(&self) {
        self.closed.set();
    }

    /// Set when no more is wanted.
    pub fn closed(&self) -> &Latch {
        &self.closed
    }

    /// Whether no more is wanted.
    pub fn is_closed(&self) -> bool {
        self.closed.is_set()
    }

    /// Waits for `pause` or until no more is wanted.
    pub fn pause(&self, pause: Duration) {
        self.closed.wait(deadline(pause));
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
        stop: &Shutdown,
        too_late: impl FnOnce() -> CameraError,
    ) -> Result<Encoded<T>, CameraError> {
        let news = |state: &mut State<T>| {
            if let Some((frame, since)) = state.frame.take()
                && since.elapsed() <= max_age
            {
                return Some(Ok(frame));
            }
            let (error, reported) = state.failure.as_mut()?;
            (!std::mem::replace(reported, true)).then(|| Err(error.clone()))
        };
        match self.state.wait(deadline(timeout), stop, news) {
            Ok(news) => news,
            Err(Ended::Stopped) => Err(CameraError::Stopped),
            Err(Ended::Timeout) => {
                let failure = self.state.lock().failure.as_ref().map(|(error, _)| error.clone());
                Err(failure.unwrap_or_else(too_late))
            }
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
        latest.take(timeout, LONG, &Shutdown::default(), late).map(|encoded| encoded.frame)
    }

    #[test]
    fn only_the_newest_and_only_once() {
        let latest = LatestFrame::default();
        (1..=3).for_each(|v| latest.put(v));
        let got = latest.take(LONG, LONG, &Shutdown::default(), late).unwrap();
        assert_eq!((got.frame, got.number), (3, 3));
        assert_eq!(take(&latest, Duration::ZERO), Err(late()));
    }

    #[test]
    fn an_old_frame_is_not_given() {
        let latest = LatestFrame::default();
        latest.put(1);
        std::thread::sleep(Duration::from_millis(5));
        let got = latest.take(Duration::ZERO, Duration::from_millis(1), &Shutdown::default(), late);
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
        let stop = Shutdown::default();
        stop.set();
        assert_eq!(latest.take(LONG, LONG, &stop, late).map(|e| e.frame), Err(CameraError::Stopped));
        latest.close();
        latest.pause(LONG);
        assert!(latest.is_closed());
    }
}
