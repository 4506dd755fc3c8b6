//! Files of several pages: each page is a frame, and no file goes before all of it was read.

use super::super::testing::{png, tiff};
use super::*;
use std::fs;

const LONG: Duration = Duration::from_secs(20);

struct Folder {
    root: tempfile::TempDir,
    source: Directory,
}

impl Folder {
    /// With a file, and folders for what was read and what could not be.
    fn new(file: &[u8], after: After) -> Folder {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("in")).unwrap();
        fs::write(path("in").join("file"), file).unwrap();
        let config = DirectoryConfig {
            path: path("in"),
            watch: WatchBy::Poll,
            poll_ms: 50,
            settle_ms: 10,
            after,
            move_to: (after == After::Move).then(|| path("done")),
            failed_to: Some(path("failed")),
            ..DirectoryConfig::default()
        };
        let source = Directory::open(&config, &Common::default()).unwrap();
        Folder { root, source }
    }

    fn next(&mut self) -> Result<u8, CameraError> {
        self.source.next(LONG, &Stop::default()).map(|frame| frame.image.as_raw()[0])
    }

    fn has(&self, name: &str) -> bool {
        self.root.path().join(name).exists()
    }

    fn is_empty(&mut self) -> bool {
        let got = self.source.next(Duration::from_millis(250), &Stop::default());
        matches!(got, Err(CameraError::NothingNew { .. }))
    }
}

#[test]
fn pages_are_frames_and_the_file_goes_with_the_last() {
    for after in [After::Delete, After::Move] {
        let mut folder = Folder::new(&tiff(&[50, 60, 70]), after);
        let frame = folder.source.next(LONG, &Stop::default()).unwrap();
        assert!(frame.name.ends_with("file (page 1 of 3)"), "{}", frame.name);
        for value in [60, 70] {
            folder.source.done();
            assert!(folder.has("in/file"), "pages are left");
            assert_eq!(folder.next(), Ok(value));
        }
        assert!(folder.has("in/file"), "its last readings are not safe");
        folder.source.done();
        assert!(!folder.has("in/file"));
        assert_eq!(folder.has("done/file"), after == After::Move);
        assert!(folder.is_empty());
    }
}

#[test]
fn file_with_unread_frames_stays() {
    let mut gif = Vec::new();
    let frame = ::image::Frame::new(::image::RgbaImage::from_pixel(4, 3, ::image::Rgba([99, 99, 99, 255])));
    ::image::codecs::gif::GifEncoder::new(&mut gif).encode_frames([frame.clone(), frame]).unwrap();
    for after in [After::Delete, After::Move] {
        let mut folder = Folder::new(&gif, after);
        folder.next().unwrap();
        folder.source.done();
        assert!(folder.is_empty() && folder.has("in/file"));
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
    let mut folder = Folder::new(&file, After::Delete);
    assert_eq!(folder.next(), Ok(50));
    folder.source.done();
    let error = folder.next().unwrap_err();
    assert!(matches!(&error, CameraError::BadFrame { reason, .. } if reason.contains("page 2 of 2")), "{error}");
    folder.source.done();
    assert!(folder.is_empty() && folder.has("in/file") && !folder.has("failed/file"));
}

#[test]
fn file_without_a_readable_page_is_no_image() {
    let mut folder = Folder::new(&tiff(&[50])[..40], After::Delete);
    assert!(matches!(folder.next(), Err(CameraError::BadFrame { .. })));
    assert!(!folder.has("in/file") && folder.has("failed/file"));
}

#[test]
fn file_of_which_readings_were_dropped_stays() {
    let mut folder = Folder::new(&tiff(&[50, 60]), After::Delete);
    assert_eq!(folder.next(), Ok(50));
    folder.source.retain_files();
    assert_eq!(folder.next(), Ok(60));
    folder.source.done();
    assert!(folder.is_empty() && folder.has("in/file"));
    // The next file is not affected.
    fs::write(folder.root.path().join("in/second"), png(70)).unwrap();
    assert_eq!(folder.next(), Ok(70));
    folder.source.done();
    assert!(!folder.has("in/second"));
}
