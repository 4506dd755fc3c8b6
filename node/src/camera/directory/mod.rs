//! New files in a folder: what a camera, a scanner or another program puts there.
//!
//! A file counts as complete when the system says that it was closed after writing or renamed into the folder, or when
//! its size and time stood still for a while and the system does not say that it is open. One that is no whole picture then may still be
//! unfinished: it is tried again, and stays untouched, until it has stood still for long. The folder is listed now and then in any case: events
//! only make it quicker and surer, because network folders have none of what other machines do, and queues of events overflow.
//!
//! Each page of a file is a frame. A file is moved or deleted only when all that is in it was read.

mod dispose;
mod leftovers;
mod shelf;
mod watch;

use super::backoff::deadline;
use super::config::{Common, within};
use super::picture::{Developer, Upright, captured};
use super::{CameraError, Captured, FrameSource, Stop};
use edge_ocr::image::decode::{Notice, Pages};
use edge_ocr::source::{Input, SourceError, read};
use leftovers::Leftovers;
use serde::{Deserialize, Serialize};
use shelf::{File, Shelf, Told};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};
use watch::Watch;

/// What happens to a file that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// It stays, and is not read again until it changes or the program starts anew (unless `existing = false`).
    #[default]
    Keep,
    /// It is deleted.
    Delete,
    /// It is moved to `move_to`.
    Move,
}

/// How new files are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchBy {
    /// By events where there are any, and by listing the folder ten times as seldom as `poll_ms` says; else as `poll`.
    #[default]
    Auto,
    /// By listing the folder every `poll_ms`.
    Poll,
}

/// Keys of `kind = "directory"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DirectoryConfig {
    /// The folder. Its subfolders, links, names that begin with a dot or end in `.part`, `.partial`, `.tmp`, `.temp`,
    /// `.filepart`, `.crdownload` or `~` are passed over. It need not exist when the program starts.
    pub path: PathBuf,
    /// How new files are noticed. Default `auto`.
    pub watch: WatchBy,
    /// Time between two lists in milliseconds, 50 to 3 600 000. Default 1000.
    pub poll_ms: u64,
    /// How long size and time of a file must stand still before it is read, in milliseconds, 10 to 600 000; not needed where the system says
    /// that it was closed after writing. Default 1000. What is no whole picture then is tried again, and is taken for broken when it has
    /// stood still for 60 times as long, or for 15 times if it was closed; never while it is open for writing.
    pub settle_ms: u64,
    /// Whether files that are there at the start are read. Default true.
    pub existing: bool,
    /// What happens to a file when its readings are safe: on disk, or with the broker. Default `keep`. A file that cannot be put away stays and
    /// is tried again every minute; the next run of the program reads it once more if it still lies there. A file of which something was not
    /// read (a damaged page, the further frames of an animation) stays, too.
    pub after: After,
    /// Folder for `after = "move"`.
    pub move_to: Option<PathBuf>,
    /// Folder for files that are no picture; without, they stay and are reported once. A file that cannot be read at all (rights, a bad disk)
    /// stays in any case, and is tried again.
    pub failed_to: Option<PathBuf>,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        DirectoryConfig {
            path: PathBuf::new(),
            watch: WatchBy::Auto,
            poll_ms: 1000,
            settle_ms: 1000,
            existing: true,
            after: After::Keep,
            move_to: None,
            failed_to: None,
        }
    }
}

impl DirectoryConfig {
    pub(super) const KEYS: [&str; 8] =
        ["path", "watch", "poll_ms", "settle_ms", "existing", "after", "move_to", "failed_to"];

    /// Checks every value.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        if self.path.as_os_str().is_empty() {
            return Err("path of the directory source is empty; give the folder to watch".into());
        }
        within("poll_ms", self.poll_ms, 50, 3_600_000)?;
        within("settle_ms", self.settle_ms, 10, 600_000)?;
        match (self.after, &self.move_to) {
            (After::Move, None) => return Err("after is \"move\" without move_to; give the folder to move to".into()),
            (After::Keep | After::Delete, Some(_)) => {
                return Err("move_to is given without after = \"move\"; add that, or leave move_to out".into());
            }
            _ => {}
        }
        for (key, folder) in [("move_to", &self.move_to), ("failed_to", &self.failed_to)] {
            let Some(folder) = folder else { continue };
            if folder.as_os_str().is_empty() || same(folder, &self.path) {
                return Err(format!("{key} must be another folder than path; files would be read again and again"));
            }
        }
        Ok(())
    }
}

/// Whether two paths name the same folder, as far as can be told now.
fn same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => {
            let plain = |path: &'_ Path| path.components().filter(|c| *c != Component::CurDir).collect::<PathBuf>();
            plain(a) == plain(b)
        }
    }
}

/// A file of which pages are being given.
struct Open {
    file: File,
    pages: Pages<Vec<u8>>,
    /// Pages given so far.
    given: usize,
    /// Why the file has to stay, if it has to; one clause.
    stays: Option<String>,
}

/// The source.
pub(super) struct Directory {
    config: DirectoryConfig,
    max_bytes: u64,
    developer: Developer,
    name: String,
    shelf: Shelf,
    watch: Option<Watch>,
    /// Whether the folder has no events, so that they are not tried for again and again.
    no_events: bool,
    /// When the folder is to be listed next.
    due: Instant,
    /// The file whose pages are given now.
    open: Option<Open>,
    /// Given to the last page, and not done yet: several if a reading takes several frames.
    given: Vec<File>,
    leftovers: Leftovers,
}

impl Directory {
    pub fn open(config: &DirectoryConfig, common: &Common) -> Result<Directory, String> {
        config.validate()?;
        Ok(Directory {
            max_bytes: common.max_bytes,
            developer: Developer::new(common),
            name: format!("directory {}", config.path.display()),
            shelf: Shelf::new(config.existing, Duration::from_millis(config.settle_ms)),
            watch: None,
            no_events: config.watch == WatchBy::Poll,
            due: Instant::now(),
            open: None,
            given: Vec::new(),
            leftovers: Leftovers::default(),
            config: config.clone(),
        })
    }

    /// Lists the folder.
    fn list(&mut self) -> Result<(), CameraError> {
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
        let complete = self.watch.as_ref().map(Watch::complete).unwrap_or_default();
        let now = Instant::now();
        let watch = &self.watch;
        let is_open = |name: &OsStr| watch.as_ref().is_some_and(|watch| watch.is_open(name));
        let listed = self.shelf.list(&self.config.path, &Told { complete, is_open: &is_open }, now);
        let often = if self.watch.is_some() { 10 } else { 1 };
        let next = Duration::from_millis(self.config.poll_ms.saturating_mul(often));
        self.due = self.shelf.next_look(now).map_or(now + next, |look| look.min(now + next));
        listed.map_err(|reason| {
            // A folder that comes back is another one for the system.
            self.watch = None;
            CameraError::Failed {
                source_name: self.name.clone(),
                reason,
                mend: "check the folder, its rights and whether it is mounted".into(),
            }
        })
    }

    /// Reads a file; `None` if it is gone, or still cannot be read.
    fn read(&mut self, file: &File) -> Option<Result<Pages<Vec<u8>>, CameraError>> {
        let path = self.config.path.join(&file.name);
        let name = path.display().to_string();
        match read(&Input::Path(path), self.max_bytes) {
            Ok(bytes) => Some(self.developer.pages(&name, bytes)),
            Err(SourceError::Missing { .. }) => None,
            // That says nothing of what is in it, and a moment later it may be otherwise.
            Err(SourceError::Unreadable { reason, .. }) => {
                let mend = "check the file's rights and its disk; it stays and is tried again".into();
                let news = self.shelf.try_later(file, Instant::now());
                self.look_again();
                let reason = format!("it cannot be read ({reason})");
                news.then_some(Err(CameraError::Failed { source_name: name, reason, mend }))
            }
            Err(error) => Some(Err(CameraError::BadFrame { source_name: name, reason: error.to_string() })),
        }
    }

    /// The next page of the open file; `None` if none is open. With its last page the file is closed.
    fn page(&mut self) -> Option<Result<Captured, CameraError>> {
        let open = self.open.as_mut()?;
        let mut name = self.config.path.join(&open.file.name).display().to_string();
        let page = self.developer.page(&name, &mut open.pages);
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
            let frame = Upright { picture: page.picture, full_px: page.full_px };
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
            (0, _, Some(folder)) => self.clear(file, Some(folder)),
            (0, _, None) => {}
            (_, Some(reason), _) => {
                let path = self.config.path.join(&file.name);
                log::warn!("{} stays, because not all of it was read: {reason}", path.display());
            }
        }
    }

    /// Whether a file that is no picture will not become one either: it has stood still for long. Otherwise it is given again.
    fn is_broken(&mut self, file: &File) -> bool {
        let is_open = self.watch.as_ref().is_some_and(|watch| watch.is_open(&file.name));
        let broken = self.shelf.is_broken(file, is_open, Instant::now());
        self.look_again();
        broken
    }

    /// Lists the folder when the next file is due, if that is sooner.
    fn look_again(&mut self) {
        self.due = self.shelf.next_look(Instant::now()).map_or(self.due, |look| look.min(self.due));
    }

    /// Moves a file away or deletes it, if it is still the one that was read. That it cannot be is no failure of the camera.
    fn clear(&mut self, file: File, to: Option<PathBuf>) {
        match self.leftovers.put_away(&self.config.path, file.clone(), to) {
            Ok(()) => self.shelf.forget(&file),
            Err(Some(sentence)) => log::warn!("{sentence}"),
            Err(None) => {}
        }
    }
}

impl FrameSource for Directory {
    fn next(&mut self, timeout: Duration, stop: &Stop) -> Result<Captured, CameraError> {
        let end = deadline(timeout);
        for file in self.leftovers.try_again(&self.config.path, Instant::now()) {
            self.shelf.forget(&file);
        }
        loop {
            if stop.is_set() {
                return Err(CameraError::Stopped);
            }
            if let Some(page) = self.page() {
                return page;
            }
            if let Some(file) = self.shelf.take() {
                match self.read(&file) {
                    None => {}
                    Some(Ok(pages)) => self.open = Some(Open { file, pages, given: 0, stays: None }),
                    Some(Err(error)) => {
                        if matches!(error, CameraError::BadFrame { .. }) && !self.is_broken(&file) {
                            log::debug!("{error}; it is tried again, because it may be unfinished");
                            continue;
                        }
                        if let (CameraError::BadFrame { .. }, Some(folder)) = (&error, self.config.failed_to.clone()) {
                            self.clear(file, Some(folder));
                        }
                        return Err(error);
                    }
                }
                continue;
            }
            if Instant::now() >= self.due || self.watch.as_ref().is_some_and(Watch::has_news) {
                self.list()?;
                continue;
            }
            let now = Instant::now();
            if now >= end {
                return Err(CameraError::NothingNew { source_name: self.name.clone() });
            }
            let until = self.due.min(end);
            match &self.watch {
                Some(watch) => watch.wait(until, stop),
                None => drop(super::backoff::wait(until, stop)),
            }
        }
    }

    fn done(&mut self) {
        for file in std::mem::take(&mut self.given) {
            match self.config.after {
                After::Keep => {}
                After::Delete => self.clear(file, None),
                After::Move => self.clear(file, self.config.move_to.clone()),
            }
        }
    }

    fn keep(&mut self) {
        self.given.clear();
        if let Some(open) = &mut self.open {
            open.stays = Some("readings of it were dropped".into());
        }
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

#[cfg(all(test, feature = "formats"))]
mod page_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unfinished_tests;
