//! Disks that are full or cannot be written, and files that may not be long.

use super::node_support::child::{Program, node_config};
use super::node_support::{Mosquitto, Proxy, SOON, Subscriber, wait_for, wait_until};
use super::{another, complete, folder, numbers};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A small disk of its own, if there may be one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(options: &str) -> Option<Disk> {
        let dir = folder();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path()).output();
        match mounted.is_ok_and(|output| output.status.success()) {
            true => Some(Disk(dir)),
            false => {
                eprintln!("skipped: no disk can be mounted here (only root may)");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

/// Whether the node said last that its outbox is on disk.
fn on_disk(listener: &Subscriber) -> Option<bool> {
    let last = listener.texts("ocr/n/stats").pop()?;
    serde_json::from_str::<Value>(&last).expect("JSON")["outbox"]["on_disk"].as_bool()
}

#[test]
fn a_full_disk_costs_nothing_but_durability() {
    let Some(disk) = Disk::new("size=64k") else { return };
    if !Mosquitto::available() {
        return;
    }
    let (dir, broker) = (folder(), Mosquitto::start());
    let (listener, proxy) = (Subscriber::new(broker.port(), &["#"]), Proxy::to(broker.port()));
    let state =
        format!("[node]\nstate_dir = {:?}\nstats_interval_s = 1", disk.path().join("state").to_str().expect("UTF-8"));
    node_config(
        dir.path(),
        proxy.port(),
        &format!(
            "{state}\nsave_interval_s = 1\n[outbox]\nmax_bytes = 32768\nsegment_bytes = 4096\nmax_record_bytes = 2048"
        ),
    );
    let mut node = Program::node(dir.path());
    assert!(another(&listener));
    assert!(wait_for(SOON, || on_disk(&listener) == Some(true)), "{:#?}", node.lines());
    let filler = disk.path().join("filler");
    // As much as there is room for.
    let _ = fs::write(&filler, vec![0; 64 << 10]);
    // Readings have to wait on it, or it would never be written to.
    proxy.refuse();
    assert!(wait_for(SOON, || node.count("disk") + node.count("space") > 0), "{:#?}", node.lines());
    proxy.pass();
    assert!(wait_for(SOON, || on_disk(&listener) == Some(false)), "{:#?}", listener.texts("ocr/n/stats").last());
    assert!(another(&listener), "{:#?}", node.lines());
    let told = node.lines().len();
    fs::remove_file(&filler).expect("removed");
    // It looks every half minute.
    let back = wait_for(Duration::from_secs(90), || on_disk(&listener) == Some(true));
    assert!(back && node.runs(), "{:#?}", node.lines());
    assert!(complete(&listener), "{:?}", numbers(&listener));
    assert!(told < 12, "{:#?}", node.lines());
}

#[test]
fn a_disk_that_cannot_be_written_is_done_without() {
    let Some(disk) = Disk::new("size=64k,ro") else { return };
    if !Mosquitto::available() {
        return;
    }
    let (dir, broker) = (folder(), Mosquitto::start());
    let listener = Subscriber::new(broker.port(), &["#"]);
    let state = disk.path().join("state");
    let state =
        format!("[node]\nstate_dir = {:?}\nstats_interval_s = 1\nsave_interval_s = 1", state.to_str().expect("UTF-8"));
    node_config(dir.path(), broker.port(), &format!("{state}\n[discovery]\nenabled = true"));
    let mut node = Program::node(dir.path());
    assert!(another(&listener) && another(&listener), "{:#?}", node.lines());
    assert_eq!(wait_until(SOON, || on_disk(&listener)), Some(false));
    std::thread::sleep(Duration::from_secs(3));
    assert!(node.runs() && node.lines().len() < 8, "told a few times, not for each reading: {:#?}", node.lines());
}

/// The first write over the limit killed the node, by SIGXFSZ.
#[test]
fn a_limit_on_the_length_of_files_ends_nothing() {
    if !Mosquitto::available() {
        return;
    }
    let (dir, broker) = (folder(), Mosquitto::start());
    let listener = Subscriber::new(broker.port(), &["#"]);
    node_config(dir.path(), broker.port(), "");
    let mut node = Program::node_with_short_files(dir.path());
    node.expect("raise the limit on the length of the node's files");
    assert!(another(&listener) && another(&listener), "{:#?}", node.lines());
    assert_eq!(wait_until(SOON, || on_disk(&listener)), Some(false));
    assert!(node.runs());
}

#[test]
fn unwritable_metrics_are_told_once_and_when_back() {
    let dir = folder();
    let place = dir.path().join("metrics");
    let config = format!("[metrics]\nfile = '{}/node.prom'\nfile_interval_s = 1", place.display());
    // Nobody listens there; the broker does not matter.
    node_config(dir.path(), 9, &config);
    let mut node = Program::node(dir.path());
    let (cannot, again) = ("metrics cannot be written", "metrics are written");
    node.expect(cannot);
    // Several intervals.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!((node.count(cannot), node.count(again)), (1, 0), "{:#?}", node.lines());
    fs::create_dir(&place).expect("a folder");
    node.expect(again);
    assert!(place.join("node.prom").exists());
    fs::remove_dir_all(&place).expect("removed");
    assert!(wait_for(SOON, || node.count(cannot) == 2), "another failure is news: {:#?}", node.lines());
    assert!(node.runs() && node.count("metrics.file") == 2, "{:#?}", node.lines());
}
