//! A network camera that gives an image when asked.

mod challenge;
mod client;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
mod url;

use super::config::{Common, within};
use super::frame_decoder::{FrameDecoder, captured};
use super::retry_state::RetryState;
use super::{CameraError, Captured, FrameSource, Shutdown};
use crate::util::latch::{Ended, Monitor, deadline};
use crate::util::secret::{Secret, SecretSource};
pub(super) use client::{Client, Pace};
use edge_ocr::panics::catch_panic;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};
use ureq::http::HeaderMap;

/// Which log-ins may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// What the server asks for; Digest if it has the choice.
    #[default]
    Auto,
    /// Basic only: the password goes over the network as it is.
    Basic,
    /// Digest only (MD5, SHA-256, SHA-512-256; `qop` auth).
    Digest,
}

/// Which redirections are followed, at most three for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redirects {
    /// None.
    Never,
    /// Those to the same host and port, and from `http` to `https` there: a camera cannot make the node ask others.
    #[default]
    SameHost,
    /// All. Credentials are never sent to another host or port.
    Anywhere,
}

/// Keys of `kind = "http"` and `kind = "mjpeg"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address of the image or stream, `http`, or `https` with the feature `tls`; without user and password. Its
    /// query is never shown.
    pub url: String,
    /// Authority that has signed an `https` camera's certificate, PEM; those that the system trusts if not given. The
    /// certificate must be valid for the name or address in `url`.
    pub ca_file: Option<PathBuf>,
    /// Which redirections are followed. Default `same-host`.
    pub follow_redirects: Redirects,
    /// User to log in as.
    pub username: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password.
    pub password_env: Option<String>,
    /// systemd credential with the password.
    pub password_credential: Option<String>,
    /// The password itself, readable for everybody who can read this file.
    pub password_in_clear: Option<Secret>,
    /// Which log-ins may be used. Default `auto`.
    pub auth: Auth,
    /// Longest time for a connection in milliseconds, 50 to 60 000. Default 3000.
    pub connect_timeout_ms: u64,
    /// Whether to ask only for images that are new by their `ETag`; an old one is [`CameraError::NothingNew`].
    /// Default false: some cameras give the same tag for ever. For `http`.
    pub use_etag: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            url: String::new(),
            ca_file: None,
            follow_redirects: Redirects::SameHost,
            username: None,
            password_file: None,
            password_env: None,
            password_credential: None,
            password_in_clear: None,
            auth: Auth::Auto,
            connect_timeout_ms: 3000,
            use_etag: false,
        }
    }
}

impl HttpConfig {
    pub(super) const KEYS: [&str; 11] = [
        "url",
        "ca_file",
        "follow_redirects",
        "username",
        "password_file",
        "password_env",
        "password_credential",
        "password_in_clear",
        "auth",
        "connect_timeout_ms",
        "use_etag",
    ];

    /// Checks every value.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        if self.url.is_empty() {
            return Err("url is missing; give the address of the camera's image".into());
        }
        url::Url::parse(&self.url).map_err(|reason| format!("url cannot be used because {reason}"))?;
        within("connect_timeout_ms", self.connect_timeout_ms, 50, 60_000)?;
        if self.ca_file.is_some() && cfg!(not(feature = "tls")) {
            return Err(
                "ca_file is given, but this program was built without TLS; leave it out, or build it with the \
                 feature tls"
                    .into(),
            );
        }
        let secret = self.secret()?;
        match &self.username {
            None if secret.is_some() => Err("a password is given without username; give both".into()),
            Some(user) if user.is_empty() || user.chars().any(char::is_control) => {
                Err("username is empty or has control characters; give the name of the camera's user".into())
            }
            Some(user) if user.contains(':') && self.auth != Auth::Digest => {
                Err("username has a colon, which Basic cannot carry; set auth = \"digest\" or choose another user"
                    .into())
            }
            _ => Ok(()),
        }
    }

    /// Where the password is.
    fn secret(&self) -> Result<Option<SecretSource>, String> {
        SecretSource::from_keys(
            "password",
            self.password_file.as_deref(),
            self.password_env.as_deref(),
            self.password_credential.as_deref(),
            self.password_in_clear.as_ref(),
        )
    }
}

/// An answer of the thread that asks the camera.
type Answer = Result<Fetched, CameraError>;

/// An image as it came, and when.
struct Fetched {
    bytes: Vec<u8>,
    at: SystemTime,
}

/// The source. Requests are made by a thread of its own, because a request cannot be broken off when the node ends.
pub(super) struct Snapshot {
    request_sender: SyncSender<()>,
    answer: Arc<Monitor<Option<Answer>>>,
    /// Whether a request is under way.
    requested: bool,
    retry: RetryState,
    decoder: FrameDecoder,
    name: String,
    count: u64,
}

impl Snapshot {
    pub fn open(config: &HttpConfig, common: &Common) -> Result<Snapshot, String> {
        let client = Client::new(config, common, Pace::Whole)?;
        let name = client.name().to_owned();
        let (request_sender, requested) = sync_channel(1);
        let answer = Arc::<Monitor<Option<Answer>>>::default();
        let answered = answer.clone();
        let mut fetcher = Fetcher { client, max_bytes: common.max_bytes, use_etag: config.use_etag, etag: None };
        let work = move || {
            // Ends when the source is dropped.
            while requested.recv().is_ok() {
                let fetched = catch_panic(|| fetcher.fetch())
                    .unwrap_or_else(|_| Err(fetcher.client.failed("its answer made the client fail", "report this")));
                answered.change(|answer| *answer = Some(fetched));
            }
        };
        std::thread::Builder::new()
            .name("snapshot".into())
            .spawn(work)
            .map_err(|e| format!("no thread for the camera could be started ({e}); free memory"))?;
        Ok(Snapshot {
            request_sender,
            answer,
            requested: false,
            retry: RetryState::new(common.backoff_min_ms, common.backoff_max_ms),
            decoder: FrameDecoder::new(common),
            name,
            count: 0,
        })
    }

    /// Waits for the answer to a request that is made now.
    fn fetch(&mut self, end: Instant, timeout: Duration, stop: &Shutdown) -> Answer {
        // An answer to a request that nobody waited for is old.
        if self.requested && self.answer.lock().take().is_some() {
            self.requested = false;
        }
        if !self.requested {
            self.requested = self.request_sender.try_send(()).is_ok();
        }
        let answer = self.answer.wait(end, stop, Option::take).map_err(|ended| match ended {
            Ended::Stopped => CameraError::Stopped,
            Ended::Timeout => CameraError::Timeout {
                source_name: self.name.clone(),
                waited_ms: timeout.as_millis() as u64,
                remedy: "check the camera and the network, or raise timeout_ms".into(),
            },
        })?;
        self.requested = false;
        answer
    }
}

impl FrameSource for Snapshot {
    fn next(&mut self, timeout: Duration, stop: &Shutdown) -> Result<Captured, CameraError> {
        let end = deadline(timeout);
        self.retry.wait(end, stop)?;
        let fetched = self.fetch(end, timeout, stop);
        self.retry.note(&fetched);
        let fetched = fetched?;
        self.count += 1;
        let image = self.decoder.decode(&self.name, &fetched.bytes)?;
        Ok(captured(image, fetched.at, format!("{} frame {}", self.name, self.count)))
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

/// What the thread does.
struct Fetcher {
    client: Client,
    max_bytes: u64,
    use_etag: bool,
    etag: Option<String>,
}

impl Fetcher {
    fn fetch(&mut self) -> Answer {
        let response = self.client.get(self.etag.as_deref())?;
        if response.status().as_u16() == 304 {
            return Err(CameraError::NothingNew { source_name: self.client.name().into() });
        }
        if text(response.headers(), "Content-Type").is_some_and(|kind| kind.trim_start().starts_with("multipart/")) {
            return Err(self.client.failed("it gives a stream, not an image", "set kind = \"mjpeg\""));
        }
        let etag = text(response.headers(), "ETag").filter(|tag| tag.len() <= 256);
        let body = response.into_body().into_with_config().limit(self.max_bytes).read_to_vec();
        let bytes = body.map_err(|e| self.client.explain(e))?;
        self.etag = etag.filter(|_| self.use_etag);
        Ok(Fetched { bytes, at: SystemTime::now() })
    }
}

/// The value of a header, if it is ASCII.
pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
