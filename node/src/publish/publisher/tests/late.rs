//! Records that are no news any more.

use super::*;

#[test]
fn what_is_historical() {
    for (captured, boot, now, historical) in [
        (100_000, "this", 100_000, false),
        (100_000, "this", 110_000, false),
        (100_000, "this", 110_001, true),
        (99_999, "this", 100_000, false),
        (100_000, "other", 100_000, true),
        (0, "this", 100_000, true),
        (200_000, "this", 100_000, false),
        (i64::MIN, "this", 100_000, true),
    ] {
        let mut rig = rig();
        rig.connect();
        rig.clock.store(now, Ordering::SeqCst);
        rig.add(&Record { boot_id: boot.into(), ..record(0, captured) });
        rig.step();
        assert_eq!(rig.transport.payloads()[0].contains("old"), historical, "{captured} {boot} {now}");
    }
}

#[test]
fn a_clock_that_is_put_back_makes_nothing_young() {
    let mut rig = rig();
    let long_ago = Instant::now().checked_sub(Duration::from_secs(11)).unwrap();
    // The clock showed 100,000 then.
    for (seq, captured, made) in [(0, 100_000, long_ago), (1, 50_000, Instant::now())] {
        rig.shared.age_tracker().made(seq, made);
        rig.add(&record(seq, captured));
    }
    rig.clock.store(50_000, Ordering::SeqCst);
    rig.connect();
    for expected in ["0 old at 50000", "1 at 50000"] {
        rig.step();
        assert_eq!(rig.transport.payloads().last().unwrap(), expected);
        rig.transport.ack();
        rig.step();
    }
}
