//! Disks that are full or cannot be written, and files that may not be long.

use super::node_support::child::{Program, node_config};
use super::node_support::{SOON, wait_for, wait_until};
use super::{Scene, folder, numbers};
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
fn on_disk(scene: &Scene) -> Option<bool> {
    scene.outbox("on_disk")?.as_bool()
}

#[test]
fn a_full_disk_costs_nothing_but_durability() {
    let Some(disk) = Disk::new("size=64k") else { return };
    let Some(scene) = Scene::new() else { return };
    let state =
        format!("[node]\nstate_dir = {:?}\nstats_interval_s = 1", disk.path().join("state").to_str().expect("UTF-8"));
    let (mut node, proxy) = scene.node_behind_proxy(&format!(
        "{state}\nsave_interval_s = 1\n[outbox]\nmax_bytes = 32768\nsegment_bytes = 4096\nmax_record_bytes = 2048"
    ));
    assert!(scene.another());
    assert!(wait_for(SOON, || on_disk(&scene) == Some(true)), "{:#?}", node.lines());
    let filler = disk.path().join("filler");
    // As much as there is room for.
    let _ = fs::write(&filler, vec![0; 64 << 10]);
    // Readings have to wait on it, or it would never be written to.
    proxy.refuse();
    assert!(wait_for(SOON, || node.count("disk") + node.count("space") > 0), "{:#?}", node.lines());
    proxy.pass();
    assert!(wait_for(SOON, || on_disk(&scene) == Some(false)), "{:#?}", scene.listener.texts("ocr/n/stats").last());
    assert!(scene.another(), "{:#?}", node.lines());
    let told = node.lines().len();
    fs::remove_file(&filler).expect("removed");
    // It looks every half minute.
    let back = wait_for(Duration::from_secs(90), || on_disk(&scene) == Some(true));
    assert!(back && node.runs(), "{:#?}", node.lines());
    assert!(scene.complete(), "{:?}", numbers(&scene.listener));
    assert!(told < 12, "{:#?}", node.lines());
}

#[test]
fn a_disk_that_cannot_be_written_is_done_without() {
    let Some(disk) = Disk::new("size=64k,ro") else { return };
    let Some(scene) = Scene::new() else { return };
    let state = disk.path().join("state");
    let state =
        format!("[node]\nstate_dir = {:?}\nstats_interval_s = 1\nsave_interval_s = 1", state.to_str().expect("UTF-8"));
    let mut node = scene.node(&format!("{state}\n[discovery]\nenabled = true"));
    assert!(scene.another() && scene.another(), "{:#?}", node.lines());
    assert_eq!(wait_until(SOON, || on_disk(&scene)), Some(false));
    assert!((0..15).all(|_| scene.another()), "{:#?}", node.lines());
    assert!(node.runs() && node.lines().len() < 8, "told a few times, not for each reading: {:#?}", node.lines());
}

/// The first write over the limit killed the node, by SIGXFSZ.
#[test]
fn a_limit_on_the_length_of_files_ends_nothing() {
    let Some(scene) = Scene::new() else { return };
    scene.configure(scene.broker.port(), "");
    let mut node = Program::node_with_short_files(scene.dir.path());
    node.expect("raise the limit on the length of the node's files");
    assert!(scene.another() && scene.another(), "{:#?}", node.lines());
    assert_eq!(wait_until(SOON, || on_disk(&scene)), Some(false));
    assert!(node.runs());
}

#[test]
fn unwritable_metrics_are_told_once_and_when_back() {
    let dir = folder();
    let place = dir.path().join("metrics");
    let config = format!("[metrics]\nfile = '{}/node.prom'\nfile_interval_s = 1", place.display());
    // Nobody listens there; the broker does not matter.
    node_config(dir.path(), 9, &config);
    let (cannot, again) = ("metrics cannot be written", "metrics are written");
    // With the words that are not told at the usual level.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut node = Program::node_that_tells(dir.path(), writer);
    node.read(reader);
    let told =
        |node: &Program| node.lines().iter().filter(|line| line.contains(cannot) && line.contains("WARN")).count();
    assert!(wait_for(SOON, || node.count(cannot) >= 4), "it is tried again: {:#?}", node.lines());
    assert_eq!((told(&node), node.count(again)), (1, 0), "{:#?}", node.lines());
    fs::create_dir(&place).expect("a folder");
    node.expect(again);
    assert!(place.join("node.prom").exists());
    fs::remove_dir_all(&place).expect("removed");
    assert!(wait_for(SOON, || told(&node) == 2), "another failure is news: {:#?}", node.lines());
    assert!(node.runs(), "{:#?}", node.lines());
}
