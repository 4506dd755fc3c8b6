//! Files of several pages: each page is a frame, and no file goes before all of it was read.

use super::super::testing::{png, tiff};
use super::tests::Folder;
use super::*;
use std::fs;

impl Folder {
    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }
}

/// With a file, and folders for what was read and what could not be.
fn with_file(file: &[u8], after: After) -> Folder {
    let folder = Folder::new(|config, root| {
        (config.watch, config.settle_ms, config.after) = (WatchBy::Poll, 10, after);
        config.move_to = (after == After::Move).then(|| root.join("done"));
        config.failed_to = Some(root.join("failed"));
    });
    fs::write(folder.path("in/file"), file).unwrap();
    folder
}

#[test]
fn pages_are_frames_and_the_file_goes_with_the_last() {
    for after in [After::Delete, After::Move] {
        let mut folder = with_file(&tiff(&[50, 60, 70]), after);
        let frame = folder.frame().unwrap();
        assert!(frame.name.ends_with("file (page 1 of 3)"), "{}", frame.name);
        for value in [60, 70] {
            folder.source.done();
            assert!(folder.has("in/file"), "pages are left");
            assert_eq!(folder.next(), value);
        }
        assert!(folder.has("in/file"), "its last readings are not safe");
        folder.source.done();
        assert!(!folder.has("in/file"));
        assert_eq!(folder.has("done/file"), after == After::Move);
        folder.nothing();
    }
}

#[test]
fn file_with_unread_frames_stays() {
    let mut gif = Vec::new();
    let frame = ::image::Frame::new(::image::RgbaImage::from_pixel(4, 3, ::image::Rgba([99, 99, 99, 255])));
    ::image::codecs::gif::GifEncoder::new(&mut gif).encode_frames([frame.clone(), frame]).unwrap();
    for after in [After::Delete, After::Move] {
        let mut folder = with_file(&gif, after);
        folder.next();
        folder.source.done();
        folder.nothing();
        assert!(folder.has("in/file"));
    }
}

#[test]
fn file_with_a_damaged_page_stays() {
    let mut file = tiff(&[50, 60]);
    // The directory of the second page begins with its number of entries.
    let entries = |file: &[u8], at: usize| usize::from(u16::from_le_bytes([file[at], file[at + 1]]));
    let first = u32::from_le_bytes([file[4], file[5], file[6], file[7]]) as usize;
    let next = first + 2 + 12 * entries(&file, first);
    let second = u32::from_le_bytes([file[next], file[next + 1], file[next + 2], file[next + 3]]) as usize;
    // Its width, the first entry, becomes unknown.
    file[second + 3] = 0xFF;
    let mut folder = with_file(&file, After::Delete);
    assert_eq!(folder.next(), 50);
    folder.source.done();
    let error = folder.frame().err().unwrap();
    assert!(matches!(&error, CameraError::BadFrame { reason, .. } if reason.contains("page 2 of 2")), "{error}");
    folder.source.done();
    folder.nothing();
    assert!(folder.has("in/file") && !folder.has("failed/file"));
}

#[test]
fn file_without_a_readable_page_is_no_image() {
    let mut folder = with_file(&tiff(&[50])[..40], After::Delete);
    assert!(matches!(folder.frame(), Err(CameraError::BadFrame { .. })));
    assert!(!folder.has("in/file") && folder.has("failed/file"));
}

#[test]
fn file_of_which_readings_were_dropped_stays() {
    let mut folder = with_file(&tiff(&[50, 60]), After::Delete);
    assert_eq!(folder.next(), 50);
    folder.source.retain_files();
    assert_eq!(folder.next(), 60);
    folder.source.done();
    folder.nothing();
    assert!(folder.has("in/file"));
    // The next file is not affected.
    fs::write(folder.path("in/second"), png(70)).unwrap();
    assert_eq!(folder.next(), 70);
    folder.source.done();
    assert!(!folder.has("in/second"));
}
