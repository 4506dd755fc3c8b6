//! How the thread ends.

use super::*;
use std::sync::{Condvar, Mutex};

#[test]
fn thread_empties_outbox_and_ends() {
    let (transport, queue) = (FakeTransport::default(), FakeQueue::default());
    transport.wire().obliging = true;
    let (handle, _deliveries) = Publisher::spawn(setup(&transport, &queue, &Arc::default())).unwrap();
    assert!(!handle.connected());
    transport.push(Event::Connected);
    for seq in 0..50 {
        queue.add(seq + 1, postcard::to_allocvec(&record(seq, 0)).unwrap());
        handle.notify_outbox();
        handle.send(Message::new("stats", seq.to_string(), Content::Json));
    }
    let end = Instant::now() + Duration::from_secs(20);
    while handle.counters().acked < 50 && Instant::now() < end {
        std::thread::yield_now();
    }
    assert!(handle.connected() && handle.silent_for() < Duration::from_secs(5));
    handle.stop(Duration::from_secs(20));
    assert!(queue.is_empty() && !handle.connected());
    let wire = transport.wire();
    assert_eq!(wire.closed.as_deref().unwrap()[0].payload, b"offline");
    assert_eq!(wire.published.iter().rfind(|m| m.topic == "stats").unwrap().payload, b"49");
    drop(wire);
    handle.stop(Duration::from_secs(1));
}

#[test]
fn without_a_connection_the_end_does_not_wait() {
    let (transport, queue) = (FakeTransport::default(), FakeQueue::default());
    queue.add(1, postcard::to_allocvec(&record(0, 0)).unwrap());
    let (handle, _deliveries) = Publisher::spawn(setup(&transport, &queue, &Arc::default())).unwrap();
    let start = Instant::now();
    handle.stop(Duration::from_secs(60));
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(queue.len(), 1, "kept for the next run");
}

/// The end took two seconds more than it was given.
#[test]
fn silent_broker_does_not_lengthen_the_end() {
    let (transport, queue) = (FakeTransport::default(), FakeQueue::default());
    transport.push(Event::Connected);
    queue.add(1, postcard::to_allocvec(&record(0, 0)).unwrap());
    let (handle, _deliveries) = Publisher::spawn(setup(&transport, &queue, &Arc::default())).unwrap();
    let grace = Duration::from_secs(4);
    handle.stop(grace);
    let wire = transport.wire();
    assert_eq!(wire.closed.as_deref().unwrap()[0].payload, b"offline");
    let left = wire.close_within;
    assert!(left > Duration::ZERO && left <= grace / 2, "{left:?} are left for the shutdown message");
}

/// A disk whose fsync never returns, until it is let go.
#[derive(Clone, Default)]
struct StuckQueue {
    inner: FakeQueue,
    stuck: Arc<(Mutex<(bool, bool)>, Condvar)>,
}

impl Queue for StuckQueue {
    fn next(&mut self, after: u64) -> Option<crate::publish::Entry> {
        self.inner.next(after)
    }

    fn remove(&mut self, id: u64) {
        self.inner.remove(id);
    }

    fn sync(&mut self) {
        let mut state = self.stuck.0.lock().unwrap();
        state.0 = true;
        self.stuck.1.notify_all();
        drop(self.stuck.1.wait_while(state, |(_, free)| !*free).unwrap());
    }

    fn len(&self) -> usize {
        self.inner.len()
    }
}

/// The end waited for the thread without a limit.
#[test]
fn stop_with_stuck_disk_takes_no_longer_than_grace() {
    let (transport, queue) = (FakeTransport::default(), StuckQueue::default());
    transport.wire().obliging = true;
    queue.inner.add(1, postcard::to_allocvec(&record(0, 0)).unwrap());
    let setup = Setup { queue: Box::new(queue.clone()), ..setup(&transport, &queue.inner, &Arc::default()) };
    let (handle, _deliveries) = Publisher::spawn(setup).unwrap();
    transport.push(Event::Connected);
    let (mutex, changed) = &*queue.stuck;
    let (state, timeout) =
        changed.wait_timeout_while(mutex.lock().unwrap(), Duration::from_secs(20), |(stuck, _)| !*stuck).unwrap();
    assert!(!timeout.timed_out(), "it never came to the disk");
    drop(state);
    let (grace, start) = (Duration::from_millis(500), Instant::now());
    handle.stop(grace);
    let took = start.elapsed();
    assert!(took >= grace && took < grace + Duration::from_secs(5), "{took:?}");
    assert_eq!(queue.len(), 1, "nothing was sent");
    handle.stop(Duration::from_secs(60));
    assert!(start.elapsed() < Duration::from_secs(20), "the second time there is nobody to wait for");
    mutex.lock().unwrap().1 = true;
    changed.notify_all();
}
