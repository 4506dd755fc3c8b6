use super::super::testing::{eventually, png};
use super::*;
use std::fs;
use std::path::Path;

const LONG: Duration = Duration::from_secs(20);

pub(super) struct Folder {
    pub(super) root: tempfile::TempDir,
    pub(super) source: Directory,
}

impl Folder {
    pub(super) fn new(change: impl FnOnce(&mut DirectoryConfig, &Path)) -> Folder {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("in")).unwrap();
        let source = Folder::open(&root, change);
        Folder { root, source }
    }

    pub(super) fn open(root: &tempfile::TempDir, change: impl FnOnce(&mut DirectoryConfig, &Path)) -> Directory {
        let path = root.path().join("in");
        let mut config = DirectoryConfig { path, poll_ms: 50, settle_ms: 60, ..DirectoryConfig::default() };
        change(&mut config, root.path());
        Directory::open(&config, &Common::default()).unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(super) fn put(&self, name: &str, value: u8) {
        fs::write(self.path("in").join(name), png(value)).unwrap();
    }

    pub(super) fn aged(&self, name: &str, value: u8, seconds: u64) {
        self.put(name, value);
        let file = fs::File::options().write(true).open(self.path("in").join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    pub(super) fn frame(&mut self) -> Result<Captured, CameraError> {
        self.source.next(LONG, &Shutdown::default())
    }

    pub(super) fn next(&mut self) -> u8 {
        self.frame().unwrap_or_else(|e| panic!("{e}")).image.as_raw()[0]
    }

    /// Nothing comes although there was time for several looks.
    pub(super) fn nothing(&mut self) {
        let got = self.source.next(Duration::from_millis(250), &Shutdown::default());
        assert!(matches!(got, Err(CameraError::NothingNew { .. })), "{:?}", got.map(|f| f.name));
    }
}

use std::time::SystemTime;

/// By events and by listing alone.
pub(super) fn both(test: impl Fn(WatchBy)) {
    test(WatchBy::Auto);
    test(WatchBy::Poll);
}

#[test]
fn oldest_first_with_the_time_of_the_file() {
    both(|watch| {
        let mut folder = Folder::new(|c, _| c.watch = watch);
        folder.aged("a.png", 3, 3000);
        folder.aged("b.png", 1, 1000);
        folder.aged("c.png", 2, 2000);
        let first = folder.source.next(LONG, &Shutdown::default()).unwrap();
        assert_eq!(first.captured_at, SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
        assert!(first.name.ends_with("b.png"));
        assert_eq!([folder.next(), folder.next()], [2, 3]);
        folder.nothing();
    });
}

#[test]
fn a_file_is_read_when_it_is_whole() {
    both(|watch| {
        let mut folder = Folder::new(|c, _| (c.watch, c.settle_ms) = (watch, 600_000));
        let whole = png(7);
        // Written in two goes and kept open: nothing tells that it is complete.
        let mut file = fs::File::create(folder.path("in/a.png")).unwrap();
        std::io::Write::write_all(&mut file, &whole[..20]).unwrap();
        folder.nothing();
        std::io::Write::write_all(&mut file, &whole[20..]).unwrap();
        folder.nothing();
        drop(file);
        if watch == WatchBy::Auto && cfg!(target_os = "linux") {
            assert_eq!(folder.next(), 7);
        }
    });
    let mut folder = Folder::new(|c, _| c.watch = WatchBy::Poll);
    folder.put("a.png", 7);
    assert_eq!(folder.next(), 7, "stood still");
}

#[cfg(target_os = "linux")]
#[test]
fn events_do_not_wait_for_the_next_list() {
    let mut folder = Folder::new(|c, _| (c.poll_ms, c.settle_ms) = (3_600_000, 600_000));
    folder.nothing();
    fs::write(folder.path("in/.a"), png(5)).unwrap();
    fs::rename(folder.path("in/.a"), folder.path("in/a.png")).unwrap();
    assert_eq!(folder.next(), 5);
    // From another thread while it waits.
    let path = folder.path("in/b.png");
    let writer = std::thread::spawn(move || fs::write(path, png(6)).unwrap());
    assert_eq!(folder.next(), 6);
    writer.join().unwrap();
}

#[test]
fn unfinished_and_hidden_names_are_passed_over() {
    both(|watch| {
        let mut folder = Folder::new(|c, _| c.watch = watch);
        for name in [".a.png", "a.png.part", "b.TMP", "c.png~", "d.crdownload"] {
            folder.put(name, 1);
        }
        fs::write(folder.path("in/empty.png"), b"").unwrap();
        fs::create_dir(folder.path("in/sub.png")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path("in/.a.png"), folder.path("in/link.png")).unwrap();
        folder.nothing();
        fs::rename(folder.path("in/a.png.part"), folder.path("in/a.png")).unwrap();
        assert_eq!(folder.next(), 1);
    });
}

#[test]
fn done_deletes_moves_or_keeps() {
    both(|watch| {
        let mut folder = Folder::new(|c, _| (c.after, c.watch) = (After::Delete, watch));
        folder.put("a.png", 1);
        assert_eq!(folder.next(), 1);
        assert!(folder.path("in/a.png").exists(), "not before it is done");
        folder.source.done();
        assert!(!folder.path("in/a.png").exists());

        let mut folder = Folder::new(|c, root| {
            (c.after, c.move_to, c.watch) = (After::Move, Some(root.join("out")), watch);
        });
        for value in 1..=3 {
            folder.put("a.png", value);
            assert_eq!(folder.next(), value);
            folder.source.done();
        }
        for (name, value) in [("out/a.png", 1), ("out/a-1.png", 2), ("out/a-2.png", 3)] {
            assert_eq!(fs::read(folder.path(name)).unwrap(), png(value), "nothing is overwritten");
        }

        let mut folder = Folder::new(|c, _| c.watch = watch);
        folder.put("a.png", 1);
        assert_eq!(folder.next(), 1);
        folder.source.done();
        folder.nothing();
        assert!(folder.path("in/a.png").exists());
        folder.put("a.png", 200);
        assert_eq!(folder.next(), 200, "another file of the same name");
    });
}

#[test]
fn file_changed_after_read_not_deleted() {
    let mut folder = Folder::new(|c, _| c.after = After::Delete);
    folder.put("a.png", 1);
    assert_eq!(folder.next(), 1);
    folder.aged("a.png", 2, 5000);
    folder.source.done();
    assert_eq!(folder.next(), 2);
    folder.source.done();
    assert!(!folder.path("in/a.png").exists());
}

#[test]
fn unfinished_file_given_again_only_after_restart() {
    let mut folder = Folder::new(|c, _| c.after = After::Delete);
    folder.put("a.png", 1);
    assert_eq!(folder.next(), 1);
    folder.nothing();
    folder.source = Folder::open(&folder.root, |c, _| c.after = After::Delete);
    assert_eq!(folder.next(), 1);
}

#[test]
fn a_broken_file_is_reported_once() {
    for aside in [false, true] {
        let mut folder = Folder::new(|c, root| {
            c.after = After::Delete;
            c.failed_to = aside.then(|| root.join("bad"));
        });
        fs::write(folder.path("in/a.png"), &png(1)[..40]).unwrap();
        let got = folder.source.next(LONG, &Shutdown::default());
        assert!(matches!(got, Err(CameraError::BadFrame { .. })));
        folder.source.done();
        folder.nothing();
        assert_eq!(folder.path("in/a.png").exists(), !aside);
        assert_eq!(folder.path("bad/a.png").exists(), aside);
    }
}

/// It counted as no image, was moved to `failed_to`, and lay there when it could be read. Here the folder is
/// another thing for a moment.
#[cfg(unix)]
#[test]
fn briefly_unreadable_file_retried_and_kept() {
    let mut folder = Folder::new(|c, root| {
        (c.after, c.failed_to) = (After::Delete, Some(root.join("bad")));
        (c.watch, c.poll_ms) = (WatchBy::Poll, 3_600_000);
    });
    folder.aged("a.png", 1, 1000);
    folder.aged("b.png", 2, 2000);
    assert_eq!(folder.next(), 1);
    folder.source.done();
    fs::rename(folder.path("in"), folder.path("away")).unwrap();
    fs::write(folder.path("in"), b"no folder").unwrap();
    let said = folder.source.next(LONG, &Shutdown::default()).err().unwrap();
    assert!(matches!(said, CameraError::Failed { .. }), "{said}");
    let said = said.to_string();
    assert!(said.contains("b.png") && said.contains("cannot be read") && said.contains("tried again"), "{said}");
    fs::remove_file(folder.path("in")).unwrap();
    fs::rename(folder.path("away"), folder.path("in")).unwrap();
    assert!(folder.path("in/b.png").exists() && !folder.path("bad").exists());
    assert_eq!(folder.next(), 2);
    folder.source.done();
    assert!(!folder.path("in/b.png").exists());
}

#[test]
fn files_of_before_can_be_left_alone() {
    let mut folder = Folder::new(|c, _| c.existing = false);
    folder.put("old.png", 1);
    folder.nothing();
    folder.put("new.png", 2);
    assert_eq!(folder.next(), 2);
}

#[test]
fn a_folder_may_come_and_go() {
    both(|watch| {
        let mut folder = Folder::new(|c, _| c.watch = watch);
        folder.put("a.png", 1);
        assert_eq!(folder.next(), 1);
        fs::remove_dir_all(folder.path("in")).unwrap();
        let mut said = String::new();
        eventually("it is noticed", || match folder.source.next(Duration::from_millis(20), &Shutdown::default()) {
            Err(CameraError::NothingNew { .. }) => false,
            Err(e) => {
                said = e.to_string();
                true
            }
            Ok(_) => panic!("a frame"),
        });
        assert!(said.contains("cannot be listed") && said.contains("mounted"), "{said}");
        fs::create_dir(folder.path("in")).unwrap();
        folder.put("b.png", 2);
        let mut got = None;
        eventually("it is back", || {
            got = folder.source.next(Duration::from_millis(20), &Shutdown::default()).ok();
            got.is_some()
        });
        assert_eq!(got.unwrap().image.as_raw()[0], 2);
    });
}

/// It was told as a failure of the camera, and left for ever.
#[test]
fn failed_disposal_retried_file_not_reread() {
    let mut folder = Folder::new(|c, root| (c.after, c.move_to) = (After::Move, Some(root.join("file/out"))));
    fs::write(folder.path("file"), b"in the way").unwrap();
    for (name, value) in [("a.png", 1), ("b.png", 2)] {
        folder.put(name, value);
        assert_eq!(folder.next(), value);
        folder.source.done();
        folder.nothing();
    }
    fs::remove_file(folder.path("file")).unwrap();
    folder.nothing();
    assert!(folder.path("in/a.png").exists(), "not all the time");
    folder.source.disposal_queue.pause.hasten(Instant::now());
    folder.nothing();
    for (name, value) in [("a.png", 1), ("b.png", 2)] {
        assert!(!folder.path("in").join(name).exists());
        assert_eq!(fs::read(folder.path("file/out").join(name)).unwrap(), png(value));
    }
}

/// It was taken for the one that had been read if the folder had not been listed in between, and lay there for ever.
#[test]
fn a_file_that_is_put_there_again_is_read_again() {
    both(|watch| {
        let mut folder = Folder::new(|c, _| (c.after, c.watch) = (After::Delete, watch));
        for _ in 0..3 {
            folder.aged("a.png", 1, 1000);
            assert_eq!(folder.next(), 1);
            folder.source.done();
        }
    });
    let mut folder = Folder::new(|c, root| {
        (c.after, c.move_to, c.watch) = (After::Move, Some(root.join("file/out")), WatchBy::Poll);
    });
    fs::write(folder.path("file"), b"in the way").unwrap();
    folder.aged("a.png", 1, 1000);
    assert_eq!(folder.next(), 1);
    folder.source.done();
    fs::remove_file(folder.path("file")).unwrap();
    folder.source.disposal_queue.pause.hasten(Instant::now());
    let stop = Shutdown::default();
    stop.set();
    assert!(folder.source.next(LONG, &stop).is_err());
    folder.aged("a.png", 1, 1000);
    assert_eq!(folder.next(), 1, "the first one went late");
}

#[test]
fn what_cannot_be_put_away_is_told_once() {
    let folder = Folder::new(|_, _| {});
    fs::write(folder.path("file"), b"in the way").unwrap();
    let (mut disposal_queue, to) = (DisposalQueue::default(), folder.path("file/out"));
    let mut dispose = |name: &str| {
        folder.put(name, 1);
        let about = fs::metadata(folder.path("in").join(name)).unwrap();
        let file = File { name: name.into(), bytes: about.len(), modified: about.modified().unwrap() };
        disposal_queue.dispose(&folder.path("in"), file, Some(to.clone()))
    };
    let said = dispose("a.png").unwrap_err().unwrap();
    assert!(said.contains("a.png cannot be put away") && !said.contains('\n'), "{said}");
    assert_eq!(dispose("b.png"), Err(None), "for the same reason");
    let due = Instant::now() + Duration::from_secs(61);
    disposal_queue.retry(&folder.path("in"), due);
    assert!(disposal_queue.pause.until().unwrap() > due, "it still fails");
    fs::remove_file(folder.path("file")).unwrap();
    disposal_queue.retry(&folder.path("in"), due + Duration::from_secs(61));
    assert!(disposal_queue.pause.until().is_none() && folder.path("file/out/b.png").exists());
}

/// Only the last one went.
#[test]
fn all_files_of_a_reading_are_done() {
    let mut folder = Folder::new(|c, _| c.after = After::Delete);
    for (name, value) in [("a.png", 1), ("b.png", 2), ("c.png", 3)] {
        folder.put(name, value);
        assert_eq!(folder.next(), value);
    }
    folder.source.done();
    assert_eq!(fs::read_dir(folder.path("in")).unwrap().count(), 0);
}

/// Whose readings are lost; it was deleted like any other.
#[test]
fn what_is_kept_is_neither_put_away_nor_given_again() {
    let mut folder = Folder::new(|c, _| c.after = After::Delete);
    folder.put("a.png", 1);
    assert_eq!(folder.next(), 1);
    folder.source.retain_files();
    folder.put("b.png", 2);
    assert_eq!(folder.next(), 2);
    folder.source.done();
    folder.nothing();
    assert!(folder.path("in/a.png").exists() && !folder.path("in/b.png").exists());
}

#[test]
fn many_files_all_come() {
    let mut folder = Folder::new(|c, _| c.after = After::Delete);
    (0..300).for_each(|i| folder.aged(&format!("{i:03}.png"), (i % 250) as u8, 10_000 + i));
    for i in 0..300 {
        assert_eq!(folder.next(), (i % 250) as u8, "in order");
        folder.source.done();
    }
    folder.nothing();
    assert_eq!(fs::read_dir(folder.path("in")).unwrap().count(), 0);
}

#[test]
fn an_ending_node_is_not_held_up() {
    let mut folder = Folder::new(|_, _| {});
    let stop = Shutdown::default();
    stop.set();
    assert!(matches!(folder.source.next(LONG, &stop), Err(CameraError::Stopped)));
}

#[test]
fn contradictions_are_refused() {
    let of = |change: fn(&mut DirectoryConfig)| {
        let mut config = DirectoryConfig { path: "in".into(), ..DirectoryConfig::default() };
        change(&mut config);
        config.validate().unwrap_err()
    };
    assert!(of(|c| c.path = PathBuf::new()).contains("path"));
    assert!(of(|c| c.after = After::Move).contains("move_to"));
    assert!(of(|c| c.move_to = Some("x".into())).contains("after"));
    assert!(of(|c| c.failed_to = Some("./in".into())).contains("failed_to must be another folder"));
    assert!(of(|c| c.poll_ms = 1).contains("poll_ms is 1"));
}
