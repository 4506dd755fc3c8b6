//! Who feeds the service manager's watchdog.

use super::super::systemd::fake::{SentNotifications, manager};
use super::*;

/// A watchdog for which each sign of life counts.
const IMPATIENT: Duration = Duration::from_nanos(1);

/// A camera that is waited for: so many slices before each image.
struct Slow {
    slices: usize,
}

impl FrameSource for Slow {
    fn next(&mut self, _: Duration, stop: &Shutdown) -> Result<Captured, CameraError> {
        assert!((0..self.slices).all(|_| !stop.is_set()));
        let image = image(100);
        let full_px = [image.width(), image.height()];
        Ok(Captured { image, full_px, captured_at: SystemTime::now(), notices: Vec::new(), name: "slow".into() })
    }

    fn describe(&self) -> String {
        "a slow camera".into()
    }
}

/// The service manager killed a node whose round took longer than its watchdog: a vote of many frames, a camera that
/// was waited for.
#[test]
fn watchdog_is_fed_inside_a_round() {
    const FRAMES: usize = 15;
    for slices in [0, 100] {
        let (manager, heard) = manager(IMPATIENT);
        let mut rig = Rig::managed(&format!("vote = {{ frames = {FRAMES} }}"), manager);
        rig.node.source = Box::new(Slow { slices });
        assert_eq!(rig.node.run_cycle().unwrap(), CycleOutcome::Done);
        // Each frame, the network that reads it, its field, and each slice of the wait.
        let fed = heard.watchdog();
        assert!(fed >= FRAMES * (3 + slices), "{slices}: {fed}");
        rig.node.close(&Ok(Ended::Stopped));
    }
}

/// A camera whose driver does not come back for a moment.
struct Hung(SentNotifications);

impl FrameSource for Hung {
    fn next(&mut self, _: Duration, _: &Shutdown) -> Result<Captured, CameraError> {
        self.0.watchdog();
        // Something that fed it by time would do so a thousand times.
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(self.0.watchdog(), 0, "nothing but progress feeds it");
        Err(CameraError::Stopped)
    }

    fn describe(&self) -> String {
        "a hung camera".into()
    }
}

#[test]
fn watchdog_is_not_fed_by_a_hung_source() {
    let (manager, heard) = manager(IMPATIENT);
    let mut rig = Rig::managed("", manager);
    rig.node.source = Box::new(Hung(heard));
    assert_eq!(rig.node.run_cycle().unwrap(), CycleOutcome::Stopped);
    rig.node.close(&Ok(Ended::Stopped));
}

/// Each tile and each line counts: on a slow board a page takes minutes.
#[test]
fn watchdog_is_fed_inside_a_page() {
    let (manager, heard) = manager(IMPATIENT);
    let mut rig = Rig::managed("[[field]]\nname = 'page'\nmode = 'page'", manager);
    let bytes = include_bytes!("../../../../tests/golden/receipt.jpg");
    let receipt = edge_ocr::image::decode::decode(bytes, &Default::default()).unwrap();
    heard.watchdog();
    let readings = rig.node.reader.read(&receipt).unwrap();
    let lines = readings.fields[1].lines.len();
    assert!(lines > 10 && heard.watchdog() > 2 * readings.fields.len() + lines, "{lines} lines");
    rig.node.close(&Ok(Ended::Stopped));
}
