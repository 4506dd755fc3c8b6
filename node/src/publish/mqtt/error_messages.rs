//! Error sentences about the broker and the connection: what failed, why, and what to do.

use std::io;

/// Why a broker said no to a connection, in either version of MQTT.
pub(super) enum ConnectRefusal {
    Protocol,
    ClientId,
    Unavailable,
    Login,
    NotAuthorised,
    Other(String),
}

/// The broker answered the connection with a refusal. `spoken` is the version of MQTT in use, `other` the other one.
pub(super) fn refused(broker: &str, refusal: ConnectRefusal, spoken: &str, other: &str) -> String {
    let (reason, remedy) = match refusal {
        ConnectRefusal::Protocol => (format!("it does not speak MQTT {spoken}"), format!("set mqtt.protocol = \"{other}\"")),
        ConnectRefusal::ClientId => {
            ("it does not take the client id".into(), "choose another mqtt.client_id, of letters and digits".into())
        }
        ConnectRefusal::Unavailable => ("it is not available now".into(), "look into the broker's log if that lasts".into()),
        ConnectRefusal::Login => (
            "user name or password are wrong".into(),
            "check mqtt.username and the password's file, variable or credential".into(),
        ),
        ConnectRefusal::NotAuthorised => (
            "this client is not authorised".into(),
            "check mqtt.username, the password and the broker's access list (mosquitto takes nobody without a name unless it \
             has `allow_anonymous true`)"
                .into(),
        ),
        ConnectRefusal::Other(code) => (format!("of {code}"), "look into the broker's log".into()),
    };
    format!("the broker at {broker} refuses the connection because {reason}; {remedy}")
}

/// The system's error while connecting or talking; `None` if the broker closed the connection.
pub(super) fn io(broker: &str, error: &io::Error) -> Option<String> {
    use io::ErrorKind::*;
    Some(match error.kind() {
        ConnectionRefused => format!(
            "nothing takes connections at {broker}; check mqtt.host and mqtt.port, that the broker runs, and that it listens \
             beyond its own machine (mosquitto without a `listener` line does not)"
        ),
        HostUnreachable | NetworkUnreachable | NetworkDown => {
            format!("the broker at {broker} cannot be reached because the network says '{error}'; check the network")
        }
        TimedOut => no_answer(broker),
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof => return None,
        InvalidData => format!(
            "the connection to {broker} is not secure because of '{error}'; check mqtt.tls.ca_file, the name in mqtt.host and \
             that the port is the broker's TLS port"
        ),
        _ if error.to_string().contains("lookup") => {
            format!("the broker's name in {broker} is not known to the network; check mqtt.host and the name server")
        }
        _ => format!("the connection to {broker} failed because the system says '{error}'; check the network"),
    })
}

/// Making the connection took too long.
pub(super) fn timeout(broker: &str) -> String {
    format!(
        "the broker at {broker} did not answer within mqtt.connect_timeout_ms; check mqtt.host, mqtt.port and that a firewall \
         lets packets through"
    )
}

/// The connection is half open, or stuck.
pub(super) fn no_answer(broker: &str) -> String {
    format!("the broker at {broker} no longer answers; check the network if that repeats")
}

/// The broker closed the connection without a word. `accepted` says whether it had accepted it; `spoken` and `other`
/// are versions of MQTT.
pub(super) fn closed(broker: &str, accepted: bool, spoken: &str, other: &str) -> String {
    match accepted {
        true => format!(
            "the broker at {broker} closed the connection; if that repeats, look into its log (it may have restarted, refused a \
             message, or know another client of the same mqtt.client_id)"
        ),
        false => format!(
            "the broker at {broker} closed the connection instead of accepting it; look into its log, try mqtt.protocol = \"{other}\" if it \
             does not know {spoken}, and see whether it wants TLS or a client's certificate (mqtt.tls) or keeps no messages ([retain])"
        ),
    }
}

/// A packet exceeds what may come in.
pub(super) fn too_large(broker: &str, limit: u32) -> String {
    format!(
        "the broker at {broker} sent a packet of more than {limit} bytes; raise mqtt.max_packet_in_bytes (of a worker \
         max_job_bytes), or find who sends it"
    )
}

/// A packet of ours exceeds what the broker takes.
pub(super) fn too_large_for_it(broker: &str) -> String {
    format!(
        "the broker at {broker} takes no message of this size; raise its limit (mosquitto: message_size_limit), or lower \
         mqtt.max_packet_out_bytes to it"
    )
}

/// It refused what it was asked to keep.
pub(super) fn retain_refused(broker: &str) -> String {
    format!(
        "the broker at {broker} refuses what it is asked to keep (retain); it is connected to again without asking, until the next start of \
         this program"
    )
}

/// It took a connection that asks for nothing to be kept, after it had closed others.
pub(super) fn retain_tried(broker: &str) -> String {
    format!(
        "the broker at {broker} accepts a connection whose last will is not to be kept (retain); it is connected to once more to see whether it \
         refuses one that is"
    )
}

/// Nothing of what it should keep is kept.
pub(super) fn keeps_nothing(broker: &str) -> String {
    format!(
        "the broker at {broker} keeps no messages, so those of [retain] are sent without that and late subscribers have to wait; allow it there \
         (mosquitto: retain_available true)"
    )
}

/// What came is no MQTT, or not at this moment.
pub(super) fn nonsense(broker: &str, what: impl std::fmt::Display) -> String {
    format!(
        "what the broker at {broker} sent cannot be understood ({what}); check that a broker without TLS is what listens there"
    )
}

/// A message was not acknowledged for too long though the connection lives.
pub(super) fn no_ack(broker: &str) -> String {
    format!("the broker at {broker} does not acknowledge a message; look into its log if that repeats")
}

/// A subscription without which there is nothing to do was refused.
pub(super) fn not_subscribed(broker: &str, filter: &str) -> String {
    format!(
        "the broker at {broker} refuses the subscription to {filter}; check its access list, and that it knows shared subscriptions"
    )
}
