//! What an event costs: its file is looked at, and no other.

use super::tests::Folder;
use super::*;
use crate::camera::testing::png;
use std::fs;
use std::time::SystemTime;

const RARELY: u64 = 3_600_000;

/// The folder was listed for each event. A file whose time alone is another one tells: no event says so, and a list
/// finds it.
#[test]
fn event_looks_at_its_file_only() {
    let mut folder = Folder::new(|c, _| (c.poll_ms, c.settle_ms) = (RARELY, 10));
    folder.put("a.png", 1);
    assert_eq!(folder.next(), 1);
    folder.put("b.png", 2);
    assert_eq!(folder.next(), 2);
    let a = fs::File::open(folder.path("in/a.png")).unwrap();
    a.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1000)).unwrap();
    folder.put("c.png", 3);
    assert_eq!(folder.next(), 3);
    folder.nothing();
    folder.source.list_due = Instant::now();
    assert_eq!(folder.next(), 1, "by a list");
}

/// Otherwise a node would be deaf to commands as long as no file comes.
#[test]
fn interrupt_ends_the_wait_for_files() {
    for watch in [WatchBy::Auto, WatchBy::Poll] {
        let mut folder = Folder::new(|c, _| (c.watch, c.poll_ms) = (watch, RARELY));
        let (stop, begun) = (Shutdown::default(), Instant::now());
        let interrupted = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| folder.source.next(Duration::from_secs(60), &stop).err());
            stop.interrupt();
            waiting.join().unwrap()
        });
        assert!(matches!(interrupted, Some(CameraError::NothingNew { .. })) && begun.elapsed().as_secs() < 60);
    }
}

/// A second name for a file is created and never closed; no list finds that it stands still.
#[test]
fn created_file_that_is_never_closed_is_read() {
    let mut folder = Folder::new(|c, _| c.poll_ms = RARELY);
    folder.nothing();
    fs::write(folder.path("elsewhere"), png(4)).unwrap();
    fs::hard_link(folder.path("elsewhere"), folder.path("in/a.png")).unwrap();
    assert_eq!(folder.next(), 4);
    folder.nothing();
}

#[test]
fn many_files_of_events_all_come_in_order() {
    let mut folder = Folder::new(|c, _| (c.poll_ms, c.after) = (RARELY, After::Delete));
    folder.nothing();
    (0..300).for_each(|i| folder.aged(&format!("{i:03}.png"), (i % 250) as u8, 10_000 + i));
    for i in 0..300 {
        assert_eq!(folder.next(), (i % 250) as u8, "in order");
        folder.source.done();
    }
    folder.nothing();
    assert_eq!(fs::read_dir(folder.path("in")).unwrap().count(), 0);
}

/// Nothing more was told of a folder that had been replaced, and only lists found what came.
#[test]
fn replaced_folder_is_noticed_by_its_event() {
    let mut folder = Folder::new(|c, _| c.poll_ms = RARELY);
    folder.nothing();
    fs::rename(folder.path("in"), folder.path("away")).unwrap();
    fs::create_dir(folder.path("in")).unwrap();
    folder.put("a.png", 5);
    assert_eq!(folder.next(), 5);
    folder.put("b.png", 6);
    assert_eq!(folder.next(), 6, "by an event of the new folder");
}
