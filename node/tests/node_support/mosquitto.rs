//! A real broker.

use super::{SOON, skip, wait_for, wait_until};
use edge_ocr_node::publish::mqtt::{MqttConfig, Protocol};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Mosquitto with a configuration and a directory of its own. Killed when dropped.
pub struct Mosquitto {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

/// Where it is installed: Debian's is not in the path of everyone.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|dir| dir.join("mosquitto")).find(|file| file.is_file())
}

impl Mosquitto {
    /// Whether it is installed.
    pub fn installed() -> bool {
        program().is_some()
    }

    /// Whether it is installed. If not, the test should end: it has been said that it skips; in CI this fails.
    pub fn available() -> bool {
        Mosquitto::installed() || !skip("mosquitto")
    }

    /// Starts one that forgets everything when it ends and lets anyone in.
    pub fn start() -> Mosquitto {
        Mosquitto::with_config("allow_anonymous true\npersistence false\n")
    }

    /// Starts one that keeps sessions and messages over a restart, also after [`kill`](Self::kill).
    pub fn persistent() -> Mosquitto {
        Mosquitto::with_config(
            "allow_anonymous true\npersistence true\nautosave_interval 1\nautosave_on_changes true\npersistence_location DIR/\n",
        )
    }

    /// Starts one with these lines of configuration, in which `DIR` stands for its directory; the listener is added.
    pub fn with_config(config: &str) -> Mosquitto {
        let dir = tempfile::tempdir().expect("a directory");
        let mut broker = Mosquitto { dir, port: 0, child: None };
        // Another program may take the port between our leaving it and the broker's taking it.
        for _ in 0..5 {
            broker.port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
            let path = broker.dir.path().to_str().expect("UTF-8");
            // Without the user it gives up root's rights, and with them its own directory.
            let config = format!("listener {} 127.0.0.1\nuser root\n{}", broker.port, config.replace("DIR", path));
            fs::write(broker.file("mosquitto.conf"), config).expect("the configuration is written");
            if broker.try_restart() {
                return broker;
            }
        }
        panic!("mosquitto does not start: {}", broker.log());
    }

    /// A file in its directory, for passwords, access lists and keys.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How to reach it.
    pub fn config(&self, protocol: Protocol) -> MqttConfig {
        MqttConfig {
            host: "localhost".into(),
            port: Some(self.port),
            protocol,
            backoff_min_ms: 100,
            backoff_max_ms: 400,
            ..MqttConfig::default()
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.file("log")).unwrap_or_default()).into_owned()
    }

    /// Kills it (SIGKILL): connections end, nothing is saved.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has: connections end, and what it is to keep is saved.
    pub fn terminate(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill_process(Pid::from_child(&child), Signal::TERM).expect("it is there");
            wait_until(SOON, || child.try_wait().expect("a child")).expect("it ends");
        }
    }

    /// Has it read its configuration and access list again (SIGHUP): connections stay.
    pub fn reload(&self) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), Signal::HUP).expect("it is there");
    }

    /// Starts it on the same port, with the same directory; kills it before if it still runs.
    pub fn restart(&mut self) {
        assert!(self.try_restart(), "mosquitto does not start again: {}", self.log());
    }

    fn try_restart(&mut self) -> bool {
        self.kill();
        let log = File::options().create(true).append(true).open(self.file("log")).expect("a log");
        let child = Command::new(program().expect("mosquitto; ask `available` first"))
            .arg("-v")
            .arg("-c")
            .arg(self.file("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("mosquitto starts");
        self.child = Some(child);
        let mut ended = false;
        let port = self.port;
        let ready = wait_for(SOON, || {
            ended = self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            let address = ([127, 0, 0, 1], port).into();
            ended || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        });
        ready && !ended
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            // The end, so that what failed is still to be seen above it.
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of mosquitto's log:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}
