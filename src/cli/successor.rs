//! The program that is to run next: the file that this one was started from, which an upgrade may have replaced.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What another version may take to check the configuration.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// Where the program is, and what it was at the start.
pub struct Successor {
    path: PathBuf,
    own: Option<Metadata>,
}

impl Successor {
    /// To be called at the start: what lies at that place later is what is to run next, be it another version.
    ///
    /// # Errors
    /// A sentence if the program does not find itself.
    pub fn find() -> Result<Successor, String> {
        let own =
            std::env::current_exe().map_err(|e| format!("the program cannot find itself: {e}; restart the node"))?;
        // Linux says this of a file that was replaced since.
        let replaced = own.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
        let own = replaced.filter(|_| !own.exists()).unwrap_or(own);
        // By the link that it was called by, if that led there: the next version may be where it leads then.
        let called = std::env::args_os().next().map(PathBuf::from).filter(|path| path.is_absolute());
        let path = called.filter(|called| same_file(called, &own)).unwrap_or(own);
        let own = path.metadata().ok();
        Ok(Successor { path, own })
    }

    /// Whether it can be started with this configuration: the same file surely can, another one is asked.
    ///
    /// # Errors
    /// Why not, in a sentence.
    pub fn check(&self, config: &Path) -> Result<(), String> {
        let about = self.path.metadata().map_err(|e| self.cannot(&e))?;
        if self.own.as_ref().is_some_and(|own| unchanged(own, &about)) {
            return Ok(());
        }
        if !about.is_file() {
            return Err(self.cannot(&"it is no file"));
        }
        let mut command = Command::new(&self.path);
        // What it says against the configuration belongs into the same log.
        command.args(["node", "--check-config", "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = edge_ocr::signals::let_through(|| command.spawn()).map_err(|e| self.cannot(&e))?;
        let approves = approves(&mut child);
        let _ = child.kill();
        let _ = child.wait();
        approves.map_err(|why| self.cannot(&why))
    }

    /// Runs it in the place of this program, with the same arguments; returns if that cannot be done, and says why.
    #[cfg(unix)]
    pub fn run(&self) -> String {
        use std::os::unix::process::CommandExt;
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| "edge-ocr".into());
        // What is in memory ends with this program.
        log::logger().flush();
        self.cannot(&Command::new(&self.path).arg0(name).args(arguments).exec())
    }

    /// No program can take another's place here.
    #[cfg(not(unix))]
    pub fn run(&self) -> String {
        "the configuration can be used; start the node anew for it".into()
    }

    fn cannot(&self, why: &dyn std::fmt::Display) -> String {
        format!("the program {} cannot be started anew: {why}; install it again", self.path.display())
    }
}

/// Whether the program says that the configuration can be used. Its status alone says nothing: a file that is no program is given to a shell, to
/// which an empty one is a script without fault.
fn approves(child: &mut Child) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) => break status,
            None if Instant::now() >= end => return Err(format!("it does not end in {} s", PATIENCE.as_secs())),
            None => std::thread::sleep(LOOK),
        }
    };
    if !status.success() {
        return Err(format!("asked to check the configuration it ends with {status}"));
    }
    match said(child).contains("can be used") {
        true => Ok(()),
        false => Err("it does not say that the configuration can be used".into()),
    }
}

/// What is there to read of what it has said, without waiting for those who still hold its output.
#[cfg(unix)]
fn said(child: &mut Child) -> String {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let Some(mut out) = child.stdout.take() else { return String::new() };
    let mut bytes = [0; 4096];
    let set = fcntl_getfl(&out).and_then(|flags| fcntl_setfl(&out, flags | OFlags::NONBLOCK));
    let count = set.ok().and_then(|()| std::io::Read::read(&mut out, &mut bytes).ok()).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

/// Reloads do not come here.
#[cfg(not(unix))]
fn said(_: &mut Child) -> String {
    String::new()
}

#[cfg(unix)]
fn unchanged(old: &Metadata, new: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    // The time of its change counts also what the mode says.
    let state = |about: &Metadata| (about.dev(), about.ino(), about.size(), about.ctime(), about.ctime_nsec());
    state(old) == state(new)
}

#[cfg(not(unix))]
fn unchanged(_: &Metadata, _: &Metadata) -> bool {
    false
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
