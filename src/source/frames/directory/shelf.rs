//! What lies in the folder, what of it is complete, and what was read.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Most files in the folder. Of each that stays, eight bytes are remembered, and every look costs a question to the system.
const MOST_FILES: usize = 100_000;
/// Most complete files that wait by name; the rest is found by the next look.
const MOST_WAITING: usize = 256;
/// Longest name on the usual file systems.
const MOST_NAME_BYTES: usize = 255;
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
    fn new(name: OsString, about: &Metadata) -> File {
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

/// Moves a file to the folder `to`, under a name that is free there, or deletes it. A file that has changed since it was found is left
/// alone: it will be read again.
///
/// # Errors
/// One clause.
pub fn put_away(folder: &Path, file: &File, to: Option<&Path>) -> Result<(), String> {
    let path = folder.join(&file.name);
    match fs::symlink_metadata(&path) {
        Ok(about) if File::new(file.name.clone(), &about) == *file => {}
        Ok(_) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e.to_string()),
    }
    let Some(to) = to else { return fs::remove_file(&path).map_err(|e| e.to_string()) };
    fs::create_dir_all(to).map_err(|e| e.to_string())?;
    let target = free_name(to, &file.name)?;
    match fs::rename(&path, &target) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
            move_across(&path, to, &target).map_err(|e| e.to_string())
        }
        moved => moved.map_err(|e| e.to_string()),
    }
}

/// `name`, or `name-1`, `name-2`… before the ending, whichever is free in `folder`.
fn free_name(folder: &Path, name: &OsStr) -> Result<PathBuf, String> {
    let plain = Path::new(name);
    for number in 0..1000 {
        let path = match number {
            0 => folder.join(name),
            _ => {
                let mut tail = OsString::from(format!("-{number}"));
                if let Some(ending) = plain.extension() {
                    tail.push(".");
                    tail.push(ending);
                }
                folder.join(fitting(plain.file_stem().unwrap_or_default(), &tail))
            }
        };
        match fs::symlink_metadata(&path) {
            // Taken.
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(e) => return Err(e.to_string()),
        }
    }
    Err(format!("{} has a thousand files of that name", folder.display()))
}

/// `stem` and `tail`, with so much of `stem` as a name has room for.
fn fitting(stem: &OsStr, tail: &OsStr) -> OsString {
    let room = MOST_NAME_BYTES.saturating_sub(tail.len());
    let mut name = match stem.len() <= room {
        true => stem.to_owned(),
        false => {
            let text = stem.to_string_lossy();
            OsString::from(&text[..text.floor_char_boundary(room)])
        }
    };
    name.push(tail);
    name
}

/// Moves a file to another file system so that it is never half there.
fn move_across(path: &Path, to: &Path, target: &Path) -> io::Result<()> {
    let mut stem = OsString::from(".");
    stem.push(target.file_name().unwrap_or_default());
    let hidden = to.join(fitting(&stem, OsStr::new(".part")));
    let copied = fs::copy(path, &hidden)
        .and_then(|_| fs::File::open(&hidden)?.sync_all())
        .and_then(|()| fs::rename(&hidden, target));
    if copied.is_err() {
        let _ = fs::remove_file(&hidden);
    }
    copied?;
    fs::remove_file(path).inspect_err(|_| {
        // It is tried again, and each time would leave another copy.
        let _ = fs::remove_file(target);
    })
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

    /// Any error counted as "taken", and a suffix made a long name too long.
    #[test]
    fn a_name_that_is_too_long_with_a_number_is_shortened() {
        let root = tempfile::tempdir().unwrap();
        for (long, last) in [("x".repeat(251) + ".png", "x-1.png"), ("é".repeat(125) + "x.png", "é-1.png")] {
            assert!(long.len() <= MOST_NAME_BYTES);
            fs::write(root.path().join(&long), b"taken").unwrap();
            let free = free_name(root.path(), OsStr::new(&long)).unwrap();
            let name = free.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(name.ends_with(last) && name.len() <= MOST_NAME_BYTES && name.len() > 250, "{name}");
            fs::write(&free, b"it can be used").unwrap();
        }
        let error = free_name(root.path(), OsStr::new(&"x".repeat(300))).unwrap_err();
        assert!(!error.contains("thousand"), "{error}");
        let no_folder = root.path().join("file");
        fs::write(&no_folder, b"").unwrap();
        let error = free_name(&no_folder, OsStr::new("a")).unwrap_err();
        assert!(!error.contains("thousand"), "{error}");
    }

    #[test]
    fn a_long_name_goes_to_another_file_system() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        fs::create_dir(&to).unwrap();
        fs::write(&from, b"picture").unwrap();
        let target = to.join("x".repeat(251) + ".png");
        move_across(&from, &to, &target).unwrap();
        assert_eq!((fs::read(&target).unwrap().as_slice(), from.exists()), (&b"picture"[..], false));
        assert_eq!(fs::read_dir(&to).unwrap().count(), 1, "nothing is left beside it");
        // What cannot be removed here is not there either: `from` is a folder now, which can be neither read nor removed as a file.
        fs::create_dir(&from).unwrap();
        assert!(move_across(&from, &to, &to.join("second")).is_err());
        assert_eq!(fs::read_dir(&to).unwrap().count(), 1);
    }
}
