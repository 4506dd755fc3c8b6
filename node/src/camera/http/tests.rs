use super::super::testing::{Request, Server, jpeg, png, respond};
use super::*;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const LONG: Duration = Duration::from_secs(20);

fn quick() -> Common {
    Common { timeout_ms: 20_000, backoff_min_ms: 10, backoff_max_ms: 20, max_bytes: 100_000, ..Common::default() }
}

fn open(server: &Server, change: impl FnOnce(&mut HttpConfig)) -> Snapshot {
    let mut config = HttpConfig { url: server.url("/shot?token=hunter2"), ..HttpConfig::default() };
    change(&mut config);
    Snapshot::open(&config, &quick()).unwrap()
}

fn with_user(config: &mut HttpConfig) {
    config.username = Some("Mufasa".into());
    config.password_in_clear = Some(Secret::new("hunter2"));
}

fn next(source: &mut Snapshot) -> Result<u8, CameraError> {
    source.next(LONG, &Shutdown::default()).map(|frame| frame.image.as_raw()[0])
}

/// What is said of a server that answers like this.
fn said(answer: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> String {
    said_within(20_000, answer)
}

/// As [`said`], with a timeout that may well be over.
fn said_within(timeout_ms: u64, answer: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> String {
    let server = Server::start(answer);
    let mut config = HttpConfig { url: server.url("/shot?token=hunter2"), ..HttpConfig::default() };
    with_user(&mut config);
    let mut source = Snapshot::open(&config, &Common { timeout_ms, ..quick() }).unwrap();
    let said = next(&mut source).unwrap_err().to_string();
    assert!(!said.contains("hunter2") && !said.contains("token") && !said.contains('\n'), "{said}");
    said
}

#[test]
fn images_over_one_connection() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_, stream| {
        // Told by its bytes: the header is wrong.
        let value = count.fetch_add(1, Ordering::AcqRel) as u8 + 1;
        respond(stream, "200 OK", &["Content-Type: text/plain"], &png(value))
    });
    let mut source = open(&server, |_| {});
    let before = SystemTime::now();
    let frame = source.next(LONG, &Shutdown::default()).unwrap();
    assert!(frame.captured_at >= before && frame.image.as_raw()[0] == 1);
    assert!(frame.name.ends_with("/shot?… frame 1"), "{}", frame.name);
    assert_eq!([next(&mut source), next(&mut source)], [Ok(2), Ok(3)]);
    assert_eq!(server.connections(), 1);
    assert_eq!(server.requests()[0].line, "GET /shot?token=hunter2");
    assert!(!source.describe().contains("hunter2"));
}

#[test]
fn idle_connection_closed_reconnects() {
    let server = Server::start(|_, stream| {
        respond(stream, "200 OK", &[], &png(5));
        false
    });
    let mut source = open(&server, |_| {});
    assert_eq!((0..3).map(|_| next(&mut source)).collect::<Vec<_>>(), [Ok(5), Ok(5), Ok(5)]);
    assert_eq!(server.connections(), 3);
}

#[test]
fn connection_closed_on_request_retried_once() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_, stream| {
        // The second and the fourth and all later requests get no answer.
        let good = matches!(count.fetch_add(1, Ordering::AcqRel), 0 | 2);
        good && respond(stream, "200 OK", &[], &png(5))
    });
    let mut source = open(&server, |_| {});
    assert_eq!([next(&mut source), next(&mut source)], [Ok(5), Ok(5)]);
    assert!(next(&mut source).unwrap_err().to_string().contains("closed the connection"));
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn basic_only_when_asked_and_then_at_once() {
    let server = Server::start(|request, stream| match request.header("Authorization") {
        Some("Basic TXVmYXNhOmh1bnRlcjI=") => respond(stream, "200 OK", &[], &png(1)),
        _ => respond(stream, "401 Unauthorized", &["WWW-Authenticate: Basic realm=\"cam\""], b"who?"),
    });
    let mut source = open(&server, with_user);
    assert_eq!([next(&mut source), next(&mut source)], [Ok(1), Ok(1)]);
    let sent: Vec<bool> = server.requests().iter().map(|r| r.header("Authorization").is_some()).collect();
    assert_eq!(sent, [false, true, true]);
    assert_eq!(server.connections(), 1, "the answer 401 was read to its end");
    let mut strict = open(&server, |c| {
        with_user(c);
        c.auth = Auth::Digest;
    });
    assert!(next(&mut strict).unwrap_err().to_string().contains("not known or not allowed"));
}

/// A server that checks digests with the same crate's other side, and gives every nonce two answers.
fn digest_server(algorithm: &'static str) -> (Server, Arc<AtomicUsize>) {
    let nonces = Arc::new(AtomicUsize::new(0));
    let given = nonces.clone();
    let server = Server::start(move |request, stream| {
        let nonce = format!("n{}", nonces.load(Ordering::Acquire));
        let prompt = format!("Digest realm=\"cam\", qop=\"auth,auth-int\", algorithm={algorithm}, nonce=\"{nonce}\"");
        let good = request.header("Authorization").is_some_and(|sent| {
            let mut sent: digest_auth::AuthorizationHeader = sent.parse().expect("a digest");
            let response = std::mem::take(&mut sent.response);
            sent.digest(&digest_auth::AuthContext::new("Mufasa", "hunter2", "/shot?token=hunter2"));
            sent.response == response && sent.nonce == nonce && sent.nc <= 2 && sent.uri == "/shot?token=hunter2"
        });
        if good {
            return respond(stream, "200 OK", &[], &png(1));
        }
        nonces.fetch_add(1, Ordering::AcqRel);
        let nonce = format!("n{}", nonces.load(Ordering::Acquire));
        let prompt = prompt.replace(&format!("n{}", nonces.load(Ordering::Acquire) - 1), &nonce);
        respond(stream, "401 Unauthorized", &[&format!("WWW-Authenticate: {prompt}")], b"")
    });
    (server, given)
}

#[test]
fn digests() {
    for algorithm in ["MD5", "SHA-256", "MD5-sess"] {
        let (server, nonces) = digest_server(algorithm);
        let mut source = open(&server, with_user);
        assert_eq!((0..5).map(|_| next(&mut source)).collect::<Vec<_>>(), vec![Ok(1); 5], "{algorithm}");
        // Two answers for each nonce: a new one when the old is refused, never a failure.
        assert_eq!(nonces.load(Ordering::Acquire), 3, "{algorithm}");
        assert!(server.requests().iter().all(|r| !r.headers.join("\n").contains("hunter2\n")));
        let mut wrong = open(&server, |c| {
            with_user(c);
            c.password_in_clear = Some(Secret::new("wrong"));
        });
        assert!(next(&mut wrong).unwrap_err().to_string().contains("check username and password"));
    }
}

#[test]
fn refusals_say_what_to_do() {
    let status = |line: &'static str| said(move |_, stream| respond(stream, line, &[], b""));
    assert!(status("404 Not Found").contains("status 404; check the path in url"));
    assert!(status("503 Busy").contains("ask less often"));
    assert!(status("500 No").contains("check the camera"));
    assert!(status("204 No Content").contains("status 204"));
    assert!(status("401 Unauthorized").contains("not known or not allowed"));
    let server = Server::start(|_, stream| respond(stream, "401 Unauthorized", &[], b""));
    assert!(next(&mut open(&server, |_| {})).unwrap_err().to_string().contains("give username and password_file"));
}

#[test]
fn redirections_end_and_keep_the_password() {
    let other = Server::start(|_, stream| respond(stream, "200 OK", &[], &png(9)));
    let target = other.url("/elsewhere");
    let server = Server::start(move |request, stream| match &*request.line {
        "GET /shot?token=hunter2" if request.header("Authorization").is_none() => {
            respond(stream, "401 Unauthorized", &["WWW-Authenticate: Basic realm=\"cam\""], b"")
        }
        "GET /shot?token=hunter2" => respond(stream, "302 Found", &["Location: next"], b""),
        _ => respond(stream, "307 Temporary Redirect", &[&format!("Location: {target}")], b""),
    });
    let mut anywhere = open(&server, |config| {
        with_user(config);
        config.follow_redirects = Redirects::Anywhere;
    });
    assert_eq!(next(&mut anywhere), Ok(9));
    assert!(server.requests().last().unwrap().header("Authorization").is_some(), "the same server");
    assert!(other.requests()[0].header("Authorization").is_none(), "another server");

    let said_of = |location: &'static str| {
        said(move |_, stream| respond(stream, "302 Found", &[&format!("Location: {location}")], b""))
    };
    assert!(said_of("/shot?token=hunter2").contains("more than 3 times"));
    assert!(said(|_, stream| respond(stream, "302 Found", &[], b"")).contains("it is empty"));
}

/// A camera could have the node ask any machine and port of the network that it is in.
#[test]
fn redirect_to_another_server_is_refused() {
    let other = Server::start(|_, stream| respond(stream, "200 OK", &[], &png(9)));
    let elsewhere = other.url("/elsewhere?hunter2");
    let server = Server::start(move |request, stream| match &*request.line {
        "GET /shot?token=hunter2" => respond(stream, "302 Found", &["Location: /near"], b""),
        "GET /near" => respond(stream, "302 Found", &[&format!("Location: {elsewhere}")], b""),
        _ => respond(stream, "200 OK", &[], &png(1)),
    });
    let said = |change: fn(&mut HttpConfig)| next(&mut open(&server, change)).unwrap_err().to_string();
    for said in [said(|_| {}), said(|config| config.follow_redirects = Redirects::Never)] {
        assert!(said.contains("follow_redirects does not allow") && !said.contains("hunter2"), "{said}");
    }
    assert!(other.requests().is_empty(), "it is not asked");
    assert_eq!(server.requests().len(), 3, "within the camera it is followed, unless never");
}

#[test]
fn answers_that_go_wrong() {
    // Hangs before and in the middle of the body; the test ends the connection.
    assert!(said_within(700, |_, _| true).contains("within 700 ms"));
    assert!(
        said_within(700, |_, stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc").is_ok())
            .contains("within 700 ms")
    );
    // One byte now and then: each read is in time, the whole is not.
    let drip = |_: &Request, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    };
    assert!(said_within(700, drip).contains("within 700 ms"));
    let endless = |_: &Request, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[7; 8192]).is_ok() {}
        false
    };
    assert!(said(endless).contains("longer than 100000 bytes; ask for a smaller image or raise max_bytes"));
    let short = |_: &Request, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nabc");
        false
    };
    assert!(said(short).contains("closed the connection"));
    let headers = |_: &Request, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X-Y: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n").is_ok() {}
        false
    };
    let text = said(headers);
    assert!(text.contains("headers") || text.contains("rules of HTTP"), "{text}");
    assert!(said(|_, stream| stream.write_all(b"220 ftp ready\r\n\r\n").is_err()).contains("rules of HTTP"));
    assert!(said(|_, stream| respond(stream, "200 OK", &[], b"<html>")).contains("not an image"));
    assert!(said(|_, stream| respond(stream, "200 OK", &[], b"")).contains("empty"));
    let stream = ["Content-Type: multipart/x-mixed-replace; boundary=x"];
    assert!(said(move |_, s| respond(s, "200 OK", &stream, b"")).contains("kind = \"mjpeg\""));
}

#[test]
fn an_image_of_absurd_size_is_refused_by_its_header() {
    let mut bomb = png(0);
    bomb[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    assert!(said(move |_, stream| respond(stream, "200 OK", &[], &bomb)).contains("60000x60000"));
}

#[test]
fn jpeg_cut_off_by_connection_is_bad_frame() {
    let jpeg = jpeg(1);
    let cut = said(move |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").and_then(|()| stream.write_all(&jpeg[..jpeg.len() - 99]));
        false
    });
    assert!(cut.contains("cut off"), "{cut}");
}

#[test]
fn nobody_there() {
    let server = Server::start(|_, _| false);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut source = open(&server, |c| c.url = format!("http://127.0.0.1:{port}/?hunter2"));
    let said = next(&mut source).unwrap_err().to_string();
    assert!(said.contains("refused; check the port") && !said.contains("hunter2"), "{said}");
}

#[test]
fn failures_are_followed_by_pauses() {
    let server = Server::start(|_, stream| respond(stream, "500 No", &[], b""));
    let config = HttpConfig { url: server.url("/"), ..HttpConfig::default() };
    let common = Common { backoff_min_ms: 3_600_000, backoff_max_ms: 3_600_000, ..quick() };
    let mut source = Snapshot::open(&config, &common).unwrap();
    let first = next(&mut source).unwrap_err();
    assert_eq!(source.next(Duration::from_millis(30), &Shutdown::default()).err(), Some(first), "not asked again");
    assert_eq!(server.requests().len(), 1);
    let stop = Shutdown::default();
    stop.set();
    assert_eq!(source.next(LONG, &stop).err(), Some(CameraError::Stopped));
}

#[test]
fn an_ending_node_does_not_wait_for_the_camera() {
    let server = Server::start(|_, _| true);
    let config = HttpConfig { url: server.url("/"), ..HttpConfig::default() };
    let mut source = Snapshot::open(&config, &Common { timeout_ms: 600_000, ..quick() }).unwrap();
    let stop = Shutdown::default();
    let (other, start) = (stop.clone(), Instant::now());
    let thread = std::thread::spawn(move || source.next(LONG, &other).err());
    super::super::testing::eventually("asked", || !server.requests().is_empty());
    stop.set();
    assert_eq!(thread.join().unwrap(), Some(CameraError::Stopped));
    assert!(start.elapsed() < LONG / 2);
}

#[test]
fn unchanged_images_are_not_sent_again() {
    let server = Server::start(|request, stream| match request.header("If-None-Match") {
        Some("\"a\"") => stream.write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n").is_ok(),
        _ => respond(stream, "200 OK", &["ETag: \"a\""], &png(1)),
    });
    let mut source = open(&server, |c| c.use_etag = true);
    assert_eq!(next(&mut source), Ok(1));
    assert!(matches!(next(&mut source), Err(CameraError::NothingNew { .. })));
    let mut always = open(&server, |_| {});
    assert_eq!([next(&mut always), next(&mut always)], [Ok(1), Ok(1)]);
}

#[test]
fn contradictions_are_refused() {
    let of = |change: fn(&mut HttpConfig)| {
        let mut config = HttpConfig { url: "http://cam/".into(), ..HttpConfig::default() };
        change(&mut config);
        let said = config.validate().unwrap_err();
        assert!(!said.contains("hunter2"), "{said}");
        said
    };
    assert!(of(|c| c.url = String::new()).contains("url is missing"));
    if cfg!(not(feature = "tls")) {
        assert!(of(|c| c.url = "https://cam/?hunter2".into()).contains("without TLS"));
        assert!(of(|c| c.ca_file = Some("ca.pem".into())).contains("without TLS"));
    }
    assert!(of(|c| c.url = "http://a:hunter2@cam/".into()).contains("password_file"));
    assert!(of(|c| c.password_in_clear = Some(Secret::new("hunter2"))).contains("without username"));
    assert!(of(|c| c.username = Some("a:b".into())).contains("colon"));
    assert!(of(|c| c.username = Some("a\r\nb".into())).contains("control"));
    assert!(
        of(|c| {
            c.password_file = Some("a".into());
            c.password_env = Some("b".into());
        })
        .contains("password_file and password_env")
    );
    let config = HttpConfig {
        url: "http://cam/".into(),
        username: Some("u".into()),
        password_file: Some("/no/such/file".into()),
        ..HttpConfig::default()
    };
    assert!(Snapshot::open(&config, &quick()).err().unwrap().contains("/no/such/file cannot be read"));
}
