//! The node as a process that can be killed.

use super::wall_ms;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What several runs of a node have printed, one line after the other.
#[derive(Clone, Default)]
pub struct Printed(Arc<Mutex<Vec<String>>>);

impl Printed {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines().len()
    }

    /// All of them.
    pub fn all(&self) -> Vec<String> {
        self.lines().clone()
    }
}

/// A run of `edge-ocr node`. Killed when dropped.
pub struct NodeProcess {
    child: Child,
    reader: Option<JoinHandle<()>>,
    /// When it was started, milliseconds since 1970.
    pub started_ms: i64,
}

impl NodeProcess {
    /// Starts a node with this configuration. Its lines are added to `printed`, what it logs to the file `log`.
    pub fn start(config: &Path, log: &Path, printed: &Printed) -> NodeProcess {
        let started_ms = wall_ms();
        let log = File::options().create(true).append(true).open(log).expect("a log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_edge-ocr"))
            .args(["node", "--config"])
            .arg(config)
            .env_remove("EDGE_OCR_MODELS")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the node starts");
        let out = child.stdout.take().expect("its standard output");
        let printed = printed.clone();
        let reader = Some(std::thread::spawn(move || collect(out, &printed)));
        NodeProcess { child, reader, started_ms }
    }

    /// Kills it (SIGKILL), and waits until all that it has printed is there; milliseconds since 1970 of its end.
    pub fn kill(&mut self) -> i64 {
        let _ = self.child.kill();
        self.finished();
        wall_ms()
    }

    /// Asks it to end (SIGTERM); how it ended, if it did in time.
    pub fn terminate(&mut self, deadline: Duration) -> Option<ExitStatus> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal can be sent");
        super::wait_until(deadline, || self.child.try_wait().expect("it can be asked"))
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be asked")
    }

    /// Resident memory now, bytes.
    pub fn resident_bytes(&self) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?;
        kib.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    fn finished(&mut self) {
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whole lines only: a kill may come in the middle of one.
fn collect(out: ChildStdout, printed: &Printed) {
    let mut out = BufReader::new(out);
    let mut line = Vec::new();
    while out.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) && line.pop() == Some(b'\n') {
        printed.lines().push(String::from_utf8(std::mem::take(&mut line)).expect("UTF-8"));
    }
}
