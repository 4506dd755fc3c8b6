//! Feeds the service manager's watchdog, and checks whether the board can keep its limit.
//!
//! It is fed where the node makes progress: each turn of the loop, each frame, each field, each run of a network. Two
//! waits feed it by time, in slices: the wait for the camera (`Shutdown::watched`) and, before a reload, the wait for
//! the broker to take the last records (`reload.rs`). Each has an end, so a node that hangs is killed.

use super::config::NodeConfig;
use super::systemd::ServiceManager;
use crate::publish::Handle;
use edge_ocr::config::{Engine, Mode};
use edge_ocr::infer::arena::{self, Isa};
use edge_ocr::target;
use std::time::{Duration, Instant};

/// A publisher that did not go round for this long is stuck: the watchdog is no longer fed.
const PUBLISHER_SILENCE: Duration = Duration::from_secs(60);

/// Feeds the watchdog on progress.
#[derive(Clone)]
pub struct Progress {
    manager: ServiceManager,
    publisher: Handle,
}

impl Progress {
    /// Progress counts only as long as `publisher` goes round, too.
    pub fn new(manager: ServiceManager, publisher: Handle) -> Progress {
        Progress { manager, publisher }
    }

    /// The node has made progress.
    pub fn made(&self) {
        if self.publisher.silent_for() < PUBLISHER_SILENCE {
            self.manager.feed_watchdog(Instant::now());
        }
    }
}

/// Whether a node by `config` can keep a watchdog of `limit` on this board.
///
/// # Errors
/// One sentence.
pub fn check(config: &NodeConfig, limit: Duration) -> Result<(), String> {
    let board = arena::isa().ok().and_then(Board::of);
    match board.filter(|_| config.pipeline.engine == Engine::Arena) {
        Some(board) => board.check(config, limit),
        None => Ok(()),
    }
}

/// Times of the slowest board with some kernels, with one thread, estimated from counts of instructions: see the
/// section "Watchdog" of `docs/boards.md`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Board {
    /// The detector on a canvas of 640x640 pixels.
    detect_ms: u64,
    /// The recogniser on a line of 320x48 pixels; wider ones take as much longer.
    recognise_ms: u64,
}

impl Board {
    /// None for kernels whose slowest machine takes less than a second for anything.
    fn of(isa: Isa) -> Option<Board> {
        match isa {
            // ARM1176 of 700 MHz.
            Isa::ArmDsp => Some(Board { detect_ms: 31_000, recognise_ms: 6_200 }),
            // Cortex-A53 of 1 GHz.
            Isa::NeonSadalp => Some(Board { detect_ms: 2_500, recognise_ms: 500 }),
            _ => None,
        }
    }

    /// The longest that the node runs a network without an end that could feed the watchdog.
    fn slowest_step(self, config: &NodeConfig) -> Duration {
        let area = |[width, height]: &[usize; 2]| width * height;
        let canvas = target::CANVASES_PX.iter().map(area).max().unwrap_or(0) as u64;
        let width = target::WIDTHS_PX.iter().max().copied().unwrap_or(0) as u64;
        let page = config.fields.iter().any(|field| field.read.mode == Mode::Page);
        let detect = if page { self.detect_ms * canvas / (640 * 640) } else { 0 };
        Duration::from_millis(detect.max(self.recognise_ms * width / 320))
    }

    fn check(self, config: &NodeConfig, limit: Duration) -> Result<(), String> {
        let step = self.slowest_step(config);
        // The end of a step may come when the watchdog was fed just less than a third of the limit ago, and then not be
        // needed.
        match step <= limit * 2 / 3 {
            true => Ok(()),
            false => Err(format!(
                "the service manager's watchdog of {} s cannot be kept because a network may run for {} s at a time on \
                 this board (estimated); set WatchdogSec to {} or more",
                limit.as_secs_f32(),
                step.as_secs_f32(),
                (step * 3 / 2).as_secs() + 1
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::FieldSection;

    /// Of the shipped unit.
    fn shipped() -> Duration {
        let unit = include_str!("../../../packaging/systemd/edge-ocr.service");
        let seconds = unit.lines().find_map(|line| line.strip_prefix("WatchdogSec="));
        Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).expect("seconds"))
    }

    fn config(mode: Mode) -> NodeConfig {
        let mut config = NodeConfig { fields: vec![FieldSection::default()], ..NodeConfig::default() };
        config.fields[0].read.mode = mode;
        config
    }

    #[test]
    fn shipped_watchdog_fits_the_slowest_boards() {
        for isa in [Isa::ArmDsp, Isa::NeonSadalp] {
            let board = Board::of(isa).unwrap();
            for mode in [Mode::Line, Mode::Page] {
                assert_eq!(board.check(&config(mode), shipped()), Ok(()), "{isa}");
            }
        }
    }

    #[test]
    fn watchdog_shorter_than_one_run_is_refused() {
        let board = Board::of(Isa::ArmDsp).unwrap();
        for mode in [Mode::Line, Mode::Page] {
            let said = board.check(&config(mode), Duration::from_secs(20)).unwrap_err();
            assert!(said.contains("watchdog of 20 s") && said.contains("set WatchdogSec to "), "{said}");
            let least: u64 = said.rsplit(' ').nth(2).unwrap().parse().unwrap();
            assert_eq!(board.check(&config(mode), Duration::from_secs(least)), Ok(()));
        }
    }
}
