//! A program that writes frames to its standard output: `rpicam-still`, `rpicam-vid`, GStreamer, ffmpeg.
//!
//! This is how cameras are reached that need a vendor's library (the Raspberry Pi's and the Jetson's CSI cameras,
//! RTSP) without linking one.

mod child;
mod messages;
mod once;
mod pipe;
mod stream;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use super::config::{Common, within};
use super::frame_decoder::{FrameDecoder, RawShape, Upright};
use super::pixels::{Layout, Range};
use super::{CameraError, FrameSource};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What the program writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandFormat {
    /// JPEGs. With `once`, an image in any format that is read.
    #[default]
    Jpeg,
    /// Binary PNM (P4, P5, P6). With `once`, an image in any format that is read.
    Pnm,
    /// Raw [`Layout::Rgb`].
    Rgb,
    /// Raw [`Layout::Yuv420`].
    Yuv420,
    /// Raw [`Layout::Yuyv`].
    Yuyv,
    /// Raw [`Layout::Grey`].
    Grey,
}

impl CommandFormat {
    /// The layout of raw frames; `None` where frames tell their size themselves.
    fn layout(self) -> Option<Layout> {
        match self {
            CommandFormat::Jpeg | CommandFormat::Pnm => None,
            CommandFormat::Rgb => Some(Layout::Rgb),
            CommandFormat::Yuv420 => Some(Layout::Yuv420),
            CommandFormat::Yuyv => Some(Layout::Yuyv),
            CommandFormat::Grey => Some(Layout::Grey),
        }
    }
}

/// Keys of `kind = "command"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommandConfig {
    /// The program and its arguments; there is no shell. A secret in an argument is seen by every user of the machine.
    pub command: Vec<String>,
    /// What it writes. Default `jpeg`.
    pub format: CommandFormat,
    /// Width of raw frames in pixels.
    pub width_px: u32,
    /// Height of raw frames in pixels.
    pub height_px: u32,
    /// Which values of Y, U and V raw frames use. Default `limited`; `full` for `rpicam-still`.
    pub range: Range,
    /// Whether the program is run for every frame and ends after it. Default true; false: it runs on and writes frame
    /// after frame, of which the newest is taken. Either way its output ends with it: a process that it leaves behind
    /// is ended, or not listened to.
    pub once: bool,
}

impl Default for CommandConfig {
    fn default() -> Self {
        CommandConfig {
            command: Vec::new(),
            format: CommandFormat::Jpeg,
            width_px: 0,
            height_px: 0,
            range: Range::Limited,
            once: true,
        }
    }
}

impl CommandConfig {
    pub(super) const KEYS: [&str; 6] = ["command", "format", "width_px", "height_px", "range", "once"];

    /// Checks every value.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self, common: &Common) -> Result<(), String> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err(
                "command is empty; give the program and its arguments, such as [\"rpicam-still\", \"-o\", \"-\"]"
                    .into(),
            );
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return Err("command has a zero byte in it; remove it".into());
        }
        let Some(layout) = self.format.layout() else {
            return match (self.width_px, self.height_px) {
                (0, 0) => Ok(()),
                _ => Err("width_px and height_px are for raw formats; leave them out, the image tells its size".into()),
            };
        };
        within("width_px", self.width_px.into(), 1, common.limits.max_width_px.into())?;
        within("height_px", self.height_px.into(), 1, common.limits.max_height_px.into())?;
        let (width, height) = (self.width_px as usize, self.height_px as usize);
        if layout == Layout::Yuyv && width % 2 == 1 {
            return Err(format!("width_px is {width}, but yuyv has pixels in pairs; give an even number"));
        }
        let bytes = layout.frame_bytes(width, height).map_or(u64::MAX, |bytes| bytes as u64);
        if (width as u64) * (height as u64) > common.limits.max_pixels || bytes > common.max_bytes {
            return Err(format!(
                "width_px and height_px make {bytes} bytes a frame, more than limits.max_pixels or max_bytes allow; raise these or make it smaller"
            ));
        }
        Ok(())
    }
}

/// Decodes the program's output into images.
struct OutputDecoder {
    decoder: FrameDecoder,
    /// Shape and length of raw frames.
    raw: Option<(RawShape, usize)>,
    name: String,
}

impl OutputDecoder {
    fn new(config: &CommandConfig, common: &Common) -> OutputDecoder {
        let (width, height) = (config.width_px as usize, config.height_px as usize);
        let raw = config.format.layout().and_then(|layout| {
            let stride = layout.row_bytes(width)?;
            Some((RawShape { layout, range: config.range, width, height, stride }, layout.frame_bytes(width, height)?))
        });
        // The program's name only: arguments may hold addresses with passwords.
        let program = config.command.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
        let name = format!("command {}", program.to_string_lossy());
        OutputDecoder { decoder: FrameDecoder::new(common), raw, name }
    }

    fn image(&self, bytes: &[u8]) -> Result<Upright, CameraError> {
        match &self.raw {
            Some((shape, _)) => self.decoder.raw(&self.name, bytes, shape),
            None => self.decoder.decode(&self.name, bytes),
        }
    }

    /// A failure with what the program said last.
    fn failed(&self, reason: &str, last_line: &str, remedy: &str) -> CameraError {
        CameraError::Failed {
            source_name: self.name.clone(),
            reason: with_words(reason, last_line),
            remedy: remedy.into(),
        }
    }

    /// That it could not be started.
    fn not_started(&self, error: &std::io::Error) -> CameraError {
        let remedy = match error.kind() {
            std::io::ErrorKind::NotFound => "install the program, or give its whole path in command",
            std::io::ErrorKind::PermissionDenied => "make the program executable for the user of this one",
            _ => "run it by hand to see why",
        };
        self.failed(&format!("it cannot be started ({error})"), "", remedy)
    }
}

fn with_words(reason: &str, last_line: &str) -> String {
    match last_line {
        "" => reason.to_owned(),
        said => format!("{reason}, saying '{said}'"),
    }
}

/// The source.
pub(super) fn open(config: &CommandConfig, common: &Common) -> Result<Box<dyn FrameSource>, String> {
    config.validate(common)?;
    Ok(match config.once {
        true => Box::new(once::Once::new(config, common)),
        false => Box::new(stream::Stream::new(config, common)),
    })
}
