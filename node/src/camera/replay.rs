//! Stored images, one after the other, as if a camera gave them: for demonstrations and tests. Each page of a file
//! is a frame.

use super::config::Common;
use super::frame_decoder::{FrameDecoder, Upright, captured};
use super::{CameraError, Captured, FrameSource, Shutdown};
use crate::util::latch::deadline;
use edge_ocr::image::decode::Pages;
use edge_ocr::number_format::Compact;
use edge_ocr::source::{Expanded, Input, expand, read};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Keys of `kind = "replay"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayConfig {
    /// A folder, whose images are given sorted by name, a file, or a pattern.
    pub path: Option<PathBuf>,
    /// Files, given in this order; instead of `path`.
    pub files: Vec<PathBuf>,
    /// Whether to begin again after the last. Default true.
    #[serde(rename = "loop")]
    pub repeat: bool,
    /// Most frames a second, 0.001 to 1000; without, as fast as they are asked for.
    pub frames_per_s: Option<f64>,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        ReplayConfig { path: None, files: Vec::new(), repeat: true, frames_per_s: None }
    }
}

impl ReplayConfig {
    pub(super) const KEYS: [&str; 4] = ["path", "files", "loop", "frames_per_s"];

    /// Checks every value.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        if self.path.is_some() != self.files.is_empty() {
            return Err("a replay needs either path or files; give one of them".into());
        }
        if let Some(rate) = self.frames_per_s
            && !(0.001..=1000.0).contains(&rate)
        {
            return Err(format!("frames_per_s is {}; give a number from 0.001 to 1000", Compact(rate)));
        }
        Ok(())
    }
}

/// The source.
pub(super) struct Replay {
    inputs: Vec<Input>,
    next: usize,
    /// The file whose pages are given now, with its name.
    open: Option<(String, Pages<Vec<u8>>)>,
    repeat: bool,
    /// Time between frames, and when the next is due.
    pause: Duration,
    due: Instant,
    max_bytes: u64,
    decoder: FrameDecoder,
    name: String,
}

impl Replay {
    pub fn open(config: &ReplayConfig, common: &Common) -> Result<Replay, String> {
        let paths = match &config.path {
            Some(path) => std::slice::from_ref(path),
            None => &config.files,
        };
        let Expanded { inputs, unreadable, .. } = expand(paths, false).map_err(|e| e.to_string())?;
        if let Some(error) = unreadable.first() {
            return Err(error.to_string());
        }
        if inputs.contains(&Input::Stdin) {
            return Err("a replay cannot read standard input; name files".into());
        }
        let name = match &config.path {
            Some(path) => format!("replay of {}", path.display()),
            None => format!("replay of {} files", inputs.len()),
        };
        Ok(Replay {
            inputs,
            next: 0,
            open: None,
            repeat: config.repeat,
            pause: config.frames_per_s.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate)),
            due: Instant::now(),
            max_bytes: common.max_bytes,
            decoder: FrameDecoder::new(common),
            name,
        })
    }
}

impl FrameSource for Replay {
    fn next(&mut self, timeout: Duration, stop: &Shutdown) -> Result<Captured, CameraError> {
        if self.next == self.inputs.len() && self.open.is_none() {
            if !self.repeat {
                return Err(CameraError::End { source_name: self.name.clone() });
            }
            self.next = 0;
        }
        let end = deadline(timeout);
        if !stop.wait_or_interrupt(self.due.min(end)) {
            return Err(CameraError::Stopped);
        }
        if self.due > Instant::now() {
            return Err(CameraError::Timeout {
                source_name: self.name.clone(),
                waited_ms: timeout.as_millis() as u64,
                remedy: "raise frames_per_s or the timeout".into(),
            });
        }
        // From the time it was due: the rate does not fall by what reading takes. A pause is not made up for.
        let now = Instant::now();
        self.due = (self.due + self.pause).max(now.checked_sub(self.pause).unwrap_or(now));
        let (path, mut pages) = match self.open.take() {
            Some(open) => open,
            None => {
                let input = &self.inputs[self.next];
                self.next += 1;
                let name = input.name().into_owned();
                let bytes = read(input, self.max_bytes)
                    .map_err(|e| CameraError::BadFrame { source_name: name.clone(), reason: e.to_string() })?;
                let pages = self.decoder.pages(&name, bytes)?;
                (name, pages)
            }
        };
        let page = self.decoder.page(&path, &mut pages).transpose();
        let count = pages.page_count();
        let name = path.clone();
        self.open = Some((path, pages)).filter(|(_, pages)| !pages.is_done());
        let Some(page) = page? else {
            return Err(CameraError::BadFrame { source_name: name, reason: "it has no pages".into() });
        };
        let name = if count > 1 { format!("{name} (page {} of {count})", page.page) } else { name };
        // Now, not the file's time: a replay stands for a camera.
        let frame = Upright { image: page.image, full_px: page.full_px, notices: page.notices };
        Ok(captured(frame, SystemTime::now(), name))
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::png;
    use super::*;
    use std::fs;

    const LONG: Duration = Duration::from_secs(20);

    fn stock(values: &[u8]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (i, value) in values.iter().enumerate() {
            fs::write(root.path().join(format!("{i}.png")), png(*value)).unwrap();
        }
        root
    }

    fn open(root: &tempfile::TempDir, change: impl FnOnce(&mut ReplayConfig)) -> Result<Replay, String> {
        let mut config = ReplayConfig { path: Some(root.path().into()), ..ReplayConfig::default() };
        change(&mut config);
        config.validate()?;
        Replay::open(&config, &Common::default())
    }

    fn next(replay: &mut Replay) -> Result<u8, CameraError> {
        replay.next(LONG, &Shutdown::default()).map(|frame| frame.image.as_raw()[0])
    }

    #[test]
    fn in_order_and_again() {
        let root = stock(&[10, 20, 30]);
        let mut replay = open(&root, |_| {}).unwrap();
        let values: Vec<u8> = (0..5).map(|_| next(&mut replay).unwrap()).collect();
        assert_eq!(values, [10, 20, 30, 10, 20]);
        let mut once = open(&root, |c| c.repeat = false).unwrap();
        (0..3).for_each(|i| assert_eq!(next(&mut once), Ok(10 * i + 10)));
        assert!(matches!(next(&mut once), Err(CameraError::End { .. })));
        assert!(matches!(next(&mut once), Err(CameraError::End { .. })), "and stays so");
    }

    #[cfg(feature = "formats")]
    #[test]
    fn pages_of_a_file_are_frames() {
        let root = stock(&[10, 90]);
        fs::write(root.path().join("0.png"), super::super::testing::tiff(&[20, 30])).unwrap();
        let mut replay = open(&root, |_| {}).unwrap();
        let values: Vec<u8> = (0..5).map(|_| next(&mut replay).unwrap()).collect();
        assert_eq!(values, [20, 30, 90, 20, 30]);
        let mut once = open(&root, |c| c.repeat = false).unwrap();
        (0..3).for_each(|_| assert!(next(&mut once).is_ok()));
        assert!(matches!(next(&mut once), Err(CameraError::End { .. })));
    }

    #[test]
    fn a_broken_file_is_one_bad_frame() {
        let root = stock(&[10, 20]);
        fs::write(root.path().join("0.png"), b"no image").unwrap();
        let mut replay = open(&root, |_| {}).unwrap();
        assert!(matches!(next(&mut replay), Err(CameraError::BadFrame { .. })));
        assert_eq!(next(&mut replay), Ok(20));
        fs::remove_file(root.path().join("0.png")).unwrap();
        assert!(matches!(next(&mut replay), Err(CameraError::BadFrame { .. })), "gone meanwhile");
    }

    #[test]
    fn the_rate_is_kept() {
        let root = stock(&[1, 2, 3, 4]);
        let mut replay = open(&root, |c| c.frames_per_s = Some(50.0)).unwrap();
        let start = Instant::now();
        (1..=4).for_each(|i| assert_eq!(next(&mut replay), Ok(i)));
        assert!(start.elapsed() >= Duration::from_millis(55), "{:?}", start.elapsed());
        let mut slow = open(&root, |c| c.frames_per_s = Some(0.01)).unwrap();
        next(&mut slow).unwrap();
        assert!(matches!(slow.next(Duration::from_millis(1), &Shutdown::default()), Err(CameraError::Timeout { .. })));
        let stop = Shutdown::default();
        stop.set();
        assert!(matches!(slow.next(LONG, &stop), Err(CameraError::Stopped)));
    }

    #[test]
    fn what_cannot_be_is_told() {
        let root = stock(&[]);
        assert!(open(&root, |_| {}).is_err(), "an empty folder");
        let root = stock(&[1]);
        assert!(open(&root, |c| c.files.push("a".into())).err().unwrap().contains("path or files"));
        assert!(open(&root, |c| c.path = None).is_err());
        assert!(open(&root, |c| c.frames_per_s = Some(f64::NAN)).err().unwrap().contains("frames_per_s"));
        assert!(open(&root, |c| c.frames_per_s = Some(1e308)).err().unwrap().contains("frames_per_s is 1e308;"));
        assert!(open(&root, |c| c.path = Some("-".into())).err().unwrap().contains("standard input"));
    }
}
