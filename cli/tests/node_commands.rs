//! Whoever may send commands must not keep a node from its schedule. With a real mosquitto.
#![cfg(all(feature = "node", unix))]

mod node_support;

use node_support::child::{Program, node_config};
use node_support::{Mosquitto, SOON, Subscriber, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;

const STATE: &str = "ocr/n/field/a/state";

fn parsed(listener: &Subscriber, topic: &str) -> Vec<Value> {
    listener.texts(topic).iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
}

/// Each `reload` ended the node and began it again, and each `read` read: a few of them a second kept a node busy for
/// ever.
#[test]
fn command_flood_does_not_stop_the_schedule() {
    if !Mosquitto::available() {
        return;
    }
    let (dir, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
    let listener = Subscriber::new(broker.port(), &["#"]);
    // Slower than commands come, and more often than commands may be carried out.
    let trigger = "[trigger]\ninterval_s = 0.3\non_start = false\n[commands]\nread_min_interval_ms = 3600000";
    node_config(dir.path(), broker.port(), trigger);
    let mut node = Program::node(dir.path());
    assert!(listener.last(STATE).is_some(), "{:#?}", node.lines());
    listener.clear();
    let readings = || listener.texts(STATE).len();
    let flood = || {
        for verb in ["read", "reload"] {
            listener.publish(&format!("ocr/n/cmd/{verb}"), b"", false);
        }
        readings() >= 20
    };
    assert!(wait_for(2 * SOON, flood), "{} readings: {:#?}", readings(), node.lines());
    // One of each was carried out, and every other that was answered was told why not.
    for verb in ["read", "reload"] {
        let results = parsed(&listener, &format!("ocr/n/cmd/{verb}/result"));
        let done = results.iter().filter(|result| result["ok"] == true).count();
        assert!(done <= 1 && results.len() > done, "{verb}: {done} of {}", results.len());
        let reasons = results.iter().filter(|result| result["ok"] == false).map(|result| &result["error"]);
        for reason in reasons {
            let reason = reason.as_str().unwrap_or_default();
            let known = ["too soon", "waiting or being carried out", "being checked", "are waiting already"];
            assert!(known.iter().any(|part| reason.contains(part)), "{verb}: {reason}");
        }
    }
    let runs: BTreeSet<String> =
        parsed(&listener, STATE).iter().map(|reading| reading["boot_id"].to_string()).collect();
    assert!(runs.len() <= 2, "{runs:?}");
    node.signal(Signal::TERM);
    assert_eq!(node.exit_code(SOON), Some(0), "{:#?}", node.lines());
}
