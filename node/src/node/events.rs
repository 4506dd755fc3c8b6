//! Events that interrupt the node's wait: signals, commands, the end of a check.

use crate::publish::commands::{Command, Request};
use crate::util::shutdown::Stop;
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
}

/// The sending end of the channel.
#[derive(Clone)]
pub struct EventSender {
    events: SyncSender<NodeEvent>,
    flags: Arc<Flags>,
}

/// A bounded channel of events.
pub fn channel() -> (EventSender, EventReceiver) {
    let (sender, receiver) = sync_channel(WAITING);
    let flags = Arc::<Flags>::default();
    (EventSender { events: sender, flags: flags.clone() }, EventReceiver { events: receiver, flags })
}

impl EventReceiver {
    /// The next event within `timeout`. With `reload` false, a SIGHUP stays pending until the current check has ended.
    pub fn next(&self, timeout: Duration, reload: bool) -> Option<NodeEvent> {
        let take_reload = || (reload && self.flags.reload.swap(false, Ordering::AcqRel)).then_some(NodeEvent::Reload);
        if let Some(event) = take_reload() {
            return Some(event);
        }
        match self.events.recv_timeout(timeout) {
            Ok(NodeEvent::Wakeup) => Some(take_reload().unwrap_or(NodeEvent::Wakeup)),
            Ok(NodeEvent::HomeAssistant(within)) => {
                self.flags.home_assistant.store(false, Ordering::Release);
                Some(NodeEvent::HomeAssistant(within))
            }
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                // No sender is left, so nothing will interrupt the wait.
                std::thread::sleep(timeout);
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
    /// Sends an event; false if the node has ended.
    fn send(&self, event: NodeEvent) -> bool {
        !matches!(self.events.try_send(event), Err(TrySendError::Disconnected(_)))
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
        match self.events.try_send(NodeEvent::Command(request)) {
            Err(TrySendError::Full(NodeEvent::Command(request))) => {
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
            && matches!(self.events.try_send(NodeEvent::HomeAssistant(within)), Err(TrySendError::Full(_)))
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

    /// Wakes the node. If the channel is full it is awake anyway.
    pub fn wake_up(&self) {
        self.send(NodeEvent::Wakeup);
    }
}

/// Listens for signals in a thread of its own. The first SIGTERM or SIGINT sets `stop`; a second one ends the program
/// at once.
///
/// # Errors
/// The system's.
pub fn listen_for_signals(signals: Signals, event_sender: EventSender, stop: Stop) -> std::io::Result<()> {
    signals.listen(move |signal| match signal {
        SignalRequest::Reload => event_sender.reload(),
        SignalRequest::Stop(signal) if stop.is_set() => {
            log::logger().flush();
            std::process::exit(128 + signal)
        }
        SignalRequest::Stop(_) => {
            stop.set();
            event_sender.send(NodeEvent::Stop);
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
        let (event_sender, event_receiver) = channel();
        for _ in 0..WAITING + 1 {
            event_sender.send(NodeEvent::Stop);
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
        let (event_sender, event_receiver) = channel();
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
    fn full_queue_refuses_commands() {
        let (event_sender, event_receiver) = channel();
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
