//! Requests to a camera: log-in, redirections, limits, and sentences for what goes wrong.

use super::super::CameraError;
use super::super::config::Common;
use super::challenge::{Login, best};
use super::url::Url;
use super::{Auth, HttpConfig, Redirects};
use crate::util::secret::Secret;
use std::io::{self, Read};
use std::time::Duration;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body, Timeout};

/// Most redirections of one request.
const MAX_REDIRECTS: usize = 3;
/// Most bytes of an answer that is thrown away, read so that the connection can be used again.
const MAX_DRAINED: u64 = 65536;

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// All of it within the time.
    Whole,
    /// Until the answer begins, and then for each read.
    Stream,
}

/// One camera.
pub struct Client {
    agent: Agent,
    url: Url,
    name: String,
    redirects: Redirects,
    allow: Auth,
    user: Option<(String, Secret)>,
    login: Option<Login>,
    timeout: Duration,
    pace: Pace,
    /// Whether there was an answer on a connection that may be used again.
    used: bool,
}

impl Client {
    /// # Errors
    /// One sentence: a value of the configuration, or a secret that cannot be read.
    pub fn new(config: &HttpConfig, common: &Common, pace: Pace) -> Result<Client, String> {
        config.validate()?;
        let url = Url::parse(&config.url).map_err(|reason| format!("url cannot be used because {reason}"))?;
        let password = config.secret()?.map(|source| source.resolve()).transpose()?;
        let timeout = Duration::from_millis(common.timeout_ms);
        let connect = Duration::from_millis(config.connect_timeout_ms).min(timeout);
        let mut agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A camera is near; what the environment says of proxies is meant for other things.
            .proxy(None)
            .user_agent(concat!("edge-ocr/", env!("CARGO_PKG_VERSION")))
            .accept("image/*, multipart/x-mixed-replace, */*;q=0.1")
            .max_response_header_size(65536)
            .max_idle_connections(1)
            .timeout_resolve(Some(connect))
            .timeout_connect(Some(connect));
        agent = match pace {
            Pace::Whole => agent.timeout_global(Some(timeout)),
            Pace::Stream => agent
                .timeout_send_request(Some(timeout))
                .timeout_recv_response(Some(timeout))
                .timeout_per_read(Some(timeout)),
        };
        #[cfg(feature = "tls")]
        let agent = agent.tls_config(super::tls::config(&url, config.ca_file.as_deref())?);
        Ok(Client {
            agent: agent.build().new_agent(),
            name: url.display_name(),
            url,
            redirects: config.follow_redirects,
            allow: config.auth,
            user: config.username.clone().map(|user| (user, password.unwrap_or_else(|| Secret::new("")))),
            login: None,
            timeout,
            pace,
            used: false,
        })
    }

    /// The address without secrets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An answer with status 200, or 304 if `etag` is given and nothing changed.
    ///
    /// # Errors
    /// [`CameraError::Timeout`], [`CameraError::Failed`].
    pub fn get(&mut self, etag: Option<&str>) -> Result<Response<Body>, CameraError> {
        let mut url = self.url.clone();
        let (mut redirects, mut answered, mut again) = (0, false, false);
        loop {
            let mut request = self.agent.get(url.whole());
            if let Some(etag) = etag {
                request = request.header("If-None-Match", etag);
            }
            // Credentials are for the camera, not for where it sends us.
            let ours = url.same_server(&self.url);
            if ours && let (Some(login), Some((user, password))) = (&mut self.login, &self.user) {
                let value = login.authorization(user, password, url.target()).ok_or_else(|| {
                    self.failed("it asks for a log-in that cannot be answered", "check the camera's settings")
                })?;
                request = request.header("Authorization", value);
            }
            let mut response = match request.call() {
                Ok(response) => response,
                // The camera may have closed a connection just when it was used again.
                Err(ureq::Error::Io(e)) if self.used && !again && was_closed(&e) => {
                    again = true;
                    continue;
                }
                Err(error) => return Err(self.explain(error)),
            };
            self.used = true;
            match response.status().as_u16() {
                200 => return Ok(response),
                304 if etag.is_some() => return Ok(response),
                301 | 302 | 303 | 307 | 308 => {
                    redirects += 1;
                    if redirects > MAX_REDIRECTS {
                        return Err(self.failed("it redirects more than 3 times", "give the final address as url"));
                    }
                    let location = response.headers().get("Location").and_then(|v| v.to_str().ok()).unwrap_or_default();
                    url = url.join(location).map_err(|reason| {
                        let reason = format!("it redirects to an address that cannot be used: {reason}");
                        self.failed(&reason, "give the final address as url")
                    })?;
                    self.check_redirect(&url)?;
                    self.drain(&mut response);
                }
                401 if ours && self.user.is_some() && !answered => {
                    // An old nonce is refused with a new one; that is answered once more.
                    answered = true;
                    self.login = self.choose(response.headers());
                    if self.login.is_none() {
                        let reason = "it asks for a log-in of a kind that is not known or not allowed";
                        return Err(self.failed(reason, "set auth, or Basic or Digest at the camera"));
                    }
                    self.drain(&mut response);
                }
                status => return Err(self.refused(status)),
            }
        }
    }

    /// A camera must not make the node ask for whatever it likes in the network behind it.
    fn check_redirect(&self, to: &Url) -> Result<(), CameraError> {
        let allowed = match self.redirects {
            Redirects::Never => false,
            Redirects::SameHost => self.url.same_server(to),
            Redirects::Anywhere => true,
        };
        if allowed {
            return Ok(());
        }
        let reason = format!("it redirects to {}, which follow_redirects does not allow", to.server());
        Err(self.failed(&reason, "give the final address as url, or set follow_redirects"))
    }

    /// Reads a short answer to its end; a long one costs its connection. A stream's request has no end by time, so it
    /// pays in any case.
    fn drain(&self, response: &mut Response<Body>) {
        if self.pace == Pace::Whole {
            let _ = io::copy(&mut response.body_mut().as_reader().take(MAX_DRAINED), &mut io::sink());
        }
    }

    fn choose(&self, headers: &HeaderMap) -> Option<Login> {
        let values = headers.get_all("WWW-Authenticate").iter().filter_map(|value| value.to_str().ok());
        best(values, self.allow != Auth::Digest, self.allow != Auth::Basic)
    }

    fn refused(&mut self, status: u16) -> CameraError {
        let remedy = match status {
            401 if self.user.is_none() => "give username and password_file",
            401 => {
                self.login = None;
                "check username and password"
            }
            403 => "check the rights of the user at the camera",
            404 | 410 => "check the path in url",
            429 | 503 => "ask less often, or close other viewers of the camera",
            500.. => "check the camera, or restart it",
            _ => "check url",
        };
        self.failed(&format!("it answered with status {status}"), remedy)
    }

    /// A failure of this camera.
    pub fn failed(&self, reason: &str, remedy: &str) -> CameraError {
        CameraError::Failed { source_name: self.name.clone(), reason: reason.into(), remedy: remedy.into() }
    }

    /// That nothing came in time.
    pub fn too_late(&self, remedy: &str) -> CameraError {
        let waited_ms = self.timeout.as_millis() as u64;
        CameraError::Timeout { source_name: self.name.clone(), waited_ms, remedy: remedy.into() }
    }

    /// The client's error in a sentence. Its own text may hold the address, so it is not used.
    pub fn explain(&self, error: ureq::Error) -> CameraError {
        use ureq::Error;
        match error {
            Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                self.failed("no connection could be made in time", "check the address, and that the camera is on")
            }
            Error::Timeout(_) => self.too_late("check the camera and the network, or raise timeout_ms"),
            Error::HostNotFound => {
                self.failed("its host is not known", "check the name in url, or give the IP address")
            }
            Error::Io(e) => self.explain_io(&e),
            Error::BodyExceedsLimit(limit) => self.failed(
                &format!("its answer is longer than {limit} bytes"),
                "ask for a smaller image or raise max_bytes",
            ),
            Error::LargeResponseHeader(..) => {
                self.failed("the headers of its answer have no end", "check what serves the url")
            }
            Error::Protocol(_) | Error::Http(_) | Error::BodyStalled => {
                self.failed("its answer breaks the rules of HTTP", "check that url leads to a camera")
            }
            Error::ConnectionFailed => {
                self.failed("no connection could be made", "check the address, and that the camera is on")
            }
            _ => self.failed("the request cannot be made", "check url"),
        }
    }

    fn explain_io(&self, error: &io::Error) -> CameraError {
        #[cfg(feature = "tls")]
        if let Some((reason, remedy)) = super::tls::explain(error) {
            return self.failed(&reason, remedy);
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                self.failed("the connection was refused", "check the port in url, and that the camera's server is on")
            }
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                self.too_late("check the camera and the network, or raise timeout_ms")
            }
            _ if was_closed(error) => self.failed("it closed the connection", "check the camera, or restart it"),
            kind => self.failed(&format!("the network reports '{kind}'"), "check the network and the address in url"),
        }
    }
}

/// Whether the other side is gone.
fn was_closed(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}
