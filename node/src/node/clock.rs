//! What the node knows of time: which run this is, how late it is, and whether the clock can be believed.

use super::schedule::Now;
use crate::publish::topics::node_id_of;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Seconds since 1970 of 2026-01-01: a clock before that was never set. A Raspberry Pi has none that runs without
/// power.
const BUILT_AFTER_S: i64 = 1_767_225_600;

/// The clocks of one run of the node: everything in it that asks for the time of day asks here.
#[derive(Clone)]
pub struct Clock {
    boot_id: String,
    start: Instant,
    wall: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Clock {
    /// The clocks of a run that begins now.
    pub fn start() -> Clock {
        Clock::with_wall(SystemTime::now)
    }

    /// The clocks with another wall clock: one that a test sets.
    pub fn with_wall(wall: impl Fn() -> SystemTime + Send + Sync + 'static) -> Clock {
        Clock { boot_id: random_id(), start: Instant::now(), wall: Arc::new(wall) }
    }

    /// What the wall clock shows. It may jump, forwards and back.
    pub fn now(&self) -> SystemTime {
        (self.wall)()
    }

    /// The wall clock in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        unix_ms(self.now())
    }

    /// Both clocks, for schedules.
    pub fn both(&self) -> Now {
        Now { mono: Instant::now(), wall: self.now() }
    }

    /// Names this run: 16 hexadecimal digits.
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Milliseconds since the run began; never falls, whatever happens to the wall clock.
    pub fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Milliseconds since 1970.
pub fn unix_ms(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

/// Whether the wall clock is known to be set when it shows `now`: systemd-timesyncd says so where it runs; elsewhere
/// a date after this program was written is believed.
pub fn is_synced(now: SystemTime) -> bool {
    let timesync = Path::new("/run/systemd/timesync");
    let synchronised = !timesync.exists() || timesync.join("synchronized").exists();
    synchronised && is_plausible(now)
}

/// Whether a clock that was set could have shown this.
pub fn is_plausible(at: SystemTime) -> bool {
    unix_ms(at) / 1000 >= BUILT_AFTER_S
}

/// 64 random bits in hexadecimal. From the system; if that has none to give, from the hash seeds of std.
fn random_id() -> String {
    let mut bytes = [0u8; 8];
    if getrandom::fill(&mut bytes).is_err() {
        use std::hash::{BuildHasher, RandomState};
        bytes = RandomState::new().hash_one(SystemTime::now()).to_ne_bytes();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name for this machine that stays: the first 12 hexadecimal digits of a hash of `/etc/machine-id`, which itself
/// must not be published (machine-id(5)). `None` where there is none.
pub fn machine_name() -> Option<String> {
    let id = std::fs::read_to_string("/etc/machine-id").ok()?;
    let id = id.trim();
    if id.len() < 16 || id == "uninitialized" {
        return None;
    }
    Some(node_id_of(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn runs_have_names_of_their_own() {
        let (a, b) = (Clock::start(), Clock::start());
        assert_ne!(a.boot_id(), b.boot_id());
        assert!(a.boot_id().len() == 16 && a.boot_id().bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(a.monotonic_ms() <= a.monotonic_ms());
    }

    #[test]
    fn dates_before_1970_are_dates() {
        assert_eq!(unix_ms(UNIX_EPOCH + Duration::from_millis(1500)), 1500);
        assert_eq!(unix_ms(UNIX_EPOCH - Duration::from_millis(1500)), -1500);
        assert!(!is_synced(UNIX_EPOCH + Duration::from_secs(86_400)), "a clock that was never set");
    }
}
