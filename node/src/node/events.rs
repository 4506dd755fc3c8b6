//! Events that interrupt the node's wait: signals, commands, the end of a check.

use crate::publish::commands::{Command, Request};
use crate::util::latch::{Waker, deadline};
use crate::util::shutdown::Shutdown;
use crate::util::signals::{SignalRequest, Signals};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// An event for the node's loop.
#[derive(Debug)]
pub enum NodeEvent {
    /// The node is to end: SIGTERM, SIGINT.
    Stop,
    /// The configuration is to be read again: SIGHUP.
    Reload,
    /// A command by MQTT.
    Command(Request),
    /// Home Assistant has started; entities are to be announced within this time.
    HomeAssistant(Duration),
    /// Wakes the loop to look at the flags and at the check of a configuration.
    Wakeup,
}

/// Most events that wait; further ones are refused.
const WAITING: usize = 64;

/// Why a command was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandRejected {
    /// One of its kind is pending or being carried out.
    #[error("another one is waiting or being carried out and serves all who asked; wait for its result")]
    Pending,
    /// Too many commands wait.
    #[error("{WAITING} commands are waiting already; send it again later")]
    Full,
}

/// Requests that are pending at most once, however often they are sent.
#[derive(Default)]
struct Flags {
    /// SIGHUP.
    reload: AtomicBool,
    /// The commands `read` and `reload` that wait or are being carried out.
    read_command: AtomicBool,
    reload_command: AtomicBool,
    home_assistant: AtomicBool,
    /// The node is awake, or about to be.
    wake_up: AtomicBool,
}

impl Flags {
    /// The flag of a command of which one at a time is enough.
    fn of(&self, command: &Command) -> Option<&AtomicBool> {
        match command {
            Command::Read => Some(&self.read_command),
            Command::Reload => Some(&self.reload_command),
            Command::SetValue { .. } | Command::Image { .. } => None,
        }
    }
}

/// The node's end of the channel.
pub struct EventReceiver {
    events: Receiver<NodeEvent>,
    flags: Arc<Flags>,
    stop: Shutdown,
}

/// The sending end of the channel.
#[derive(Clone)]
pub struct EventSender {
    events: SyncSender<NodeEvent>,
    flags: Arc<Flags>,
    stop: Shutdown,
}

/// A bounded channel of events. As long as some wait, those who wait for files by `stop` are interrupted.
pub fn channel(stop: &Shutdown) -> (EventSender, EventReceiver) {
    let (sender, receiver) = sync_channel(WAITING);
    let flags = Arc::<Flags>::default();
    let event_sender = EventSender { events: sender, flags: flags.clone(), stop: stop.clone() };
    (event_sender, EventReceiver { events: receiver, flags, stop: stop.clone() })
}

impl EventReceiver {
    /// The next event within `timeout`. With `reload` false, a SIGHUP stays pending until the current check has ended.
    pub fn next(&self, timeout: Duration, reload: bool) -> Option<NodeEvent> {
        // Before the look: what is sent after it interrupts.
        self.stop.resume();
        let event = self.receive(timeout, reload);
        if event.is_some() {
            // There may be more.
            self.stop.interrupt();
        }
        event
    }

    fn receive(&self, timeout: Duration, reload: bool) -> Option<NodeEvent> {
        let take_reload = || (reload && self.flags.reload.swap(false, Ordering::AcqRel)).then_some(NodeEvent::Reload);
        if let Some(event) = take_reload() {
            return Some(event);
        }
        match self.events.recv_timeout(timeout) {
            Ok(NodeEvent::Wakeup) => {
                self.flags.wake_up.store(false, Ordering::Release);
                Some(take_reload().unwrap_or(NodeEvent::Wakeup))
            }
            Ok(NodeEvent::HomeAssistant(within)) => {
                self.flags.home_assistant.store(false, Ordering::Release);
                Some(NodeEvent::HomeAssistant(within))
            }
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                // No sender is left, so nothing but the end will interrupt the wait.
                self.stop.wait(deadline(timeout));
                None
            }
        }
    }

    /// A command has been carried out or refused: the next of its kind may wait.
    pub fn done(&self, command: &Command) {
        if let Some(flag) = self.flags.of(command) {
            flag.store(false, Ordering::Release);
        }
    }
}

impl EventSender {
    /// Sends an event, or gives it back if there is no room. Nobody misses it in a node that has gone.
    fn offer(&self, event: NodeEvent) -> Option<NodeEvent> {
        let sent = self.events.try_send(event);
        self.stop.interrupt();
        match sent {
            Err(TrySendError::Full(event)) => Some(event),
            Ok(()) | Err(TrySendError::Disconnected(_)) => None,
        }
    }

    /// Queues a command.
    ///
    /// # Errors
    /// [`CommandRejected`], with the command to be answered.
    pub fn command(&self, request: Request) -> Result<(), Box<(Request, CommandRejected)>> {
        let flag = self.flags.of(&request.command);
        if flag.is_some_and(|flag| flag.swap(true, Ordering::AcqRel)) {
            return Err(Box::new((request, CommandRejected::Pending)));
        }
        match self.offer(NodeEvent::Command(request)) {
            Some(NodeEvent::Command(request)) => {
                if let Some(flag) = self.flags.of(&request.command) {
                    flag.store(false, Ordering::Release);
                }
                Err(Box::new((request, CommandRejected::Full)))
            }
            // Nobody answers for a node that has gone.
            _ => Ok(()),
        }
    }

    /// Home Assistant has started.
    pub fn home_assistant(&self, within: Duration) {
        if !self.flags.home_assistant.swap(true, Ordering::AcqRel)
            && self.offer(NodeEvent::HomeAssistant(within)).is_some()
        {
            self.flags.home_assistant.store(false, Ordering::Release);
        }
    }

    /// The configuration is to be read again.
    pub fn reload(&self) {
        if !self.flags.reload.swap(true, Ordering::AcqRel) {
            self.wake_up();
        }
    }

    /// Wakes the node when used.
    pub fn waker(&self) -> Waker {
        let event_sender = self.clone();
        Waker::new(move || event_sender.wake_up())
    }

    /// Wakes the node. If the channel is full it is awake anyway.
    pub fn wake_up(&self) {
        if self.flags.wake_up.swap(true, Ordering::AcqRel) {
            self.stop.interrupt();
        } else if self.offer(NodeEvent::Wakeup).is_some() {
            self.flags.wake_up.store(false, Ordering::Release);
        }
    }
}

/// Listens for signals in a thread of its own. The first SIGTERM or SIGINT sets `stop`; a second one ends the program
/// at once.
///
/// # Errors
/// The system's.
pub fn listen_for_signals(signals: Signals, event_sender: EventSender, stop: Shutdown) -> std::io::Result<()> {
    signals.listen(move |signal| match signal {
        SignalRequest::Reload => event_sender.reload(),
        SignalRequest::Stop(signal) if stop.is_set() => {
            log::logger().flush();
            std::process::exit(128 + signal)
        }
        SignalRequest::Stop(_) => {
            stop.set();
            // If the channel is full, the node is awake and asks `stop`.
            event_sender.offer(NodeEvent::Stop);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::commands::{Incoming, parse};
    use crate::publish::{Delivery, Topics};

    fn request(verb: &str) -> Request {
        let topics = Topics::new("ocr", "n").unwrap();
        let delivery = Delivery {
            topic: format!("ocr/n/cmd/{verb}"),
            payload: Vec::new(),
            retain: false,
            duplicate: false,
            response_topic: None,
            correlation: None,
            token: 0,
        };
        match parse(&topics, &[], &delivery) {
            Incoming::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn refused(result: Result<(), Box<(Request, CommandRejected)>>) -> Option<CommandRejected> {
        result.err().map(|refused| refused.1)
    }

    #[test]
    fn sighup_coalesces_and_survives_full_queue() {
        let (event_sender, event_receiver) = channel(&Shutdown::default());
        for _ in 0..WAITING + 1 {
            event_sender.offer(NodeEvent::Stop);
        }
        for _ in 0..10 * WAITING {
            event_sender.reload();
        }
        assert!(
            matches!(event_receiver.next(Duration::ZERO, false), Some(NodeEvent::Stop)),
            "it waits while one is checked"
        );
        let mut got = Vec::new();
        while let Some(event) = event_receiver.next(Duration::ZERO, true) {
            got.push(matches!(event, NodeEvent::Reload));
        }
        assert!(got.len() == WAITING && got[0] && !got[1..].contains(&true), "{got:?}");
        event_sender.reload();
        assert!(
            matches!(event_receiver.next(Duration::from_secs(30), true), Some(NodeEvent::Reload)),
            "and may be asked again"
        );
        assert!(matches!(event_receiver.next(Duration::ZERO, true), None | Some(NodeEvent::Wakeup)));
    }

    #[test]
    fn second_read_is_refused_until_first_is_done() {
        let (event_sender, event_receiver) = channel(&Shutdown::default());
        for verb in ["read", "reload"] {
            assert_eq!(refused(event_sender.command(request(verb))), None);
            assert_eq!(refused(event_sender.command(request(verb))), Some(CommandRejected::Pending));
            let Some(NodeEvent::Command(first)) = event_receiver.next(Duration::ZERO, true) else {
                panic!("no command")
            };
            assert_eq!(
                refused(event_sender.command(request(verb))),
                Some(CommandRejected::Pending),
                "while it is carried out"
            );
            event_receiver.done(&first.command);
            assert_eq!(refused(event_sender.command(request(verb))), None);
            assert!(matches!(event_receiver.next(Duration::ZERO, true), Some(NodeEvent::Command(_))));
        }
    }

    #[test]
    fn waiting_event_interrupts_until_taken() {
        let stop = Shutdown::default();
        let (event_sender, event_receiver) = channel(&stop);
        // Once, however often it is woken: commands need the room.
        for _ in 0..2 * WAITING {
            event_sender.wake_up();
        }
        assert!(stop.is_interrupted());
        assert_eq!(refused(event_sender.command(request("image"))), None);
        assert!(matches!(event_receiver.next(Duration::ZERO, true), Some(NodeEvent::Wakeup)));
        assert!(stop.is_interrupted(), "there may be more");
        assert!(matches!(event_receiver.next(Duration::ZERO, true), Some(NodeEvent::Command(_))));
        assert!(event_receiver.next(Duration::ZERO, true).is_none() && !stop.is_interrupted());
        event_sender.wake_up();
        assert!(stop.is_interrupted() && event_receiver.next(Duration::ZERO, true).is_some());
    }

    #[test]
    fn full_queue_refuses_commands() {
        let (event_sender, event_receiver) = channel(&Shutdown::default());
        for _ in 0..WAITING {
            assert_eq!(refused(event_sender.command(request("image"))), None, "of these each counts");
        }
        for verb in ["image", "read", "read"] {
            assert_eq!(refused(event_sender.command(request(verb))), Some(CommandRejected::Full), "{verb}");
        }
        assert!(event_receiver.next(Duration::ZERO, true).is_some());
        assert_eq!(refused(event_sender.command(request("read"))), None);
    }
}
