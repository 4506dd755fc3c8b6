//! Commands: how often they may come.

use super::*;
use crate::node::reload::Load;
use crate::publish::Delivery;
use crate::publish::commands::{Incoming, Request, parse};

impl Rig {
    fn request(&self, verb: &str, payload: &str) -> Request {
        let delivery = Delivery {
            topic: format!("ocr/t/cmd/{verb}"),
            payload: payload.into(),
            retain: false,
            duplicate: false,
            response_topic: None,
            correlation: None,
            token: 0,
        };
        let metas: Vec<_> = self.node.config.fields.iter().map(|field| field.meta()).collect();
        match parse(&self.node.topics, &metas, &delivery) {
            Incoming::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    /// The results of a command on the wire, as soon as there are so many.
    fn results(&self, verb: &str, count: usize) -> Vec<Value> {
        let end = Instant::now() + Duration::from_secs(30);
        let topic = format!("ocr/t/cmd/{verb}/result");
        loop {
            let wire = self.wire.wire();
            let ours = wire.published.iter().filter(|message| message.topic == topic);
            let results: Vec<Value> = ours.map(|message| serde_json::from_slice(&message.payload).unwrap()).collect();
            drop(wire);
            if results.len() >= count {
                return results;
            }
            assert!(Instant::now() < end, "{results:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn no_configuration() -> Load {
    Arc::new(|| Err("there is none".into()))
}

#[test]
fn commands_too_soon_are_refused_with_reason() {
    let mut rig = Rig::with("[commands]\nread_min_interval_ms = 3600000\nreload_min_interval_ms = 3600000");
    rig.wire.push(Event::Connected);
    rig.wall.set(SET);
    rig.shots.lock().unwrap().push_back((100, None));
    let load = no_configuration();
    for count in 1..=3 {
        let request = rig.request("read", "");
        rig.node.handle_command(request, &load).unwrap();
        let result = rig.results("read", count).pop().unwrap();
        let error = result["error"].as_str().unwrap_or_default();
        assert_eq!(result["ok"], count == 1, "{result}");
        assert!(count == 1 || error.contains("too soon") && error.contains("read_min_interval_ms"), "{result}");
    }
    assert!(rig.shots.lock().unwrap().is_empty());
    for count in 1..=3 {
        let request = rig.request("reload", "");
        rig.node.handle_command(request, &load).unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while rig.node.check.is_some() && Instant::now() < end {
            assert!(rig.node.checked().is_none());
            std::thread::sleep(Duration::from_millis(2));
        }
        let error = rig.results("reload", count).pop().unwrap()["error"].to_string();
        assert!(error.contains(if count == 1 { "there is none" } else { "reload_min_interval_ms" }), "{error}");
    }
    rig.node.close(&Ok(Ended::Stopped));
}

/// Each drew and encoded a frame, as fast as a sender could ask for it.
#[test]
fn image_too_soon_is_refused() {
    let mut rig = Rig::with("[commands]\nimage_min_interval_ms = 3600000");
    rig.wire.push(Event::Connected);
    rig.wall.set(SET);
    rig.shots.lock().unwrap().push_back((100, None));
    let ask = |rig: &mut Rig, verb: &str, count: usize| {
        let request = rig.request(verb, "");
        rig.node.handle_command(request, &no_configuration()).unwrap();
        let result = rig.results(verb, count).pop().unwrap();
        (result["ok"] == true, result["error"].as_str().unwrap_or_default().to_owned())
    };
    assert!(ask(&mut rig, "image", 1).1.contains("no frame"), "a refused one does not count");
    assert!(ask(&mut rig, "read", 1).0);
    assert!(ask(&mut rig, "image", 2).0);
    let (ok, error) = ask(&mut rig, "image", 3);
    assert!(!ok && error.contains("too soon") && error.contains("image_min_interval_ms"), "{error}");
    rig.node.close(&Ok(Ended::Stopped));
}

/// Each was written to disk, as fast as a sender could send them.
#[test]
fn set_value_too_soon_is_refused_for_its_field() {
    let field = "[[field]]\nname = 'b'\nmode = 'line'\nnumber = {}";
    let mut rig = Rig::with(&format!("{field}\n[commands]\nset_value_min_interval_ms = 3600000"));
    rig.wire.push(Event::Connected);
    rig.wall.set(SET);
    for (count, (field, value, ok)) in [("a", 5, true), ("a", 6, false), ("b", 7, true)].into_iter().enumerate() {
        let request = rig.request("set_value", &format!("{{\"field\": \"{field}\", \"value\": {value}}}"));
        rig.node.handle_command(request, &no_configuration()).unwrap();
        let result = rig.results("set_value", count + 1).pop().unwrap();
        let error = result["error"].as_str().unwrap_or_default();
        assert_eq!(result["ok"], ok, "{result}");
        assert!(ok || error.contains("too soon") && error.contains("set_value_min_interval_ms"), "{result}");
    }
    rig.node.close(&Ok(Ended::Stopped));
}

/// Each command put the next round off by an interval, so that a sender kept the node from its schedule.
#[test]
fn read_command_does_not_move_the_schedule() {
    let mut rig = Rig::with("[trigger]\ninterval_s = 1000\non_start = false\n[commands]\nread_min_interval_ms = 0");
    let due = |rig: &mut Rig| match rig.node.schedule.as_mut().unwrap().next_after(rig.node.clock.both()) {
        super::super::schedule::Next::Wait(due) => due,
        other => panic!("{other:?}"),
    };
    let before = due(&mut rig);
    rig.wall.set(SET);
    rig.shots.lock().unwrap().push_back((100, None));
    let request = rig.request("read", "");
    rig.node.handle_command(request, &no_configuration()).unwrap();
    assert_eq!(due(&mut rig), before);
    rig.node.close(&Ok(Ended::Stopped));
}

/// It was answered as done though nothing had been read.
#[test]
fn read_without_a_file_is_refused_with_reason() {
    let mut rig = Rig::new();
    rig.wire.push(Event::Connected);
    rig.node.source = Box::new(Empty);
    let request = rig.request("read", "");
    rig.node.handle_command(request, &no_configuration()).unwrap();
    let result = rig.results("read", 1).pop().unwrap();
    assert_eq!(result["ok"], false);
    assert!(result["error"].as_str().unwrap().contains("no new file waits in directory in"), "{result}");
    rig.node.close(&Ok(Ended::Stopped));
}

/// A folder without new files.
struct Empty;

impl FrameSource for Empty {
    fn next(&mut self, _: Duration, _: &Shutdown) -> Result<Captured, CameraError> {
        Err(CameraError::NothingNew { source_name: self.describe() })
    }

    fn describe(&self) -> String {
        "directory in".into()
    }
}
