//! Files that are still being written.

use super::super::FrameSource;
use super::super::testing::png;
use super::tests::{Folder, both};
use super::{After, WatchBy};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Writes half of an image, waits until that has been looked at several times, writes the rest.
fn write_with_a_pause(folder: &mut Folder, path: &Path, reopen: bool) {
    let whole = png(7);
    let mut file = fs::File::create(path).unwrap();
    file.write_all(&whole[..40]).unwrap();
    let kept_open = (!reopen).then_some(file);
    for _ in 0..3 {
        folder.nothing();
        assert_eq!(fs::read(path).unwrap(), whole[..40], "it stays untouched");
    }
    let mut file = kept_open.unwrap_or_else(|| fs::File::options().append(true).open(path).unwrap());
    file.write_all(&whole[40..]).unwrap();
}

/// The half went to `failed_to`, was completed there by its writer, and was never read.
#[test]
fn file_with_a_pause_is_read_once_when_whole() {
    for (watch, reopen) in
        [(WatchBy::Auto, false), (WatchBy::Auto, true), (WatchBy::Poll, false), (WatchBy::Poll, true)]
    {
        let mut folder = Folder::new(|c, root| {
            (c.watch, c.after, c.move_to) = (watch, After::Move, Some(root.join("done")));
            (c.failed_to, c.settle_ms) = (Some(root.join("bad")), 100);
        });
        let path = folder.path("in/a.png");
        write_with_a_pause(&mut folder, &path, reopen);
        assert_eq!(folder.next(), 7, "{watch:?}");
        folder.source.done();
        folder.nothing();
        assert!(folder.path("done/a.png").exists() && !folder.path("bad").exists() && !path.exists());
    }
}

/// Events tell that it is open, so it is not even looked at, however long its writer pauses.
#[cfg(target_os = "linux")]
#[test]
fn open_file_is_not_read_before_it_is_closed() {
    let mut folder = Folder::new(|c, root| {
        (c.after, c.failed_to) = (After::Delete, Some(root.join("bad")));
        (c.settle_ms, c.poll_ms) = (10, 50);
    });
    folder.nothing();
    let path = folder.path("in/a.png");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(&png(7)[..40]).unwrap();
    // 60 times `settle_ms` would be over.
    (0..4).for_each(|_| folder.nothing());
    assert!(path.exists() && !folder.path("bad").exists());
    file.write_all(&png(7)[40..]).unwrap();
    drop(file);
    assert_eq!(folder.next(), 7);
    // Another name for a file is created without being closed.
    fs::write(folder.path("linked"), png(9)).unwrap();
    fs::hard_link(folder.path("linked"), folder.path("in/b.png")).unwrap();
    assert_eq!(folder.next(), 9);
}

/// It was there, half written, when the node began: nothing tells that it is open.
#[test]
fn unfinished_file_of_before_is_not_broken() {
    both(|watch| {
        let mut folder = Folder::new(|_, _| {});
        let (path, whole) = (folder.path("in/a.png"), png(7));
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(&whole[..40]).unwrap();
        folder.source = Folder::open(&folder.root, |c, root| {
            (c.watch, c.failed_to, c.settle_ms) = (watch, Some(root.join("bad")), 100);
        });
        folder.nothing();
        folder.nothing();
        file.write_all(&whole[40..]).unwrap();
        drop(file);
        assert_eq!(folder.next(), 7);
    });
}
