//! What the program runs on, as far as the system says.

use edge_ocr::board::{self, value};
use edge_ocr::config::Config;
use serde::Serialize;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

/// A line of a table of boards.
#[derive(Serialize)]
pub struct Machine {
    pub arch: &'static str,
    pub os: &'static str,
    /// Model of the processor.
    pub cpu: Option<String>,
    /// Model of the board, where it has a device tree.
    pub board: Option<String>,
    /// Processors that this program may use.
    pub cores: usize,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        let model = fs::read_to_string("/proc/device-tree/model").ok();
        Machine {
            arch: std::env::consts::ARCH,
            os: std::env::consts::OS,
            cpu: board::Machine::here().cpu,
            board: model.map(|name| name.trim_matches(['\0', ' ', '\n']).to_string()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// The most memory that this process has had, where the system counts it.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes: u64 = value(&status, "VmHWM")?.trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024)
}

/// Milliseconds in which another process of this program starts, loads and reads the built-in image; nothing if it
/// cannot be started (under an emulator) or reads something else.
pub fn cold_start_ms(config: &Config) -> Option<f64> {
    let mut check = Command::new(std::env::current_exe().ok()?);
    check.args(["check", "--repeat", "1", "--engine", config.engine.name(), "--threads", &config.threads.to_string()]);
    if let Some(folder) = &config.models.folder {
        check.arg("--models-dir").arg(folder);
    }
    let start = Instant::now();
    let status = check.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    status.success().then(|| start.elapsed().as_secs_f64() * 1e3)
}
