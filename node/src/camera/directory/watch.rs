//! Events of a folder.

use super::super::Shutdown;
use crate::util::latch::Monitor;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher, recommended_watcher};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Most names that wait to be looked at; with more of them the folder is listed.
const MAX_NAMES: usize = 4096;

/// What changed in the folder since the changes were last taken.
#[derive(Debug, Default)]
pub struct FolderChanges {
    /// Files that were closed after writing or renamed into the folder.
    pub complete: HashSet<OsString>,
    /// Files to be looked at, these among them.
    pub touched: HashSet<OsString>,
    /// Whether more happened than is known.
    pub rescan: bool,
    /// Whether the folder itself was removed or renamed: no further event will come.
    pub gone: bool,
}

impl FolderChanges {
    fn any(&self) -> bool {
        self.rescan || !self.touched.is_empty()
    }

    fn touch(&mut self, name: &OsStr) {
        if self.touched.len() < MAX_NAMES {
            self.touched.insert(name.into());
        } else {
            self.rescan = true;
        }
    }
}

#[derive(Debug, Default)]
struct State {
    changes: FolderChanges,
    /// Files that were written to and have not been closed since.
    open: HashSet<OsString>,
}

#[derive(Debug, Default)]
struct Shared {
    folder: PathBuf,
    state: Arc<Monitor<State>>,
}

impl Shared {
    fn take_in(&self, event: notify::Result<Event>) {
        let mut state = self.state.lock();
        self.note(&mut state, event);
        // Reading by the node, and writing that goes on, are no changes.
        if state.changes.any() {
            drop(state);
            self.state.notify();
        }
    }

    fn note(&self, State { changes, open }: &mut State, event: notify::Result<Event>) {
        let Ok(event) = event else {
            changes.rescan = true;
            return;
        };
        let names = || event.paths.iter().filter_map(|path| path.file_name());
        match event.kind {
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) if event.paths.contains(&self.folder) => {
                (changes.gone, changes.rescan) = (true, true);
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                for name in names() {
                    open.remove(name);
                    changes.touch(name);
                    if changes.touched.contains(name) {
                        changes.complete.insert(name.into());
                    }
                }
            }
            // Not at its creation: a second name for a file is created, too, and never closed.
            EventKind::Modify(ModifyKind::Data(_)) => {
                let room = MAX_NAMES.saturating_sub(open.len());
                open.extend(names().take(room).map(OsString::from));
            }
            EventKind::Remove(_) => {
                open.retain(|open| names().all(|name| name != open.as_os_str()));
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => names().for_each(|name| {
                open.remove(name);
                changes.touch(name);
            }),
            EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                names().for_each(|name| changes.touch(name))
            }
            // Events were lost.
            _ if event.need_rescan() => {
                open.clear();
                changes.rescan = true;
            }
            _ => {}
        }
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
        let shared = Arc::new(Shared { folder: std::path::absolute(folder).unwrap_or_default(), ..Shared::default() });
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
    pub fn has_changes(&self) -> bool {
        self.shared.state.lock().changes.any()
    }

    /// Takes the changes; there are none after that.
    pub fn take(&self) -> FolderChanges {
        std::mem::take(&mut self.shared.state.lock().changes)
    }

    /// Whether a file is open and has been written to, as far as the system says.
    pub fn is_open(&self, name: &OsStr) -> bool {
        self.shared.state.lock().open.contains(name)
    }

    /// Waits for changes, until `end`, or until the node ends or has something else to do.
    pub fn wait(&self, end: Instant, stop: &Shutdown) {
        let any = |state: &mut State| (state.changes.any() || stop.is_interrupted()).then_some(());
        let _ = self.shared.state.wait(end, stop, any);
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

/// The name of a network's file system if the folder is on one: inotify works there and reports nothing.
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

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::CreateKind;

    #[test]
    fn more_names_than_are_kept_need_a_list() {
        let shared = Shared::default();
        let created = |i: usize| Event::new(EventKind::Create(CreateKind::File)).add_path(i.to_string().into());
        (0..MAX_NAMES).for_each(|i| shared.take_in(Ok(created(i))));
        assert!(!shared.state.lock().changes.rescan);
        shared.take_in(Ok(created(MAX_NAMES)));
        let changes = std::mem::take(&mut shared.state.lock().changes);
        assert!(changes.rescan && changes.touched.len() == MAX_NAMES && changes.complete.is_empty());
    }
}
