//! What the tests of several sources need: repeatable junk and an HTTP server that misbehaves on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use crate::fuzz::repeat;

/// A small generator (Marsaglia's xorshift), as in `tests/robustness.rs`: tests need repeatable junk, not randomness.
pub struct Junk(u64);

impl Junk {
    pub fn new(seed: u64) -> Junk {
        Junk(seed | 1)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n.max(1)
    }

    /// `bytes` with a few of them changed, cut out or added.
    pub fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..1 + self.below(8) {
            if damaged.is_empty() {
                break;
            }
            let at = self.below(damaged.len());
            match self.below(6) {
                0 => damaged.truncate(at),
                1 => drop(damaged.drain(at..(at + self.below(64)).min(damaged.len()))),
                2 => damaged[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                3 => damaged.insert(at, b"\r\n-:\"=,\xff"[self.below(8)]),
                _ => damaged[at] ^= 1 << self.below(8),
            }
        }
        damaged
    }
}

/// Waits until `holds`, for at most 20 seconds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A small PNG of one colour.
pub fn png(value: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    ::image::RgbImage::from_pixel(4, 3, ::image::Rgb([value; 3]))
        .write_to(&mut bytes, ::image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A TIFF with a small page of each of these colours.
#[cfg(feature = "formats")]
pub fn tiff(values: &[u8]) -> Vec<u8> {
    use ::tiff::encoder::{TiffEncoder, colortype::Gray8};
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
    for value in values {
        encoder.write_image::<Gray8>(4, 3, &[*value; 12]).unwrap();
    }
    bytes.into_inner()
}

/// A JPEG of an image with edges, so that its tables are really needed.
pub fn jpeg(seed: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..48 * 32 * 3).map(|i| ((i * 7 + i / 5 % 31 * usize::from(seed)) % 256) as u8).collect();
    let mut bytes = Vec::new();
    ::image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 70)
        .encode(&pixels, 48, 32, ::image::ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

/// Without its Huffman tables.
pub fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let (mut at, mut out) = (2, jpeg[..2].to_vec());
    loop {
        let marker = jpeg[at + 1];
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        if marker == 0xDA {
            out.extend(&jpeg[at..]);
            return out;
        }
        if marker != 0xC4 {
            out.extend(&jpeg[at..end]);
        }
        at = end;
    }
}

/// A request as the server got it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Method and path, without the version.
    pub line: String,
    /// Header lines.
    pub headers: Vec<String>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// An HTTP server on a free port of this machine.
pub struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Server {
    /// Answers every request by `answer`, which writes to the connection and says whether to keep it.
    pub fn start(answer: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Server { port, requests: Arc::default(), connections: Arc::default(), over: Arc::default() };
        let (requests, connections, over) = (server.requests.clone(), server.connections.clone(), server.over.clone());
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                if over.load(Ordering::Acquire) {
                    return;
                }
                connections.fetch_add(1, Ordering::AcqRel);
                let (answer, requests) = (answer.clone(), requests.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(request) = read_request(&mut reader) {
                        requests.lock().unwrap().push(request.clone());
                        if !answer(&request, &mut stream) {
                            let _ = stream.shutdown(std::net::Shutdown::Both);
                            return;
                        }
                    }
                });
            }
        });
        server
    }

    /// The address of `path` on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut request = Request::default();
    loop {
        let mut line = String::new();
        if reader.by_ref().take(65536).read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        match (line, request.line.is_empty()) {
            ("", _) => return Some(request),
            (line, true) => request.line = line.rsplit_once(' ')?.0.into(),
            (line, false) => request.headers.push(line.into()),
        }
    }
}

/// Writes an answer with a body and its length.
pub fn respond(stream: &mut TcpStream, status: &str, headers: &[&str], body: &[u8]) -> bool {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_ok()
}
