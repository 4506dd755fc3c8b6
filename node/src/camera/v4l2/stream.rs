//! What a camera has, and what it sends.

use super::choice::{Offer, Sizes};
use crate::util::latch::{Latch, wait_readable};
use linuxvideo::format::FrameSizes;
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, Device};
use std::io;
use std::time::{Duration, Instant};

/// How long to rest after a driver announced a frame that is not there, as some do for what they call broken: cameras
/// have at most 60 a second.
const REST: Duration = Duration::from_millis(10);

/// What came of taking a frame: nothing if it is empty or the driver calls it broken, its length if it is too long.
pub type Taken = io::Result<Option<Result<Vec<u8>, usize>>>;

/// What a camera sends.
pub trait Stream {
    /// Whether a frame waits.
    fn has_frame(&self) -> io::Result<bool>;

    /// Waits for one, until `closed` is set, or until `end`.
    fn wait(&self, closed: &Latch, end: Instant) -> io::Result<()>;

    /// The frame that waits, of at most `max_bytes` bytes.
    fn frame(&mut self, max_bytes: u64) -> Taken;
}

impl Stream for ReadStream {
    fn has_frame(&self) -> io::Result<bool> {
        self.will_block().map(|will| !will)
    }

    fn wait(&self, closed: &Latch, end: Instant) -> io::Result<()> {
        if wait_readable(self, &[closed], end)? && !self.has_frame()? {
            closed.wait(end.min(Instant::now() + REST));
        }
        Ok(())
    }

    fn frame(&mut self, max_bytes: u64) -> Taken {
        self.dequeue(|view| {
            Ok(match view.len() {
                _ if view.is_error() => None,
                0 => None,
                length if length as u64 > max_bytes => Some(Err(length)),
                _ => Some(Ok(view.to_vec())),
            })
        })
    }
}

/// What the camera has.
pub fn offers(device: &Device) -> io::Result<Vec<Offer>> {
    let mut offers = Vec::new();
    // Drivers have a handful; one that never ends its list is broken.
    for format in device.formats(BufType::VIDEO_CAPTURE).take(64) {
        let format = format?.pixel_format();
        let sizes = match device.frame_sizes(format) {
            Ok(FrameSizes::Discrete(sizes)) => Sizes::Some(sizes.iter().map(|s| (s.width(), s.height())).collect()),
            Ok(FrameSizes::Stepwise(s) | FrameSizes::Continuous(s)) => Sizes::Range(
                (s.min_width(), s.min_height()),
                (s.max_width(), s.max_height()),
                (s.step_width(), s.step_height()),
            ),
            // Not every driver tells.
            Err(_) => Sizes::Some(Vec::new()),
        };
        offers.push(Offer { fourcc: format.as_fourcc(), sizes });
    }
    Ok(offers)
}
