//! USB cameras by the kernel's Video4Linux interface, without a library in C (feature `v4l2`, Linux).
//!
//! *Experimental*: written and tested against the kernel's documentation, and not tried on a camera yet.

mod choice;
#[cfg(all(feature = "v4l2", target_os = "linux"))]
mod device;
#[cfg(all(feature = "v4l2", target_os = "linux"))]
mod stream;

use super::FrameSource;
use super::config::{Common, within};
use super::pixels::Range;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the camera is to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum V4l2Format {
    /// The first of YUYV, MJPEG and GREY that it has in the size that is wanted: the frame rate does not matter here,
    /// and YUYV has no artefacts around characters.
    #[default]
    Auto,
    /// `YUYV`: not compressed.
    Yuyv,
    /// `MJPG`: JPEGs.
    Mjpeg,
    /// `GREY`: one byte for each pixel.
    Grey,
}

/// Keys of `kind = "v4l2"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct V4l2Config {
    /// The device. Default `/dev/video0`. Names in `/dev/v4l/by-id` stay the same when cameras are plugged in in
    /// another order.
    pub device: PathBuf,
    /// Width in pixels. Default 1280. Without this size, the camera's next larger one is taken, else its largest.
    pub width_px: u32,
    /// Height in pixels. Default 720.
    pub height_px: u32,
    /// What the camera is to send. Default `auto`.
    pub format: V4l2Format,
    /// Which values of Y, U and V it uses. Default `limited`.
    pub range: Range,
    /// Frames that are thrown away after the camera was opened, 0 to 1000, while its exposure settles. Default 10.
    pub warm_up_frames: u32,
}

impl Default for V4l2Config {
    fn default() -> Self {
        V4l2Config {
            device: "/dev/video0".into(),
            width_px: 1280,
            height_px: 720,
            format: V4l2Format::Auto,
            range: Range::Limited,
            warm_up_frames: 10,
        }
    }
}

impl V4l2Config {
    pub(super) const KEYS: [&str; 6] = ["device", "width_px", "height_px", "format", "range", "warm_up_frames"];

    /// Checks every value.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self, common: &Common) -> Result<(), String> {
        if self.device.as_os_str().is_empty() {
            return Err("device is empty; give the camera's device, such as /dev/video0".into());
        }
        within("width_px", self.width_px.into(), 1, common.limits.max_width_px.into())?;
        within("height_px", self.height_px.into(), 1, common.limits.max_height_px.into())?;
        within("warm_up_frames", self.warm_up_frames.into(), 0, 1000)
    }
}

/// The source.
#[cfg(all(feature = "v4l2", target_os = "linux"))]
pub(super) fn open(config: &V4l2Config, common: &Common) -> Result<Box<dyn FrameSource>, String> {
    Ok(Box::new(device::Camera::open(config, common)))
}

/// The answer of a program without it.
#[cfg(not(all(feature = "v4l2", target_os = "linux")))]
pub(super) fn open(_: &V4l2Config, _: &Common) -> Result<Box<dyn FrameSource>, String> {
    Err("kind = \"v4l2\" is not in this program; build it for Linux with --features v4l2, or use kind = \"command\""
        .into())
}
