//! The worker's loop: the connection in this thread, reading in another.

use super::WorkerConfig;
use super::answer::{Failure, Names};
use super::job::Job;
use super::read::{Read, ReadError};
use crate::publish::{Delivery, Event, Message, Qos, Ticket, Transport, TransportError, Waker};
use crate::util::shutdown::Shutdown;
use edge_ocr::panics::catch_panic;
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

/// Longest wait. An event wakes it: from the reader, from the broker, the end.
const ROUND: Duration = Duration::from_secs(60);
/// Interval at which an unchanged loss is logged again.
const REPEAT_LOG: Duration = Duration::from_secs(600);
/// Time for the shutdown message.
const SHUTDOWN_MESSAGE_TIME: Duration = Duration::from_secs(2);

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Jobs whose text the broker has.
    pub done: u64,
    /// Jobs whose error the broker has.
    pub failed: u64,
    /// Jobs for which there was no room.
    pub busy: u64,
    /// Messages that were no jobs: kept from before, or of another topic.
    pub ignored: u64,
    /// Results that the broker refused.
    pub refused: u64,
    /// Connections lost, attempts that failed included.
    pub lost: u64,
}

/// An image on its way to the reader, with the job's id.
type Order = (String, Vec<u8>);
type Outcome = Result<Vec<u8>, ReadError>;

/// The job in hand.
struct Current {
    job: Job,
    /// `None` while it is read.
    answer: Option<Message>,
    failed: bool,
    ticket: Option<Ticket>,
}

/// Works until `stop` is set. A reader that is still busy after the grace time is left to itself, and ends with the
/// process.
///
/// # Errors
/// The system has no thread to give.
pub(super) fn work(
    transport: &mut dyn Transport,
    reader: impl Read + 'static,
    config: &WorkerConfig,
    names: &Names,
    stop: &Shutdown,
) -> io::Result<Counters> {
    let (job_sender, job_receiver) = mpsc::sync_channel(1);
    let (outcomes, outcome) = mpsc::sync_channel(1);
    let waker = transport.waker();
    let _wake = stop.notify(waker.clone());
    // Nobody waits for it: an image cannot be given up in the middle.
    std::thread::Builder::new()
        .name("reader".into())
        .spawn(move || read_all(reader, &job_receiver, &outcomes, &waker))?;
    let mut worker = Worker {
        transport,
        config,
        names,
        job_sender,
        outcome,
        up: false,
        hello: None,
        waiting: VecDeque::new(),
        current: None,
        counters: Counters::default(),
        last_warning: None,
    };
    Ok(worker.run(stop))
}

/// The reader's thread; ends when there will be no more orders.
fn read_all(mut reader: impl Read, jobs: &Receiver<Order>, outcomes: &SyncSender<Outcome>, waker: &Waker) {
    while let Ok((job, image)) = jobs.recv() {
        let outcome = catch_panic(|| reader.read(&job, &image)).unwrap_or_else(|panic| {
            Err(ReadError::Engine(format!("reading the image failed ({panic}); this is a mistake in edge-ocr")))
        });
        if outcomes.send(outcome).is_err() {
            return;
        }
        waker.wake();
    }
}

struct Worker<'a> {
    transport: &'a mut dyn Transport,
    config: &'a WorkerConfig,
    names: &'a Names,
    job_sender: SyncSender<Order>,
    outcome: Receiver<Outcome>,
    up: bool,
    /// That this worker is there: to be said, or under way.
    hello: Option<Option<Ticket>>,
    waiting: VecDeque<Job>,
    current: Option<Current>,
    counters: Counters,
    /// The last loss that was logged.
    last_warning: Option<(String, Instant)>,
}

impl Worker<'_> {
    fn run(&mut self, stop: &Shutdown) -> Counters {
        let mut end = None;
        loop {
            if end.is_none() && stop.is_set() {
                end = Some(Instant::now() + Duration::from_millis(self.config.grace_ms.into()));
                // Not acknowledged: the broker gives them to others.
                self.waiting.clear();
            }
            // Without a connection too: what was read is not lost while there is time for the next one.
            if let Some(end) = end
                && (self.current.is_none() || Instant::now() >= end)
            {
                break;
            }
            while self.advance() {}
            if end.is_some() && self.current.is_none() {
                continue;
            }
            let left = end.map_or(ROUND, |end| end.saturating_duration_since(Instant::now()).min(ROUND));
            let event = self.transport.poll(left);
            self.handle(event, end.is_some());
        }
        if let Some(current) = &self.current {
            log::warn!("{}", current.left_behind(self.up, self.config.grace_ms));
        }
        self.transport.close(&[self.names.status(false)], SHUTDOWN_MESSAGE_TIME);
        self.counters
    }

    /// Does what can be done without waiting. True if that made something else possible.
    fn advance(&mut self) -> bool {
        if let Ok(outcome) = self.outcome.try_recv()
            && let Some(current) = &mut self.current
        {
            let result = outcome.map_err(|error| match error {
                ReadError::Image(sentence) => Failure::new("bad_picture", sentence),
                ReadError::Engine(sentence) => Failure::new("engine", sentence),
            });
            current.settle(result.as_deref(), self.names, self.config.result_expiry_s);
        }
        if self.current.is_none()
            && let Some(job) = self.waiting.pop_front()
        {
            self.begin(job);
        }
        if !self.up {
            return false;
        }
        if let Some(under_way @ None) = &mut self.hello {
            match self.transport.publish(&self.names.status(true)) {
                Ok(ticket) => *under_way = Some(ticket),
                Err(TransportError::Busy | TransportError::NotConnected) => {}
                Err(_) => self.hello = None,
            }
        }
        self.publish()
    }

    fn begin(&mut self, mut job: Job) {
        let image = std::mem::replace(&mut job.image, Ok(Vec::new()));
        let mut current = Current { job, answer: None, failed: false, ticket: None };
        match image {
            Ok(image) => {
                // There is room: the reader has answered all orders before.
                if self.job_sender.try_send((current.job.id.clone(), image)).is_err() {
                    let failure = Failure::new("engine", "the reader has ended; start the worker again");
                    current.settle(Err(&failure), self.names, self.config.result_expiry_s);
                }
            }
            Err(failure) => current.settle(Err(&failure), self.names, self.config.result_expiry_s),
        }
        self.current = Some(current);
    }

    /// Hands over the answer. True if that is not to be sent and there is another one, or another job.
    fn publish(&mut self) -> bool {
        let Some(current) = &mut self.current else { return false };
        let (Some(answer), None) = (&current.answer, current.ticket) else { return false };
        match self.transport.publish(answer) {
            Ok(ticket) => {
                current.ticket = Some(ticket);
                false
            }
            Err(TransportError::Busy | TransportError::NotConnected) => false,
            Err(error) if current.failed => {
                log::error!("job {}: even its error cannot be sent: {error}", current.job.id);
                self.finish(false);
                true
            }
            Err(error) => {
                let failure = Failure::new("result_too_large", error.to_string());
                current.settle(Err(&failure), self.names, self.config.result_expiry_s);
                true
            }
        }
    }

    /// The broker has the result, or never will: the job is done with.
    fn finish(&mut self, taken: bool) {
        let Some(current) = self.current.take() else { return };
        self.transport.ack(&current.job.delivery);
        match (taken, current.failed) {
            (false, _) => self.counters.refused += 1,
            (true, true) => self.counters.failed += 1,
            (true, false) => self.counters.done += 1,
        }
    }

    fn handle(&mut self, event: Event, ending: bool) {
        match event {
            Event::Idle => {}
            Event::Connected => {
                self.up = true;
                self.hello = (!ending).then_some(None);
                if !ending && let Err(error) = self.transport.subscribe(&[(self.config.filter(), Qos::AtLeastOnce)]) {
                    log::debug!("no subscription: {error}");
                }
            }
            Event::Received(delivery) if ending => drop(delivery),
            Event::Received(delivery) => self.take(delivery),
            Event::Acked(ticket) if self.hello == Some(Some(ticket)) => self.hello = None,
            Event::Acked(ticket) if self.is_current(ticket) => self.finish(true),
            // Not to be waited for: the topic is the sender's choice.
            Event::PermanentlyRejected(ticket, why) | Event::TemporarilyRejected(ticket, why)
                if self.is_current(ticket) =>
            {
                log::error!("the result of a job was refused because {why}; check what the broker allows this worker");
                self.finish(false);
            }
            // The connection ends; its sender gets to know on the next one.
            Event::TooLarge(ticket, why) if self.is_current(ticket) => match &mut self.current {
                Some(current) if !current.failed => {
                    let failure = Failure::new("result_too_large", why);
                    current.settle(Err(&failure), self.names, self.config.result_expiry_s);
                }
                _ => self.finish(false),
            },
            Event::Acked(_) => {}
            Event::PermanentlyRejected(_, why) | Event::TemporarilyRejected(_, why) | Event::TooLarge(_, why) => {
                log::warn!("a message was refused because {why}")
            }
            Event::Lost(why) => {
                // A broker may be away for weeks.
                let known =
                    self.last_warning.as_ref().is_some_and(|(last, at)| *last == why && at.elapsed() < REPEAT_LOG);
                if known {
                    log::debug!("{why}");
                } else {
                    log::warn!("{why}");
                    self.last_warning = Some((why, Instant::now()));
                }
                self.up = false;
                self.hello = None;
                self.counters.lost += 1;
                // The broker gives them to others, or to us again. The one in hand is finished all the same.
                self.waiting.clear();
                if let Some(current) = &mut self.current {
                    current.ticket = None;
                }
            }
        }
    }

    fn is_current(&self, ticket: Ticket) -> bool {
        self.current.as_ref().is_some_and(|current| current.ticket == Some(ticket))
    }

    fn take(&mut self, delivery: Delivery) {
        let job = match Job::of(delivery, self.config) {
            Ok(job) => job,
            Err(other) => {
                self.counters.ignored += 1;
                self.transport.ack(&other);
                return;
            }
        };
        // The one in hand once more: sent again by its sender, or by the broker after a lost connection. One result
        // will do. Another sender's of that id is a job of its own.
        if let Some(current) = self.current.as_mut().filter(|current| job.repeats(&current.job)) {
            let earlier = std::mem::replace(&mut current.job.delivery, job.delivery);
            self.transport.ack(&earlier);
            return;
        }
        let bytes: usize = self.waiting.iter().map(Job::bytes).sum();
        if self.waiting.len() < self.config.max_waiting && bytes + job.bytes() <= self.config.max_waiting_bytes {
            self.waiting.push_back(job);
            return;
        }
        self.counters.busy += 1;
        if let Err(error) = self.transport.publish(&self.names.busy(&job, self.waiting.len())) {
            log::warn!("job {}: there is no room, and that cannot be told: {error}", job.id);
        }
        self.transport.ack(&job.delivery);
    }
}

impl Current {
    /// What is said of a job that is not done at the end.
    fn left_behind(&self, up: bool, grace_ms: u32) -> String {
        let (id, what) =
            (&self.job.id, if self.answer.is_none() { "still being read" } else { "read but not answered" });
        let when = match up {
            true => format!("after the {grace_ms} ms of grace_ms"),
            false => "at the end and there is no connection".to_owned(),
        };
        format!("job {id} was {what} {when}, so it is not acknowledged, and the broker may give it to another worker")
    }

    fn settle(&mut self, result: Result<&[u8], &Failure>, names: &Names, expiry_s: u32) {
        if let Err(failure) = &result {
            // The sender has the answer; one that sends much that is no image is not to fill the log.
            let level = if failure.code == "engine" { log::Level::Warn } else { log::Level::Info };
            log::log!(level, "job {}: {}", self.job.id, failure.sentence);
        }
        self.failed = result.is_err();
        self.answer = Some(names.answer(&self.job, result, expiry_s));
    }
}
