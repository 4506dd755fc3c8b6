//! The rights at the broker that `packaging/mosquitto.acl` gives are enough for a node and a worker, and no more
//! than that.
#![cfg(all(feature = "node", unix))]

mod node_support;

use node_support::child::Program;
use node_support::{Mosquitto, SOON, Subscriber, wait_for};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PASSWORD: &str = "hunter2";

/// A broker that knows the users of the example and gives them its rights.
fn broker(dir: &Path) -> Mosquitto {
    let (passwords, acl) = (dir.join("passwords"), dir.join("acl"));
    fs::write(&passwords, "").expect("written");
    fs::copy(Path::new(ROOT).join("packaging/mosquitto.acl"), &acl).expect("copied");
    for user in ["meter-1", "homeassistant", "worker-1", "sender"] {
        let mut command = Command::new("mosquitto_passwd");
        let output = command.arg("-b").arg(&passwords).args([user, PASSWORD]).output().expect("mosquitto_passwd");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let (passwords, acl) = (passwords.display(), acl.display());
    Mosquitto::with_config(&format!("allow_anonymous false\npassword_file {passwords}\nacl_file {acl}\n"))
}

fn listener(broker: &Mosquitto, user: &str, filters: &[&str]) -> Subscriber {
    Subscriber::with_login(broker.port(), filters, Some((user, PASSWORD)))
}

fn login(broker: &Mosquitto, user: &str) -> String {
    format!("host = '127.0.0.1'\nport = {}\nusername = '{user}'\npassword_in_clear = '{PASSWORD}'\n", broker.port())
}

#[test]
fn a_node_has_what_it_needs() {
    if !Mosquitto::available() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let broker = broker(dir.path());
    let home = listener(&broker, "homeassistant", &["ocr/#", "homeassistant/#"]);
    let config = format!(
        "[source]\nkind = 'replay'\npath = 'tests/golden/digit.png'\n[trigger]\ninterval_s = 86400\n[[field]]\nname = 'a'\n\
         mode = 'line'\n[pipeline]\nthreads = 1\n[node]\nstats_interval_s = 1\n[topics]\nnode_id = 'meter-1'\n\
         [discovery]\nenabled = true\nbirth_jitter_ms = 0\n[mqtt]\n{}",
        login(&broker, "meter-1")
    );
    fs::write(dir.path().join("node.toml"), config).expect("written");
    let mut node = Program::node(dir.path());
    let device = "homeassistant/device/ocrnode_meter-1/config";
    for topic in ["status", "info", "camera/status", "field/a/state", "stats"].map(|end| format!("ocr/meter-1/{end}")) {
        assert!(home.last(&topic).is_some(), "{topic}: {:#?}", node.lines());
    }
    assert!(home.last(device).is_some());
    // Home Assistant starts, and somebody wants an image.
    let before = home.texts(device).len();
    home.publish("homeassistant/status", b"online", false);
    assert!(wait_for(SOON, || home.texts(device).len() > before), "{}", broker.log());
    home.publish("ocr/meter-1/cmd/image", b"", false);
    let answer = home.last("ocr/meter-1/cmd/image/result").expect("an answer");
    let answer: Value = serde_json::from_slice(&answer.payload).expect("JSON");
    assert_eq!(answer["ok"], true, "{answer}");
    assert!(home.last("ocr/meter-1/camera/image").is_some());
    node.signal(rustix::process::Signal::TERM);
    assert_eq!(node.exit_code(SOON), Some(0));
    let node_toml = dir.path().join("node.toml");
    let mut clear = Program::start(&["node", "--clear-retained", "--config", node_toml.to_str().expect("UTF-8")]);
    assert_eq!(clear.exit_code(SOON), Some(0), "{:#?}", clear.lines());
    assert!(home.texts("ocr/meter-1/field/a/state").last().is_some_and(String::is_empty));
    assert!(!broker.log().contains("Denied"), "{}", broker.log());
    // Not what is another's.
    let thief = listener(&broker, "meter-1", &["ocr/#"]);
    thief.publish("ocr/meter-2/status", b"online", false);
    thief.publish("ocr/meter-2/cmd/read", b"", false);
    thief.publish("ocr/meter-1/mark", b"", false);
    assert!(home.last("ocr/meter-1/mark").is_some());
    assert!(home.texts("ocr/meter-2/status").is_empty() && home.texts("ocr/meter-2/cmd/read").is_empty());
    home.publish("ocr/meter-2/cmd/read", b"", false);
    home.publish("ocr/meter-1/cmd/read", b"", false);
    assert!(thief.last("ocr/meter-1/cmd/read").is_some());
    assert!(thief.texts("ocr/meter-2/cmd/read").is_empty());
}

#[test]
fn a_worker_has_what_it_needs() {
    if !Mosquitto::available() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let broker = broker(dir.path());
    let sender = listener(&broker, "sender", &["ocr/results/+", "ocr/workers/+/status"]);
    let config =
        format!("[mqtt]\n{}protocol = '5'\n[pipeline]\nthreads = 1\nmode = 'line'\n", login(&broker, "worker-1"));
    let path = dir.path().join("worker.toml");
    fs::write(&path, config).expect("written");
    let worker = Program::start(&["worker", "--id", "w1", "--config", path.to_str().expect("UTF-8")]);
    assert!(sender.last("ocr/workers/w1/status").is_some(), "{:#?}", worker.lines());
    let image = fs::read(Path::new(ROOT).join("tests/golden/digit.png")).expect("an image");
    sender.publish("ocr/jobs/17", &image, false);
    let result: Value = serde_json::from_str(&sender.last("ocr/results/17").expect("a result").text()).expect("JSON");
    assert_eq!(result["result"]["lines"][0]["text"], "7", "{result}");
    assert!(!broker.log().contains("Denied"), "{}", broker.log());
    let thief = listener(&broker, "worker-1", &["ocr/results/+"]);
    thief.publish("ocr/jobs/18", &image, false);
    thief.publish("ocr/results/mark", b"{}", false);
    assert!(sender.last("ocr/results/mark").is_some());
    assert!(thief.messages().is_empty() && !sender.messages().iter().any(|message| message.topic == "ocr/results/18"));
}
