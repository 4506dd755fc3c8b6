//! A source that takes the place of another after a reload.

use super::tests::Folder;
use super::*;
use std::path::Path;

impl Folder {
    fn reload(&mut self, change: impl FnOnce(&mut DirectoryConfig, &Path)) {
        let read = self.source.read_files();
        self.source = Folder::open(&self.root, change);
        if let Some(read) = read {
            self.source.resume(read);
        }
    }
}

/// Each reload read the whole folder again.
#[test]
fn files_read_before_reload_are_not_read_again() {
    let mut folder = Folder::new(|_, _| {});
    folder.aged("a.png", 1, 10);
    folder.aged("b.png", 2, 20);
    assert_eq!((folder.next(), folder.next()), (1, 2));
    folder.source.done();
    folder.reload(|config, _| config.settle_ms = 70);
    folder.nothing();
    folder.put("c.png", 3);
    assert_eq!(folder.next(), 3);
    folder.source.done();
    // Another folder is another set of files.
    folder.reload(|config, root| config.path = root.join("in/."));
    folder.nothing();
    std::fs::create_dir(folder.path("other")).unwrap();
    std::fs::copy(folder.path("in/a.png"), folder.path("other/a.png")).unwrap();
    folder.reload(|config, root| config.path = root.join("other"));
    assert_eq!(folder.next(), 1);
}

#[test]
fn file_whose_readings_were_not_safe_is_read_again() {
    let mut folder = Folder::new(|_, _| {});
    folder.put("a.png", 1);
    assert_eq!(folder.next(), 1);
    folder.reload(|_, _| {});
    assert_eq!(folder.next(), 1);
}

#[test]
fn file_that_came_during_reload_is_read() {
    let unwanted = |config: &mut DirectoryConfig, _: &Path| config.existing = false;
    let mut folder = Folder::new(unwanted);
    folder.put("a.png", 1);
    folder.nothing();
    folder.put("b.png", 2);
    folder.reload(unwanted);
    assert_eq!(folder.next(), 2);
    folder.nothing();
}
