//! What a node does with a camera that is bad: it says so, goes on, and takes images again as soon as there are some.
#![cfg(all(feature = "node", unix))]

mod node_support;

use node_support::camera::{Mjpeg, bomb, jpeg, without_tables};
use node_support::child::{Program, node_config};
use node_support::{Behaviour, HttpCamera, Mosquitto, SOON, Subscriber, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

const STATE: &str = "ocr/n/field/a/state";
const CAMERA: &str = "ocr/n/camera/status";
/// The most that a node may ever take: networks, images of the size that is allowed here, and room for a heap with
/// holes.
const MAX_BYTES: u64 = 96 << 20;

struct Scene {
    dir: tempfile::TempDir,
    // Outlives the listener.
    listener: Subscriber,
    broker: Mosquitto,
    node: Program,
}

/// The word that the camera shows when all is well, as a JPEG.
fn word() -> Vec<u8> {
    let image = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/word.png")).expect("an image");
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.to_rgb8().write_to(&mut bytes, image::ImageFormat::Jpeg).expect("a JPEG");
    bytes.into_inner()
}

impl Scene {
    /// A node with this `[source]`.
    fn new(source: &str) -> Option<Scene> {
        if !Mosquitto::available() {
            return None;
        }
        let (dir, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
        let listener = Subscriber::new(broker.port(), &["#"]);
        let source = source.replace("DIR", dir.path().to_str().expect("UTF-8"));
        let more = format!(
            "[source]\n{source}\ntimeout_ms = 500\nbackoff_min_ms = 50\nbackoff_max_ms = 100\nmax_bytes = 4000000\n\
             [trigger]\ninterval_s = 0.1\n[[field]]\nname = 'a'\nmode = 'line'"
        );
        node_config(dir.path(), broker.port(), &more);
        let node = Program::node(dir.path());
        Some(Scene { dir, listener, broker, node })
    }

    fn http(kind: &str, camera: &HttpCamera, more: &str) -> Option<Scene> {
        Scene::new(&format!("kind = '{kind}'\nurl = '{}'\n{more}", camera.url("/shot?token=hunter2")))
    }

    fn is(&self, status: &str) -> bool {
        let last = |text: Option<String>| text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        last(self.listener.texts(STATE).pop()).is_some_and(|reading| reading["status"] == status)
    }

    /// Readings are good, and the camera is said to be there.
    fn well(&self, name: &str) {
        let there = || self.listener.texts(CAMERA).pop().as_deref() == Some("online") && self.is("ok");
        assert!(wait_for(SOON, there), "{name}: {:?} {:#?}", self.listener.texts(STATE).last(), self.node.lines());
    }

    /// Readings have the status `camera`, and so the camera is said to be away.
    fn ill(&mut self, name: &str) {
        let away = || self.listener.texts(CAMERA).pop().as_deref() == Some("offline") && self.is("camera");
        assert!(wait_for(SOON, away), "{name}: {:?} {:#?}", self.listener.texts(STATE).last(), self.node.lines());
        assert!(self.node.runs(), "{name}");
    }

    /// What holds in any case, at the end.
    fn sound(mut self) {
        let (now, most) = self.node.memory();
        println!("{} MB now, {} MB at most, {} lines", now >> 20, most >> 20, self.node.said().0);
        assert!(most < MAX_BYTES, "{} MB", most >> 20);
        assert!(!self.node.lines().iter().any(|line| line.contains("panicked") || line.contains("hunter2")));
        let (lines, bytes) = self.node.said();
        assert!(lines < 120 && bytes < 60_000, "{lines} lines: {:#?}", self.node.lines());
        self.node.signal(Signal::TERM);
        assert_eq!(self.node.exit_code(SOON), Some(0));
        drop((self.listener, self.broker, self.dir));
    }
}

#[test]
fn snapshots() {
    let good = Behaviour::Body("image/jpeg", word());
    let camera = HttpCamera::start(good.clone());
    let Some(mut scene) = Scene::http("http", &camera, "username = 'me'\npassword_in_clear = 'hunter2'") else {
        return;
    };
    scene.well("at first");
    let login = || ("me".to_owned(), "hunter2".to_owned());
    let ((user, password), jpeg_) = (login(), word());
    camera.set(Behaviour::Basic { user, password, jpeg: jpeg_.clone() });
    scene.listener.clear();
    scene.listener.wait(SOON, |messages| messages.iter().filter(|m| m.topic == STATE).count() > 3);
    assert!(scene.is("ok"), "Basic: {:#?}", scene.node.lines());
    for once in [false, true] {
        let (user, password) = login();
        camera.set(Behaviour::Digest { user, password, jpeg: jpeg_.clone(), once });
        scene.listener.clear();
        scene.listener.wait(SOON, |messages| messages.iter().filter(|m| m.topic == STATE).count() > 3);
        assert!(scene.is("ok"), "Digest: {:#?}", scene.node.lines());
    }
    let mut cut = word();
    cut.truncate(cut.len() / 2);
    let huge = vec![0xffu8; 8 << 20];
    let png = image::RgbImage::new(60_000, 2);
    let mut wide = std::io::Cursor::new(Vec::new());
    png.write_to(&mut wide, image::ImageFormat::Png).expect("a PNG");
    for (name, behaviour) in [
        ("wrong user", Behaviour::Basic { user: "you".into(), password: "x".into(), jpeg: word() }),
        ("wrong digest", Behaviour::Digest { user: "you".into(), password: "x".into(), jpeg: word(), once: true }),
        ("503", Behaviour::Status(503)),
        ("204", Behaviour::Status(204)),
        ("elsewhere for ever", Behaviour::Redirect("/shot".into())),
        ("elsewhere with TLS", Behaviour::Redirect("https://127.0.0.1/shot".into())),
        ("too slow", Behaviour::Slow { jpeg: word(), piece_bytes: 10, pause: Duration::from_millis(50) }),
        ("hangs", Behaviour::Hang),
        ("closes", Behaviour::Close),
        ("endless", Behaviour::Endless),
        ("junk", Behaviour::Junk),
        ("shorter than it says", Behaviour::Truncated(word())),
        ("half a JPEG", Behaviour::Body("image/jpeg", cut)),
        ("nothing", Behaviour::Body("image/jpeg", Vec::new())),
        ("a page", Behaviour::Body("text/html", b"<html>login</html>".to_vec())),
        ("too long", Behaviour::Body("image/jpeg", huge)),
        ("a bomb", Behaviour::Body("image/jpeg", bomb())),
        ("too wide", Behaviour::Body("image/png", wide.into_inner())),
    ] {
        camera.set(behaviour);
        scene.ill(name);
        camera.set(good.clone());
        scene.well(name);
    }
    scene.sound();
}

#[test]
fn streams() {
    let good = Behaviour::Mjpeg(Mjpeg::new(vec![word()]));
    let camera = HttpCamera::start(good.clone());
    let Some(mut scene) = Scene::http("mjpeg", &camera, "") else { return };
    scene.well("at first");
    for (name, stream) in [
        ("without lengths", Mjpeg { content_length: false, ..Mjpeg::new(vec![word()]) }),
        ("an odd head", Mjpeg { odd_header: true, ..Mjpeg::new(vec![word()]) }),
        ("without tables", Mjpeg::new(vec![without_tables(&word())])),
        ("it ends and begins", Mjpeg { repeat: false, ..Mjpeg::new(vec![word(); 5]) }),
        ("every third one good", Mjpeg::new(vec![bomb(), b"\xff\xd8no image\xff\xd9".to_vec(), word()])),
    ] {
        // Ends the stream that is under way.
        camera.set(Behaviour::Close);
        camera.drop_streams();
        scene.ill("between");
        camera.set(Behaviour::Mjpeg(stream));
        scene.well(name);
    }
    let mut half = word();
    half.truncate(half.len() / 2);
    for (name, behaviour) in [
        ("stalls", Behaviour::Mjpeg(Mjpeg { stall_after: Some(1), ..Mjpeg::new(vec![word()]) })),
        ("no frame", Behaviour::Mjpeg(Mjpeg { stall_after: Some(0), ..Mjpeg::new(vec![word()]) })),
        ("halves", Behaviour::Mjpeg(Mjpeg { content_length: false, ..Mjpeg::new(vec![half]) })),
        ("bombs", Behaviour::Mjpeg(Mjpeg::new(vec![bomb()]))),
        ("too long", Behaviour::Mjpeg(Mjpeg { content_length: false, ..Mjpeg::new(vec![vec![0; 6 << 20]]) })),
        ("empty frames", Behaviour::Mjpeg(Mjpeg { interval: Duration::ZERO, ..Mjpeg::new(vec![Vec::new()]) })),
        ("another type", Behaviour::Body("text/html", b"no stream".to_vec())),
        ("junk", Behaviour::Junk),
        ("endless", Behaviour::Endless),
        ("hangs", Behaviour::Hang),
    ] {
        camera.set(behaviour);
        camera.drop_streams();
        scene.ill(name);
        camera.set(good.clone());
        camera.drop_streams();
        scene.well(name);
    }
    // Large frames as fast as they come: only the newest is kept.
    let noise =
        image::RgbImage::from_fn(1600, 1200, |x, y| image::Rgb([(x * 7 + y * 13) as u8, (x * y) as u8, (x ^ y) as u8]));
    let mut large = std::io::Cursor::new(Vec::new());
    noise.write_to(&mut large, image::ImageFormat::Jpeg).expect("a JPEG");
    let frames = vec![large.into_inner()];
    camera.set(Behaviour::Mjpeg(Mjpeg { interval: Duration::ZERO, ..Mjpeg::new(frames) }));
    camera.drop_streams();
    let before = camera.frames();
    assert!(wait_for(SOON, || camera.frames() >= before + 100), "the node reads on");
    camera.set(good);
    camera.drop_streams();
    scene.well("after a flood");
    scene.sound();
}

/// A program that plays the camera; what it does is in a file beside it.
fn program(scene_dir: &str) -> String {
    format!("kind = 'command'\ncommand = ['sh', '{scene_dir}/camera']\n")
}

#[test]
fn programs() {
    let (dir, image) = (tempfile::tempdir().expect("a folder"), word());
    let file = |name: &str| -> PathBuf { dir.path().join(name) };
    fs::write(file("word.jpg"), image).expect("written");
    let set = |script: &str| {
        let script = format!("#!/bin/sh\ncd '{}' || exit 9\n{script}\n", dir.path().display());
        fs::write(file("camera.new"), script).expect("written");
        fs::set_permissions(file("camera.new"), fs::Permissions::from_mode(0o755)).expect("its mode");
        fs::rename(file("camera.new"), file("camera")).expect("in its place");
    };
    let flood = "head -c 3000000 /dev/zero | tr '\\0' 'x' >&2";
    for (once, good, bad) in [
        (
            true,
            "cat word.jpg".to_owned(),
            vec![
                ("hangs", "exec sleep 1000".to_owned()),
                ("dies", "exit 3".to_owned()),
                ("is killed", "kill -9 $$".to_owned()),
                ("nothing", "true".to_owned()),
                ("half", "head -c 1000 word.jpg".to_owned()),
                ("endless", "exec cat /dev/zero".to_owned()),
                ("leaves a child", "sleep 1000 & exit 0".to_owned()),
                ("closes its output", "exec >&-; exec sleep 1000".to_owned()),
                ("floods standard error", format!("{flood}; exit 1")),
            ],
        ),
        (
            false,
            "while cat word.jpg; do sleep 0.05; done".to_owned(),
            vec![
                ("hangs", "cat word.jpg; exec sleep 1000".to_owned()),
                ("dies", "cat word.jpg; exit 3".to_owned()),
                ("ignores the end", "trap '' TERM PIPE; cat word.jpg; while true; do sleep 1; done".to_owned()),
                ("endless", "exec cat /dev/zero".to_owned()),
                ("floods standard error", format!("{flood}; exec sleep 1000")),
            ],
        ),
    ] {
        set(&good);
        let source = program(dir.path().to_str().expect("UTF-8"));
        let Some(mut scene) = Scene::new(&format!("{source}once = {once}")) else { return };
        scene.well("at first");
        for (name, script) in bad {
            set(&script);
            if !once {
                // The one that runs on is the camera that was unplugged.
                stop_camera(&scene.node);
            }
            if name != "dies" || once {
                scene.ill(name);
            }
            set(&good);
            scene.well(name);
        }
        if once {
            set(&format!("{flood}; cat word.jpg"));
            scene.listener.clear();
            let good = |text: &String| serde_json::from_str::<Value>(text).expect("JSON")["status"] == "ok";
            let come = || scene.listener.texts(STATE).len() > 3;
            assert!(
                wait_for(SOON, come) && scene.listener.texts(STATE)[1..].iter().all(good),
                "standard error is no matter"
            );
        }
        scene.sound();
        // Nothing of it runs on.
        let left = || {
            let ps = std::process::Command::new("pgrep").args(["-f", dir.path().to_str().expect("UTF-8")]).output();
            ps.is_ok_and(|ps| !ps.stdout.is_empty())
        };
        assert!(wait_for(SOON, || !left()), "the camera's program is left");
    }
}

/// Ends the children of the node.
fn stop_camera(node: &Program) {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", node.pid())).unwrap_or_default();
    let tasks =
        fs::read_dir(format!("/proc/{}/task", node.pid())).map(|d| d.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let more: String = tasks
        .iter()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .collect::<Vec<_>>()
        .join(" ");
    for pid in format!("{children} {more}").split_whitespace() {
        let pid = rustix::process::Pid::from_raw(pid.parse().expect("a number")).expect("a process");
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

#[test]
fn files_that_are_no_images() {
    let Some(mut scene) = Scene::new(
        "kind = 'directory'\npath = 'DIR/in'\nafter = 'delete'\nsettle_ms = 50\npoll_ms = 100\nfailed_to = 'DIR/bad'",
    ) else {
        return;
    };
    let place = scene.dir.path().join("in");
    fs::create_dir_all(&place).expect("a folder");
    let put = |name: &str, bytes: &[u8]| {
        fs::write(scene.dir.path().join("part"), bytes).expect("written");
        fs::rename(scene.dir.path().join("part"), place.join(name)).expect("in its place");
    };
    for (i, bytes) in [bomb(), b"text".to_vec(), vec![0; 5 << 20], jpeg(16, 16, 0)[..100].to_vec()].iter().enumerate() {
        put(&format!("{i}.jpg"), bytes);
    }
    put("good.jpg", &word());
    assert!(wait_for(SOON, || fs::read_dir(&place).is_ok_and(|dir| dir.count() == 0)), "{:#?}", scene.node.lines());
    assert!(wait_for(SOON, || scene.listener.texts(STATE).iter().any(|text| text.contains("Kitchen"))));
    assert_eq!(fs::read_dir(scene.dir.path().join("bad")).expect("a folder").count(), 4);
    assert!(scene.node.runs());
    scene.sound();
}
