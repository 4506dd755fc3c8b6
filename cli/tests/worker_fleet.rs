//! Three workers and a real broker: every job ends with one kind of result, whoever is killed.
#![cfg(all(feature = "node", unix))]

mod node_support;

use node_support::child::{Program, cpu_seconds};
use node_support::{Mosquitto, Proxy, SOON, Subscriber, full, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// After that a job is sent once more. Longer than any of them takes.
const TIMEOUT: Duration = Duration::from_secs(8);

/// What the jobs are: an image or not, and the text that is expected.
struct Kind {
    image: Vec<u8>,
    text: Option<&'static str>,
}

fn kinds() -> Vec<Kind> {
    let golden = |name: &str| fs::read(Path::new(ROOT).join("tests/golden").join(name)).expect(name);
    vec![
        Kind { image: golden("digit.png"), text: Some("7") },
        Kind { image: golden("word.png"), text: Some("Kitchen") },
        Kind { image: golden("digit.png")[..100].to_vec(), text: None },
    ]
}

const LINE: &str = "mode = 'line'";

fn config(dir: &Path, port: u16, protocol: &str, pipeline: &str) {
    let text = format!(
        "[mqtt]\nhost = '127.0.0.1'\nport = {port}\nprotocol = '{protocol}'\nkeep_alive_s = 15\nbackoff_min_ms = 100\nbackoff_max_ms = 1000\n\
         [pipeline]\nthreads = 1\n{pipeline}\n"
    );
    fs::write(dir.join("worker.toml"), text).expect("written");
}

fn worker(dir: &Path, id: &str) -> Program {
    let config = dir.join("worker.toml");
    Program::start(&["worker", "--config", config.to_str().expect("UTF-8"), "--id", id])
}

/// Whoever said last that it is there.
fn online(listener: &Subscriber, id: &str) -> bool {
    listener.texts(&format!("ocr/workers/{id}/status")).last().is_some_and(|text| text == "online")
}

/// The results so far, by job.
fn results(listener: &Subscriber) -> BTreeMap<String, Vec<Value>> {
    let mut results = BTreeMap::<String, Vec<Value>>::new();
    for message in listener.messages() {
        if let Some(job) = message.topic.strip_prefix("ocr/results/") {
            results.entry(job.to_owned()).or_default().push(serde_json::from_slice(&message.payload).expect("JSON"));
        }
    }
    results
}

/// A result without what may differ when a job is done twice: who did it, and how long it took.
fn essence(result: &Value) -> Value {
    fn strip(value: &mut Value) {
        if let Value::Object(map) = value {
            map.retain(|key, _| key != "worker" && !key.contains("timing") && !key.ends_with("_ms"));
            map.values_mut().for_each(strip);
        } else if let Value::Array(list) = value {
            list.iter_mut().for_each(strip);
        }
    }
    let mut result = result.clone();
    strip(&mut result);
    result
}

/// The same numbers in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

#[test]
fn every_job_is_done_whoever_is_killed() {
    if !Mosquitto::available() {
        return;
    }
    let (count, kills) = if full() { (300, 60) } else { (60, 10) };
    let (dir, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
    let listener = Subscriber::new(broker.port(), &["ocr/results/+", "ocr/workers/+/status"]);
    config(dir.path(), broker.port(), "5", LINE);
    let ids = ["w1", "w2", "w3"];
    let mut workers = ids.map(|id| worker(dir.path(), id));
    assert!(wait_for(SOON, || ids.iter().all(|id| online(&listener, id))), "{:#?}", workers[0].lines());
    let (kinds, mut dice) = (kinds(), Dice(7));
    let mut sent = HashMap::<String, (usize, Instant, u32)>::new();
    let (start, mut killed, mut again) = (Instant::now(), 0, 0);
    let deadline = start + Duration::from_secs(if full() { 900 } else { 120 });
    let send = |job: &str, kind: usize| listener.publish(&format!("ocr/jobs/{job}"), &kinds[kind].image, false);
    let (mut next, mut next_kill) = (0, Instant::now());
    loop {
        let done = results(&listener);
        if done.len() == count && killed == kills {
            break;
        }
        assert!(Instant::now() < deadline, "{} of {count} jobs, {killed} kills", done.len());
        for (job, (kind, at, times)) in &mut sent {
            if !done.contains_key(job) && at.elapsed() > TIMEOUT {
                send(job, *kind);
                (*at, *times, again) = (Instant::now(), *times + 1, again + 1);
            }
        }
        if killed < kills && Instant::now() >= next_kill {
            // All have something to do when one of them dies.
            for _ in 0..count / kills {
                let (job, kind) = (format!("job-{next}"), next % kinds.len());
                send(&job, kind);
                sent.insert(job, (kind, Instant::now(), 1));
                next += 1;
            }
            std::thread::sleep(Duration::from_millis(dice.roll(40)));
            let victim = dice.roll(3) as usize;
            workers[victim].kill();
            workers[victim] = worker(dir.path(), ids[victim]);
            killed += 1;
            next_kill = Instant::now() + Duration::from_millis(200 + dice.roll(800));
        }
        // New results come in another thread.
        wait_for(Duration::from_millis(20), || false);
    }
    let done = results(&listener);
    let wanted: BTreeSet<&String> = sent.keys().collect();
    assert_eq!(done.keys().collect::<BTreeSet<_>>(), wanted, "a result for each, and for nothing else");
    let mut twice = 0;
    for (job, results) in &done {
        let (kind, ..) = sent[job];
        for result in results {
            assert_eq!(result["job"], job.as_str());
            match kinds[kind].text {
                Some(text) => assert_eq!(result["result"]["lines"][0]["text"], text, "{result}"),
                None => assert_eq!(result["code"], "bad_picture", "{result}"),
            }
            assert_eq!(essence(result), essence(&results[0]), "the same job has the same result");
        }
        twice += results.len() - 1;
    }
    let by: BTreeSet<&str> = done.values().flatten().filter_map(|result| result["worker"].as_str()).collect();
    println!(
        "{count} jobs, {killed} kills, {again} sent again, {twice} results more than one, {:?}, by {by:?}",
        start.elapsed()
    );
    assert!(wait_for(SOON, || ids.iter().all(|id| online(&listener, id))), "all are there again");
    for worker in &mut workers {
        worker.signal(Signal::TERM);
        assert_eq!(worker.exit_code(SOON), Some(0), "{:#?}", worker.lines());
        assert!(worker.lines().len() < 10, "{:#?}", worker.lines());
    }
    let gone =
        |id: &&str| listener.texts(&format!("ocr/workers/{id}/status")).last().is_some_and(|text| text == "offline");
    assert!(wait_for(SOON, || ids.iter().all(gone)), "they send their shutdown message");
}

/// An image that is being read when the worker is told to end has its result, and its job is acknowledged.
#[test]
fn job_in_hand_is_answered_at_sigterm() {
    if !Mosquitto::available() {
        return;
    }
    let image = fs::read(Path::new(ROOT).join("tests/golden/receipt.jpg")).expect("an image");
    for (signal, job) in [(Signal::TERM, "term"), (Signal::INT, "int")] {
        let (dir, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
        let listener = Subscriber::new(broker.port(), &["ocr/results/+", "ocr/workers/+/status"]);
        config(dir.path(), broker.port(), "5", "");
        let mut worker = worker(dir.path(), "w1");
        assert!(wait_for(SOON, || online(&listener, "w1")), "{:#?}", worker.lines());
        let before = worker.cpu_seconds();
        listener.publish(&format!("ocr/jobs/{job}"), &image, false);
        assert!(wait_for(SOON, || worker.cpu_seconds() > before + 0.02), "it reads");
        worker.signal(signal);
        assert_eq!(worker.exit_code(SOON), Some(0), "{:#?}", worker.lines());
        assert!(wait_for(SOON, || results(&listener).contains_key(job)), "{:#?}", worker.lines());
        assert!(!worker.lines().iter().any(|line| line.contains("not acknowledged")), "{:#?}", worker.lines());
    }
}

/// The first signal gives the job in hand its grace time; a later one does not wait for that.
#[test]
fn second_signal_ends_worker_at_once() {
    if !Mosquitto::available() {
        return;
    }
    let image = fs::read(Path::new(ROOT).join("tests/golden/page.jpg")).expect("an image");
    let (dir, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
    let (listener, proxy) = (Subscriber::new(broker.port(), &["ocr/workers/+/status"]), Proxy::to(broker.port()));
    config(dir.path(), proxy.port(), "5", "");
    let file = dir.path().join("worker.toml");
    let text = fs::read_to_string(&file).expect("a configuration");
    fs::write(&file, format!("grace_ms = 60000\n{text}")).expect("written");
    let mut worker = worker(dir.path(), "w1");
    assert!(wait_for(SOON, || online(&listener, "w1")), "{:#?}", worker.lines());
    let before = worker.cpu_seconds();
    listener.publish("ocr/jobs/1", &image, false);
    assert!(wait_for(SOON, || worker.cpu_seconds() > before + 0.02), "it reads");
    // Its result has nowhere to go.
    proxy.refuse();
    let start = Instant::now();
    worker.signal(Signal::TERM);
    assert!(!wait_for(Duration::from_secs(2), || !worker.runs()), "{:#?}", worker.lines());
    worker.signal(Signal::TERM);
    assert_eq!(worker.exit_code(SOON), Some(143), "{:#?}", worker.lines());
    assert!(start.elapsed() < SOON, "long before the grace time is over");
}

/// A worker does not lose the job in hand when the broker restarts, and comes back by itself.
#[test]
fn a_broker_that_restarts_is_found_again() {
    if !Mosquitto::available() {
        return;
    }
    let (dir, mut broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
    let listener = Subscriber::new(broker.port(), &["ocr/results/+", "ocr/workers/+/status"]);
    config(dir.path(), broker.port(), "3.1.1", LINE);
    let mut worker = worker(dir.path(), "w1");
    assert!(wait_for(SOON, || online(&listener, "w1")));
    for round in 0..3 {
        let heard = listener.subscriptions();
        broker.restart();
        assert!(wait_for(SOON, || listener.subscriptions() > heard), "{}", broker.log());
        listener.clear();
        assert!(wait_for(SOON, || online(&listener, "w1")), "{:#?}", worker.lines());
        let topic = format!("ocr/jobs/job-{round}");
        // The greeting may come before the subscription is in force.
        let answered = (0..5).any(|_| {
            listener.publish(&topic, &kinds()[0].image, false);
            wait_for(Duration::from_secs(5), || results(&listener).contains_key(&format!("job-{round}")))
        });
        assert!(answered, "{:#?}", worker.lines());
    }
    assert!(worker.runs());
}

/// How many jobs a second one, two and three workers do, and what a job costs each of them. Not a claim, a figure:
/// `EDGE_OCR_TORTURE=full`.
///
/// A job is a page of several lines, so that reading is nearly all there is to do. Many short passes, because the
/// machine may be busy with something else in most of them. Told is how much of the time workers ran, and how much of
/// it they waited for a processor: where both together are all of it, they wait for nothing else, and more processors
/// would do more.
#[test]
fn throughput() {
    if !full() || !Mosquitto::available() {
        return;
    }
    let root = Path::new(ROOT);
    let image = fs::read(root.join("tests/golden/receipt.jpg")).expect("an image");
    let lines = fs::read_to_string(root.join("tests/golden/receipt.expected.txt")).expect("its text").lines().count();
    for pass in 1..=3 {
        for workers in 1..=3 {
            let (dir, broker) = (tempfile::tempdir().expect("a folder"), Mosquitto::start());
            let listener = Subscriber::new(broker.port(), &["ocr/results/+", "ocr/workers/+/status"]);
            config(dir.path(), broker.port(), "5", "");
            let ids: Vec<String> = (1..=workers).map(|i| format!("w{i}")).collect();
            let running: Vec<Program> = ids.iter().map(|id| worker(dir.path(), id)).collect();
            assert!(wait_for(SOON, || ids.iter().all(|id| online(&listener, id))));
            let work = |kind: &str, count: usize| {
                listener.clear();
                let (mut sent, mut done) = (0, 0);
                while done < count {
                    // Always enough for all of them; what is more would only wait, and too much is refused.
                    while sent < count.min(done + 4 * workers) {
                        listener.publish(&format!("ocr/jobs/{kind}-{sent}"), &image, false);
                        sent += 1;
                    }
                    // Who counts is told when something comes, and looks at nothing else.
                    assert!(listener.wait(SOON, |messages| messages.len() > done), "{kind}");
                    done = listener.count();
                }
            };
            work("warm", 4 * workers);
            let cpu = || running.iter().map(Program::cpu_seconds).collect::<Vec<f64>>();
            let queued = || running.iter().map(Program::queued_seconds).sum::<f64>();
            let (before, queue, own, start) = (cpu(), queued(), cpu_seconds(std::process::id()), Instant::now());
            const JOBS: usize = 48;
            work("job", JOBS);
            let seconds = start.elapsed().as_secs_f64();
            let (after, queue, own) = (cpu(), queued() - queue, cpu_seconds(std::process::id()) - own);
            let mut done = BTreeMap::<String, usize>::new();
            for result in results(&listener).into_values().flatten() {
                assert_eq!(result["result"]["lines"].as_array().map(Vec::len), Some(lines), "{result}");
                *done.entry(result["worker"].as_str().expect("a name").into()).or_default() += 1;
            }
            let spent: Vec<f64> = before.iter().zip(&after).map(|(before, after)| after - before).collect();
            let each: Vec<String> = ids
                .iter()
                .zip(&spent)
                .map(|(id, spent)| {
                    let jobs = done.get(id).copied().unwrap_or(0);
                    format!("{id} {jobs} jobs at {:.1} ms", 1e3 * spent / jobs.max(1) as f64)
                })
                .collect();
            println!(
                "pass {pass}, {workers} workers: {JOBS} jobs of {lines} lines in {seconds:.2} s, {:.1} a second; processor time {}; \
                 workers ran {:.0} % of the time and waited for a processor {:.0} %, the sender ran {:.0} %",
                JOBS as f64 / seconds,
                each.join(", "),
                100.0 * spent.iter().sum::<f64>() / seconds / workers as f64,
                100.0 * queue / seconds / workers as f64,
                100.0 * own / seconds
            );
        }
    }
}
