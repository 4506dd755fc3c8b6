//! A broker made of bytes, for tests: it does what a real one should not.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Nothing in a test takes longer, unless it is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Listens on a port of its own and runs a script for each connection, each in a thread of its own.
pub(crate) struct FakeBroker {
    pub port: u16,
    pub connections: Arc<AtomicUsize>,
    packets: mpsc::Receiver<Packet>,
}

/// A packet as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    /// Type and flags.
    pub head: u8,
    pub body: Vec<u8>,
    /// Number of the connection, from 0.
    pub connection: usize,
}

impl Packet {
    pub fn kind(&self) -> u8 {
        self.head >> 4
    }

    pub fn is_publish(&self) -> bool {
        self.kind() == 3
    }

    /// Of a PUBLISH.
    pub fn topic(&self) -> String {
        let length = usize::from(u16::from_be_bytes([self.body[0], self.body[1]]));
        String::from_utf8_lossy(&self.body[2..2 + length]).into_owned()
    }

    /// Of a PUBLISH at least once, or of a packet that begins with it.
    pub fn pkid(&self) -> u16 {
        let at = if self.is_publish() { 2 + self.topic().len() } else { 0 };
        u16::from_be_bytes([self.body[at], self.body[at + 1]])
    }

    /// Whether `text` is somewhere in it.
    pub fn has(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

/// One connection.
pub(crate) struct Conn {
    pub number: usize,
    stream: TcpStream,
    log: mpsc::Sender<Packet>,
}

impl FakeBroker {
    /// Runs `script` for each connection, with CONNECT already read unless the script is for the raw connection.
    pub fn start(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> FakeBroker {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (log, packets) = mpsc::channel();
        let (count, script) = (Arc::clone(&connections), Arc::new(script));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (log, script) = (log.clone(), Arc::clone(&script));
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(DEADLINE)).unwrap();
                    let mut conn = Conn { number, stream, log };
                    script(&mut conn);
                    let _ = conn.stream.shutdown(Shutdown::Both);
                });
            }
        });
        FakeBroker { port, connections, packets }
    }

    /// The next packet of any connection.
    pub fn packet(&self) -> Packet {
        self.packets.recv_timeout(DEADLINE).expect("a packet")
    }

    /// The packets so far.
    pub fn packets(&self) -> Vec<Packet> {
        self.packets.try_iter().collect()
    }
}

impl Conn {
    /// The next packet; `None` at the end.
    pub fn read(&mut self) -> Option<Packet> {
        let mut head = [0];
        self.stream.read_exact(&mut head).ok()?;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).ok()?;
            length |= usize::from(byte[0] & 127) << shift;
            shift += 7;
            if byte[0] < 128 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        let packet = Packet { head: head[0], body, connection: self.number };
        let _ = self.log.send(packet.clone());
        Some(packet)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Reads CONNECT and accepts it: version 4 or 5 as it asks.
    pub fn accept(&mut self) -> Option<u8> {
        let connect = self.read()?;
        let version = connect.body[6];
        self.send(if version == 5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] });
        Some(version)
    }

    pub fn puback(&mut self, pkid: u16) {
        let [high, low] = pkid.to_be_bytes();
        self.send(&[0x40, 2, high, low]);
    }

    /// Does what is expected of a broker, for one packet. False at the end.
    pub fn serve(&mut self, version: u8) -> bool {
        let Some(packet) = self.read() else { return false };
        self.answer(&packet, version);
        packet.kind() != 14
    }

    pub fn answer(&mut self, packet: &Packet, version: u8) {
        match packet.kind() {
            3 if packet.head & 6 != 0 => self.puback(packet.pkid()),
            8 => {
                let [high, low] = packet.pkid().to_be_bytes();
                match version {
                    5 => self.send(&[0x90, 4, high, low, 0, 1]),
                    _ => self.send(&[0x90, 3, high, low, 1]),
                }
            }
            12 => self.send(&[0xd0, 0]),
            _ => {}
        }
    }

    /// A message at least once for the client.
    pub fn publish(&mut self, topic: &str, pkid: u16, payload: &[u8], version: u8, retain: bool) {
        let mut body = (topic.len() as u16).to_be_bytes().to_vec();
        body.extend(topic.as_bytes());
        body.extend(pkid.to_be_bytes());
        if version == 5 {
            body.push(0);
        }
        body.extend(payload);
        let mut packet = vec![0x32 | u8::from(retain)];
        let mut length = body.len();
        loop {
            let more = if length > 127 { 128 } else { 0 };
            packet.push((length % 128) as u8 | more);
            length /= 128;
            if length == 0 {
                break;
            }
        }
        packet.extend(body);
        self.send(&packet);
    }
}
