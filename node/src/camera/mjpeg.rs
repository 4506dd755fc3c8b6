//! A network camera that sends images all the time. A thread stays connected and keeps the newest image only.

use super::config::Common;
use super::frame_decoder::{FrameDecoder, captured};
use super::http::{Client, HttpConfig, Pace, text};
use super::latest_frame::LatestFrame;
use super::multipart::{Multipart, boundary_of};
use super::retry_state::retry;
use super::{CameraError, Captured, FrameSource, Part, Shutdown};
use crate::util::retry::Retry;
use edge_ocr::panics::catch_panic;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 32 * 1024;

/// The source. It connects when the first frame is asked for.
pub(super) struct Mjpeg {
    latest: Arc<LatestFrame>,
    reader: Option<Reader>,
    decoder: FrameDecoder,
    max_age: Duration,
    name: String,
}

impl Mjpeg {
    pub fn open(config: &HttpConfig, common: &Common) -> Result<Mjpeg, String> {
        let client = Client::new(config, common, Pace::Stream)?;
        let latest = Arc::<LatestFrame>::default();
        Ok(Mjpeg {
            name: client.name().to_owned(),
            reader: Some(Reader {
                client,
                latest: latest.clone(),
                retry: retry(common.backoff_min_ms, common.backoff_max_ms),
                timeout: Duration::from_millis(common.timeout_ms),
                max_bytes: usize::try_from(common.max_bytes).unwrap_or(usize::MAX),
            }),
            latest,
            decoder: FrameDecoder::new(common),
            max_age: Duration::from_millis(common.max_age_ms),
        })
    }
}

impl FrameSource for Mjpeg {
    fn next(&mut self, timeout: Duration, stop: &Shutdown) -> Result<Captured, CameraError> {
        if let Some(reader) = self.reader.take() {
            let thread = std::thread::Builder::new().name("mjpeg".into());
            if let Err(error) = thread.spawn(move || reader.run()) {
                return Err(CameraError::Failed {
                    source_name: self.name.clone(),
                    reason: format!("no thread could be started ({error})"),
                    remedy: "free memory and restart the node".into(),
                });
            }
        }
        let frame = self.latest.take(timeout, self.max_age, stop, || CameraError::Timeout {
            source_name: self.name.clone(),
            waited_ms: timeout.as_millis() as u64,
            remedy: "check the camera and the network, or raise timeout_ms".into(),
        })?;
        let image = self.decoder.decode(&self.name, &frame.frame)?;
        Ok(captured(image, frame.at, format!("{} frame {}", self.name, frame.number)))
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

impl Drop for Mjpeg {
    fn drop(&mut self) {
        // The thread sees it after its current read, which ends with the timeout at the latest; waiting for that
        // helps nobody.
        self.latest.close();
    }
}

/// What the thread does.
struct Reader {
    client: Client,
    latest: Arc<LatestFrame>,
    retry: Retry,
    timeout: Duration,
    max_bytes: usize,
}

impl Reader {
    fn run(mut self) {
        while !self.latest.is_closed() {
            let ended = catch_panic(|| self.session())
                .unwrap_or_else(|_| Err(self.client.failed("its answer made the client fail", "report this")));
            if let Err(error) = ended {
                self.latest.fail(error);
                self.latest.pause(self.retry.failed(Instant::now()));
            }
        }
    }

    /// One connection, until it fails or nobody wants frames any more.
    fn session(&mut self) -> Result<(), CameraError> {
        let response = self.client.get(None)?;
        let kind = text(response.headers(), "Content-Type").unwrap_or_default();
        let kind = kind.trim();
        // A camera that tells no type is given the benefit of the doubt.
        if !kind.is_empty() && !kind.to_ascii_lowercase().starts_with("multipart/") {
            let reason = "it does not give a stream of images (multipart/x-mixed-replace)";
            return Err(self.client.failed(reason, "check url, or set kind = \"http\" for single images"));
        }
        let mut parts = Multipart::new(boundary_of(kind).as_deref(), self.max_bytes);
        let mut body = response.into_body().into_reader();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut last = Instant::now();
        while !self.latest.is_closed() {
            let read = body.read(&mut chunk).map_err(|e| self.client.explain(e.into()))?;
            if read == 0 {
                return Err(self.client.failed("the stream has ended", "check the camera, or restart it"));
            }
            let (latest, retry, client, max_bytes) = (&self.latest, &mut self.retry, &self.client, self.max_bytes);
            parts.push(&chunk[..read], &mut |part| {
                last = Instant::now();
                match part {
                    Part::Frame(frame) => {
                        retry.succeeded();
                        latest.put(frame);
                    }
                    part => latest.fail(part.to_error(client.name(), max_bytes)),
                }
            });
            // Bytes alone are no sign of life.
            if last.elapsed() > self.timeout {
                return Err(self.client.too_late("the connection is opened again; check the camera if this goes on"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Request, Server, eventually, jpeg, png, respond, without_tables};
    use super::*;
    use std::io::Write;
    use std::net::TcpStream;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Sender, channel};

    const LONG: Duration = Duration::from_secs(20);
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=cam\r\n\r\n";

    fn open(server: &Server, change: impl FnOnce(&mut HttpConfig, &mut Common)) -> Mjpeg {
        let mut config = HttpConfig { url: server.url("/stream?token=hunter2"), ..HttpConfig::default() };
        let mut common = Common {
            timeout_ms: 20_000,
            backoff_min_ms: 10,
            backoff_max_ms: 20,
            max_bytes: 100_000,
            ..Common::default()
        };
        common.max_age_ms = 20_000;
        change(&mut config, &mut common);
        Mjpeg::open(&config, &common).unwrap()
    }

    fn part(stream: &mut TcpStream, frame: &[u8]) -> bool {
        let head = format!("--cam\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", frame.len());
        stream.write_all(&[head.as_bytes(), frame, b"\r\n"].concat()).is_ok()
    }

    fn next(source: &mut Mjpeg) -> Result<u8, CameraError> {
        source.next(LONG, &Shutdown::default()).map(|frame| frame.image.as_raw()[0])
    }

    /// A server that sends the frames that it is told to.
    fn fed() -> (Server, Sender<Vec<u8>>) {
        let (feed, frames) = channel::<Vec<u8>>();
        let frames = Mutex::new(frames);
        let server = Server::start(move |_, stream| {
            let _ = stream.write_all(HEAD);
            while let Ok(frame) = frames.lock().unwrap().recv() {
                if !part(stream, &frame) {
                    break;
                }
            }
            false
        });
        (server, feed)
    }

    #[test]
    fn the_newest_image_of_one_connection() {
        let (server, feed) = fed();
        let mut source = open(&server, |_, _| {});
        feed.send(png(1)).unwrap();
        assert_eq!(next(&mut source), Ok(1));
        (2..=5).for_each(|value| feed.send(png(value)).unwrap());
        eventually("all have come", || {
            let latest = source.latest.take(LONG, LONG, &Shutdown::default(), || CameraError::Stopped).unwrap();
            let number = latest.number;
            if number == 5 {
                source.latest.put(latest.frame);
            }
            number == 5
        });
        assert_eq!(next(&mut source), Ok(5));
        assert_eq!(server.connections(), 1);
    }

    #[test]
    fn images_without_tables() {
        let (server, feed) = fed();
        let mut source = open(&server, |_, _| {});
        feed.send(without_tables(&jpeg(1))).unwrap();
        let frame = source.next(LONG, &Shutdown::default()).unwrap();
        let whole = edge_ocr::image::decode::decode(&jpeg(1), &Default::default()).unwrap();
        assert_eq!(frame.image.as_raw(), whole.as_raw());
        assert!(!frame.name.contains("hunter2"), "{}", frame.name);
    }

    #[test]
    fn a_stall_is_reported_and_the_stream_reopened() {
        let count = AtomicUsize::new(0);
        let server = Server::start(move |_, stream| {
            let _ = stream.write_all(HEAD);
            if count.fetch_add(1, Ordering::AcqRel) == 0 {
                // Bytes, but never a whole part; then the next connection is a good one.
                while stream.write_all(b"--cam\r\n").is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
                return false;
            }
            while part(stream, &png(7)) {
                std::thread::sleep(Duration::from_millis(20));
            }
            false
        });
        let mut source = open(&server, |_, common| common.timeout_ms = 800);
        let said = next(&mut source).unwrap_err();
        assert!(matches!(said, CameraError::Timeout { waited_ms: 800, .. }), "{said}");
        eventually("an image of the next connection", || next(&mut source) == Ok(7));
    }

    #[test]
    fn a_stream_that_ends_or_is_none() {
        let said = |answer: fn(&Request, &mut TcpStream) -> bool| {
            let server = Server::start(answer);
            let mut source = open(&server, |_, common| common.timeout_ms = 2000);
            let said = next(&mut source).unwrap_err().to_string();
            assert!(!said.contains("hunter2"), "{said}");
            said
        };
        assert!(said(|_, s| s.write_all(HEAD).is_err()).contains("the stream has ended"));
        assert!(said(|_, s| respond(s, "200 OK", &["Content-Type: image/jpeg"], &png(1))).contains("kind = \"http\""));
        assert!(said(|_, s| respond(s, "401 Unauthorized", &[], b"")).contains("give username"));
        assert!(said(|_, _| true).contains("within 2000 ms"));
        let large = |_: &Request, stream: &mut TcpStream| {
            let _ = stream.write_all(HEAD);
            while part(stream, &vec![0; 200_000]) {}
            false
        };
        assert!(said(large).contains("more than 100000 bytes"));
        let no_image = |_: &Request, stream: &mut TcpStream| {
            let _ = stream.write_all(HEAD);
            while part(stream, b"no image") {
                std::thread::sleep(Duration::from_millis(5));
            }
            false
        };
        assert!(said(no_image).contains("not an image"));
    }

    #[test]
    fn dropping_it_ends_the_connection() {
        let open_streams = Arc::new(AtomicUsize::new(0));
        let count = open_streams.clone();
        let server = Server::start(move |_, stream| {
            count.fetch_add(1, Ordering::AcqRel);
            let _ = stream.write_all(HEAD);
            while part(stream, &png(7)) {
                std::thread::sleep(Duration::from_millis(5));
            }
            count.fetch_sub(1, Ordering::AcqRel);
            false
        });
        let mut source = open(&server, |_, _| {});
        assert_eq!(next(&mut source), Ok(7));
        assert_eq!(open_streams.load(Ordering::Acquire), 1);
        drop(source);
        eventually("closed", || open_streams.load(Ordering::Acquire) == 0);
        // One that was never asked never connects.
        drop(open(&server, |_, _| {}));
        assert_eq!(server.connections(), 1);
    }
}
