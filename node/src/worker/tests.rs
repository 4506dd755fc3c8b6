//! The loop with a connection and a reader that the tests command.

mod fake;

use super::answer::Names;
use super::work::work;
use super::*;
use crate::publish::{Delivery, Event};
use fake::{Fake, with_worker};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn a_job_is_acknowledged_after_its_result() {
    let (counters, fake) = with_worker(WorkerConfig::default(), |fake, _, _| {
        fake.until("online", |wire| wire.published.iter().any(|m| m.payload == b"online" && m.retain));
        fake.wire().slow = true;
        fake.job("7", b"image", 70);
        let wire = fake.when("the result", |wire| wire.in_flight.is_some());
        assert_eq!(wire.acked, [0u64; 0], "not before the broker has the result");
        let result = wire.published.last().unwrap();
        assert_eq!((result.topic.as_str(), result.retain, result.expiry_s), ("ocr/results/7", false, Some(3600)));
        let ticket = wire.in_flight.unwrap();
        drop(wire);
        fake.push(Event::Acked(ticket));
        fake.until("the acknowledgement", |wire| wire.acked == [70]);
    });
    assert_eq!((counters.done, counters.failed), (1, 0));
    let wire = fake.wire();
    assert_eq!(wire.subscribed, ["$share/ocr/ocr/jobs/+"]);
    assert!(wire.closed && wire.published.last().unwrap().payload == b"offline");
}

#[test]
fn errors_are_results_too() {
    let config = WorkerConfig { max_job_bytes: 1024, ..WorkerConfig::default() };
    let (counters, fake) = with_worker(config, |fake, _, _| {
        let large = [0; 1025];
        let images: [&[u8]; 6] = [b"bad", b"ill", b"panic", b"long", &large, b"good"];
        for (i, image) in images.into_iter().enumerate() {
            fake.job(&i.to_string(), image, i as u64);
        }
        fake.until("all results", |wire| wire.acked.len() == 6);
    });
    let codes: Vec<String> = Fake::results(&fake.wire()).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, ["bad_picture", "engine", "engine", "result_too_large", "too_large", "ok"]);
    assert_eq!((counters.done, counters.failed), (1, 5));
}

#[test]
fn what_is_kept_or_elsewhere_is_no_job() {
    let (counters, _) = with_worker(WorkerConfig::default(), |fake, _, _| {
        let kept = Delivery {
            topic: "ocr/jobs/1".into(),
            payload: b"image".to_vec(),
            retain: true,
            duplicate: false,
            response_topic: None,
            correlation: None,
            token: 5,
        };
        fake.push(Event::Received(kept.clone()));
        fake.push(Event::Received(Delivery { topic: "other".into(), retain: false, token: 6, ..kept }));
        let wire = fake.when("both acknowledged", |wire| wire.acked == [5, 6]);
        assert!(Fake::results(&wire).is_empty());
    });
    assert_eq!(counters.ignored, 2);
}

#[test]
fn a_full_house_says_so_and_the_rest_is_read_in_order() {
    let config = WorkerConfig { max_waiting: 2, ..WorkerConfig::default() };
    let (counters, fake) = with_worker(config, |fake, reader, _| {
        for (i, id) in ["first", "second", "third", "fourth"].into_iter().enumerate() {
            fake.job(id, b"slow", i as u64);
            // The first one must have left the queue.
            fake.until("taken", |wire| wire.events.is_empty());
        }
        let wire = fake.when("told", |wire| !wire.acked.is_empty());
        assert_eq!(Fake::results(&wire), [("ocr/results/fourth".to_string(), "busy".to_string())]);
        drop(wire);
        reader.release();
        fake.until("all", |wire| wire.acked.len() == 4);
    });
    assert_eq!((counters.busy, counters.done), (1, 3));
    assert_eq!(fake.wire().acked, [3, 0, 1, 2]);
}

#[test]
fn bytes_are_bounded_too() {
    let config = WorkerConfig { max_job_bytes: 1024, max_waiting_bytes: 1024, ..WorkerConfig::default() };
    let (counters, _) = with_worker(config, |fake, reader, _| {
        fake.job("first", b"slow", 1);
        fake.until("taken", |wire| wire.events.is_empty());
        fake.job("second", &[0; 1000], 2);
        fake.job("third", &[0; 1000], 3);
        fake.until("told", |wire| wire.acked == [3]);
        reader.release();
        fake.until("all", |wire| wire.acked.len() == 3);
    });
    assert_eq!((counters.busy, counters.done), (1, 2));
}

#[test]
fn result_resent_after_reconnect_jobs_released() {
    let (counters, fake) = with_worker(WorkerConfig::default(), |fake, reader, _| {
        fake.job("1", b"slow", 1);
        fake.job("2", b"slow", 2);
        fake.until("taken", |wire| wire.events.is_empty());
        fake.push(Event::Lost("gone".into()));
        reader.release();
        fake.until("lost", |wire| wire.events.is_empty());
        fake.push(Event::Connected);
        // The broker sends the first one again, under a new number.
        fake.job("1", b"slow", 11);
        fake.until("done", |wire| wire.acked.contains(&11));
    });
    let results = Fake::results(&fake.wire());
    assert!(results.iter().all(|(topic, code)| topic == "ocr/results/1" && code == "ok"), "{results:?}");
    assert!(!fake.wire().acked.contains(&2));
    assert_eq!(fake.wire().subscribed.len(), 2, "on each connection");
    assert!(counters.done >= 1 && counters.lost == 1);
}

#[test]
fn answers_go_where_they_were_wanted() {
    let config = WorkerConfig { response_topics: true, ..WorkerConfig::default() };
    with_worker(config, |fake, _, _| {
        fake.push(Event::Received(Delivery {
            topic: "ocr/jobs/1".into(),
            payload: b"image".to_vec(),
            retain: false,
            duplicate: false,
            response_topic: Some("desk/answers".into()),
            correlation: Some(vec![1, 2, 3]),
            token: 1,
        }));
        let wire = fake.when("the answer", |wire| wire.acked == [1]);
        let answer = wire.published.iter().find(|m| m.topic == "desk/answers").unwrap();
        assert_eq!(answer.correlation, Some(vec![1, 2, 3]));
    });
}

/// It was sent again on each connection, and ended each.
#[test]
fn result_too_large_for_broker_becomes_an_error() {
    with_worker(WorkerConfig::default(), |fake, _, _| {
        fake.wire().slow = true;
        fake.job("1", b"image", 1);
        let ticket = fake.when("the result", |wire| wire.in_flight.is_some()).in_flight.unwrap();
        fake.push(Event::TooLarge(ticket, "it is too large".into()));
        fake.push(Event::Lost("closed".into()));
        fake.wire().slow = false;
        fake.push(Event::Connected);
        let wire = fake.when("the error", |wire| Fake::results(wire).len() == 2);
        assert_eq!(Fake::results(&wire)[1].1, "result_too_large");
    });
}

#[test]
fn shutdown_finishes_current_job_within_grace() {
    let (counters, fake) = with_worker(WorkerConfig::default(), |fake, _, stop| {
        fake.job("1", b"slow", 1);
        fake.job("2", b"slow", 2);
        fake.until("taken", |wire| wire.events.is_empty());
        stop.set();
        // The helper lets the reader go after this.
    });
    assert_eq!((counters.done, fake.wire().acked.as_slice()), (1, &[1u64][..]));
    let hasty = WorkerConfig { grace_ms: 0, ..WorkerConfig::default() };
    let (counters, fake) = with_worker(hasty, |fake, _, stop| {
        fake.job("1", b"slow", 1);
        fake.until("taken", |wire| wire.events.is_empty());
        let start = Instant::now();
        stop.set();
        fake.until("closed", |wire| wire.closed);
        assert!(start.elapsed() < DEADLINE);
    });
    assert_eq!((counters.done, fake.wire().acked.len()), (0, 0), "the broker gives it to another");
}

/// A stop while the connection was down gave up what had been read.
#[test]
fn result_is_published_by_next_connection_at_end() {
    let (counters, fake) = with_worker(WorkerConfig::default(), |fake, reader, stop| {
        fake.job("1", b"slow", 1);
        fake.until("taken", |wire| wire.events.is_empty());
        fake.push(Event::Lost("gone".into()));
        fake.until("lost", |wire| wire.events.is_empty());
        stop.set();
        reader.release();
        // The loop has seen that it is to end.
        for _ in 0..2 {
            fake.push(Event::Idle);
            fake.until("turn", |wire| wire.events.is_empty());
        }
        fake.push(Event::Connected);
    });
    assert_eq!((counters.done, fake.wire().acked.as_slice()), (1, &[1u64][..]));
    assert_eq!(fake.wire().subscribed.len(), 1, "no new jobs at the end");
}

/// Says when it has an image, and reads it until the test ends.
struct Stuck(mpsc::Sender<()>, mpsc::Receiver<()>);

impl Read for Stuck {
    fn read(&mut self, _: &str, _: &[u8]) -> Result<Vec<u8>, ReadError> {
        self.0.send(()).unwrap();
        let _ = self.1.recv();
        Ok(b"{}".to_vec())
    }
}

/// The end waited for the reader's thread, however long an image took.
#[test]
fn busy_reader_abandoned_after_grace() {
    let (fake, stop) = (Fake::default(), Shutdown::default());
    let ((busy, is_busy), (free, waiting), (done, ended)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
    let (mut transport, stop_it) = (fake.clone(), stop.clone());
    std::thread::spawn(move || {
        let config = WorkerConfig { grace_ms: 50, ..WorkerConfig::default() };
        let names = Names::new("ocr", "w1");
        done.send(work(&mut transport, Stuck(busy, waiting), &config, &names, &stop_it).unwrap())
    });
    fake.push(Event::Connected);
    fake.job("1", b"large", 1);
    is_busy.recv_timeout(DEADLINE).expect("an image for the reader");
    stop.set();
    let counters = ended.recv_timeout(DEADLINE).expect("the end, while the reader is busy");
    let wire = fake.wire();
    assert!(wire.closed && wire.acked.is_empty(), "the broker gives it to another");
    assert_eq!(counters.done, 0);
    drop(free);
}
