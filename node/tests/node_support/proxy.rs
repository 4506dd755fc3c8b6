//! A network that does what it is told.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a connection looks at the switches while nothing comes.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A TCP proxy on 127.0.0.1. Everything passes at first. Connections end when it is dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    switches: Mutex<Switches>,
    changed: Condvar,
}

#[derive(Clone, Default)]
struct Switches {
    stop: bool,
    /// Connections of earlier rounds are closed.
    round: u64,
    refuse: bool,
    hold: bool,
    delay: Duration,
    bytes_per_s: Option<usize>,
    accepted: usize,
    passed_bytes: u64,
}

impl Shared {
    fn get(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.get());
        self.changed.notify_all();
    }

    /// Waits while the network holds everything back; false when the connections of `round` end.
    fn may_pass(&self, round: u64) -> bool {
        let hold = |s: &mut Switches| s.hold && !s.stop && s.round == round;
        let switches = self.changed.wait_while(self.get(), hold).unwrap_or_else(PoisonError::into_inner);
        !switches.stop && switches.round == round
    }

    /// Waits for `time`, or until the connections of `round` end.
    fn pause(&self, time: Duration, round: u64) {
        if !time.is_zero() {
            let going = |s: &mut Switches| !s.stop && s.round == round;
            drop(self.changed.wait_timeout_while(self.get(), time, going));
        }
    }
}

impl Proxy {
    /// A proxy before the server at `port` of 127.0.0.1, which need not run yet.
    pub fn to(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        let acceptor = std::thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, ([127, 0, 0, 1], port).into(), &shared)
        });
        Proxy { port: own, shared, acceptor: Some(acceptor) }
    }

    /// Where to connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything passes, without delay; connections that were held back go on.
    pub fn pass(&self) {
        self.shared.set(|s| {
            (s.refuse, s.hold, s.delay, s.bytes_per_s) = (false, false, Duration::ZERO, None);
        });
    }

    /// Ends all connections now. New ones pass.
    pub fn cut(&self) {
        self.shared.set(|s| s.round += 1);
    }

    /// Ends all connections, and new ones as soon as they are made.
    pub fn refuse(&self) {
        self.shared.set(|s| (s.round, s.refuse) = (s.round + 1, true));
    }

    /// Connections stay and are made, but nothing comes through: a cable that was pulled out.
    pub fn black_hole(&self) {
        self.shared.set(|s| s.hold = true);
    }

    /// Everything comes later, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.shared.set(|s| s.delay = delay);
    }

    /// No more than so many bytes pass each second, in each direction of each connection.
    pub fn throttle(&self, bytes_per_s: usize) {
        self.shared.set(|s| s.bytes_per_s = Some(bytes_per_s.max(1)));
    }

    /// Connections that were made so far.
    pub fn accepted(&self) -> usize {
        self.shared.get().accepted
    }

    /// Bytes that came through so far, both directions together.
    pub fn passed_bytes(&self) -> u64 {
        self.shared.get().passed_bytes
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.set(|s| s.stop = true);
        // Ends the wait for a connection.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        let round = {
            let mut switches = shared.get();
            if switches.stop {
                return;
            }
            switches.accepted += 1;
            if switches.refuse {
                continue;
            }
            switches.round
        };
        let Ok(client) = client else { continue };
        let shared = shared.clone();
        std::thread::spawn(move || connection(&client, target, &shared, round));
    }
}

fn connection(client: &TcpStream, target: SocketAddr, shared: &Arc<Shared>, round: u64) {
    if shared.may_pass(round)
        && let Ok(server) = TcpStream::connect_timeout(&target, Duration::from_secs(5))
    {
        std::thread::scope(|scope| {
            scope.spawn(|| pump(client, &server, shared, round));
            pump(&server, client, shared, round);
        });
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// Passes bytes until `from` has no more, which `to` is then told, each after the delay of the link: bytes that come
/// meanwhile are on their way at the same time, as in a network. What a side that is gone has sent is passed on to
/// its last byte: that `to` takes nothing more says nothing of what still comes from it. Then what comes from `from`
/// is thrown away, for closing a connection in which something is unread takes back what was sent in it.
fn pump(from: &TcpStream, to: &TcpStream, shared: &Shared, round: u64) {
    let _ = from.set_nodelay(true);
    let _ = from.set_read_timeout(Some(POLL_INTERVAL));
    let _ = to.set_write_timeout(Some(Duration::from_secs(5)));
    let (sender, link) = mpsc::channel();
    let broken = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| deliver(link, to, shared, round, &broken));
        take_in(from, sender, shared, round, &broken)
    });
    if ended && !broken.load(Ordering::Relaxed) {
        let _ = to.shutdown(Shutdown::Write);
        return;
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn later(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Reads, and puts what was read on the link with the time at which it arrives. True if there is no more.
fn take_in(
    mut from: &TcpStream,
    link: mpsc::Sender<(Instant, Vec<u8>)>,
    shared: &Shared,
    round: u64,
    broken: &AtomicBool,
) -> bool {
    let mut buffer = [0; 16 << 10];
    while shared.may_pass(round) && !broken.load(Ordering::Relaxed) {
        let limit = shared.get().bytes_per_s;
        let room = limit.map_or(buffer.len(), |limit| (limit / 20).clamp(1, buffer.len()));
        let length = match from.read(&mut buffer[..room]) {
            Err(e) if later(&e) => continue,
            Ok(0) | Err(_) => return true,
            Ok(length) => length,
        };
        // Asked again: both may have been set while nothing came.
        let Switches { delay, bytes_per_s, .. } = shared.get().clone();
        let slow = bytes_per_s.map_or(Duration::ZERO, |limit| Duration::from_secs_f64(length as f64 / limit as f64));
        shared.pause(slow, round);
        // Nobody takes it any more: it is read all the same.
        let _ = link.send((Instant::now() + delay, buffer[..length].to_vec()));
    }
    false
}

/// Writes what is on the link when it arrives.
fn deliver(
    link: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: &TcpStream,
    shared: &Shared,
    round: u64,
    broken: &AtomicBool,
) {
    for (due, bytes) in link {
        shared.pause(due.saturating_duration_since(Instant::now()), round);
        // The switch may have been turned while this was on its way.
        if !shared.may_pass(round) {
            break;
        }
        // Counted before it is written: who gets it may ask at once.
        shared.get().passed_bytes += bytes.len() as u64;
        match to.write_all(&bytes) {
            Ok(()) => {}
            // It is there and does not read.
            Err(e) if later(&e) => return broken.store(true, Ordering::Relaxed),
            Err(_) => return,
        }
    }
}
