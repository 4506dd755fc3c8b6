//! A child process that is never left behind.

use super::messages::presentable;
use super::pipe::Pipe;
use crate::util::latch::Latch;
use std::io::Read;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// How long a program has to end by itself after it was asked to.
const GRACE: Duration = Duration::from_millis(300);
/// How long a killed program is waited for. One that the kernel does not let go is left to a thread.
const REAP: Duration = Duration::from_secs(2);
/// How long to wait for its last messages.
const LAST_LINE_WAIT: Duration = Duration::from_millis(200);
/// How often to look for killed processes that are not gone yet; and for the program where the system tells nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// A line that is longer is taken for several.
const MAX_READ_BYTES: usize = 4096;
/// Most lines of its messages in a period that go to the log.
const MAX_LINES: usize = 5;
const PERIOD: Duration = Duration::from_secs(60);

/// A running program in a process group of its own. Dropping it ends the group.
pub struct Program {
    child: Option<Child>,
    /// Set when it has ended, whether it is reaped or not: its pipes then end, even if another process holds them.
    exited: Latch,
    last_line: Arc<Mutex<Vec<u8>>>,
    /// Set when all of its messages are read.
    relayed: Latch,
}

impl Program {
    /// Starts `command`: no shell, no input, messages to the log under `name`.
    ///
    /// # Errors
    /// The system's reason.
    pub fn start(command: &[String], name: &str) -> std::io::Result<(Program, Pipe<ChildStdout>)> {
        let mut start = Command::new(command.first().map_or("", String::as_str));
        start.args(command.iter().skip(1)).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // So that what it starts itself can be ended with it, and a Ctrl-C of ours does not reach it before us.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut start, 0);
        let mut child = start.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut program = Program {
            child: Some(child),
            exited: Latch::default(),
            last_line: Arc::default(),
            relayed: Latch::default(),
        };
        #[cfg(unix)]
        program.watch().inspect_err(|_| {
            // Nothing would tell of its end.
            program.signal(true);
            let _ = program.child.take().map(|mut child| child.wait());
        })?;
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
        let (last_line, relayed, name) = (program.last_line.clone(), program.relayed.clone(), name.to_owned());
        let stderr = Pipe::new(stderr, program.exited.clone());
        Builder::new().name("messages".into()).spawn(move || {
            relay(stderr, &last_line, &name);
            relayed.set();
        })?;
        let stdout = Pipe::new(stdout, program.exited.clone());
        Ok((program, stdout))
    }

    /// Sees when it ends, in a thread of its own: kernels before Linux 5.3 have no descriptor for that. It is not reaped
    /// there, so that its number stays its own.
    #[cfg(unix)]
    fn watch(&self) -> std::io::Result<()> {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let Some(pid) = self.child.as_ref().map(Pid::from_child) else { return Ok(()) };
        let exited = self.exited.clone();
        let work = move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
            exited.set();
        };
        Builder::new().name("exit".into()).spawn(work).map(drop)
    }

    /// Set when it has ended.
    pub fn exited(&self) -> &Latch {
        &self.exited
    }

    /// The last line of its messages, made fit for a sentence; empty if there was none.
    pub fn last_line(&self) -> String {
        // When the child has ended, its last messages may still be in the pipe for a moment.
        if self.child.is_none() {
            self.relayed.wait(Instant::now() + LAST_LINE_WAIT);
        }
        presentable(&self.last_line.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for its end until `end`; `None` if it still runs. What it left running in its group is ended with it.
    pub fn wait(&mut self, end: Instant) -> Option<ExitStatus> {
        if !self.leader_ended(end) {
            return None;
        }
        // It is not reaped yet, so the group's number is still its own.
        self.signal(true);
        let child = self.child.as_mut()?;
        #[cfg(unix)]
        let group = rustix::process::Pid::from_child(child);
        let status = child.try_wait().ok()?;
        if status.is_some() {
            self.child = None;
            #[cfg(unix)]
            reap(group);
        }
        status
    }

    /// Ends it and all that it started: asks, and after a moment does not ask.
    pub fn end(&mut self) {
        if self.child.is_none() {
            return;
        }
        self.signal(false);
        if self.wait(Instant::now() + GRACE).is_some() {
            return;
        }
        self.signal(true);
        if self.wait(Instant::now() + REAP).is_none()
            && let Some(mut child) = self.child.take()
        {
            self.exited.set();
            // In an uninterruptible call of a driver: whenever that returns.
            log::warn!("a killed program does not end; it is waited for in the background");
            let _ = Builder::new().name("reaper".into()).spawn(move || child.wait());
        }
    }

    /// Whether the program ends before `end`, without reaping it.
    #[cfg(unix)]
    fn leader_ended(&self, end: Instant) -> bool {
        self.child.is_none() || self.exited.wait(end)
    }

    #[cfg(not(unix))]
    fn leader_ended(&mut self, end: Instant) -> bool {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.child.as_mut().map(Child::try_wait) {
                None | Some(Ok(Some(_))) => {
                    self.exited.set();
                    return true;
                }
                Some(Ok(None)) if !left.is_zero() => std::thread::sleep(left.min(POLL_INTERVAL)),
                _ => return false,
            }
        }
    }

    #[cfg(unix)]
    fn signal(&mut self, kill: bool) {
        use rustix::process::{Pid, Signal, kill_process_group};
        if let Some(child) = &self.child {
            // Not reaped, hence the number is not another one's.
            let _ = kill_process_group(Pid::from_child(child), if kill { Signal::KILL } else { Signal::TERM });
        }
    }

    #[cfg(not(unix))]
    fn signal(&mut self, kill: bool) {
        if kill && let Some(child) = &mut self.child {
            let _ = child.kill();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reaps orphaned grandchildren. Only needed when the node is PID 1 of a container: orphans are re-parented to it and
/// would stay zombies. Any other node has no such children, and `waitid` says so at once.
#[cfg(unix)]
fn reap(group: rustix::process::Pid) {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let end = Instant::now() + GRACE;
    loop {
        match waitid(WaitId::Pgid(Some(group)), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(_)) => {}
            // Killed, but not gone yet.
            Ok(None) if Instant::now() < end => std::thread::sleep(POLL_INTERVAL),
            _ => return,
        }
    }
}

/// Reads a program's messages to their end: keeps the last line, and gives the log a few.
fn relay(mut stderr: Pipe<ChildStderr>, last_line: &Mutex<Vec<u8>>, name: &str) {
    let (mut since, mut lines, mut dropped) = (Instant::now(), 0, 0_u64);
    let mut tell = |line: &[u8]| {
        if line.iter().all(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return;
        }
        if since.elapsed() >= PERIOD {
            if dropped > 0 {
                log::info!("{name}: {dropped} more lines");
            }
            (since, lines, dropped) = (Instant::now(), 0, 0);
        }
        lines += 1;
        if lines <= MAX_LINES {
            log::info!("{name}: {}", presentable(line));
        } else {
            dropped += 1;
        }
        // Made presentable when it is asked for: doing so for each line of a flood takes longer than a frame may.
        let mut last = last_line.lock().unwrap_or_else(PoisonError::into_inner);
        last.clear();
        last.extend_from_slice(line);
    };
    let (mut chunk, mut line) = (vec![0; MAX_READ_BYTES], Vec::new());
    while let Ok(read @ 1..) = stderr.read(&mut chunk) {
        for part in chunk[..read].split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") || line.len() >= MAX_READ_BYTES {
                tell(&line);
                line.clear();
            }
        }
    }
    tell(&line);
}
