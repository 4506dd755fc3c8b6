//! The directory of the outbox, as little of it as is needed; tests put a disk of their own in its place.

use crate::util::atomic_file::check_regular;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Whether this process is the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// It is, until the files are dropped.
    Held,
    /// It is not.
    InUse,
    /// The file system has no locks, or is read-only and has no lock file.
    Unknown,
    /// The lock path is not a regular file, so no lock can be taken.
    NoFile,
    /// The directory is not on the disk that it was on, so nothing was made or locked.
    OtherDisk,
}

/// Segment files, of which one at a time is written.
pub(super) trait Files: Send {
    /// For messages.
    fn dir(&self) -> &Path;
    /// Makes the directory if it is not there, and locks it.
    fn prepare(&mut self) -> io::Result<Lock>;
    /// Numbers of the segments, in no order.
    fn list(&mut self) -> io::Result<Vec<u64>>;
    /// Up to `len` bytes from `offset` on; fewer where the file ends.
    fn read(&mut self, number: u64, offset: u64, len: u64) -> io::Result<Vec<u8>>;
    /// Makes a segment, which is the one that is written from now on.
    fn create(&mut self, number: u64) -> io::Result<()>;
    /// Goes on with a segment, cut to `len` bytes if it is longer.
    fn open(&mut self, number: u64, len: u64) -> io::Result<()>;
    /// Writes to the open segment.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Writes over bytes of any segment, the open one too, and makes that durable.
    fn patch(&mut self, number: u64, patches: &[(u64, Vec<u8>)]) -> io::Result<()>;
    /// Makes durable what was written to the open segment.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes durable which segments there are.
    fn sync_dir(&mut self) -> io::Result<()>;
    /// Deletes a segment.
    fn remove(&mut self, number: u64) -> io::Result<()>;
}

/// How long a lock that somebody holds is tried again, and how often.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// A real directory.
pub(super) struct Disk {
    dir: PathBuf,
    /// Device and number of the directory when it was prepared.
    home: Option<(u64, u64)>,
    lock: Option<File>,
    /// The segment that is written, and its number.
    open: Option<(u64, File)>,
}

impl Disk {
    pub(super) fn new(dir: PathBuf) -> Disk {
        Disk { dir, home: None, lock: None, open: None }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:016}.log"))
    }

    /// [`path`](Self::path), if the disk is still there.
    fn path_at_home(&self, number: u64) -> io::Result<PathBuf> {
        self.check_home()?;
        Ok(self.path(number))
    }

    /// Where a disk was mounted there may be an empty directory now, on the disk below. What was written there would
    /// lie hidden as soon as the right disk is back. That one may come back under another device number, but its
    /// directory keeps its own.
    fn check_home(&self) -> io::Result<()> {
        #[cfg(unix)]
        if let Some((device, inode)) = self.home {
            use std::os::unix::fs::MetadataExt;
            let there = match fs::metadata(&self.dir) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => nearest(&self.dir)?.map(|about| (about.dev(), None)),
                about => about.map(|about| Some((about.dev(), Some(about.ino()))))?,
            };
            if there.is_some_and(|(dev, ino)| dev != device && ino != Some(inode)) {
                return Err(io::Error::new(io::ErrorKind::CrossesDevices, "its disk is not mounted"));
            }
        }
        Ok(())
    }

    fn written(&mut self) -> io::Result<&mut File> {
        self.open.as_mut().map(|(_, file)| file).ok_or_else(|| io::Error::other("no segment is open"))
    }

    /// A file whose directory was deleted, moved or put in place again can be written and synced without an error, and
    /// nobody will read it.
    fn check_in_place(&self) -> io::Result<()> {
        self.check_home()?;
        #[cfg(unix)]
        if let Some((number, file)) = &self.open {
            use std::os::unix::fs::MetadataExt;
            let (ours, there) = (file.metadata()?, fs::metadata(self.path(*number))?);
            if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    "another file is in the place of the one that is open",
                ));
            }
        }
        Ok(())
    }
}

/// The first folder above `dir` that is there.
#[cfg(unix)]
fn nearest(dir: &Path) -> io::Result<Option<fs::Metadata>> {
    for folder in dir.ancestors().skip(1) {
        // Above a relative path.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match fs::metadata(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            about => return about.map(Some),
        }
    }
    Ok(None)
}

impl Files for Disk {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn prepare(&mut self) -> io::Result<Lock> {
        match self.check_home() {
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                self.lock = None;
                return Ok(Lock::OtherDisk);
            }
            other => other?,
        }
        fs::create_dir_all(&self.dir)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            self.home = fs::metadata(&self.dir).ok().map(|about| (about.dev(), about.ino()));
        }
        let path = self.dir.join("lock");
        // A pipe would block at opening.
        if fs::metadata(&path).is_ok_and(|about| !about.is_file()) {
            self.lock = None;
            return Ok(Lock::NoFile);
        }
        let writable = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        // A lock needs no right to write, only the file.
        let file = match writable.or_else(|_| File::open(&path)) {
            Ok(file) => file,
            Err(_) => return Ok(Lock::Unknown),
        };
        // The one from before, if the directory is opened once more. Its file may be gone, so it is worth nothing.
        self.lock = None;
        // A program that this process is starting holds a copy of every open file until it runs. So a lock that was
        // just given back may still be held for a moment.
        let end = Instant::now() + LOCK_TIMEOUT;
        loop {
            return Ok(match file.try_lock() {
                Ok(()) => {
                    self.lock = Some(file);
                    Lock::Held
                }
                Err(TryLockError::WouldBlock) if Instant::now() < end => {
                    std::thread::sleep(LOCK_RETRY);
                    continue;
                }
                Err(TryLockError::WouldBlock) => Lock::InUse,
                Err(TryLockError::Error(_)) => Lock::Unknown,
            });
        }
    }

    fn list(&mut self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_suffix(".log"));
            let Some(number) = digits.and_then(|digits| digits.parse().ok()) else { continue };
            // Not "1.log" or "+1.log", which would not be found again by its number.
            if self.path(number).file_name() == Some(&name) {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    fn read(&mut self, number: u64, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let path = self.path_at_home(number)?;
        check_regular(&path)?;
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(len).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&mut self, number: u64) -> io::Result<()> {
        self.open = None;
        let path = self.path_at_home(number)?;
        self.open = Some((number, OpenOptions::new().write(true).create_new(true).open(path)?));
        Ok(())
    }

    fn open(&mut self, number: u64, len: u64) -> io::Result<()> {
        self.open = None;
        let path = self.path_at_home(number)?;
        check_regular(&path)?;
        let file = OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() > len {
            file.set_len(len)?;
        }
        self.open = Some((number, file));
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.written()?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn patch(&mut self, number: u64, patches: &[(u64, Vec<u8>)]) -> io::Result<()> {
        let path = self.path_at_home(number)?;
        check_regular(&path)?;
        let mut file = OpenOptions::new().write(true).open(path)?;
        for (offset, bytes) in patches {
            file.seek(SeekFrom::Start(*offset))?;
            file.write_all(bytes)?;
        }
        file.sync_data()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.written()?.sync_data()?;
        self.check_in_place()
    }

    fn sync_dir(&mut self) -> io::Result<()> {
        // Elsewhere a directory cannot be opened as a file, and need not be.
        if cfg!(unix) { File::open(&self.dir)?.sync_all() } else { Ok(()) }
    }

    fn remove(&mut self, number: u64) -> io::Result<()> {
        match fs::remove_file(self.path_at_home(number)?) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_are_listed() {
        let root = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(root.path().join("outbox"));
        assert_eq!(disk.prepare().unwrap(), Lock::Held);
        for name in ["1.log", "+000000000000001.log", "0000000000000002.tmp", "x.log", "lost+found"] {
            fs::write(disk.dir.join(name), b"").unwrap();
        }
        for number in [7, u64::MAX] {
            disk.create(number).unwrap();
        }
        let mut numbers = disk.list().unwrap();
        numbers.sort_unstable();
        assert_eq!(numbers, [7, u64::MAX]);
        assert!(disk.create(7).is_err(), "never over another file");
    }

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let mut first = Disk::new(root.path().to_owned());
        let mut second = Disk::new(root.path().to_owned());
        assert_eq!(first.prepare().unwrap(), Lock::Held);
        assert_eq!(second.prepare().unwrap(), Lock::InUse);
        assert_eq!(first.prepare().unwrap(), Lock::Held, "once more by the same");
        drop(first);
        assert_eq!(second.prepare().unwrap(), Lock::Held);
    }

    /// A directory that is deleted and made again is as good as the first, and so is the same one under another device
    /// number.
    #[cfg(unix)]
    #[test]
    fn a_directory_on_another_disk_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(root.path().join("state/outbox"));
        assert_eq!(disk.prepare().unwrap(), Lock::Held);
        disk.create(1).unwrap();
        fs::remove_dir_all(root.path().join("state")).unwrap();
        assert_eq!(disk.prepare().unwrap(), Lock::Held);
        disk.create(1).unwrap();
        let (device, inode) = disk.home.unwrap();
        disk.home = Some((device + 1, inode));
        assert!(disk.sync().is_ok());
        disk.home = Some((device + 1, inode + 1));
        assert_eq!(disk.prepare().unwrap(), Lock::OtherDisk);
        let away = |result: io::Result<()>| result.unwrap_err().kind() == io::ErrorKind::CrossesDevices;
        assert!(
            away(disk.sync()) && away(disk.read(1, 0, 1).map(drop)) && away(disk.open(1, 9)) && away(disk.remove(1))
        );
        assert!(away(disk.create(2)));
        fs::remove_dir_all(root.path().join("state")).unwrap();
        assert_eq!(disk.prepare().unwrap(), Lock::OtherDisk);
        assert!(!root.path().join("state").exists(), "nothing is made there");
    }

    /// The start waited for somebody to read from it.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_blocks_nothing() {
        let root = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(root.path().to_owned());
        let lock = root.path().join("lock");
        crate::util::atomic_file::fifo(&lock);
        assert_eq!(disk.prepare().unwrap(), Lock::NoFile);
        fs::remove_file(&lock).unwrap();
        fs::create_dir(&lock).unwrap();
        assert_eq!(disk.prepare().unwrap(), Lock::NoFile);
        crate::util::atomic_file::fifo(&disk.path(1));
        assert!(disk.read(1, 0, 10).is_err() && disk.open(1, 10).is_err());
    }

    #[test]
    fn reading_stops_at_the_end_and_at_what_is_no_file() {
        let root = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(root.path().to_owned());
        disk.create(1).unwrap();
        disk.write(0, b"abcdef").unwrap();
        assert_eq!(disk.read(1, 4, 100).unwrap(), b"ef");
        assert_eq!(disk.read(1, 1, 2).unwrap(), b"bc");
        assert_eq!(disk.read(1, 100, 2).unwrap(), b"");
        assert!(disk.read(2, 0, 1).is_err());
        fs::create_dir(disk.path(3)).unwrap();
        assert!(disk.read(3, 0, 1).is_err());
        disk.open(1, 2).unwrap();
        assert_eq!(disk.read(1, 0, 100).unwrap(), b"ab");
    }
}
