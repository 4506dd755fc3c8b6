//! What lies in the folder, what of it is complete, and what was read.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Most files in the folder. Of each that stays, eight bytes are remembered, and every look costs a question to the system.
const MOST_FILES: usize = 100_000;
/// Most complete files that wait by name; the rest is found by the next look.
const MOST_WAITING: usize = 256;
/// After which time a file is tried again that could not be read: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// The folder is not listed for such a file alone before this time is over: there may be thousands.
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

/// The memory of a watched folder.
#[derive(Debug)]
pub struct Shelf {
    settle: Duration,
    /// Hashes of files that are not to be read (again): those read, and those there at the start if they are not wanted.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// Files that are not complete yet, and since when they stand still.
    growing: HashMap<OsString, (File, Instant)>,
    /// Complete files, oldest first.
    waiting: VecDeque<File>,
    /// Files that could not be read, when each is tried again, and after which time if it fails once more.
    unreadable: HashMap<OsString, (File, Instant, Duration)>,
    /// Whether what is found first counts as seen.
    skip_existing: bool,
}

impl Shelf {
    pub fn new(existing: bool, settle: Duration) -> Shelf {
        Shelf {
            settle,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            growing: HashMap::new(),
            waiting: VecDeque::new(),
            unreadable: HashMap::new(),
            skip_existing: !existing,
        }
    }

    fn hash(&self, file: &File) -> u64 {
        let age = file.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.hasher.hash_one((&file.name, file.bytes, age))
    }

    /// Looks into the folder. Files named in `complete` need not stand still first.
    ///
    /// # Errors
    /// One clause saying why the folder cannot be listed.
    pub fn list(&mut self, folder: &Path, complete: &HashSet<OsString>, now: Instant) -> Result<(), String> {
        let mut present = HashSet::new();
        let mut growing = HashMap::new();
        let mut ready = Vec::new();
        let mut unreadable = HashMap::new();
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
            if count > MOST_FILES {
                return Err(format!("it holds more than {MOST_FILES} files"));
            }
            let file = File::new(name, &about);
            let hash = self.hash(&file);
            if self.skip_existing || self.seen.contains(&hash) {
                present.insert(hash);
                continue;
            }
            if let Some(known) = self.unreadable.get(&file.name).filter(|(before, ..)| *before == file) {
                if known.1 <= now {
                    ready.push(file.clone());
                }
                unreadable.insert(file.name.clone(), known.clone());
                continue;
            }
            let since = match self.growing.get(&file.name) {
                Some((before, since)) if *before == file => *since,
                _ => now,
            };
            // An empty file is one that nobody has written to yet.
            if file.bytes > 0 && (complete.contains(&file.name) || now.duration_since(since) >= self.settle) {
                ready.push(file);
            } else {
                growing.insert(file.name.clone(), (file, since));
            }
        }
        self.skip_existing = false;
        self.seen = present;
        ready.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
        // Those that do not wait by name stand still already: the next look must not let them begin anew.
        for file in ready.drain(MOST_WAITING.min(ready.len())..) {
            let since = now.checked_sub(self.settle).unwrap_or(now);
            growing.insert(file.name.clone(), (file, since));
        }
        self.growing = growing;
        self.unreadable = unreadable;
        self.waiting = ready.into();
        Ok(())
    }

    /// The oldest complete file. It is not given again.
    pub fn take(&mut self) -> Option<File> {
        let file = self.waiting.pop_front()?;
        self.seen.insert(self.hash(&file));
        Some(file)
    }

    /// A file that was given could not be read, and will be given again after a while. True if that is news.
    pub fn try_later(&mut self, file: &File, now: Instant) -> bool {
        self.forget(file);
        let before = self.unreadable.get(&file.name).filter(|(before, ..)| before == file).map(|(_, _, pause)| *pause);
        let pause = before.unwrap_or(RETRY.0);
        self.unreadable.insert(file.name.clone(), (file.clone(), now + pause, (2 * pause).min(RETRY.1)));
        before.is_none()
    }

    /// A file that was given is gone: one of the same name, length and time that is put there is another one.
    pub fn forget(&mut self, file: &File) {
        let hash = self.hash(file);
        self.seen.remove(&hash);
    }

    /// When a file may have become complete; `None` if none is waited for.
    pub fn next_look(&self, now: Instant) -> Option<Instant> {
        // An empty file may stay so for ever, and is looked at as often as any other.
        let growing = self.growing.values().filter(|(file, _)| file.bytes > 0);
        let again = self.unreadable.values().map(|(_, again, _)| (*again).max(now + REST));
        growing.map(|(_, since)| (*since + self.settle).max(now)).chain(again).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_news_once_and_tried_more_and_more_seldom() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), b"picture").unwrap();
        let mut shelf = Shelf::new(true, Duration::ZERO);
        let (mut now, none, start) = (Instant::now(), HashSet::new(), Instant::now());
        let mut file = None;
        for tried in 0..8 {
            while file.is_none() {
                shelf.list(root.path(), &none, now).unwrap();
                file = shelf.take();
                now += Duration::from_secs(1);
                assert!(now - start < Duration::from_secs(300), "it is given again");
            }
            assert_eq!(shelf.try_later(&file.take().unwrap(), now), tried == 0);
            assert!(shelf.next_look(now).is_some_and(|look| look > now));
        }
        let seconds = (now - start).as_secs();
        assert!((2 + 4 + 8 + 16 + 32 + 60 + 60..200).contains(&seconds), "{seconds}");
        fs::write(root.path().join("a"), b"another picture").unwrap();
        shelf.list(root.path(), &none, now).unwrap();
        let other = shelf.take().unwrap();
        assert!(shelf.try_later(&other, now), "of another file");
    }
}
