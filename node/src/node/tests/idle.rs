//! How long a node sleeps that has nothing to do.

use super::super::events::NodeEvent;
use super::*;

const LONG: Duration = Duration::from_secs(60);

/// The node slept for half a second, whatever was due next, and asked the publisher each time.
#[test]
fn idle_node_sleeps_until_due_or_woken() {
    let mut rig = Rig::new();
    let sleep = |rig: &mut Rig| {
        rig.node.housekeeping();
        let now = Instant::now();
        rig.node.next_housekeeping(now) - now
    };
    assert!(sleep(&mut rig) > Duration::from_secs(9));
    rig.node.announce_at = Some(Instant::now() + Duration::from_secs(3));
    assert!(sleep(&mut rig) <= Duration::from_secs(3));
    rig.node.announce_at = None;
    rig.wire.push(Event::Connected);
    let woken = rig.node.process.event_receiver.next(LONG, true);
    assert!(matches!(woken, Some(NodeEvent::Wakeup)), "{woken:?}");
    assert!(rig.node.publisher.connected() && sleep(&mut rig) > Duration::from_secs(9));
    rig.node.close(&Ok(Ended::Stopped));
}

/// A source that waits for files.
struct Waiting;

impl FrameSource for Waiting {
    fn next(&mut self, timeout: Duration, stop: &Shutdown) -> Result<Captured, CameraError> {
        let end = Instant::now() + timeout;
        assert!(stop.wait_or_interrupt(end));
        assert!(Instant::now() < end || !stop.is_interrupted(), "it waited although there was something to do");
        Err(CameraError::NothingNew { source_name: "waiting".into() })
    }

    fn describe(&self) -> String {
        "files".into()
    }
}

/// Commands were carried out when the wait for files was over, which lasted half a second.
#[test]
fn command_ends_the_wait_for_files() {
    let mut rig = Rig::new();
    rig.node.source = Box::new(Waiting);
    (rig.node.is_file_source, rig.node.schedule) = (true, None);
    let (event_sender, begun) = (rig.node.process.event_sender.clone(), Instant::now());
    std::thread::scope(|scope| {
        scope.spawn(|| event_sender.wake_up());
        assert_eq!(rig.node.run_cycle_until(begun + LONG).unwrap(), CycleOutcome::NothingNew);
    });
    assert!(begun.elapsed() < LONG);
    rig.node.close(&Ok(Ended::Stopped));
}
