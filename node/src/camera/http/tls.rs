//! TLS to a camera: which authorities are trusted, and sentences for what goes wrong.

use super::url::Url;
use crate::util::tls::authorities;
use std::io;
use std::path::Path;
use std::sync::Arc;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// What the client is given. Without authorities an `http` address can still be used; a redirection to `https` then
/// fails.
///
/// # Errors
/// One sentence that names `ca_file`.
pub fn config(url: &Url, ca_file: Option<&Path>) -> Result<TlsConfig, String> {
    let found = match authorities("ca_file", ca_file) {
        Err(_) if ca_file.is_none() && !url.is_https() => Vec::new(),
        found => found?,
    };
    let roots: Vec<_> = found.iter().map(|authority| Certificate::from_der(authority).to_owned()).collect();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

/// What is wrong and what to do, if an error is one of TLS.
pub fn explain(error: &io::Error) -> Option<(String, &'static str)> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(_) => (
            format!("its certificate is not trusted ({error})"),
            "give its authority as ca_file, and in url a name that is in the certificate",
        ),
        _ => (
            format!("it does not speak TLS as this program does ({error})"),
            "check scheme and port of url, and that the camera knows TLS 1.2 or 1.3",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Server, png, respond};
    use super::super::super::{CameraError, Common, FrameSource, Shutdown};
    use super::super::{HttpConfig, Redirects, Snapshot};
    use crate::util::secret::Secret;
    use crate::util::tls::certificates;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    fn file(name: &str) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "../tests/support/tls", name].iter().collect()
    }

    /// Answers one request on a connection with an image; gives the request's lines.
    fn answer(config: Arc<ServerConfig>, stream: TcpStream) -> Option<Vec<String>> {
        let mut tls = BufReader::new(StreamOwned::new(ServerConnection::new(config).ok()?, stream));
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            tls.read_line(&mut line).ok().filter(|length| *length > 0)?;
            if line.trim_end().is_empty() {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let body = png(7);
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        let tls = tls.get_mut();
        tls.write_all(head.as_bytes()).and_then(|()| tls.write_all(&body)).ok()?;
        tls.conn.send_close_notify();
        tls.flush().ok()?;
        Some(lines)
    }

    /// A camera with the certificate of `localhost`: its port, and the requests that it got.
    fn camera() -> (u16, Receiver<Vec<String>>) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates("server", &file("server.pem")).unwrap(), key)
            .unwrap();
        let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        let (requests, got) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(lines) = answer(config.clone(), stream)
                    && requests.send(lines).is_err()
                {
                    return;
                }
            }
        });
        (port, got)
    }

    fn next(url: String, change: impl FnOnce(&mut HttpConfig)) -> Result<u8, CameraError> {
        let mut config = HttpConfig { url, ca_file: Some(file("ca.pem")), ..HttpConfig::default() };
        change(&mut config);
        let mut source = Snapshot::open(&config, &Common { timeout_ms: 20_000, ..Common::default() }).unwrap();
        source.next(Duration::from_secs(20), &Shutdown::default()).map(|frame| frame.image.as_raw()[0])
    }

    #[test]
    fn https_camera_is_read_if_its_authority_is_known() {
        let (port, requests) = camera();
        let url = format!("https://localhost:{port}/shot?token=hunter2");
        assert_eq!(next(url.clone(), |_| {}), Ok(7));
        assert_eq!(requests.recv().unwrap()[0], "GET /shot?token=hunter2 HTTP/1.1");
        for said in [
            next(url, |config| config.ca_file = Some(file("other-ca.pem"))),
            next(format!("https://127.0.0.1:{port}/?token=hunter2"), |_| {}),
        ] {
            let said = said.unwrap_err().to_string();
            assert!(said.contains("not trusted") && said.contains("ca_file") && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn server_without_tls_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            // Until the client has gone: closing at once would take its answer away.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        let said = next(url, |_| {}).unwrap_err().to_string();
        assert!(said.contains("does not speak TLS") && said.contains("scheme"), "{said}");
        server.join().unwrap();
    }

    #[test]
    fn unusable_ca_file_is_named() {
        let config = HttpConfig { url: "https://cam/".into(), ca_file: Some(file("none")), ..HttpConfig::default() };
        let said = Snapshot::open(&config, &Common::default()).err().unwrap();
        assert!(said.starts_with("ca_file: ") && said.contains("cannot be read"), "{said}");
    }

    #[test]
    fn redirect_to_https_elsewhere_gets_no_password() {
        let (port, requests) = camera();
        let target = format!("Location: https://localhost:{port}/there");
        let server = Server::start(move |_, stream| respond(stream, "302 Found", &[&target], b""));
        let follow = |redirects| {
            next(server.url("/"), |config| {
                config.follow_redirects = redirects;
                config.username = Some("me".into());
                config.password_in_clear = Some(Secret::new("hunter2"));
            })
        };
        assert!(follow(Redirects::SameHost).unwrap_err().to_string().contains("follow_redirects"));
        assert_eq!(follow(Redirects::Anywhere), Ok(7));
        let request = requests.recv().unwrap();
        assert!(!request.iter().any(|line| line.to_ascii_lowercase().starts_with("authorization")), "{request:?}");
    }
}
