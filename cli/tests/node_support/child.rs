//! The program under test, as a child process.

use super::{SOON, wait_for, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Most lines of standard error that are kept; all are counted.
const MAX_LINES: usize = 2000;

/// Its file.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_edge-ocr");

/// What it said.
#[derive(Default)]
struct Said {
    lines: Vec<String>,
    count: usize,
    bytes: usize,
}

/// A running `edge-ocr`. Killed when dropped.
pub struct Program {
    child: Child,
    said: Arc<Mutex<Said>>,
    reader: Option<JoinHandle<()>>,
}

/// `edge-ocr` without arguments, out of reach of the tester's environment.
pub fn command() -> Command {
    command_of(Path::new(PROGRAM))
}

/// The same for another file with the program.
fn command_of(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in [
        "EDGE_OCR_MODELS",
        "RUST_LOG",
        "STATE_DIRECTORY",
        "CREDENTIALS_DIRECTORY",
        "JOURNAL_STREAM",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
    ] {
        command.env_remove(name);
    }
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdin(Stdio::null());
    command
}

/// Writes a node's configuration `node.toml` into `dir`: a digit five times a second with the broker on `port`,
/// unless `more` has another `[source]` or `[trigger]`. In `more`, `key = value` lines before the first table go to
/// `[mqtt]`. Its state is in `dir/state`.
pub fn node_config(dir: &Path, port: u16, more: &str) {
    let has = |table: &str| more.contains(table);
    let mut text = format!(
        "[mqtt]\nhost = '127.0.0.1'\nport = {port}\nkeep_alive_s = 15\nconnect_timeout_ms = 2000\nbackoff_min_ms = 100\nbackoff_max_ms = 1000\n{more}\n\
         [topics]\nnode_id = 'n'\n"
    );
    let mut add = |table: &str, lines: &str| {
        if !has(table) {
            text.push_str(&format!("{table}\n{lines}\n"));
        }
    };
    let state = dir.join("state");
    add("[node]", &format!("state_dir = {:?}\nstats_interval_s = 1", state.to_str().expect("UTF-8")));
    add("[source]", "kind = 'replay'\npath = 'tests/golden/digit.png'");
    add("[trigger]", "interval_s = 0.2");
    add("[[field]]", "name = 'a'\nmode = 'line'\nnumber = {}");
    add("[pipeline]", "threads = 1");
    fs::write(dir.join("node.toml"), text).expect("the configuration is written");
}

impl Program {
    /// Starts it with these arguments.
    pub fn start(arguments: &[&str]) -> Program {
        Program::spawn(command().args(arguments))
    }

    /// Starts a node by `dir/node.toml`.
    pub fn node(dir: &Path) -> Program {
        Program::spawn(command().args(["node", "--config"]).arg(dir.join("node.toml")))
    }

    /// The same as a service whose manager listens at `socket` and wants a sign of life within `watchdog`.
    pub fn node_of_manager(dir: &Path, socket: &Path, watchdog: Duration) -> Program {
        let mut command = command();
        command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        Program::spawn(command.args(["node", "--config"]).arg(dir.join("node.toml")))
    }

    /// The same, whose files cannot be longer than some KiB.
    pub fn node_with_short_files(dir: &Path) -> Program {
        let plain = command();
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -f 8 && exec \"$@\"", "sh"]).arg(plain.get_program());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        limited.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdin(Stdio::null());
        Program::spawn(limited.args(["node", "--config"]).arg(dir.join("node.toml")))
    }

    /// The same with another file of the program.
    pub fn node_of(program: &Path, dir: &Path) -> Program {
        Program::spawn(command_of(program).args(["node", "--config"]).arg(dir.join("node.toml")))
    }

    /// The same, which tells much, to a standard error of the caller's.
    pub fn node_that_tells(dir: &Path, stderr: impl Into<Stdio>) -> Program {
        let mut command = command();
        command.args(["-vv", "node", "--config"]).arg(dir.join("node.toml")).stdout(Stdio::null()).stderr(stderr);
        Program { child: command.spawn().expect("the program starts"), said: Arc::default(), reader: None }
    }

    /// Reads what it says from somewhere else.
    pub fn read(&mut self, from: impl Read + Send + 'static) {
        let said = self.said.clone();
        self.reader = Some(std::thread::spawn(move || {
            for line in BufReader::new(from).lines() {
                let Ok(line) = line else { return };
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.count += 1;
                said.bytes += line.len();
                if said.lines.len() < MAX_LINES {
                    said.lines.push(line);
                }
            }
        }));
    }

    fn spawn(command: &mut Command) -> Program {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("a pipe");
        let mut program = Program { child, said: Arc::default(), reader: None };
        program.read(stderr);
        program
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process");
        kill_process(pid, signal).expect("it is there");
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end and gives its exit code.
    pub fn exit_code(&mut self, deadline: Duration) -> Option<i32> {
        let status: ExitStatus = wait_until(deadline, || self.child.try_wait().expect("a child"))?;
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        status.code()
    }

    /// The lines on standard error so far, the first 2000 of them.
    pub fn lines(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    /// Lines and bytes on standard error so far, all of them.
    pub fn said(&self) -> (usize, usize) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        (said.count, said.bytes)
    }

    /// How many lines on standard error have this part.
    pub fn count(&self, part: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(part)).count()
    }

    /// Waits until a line on standard error has this part; fails if none comes.
    pub fn expect(&self, part: &str) {
        assert!(wait_for(SOON, || self.count(part) > 0), "it does not say {part:?}: {:#?}", self.lines());
    }

    /// Its resident memory now and at its most, bytes; 0 where that is not to be known.
    pub fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().find_map(|word| word.parse::<u64>().ok()).unwrap_or(0) << 10
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    /// Processor time that it has had.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.pid())
    }

    /// How long its threads could have run and had no processor; 0 where that is not to be known.
    pub fn queued_seconds(&self) -> f64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).into_iter().flatten().flatten();
        let nanoseconds = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split_whitespace().nth(1)?.parse::<f64>().ok()
        };
        threads.filter_map(nanoseconds).sum::<f64>() / 1e9
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let lines = self.lines();
            eprintln!("the program said:\n{}", lines[..lines.len().min(60)].join("\n"));
        }
    }
}

/// Processor time that a process has had, all its threads together; 0 where that is not to be known.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name, which may have anything in it: utime and stime are 14 and 15 in proc(5), in hundredths on every
    // Linux.
    let rest = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum::<f64>();
    ticks / 100.0
}
