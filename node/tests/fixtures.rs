//! What the tests of the node stand on does what it says: broker, network, listener, camera.

mod node_support;

use node_support::camera::{Mjpeg, bomb, jpeg, without_tables};
use node_support::{Behaviour, HttpCamera, Mosquitto, Proxy, SOON, Subscriber, wait_for};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

#[test]
fn waiting_ends() {
    let mut asked = 0;
    assert!(wait_for(SOON, || {
        asked += 1;
        asked == 3
    }));
    assert!(!wait_for(Duration::from_millis(20), || false));
}

/// A server that gives back what it gets.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn connect(port: u16, patience: Duration) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream
}

fn there_and_back(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    let mut back = vec![0; bytes.len()];
    stream.write_all(bytes).is_ok() && stream.read_exact(&mut back).is_ok() && back == bytes
}

#[test]
fn the_proxy_passes_cuts_and_refuses() {
    let proxy = Proxy::to(echo());
    let mut stream = connect(proxy.port(), SOON);
    assert!(there_and_back(&mut stream, b"hello"));
    // They are counted after they have gone on.
    assert!(wait_for(SOON, || proxy.passed_bytes() == 10));
    proxy.cut();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "the connection has ended");
    assert!(there_and_back(&mut connect(proxy.port(), SOON), b"again"));
    proxy.refuse();
    assert!(!there_and_back(&mut connect(proxy.port(), SOON), b"not now"));
    proxy.pass();
    assert!(there_and_back(&mut connect(proxy.port(), SOON), b"again"));
    assert_eq!(proxy.accepted(), 4);
}

#[test]
fn the_proxy_swallows_and_gives_back() {
    let proxy = Proxy::to(echo());
    let mut old = connect(proxy.port(), Duration::from_millis(200));
    assert!(there_and_back(&mut old, b"hello"));
    proxy.black_hole();
    let mut new = connect(proxy.port(), Duration::from_millis(200));
    for stream in [&mut old, &mut new] {
        assert!(!there_and_back(stream, b"lost?"), "nothing comes");
        stream.set_read_timeout(Some(SOON)).unwrap();
    }
    proxy.pass();
    for stream in [&mut old, &mut new] {
        let mut back = [0; 5];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"lost?");
    }
}

#[test]
fn the_proxy_is_late_and_slow() {
    let proxy = Proxy::to(echo());
    let mut stream = connect(proxy.port(), SOON);
    proxy.delay(Duration::from_millis(100));
    let start = Instant::now();
    assert!(there_and_back(&mut stream, b"x"));
    assert!(start.elapsed() >= Duration::from_millis(200), "late in both directions");
    proxy.pass();
    proxy.throttle(10_000);
    let start = Instant::now();
    assert!(there_and_back(&mut stream, &[7; 5000]));
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?} for 5000 bytes", start.elapsed());
}

#[test]
fn a_subscriber_outlives_a_broker_that_forgets() {
    if !Mosquitto::available() {
        return;
    }
    let mut broker = Mosquitto::start();
    let listener = Subscriber::new(broker.port(), &["a/#"]);
    listener.publish("a/b", b"one", true);
    assert_eq!(listener.last("a/b").unwrap().text(), "one");
    let before = listener.subscriptions();
    broker.kill();
    broker.restart();
    assert!(wait_for(SOON, || listener.subscriptions() > before), "{}", broker.log());
    listener.publish("a/b", b"two", false);
    assert!(listener.wait(SOON, |messages| messages.iter().any(|message| message.payload == b"two")));
    let newcomer = Subscriber::new(broker.port(), &["a/#"]);
    assert!(!newcomer.wait(Duration::from_millis(200), |messages| !messages.is_empty()), "the broker had no memory");
}

#[test]
fn a_persistent_broker_remembers_after_a_kill() {
    if !Mosquitto::available() {
        return;
    }
    let mut broker = Mosquitto::persistent();
    let listener = Subscriber::new(broker.port(), &["a/#"]);
    listener.publish("a/b", b"kept", true);
    assert_eq!(listener.last("a/b").unwrap().text(), "kept");
    assert!(wait_for(SOON, || broker.file("mosquitto.db").is_file()));
    drop(listener);
    // What it saves, it saves once a second.
    assert!(wait_for(SOON, || std::fs::read(broker.file("mosquitto.db")).unwrap().windows(4).any(|w| w == b"kept")));
    broker.kill();
    broker.restart();
    let newcomer = Subscriber::new(broker.port(), &["a/#"]);
    let message = newcomer.last("a/b").expect("the retained message");
    assert!(message.retain && message.payload == b"kept");
}

#[test]
fn a_broker_with_passwords_is_told_about_its_refusal() {
    if !Mosquitto::available() {
        return;
    }
    let broker = Mosquitto::with_config("allow_anonymous false\n");
    let refused = std::panic::catch_unwind(|| TcpStream::connect(("127.0.0.1", broker.port())).unwrap());
    assert!(refused.is_ok(), "it listens");
    assert!(broker.log().contains("mosquitto version"), "{}", broker.log());
}

/// All that a plain reader gets, without the head.
fn get(camera: &HttpCamera, more: &str) -> (String, Vec<u8>) {
    let mut stream = connect(camera.port(), SOON);
    write!(stream, "GET /snap?x=1 HTTP/1.1\r\nHost: camera\r\n{more}\r\n").unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
    (String::from_utf8_lossy(&all[..end]).into_owned(), all[end..].to_vec())
}

#[test]
fn the_camera_gives_images_to_those_who_may_have_them() {
    let image = jpeg(40, 30, 100);
    let camera = HttpCamera::start(Behaviour::Body("image/jpeg", image.clone()));
    let (head, body) = get(&camera, "X-Test: yes\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && body == image);
    let request = camera.requests().remove(0);
    assert_eq!((request.line.as_str(), request.header("x-test")), ("GET /snap?x=1", Some("yes")));

    let (user, password) = ("me".to_owned(), "secret".to_owned());
    camera.set(Behaviour::Basic { user: user.clone(), password: password.clone(), jpeg: image.clone() });
    assert!(get(&camera, "").0.contains("401") && get(&camera, "Authorization: Basic bWU6\r\n").0.contains("401"));
    assert_eq!(get(&camera, "Authorization: Basic bWU6c2VjcmV0\r\n").1, image);

    camera.set(Behaviour::Digest { user, password, jpeg: image.clone(), once: true });
    let answer = |password: &str| {
        let (head, _) = get(&camera, "");
        let challenge = head.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).expect("a challenge");
        let mut prompt = digest_auth::parse(challenge).unwrap();
        let context = digest_auth::AuthContext::new("me", password, "/snap?x=1");
        format!("Authorization: {}\r\n", prompt.respond(&context).unwrap())
    };
    assert!(get(&camera, &answer("wrong")).0.contains("401"));
    let right = answer("secret");
    assert_eq!(get(&camera, &right).1, image);
    assert!(get(&camera, &right).0.contains("401"), "the nonce is used up");
}

#[test]
fn the_camera_misbehaves_as_asked() {
    let image = jpeg(40, 30, 100);
    let camera = HttpCamera::start(Behaviour::Status(503));
    assert!(get(&camera, "").0.starts_with("HTTP/1.1 503 "));
    camera.set(Behaviour::Redirect("/elsewhere".to_owned()));
    assert!(get(&camera, "").0.contains("Location: /elsewhere"));
    camera.set(Behaviour::Close);
    assert_eq!(get(&camera, ""), (String::new(), vec![]));
    camera.set(Behaviour::Junk);
    assert!(!get(&camera, "").0.contains("HTTP/"));
    camera.set(Behaviour::Truncated(image.clone()));
    let (head, body) = get(&camera, "");
    assert!(head.contains(&format!("Content-Length: {}", 2 * image.len())) && body == image);
    let (piece_bytes, pause) = (image.len() / 3, Duration::from_millis(30));
    camera.set(Behaviour::Slow { jpeg: image.clone(), piece_bytes, pause });
    let start = Instant::now();
    assert_eq!(get(&camera, "").1, image);
    assert!(start.elapsed() >= 3 * pause);
    for (behaviour, least) in [(Behaviour::Hang, 0), (Behaviour::Endless, 1 << 20)] {
        camera.set(behaviour);
        let mut stream = connect(camera.port(), Duration::from_millis(200));
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        let result = (&mut stream).take(1 << 20).read_to_end(&mut bytes);
        assert!(bytes.len() >= least && (least > 0 || result.is_err()), "{} bytes", bytes.len());
    }
}

#[test]
fn the_camera_streams() {
    let frames = vec![jpeg(16, 16, 0), jpeg(16, 16, 255)];
    let mut stream = Mjpeg { interval: Duration::ZERO, repeat: false, ..Mjpeg::new(frames.clone()) };
    let camera = HttpCamera::start(Behaviour::Mjpeg(stream.clone()));
    let (head, body) = get(&camera, "");
    assert!(head.contains("multipart/x-mixed-replace;boundary=frame\r\n"));
    let count = |body: &[u8], what: &[u8]| body.windows(what.len()).filter(|w| *w == what).count();
    assert_eq!((count(&body, b"--frame\r\n"), count(&body, b"Content-Length")), (2, 2));
    assert!(frames.iter().all(|frame| count(&body, frame) == 1) && body.ends_with(b"--frame--\r\n"));
    (stream.content_length, stream.odd_header) = (false, true);
    camera.set(Behaviour::Mjpeg(stream));
    let (head, body) = get(&camera, "");
    assert!(head.contains("boundary=\"--frame\"") && count(&body, b"Content-Length") == 0);
    camera.set(Behaviour::Mjpeg(Mjpeg { stall_after: Some(3), ..Mjpeg::new(frames) }));
    let mut stream = connect(camera.port(), Duration::from_millis(500));
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    assert!(stream.read_to_end(&mut bytes).is_err(), "it stays open");
    assert_eq!(count(&bytes, b"--frame\r\n"), 3);
}

#[test]
fn odd_images_are_what_they_are_called() {
    let image = jpeg(40, 30, 100);
    let bare = without_tables(&image);
    assert!(bare.len() < image.len() && bare.starts_with(&[0xff, 0xd8]) && bare.ends_with(&[0xff, 0xd9]));
    assert!(!bare.windows(2).any(|w| w == [0xff, 0xc4]) && bare.windows(2).any(|w| w == [0xff, 0xda]));
    let (width, height) =
        image::ImageReader::new(std::io::Cursor::new(bomb())).with_guessed_format().unwrap().into_dimensions().unwrap();
    assert_eq!((width, height), (65_500, 65_500));
    assert!(bomb().len() < 2000);
}
