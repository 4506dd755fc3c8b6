//! What was too large for the broker.

use super::connection::Size;
use std::time::{Duration, Instant};

/// It is not tried again for so long. Then it is: somebody may have raised the limit.
const LONG: Duration = Duration::from_secs(600);
/// For so long if the broker may have started again since.
const SHORT: Duration = Duration::from_secs(60);

/// The smallest message that was too large. Its refusal ends the connection, so it is not to be tried often.
pub(super) struct TooLarge {
    pub size: Size,
    at: Instant,
    until: Instant,
    /// Whether the connection was made that the refusal made necessary.
    followed: bool,
}

impl TooLarge {
    pub fn new(size: Size, now: Instant) -> TooLarge {
        TooLarge { size, at: now, until: now + LONG, followed: false }
    }

    /// A connection was made. If it is not the one that follows the refusal, the broker may be another now.
    pub fn connected(&mut self, now: Instant) {
        if std::mem::replace(&mut self.followed, true) || now.duration_since(self.at) >= SHORT {
            self.until = self.until.min(self.at + SHORT);
        }
    }

    /// Whether a message of this size is refused without being sent.
    pub fn refuses(&self, size: Size, now: Instant) -> bool {
        now < self.until && size.reaches(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_connection_tries_again_but_not_often() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (small, large) = (Size { payload: 9, packet: 20 }, Size { payload: 10, packet: 21 });
        let refused = || TooLarge::new(large, start);
        let mut same = refused();
        same.connected(at(1));
        assert!(same.refuses(large, at(599)) && !same.refuses(small, at(1)) && !same.refuses(large, at(600)));
        // The limit was raised, and the broker restarted.
        let mut restarted = refused();
        restarted.connected(at(1));
        restarted.connected(at(100));
        assert!(!restarted.refuses(large, at(100)));
        // Connections that are lost all the time.
        let mut often = refused();
        for seconds in 1..60 {
            often.connected(at(seconds));
            assert!(often.refuses(large, at(seconds)));
        }
        assert!(!often.refuses(large, at(60)));
        // It was away for long.
        let mut away = refused();
        away.connected(at(61));
        assert!(!away.refuses(large, at(61)));
    }
}
