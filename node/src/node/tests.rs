//! A node whose wall clock jumps. A board without a battery starts in 1970 and is set when the network comes; later
//! the clock is put right, forwards and back.

use super::clock::{self, Clock};
use super::config::NodeConfig;
use super::cycle::CycleOutcome;
use super::events;
use super::reload::Handover;
use super::run::{Ended, Node, Process};
use super::setup::Parts;
use super::systemd::ServiceManager;
use crate::camera::{CameraError, Captured, FrameSource};
use crate::publish::Event;
use crate::publish::publisher::fakes::FakeTransport;
use crate::rules::Status;
use crate::util::shutdown::Shutdown;
use ab_glyph::{FontRef, PxScale};
use edge_ocr::image::Image;
use edge_ocr::image::decode::Notice;
use image::{Rgb, RgbImage};
use imageproc::drawing::draw_text_mut;
use serde_json::Value;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

mod commands;
mod idle;
mod reload;
mod watchdog;

/// What the clock shows before it is set: a minute after the start.
const UNSET: i64 = 60_000;
/// And after, on 2026-11-25.
const SET: i64 = 1_795_590_000_000;
const HOUR: i64 = 3_600_000;

const CONFIG: &str = "
[source]
kind = 'http'
url = 'http://127.0.0.1:9/'
[topics]
node_id = 't'
[pipeline]
threads = 1
[[field]]
name = 'a'
mode = 'line'
number = {}
monotonic = 'increasing'
max_rate_per_s = 10000
";

/// Milliseconds since 1970, set by the test.
#[derive(Clone, Default)]
struct Wall(Arc<AtomicI64>);

impl Wall {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }

    fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

/// A number to be photographed, and what the clock shows right after.
type Shot = (u32, Option<i64>);

struct Camera(Wall, Arc<Mutex<VecDeque<Shot>>>, Arc<[AtomicUsize; 2]>);

impl FrameSource for Camera {
    fn next(&mut self, _: Duration, _: &Shutdown) -> Result<Captured, CameraError> {
        let (number, after) = self.1.lock().unwrap().pop_front().unwrap();
        let captured_at = self.0.now();
        if let Some(ms) = after {
            self.0.set(ms);
        }
        let image = image(number);
        let full_px = [image.width(), image.height()];
        Ok(Captured { image, full_px, captured_at, notices: Vec::new(), name: number.to_string() })
    }

    fn done(&mut self) {
        self.2[0].fetch_add(1, Ordering::SeqCst);
    }

    fn retain_files(&mut self) {
        self.2[1].fetch_add(1, Ordering::SeqCst);
    }

    fn describe(&self) -> String {
        "a camera".into()
    }
}

fn image(number: u32) -> Image {
    let font = FontRef::try_from_slice(include_bytes!("../../../src/output/font/DejaVuSans-subset.ttf")).unwrap();
    let mut canvas = RgbImage::from_pixel(200, 48, Rgb([255; 3]));
    draw_text_mut(&mut canvas, Rgb([0; 3]), 8, 4, PxScale::from(40.0), &font, &number.to_string());
    Image::from_raw(canvas.into_raw(), 200, 48).unwrap()
}

struct Rig {
    node: Node,
    wall: Wall,
    shots: Arc<Mutex<VecDeque<Shot>>>,
    wire: FakeTransport,
    /// How often the camera was told that its images are done with, and that their readings are lost.
    done: Arc<[AtomicUsize; 2]>,
}

fn process(manager: ServiceManager) -> Process {
    let stop = Shutdown::default();
    let (event_sender, event_receiver) = events::channel(&stop);
    Process { stop, event_sender, event_receiver: Rc::new(event_receiver), manager }
}

impl Rig {
    fn new() -> Rig {
        Rig::with("")
    }

    fn with(more: &str) -> Rig {
        Rig::managed(more, ServiceManager::from_environment().unwrap())
    }

    fn managed(more: &str, manager: ServiceManager) -> Rig {
        let done = Arc::<[AtomicUsize; 2]>::default();
        let (wall, shots, wire) = (Wall::default(), Arc::default(), FakeTransport::default());
        wall.set(UNSET);
        let config: NodeConfig = toml::from_str(&format!("{CONFIG}\n{more}")).unwrap();
        let parts = Parts::new(&config).unwrap();
        let clock = Clock::with_wall({
            let wall = wall.clone();
            move || wall.now()
        });
        let transport = Box::new(wire.clone());
        let process = process(manager);
        let before = &mut Handover::default();
        let mut node = Node::assemble(config, parts, clock, transport, &process, before).unwrap();
        node.source = Box::new(Camera(wall.clone(), Arc::clone(&shots), Arc::clone(&done)));
        wire.wire().obliging = true;
        Rig { node, wall, shots, wire, done }
    }

    /// A round at this time of day.
    fn round(&mut self, ms: i64, number: u32, after: Option<i64>) {
        self.wall.set(ms);
        self.shots.lock().unwrap().push_back((number, after));
        assert_eq!(self.node.run_cycle().unwrap(), CycleOutcome::Done);
    }

    fn done(&self) -> usize {
        self.done[0].load(Ordering::SeqCst)
    }

    /// Lets the node do what is due by time until `holds`.
    fn housekeeping_until(&mut self, holds: impl Fn(&Rig) -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !holds(self) {
            assert!(Instant::now() < end);
            self.node.housekeeping();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The readings on the wire, as soon as there are so many.
    fn arrived(&self, count: usize) -> Vec<Value> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let readings: Vec<Value> = {
                let wire = self.wire.wire();
                let ours = wire.published.iter().filter(|message| message.topic == "ocr/t/field/a/state");
                ours.map(|message| serde_json::from_slice(&message.payload).unwrap()).collect()
            };
            if readings.len() >= count {
                assert_eq!(readings.len(), count);
                return readings;
            }
            assert!(Instant::now() < end, "{readings:?}");
            // They come in another thread.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn clock_jump_logged_order_and_rates_unaffected() {
    // A machine whose time service is not ready yet cannot say of any date that it is right.
    let synced = clock::is_synced(UNIX_EPOCH + Duration::from_millis(SET.unsigned_abs()));
    let mut rig = Rig::new();
    rig.wire.push(Event::Connected);
    rig.round(UNSET, 100, None);
    rig.arrived(1);
    // Set while an image is on its way from the camera to the record.
    rig.round(UNSET + 1000, 101, Some(SET));
    rig.arrived(2);
    rig.round(SET + 1000, 102, None);
    rig.arrived(3);
    // 56 years by the wall clock would allow any change.
    rig.round(SET + 2000, 900_000, None);
    assert_eq!(rig.node.deferred_readings["a"].reading.status, Status::Rate);
    rig.wire.push(Event::Lost("the network is away".into()));
    rig.round(SET + 10_000, 103, None);
    rig.round(SET - 2 * HOUR, 104, None);
    rig.round(SET + HOUR, 105, None);
    rig.wall.set(SET + HOUR + 1000);
    rig.wire.push(Event::Connected);
    rig.arrived(6);
    // Taken later than now, but not ten seconds ago by the clock that never jumps: news.
    rig.wire.push(Event::Lost("the network is away".into()));
    rig.round(SET + 2 * HOUR, 106, None);
    rig.wall.set(SET);
    rig.wire.push(Event::Connected);
    let readings = rig.arrived(7);

    let column = |key: &str| readings.iter().map(|reading| reading[key].clone()).collect::<Vec<_>>();
    assert_eq!(column("value"), [100, 101, 102, 103, 104, 105, 106], "in the order in which they were read");
    let seqs: Vec<u64> = column("seq").iter().map(|seq| seq.as_u64().unwrap()).collect();
    assert!(seqs.is_sorted() && seqs[6] == 7, "{seqs:?}");
    assert_eq!(column("time_synced"), [false, false, synced, synced, synced, synced, synced]);
    assert_eq!(column("historical"), [false, true, false, true, true, false, false]);
    let captured = [UNSET, UNSET + 1000, SET + 1000, SET + 10_000, SET - 2 * HOUR, SET + HOUR, SET + 2 * HOUR];
    assert_eq!(column("captured_at_ms"), captured);
    assert_eq!(column("published_at_ms")[1..3], [SET, SET + 1000]);
    for rate in &column("rate_per_s")[1..] {
        // One in less than a minute of real time, whatever the wall clock says.
        assert!(rate.as_f64().unwrap() > 1.0 / 60.0, "{rate}");
    }
    rig.node.close(&Ok(Ended::Stopped));
}

/// It may have waited for hours when the broker is back.
#[test]
fn a_refused_reading_that_waited_says_so() {
    let mut rig = Rig::new();
    rig.round(SET, 100, None);
    rig.round(SET + 1000, 900_000, None);
    rig.wall.set(SET + HOUR);
    rig.wire.push(Event::Connected);
    rig.arrived(1);
    let end = Instant::now() + Duration::from_secs(30);
    // The outbox says that it is empty in another thread.
    while !rig.node.deferred_readings.is_empty() && Instant::now() < end {
        rig.node.housekeeping();
        std::thread::sleep(Duration::from_millis(2));
    }
    let refused = &rig.arrived(2)[1];
    assert_eq!((&refused["status"], &refused["historical"]), (&"rate".into(), &true.into()), "{refused}");
    assert_eq!((&refused["captured_at_ms"], &refused["published_at_ms"]), (&(SET + 1000).into(), &(SET + HOUR).into()));
    rig.node.close(&Ok(Ended::Stopped));
}

/// It came twice: first as old, among what is said again on a connection, and then as news with the same id.
#[test]
fn a_refused_reading_that_waited_comes_once() {
    let mut rig = Rig::with("range = [0, 50]");
    rig.round(SET, 100, None);
    rig.wire.push(Event::Connected);
    rig.housekeeping_until(|rig| rig.node.deferred_readings.is_empty());
    let readings = rig.arrived(1);
    assert_eq!((&readings[0]["status"], &readings[0]["historical"]), (&"range".into(), &false.into()));
    // On the next connection it is said again, as old.
    rig.wire.push(Event::Lost("gone".into()));
    rig.wire.push(Event::Connected);
    assert_eq!((&rig.arrived(2)[1]["id"], &rig.arrived(2)[1]["historical"]), (&readings[0]["id"], &true.into()));
    rig.node.close(&Ok(Ended::Stopped));
}

/// Images of which something is to be known.
struct Dark;

impl FrameSource for Dark {
    fn next(&mut self, _: Duration, _: &Shutdown) -> Result<Captured, CameraError> {
        let (image, captured_at) = (image(100), SystemTime::now());
        let full_px = [image.width(), image.height()];
        Ok(Captured { image, full_px, captured_at, notices: vec![Notice::NearlyBlack], name: "dark".into() })
    }

    fn describe(&self) -> String {
        "a dark camera".into()
    }
}

/// They were only in the log.
#[test]
fn reading_has_warnings_of_its_images() {
    let mut rig = Rig::with("vote = { frames = 3 }");
    rig.wire.push(Event::Connected);
    rig.node.source = Box::new(Dark);
    assert_eq!(rig.node.run_cycle().unwrap(), CycleOutcome::Done);
    let reading = &rig.arrived(1)[0];
    assert_eq!(
        (&reading["value"], &reading["warnings"]),
        (&100.into(), &serde_json::json!(["the image is nearly black"]))
    );
    rig.node.close(&Ok(Ended::Stopped));
}

/// It was deleted when its readings were in memory, and both were lost with the power.
#[test]
fn an_image_stays_until_the_broker_has_its_readings() {
    let mut rig = Rig::new();
    rig.node.source_consumes_files = true;
    rig.round(SET, 100, None);
    rig.node.housekeeping();
    assert_eq!(rig.done(), 0, "memory only, and no broker");
    rig.shots.lock().unwrap().push_back((101, None));
    assert_eq!(rig.node.run_cycle().unwrap(), CycleOutcome::NothingNew);
    assert_eq!(rig.shots.lock().unwrap().len(), 1, "no other is read meanwhile");
    rig.wire.push(Event::Connected);
    rig.housekeeping_until(|rig| rig.done() == 1);
    assert_eq!(rig.node.run_cycle().unwrap(), CycleOutcome::Done);
    rig.housekeeping_until(|rig| rig.done() == 2);
    assert_eq!(rig.arrived(2).iter().map(|reading| &reading["value"]).collect::<Vec<_>>(), [100, 101], "each once");
    rig.node.close(&Ok(Ended::Stopped));
    assert_eq!(rig.done[0].load(Ordering::SeqCst), 2);
}

#[test]
fn an_image_stays_until_the_disk_has_its_readings() {
    for at_end in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let blocked = root.path().join("blocked");
        std::fs::write(&blocked, b"in the way").unwrap();
        let mut rig = Rig::with(&format!("[node]\nstate_dir = {:?}", blocked.join("state")));
        rig.node.source_consumes_files = true;
        rig.round(SET, 100, None);
        rig.node.housekeeping();
        assert_eq!(rig.done(), 0);
        std::fs::remove_file(&blocked).unwrap();
        let done = rig.done.clone();
        if at_end {
            rig.node.close(&Ok(Ended::Stopped));
        } else {
            rig.housekeeping_until(|rig| rig.done() == 1);
            rig.round(SET, 101, None);
            assert_eq!(rig.done(), 2, "the disk is there");
            rig.node.close(&Ok(Ended::Stopped));
        }
        assert!(done[0].load(Ordering::SeqCst) > 0);
    }
}

/// It was deleted or moved because nothing waited any more.
#[test]
fn an_image_whose_readings_were_dropped_stays() {
    let mut rig = Rig::with("[outbox]\nmax_record_bytes = 1");
    rig.node.source_consumes_files = true;
    rig.wire.push(Event::Connected);
    for kept in 1..=2 {
        rig.round(SET, 100, None);
        rig.node.housekeeping();
        assert_eq!((rig.done(), rig.done[1].load(Ordering::SeqCst)), (0, kept), "and the next one is read");
    }
    rig.node.close(&Ok(Ended::Stopped));
}
