//! New files in a folder: what a camera, a scanner or another program puts there.
//!
//! A file counts as complete when the system says that it was closed after writing or renamed into the folder, or when
//! its size and time stood still for a while and the system does not say that it is open. One that is no whole
//! image then may still be unfinished: it is tried again, and stays untouched, until it has stood still for long.
//!
//! An event names its file, and only that one is looked at; so is a file that should stand still by now. The folder,
//! which may hold very many, is listed at the start, when events were lost, and now and then in any case: network
//! folders have no events of what other machines do.
//!
//! Each page of a file is a frame. A file is moved or deleted only when all that is in it was read.

mod config;
mod disposal_queue;
mod dispose;
mod file_tracker;
mod watch;

use super::config::Common;
use super::frame_decoder::{FrameDecoder, Upright, captured};
use super::{CameraError, Captured, FrameSource, Shutdown};
use crate::util::latch::deadline;
pub use config::{After, DirectoryConfig, WatchBy};
use disposal_queue::DisposalQueue;
use edge_ocr::image::decode::{Notice, Pages};
use edge_ocr::source::{Input, SourceError, read};
use file_tracker::{File, FileTracker, SeenFiles, WriteStatus};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use watch::Watch;

/// How many times as long as a list took the folder is not listed after it: with events, and without or when some were
/// lost.
const PAUSE: (u32, u32) = (99, 9);

/// A file of which pages are being given.
struct Open {
    file: File,
    pages: Pages<Vec<u8>>,
    /// Pages given so far.
    given: usize,
    /// Why the file has to stay, if it has to; one clause.
    stays: Option<String>,
}

/// The files of a folder that have been read, for a source that goes on there.
pub struct ReadFiles {
    path: PathBuf,
    seen: SeenFiles,
    disposal_queue: DisposalQueue,
}

/// The source.
pub(super) struct Directory {
    config: DirectoryConfig,
    max_bytes: u64,
    decoder: FrameDecoder,
    name: String,
    tracker: FileTracker,
    watch: Option<Watch>,
    /// Whether the folder has no events, so that they are not tried for again and again.
    no_events: bool,
    /// When the folder is to be listed next.
    list_due: Instant,
    /// The earliest that lost events have it listed.
    list_least: Instant,
    /// When a file that is known is to be looked at next, if any is.
    look_due: Option<Instant>,
    /// The file whose pages are given now.
    open: Option<Open>,
    /// Given to the last page, and not done yet: several if a reading takes several frames.
    given: Vec<File>,
    disposal_queue: DisposalQueue,
}

impl Directory {
    pub fn open(config: &DirectoryConfig, common: &Common) -> Result<Directory, String> {
        config.validate()?;
        Ok(Directory {
            max_bytes: common.max_bytes,
            decoder: FrameDecoder::new(common),
            name: format!("directory {}", config.path.display()),
            tracker: FileTracker::new(config.existing, Duration::from_millis(config.settle_ms)),
            watch: None,
            no_events: config.watch == WatchBy::Poll,
            list_due: Instant::now(),
            list_least: Instant::now(),
            look_due: None,
            open: None,
            given: Vec::new(),
            disposal_queue: DisposalQueue::default(),
            config: config.clone(),
        })
    }

    /// Looks at the files that the system has named and at those that are due; lists the folder if that is due, or if
    /// the system cannot tell what happened.
    fn look(&mut self) -> Result<(), CameraError> {
        let changes = self.watch.as_ref().map(Watch::take).unwrap_or_default();
        if changes.gone {
            // A folder that comes back is another one for the system.
            self.watch = None;
            return self.list(HashSet::new());
        }
        if changes.rescan {
            self.list_due = self.list_due.min(self.list_least);
        }
        if Instant::now() >= self.list_due {
            return self.list(changes.complete);
        }
        let watch = &self.watch;
        let is_open = |name: &OsStr| watch.as_ref().is_some_and(|watch| watch.is_open(name));
        let status = WriteStatus { complete: changes.complete, is_open: &is_open };
        let now = Instant::now();
        self.tracker.update(&self.config.path, changes.touched, &status, now);
        self.look_due = self.tracker.next_look(now);
        Ok(())
    }

    /// Lists the folder; `complete` were closed after writing.
    fn list(&mut self, complete: HashSet<OsString>) -> Result<(), CameraError> {
        // Before listing: what comes between the two is then seen by one of them.
        if self.watch.is_none() && !self.no_events && self.config.path.is_dir() {
            match Watch::start(&self.config.path) {
                Ok(watch) => self.watch = Some(watch),
                Err(reason) => {
                    log::info!("{} is listed every {} ms because {reason}", self.name, self.config.poll_ms);
                    self.no_events = true;
                }
            }
        }
        let now = Instant::now();
        let watch = &self.watch;
        let is_open = |name: &OsStr| watch.as_ref().is_some_and(|watch| watch.is_open(name));
        let status = WriteStatus { complete, is_open: &is_open };
        let listed = self.tracker.list(&self.config.path, &status, now);
        let (took, end) = (now.elapsed(), Instant::now());
        let (often, pause) = if self.watch.is_some() { (10, PAUSE.0) } else { (1, PAUSE.1) };
        let poll = Duration::from_millis(self.config.poll_ms.saturating_mul(often));
        self.list_due = end + poll.max(took * pause);
        self.list_least = end + took * PAUSE.1;
        self.look_due = self.tracker.next_look(now);
        listed.map_err(|reason| {
            self.watch = None;
            CameraError::Failed {
                source_name: self.name.clone(),
                reason,
                remedy: "check the folder, its rights and whether it is mounted".into(),
            }
        })
    }

    /// Reads a file; `None` if it is gone, or still cannot be read.
    fn read(&mut self, file: &File) -> Option<Result<Pages<Vec<u8>>, CameraError>> {
        let path = self.config.path.join(&file.name);
        let name = path.display().to_string();
        match read(&Input::Path(path), self.max_bytes) {
            Ok(bytes) => Some(self.decoder.pages(&name, bytes)),
            Err(SourceError::Missing { .. }) => None,
            // That says nothing of what is in it, and a moment later it may be otherwise.
            Err(SourceError::Unreadable { reason, .. }) => {
                let remedy = "check the file's rights and its disk; it stays and is tried again".into();
                let first = self.tracker.try_later(file, Instant::now());
                self.look_again();
                let reason = format!("it cannot be read ({reason})");
                first.then_some(Err(CameraError::Failed { source_name: name, reason, remedy }))
            }
            Err(error) => Some(Err(CameraError::BadFrame { source_name: name, reason: error.to_string() })),
        }
    }

    /// The next page of the open file; `None` if none is open. With its last page the file is closed.
    fn page(&mut self) -> Option<Result<Captured, CameraError>> {
        let open = self.open.as_mut()?;
        let mut name = self.config.path.join(&open.file.name).display().to_string();
        let page = self.decoder.page(&name, &mut open.pages);
        // A file of which nothing was given yet, and that ends early or cannot be decoded, may be unfinished.
        let broken = match &page {
            Some(Err(CameraError::BadFrame { .. })) => true,
            Some(Ok(page)) => page.notices.contains(&Notice::EndsEarly),
            _ => false,
        };
        if broken && open.given == 0 {
            let file = open.file.clone();
            if !self.is_broken(&file) {
                log::debug!("{name} is tried again, because it may be unfinished");
                self.open = None;
                return None;
            }
        }
        let open = self.open.as_mut()?;
        let given = page.map(|page| {
            let page = page.inspect_err(|error| open.stays = Some(error.to_string()))?;
            open.given += 1;
            if let Some(loss) = page.notices.iter().find(|notice| notice.is_loss()) {
                open.stays = Some(loss.to_string());
            }
            if open.pages.page_count() > 1 {
                name = format!("{name} (page {} of {})", page.page, open.pages.page_count());
            }
            let frame = Upright { image: page.image, full_px: page.full_px, notices: page.notices };
            Ok(captured(frame, open.file.modified, name))
        });
        if open.pages.is_done() {
            self.close();
        }
        given
    }

    /// All pages of the open file were given.
    fn close(&mut self) {
        let Some(Open { file, given, stays, .. }) = self.open.take() else { return };
        match (given, stays, self.config.failed_to.clone()) {
            (1.., None, _) => self.given.push(file),
            (0, _, Some(folder)) => self.dispose(file, Some(folder)),
            (0, _, None) => {}
            (_, Some(reason), _) => {
                let path = self.config.path.join(&file.name);
                log::warn!("{} stays, because not all of it was read: {reason}", path.display());
            }
        }
    }

    /// Whether a file that is no image will not become one either: it has stood still for long. Otherwise it is
    /// given again.
    fn is_broken(&mut self, file: &File) -> bool {
        let is_open = self.watch.as_ref().is_some_and(|watch| watch.is_open(&file.name));
        let broken = self.tracker.is_broken(file, is_open, Instant::now());
        self.look_again();
        broken
    }

    /// Looks when the next file is due, if that is sooner.
    fn look_again(&mut self) {
        let next = self.tracker.next_look(Instant::now());
        self.look_due = self.look_due.into_iter().chain(next).min();
    }

    /// Moves a file away or deletes it, if it is still the one that was read. That it cannot be is no failure of the
    /// camera.
    fn dispose(&mut self, file: File, to: Option<PathBuf>) {
        match self.disposal_queue.dispose(&self.config.path, file.clone(), to) {
            Ok(()) => self.tracker.untrack(&file),
            Err(Some(sentence)) => log::warn!("{sentence}"),
            Err(None) => {}
        }
    }
}

impl FrameSource for Directory {
    fn next(&mut self, timeout: Duration, stop: &Shutdown) -> Result<Captured, CameraError> {
        let end = deadline(timeout);
        loop {
            for file in self.disposal_queue.retry(&self.config.path, Instant::now()) {
                self.tracker.untrack(&file);
            }
            if stop.is_set() {
                return Err(CameraError::Stopped);
            }
            if let Some(page) = self.page() {
                return page;
            }
            if let Some(file) = self.tracker.take() {
                match self.read(&file) {
                    None => {}
                    Some(Ok(pages)) => self.open = Some(Open { file, pages, given: 0, stays: None }),
                    Some(Err(error)) => {
                        if matches!(error, CameraError::BadFrame { .. }) && !self.is_broken(&file) {
                            log::debug!("{error}; it is tried again, because it may be unfinished");
                            continue;
                        }
                        if let (CameraError::BadFrame { .. }, Some(folder)) = (&error, self.config.failed_to.clone()) {
                            self.dispose(file, Some(folder));
                        }
                        return Err(error);
                    }
                }
                continue;
            }
            let due = self.look_due.map_or(self.list_due, |look| look.min(self.list_due));
            if Instant::now() >= due || self.watch.as_ref().is_some_and(Watch::has_changes) {
                self.look()?;
                continue;
            }
            let now = Instant::now();
            if now >= end || stop.is_interrupted() {
                return Err(CameraError::NothingNew { source_name: self.name.clone() });
            }
            let until = self.disposal_queue.pause.until().map_or(due, |retry| retry.min(due)).min(end);
            match &self.watch {
                Some(watch) => watch.wait(until, stop),
                None => drop(stop.wait_or_interrupt(until)),
            }
        }
    }

    fn done(&mut self) {
        for file in std::mem::take(&mut self.given) {
            match self.config.after {
                After::Keep => {}
                After::Delete => self.dispose(file, None),
                After::Move => self.dispose(file, self.config.move_to.clone()),
            }
        }
    }

    fn retain_files(&mut self) {
        self.given.clear();
        if let Some(open) = &mut self.open {
            open.stays = Some("readings of it were dropped".into());
        }
    }

    fn read_files(&mut self) -> Option<ReadFiles> {
        // What was not read to its end, or has no safe readings yet, is read once more.
        let unfinished = self.open.take().map(|open| open.file);
        for file in unfinished.into_iter().chain(std::mem::take(&mut self.given)) {
            self.tracker.untrack(&file);
        }
        let disposal_queue = std::mem::take(&mut self.disposal_queue);
        Some(ReadFiles { path: self.config.path.clone(), seen: self.tracker.seen_files()?, disposal_queue })
    }

    fn resume(&mut self, read: ReadFiles) {
        if read.path == self.config.path {
            self.tracker.resume(read.seen);
            self.disposal_queue = read.disposal_queue;
        }
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod event_tests;
#[cfg(all(test, feature = "formats"))]
mod page_tests;
#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unfinished_tests;
