//! Events of a folder.

use super::super::Stop;
use super::super::backoff::LOOK;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher, recommended_watcher};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Most names that wait to be looked at; of further files it is only known that there is something.
const MOST_NAMES: usize = 4096;

#[derive(Debug, Default)]
struct News {
    /// Files that were closed after writing or renamed into the folder.
    complete: HashSet<OsString>,
    /// Files that were written to and have not been closed since.
    open: HashSet<OsString>,
    /// Whether there is anything to look at.
    any: bool,
}

#[derive(Debug, Default)]
struct Shared {
    news: Mutex<News>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, event: notify::Result<Event>) {
        let mut news = self.lock();
        let Ok(event) = event else {
            news.any = true;
            return self.changed.notify_all();
        };
        let names = || event.paths.iter().filter_map(|path| path.file_name());
        let forget = |news: &mut News| news.open.retain(|open| names().all(|name| name != open.as_os_str()));
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                let room = MOST_NAMES.saturating_sub(news.complete.len());
                news.complete.extend(names().take(room).map(OsString::from));
                forget(&mut news);
            }
            // Not at its creation: a second name for a file is created, too, and never closed.
            EventKind::Modify(ModifyKind::Data(_)) => {
                let room = MOST_NAMES.saturating_sub(news.open.len());
                news.open.extend(names().take(room).map(OsString::from));
                return;
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                forget(&mut news);
            }
            EventKind::Remove(_) => {
                forget(&mut news);
                return;
            }
            EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)) => {}
            // Events were lost.
            _ if event.need_rescan() => news.open.clear(),
            // Own reading must not wake: opening and closing without writing is no news.
            _ => return,
        }
        news.any = true;
        self.changed.notify_all();
    }
}

/// A folder under watch.
pub struct Watch {
    // Ends the watch when it is dropped.
    _watcher: RecommendedWatcher,
    shared: Arc<Shared>,
}

impl Watch {
    /// # Errors
    /// One clause saying why the folder has no events.
    pub fn start(folder: &Path) -> Result<Watch, String> {
        if let Some(kind) = far_away(folder) {
            return Err(format!("{kind} has no events of what other machines do"));
        }
        let shared = Arc::<Shared>::default();
        let sink = shared.clone();
        let start = || -> notify::Result<RecommendedWatcher> {
            let mut watcher = recommended_watcher(move |event| sink.take_in(event))?;
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        };
        let watcher = start().map_err(|e| format!("events are not available ({})", e.kind_text()))?;
        Ok(Watch { _watcher: watcher, shared })
    }

    /// Whether there is something to look at.
    pub fn has_news(&self) -> bool {
        self.shared.lock().any
    }

    /// Takes the names of files that are complete; there is no news after that.
    pub fn complete(&self) -> HashSet<OsString> {
        let mut news = self.shared.lock();
        news.any = false;
        std::mem::take(&mut news.complete)
    }

    /// Whether a file is open and has been written to, as far as the system says.
    pub fn is_open(&self, name: &OsStr) -> bool {
        self.shared.lock().open.contains(name)
    }

    /// Waits for news, until `end`, or until the node ends.
    pub fn wait(&self, end: Instant, stop: &Stop) {
        let mut news = self.shared.lock();
        while !news.any && !stop.is_set() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            news = self.shared.changed.wait_timeout(news, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// An error of `notify` without the paths that its own text repeats.
trait KindText {
    fn kind_text(&self) -> String;
}

impl KindText for notify::Error {
    fn kind_text(&self) -> String {
        match &self.kind {
            notify::ErrorKind::Io(e) => e.to_string(),
            notify::ErrorKind::MaxFilesWatch => "the system's limit of watches is reached".into(),
            kind => format!("{kind:?}"),
        }
    }
}

/// The name of a network's file system if the folder is on one: inotify works there and tells nothing.
#[cfg(target_os = "linux")]
fn far_away(folder: &Path) -> Option<&'static str> {
    // linux/magic.h and the file systems' own headers.
    match rustix::fs::statfs(folder).ok()?.f_type as u64 & 0xFFFF_FFFF {
        0x6969 => Some("NFS"),
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => Some("SMB"),
        0x6573_5546 => Some("FUSE"),
        0x0102_1997 => Some("9P"),
        0x00C3_6400 => Some("Ceph"),
        0x5346_414F => Some("AFS"),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn far_away(_: &Path) -> Option<&'static str> {
    None
}
