//! Tracks the files of the folder: which are complete, and which were read.

use crate::util::retry::Retry;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Most files in the folder. Of each that stays, eight bytes are remembered, and every list costs a question to the
/// system.
const MAX_FILES: usize = 100_000;
/// Most complete files that wait, and are looked at together; the rest follows when these were given.
const MAX_WAITING: usize = 256;
/// A file that cannot be decoded counts as broken once it has been unchanged for this many times `settle_ms`, which is
/// longer than a writer or a network pauses. Until then it is retried.
const SETTLE_LIMIT: u32 = 60;
/// A file that cannot be decoded counts as broken this many times `settle_ms` after a close event. Its writer may still
/// open it again to go on.
const SETTLE_LIMIT_CLOSED: u32 = 15;
/// Pauses before an unreadable file is read again.
const RETRY: Retry = Retry::new(Duration::from_secs(2), Duration::from_secs(60));
/// Unreadable files alone are not looked at more often than this: there may be thousands.
const REST: Duration = Duration::from_secs(1);
/// Endings of files that are still being written.
const UNFINISHED: [&str; 7] = [".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", "~"];

/// A file as it was when it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name in the folder.
    pub name: OsString,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

impl File {
    pub(super) fn new(name: OsString, about: &Metadata) -> File {
        // Where there are no times, the length has to do.
        File { name, bytes: about.len(), modified: about.modified().unwrap_or(SystemTime::UNIX_EPOCH) }
    }

    fn oldest_first(&self, other: &File) -> Ordering {
        (self.modified, &self.name).cmp(&(other.modified, &other.name))
    }

    /// Whether it may be read at all.
    fn wanted(name: &OsStr) -> bool {
        let bytes = name.as_encoded_bytes();
        let ends = |end: &&str| {
            let at = bytes.len().checked_sub(end.len());
            at.is_some_and(|at| bytes[at..].eq_ignore_ascii_case(end.as_bytes()))
        };
        !bytes.starts_with(b".") && !UNFINISHED.iter().any(ends)
    }
}

/// A file that has not been read yet.
#[derive(Clone, Debug)]
struct Tracked {
    file: File,
    /// Since when it stands still.
    since: Instant,
    /// Whether the system said that it was closed after writing, or moved here.
    closed: bool,
    /// Whether it is among the files that wait by name.
    waits: bool,
    /// When it is to be read; `None`: when something happens to it.
    due: Option<Instant>,
    /// If it was read in vain.
    retry: Option<Reread>,
}

/// When a file is read again.
#[derive(Clone, Debug)]
struct Reread {
    /// `None` while it is open for writing: nothing is gained by reading it before it is closed.
    at: Option<Instant>,
    /// How long after that, if it is in vain once more.
    pauses: Retry,
}

/// What the file system's events say about files.
pub struct WriteStatus<'a> {
    /// Closed after writing, or moved here, since the last time.
    pub complete: HashSet<OsString>,
    /// Whether a file is open and has been written to.
    pub is_open: &'a dyn Fn(&OsStr) -> bool,
}

/// Files that are not to be read (again): those read, and those there at the start if they are not wanted.
#[derive(Debug, Default)]
pub struct SeenFiles {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl SeenFiles {
    fn hash(&self, file: &File) -> u64 {
        let age = file.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.hasher.hash_one((&file.name, file.bytes, age))
    }

    fn has(&self, file: &File) -> bool {
        self.hashes.contains(&self.hash(file))
    }
}

/// The files of a watched folder.
#[derive(Debug)]
pub struct FileTracker {
    settle: Duration,
    seen: SeenFiles,
    /// Files that are not read yet.
    tracked: HashMap<OsString, Tracked>,
    /// Complete files, oldest first.
    waiting: VecDeque<File>,
    /// Whether what is found first counts as seen.
    skip_existing: bool,
}

impl FileTracker {
    pub fn new(existing: bool, settle: Duration) -> FileTracker {
        FileTracker {
            settle,
            seen: SeenFiles::default(),
            tracked: HashMap::new(),
            waiting: VecDeque::new(),
            skip_existing: !existing,
        }
    }

    /// What another tracker needs to go on here; `None` if the folder has not been listed yet.
    pub fn seen_files(&mut self) -> Option<SeenFiles> {
        (!self.skip_existing).then(|| std::mem::take(&mut self.seen))
    }

    /// Goes on from another tracker of the same folder. What came meanwhile was not there at the start.
    pub fn resume(&mut self, seen: SeenFiles) {
        (self.seen, self.skip_existing) = (seen, false);
    }

    /// Lists the folder; all that waited was given.
    ///
    /// # Errors
    /// One clause saying why the folder cannot be listed.
    pub fn list(&mut self, folder: &Path, status: &WriteStatus<'_>, now: Instant) -> Result<(), String> {
        let mut present = HashSet::new();
        let mut tracked = HashMap::new();
        let mut count = 0;
        for entry in fs::read_dir(folder).map_err(|e| format!("it cannot be listed ({e})"))? {
            let entry = entry.map_err(|e| format!("it cannot be listed ({e})"))?;
            let name = entry.file_name();
            // Metadata of the entry itself: links are no files here.
            let Ok(about) = entry.metadata() else { continue };
            if !File::wanted(&name) || !about.is_file() {
                continue;
            }
            count += 1;
            if count > MAX_FILES {
                return Err(format!("it holds more than {MAX_FILES} files"));
            }
            let file = File::new(name, &about);
            let hash = self.seen.hash(&file);
            if self.skip_existing || self.seen.hashes.contains(&hash) {
                present.insert(hash);
                continue;
            }
            let known = self.look(file, status, now);
            tracked.insert(known.file.name.clone(), known);
        }
        self.skip_existing = false;
        self.seen.hashes = present;
        self.tracked = tracked;
        self.waiting = self.ready(now).into();
        for file in &self.waiting {
            if let Some(known) = self.tracked.get_mut(&file.name) {
                known.waits = true;
            }
        }
        Ok(())
    }

    /// Looks at the files `touched` and at those that are due; all that waited was given.
    pub fn update(&mut self, folder: &Path, touched: HashSet<OsString>, status: &WriteStatus<'_>, now: Instant) {
        // Those that were given and are not to be given again.
        self.tracked.retain(|_, known| !known.waits);
        let due = self.ready(now).into_iter().map(|file| file.name);
        let mut ready = Vec::new();
        for name in due.chain(touched).collect::<HashSet<_>>() {
            // Links are no files here.
            let about = fs::symlink_metadata(folder.join(&name)).ok().filter(Metadata::is_file);
            let file = about.filter(|_| File::wanted(&name)).map(|about| File::new(name.clone(), &about));
            let Some(file) = file.filter(|file| !self.seen.has(file)) else {
                self.tracked.remove(&name);
                continue;
            };
            let mut known = self.look(file, status, now);
            known.waits = known.due.is_some_and(|due| due <= now);
            if known.waits {
                ready.push(known.file.clone());
            }
            self.tracked.insert(name, known);
        }
        ready.sort_by(File::oldest_first);
        self.waiting = ready.into();
    }

    /// The oldest files that are to be given now, in this order.
    fn ready(&self, now: Instant) -> Vec<File> {
        let due = |known: &&Tracked| !known.waits && known.due.is_some_and(|due| due <= now);
        let mut ready: Vec<&File> = self.tracked.values().filter(due).map(|known| &known.file).collect();
        if ready.len() > MAX_WAITING {
            ready.select_nth_unstable_by(MAX_WAITING, |a, b| a.oldest_first(b));
            ready.truncate(MAX_WAITING);
        }
        ready.sort_unstable_by(|a, b| a.oldest_first(b));
        ready.into_iter().cloned().collect()
    }

    /// What is known of a file that is there, and when it is to be read.
    fn look(&self, file: File, status: &WriteStatus<'_>, now: Instant) -> Tracked {
        let mut known = match self.tracked.get(&file.name) {
            Some(known) if known.file == file => known.clone(),
            _ => Tracked { file, since: now, closed: false, waits: false, due: None, retry: None },
        };
        let (just_closed, is_open) = (status.complete.contains(&known.file.name), (status.is_open)(&known.file.name));
        known.waits = false;
        known.closed = (known.closed || just_closed) && !is_open;
        if let Some(retry) = &mut known.retry
            && (just_closed || retry.at.is_none() && !is_open)
        {
            retry.at = Some(now);
        }
        known.due = match &known.retry {
            // An empty file is one that nobody has written to yet.
            _ if known.file.bytes == 0 => None,
            Some(retry) => retry.at,
            None if known.closed => Some(known.since),
            // Some writers never close.
            None if is_open => Some(known.since + SETTLE_LIMIT * self.settle),
            None => Some(known.since + self.settle),
        };
        known
    }

    /// The oldest complete file. It is not given again.
    pub fn take(&mut self) -> Option<File> {
        let file = self.waiting.pop_front()?;
        self.seen.hashes.insert(self.seen.hash(&file));
        Some(file)
    }

    /// A file that was given could not be read, and will be given again after a while. True at the first failure.
    pub fn try_later(&mut self, file: &File, now: Instant) -> bool {
        let before = self.retry(file);
        let first = before.is_none();
        let mut pauses = before.map_or(RETRY, |retry| retry.pauses);
        let at = Some(now + pauses.failed(now));
        self.set_retry(file, Reread { at, pauses });
        first
    }

    /// A file that was given is no image. False if it may only be unfinished: then it will be given again when
    /// something happens to it, and after a while. `is_open`: it is being written to.
    pub fn is_broken(&mut self, file: &File, is_open: bool, now: Instant) -> bool {
        let Some(known) = self.tracked.get(&file.name) else { return true };
        let patience = self.settle * if known.closed { SETTLE_LIMIT_CLOSED } else { SETTLE_LIMIT };
        let end = known.since + patience;
        if !is_open && end <= now {
            return true;
        }
        let mut pauses = known.retry.as_ref().map_or(RETRY, |retry| retry.pauses.clone());
        let pause = pauses.failed(now);
        let at = (!is_open).then(|| end.min(now + pause));
        self.set_retry(file, Reread { at, pauses });
        false
    }

    fn retry(&self, file: &File) -> Option<Reread> {
        self.tracked.get(&file.name).filter(|known| known.file == *file).and_then(|known| known.retry.clone())
    }

    fn set_retry(&mut self, file: &File, retry: Reread) {
        self.untrack(file);
        if let Some(known) = self.tracked.get_mut(&file.name) {
            (known.waits, known.due, known.retry) = (false, retry.at, Some(retry));
        }
    }

    /// A file that was given is gone: one of the same name, length and time that is put there is another one.
    pub fn untrack(&mut self, file: &File) {
        self.seen.hashes.remove(&self.seen.hash(file));
    }

    /// When a file may have become complete; `None` if none is waited for.
    pub fn next_look(&self, now: Instant) -> Option<Instant> {
        let due = |known: &Tracked| {
            let due = known.due.filter(|_| !known.waits)?;
            Some(due.max(if known.retry.is_some() { now + REST } else { now }))
        };
        self.tracked.values().filter_map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_file_logged_once_retried_with_backoff() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), b"image").unwrap();
        let mut tracker = FileTracker::new(true, Duration::ZERO);
        let none = WriteStatus { complete: HashSet::new(), is_open: &|_| false };
        let (mut now, start) = (Instant::now(), Instant::now());
        let mut file = None;
        for tried in 0..8 {
            while file.is_none() {
                tracker.list(root.path(), &none, now).unwrap();
                file = tracker.take();
                now += Duration::from_secs(1);
                assert!(now - start < Duration::from_secs(300), "it is given again");
            }
            assert_eq!(tracker.try_later(&file.take().unwrap(), now), tried == 0);
            assert!(tracker.next_look(now).is_some_and(|look| look > now));
        }
        let seconds = (now - start).as_secs();
        assert!((2 + 4 + 8 + 16 + 32 + 60 + 60..200).contains(&seconds), "{seconds}");
        fs::write(root.path().join("a"), b"another image").unwrap();
        tracker.list(root.path(), &none, now).unwrap();
        let other = tracker.take().unwrap();
        assert!(tracker.try_later(&other, now), "of another file");
    }

    /// What was given of one file, second by second, and when it counted as broken.
    fn retry(status: &WriteStatus<'_>, seconds: u64) -> (Vec<u64>, Option<u64>) {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), b"half an image").unwrap();
        let mut tracker = FileTracker::new(true, Duration::from_secs(1));
        let (start, mut given) = (Instant::now(), Vec::new());
        for second in 0..seconds {
            let now = start + Duration::from_secs(second);
            tracker.list(root.path(), status, now).unwrap();
            let Some(file) = tracker.take() else { continue };
            given.push(second);
            if tracker.is_broken(&file, (status.is_open)(&file.name), now) {
                return (given, Some(second));
            }
        }
        (given, None)
    }

    /// It was taken for broken as soon as it had stood still once, while its writer only paused.
    #[test]
    fn unfinished_file_is_broken_only_after_patience() {
        let none = WriteStatus { complete: HashSet::new(), is_open: &|_| false };
        assert_eq!(retry(&none, 100), (vec![1, 3, 7, 15, 31, 60], Some(60)));
        let closed = WriteStatus { complete: HashSet::from(["a".into()]), is_open: &|_| false };
        let (_, broken) = retry(&closed, 100);
        assert_eq!(broken, Some(15));
        let open = WriteStatus { complete: HashSet::new(), is_open: &|_| true };
        assert_eq!(retry(&open, 1000), (vec![60], None), "as long as it is open");
    }
}
