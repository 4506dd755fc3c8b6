//! Where a node's frames come from, one after the other: a directory, a camera on the network, a program, a USB camera.
//!
//! | `kind` | what it reads | frame by frame | between frames |
//! |---|---|---|---|
//! | `directory` | new files in a folder | the oldest file | nothing |
//! | `http` | a snapshot | a request | nothing; the connection stays open for a while |
//! | `mjpeg` | `multipart/x-mixed-replace` | the newest part | a thread reads on and keeps one part |
//! | `command` | a program's standard output | a run of the program, or the newest frame | nothing, or a thread as above |
//! | `v4l2` | a USB camera (experimental) | the newest frame | a thread as above |
//! | `replay` | stored images | the next file | nothing |
//!
//! All bytes become images in one place, `frame_decoder.rs`: within limits, and with panics of decoders caught.

mod command;
mod config;
mod directory;
mod error;
mod frame_decoder;
mod http;
mod jpeg;
mod latest_frame;
mod mjpeg;
mod multipart;
mod pixels;
mod pnm;
mod replay;
mod retry_state;
#[cfg(test)]
mod testing;
mod v4l2;

pub use command::{CommandConfig, CommandFormat};
pub use config::{Common, SourceConfig, SourceKind, open};
pub use directory::{After, DirectoryConfig, ReadFiles, WatchBy};
pub use error::CameraError;
pub use http::{Auth, HttpConfig, Redirects};
pub use pixels::{Layout, Range};
pub use replay::ReplayConfig;
pub use v4l2::{V4l2Config, V4l2Format};

use crate::util::shutdown::Shutdown;
use edge_ocr::image::Image;
use edge_ocr::image::decode::Notice;
use std::time::{Duration, SystemTime};

/// An image with the moment at which it was taken.
pub struct Captured {
    /// Upright RGB8 pixels.
    pub image: Image,
    /// Width and height of the frame in pixels, upright. `image` may be smaller, see [`Common::reduce_above_px`].
    pub full_px: [usize; 2],
    /// When it was taken, as far as the source knows; otherwise when its last byte came.
    pub captured_at: SystemTime,
    /// What a person should know about the image: that a part of it is missing, or that it is nearly black.
    pub notices: Vec<Notice>,
    /// Name for logs: a path, a URL without secrets, or `frame 17`.
    pub name: String,
}

/// A source of frames. One at a time; nothing is read ahead that would be old when it is asked for, unless the source
/// is a set of files.
pub trait FrameSource: Send {
    /// The next frame. Blocks for at most `timeout`, in waits that `stop` ends: they also ask it now and then, by which
    /// the node sees that the source waits and does not hang. A source of files that has none returns early when it is
    /// [interrupted](Shutdown::interrupt).
    ///
    /// # Errors
    /// [`CameraError`]: a status of the camera, not the end of the node. The next call tries again; the source itself
    /// keeps to its back-off.
    fn next(&mut self, timeout: Duration, stop: &Shutdown) -> Result<Captured, CameraError>;

    /// The frames returned since the last call were read and their readings are safe: a directory source moves or
    /// deletes their files now.
    fn done(&mut self) {}

    /// The frames returned since the last call were read and their readings are lost: a directory source leaves their
    /// files where they are, and does not return them again.
    fn retain_files(&mut self) {}

    /// What a source that takes the place of this one, after a reload, has to know so that it reads nothing twice; `None` if nothing.
    fn read_files(&mut self) -> Option<ReadFiles> {
        None
    }

    /// Goes on from what another source has read, if that was of the same place. To be called before the first frame.
    fn resume(&mut self, _read: ReadFiles) {}

    /// For logs and the node's information, without secrets.
    fn describe(&self) -> String;
}

/// A part of a stream that is split into frames.
#[derive(Debug)]
enum Part {
    /// A whole frame.
    Frame(Vec<u8>),
    /// One that was longer than allowed; it was not kept.
    TooLarge,
    /// One that cannot be used, and why.
    Broken(&'static str),
}

impl Part {
    /// Why this is no frame, if it is none.
    fn to_error(&self, source: &str, max_bytes: usize) -> CameraError {
        let reason = match self {
            Part::Broken(reason) => (*reason).to_owned(),
            _ => format!("it has more than {max_bytes} bytes: ask for a smaller image or raise max_bytes"),
        };
        CameraError::BadFrame { source_name: source.to_owned(), reason }
    }
}
