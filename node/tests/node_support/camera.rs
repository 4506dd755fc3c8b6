//! A camera on the network, good or bad.

use base64::Engine;
use digest_auth::{AuthContext, AuthorizationHeader};
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Gives the body, with its length and this type.
    Body(&'static str, Vec<u8>),
    /// Gives a JPEG to those who know user and password (Basic).
    Basic { user: String, password: String, jpeg: Vec<u8> },
    /// Gives a JPEG to those who know user and password (Digest, MD5, a nonce that is used once if `once`).
    Digest { user: String, password: String, jpeg: Vec<u8>, once: bool },
    /// Answers with this status and no body.
    Status(u16),
    /// Sends the reader elsewhere.
    Redirect(String),
    /// Gives a JPEG in pieces of so many bytes with a pause after each.
    Slow { jpeg: Vec<u8>, piece_bytes: usize, pause: Duration },
    /// Takes the request and never answers.
    Hang,
    /// Closes the connection without an answer.
    Close,
    /// A body without a length that never ends.
    Endless,
    /// Says that the body is longer than it is, and closes the connection.
    Truncated(Vec<u8>),
    /// Bytes that are no HTTP.
    Junk,
    /// A stream (`multipart/x-mixed-replace`) of these JPEGs.
    Mjpeg(Mjpeg),
}

/// How a stream is made.
#[derive(Clone, Debug)]
pub struct Mjpeg {
    /// The images.
    pub frames: Vec<Vec<u8>>,
    /// Whether each part says how long it is.
    pub content_length: bool,
    /// The boundary, without the two hyphens before it.
    pub boundary: &'static str,
    /// Whether the type has the hyphens too, as of many cameras, and in quotes.
    pub odd_header: bool,
    /// Between images.
    pub interval: Duration,
    /// Whether it begins again after the last image; otherwise the connection is closed.
    pub repeat: bool,
    /// After so many images nothing comes any more, though the connection stays.
    pub stall_after: Option<usize>,
}

impl Mjpeg {
    /// A well-behaved stream that goes on for ever.
    pub fn new(frames: Vec<Vec<u8>>) -> Mjpeg {
        let interval = Duration::from_millis(20);
        Mjpeg {
            frames,
            content_length: true,
            boundary: "frame",
            odd_header: false,
            interval,
            repeat: true,
            stall_after: None,
        }
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method, a space, path with query.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A camera on 127.0.0.1, one thread for each connection, one request for each connection.
pub struct HttpCamera {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<Request>>,
    stop: AtomicBool,
    nonce: Mutex<u64>,
    /// Answers of earlier rounds end.
    round: AtomicUsize,
    /// Frames of streams that were sent.
    frames: AtomicUsize,
}

impl HttpCamera {
    /// Starts it.
    pub fn start(behaviour: Behaviour) -> HttpCamera {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (stop, nonce) = (AtomicBool::new(false), Mutex::new(1));
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            requests: Mutex::default(),
            stop,
            nonce,
            round: AtomicUsize::new(0),
            frames: AtomicUsize::new(0),
        });
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || {
                for stream in listener.incoming() {
                    if shared.stop.load(Ordering::Acquire) {
                        return;
                    }
                    let shared = shared.clone();
                    std::thread::spawn(move || stream.map(|stream| shared.answer(&stream)));
                }
            }
        });
        HttpCamera { port, shared, thread: Some(thread) }
    }

    /// Changes what it does with the next requests; see [`drop_streams`](Self::drop_streams) for those under way.
    pub fn set(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// Ends the answers that are under way, streams above all.
    pub fn drop_streams(&self) {
        self.shared.round.fetch_add(1, Ordering::AcqRel);
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT` and the path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The frames of streams that were sent so far.
    pub fn frames(&self) -> usize {
        self.shared.frames.load(Ordering::Acquire)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for HttpCamera {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn answer(&self, stream: &TcpStream) -> Option<()> {
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let _ = stream.set_write_timeout(Some(Duration::from_secs(10)));
        let request = read_request(stream)?;
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let behaviour = self.behaviour.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.act(&behaviour, &request, stream);
        let _ = stream.shutdown(Shutdown::Both);
        Some(())
    }

    fn act(&self, behaviour: &Behaviour, request: &Request, mut stream: &TcpStream) -> Option<()> {
        match behaviour {
            Behaviour::Body(kind, body) => whole(stream, kind, body),
            Behaviour::Basic { user, password, jpeg } => {
                let expected = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                match request.header("authorization") == Some(format!("Basic {expected}").as_str()) {
                    true => whole(stream, "image/jpeg", jpeg),
                    false => head(stream, 401, "WWW-Authenticate: Basic realm=\"camera\"\r\nContent-Length: 0\r\n"),
                }
            }
            Behaviour::Digest { user, password, jpeg, once } => {
                self.digest(request, stream, (user, password), jpeg, *once)
            }
            Behaviour::Status(status) => head(stream, *status, "Content-Length: 0\r\n"),
            Behaviour::Redirect(to) => head(stream, 302, &format!("Location: {to}\r\nContent-Length: 0\r\n")),
            Behaviour::Slow { jpeg, piece_bytes, pause } => {
                head(stream, 200, &format!("Content-Type: image/jpeg\r\nContent-Length: {}\r\n", jpeg.len()))?;
                for piece in jpeg.chunks((*piece_bytes).max(1)) {
                    stream.write_all(piece).ok()?;
                    self.pause(*pause, stream)?;
                }
                Some(())
            }
            Behaviour::Hang => self.pause(Duration::MAX, stream),
            Behaviour::Close => None,
            Behaviour::Endless => {
                head(stream, 200, "Content-Type: image/jpeg\r\n")?;
                stream.write_all(&[0xff, 0xd8]).ok()?;
                let round = self.round.load(Ordering::Acquire);
                while !self.stop.load(Ordering::Acquire) && self.round.load(Ordering::Acquire) == round {
                    stream.write_all(&[0; 16 << 10]).ok()?;
                }
                None
            }
            Behaviour::Truncated(body) => {
                head(stream, 200, &format!("Content-Type: image/jpeg\r\nContent-Length: {}\r\n", 2 * body.len()))?;
                stream.write_all(body).ok()
            }
            Behaviour::Junk => stream.write_all(b"\x00\xffthis is no HTTP\r\n\r\n").ok(),
            Behaviour::Mjpeg(mjpeg) => self.mjpeg(mjpeg, stream),
        }
    }

    fn digest(
        &self,
        request: &Request,
        stream: &TcpStream,
        (user, password): (&str, &str),
        jpeg: &[u8],
        once: bool,
    ) -> Option<()> {
        let (method, path) = request.line.split_once(' ')?;
        let mut nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner);
        let given = request.header("authorization").and_then(|value| AuthorizationHeader::parse(value).ok());
        let right = given.is_some_and(|given| {
            let context = AuthContext::new_with_method(
                user,
                password,
                path,
                None::<&[u8]>,
                digest_auth::HttpMethod::from(method),
            );
            let mut expected = given.clone();
            expected.digest(&context);
            given.nonce == nonce.to_string()
                && given.uri == path
                && given.username == user
                && given.response == expected.response
        });
        if right {
            *nonce += u64::from(once);
            return whole(stream, "image/jpeg", jpeg);
        }
        let challenge = format!(r#"Digest realm="camera", nonce="{nonce}", qop="auth", algorithm=MD5, opaque="0""#);
        head(stream, 401, &format!("WWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n"))
    }

    fn mjpeg(&self, mjpeg: &Mjpeg, mut stream: &TcpStream) -> Option<()> {
        let Mjpeg { frames, content_length, boundary, odd_header, interval, repeat, stall_after } = mjpeg;
        let named = if *odd_header { format!("\"--{boundary}\"") } else { (*boundary).to_owned() };
        head(stream, 200, &format!("Content-Type: multipart/x-mixed-replace;boundary={named}\r\n"))?;
        let round = self.round.load(Ordering::Acquire);
        for sent in 0.. {
            if *stall_after == Some(sent) {
                return self.pause(Duration::MAX, stream);
            }
            if sent >= frames.len() && !repeat {
                break;
            }
            let frame = frames.get(sent % frames.len().max(1))?;
            let length = if *content_length { format!("Content-Length: {}\r\n", frame.len()) } else { String::new() };
            let mut part = format!("--{boundary}\r\nContent-Type: image/jpeg\r\n{length}\r\n").into_bytes();
            part.extend_from_slice(frame);
            part.extend_from_slice(b"\r\n");
            stream.write_all(&part).ok()?;
            self.frames.fetch_add(1, Ordering::AcqRel);
            self.pause(*interval, stream)?;
            if self.round.load(Ordering::Acquire) != round {
                return None;
            }
        }
        stream.write_all(format!("--{boundary}--\r\n").as_bytes()).ok()
    }

    /// Waits, at most until the reader has gone or the camera ends.
    fn pause(&self, time: Duration, mut stream: &TcpStream) -> Option<()> {
        let step = Duration::from_millis(50);
        let round = self.round.load(Ordering::Acquire);
        let mut left = time;
        while !left.is_zero() && self.round.load(Ordering::Acquire) == round {
            let now = left.min(step);
            stream.set_read_timeout(Some(now)).ok()?;
            if self.stop.load(Ordering::Acquire) || matches!(stream.read(&mut [0]), Ok(0)) {
                return None;
            }
            left -= now;
        }
        Some(())
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream.take(16 << 10)).lines();
    let first = lines.next()?.ok()?;
    let (line, _) = first.rsplit_once(' ')?;
    let mut headers = Vec::new();
    for header in lines {
        let header = header.ok()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(Request { line: line.to_owned(), headers })
}

fn head(mut stream: &TcpStream, status: u16, headers: &str) -> Option<()> {
    stream.write_all(format!("HTTP/1.1 {status} as asked\r\nConnection: close\r\n{headers}\r\n").as_bytes()).ok()
}

fn whole(mut stream: &TcpStream, kind: &str, body: &[u8]) -> Option<()> {
    head(stream, 200, &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()))?;
    stream.write_all(body).ok()
}

/// A JPEG of one colour; `shade` tells one from another.
pub fn jpeg(width: u32, height: u32, shade: u8) -> Vec<u8> {
    let image = image::RgbImage::from_pixel(width, height, image::Rgb([shade, shade, shade]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Jpeg).expect("a JPEG");
    bytes.into_inner()
}

/// The JPEG without its Huffman tables, as USB cameras give it: readers are to use those of the standard, which the
/// encoder here uses too.
pub fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    let mut at = 2;
    while at + 4 <= jpeg.len() && jpeg[at] == 0xff {
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        match jpeg[at + 1] {
            0xc4 => {}
            // After the start of the scan come the pixels.
            0xda => break,
            _ => out.extend_from_slice(&jpeg[at..end]),
        }
        at = end;
    }
    out.extend_from_slice(&jpeg[at..]);
    out
}

/// A small JPEG that says it has 65,500 × 65,500 pixels.
pub fn bomb() -> Vec<u8> {
    let mut bytes = jpeg(16, 16, 0);
    let frame = bytes.windows(2).position(|w| w == [0xff, 0xc0]).expect("a baseline JPEG");
    let side = 65_500u16.to_be_bytes();
    bytes[frame + 5..frame + 7].copy_from_slice(&side);
    bytes[frame + 7..frame + 9].copy_from_slice(&side);
    bytes
}
