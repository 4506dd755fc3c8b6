//! A mosquitto of one's own, where that is installed.
#![allow(dead_code)] // each test file uses a part

use edge_ocr::publish::mqtt::{MqttConfig, Protocol};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A mosquitto with a port of its own; killed when dropped.
pub struct Mosquitto {
    child: Child,
    pub port: u16,
    pub folder: tempfile::TempDir,
}

impl Mosquitto {
    /// `None`, and said, where there is none; a failure in CI. `more` is configuration.
    pub fn start(more: &str) -> Option<Mosquitto> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let config = format!("listener {port} 127.0.0.1\nallow_anonymous true\n{more}");
        fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        match run(folder.path()) {
            Some(child) => Some(Mosquitto { child, port, folder }),
            None => {
                crate::support::skip("mosquitto");
                None
            }
        }
    }

    /// As a power cut would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// On the same port.
    pub fn restart(&mut self) {
        self.child = run(self.folder.path()).unwrap();
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
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(folder: &Path) -> Option<Child> {
    // Debian puts it where only root's path leads.
    let names = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
    names.iter().find_map(|name| {
        let mut command = Command::new(name);
        command.arg("-c").arg(folder.join("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().ok()
    })
}
