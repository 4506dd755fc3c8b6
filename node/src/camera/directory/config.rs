//! Keys of `kind = "directory"`.

use super::super::config::within;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// What happens to a file that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// It stays, and is not read again until it changes or the program restarts (unless `existing = false`).
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
    /// By events where there are any, which name the files; the folder is listed every 10 × `poll_ms`, and no more than
    /// a hundredth of the time. Else as `poll`.
    #[default]
    Auto,
    /// By listing the folder every `poll_ms`, and no more than a tenth of the time.
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
    /// How long size and time of a file must stand still before it is read, in milliseconds, 10 to 600 000; not needed
    /// where the system says that it was closed after writing. Default 1000. What is no whole image then is tried
    /// again, and is taken for broken when it has stood still for 60 times as long, or for 15 times if it was closed;
    /// never while it is open for writing.
    pub settle_ms: u64,
    /// Whether files that are there at the start are read. Default true.
    pub existing: bool,
    /// What happens to a file when its readings are safe: on disk, or with the broker. Default `keep`. A file that
    /// cannot be put away stays and is tried again every minute; the next run of the program reads it once more if it
    /// still lies there. A file of which something was not read (a damaged page, the further frames of an animation)
    /// stays, too.
    pub after: After,
    /// Folder for `after = "move"`.
    pub move_to: Option<PathBuf>,
    /// Folder for files that are no image; without, they stay and are reported once. A file that cannot be read at
    /// all (rights, a bad disk) stays in any case, and is tried again.
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
    pub(in super::super) const KEYS: [&str; 8] =
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
