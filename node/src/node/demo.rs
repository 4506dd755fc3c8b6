//! `edge-ocr node --demo`: shipped images, a broker inside the program, and a subscriber that prints what it gets.
//!
//! For trying and for tests. The broker listens on the loopback address only, at a port that the system chooses, and
//! ends with the program.

use super::config::NodeConfig;
use crate::util::config_file;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// The images that the demo replays, by name.
const IMAGES: [(&str, &[u8]); 3] = [
    ("1-plate.jpg", include_bytes!("demo/plate.jpg")),
    ("2-word.png", include_bytes!("demo/word.png")),
    ("3-receipt.jpg", include_bytes!("demo/receipt.jpg")),
];

/// How long the broker may take to listen.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Messages that wait to be printed; a reader that stops loses the rest.
const WAITING: usize = 256;

/// A broker in threads of this process, and all that is published on it.
pub struct Broker {
    /// Where it listens.
    pub address: SocketAddr,
    /// Every message, as a subscriber to `#` gets it.
    pub messages: Receiver<Got>,
}

/// What a subscriber got.
#[derive(Clone, Debug)]
pub struct Got {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Broker {
    /// Starts it and waits until it takes connections.
    ///
    /// # Errors
    /// One sentence if no port can be had or the broker does not come up.
    pub fn start() -> Result<Broker, String> {
        // The broker takes no listener, only an address: a port that was free a moment ago.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|e| failed(&e))?;
        let config = format!(
            "id = 0\n\
             [router]\nid = 0\nmax_connections = 64\nmax_outgoing_packet_count = 200\nmax_segment_size = 1048576\n\
             max_segment_count = 10\n\
             [v4.1]\nname = 'demo'\nlisten = '{address}'\nnext_connection_delay_ms = 1\n\
             [v4.1.connections]\nconnection_timeout_ms = 5000\nmax_payload_size = 2097152\nmax_inflight_count = 100\n"
        );
        let mut broker = rumqttd::Broker::new(toml::from_str(&config).map_err(|e| failed(&e))?);
        let (mut to_broker, mut from_broker) = broker.link("demo-subscriber").map_err(|e| failed(&e))?;
        to_broker.subscribe("#").map_err(|e| failed(&e))?;
        thread("demo-broker", move || {
            if let Err(e) = broker.start() {
                log::error!("{}", failed(&e));
            }
        })?;
        let (sender, messages) = sync_channel(WAITING);
        thread("demo-subscriber", move || {
            // The link is deaf once its other half is gone.
            let _to_broker = to_broker;
            while let Ok(notification) = from_broker.recv() {
                let Some(rumqttd::Notification::Forward(forward)) = notification else { continue };
                let topic = String::from_utf8_lossy(&forward.publish.topic).into_owned();
                if sender.send(Got { topic, payload: forward.publish.payload.to_vec() }).is_err() {
                    return;
                }
            }
        })?;
        let deadline = Instant::now() + TIMEOUT;
        while TcpStream::connect_timeout(&address, TIMEOUT).is_err() {
            if Instant::now() > deadline {
                return Err(failed(&"it does not listen"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Broker { address, messages })
    }
}

/// Writes the demo's images into a folder.
///
/// # Errors
/// One sentence if that fails.
pub fn write_images(folder: &Path) -> Result<(), String> {
    for (name, bytes) in IMAGES {
        let path = folder.join(name);
        std::fs::write(&path, bytes)
            .map_err(|e| format!("the demo's image {} cannot be written: {e}", path.display()))?;
    }
    Ok(())
}

/// The node of the demo: it reads the page, an image a second.
///
/// # Errors
/// One sentence; none is expected.
pub fn config(broker: SocketAddr, images: &Path) -> Result<NodeConfig, String> {
    let text = format!(
        "[source]\nkind = 'replay'\npath = {:?}\nloop = true\nframes_per_s = 1.0\n\
         [[field]]\nname = 'text'\nmode = 'page'\n\
         [mqtt]\nhost = '{}'\nport = {}\n[topics]\nnode_id = 'demo'\n[discovery]\nenabled = true\n",
        images.display().to_string(),
        broker.ip(),
        broker.port(),
    );
    config_file::parse(&text, "the demo's configuration")
}

fn failed(reason: &dyn std::fmt::Display) -> String {
    format!("the demo's broker cannot be started: {reason}")
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    std::thread::Builder::new().name(name.into()).spawn(work).map(drop).map_err(|e| failed(&e))
}
