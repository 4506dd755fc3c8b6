//! Whether helpers are of use while other programs want all cores.
//!
//! A scheduler spreads threads evenly. Three of them on two cores mostly lie so that the caller has a core of its own;
//! with a helper there are four, and the caller shares its core, too: two halves instead of a whole one, and whenever
//! the system stops one of the two, the other soon waits for it. Which it is depends on where the system puts them, so
//! it is measured how much of the cores the pool gets. Below a limit helpers stay away for some time.

use std::time::{Duration, Instant};

/// How long it is measured what the pool gets, in time of work.
const WINDOW: Duration = Duration::from_millis(32);

/// With so many cores together helpers are worth it: the caller has about one, and they add to that. With fewer the
/// caller is as fast alone, or faster (`benches/results/2026-11-30-contention.md`).
const WORTH_HELPERS: f64 = 1.1;

/// How long helpers stay away before they are tried again.
const STAY_AWAY: Duration = Duration::from_secs(2);

/// Whether the caller works with helpers.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// Until when helpers stay away. `None`: they work.
    away_until: Option<Instant>,
    /// The system may place the threads again: the first window does not count.
    settling: bool,
    wall: Duration,
    cpu: Duration,
}

impl Shares {
    /// The pool worked for `wall`, and its threads had cores for `cpu`. True when helpers are to stay away from now
    /// on.
    pub fn worked(&mut self, wall: Duration, cpu: Duration, now: Instant) -> bool {
        self.wall += wall;
        self.cpu += cpu;
        if let Some(until) = self.away_until {
            if now >= until {
                *self = Shares { settling: true, ..Shares::default() };
            }
        } else if self.wall >= WINDOW {
            let cores = self.cpu.as_secs_f64() / self.wall.as_secs_f64();
            (self.wall, self.cpu) = (Duration::ZERO, Duration::ZERO);
            if !std::mem::take(&mut self.settling) && cores < WORTH_HELPERS {
                self.away_until = Some(now + STAY_AWAY);
            }
        }
        self.away_until.is_some()
    }
}

/// How long the calling thread has had a core, since some moment. `None` where the system does not say.
#[cfg(target_os = "linux")]
pub(super) fn thread_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn thread_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A pool works for `windows` windows and gets so many cores in each of them: in how many helpers stayed away.
    fn windows_away(shares: &mut Shares, start: Instant, windows: u32, cores: f64) -> usize {
        let mut window = |i| shares.worked(WINDOW, WINDOW.mul_f64(cores), start + WINDOW * i);
        (0..windows).filter(|i| window(*i)).count()
    }

    #[test]
    fn helpers_stay_where_they_add_to_a_core() {
        assert_eq!(windows_away(&mut Shares::default(), Instant::now(), 1000, 1.3), 0);
    }

    #[test]
    fn helpers_go_where_they_add_little() {
        let away = windows_away(&mut Shares::default(), Instant::now(), 1000, 0.95);
        assert!((900..1000).contains(&away), "{away}");
    }

    #[test]
    fn helpers_return_when_cores_are_free() {
        let (mut shares, start) = (Shares::default(), Instant::now());
        windows_away(&mut shares, start, 10, 0.95);
        let away = windows_away(&mut shares, start + WINDOW * 10, 1000, 1.9);
        assert!(WINDOW * away as u32 <= STAY_AWAY, "{away}");
    }

    #[test]
    fn short_jobs_are_added_up() {
        let (mut shares, now) = (Shares::default(), Instant::now());
        let jobs = (WINDOW.as_millis() / MS.as_millis()) as usize;
        let away: Vec<bool> = (0..jobs).map(|_| shares.worked(MS, MS / 2, now)).collect();
        assert!(away[jobs - 1] && !away[jobs - 2]);
    }
}
