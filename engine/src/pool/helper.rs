//! What a helper thread does: rounds of work, sleep, and rests where its core is crowded.

use super::cores::Affinity;
use super::shares::thread_time;
use super::wait::{Presence, Waits, spin};
use super::{RoundOutcome, Shared, discard};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The main loop of a helper thread.
pub(super) fn worker_loop(shared: &Shared, thread: usize) {
    shared.begun.fetch_add(1, Ordering::SeqCst);
    shared.parkers[0].unpark();
    let stop = || shared.stop.load(Ordering::SeqCst);
    let ready = || stop() || shared.rounds.has_work();
    let (mut presence, mut waits, mut last) = (Presence::new(), Waits::default(), Duration::ZERO);
    let mut affinity = Affinity::default();
    let (mut crowded, mut cpu) = (false, Duration::ZERO);
    while !stop() {
        if presence.is_crowded() != crowded {
            crowded = !crowded;
            shared.crowded.store(crowded, Ordering::Relaxed);
        }
        if shared.alone.load(Ordering::SeqCst) {
            shared.away[thread].park(|| stop() || !shared.alone.load(Ordering::SeqCst), None);
        }
        if !presence.may_work() {
            // Told before each rest, which is often enough for a measurement of many rests.
            let now = thread_time().unwrap_or_default();
            shared.helped.fetch_add(now.saturating_sub(cpu).as_nanos() as u64, Ordering::Relaxed);
            cpu = now;
            presence.rest(&shared.away[thread], stop);
            match presence.is_crowded() {
                true => shared.cores.part(thread, &mut affinity),
                false => affinity.restore(),
            }
            // Moving to another core may have taken as long as another program's slice.
            presence.slept();
        }
        let start = Instant::now();
        match shared.run_round(thread, &mut |_| {}, &|| presence.may_work()) {
            RoundOutcome::Nothing if spin(last, ready) => {}
            RoundOutcome::Nothing if !shared.is_over() && waits.long() => {
                waits = Waits::default();
                presence.crowded();
            }
            RoundOutcome::Nothing => {
                shared.parkers[thread].park(ready, None);
                presence.slept();
                shared.cores.note(thread);
            }
            RoundOutcome::Done { held_up } => {
                last = start.elapsed();
                waits.short();
                if held_up {
                    presence.crowded();
                }
            }
            RoundOutcome::Panicked(panic) => discard(panic),
        }
    }
}
