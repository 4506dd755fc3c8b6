//! MQTT by rumqttc, behind [`Transport`]. The only folder that knows rumqttc.
//!
//! ```text
//! poll() ─ block_on ─┬─ events ◄── channel ◄── task: rumqttc's EventLoop, one for each connection
//!                    ├─ waker                         ▲
//!                    └─ deadlines                     │ requests (try_*, never waited for)
//! publish(), subscribe(), ack() ──────────────────────┘
//! ```
//!
//! What rumqttc 0.25 does not do, or does wrongly, is done here:
//!
//! - *Nothing of one connection reaches the next.* The event loop keeps unacknowledged messages, drops them when the
//!   broker has forgotten the session, and may wait for ever for an acknowledgement of the last one (`collision`).
//!   Each connection has an event loop of its own, and whoever gave a message gives it again.
//! - *A window of eight, without collisions.* With acknowledgements out of order rumqttc comes to a packet id that is
//!   still in use and may wait for ever. Fewer messages are under way than there are ids, counted from the oldest one
//!   that is not acknowledged.
//! - *Acknowledgements before the end count.* What comes together with the end of the connection is not told by
//!   `EventLoop::poll`.
//! - *A pause between attempts.* `EventLoop::poll` connects again at once.
//! - *The event loop is never interrupted.* It runs as a task; a poll that ends in the middle of a write would leave
//!   half a packet.
//! - *A stuck connection ends.* With MQTT 5 rumqttc waits without end for a full socket; here twice the keep-alive
//!   without a packet ends the connection, and so does a message that is not acknowledged in that time.
//! - *Refusals in MQTT 5 are told*, not only logged, and so are reasons that rumqttc does not know; what is too large
//!   is refused before it is sent.
//! - *A panic in rumqttc is a lost connection.*

mod config;
mod connection;
mod error_messages;
#[cfg(test)]
mod fake_broker;
mod link;
mod retain_probe;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
mod topic;
mod v4;
mod v5;

use crate::util::secret::Secret;
pub use config::{MqttConfig, Protocol, TlsConfig};
pub(crate) use topic::{fault as topic_fault, filter_fault};

use super::transport::{Message, Transport};
use std::time::Duration;

/// How the transport is used; not the user's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Messages that come in are acknowledged by [`Transport::ack`] instead of at once.
    pub manual_acks: bool,
    /// Messages at least once that the broker may send before the first of them is acknowledged (MQTT 5 only).
    pub receive_maximum: Option<u16>,
    /// A refused subscription ends the connection, instead of being logged: there is nothing to do without it.
    pub must_subscribe: bool,
    /// The least that [`MqttConfig::max_packet_in_bytes`] has to be; a smaller one counts as this. With MQTT 5 the broker drops what is
    /// larger without a word to anybody, and mosquitto (2.0.11) goes on counting it among the messages that are not acknowledged.
    pub least_in_bytes: u32,
}

/// Why there is no transport: the configuration cannot be used. One sentence without secrets.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
#[error("{0}")]
pub struct MqttConfigError(pub String);

/// Everything that a connection is made from.
pub(crate) struct Settings {
    host: String,
    port: u16,
    /// Host and port, for messages.
    broker: String,
    client_id: String,
    login: Option<(String, Secret)>,
    keep_alive: Duration,
    /// Twice the keep-alive: the connection is given up after this time without a packet.
    silence: Duration,
    connect_timeout: Duration,
    max_in_bytes: u32,
    max_out_bytes: u32,
    backoff_ms: [u32; 2],
    will: Option<Message>,
    transport: rumqttc::Transport,
    options: Options,
    /// Whether messages are to be kept.
    retain_probe: retain_probe::RetainProbe,
}

/// A transport that connects with its first poll. `client_id` is used where the configuration has none; `will` is what
/// the broker publishes when this client vanishes (usually `offline`, retained).
///
/// # Errors
/// [`MqttConfigError`]: a value out of range, no client id, a password or certificate that cannot be read, a will that
/// cannot be sent, TLS in a program without it.
pub fn connect(
    config: &MqttConfig,
    client_id: &str,
    will: Option<Message>,
    options: Options,
) -> Result<Box<dyn Transport>, MqttConfigError> {
    let settings = settings(config, client_id, will, options).map_err(MqttConfigError)?;
    let transport = link::MqttTransport::new(settings, config.protocol).map_err(|e| {
        MqttConfigError(format!("the MQTT client cannot be started because the system says '{e}'; free memory"))
    })?;
    Ok(Box::new(transport))
}

fn settings(config: &MqttConfig, client_id: &str, will: Option<Message>, options: Options) -> Result<Settings, String> {
    config.validate()?;
    let client_id = config.client_id.as_deref().unwrap_or(client_id);
    if !config::usable_client_id(client_id) {
        return Err(
            "mqtt.client_id is not given and the node's name cannot be used for it; give one of 1 to 128 bytes".into(),
        );
    }
    if let Some(will) = &will {
        let size = match config.protocol {
            Protocol::V311 => v4::packet_bytes(will),
            Protocol::V5 => v5::packet_bytes(will),
        };
        let too_large = size > config.max_packet_out_bytes as usize || will.payload.len() > usize::from(u16::MAX);
        let fault = topic::fault(&will.topic).or(too_large.then_some("it is too large"));
        if let Some(fault) = fault {
            return Err(format!(
                "the last will for {:?} cannot be used because {fault}; choose a shorter name",
                will.topic
            ));
        }
    }
    let transport = match &config.tls {
        None => rumqttc::Transport::Tcp,
        #[cfg(feature = "tls")]
        Some(tls) => tls::transport(tls)?,
        #[cfg(not(feature = "tls"))]
        Some(_) => return Err("mqtt.tls is not in this program; build it with `--features tls`".into()),
    };
    let keep_alive = Duration::from_secs(config.keep_alive_s.into());
    // rumqttc puts host and port together with a colon.
    let host = match config.host.contains(':') {
        true => format!("[{}]", config.host),
        false => config.host.clone(),
    };
    Ok(Settings {
        host,
        port: config.port(),
        broker: config.broker(),
        client_id: client_id.into(),
        login: config.login()?,
        keep_alive,
        silence: keep_alive * 2,
        connect_timeout: Duration::from_millis(config.connect_timeout_ms.into()),
        max_in_bytes: config.max_packet_in_bytes.max(options.least_in_bytes),
        max_out_bytes: config.max_packet_out_bytes,
        backoff_ms: [config.backoff_min_ms, config.backoff_max_ms],
        will,
        transport,
        options,
        retain_probe: retain_probe::RetainProbe::default(),
    })
}
