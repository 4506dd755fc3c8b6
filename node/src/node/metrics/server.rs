//! `/metrics` by HTTP: a few clients at a time, each for a few seconds.

use crate::node::log_throttle::RateLimitedLog;
use crate::util::latch::Latch;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is served now; the node puts a new text in after each round.
pub type Shared = Arc<Mutex<String>>;

/// Longest request that is read.
const MAX_REQUEST_BYTES: usize = 4096;
/// How long a client may take for all of it: to ask, and to take the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Clients at a time; for one more the oldest is sent away, so that a few that never ask keep nobody out.
const MAX_CLIENTS: usize = 4;
/// Threads for them, those included that are about to end because their client was sent away.
const MAX_THREADS: usize = 16;
/// After the system gave no connection, because descriptors or memory have run out: asked at once it would say the
/// same, for ever.
const REST: Duration = Duration::from_secs(1);
/// Interval at which an unchanged error is logged again.
const REPEAT_LOG: Duration = Duration::from_secs(600);

/// Takes the port.
///
/// # Errors
/// A sentence if it cannot be had.
pub fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|e| failed(address, &e))
}

fn failed(address: SocketAddr, error: &io::Error) -> String {
    format!("metrics cannot be served at {address}: {error}; name another port in metrics.listen")
}

/// A port at which `/metrics` is served. Dropping it ends that; the port is free then.
pub struct Server {
    address: SocketAddr,
    stop: Latch,
    thread: Option<JoinHandle<()>>,
}

/// Serves `/metrics`.
///
/// # Errors
/// A sentence if the port cannot be had.
pub fn serve(address: SocketAddr, shared: Shared) -> Result<Server, String> {
    let listener = bind(address)?;
    let failed = |e: io::Error| failed(address, &e);
    let address = listener.local_addr().map_err(failed)?;
    let stop = Latch::default();
    let work = {
        let stop = stop.clone();
        move || accept(listener.incoming(), &shared, &stop, || _ = stop.wait(Instant::now() + REST))
    };
    let thread = std::thread::Builder::new().name("metrics".into()).spawn(work).map_err(failed)?;
    log::info!("metrics are served at http://{address}/metrics");
    Ok(Server { address, stop, thread: Some(thread) })
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.set();
        // The thread waits for a client and looks at the latch when one comes. Without this one it looks when the next
        // comes; the port is not free before that.
        let woken = TcpStream::connect_timeout(&self.address, TIMEOUT).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

/// Answers each client in a thread of its own, and rests where the system gives none.
fn accept(clients: impl Iterator<Item = io::Result<TcpStream>>, shared: &Shared, stop: &Latch, rest: impl Fn()) {
    let mut trouble = RateLimitedLog::new(REPEAT_LOG);
    // Oldest first. A client's thread is what keeps it.
    let mut present = VecDeque::<Weak<TcpStream>>::new();
    for client in clients {
        if stop.is_set() {
            return;
        }
        let client = match client {
            Ok(client) => client,
            Err(e) => {
                trouble.warn(&format_args!(
                    "no client of metrics can be answered because the system says '{e}'; raise the limit of open files \
                     (LimitNOFILE) if it is that"
                ));
                rest();
                continue;
            }
        };
        let stream = Arc::new(client);
        present.retain(|client| client.strong_count() > 0);
        // Once more for one that was sent away and is still there: the last ones are those that may stay.
        for old in present.iter().rev().skip(MAX_CLIENTS - 1).filter_map(Weak::upgrade) {
            log::debug!("a client of metrics was sent away because there are {MAX_CLIENTS} others");
            let _ = old.shutdown(Shutdown::Both);
        }
        if present.len() >= MAX_THREADS {
            continue;
        }
        // Noted here, not there: a thread that waits for its turn is one, too.
        present.push_back(Arc::downgrade(&stream));
        let (shared, mut client) = (shared.clone(), Client { stream, end: Instant::now() + TIMEOUT });
        let work = move || {
            if let Err(e) = client.serve(&shared) {
                log::debug!("a client of metrics went away: {e}");
            }
        };
        if let Err(e) = std::thread::Builder::new().name("scrape".into()).spawn(work) {
            trouble
                .warn(&format_args!("no client of metrics can be answered because the system says '{e}'; free memory"));
            rest();
        }
    }
}

/// A client, up to a moment that no byte of it puts off.
struct Client {
    stream: Arc<TcpStream>,
    end: Instant,
}

impl Client {
    fn serve(&mut self, shared: &Shared) -> io::Result<()> {
        let mut request = Vec::new();
        let mut part = [0; 512];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MAX_REQUEST_BYTES {
            match self.read(&mut part)? {
                0 => break,
                count => request.extend_from_slice(&part[..count]),
            }
        }
        let found = [&b"GET /metrics "[..], b"GET /metrics?"].iter().any(|start| request.starts_with(start));
        let (status, body) = match found {
            true => ("200 OK", shared.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            false => ("404 Not Found", "only GET /metrics is answered\n".into()),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        self.write_all(answer.as_bytes())
    }

    /// What is left of its time.
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        (&*self.stream).read(buffer)
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        (&*self.stream).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.stream).flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(20);

    fn start() -> (SocketAddr, Server) {
        let shared = Shared::default();
        *shared.lock().unwrap() = "edge_ocr_frames_total 3\n".into();
        let server = serve("127.0.0.1:0".parse().unwrap(), shared).unwrap();
        (server.address, server)
    }

    fn get(address: SocketAddr, request: &str) -> String {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn one_page_is_served_and_nothing_else() {
        let (address, server) = start();
        let text = get(address, "GET /metrics HTTP/1.1\r\n\r\n");
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("frames_total 3\n"), "{text}");
        assert!(get(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(get(address, &"x".repeat(MAX_REQUEST_BYTES)).starts_with("HTTP/1.1 404"));
        assert!(serve(address, Shared::default()).err().unwrap().contains("metrics.listen"));
        drop(server);
    }

    /// The port stayed taken until the end of the process, which a reload no longer is.
    #[test]
    fn dropped_server_frees_its_port() {
        let (address, server) = start();
        let _idle: Vec<_> = (0..MAX_CLIENTS).map(|_| TcpStream::connect(address).unwrap()).collect();
        drop(server);
        for _ in 0..3 {
            let server = serve(address, Shared::default()).unwrap();
            assert!(get(address, "GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
            drop(server);
        }
    }

    /// A byte now and then keeps no client, and keeps nobody from being answered.
    #[test]
    fn slow_metrics_client_times_out_others_served() {
        let (address, _server) = start();
        let begun = Instant::now();
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"G").unwrap();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            // Until it is gone: a byte every 100 ms, less than any request has.
            slow.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            while begun.elapsed() < LONG {
                let gone = match slow.read(&mut [0; 64]) {
                    Ok(0) => true,
                    Ok(_) => false,
                    Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                };
                if gone || slow.write_all(b"E").is_err() {
                    break;
                }
            }
            tell.send(begun.elapsed()).unwrap();
        });
        assert!(get(address, "GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
        assert!(told.try_recv().is_err(), "the slow one was still there");
        let time = told.recv().unwrap();
        thread.join().unwrap();
        assert!(time < TIMEOUT * 2, "{time:?}");
    }

    /// Those that came first and never asked kept all others out, for ever if they came again.
    #[test]
    fn metrics_clients_limited_oldest_dropped() {
        let (address, _server) = start();
        let mut waiting: Vec<_> = (0..=MAX_CLIENTS).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut oldest = waiting.remove(0);
        oldest.set_read_timeout(Some(LONG)).unwrap();
        assert!(matches!(oldest.read(&mut [0]), Ok(0) | Err(_)), "it is sent away");
        for client in &mut waiting {
            client.set_read_timeout(Some(LONG)).unwrap();
            client.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        }
    }

    #[test]
    fn there_is_a_rest_after_each_failure_of_the_system() {
        let rests = Cell::new(0);
        let failures = std::iter::repeat_with(|| Err(ErrorKind::Other.into())).take(5);
        accept(failures, &Shared::default(), &Latch::default(), || rests.set(rests.get() + 1));
        assert_eq!(rests.get(), 5);
    }
}
