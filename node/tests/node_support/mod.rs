//! What the tests of the node have around them: a broker, a bad network, a listener, a camera. All of it on ports of
//! 127.0.0.1 that the system chooses.
#![allow(dead_code, unused_imports)] // each test file uses a part

pub mod camera;
pub mod mosquitto;
pub mod proxy;
pub mod subscriber;

pub use camera::{Behaviour, HttpCamera};
pub use mosquitto::Mosquitto;
pub use proxy::Proxy;
pub use subscriber::Subscriber;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Long enough for anything that works, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(30);

/// Whether the long forms of tests are wanted, which take many minutes: `EDGE_OCR_TORTURE=full`.
pub fn full() -> bool {
    std::env::var_os("EDGE_OCR_TORTURE").is_some_and(|value| value == "full")
}

/// Milliseconds since 1970, as the node counts them.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a clock of this age")
}

/// Asks until `condition` gives something, at most for `deadline`; `None` then.
pub fn wait_until<T>(deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        // Asked once more after the end: the machine may have been busy with something else.
        let last = Instant::now() >= end;
        match condition() {
            Some(value) => return Some(value),
            None if last => return None,
            // What is waited for happens in another thread or process.
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Whether `condition` becomes true within `deadline`.
pub fn wait_for(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    wait_until(deadline, || condition().then_some(())).is_some()
}

/// Whether a missing thing is a failure: yes in CI, where everything must be there; elsewhere the test says that it
/// skips.
fn skip(what: &str) -> bool {
    assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "CI needs {what}");
    eprintln!("skipped: {what} not here");
    true
}
